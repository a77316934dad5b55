#pragma once
#include "kube/local/kubelet/environment.hpp"

#include <functional>
#include <map>
#include <string>

namespace orrery::local {

/// A file of a volume.
struct volume_file {
  std::string data;
  unsigned mode = 0644;
  friend bool operator==(const volume_file&, const volume_file&) = default;
};
using volume_files = std::map<std::string, volume_file>;  ///< by relative path

/// What a volume of a pod holds. `not_found` names what is missing and not optional; `invalid_argument` an unsupported
/// kind.
struct volume_sources {
  lookup find_object;
  std::function<std::string()> token;  ///< of the pod's service account
  std::string authority;               ///< PEM
};
[[nodiscard]] result<volume_files> volume_content(const json& pod, const json& volume, const volume_sources& sources);

/// Whether the volume's files come from objects (and follow them), rather than being the pod's own.
[[nodiscard]] bool follows_objects(const json& volume);

/// Where a volume is on this machine: hostPath as it is, others below `root`.
[[nodiscard]] std::string volume_directory(const json& volume, const std::string& root);

/// How containers see a volume's directory: itself, or, for an emptyDir whose path leaves no room for the name of a
/// socket in it (107 bytes in all), a link in the temporary directory. `link_volume` makes the link, `unlink_volume`
/// takes it away.
[[nodiscard]] std::string seen_directory(const json& volume, const std::string& directory);
void link_volume(const json& volume, const std::string& directory);
void unlink_volume(const json& volume, const std::string& directory);

/// Replaces the files of a volume at once, as the kubelet does: each is a link through `..data`, which is switched by
/// one rename.
[[nodiscard]] result<void> write_volume(const std::string& directory, const volume_files& files);

}  // namespace orrery::local
