#pragma once
#include "mesh/base/result.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace orrery::op {

/// What /healthz, /readyz and /metrics answer. Called on the server's thread; must not block.
struct admin_handlers {
  std::function<std::string()> metrics;   ///< the text exposition format
  std::function<result<void>()> healthy;  ///< an error: restart me
  std::function<result<void>()> ready;    ///< an error: not yet, or not now
};

/// shell::serve_admin on a thread of its own.
class admin_server {
 public:
  /// `address` is ADDRESS:PORT, IPv6 in brackets; port 0 takes a free one. Errors: invalid_argument, io.
  [[nodiscard]] static result<std::unique_ptr<admin_server>> start(const std::string& address, admin_handlers handlers);
  ~admin_server();
  admin_server(const admin_server&) = delete;
  admin_server& operator=(const admin_server&) = delete;

  [[nodiscard]] std::uint16_t port() const;

 private:
  struct state;
  explicit admin_server(std::unique_ptr<state> made);
  std::unique_ptr<state> state_;
};

}  // namespace orrery::op
