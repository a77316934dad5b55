#pragma once
// The thread that owns the node: gives the core its events and performs its effects. Decides nothing.
#include "mesh/net/transport.hpp"
#include "mesh/node/node.hpp"
#include "sidecar/node_access.hpp"

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
class node_loop final : public node_access {
 public:
  /// Opens the transport and starts the node. `settings.address` is only the IP here; the port that the transport got
  /// is added. Errors: those of net::transport::open.
  [[nodiscard]] static result<std::unique_ptr<node_loop>> open(boost::asio::io_context& io, node::settings settings,
                                                               net::transport_options transport, node_hooks hooks);
  ~node_loop() override;
  node_loop(const node_loop&) = delete;
  node_loop& operator=(const node_loop&) = delete;

  void deliver(node::event happened) override;
  node::request_id ask(node::operation asked, answer_handler told) override;
  /// Follows a stream: `told` sees its events, the last one marked, or once an error, which is the last word too.
  using event_handler = std::function<void(const result<node::streamed>&)>;
  node::request_id follow(node::operation asked, event_handler told);
  void abandon(node::request_id id) override;
  void cancel(node::request_id id) override;
  [[nodiscard]] bool waits(node::request_id id) const override;

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
