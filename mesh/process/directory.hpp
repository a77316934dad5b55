#pragma once
// How processes find each other: pids as data, names, groups, the registry.
#include "mesh/base/result.hpp"
#include "mesh/kernel/handle.hpp"

#include <string>
#include <string_view>

namespace orrery::process {

/// What a callback may ask of what lies around its kernel. Handles go to kernel::context, which calls, monitors and
/// links them. Valid during the callback only.
class directory {
 public:
  directory() = default;
  directory(const directory&) = delete;
  directory& operator=(const directory&) = delete;
  virtual ~directory() = default;

  /// The process behind "class/key", or behind a pid's text as `text_of` gives it. A pid of a process that has ended is
  /// no error: a monitor of its handle says so. Errors: invalid_argument (neither form), not_found (no such class, or a
  /// node that never was in the mesh).
  [[nodiscard]] virtual result<kernel::handle> find(std::string_view target) = 0;
  /// "demo-x7k2p@1732150000000000.12.3": what `find` takes, on any node of the mesh.
  [[nodiscard]] virtual std::string text_of(kernel::handle who) const = 0;
};

}  // namespace orrery::process
