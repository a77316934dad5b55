#pragma once
#include "operator/plan/names.hpp"
#include "operator/plan/spec.hpp"

#include <nlohmann/json.hpp>

#include <string>

namespace orrery::plan {

/// What the server that pods are made on can do.
struct server_features {
  bool native_sidecars = false;  ///< init containers with restartPolicy Always, on by default from 1.29
  bool policy_v1 = false;        ///< policy/v1, from 1.21; else policy/v1beta1
};

/// The pod that a mesh's spec asks for, but for its name and hashes: the user's pod with the sidecar, its volumes, and
/// what keeps pods of a mesh apart. The user's fields win wherever the sidecar does not need its own.
struct pod_template {
  json pod;
  std::string hash;     ///< of all of it: a pod with another hash is outdated
  std::string account;  ///< the service account that the pods run as
};
[[nodiscard]] pod_template build_template(const json& mesh, const mesh_spec& spec, const server_features& server);

/// One pod of the template.
[[nodiscard]] json build_pod(const pod_template& from, const std::string& name, const std::string& config_hash);

}  // namespace orrery::plan
