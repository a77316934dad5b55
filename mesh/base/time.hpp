#pragma once
#include <chrono>
#include <cstdint>

namespace orrery {

/// The monotonic clock that cores are given `now` from. It has no now() on purpose: a core that needs the time takes it
/// as an argument, so that the simulator can be the clock. Shells convert from std::chrono::steady_clock.
struct monotonic_clock {
  using rep = std::int64_t;
  using period = std::nano;
  using duration = std::chrono::nanoseconds;
  using time_point = std::chrono::time_point<monotonic_clock, duration>;
  static constexpr bool is_steady = true;
};

using time_point = monotonic_clock::time_point;
using duration = monotonic_clock::duration;

/// Later than anything: "no deadline".
inline constexpr time_point never = time_point::max();

/// Time of day, UTC. Cores know it as `now` and an offset that the shell tells them; it may step in both directions, so
/// it is for what people mean by a date. Whatever measures a span uses time_point.
using wall_time = std::chrono::sys_time<duration>;

/// now + delay, or `never` where the sum would overflow.
[[nodiscard]] constexpr time_point after(time_point now, duration delay) noexcept {
  return delay > never - now ? never : now + delay;
}

}  // namespace orrery
