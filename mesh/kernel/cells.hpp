#pragma once
// What the kernel's tables hold. Nobody else's business.
#include "mesh/kernel/body.hpp"
#include "mesh/kernel/slab.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace orrery::kernel {

struct process {
  std::unique_ptr<body> what{};
  slot_list<message, &message::place> mailbox{};
  slot_link in_run_queue{};
  std::uint32_t relations = no_slot;  ///< the first end of a relation here, as 2 * slot + end
  std::uint32_t relation_count = 0;
  std::uint32_t timers = 0;
  bool starting : 1 = false;  ///< `started` is still to be run, at its first turn
  bool runnable : 1 = false;  ///< in a run queue
  bool trapping : 1 = false;
  bool priority : 1 = false;
  bool announced : 1 = false;
  bool doomed : 1 = false;   ///< ends as soon as no callback of it runs
  bool orderly : 1 = false;  ///< by itself: `ended` is to be run
  bool suspended : 1 = false;
  bool paused : 1 = false;  ///< by itself: handles nothing until the surroundings let it go on
  bool keeps : 1 = false;   ///< the message that it is handling goes back to the front of its mailbox
  bool held : 1 = false;    ///< `start` sees to its end itself
  overflow when_full = overflow::reject;
  std::uint32_t mailbox_max = 0;
  std::uint32_t note = 0;
  reference awaiting{};  ///< nothing but the reply to this is handled
  reference timeout{};   ///< a timer
  atom name{};
  handle parent{};
  std::uint32_t queued = 0;       ///< bytes of the payloads that wait, modulo 2^32
  std::uint32_t timer_bytes = 0;  ///< of the payloads of its timers, modulo 2^32
  std::uint64_t tag = 0;
  std::uint64_t handled = 0;
  std::uint64_t work = 0;
  std::unique_ptr<exit_reason> why{};  ///< once it is doomed
};

inline constexpr const char* relations_limit = "links, monitors, calls, aliases and timers together";

/// What ties two processes, or a process and the outside. `ends` of local processes and of other kernels are in their
/// lists; that of the outside is in none.
struct relation {
  enum class kind : std::uint8_t {
    link,
    unlinking,  ///< given up here; the other kernel has not acknowledged yet
    monitor,    ///< the first end watches the second
    call,       ///< the first end waits for the second
    alias,      ///< of the first end
    timer,      ///< for the first end
  };
  struct end {
    handle who{};
    slot_link place{};  ///< of ends: 2 * slot + end
  };
  std::array<end, 2> ends{};
  /// call from outside: its token; from a watcher elsewhere: its reference; unlinking: the number
  std::uint64_t note = 0;
  reference deadline{};             ///< call, timer: in the wheel
  std::uint32_t request = no_slot;  ///< call: its message, as long as it waits
  kind what = kind::link;
};
static_assert(sizeof(relation) == 64);

/// How another kernel's signals name a relation with one of its processes: by the two that are linked, or by who is
/// watched or called and the reference of whoever does.
struct far_tie {
  std::uint32_t node = 0;
  std::uint32_t here = no_slot;  ///< the process of this kernel
  std::uint64_t there = 0;       ///< link: the other's slot and generation; else the reference
  bool is_link = false;
  friend bool operator==(const far_tie&, const far_tie&) = default;
};
struct far_tie_hash {
  [[nodiscard]] std::size_t operator()(const far_tie& of) const noexcept {
    const auto ends = std::uint64_t{of.node} << 33U ^ std::uint64_t{of.here} << 1U ^ (of.is_link ? 1U : 0U);
    const auto mixed = (of.there + 0x9e3779b97f4a7c15U * ends) * 0xff51afd7ed558ccdU;
    return static_cast<std::size_t>(mixed ^ mixed >> 32U);
  }
};

/// Another kernel, as far as this one must know.
struct remote_node {
  std::uint32_t relations = no_slot;
  std::uint32_t relation_count = 0;
  bool up = true;
  bool stands_in = false;  ///< its pids stand for processes that are still to be found
};

}  // namespace orrery::kernel
