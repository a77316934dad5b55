#pragma once
// mesh/sim: a clock, a network and a cluster that exist only in memory and drive many node cores from one seed.
#include "mesh/base/time.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <utility>

namespace orrery::sim {

/// What is going to happen, in order of time and, at the same time, of its arrangement. Is the clock.
class agenda {
 public:
  [[nodiscard]] time_point now() const noexcept { return now_; }
  void at(time_point when, std::function<void()> what) {
    entries_.emplace(std::pair{when < now_ ? now_ : when, ++last_}, std::move(what));
  }
  void in(duration delay, std::function<void()> what) { at(now_ + delay, std::move(what)); }
  /// Runs what is due until `end`; the clock then shows `end`.
  void run_until(time_point end) {
    while (!entries_.empty() && entries_.begin()->first.first <= end) {
      auto next = entries_.extract(entries_.begin());
      now_ = next.key().first;
      next.mapped()();
    }
    now_ = end;
  }

 private:
  time_point now_{std::chrono::seconds{1000}};
  std::uint64_t last_ = 0;
  std::map<std::pair<time_point, std::uint64_t>, std::function<void()>> entries_;
};

}  // namespace orrery::sim
