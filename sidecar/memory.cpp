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
  std::ifstream maps("/proc/self/smaps");
  std::uintptr_t from = 0;
  std::uintptr_t to = 0;
  for (std::string line; std::getline(maps, line);) {
    const auto* end = line.data() + line.size();
    std::uintptr_t begins = 0;
    const auto first = std::from_chars(line.data(), end, begins, 16);
    if (first.ec == std::errc{} && first.ptr != end && *first.ptr == '-') {
      // What is mapped from files and never written to: code, and constants.
      const bool reads_only = line.find(" r-xp ") != std::string::npos || line.find(" r--p ") != std::string::npos;
      const bool known = std::from_chars(first.ptr + 1, end, to, 16).ec == std::errc{};
      from = known && reads_only && line.find('/') != std::string::npos ? begins : to;
    } else if (line.starts_with("Anonymous:")) {
      // None that the loader wrote to before it made them read-only: dropping such a page would lose what it wrote.
      const bool clean = line.find(" 0 kB") != std::string::npos;
      if (clean && from < to) {
        madvise(reinterpret_cast<void*>(from), to - from, MADV_DONTNEED);  // NOLINT: an address that the kernel gave
      }
      from = to;
    }
  }
}

}  // namespace orrery::sidecar
