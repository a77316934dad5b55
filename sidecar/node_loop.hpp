#pragma once
// The thread that owns the node: gives the core its events and performs its effects. Decides nothing.
#include "mesh/net/transport.hpp"
#include "mesh/node/node.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

namespace orrery::sidecar {

/// What the core asks of the rest of the sidecar; called on the io_context's thread, from within deliver().
struct node_hooks {
  std::function<void(const node::notify&)> on_notify;
  std::function<void(const node::escalate&)> on_escalate;
  std::function<void()> on_drained;
  std::function<void()> check_control_plane;
  std::function<void(duration)> on_step = [](duration) {};  ///< the core took so long over one event
  std::function<void(const process::app_effect&)> to_app = [](const process::app_effect&) {};
  std::function<void(duration)> on_turn = [](duration) {};  ///< the core had its turn so long after it had asked for it
};

/// Lives on one io_context; every method is called on its thread.
class node_loop {
 public:
  using answer_handler = std::function<void(result<value>)>;

  /// Opens the transport and starts the node. `settings.address` is only the IP here; the port that the transport got
  /// is added. Errors: those of net::transport::open.
  [[nodiscard]] static result<std::unique_ptr<node_loop>> open(boost::asio::io_context& io, node::settings settings,
                                                               net::transport_options transport, node_hooks hooks);
  ~node_loop();
  node_loop(const node_loop&) = delete;
  node_loop& operator=(const node_loop&) = delete;

  /// Takes an event and performs what follows from it. May be called from within a hook: then it is queued.
  void deliver(node::event happened);
  /// Asks the node; `told` is called exactly once, perhaps before this returns, unless it is abandoned.
  node::request_id ask(node::operation asked, answer_handler told);
  /// Follows a stream: `told` sees its events, the last one marked, or once an error, which is the last word too.
  using event_handler = std::function<void(const result<node::streamed>&)>;
  node::request_id follow(node::operation asked, event_handler told);
  /// The client of this request has gone. Nothing if it was answered.
  void abandon(node::request_id id);
  /// A call is wanted no more: `told` is called with `cancelled`, or with what came of it before.
  void cancel(node::request_id id);
  [[nodiscard]] bool waits(node::request_id id) const;

  [[nodiscard]] node::status current() const;
  [[nodiscard]] net::transport& mesh();
  /// Inbound connections that never became a peer: garbage, wrong certificates.
  [[nodiscard]] std::uint64_t inbound_refused() const;

 private:
  struct impl;
  explicit node_loop(std::unique_ptr<impl> made);
  std::unique_ptr<impl> impl_;
};

}  // namespace orrery::sidecar
