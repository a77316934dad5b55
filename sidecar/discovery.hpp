#pragma once
// Who belongs to the mesh: from the pods that the Kubernetes API server names, or from the configuration.
#include "kube/config.hpp"
#include "kube/informer.hpp"
#include "mesh/node/node.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace orrery::sidecar {

/// One pod as a member: nothing for one that has ended (Failed, Succeeded) or has no name. Pure.
[[nodiscard]] std::optional<node::expected_member> member_of(const kube::json& pod, std::uint16_t mesh_port);

/// `peers`, and this node if they do not name it.
[[nodiscard]] std::vector<node::expected_member> with_self(std::vector<node::expected_member> peers,
                                                           const node::expected_member& self);

struct pod_discovery_options {
  std::string name_space;
  std::string selector;
  std::uint16_t mesh_port = 0;
  std::string self;  ///< a list that does not name this pod is not believed
};

struct discovery_health {
  bool connected = false;
  std::uint64_t failures = 0;
  std::string last_error;
};

/// Follows the mesh's pods. An error never changes the list. Owns two threads; destroying it stops them at once.
class pod_discovery {
 public:
  /// Called on a thread of its own whenever the list has changed.
  using members_handler = std::function<void(std::vector<node::expected_member>)>;
  /// Errors: those of kube::make_client.
  [[nodiscard]] static result<std::unique_ptr<pod_discovery>> start(const kube::cluster_config& cluster,
                                                                    pod_discovery_options options,
                                                                    members_handler changed);
  ~pod_discovery();
  pod_discovery(const pod_discovery&) = delete;
  pod_discovery& operator=(const pod_discovery&) = delete;

  /// Asks the API server for its version, at most `timeout`; `told` is called on another thread. One check at a time: a
  /// check that is asked for meanwhile gets the answer of the one that runs.
  void check(std::chrono::milliseconds timeout, std::function<void(bool reachable)> told);
  [[nodiscard]] discovery_health health() const;

 private:
  struct impl;
  explicit pod_discovery(std::unique_ptr<impl> made);
  std::unique_ptr<impl> impl_;
};

}  // namespace orrery::sidecar
