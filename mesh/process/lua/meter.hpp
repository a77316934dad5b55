#pragma once
// What one Lua callback may use, and how it is stopped when it uses more. Three gauges feed one verdict:
//  - VM instructions, counted by Lua's count hook;
//  - work that C functions do without instructions (patterns, sorting, copying), charged by our own versions of them;
//  - bytes allocated, counted by the allocator. Gross, not net: what a callback may allocate must not depend on when
//    the garbage of its siblings is collected.
// And two that bound what keys do which were chosen so that they collide, as Lua's hash of numbers is no secret: how
// many keys a table may have, as making room for more is one instruction that takes the square of their number; and, as
// a last resort where there is a clock, processor time, far beyond what so many instructions take.
// Once over a limit, every further instruction raises again, so no pcall of the script can go on.
#include "mesh/base/time.hpp"

#include <lua.hpp>

#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace orrery::process {

class lua_meter {
 public:
  /// `over`: not a limit; the process has been told to end, and its callback is cut off in the same way.
  enum class limit : std::uint8_t { none, instructions, memory, keys, time, over };
  struct allowance {
    std::uint64_t instructions = 0;
    std::uint64_t memory_bytes = 0;
  };

  lua_meter() = default;
  lua_meter(const lua_meter&) = delete;
  lua_meter& operator=(const lua_meter&) = delete;

  /// What one callback has used so far: kept while it waits, or while another runs within it.
  struct gauge {
    lua_State* state = nullptr;  ///< the thread that it runs in
    allowance allowed{};
    std::uint64_t spent = 0;
    std::uint64_t allocated = 0;
    std::size_t largest_string = 0;
    int interval = 0;
    limit hit = limit::none;
    std::uint32_t looks = 0;
    duration took{};   ///< processor time, as far as it was looked at
    duration since{};  ///< when it was; 0: not since it began, or went on
  };
  static constexpr duration time_max = std::chrono::milliseconds{250};
  /// Of one table, beside its sequence. All of them colliding, to make room for so many takes a third of a second.
  static constexpr std::size_t keys_max = 1U << 15U;
  /// For lua_createtable, a sequence of `count`: not of the size by which a table of too many keys is known.
  [[nodiscard]] static int room_for(std::uint64_t count) noexcept {
    return static_cast<int>(has_too_many_keys(count * sequence_slot_size) ? count + 1 : count);
  }
  /// For luaL_buffinitsize, likewise.
  [[nodiscard]] static std::size_t room_for_text(std::size_t size) noexcept {
    return has_too_many_keys(size) ? size + 1 : size;
  }

  /// lua_newstate's allocator; `meter` is the user data. Raises in Lua where a table is to have too many keys: nothing
  /// has changed then, and refusing would make Lua collect the garbage of the whole class first.
  static void* allocate(void* meter, void* block, std::size_t old_size, std::size_t new_size);

  /// Of the thread's processor time; null: none is counted.
  void set_clock(duration (*clock)()) noexcept { clock_ = clock; }
  /// From here on, one callback. `largest_string`: of what it is given to see, in bytes.
  void begin(lua_State* state, allowance allowed, std::size_t largest_string) noexcept;
  void end() noexcept { active_ = false; }
  /// Stops counting; `go_on` continues where this was.
  [[nodiscard]] gauge pause() noexcept {
    active_ = false;
    if (now_.since != duration{}) now_.took += clock_() - std::exchange(now_.since, duration{});
    return now_;
  }
  void go_on(const gauge& from) noexcept {
    now_ = from;
    active_ = true;
  }
  [[nodiscard]] bool active() const noexcept { return active_; }
  /// From lua_newstate until the first `begin`.
  static constexpr std::size_t string_table_first_size = 128 * sizeof(void*);

  /// Charges work. False once over the limit.
  [[nodiscard]] bool spend(std::uint64_t instructions) noexcept;
  [[nodiscard]] std::uint64_t instructions_left() const noexcept { return now_.allowed.instructions - now_.spent; }
  void trip(limit which) noexcept;
  [[nodiscard]] limit hit() const noexcept { return now_.hit; }
  [[nodiscard]] const allowance& allowed() const noexcept { return now_.allowed; }
  /// Instructions and allocations so far as one number.
  [[nodiscard]] std::uint64_t work() const noexcept { return now_.spent + now_.allocated / 8; }
  [[nodiscard]] std::uint64_t allocated() const noexcept { return now_.allocated; }
  [[nodiscard]] std::uint64_t memory_left() const noexcept {
    return now_.allocated < now_.allowed.memory_bytes ? now_.allowed.memory_bytes - now_.allocated : 0;
  }
  /// Counts bytes that are allocated on the script's behalf outside Lua.
  void allocated_elsewhere(std::size_t size) noexcept;

 private:
  static constexpr int interval_max = 256;               ///< instructions between two looks
  static constexpr std::uint32_t looks_per_reading = 8;  ///< of the clock, which is a system call
  /// Comparing or hashing a string is one instruction whatever its length: instructions count for more while the
  /// callback can see a long one.
  static constexpr std::size_t string_unit = 8U << 10U;

  static constexpr std::size_t key_slot_size = 24;       ///< of Lua 5.4's `Node`
  static constexpr std::size_t sequence_slot_size = 16;  ///< of its `TValue`

  /// Is a block of this size, freshly made, for the keys of a table? There are two to the power of something.
  [[nodiscard]] static bool has_too_many_keys(std::uint64_t size) noexcept {
    return size > keys_max * key_slot_size && size % key_slot_size == 0 && std::has_single_bit(size / key_slot_size);
  }
  static void on_count(lua_State* state, lua_Debug* at);
  [[nodiscard]] bool takes_too_long() noexcept;
  void count(std::size_t grown, bool is_string) noexcept;

  bool created_ = false;  ///< lua_newstate has returned
  /// Lua's table of short strings. It grows with what the whole class holds, so nobody is charged for it. Known by the
  /// size of its first block; where that is not found, it is charged to whoever makes it grow.
  void* string_table_ = nullptr;
  duration (*clock_)() = nullptr;
  gauge now_;
  bool active_ = false;
};

/// Raises the limit error, and notes where the script was when it was hit. Never returns.
int raise_limit(lua_State* state);
/// Charges work from a C function; raises once over the limit.
void charge(lua_State* state, std::uint64_t instructions);

}  // namespace orrery::process
