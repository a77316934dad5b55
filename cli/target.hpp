#pragma once
#include "cli/http_client.hpp"
#include "kube/client.hpp"
#include "kube/port_forward.hpp"
#include "mesh/base/result.hpp"

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

/// Errors: invalid_argument (the URL); those of Kubernetes: not_found (no such mesh, or no ready pod), forbidden, ...
[[nodiscard]] result<target> open_target(const target_options& options);

/// The first pod whose sidecar is ready, whatever its app does; a terminating one is not. Null if there is none. Pure.
[[nodiscard]] const kube::json* ready_pod(const std::vector<kube::json>& pods);

/// Where the sidecar of a pod serves the app, as its command line says it. Pure.
[[nodiscard]] std::uint16_t sdk_port_of(const kube::json& pod);

}  // namespace orrery::cli
