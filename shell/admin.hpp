#pragma once
// What probes and Prometheus ask a program: /healthz, /readyz and /metrics.
#include "shell/http_server.hpp"
#include <functional>
#include <memory>
#include <string>

namespace orrery::shell {

/// Called on the server's thread; none may block.
struct admin_handlers {
  std::function<result<void>()> healthy;  ///< an error: restart me
  std::function<result<void>()> ready;    ///< an error: not yet, or not now
  /// Gives the text exposition format to `told`, once, now or later.
  std::function<void(std::function<void(std::string)> told)> metrics;
};

/// Limits for such a server: few clients, and none that sends a body.
[[nodiscard]] http_server_options admin_options(std::string listen_address);

/// 200 "ok", or 503 and the error's context; other paths are 404, other methods than GET and HEAD 405.
void serve_admin(const admin_handlers& with, const http_request& request,
                 const std::shared_ptr<http_exchange>& exchange);

}  // namespace orrery::shell
