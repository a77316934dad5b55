#pragma once
// The members that discovery last named, kept in a file beside the sidecar: a container that restarts while the API
// server is away joins by it at once, and discovery's first list takes its place.
#include "mesh/base/result.hpp"
#include "mesh/node/node.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace orrery::sidecar {

inline constexpr std::size_t member_cache_bytes_max = 1U << 20U;

/// Whose list it is. What is kept for any other owner is not read.
struct member_cache_owner {
  std::string name_space;
  std::string mesh;
  std::string mesh_id;
  std::string pod;
  std::string uid;  ///< of the pod
};

/// One file, written by one thread at a time. An empty path keeps nothing.
class member_cache {
 public:
  member_cache(std::string path, member_cache_owner owner);

  /// The list of the last store; nothing if there is none yet. Errors: io, too_large; invalid_argument if the file is
  /// malformed or another owner's, or does not name this pod. Each with the path and the reason.
  [[nodiscard]] result<std::optional<std::vector<node::expected_member>>> load() const;
  /// Replaces the file as a whole: a reader sees the old list or the new one. It outlives the container, as the pod's
  /// volume does, and need not outlive the host. Errors: io; too_large (the old list stays).
  [[nodiscard]] result<void> store(const std::vector<node::expected_member>& members) const;

 private:
  std::string path_;
  member_cache_owner owner_;
};

}  // namespace orrery::sidecar
