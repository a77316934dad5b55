#pragma once
#include "kube/local/json.hpp"
#include "mesh/base/result.hpp"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace orrery::local {

// From a container's spec to what its process is given. Pure: config maps and secrets come through `lookup`.

/// The object of a bucket ("configmaps", "secrets") in the pod's namespace, or null.
using lookup = std::function<json(const std::string& bucket, const std::string& name)>;

/// $(NAME) -> value; $$(NAME) -> $(NAME); unknown names stay.
[[nodiscard]] std::string expand(const std::string& text, const std::map<std::string, std::string>& values);

/// A field of a pod as fieldRef and the downward API name it ("metadata.labels['x']", "status.podIP");
/// `invalid_argument` for others.
[[nodiscard]] result<std::string> pod_field(const json& pod, const std::string& path);

/// The environment of a container: envFrom, env with valueFrom, $(VAR). `not_found` names a config map, secret or key
/// that is missing.
[[nodiscard]] result<std::map<std::string, std::string>> container_environment(const json& pod, const json& container,
                                                                               const lookup& find_object);

/// Rewrites paths and addresses for a process that shares file system and network with all others.
class rewriter {
 public:
  /// `mounts`: mountPath -> directory.
  rewriter(std::string pod_address, std::map<std::string, std::string> mounts);
  /// "127.0.0.1" -> the pod's address, mount paths -> their directories, where they are whole path prefixes.
  [[nodiscard]] std::string apply(const std::string& text) const;

 private:
  std::string address_;
  std::vector<std::pair<std::string, std::string>> mounts_;  ///< longest first
};

}  // namespace orrery::local
