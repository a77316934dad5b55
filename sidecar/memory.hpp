#pragma once
#include "mesh/node/node.hpp"

#include <cstddef>
#include <cstdint>

namespace orrery::sidecar {

/// Before anything is allocated: few arenas, and freed memory goes back to the system. A sidecar sits in every pod.
void keep_memory_small();
/// Once started: gives back the code and constants that only starting needed (the pages stay in the page cache; what is
/// needed again is mapped again by a minor fault). Starting up touches megabytes of libraries that never run again.
void drop_startup_pages();

/// Bytes of this process that are in memory; 0 where the system does not say.
[[nodiscard]] std::size_t resident_bytes();
/// Freed memory that lies between what is used: to the system. Takes as long as there is much of it: 50 ms for 400 MB.
void give_memory_back();

/// When that is worth its while: after a peak, once nothing grows.
class memory_watch {
 public:
  static constexpr std::size_t worth{64U << 20U};
  static constexpr int quiet_for = 30;  ///< looks

  /// Once a second, say: `held` is about what is used. True: now.
  [[nodiscard]] bool due(std::size_t resident, std::size_t held) noexcept;
  void given_back(std::size_t resident, std::size_t held) noexcept;
  /// Does so for this process, once a second; and `drop_startup_pages`, some seconds after the start.
  void look(const node::status& now);

 private:
  std::size_t rest_ = 0;       ///< resident after the last time
  std::size_t highest_ = 0;    ///< resident since then
  std::size_t held_peak_ = 0;  ///< since then
  int quiet_ = 0;              ///< looks since `highest_` rose
  int looks_ = 0;
};

}  // namespace orrery::sidecar
