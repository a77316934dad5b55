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
  /// What the files hold could not be used, perhaps for a reason that passes: the call after so many says that they
  /// changed, unless an earlier one does.
  void again_after(std::uint32_t calls) { again_ = calls; }

 private:
  struct mark {
    std::uint64_t device = 0, inode = 0, size = 0;
    std::int64_t seconds = 0, nanoseconds = 0;
    friend bool operator==(const mark&, const mark&) = default;
  };
  [[nodiscard]] std::vector<std::optional<mark>> look() const;

  std::vector<std::string> paths_;
  std::vector<std::optional<mark>> seen_;
  std::uint32_t again_ = 0;  ///< calls until then; 0: none
};

}  // namespace orrery::sidecar
