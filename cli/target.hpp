#pragma once
#include "cli/http_client.hpp"
#include "kube/client.hpp"
#include "kube/port_forward.hpp"
#include "mesh/base/result.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace orrery::cli {

inline constexpr std::uint16_t default_sdk_port = 3600;  ///< in a pod of a mesh, on localhost

/// Which sidecar to talk to, as the command line says it.
struct target_options {
  std::string sidecar;  ///< a URL; used if `mesh` is empty
  std::string mesh;
  std::string name_space;  ///< empty: the kubeconfig's
  std::string kubeconfig;
  std::string context;
};

/// A sidecar that can be reached as long as this lives.
struct target {
  http_url url;
  std::string pod;  ///< through which pod, if through the Kubernetes API
  std::string pod_uid;
  std::unique_ptr<kube::port_forward> forward;
};

/// A mesh in the cluster that the options name, as it is now.
struct mesh_pods {
  kube::cluster_config config;
  std::unique_ptr<kube::client> api;
  std::string mesh;
  std::string name_space;
  std::string selector;  ///< of its pods
  std::vector<kube::json> pods;
};
/// Errors: those of Kubernetes. A mesh that does not exist is one without pods.
[[nodiscard]] result<mesh_pods> open_mesh(const target_options& options);
[[nodiscard]] error no_such_mesh(const mesh_pods& seen);

/// Forwards a local port (0: any free one) to the sidecar of a ready pod. Errors: not_found (no such mesh, or no ready
/// pod), io (the local port), those of Kubernetes. What it may not do is told with the rule that would let it.
[[nodiscard]] result<target> reach(const mesh_pods& seen, std::uint16_t local_port);
/// Errors: invalid_argument (the URL); those of open_mesh() and reach().
[[nodiscard]] result<target> open_target(const target_options& options);

/// Whether the sidecar of a pod is ready, whatever its app does; that of a terminating pod is not. Pure.
[[nodiscard]] bool is_ready(const kube::json& pod);
/// The first pod that is ready; null if there is none. Pure.
[[nodiscard]] const kube::json* ready_pod(const std::vector<kube::json>& pods);

/// Where the sidecar of a pod serves the app, as its command line says it. Pure.
[[nodiscard]] std::uint16_t sdk_port_of(const kube::json& pod);

}  // namespace orrery::cli
