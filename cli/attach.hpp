#pragma once
// cli: a mesh's sidecar at a port of this machine, for as long as it is wanted.
#include "cli/commands.hpp"
#include "cli/target.hpp"
#include "kube/informer.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace orrery::cli {

struct attach_options {
  std::uint16_t port = 0;            ///< of this machine; 0: any free one
  std::vector<std::string> command;  ///< to run with it; empty: none, it is held
};

/// Reaches a ready pod of the mesh, and another one when that is none any more, always at the same local port. Says
/// where on stdout, and ends with SIGINT, SIGTERM, or, with output::json, when nobody reads stdout any more; or runs
/// the command and ends with it. Is the program's exit status: an exit_code, or the command's. REQUIRES: target.mesh is
/// not empty; nothing else runs yet in this process.
[[nodiscard]] int attach(const target_options& options, const attach_options& attaching, output form);

/// Where attach says that it is, in one line without its end. Pure.
[[nodiscard]] std::string attached_line(const target& reached, const mesh_pods& seen, output form);

/// What became of the pod that is used, and where to go from there.
struct succession {
  enum class fate : std::uint8_t { ready, not_ready, leaving, gone } pod = fate::gone;
  const kube::json* successor = nullptr;  ///< a ready pod, where the present one is not; null if there is none
};
/// `uid` is the present pod's. Pure.
[[nodiscard]] succession succession_of(const std::vector<kube::object_ptr>& pods, const std::string& uid);

}  // namespace orrery::cli
