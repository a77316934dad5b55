#pragma once
#include "kube/config.hpp"
#include "kube/resource.hpp"
#include "mesh/base/result.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace orrery::kube {

struct port_forward_options {
  object_key pod{};
  std::uint16_t pod_port = 0;
  std::uint16_t local_port = 0;  ///< 0: any free one
};

/// Makes a port of a pod reachable at 127.0.0.1:local_port(), through the API server (WebSocket, v4.channel.k8s.io),
/// until destroyed. Each accepted connection is its own WebSocket. Owns one thread. At most 64 connections at a time.
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
  /// Why a forwarded connection was cut last ("connection refused" in the pod, say); empty if none was.
  [[nodiscard]] std::string last_error() const;

 private:
  struct state;
  explicit port_forward(std::unique_ptr<state> state);
  std::unique_ptr<state> state_;
};

}  // namespace orrery::kube
