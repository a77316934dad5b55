#include "sidecar/memory.hpp"

#include "shell/log.hpp"
#include <algorithm>
#include <charconv>
#include <fstream>
#include <malloc.h>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <unistd.h>

namespace orrery::sidecar {

void keep_memory_small() {
  mallopt(M_ARENA_MAX, 2);  // one busy thread, and a few that mostly sleep
  mallopt(M_TRIM_THRESHOLD, 1 << 18);
}

std::size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t pages = 0;
  std::size_t resident = 0;
  if (!(statm >> pages >> resident)) return 0;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

void give_memory_back() { malloc_trim(0); }

bool memory_watch::due(std::size_t resident, std::size_t held) noexcept {
  constexpr std::size_t noise{1U << 20U};
  held_peak_ = std::max(held_peak_, held);
  if (resident > highest_ + noise) {
    highest_ = resident;
    quiet_ = 0;
    return false;
  }
  if (++quiet_ < quiet_for) return false;
  return resident > rest_ + worth || held_peak_ > held + worth;
}

void memory_watch::given_back(std::size_t resident, std::size_t held) noexcept {
  rest_ = highest_ = resident;
  held_peak_ = held;
  quiet_ = 0;
}

void memory_watch::look(const node::status& now) {
  constexpr int settled_after = 5;
  if (++looks_ == settled_after) drop_startup_pages();
  constexpr std::size_t about_a_process = 300;
  const auto held = now.processes * about_a_process + now.clients.unwritten_bytes + now.clients.waiting_bytes +
                    now.clients.waiting_ends_bytes;
  const auto resident = resident_bytes();
  if (!due(resident, held)) return;
  give_memory_back();
  const auto left = resident_bytes();
  given_back(left, held);
  shell::log::info("gave freed memory back",
                   {{"bytesBefore", static_cast<std::int64_t>(resident)}, {"bytes", static_cast<std::int64_t>(left)}});
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
