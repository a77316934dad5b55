#pragma once
#include "kube/config.hpp"
#include "kube/resource.hpp"
#include "mesh/base/result.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace orrery::kube {

struct port_forward_options {
  object_key pod{};
  std::uint16_t pod_port = 0;
  std::uint16_t local_port = 0;  ///< 0: any free one
  /// A client that sends no more may have left, or wait for an answer: it is let go after so long without one.
  std::chrono::milliseconds linger{2000};
};

/// Makes a port of a pod reachable at 127.0.0.1:local_port(), through the API server (WebSocket, v4.channel.k8s.io),
/// until destroyed. Each accepted connection is its own WebSocket. Owns one thread. At most 256 connections at a time;
/// where there are more, one whose client sends no more is let go for each.
class port_forward {
 public:
  /// Listens, and checks once that the pod's port can be reached through the API server, so that a wrong name or
  /// missing right is an error here. Errors: not_found, forbidden, unauthenticated, unavailable, io.
  [[nodiscard]] static result<std::unique_ptr<port_forward>> open(const cluster_config& config,
                                                                  const port_forward_options& options);
  ~port_forward();
  port_forward(const port_forward&) = delete;
  port_forward& operator=(const port_forward&) = delete;

  [[nodiscard]] std::uint16_t local_port() const noexcept;
  /// Connections that come from now on go to that pod, at the same local port. Those that there are end as soon as
  /// they rest, so that a client that keeps its connections comes anew; an answer that is waited for still comes.
  void redirect(const object_key& pod, std::uint16_t pod_port);
  /// Ends the connections to pods of before redirect() at once: they are no more.
  void drop_earlier();
  /// Why a forwarded connection was cut last ("connection refused" in the pod, say); empty if none was.
  [[nodiscard]] std::string last_error() const;

 private:
  struct state;
  explicit port_forward(std::unique_ptr<state> state);
  std::unique_ptr<state> state_;
};

}  // namespace orrery::kube
