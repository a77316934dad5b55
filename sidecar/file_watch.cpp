#include "sidecar/file_watch.hpp"

#include <sys/stat.h>

namespace orrery::sidecar {

std::vector<std::optional<file_watch::mark>> file_watch::look() const {
  std::vector<std::optional<mark>> out;
  for (const auto& path : paths_) {
    struct stat found {};
    if (::stat(path.c_str(), &found) != 0) {
      out.emplace_back();
      continue;
    }
    out.push_back(mark{found.st_dev, found.st_ino, static_cast<std::uint64_t>(found.st_size), found.st_mtim.tv_sec,
                       found.st_mtim.tv_nsec});
  }
  return out;
}

bool file_watch::changed() {
  auto now = look();
  const bool due = again_ > 0 && --again_ == 0;
  if (now == seen_ && !due) return false;
  again_ = 0;
  seen_ = std::move(now);
  return true;
}

}  // namespace orrery::sidecar
