#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace orrery::sidecar {

/// Notices changed files by looking: what the paths resolve to (device, inode, time, size), so that the swap of the
/// `..data` symlink of a mounted ConfigMap or Secret is one change. Not thread-safe.
class file_watch {
 public:
  explicit file_watch(std::vector<std::string> paths) : paths_(std::move(paths)), seen_(look()) {}
  /// True if any file is another one than at the last call (or at the start).
  [[nodiscard]] bool changed();

 private:
  struct mark {
    std::uint64_t device = 0, inode = 0, size = 0;
    std::int64_t seconds = 0, nanoseconds = 0;
    friend bool operator==(const mark&, const mark&) = default;
  };
  [[nodiscard]] std::vector<std::optional<mark>> look() const;

  std::vector<std::string> paths_;
  std::vector<std::optional<mark>> seen_;
};

}  // namespace orrery::sidecar
