#pragma once
// What the two HTTP servers of a sidecar answer: the SDK's interface on localhost, and health and metrics.
#include "sidecar/event_hub.hpp"
#include "sidecar/metrics.hpp"
#include "sidecar/node_loop.hpp"
#include "sidecar/origins.hpp"

#include "shell/admin.hpp"
#include <functional>
#include <memory>

namespace orrery::sidecar {

/// What the handlers serve; outlives them. All of it is on the io_context's thread.
struct serving {
  node_loop& node;
  event_hub& events;
  metrics& counted;
  std::function<observed()> observe;        ///< the numbers that need no answer of the node
  origins pages{};                          ///< that may speak to it
  shell::http_server::handler websocket{};  ///< answers who asks for the SDK protocol over a WebSocket
};

void serve_sdk(const serving& with, const shell::http_request& request,
               const std::shared_ptr<shell::http_exchange>& exchange);
/// /healthz: the event loop runs (this answers). /readyz: joined, neither isolated nor draining; else 503 and why.
[[nodiscard]] shell::admin_handlers admin_of(const serving& with);

/// "" if ready, else why not.
[[nodiscard]] std::string why_not_ready(const node::status& now);

}  // namespace orrery::sidecar
