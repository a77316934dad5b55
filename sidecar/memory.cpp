#include "sidecar/memory.hpp"

#include <charconv>
#include <fstream>
#include <malloc.h>
#include <string>
#include <string_view>
#include <sys/mman.h>

namespace orrery::sidecar {

void keep_memory_small() {
  mallopt(M_ARENA_MAX, 2);  // one busy thread, and a few that mostly sleep
  mallopt(M_TRIM_THRESHOLD, 1 << 18);
}

void drop_startup_pages() {
  malloc_trim(0);
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    // Code of files only: private and never written to, so dropping a page loses nothing.
    if (line.find(" r-xp ") == std::string::npos || line.find('/') == std::string::npos) continue;
    std::uintptr_t from = 0;
    std::uintptr_t to = 0;
    const auto* end = line.data() + line.size();
    const auto first = std::from_chars(line.data(), end, from, 16);
    if (first.ec != std::errc{} || first.ptr == end || *first.ptr != '-') continue;
    if (std::from_chars(first.ptr + 1, end, to, 16).ec != std::errc{} || to <= from) continue;
    madvise(reinterpret_cast<void*>(from), to - from, MADV_DONTNEED);  // NOLINT: an address that the kernel gave
  }
}

}  // namespace orrery::sidecar
