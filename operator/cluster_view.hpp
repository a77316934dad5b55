#pragma once
#include "kube/client.hpp"
#include "kube/informer.hpp"
#include "operator/plan/observed.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace orrery::op {

/// The cluster as the operator sees it: copies of what concerns meshes, kept by watches, and the same read afresh.
/// Thread-safe between start() and stop().
class cluster_view {
 public:
  /// `changed` is told of each mesh that something happened to, on the watches' threads; it must not block.
  /// `namespaces` empty: all. Hosts are watched if `may_read_hosts`.
  cluster_view(kube::client& api, const std::vector<std::string>& namespaces, plan::server_features server,
               bool may_read_hosts, std::function<void(const kube::object_key& mesh)> changed);
  ~cluster_view();
  cluster_view(const cluster_view&) = delete;
  cluster_view& operator=(const cluster_view&) = delete;

  void start();
  void stop();
  [[nodiscard]] bool has_synced() const;
  /// What is known of one mesh; `mesh` is null if there is none. Only objects that this very mesh owns are in it.
  [[nodiscard]] plan::observed remembered(const kube::object_key& mesh) const;
  /// The same, with the mesh, its pods, Secrets and ConfigMaps read from the API server now.
  [[nodiscard]] result<plan::observed> read_now(const kube::object_key& mesh);
  /// All meshes, and those that classes name and that do not exist: their classes are to be told so.
  [[nodiscard]] std::vector<kube::object_key> meshes() const;
  [[nodiscard]] std::vector<std::pair<std::string, kube::informer_health>> health() const;

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace orrery::op
