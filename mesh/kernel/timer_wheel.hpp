#pragma once
#include "mesh/base/time.hpp"
#include "mesh/kernel/handle.hpp"
#include "mesh/kernel/slab.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <optional>
#include <utility>

namespace orrery::kernel {

/// Timers in a hierarchy of wheels (Varghese and Lauck 1987): setting, cancelling and firing take constant time,
/// however many there are. Ticks are milliseconds, rounded up: a timer never fires early. Those of one tick fire in an
/// order that is the same on every run, and not promised otherwise.
template <class T>
class timer_wheel {
 public:
  using id = reference;

  /// REQUIRES: due != never.
  id add(time_point due, T what) {
    const auto slot = timers_.take();
    timers_[slot].due = std::max(tick_of(due), 0L);
    timers_[slot].what = std::move(what);
    place(slot);
    return {slot, timers_.generation(slot)};
  }
  [[nodiscard]] bool pending(id timer) const { return timers_.alive(timer.slot, timer.generation); }
  /// REQUIRES: pending.
  [[nodiscard]] const T& held(id timer) const {
    ORRERY_ASSERT(pending(timer));
    return timers_[timer.slot].what;
  }
  /// What the timer held and when it was due, or nothing where it has fired or was cancelled.
  std::optional<std::pair<T, time_point>> cancel(id timer) {
    if (!pending(timer)) return {};
    auto& cancelled = timers_[timer.slot];
    std::pair<T, time_point> held{std::move(cancelled.what), time_of(cancelled.due)};
    unplace(timer.slot);
    timers_.release(timer.slot);
    return held;
  }

  /// Fires all that are due: `fire(T&&)`, which may add and cancel timers.
  template <class Fire>
  void expire(time_point now, Fire&& fire) {
    const auto target = now.time_since_epoch() / tick;
    drain(overdue, fire);
    while (at_ < target) {
      const auto stop = next_stop();
      if (stop > target) break;
      at_ = stop;
      cascade();
      drain(bucket(0, at_), fire);
      drain(overdue, fire);
    }
    at_ = std::max(at_, target);
  }
  /// Not later than the earliest timer; `never` if there is none. Looking at it then costs little if it is earlier.
  [[nodiscard]] time_point next() const {
    if (timers_.size() == 0) return never;
    if (heads_[overdue].first != no_slot) return time_of(at_);
    return time_of(next_stop());
  }
  [[nodiscard]] std::size_t size() const noexcept { return timers_.size(); }

 private:
  using ticks = std::int64_t;
  static constexpr duration tick = std::chrono::milliseconds{1};
  static constexpr unsigned bits = 8;
  static constexpr std::uint32_t spokes = 1U << bits;
  static constexpr std::uint32_t levels = 5;                 ///< 34 years; beyond it timers wait on the last wheel
  static constexpr std::uint32_t overdue = levels * spokes;  ///< due already when they were set
  static constexpr std::uint32_t firing = overdue + 1;
  static constexpr ticks horizon = ticks{1} << (bits * levels);

  struct armed {
    ticks due = 0;
    slot_link place;
    std::uint32_t bucket = 0;
    T what{};
  };
  struct head {
    std::uint32_t first = no_slot;
    std::uint32_t last = no_slot;
  };

  /// Rounds up, without overflowing.
  [[nodiscard]] static ticks tick_of(time_point at) {
    const auto since = at.time_since_epoch();
    return since / tick + (since % tick > duration::zero() ? 1 : 0);
  }
  [[nodiscard]] static time_point time_of(ticks at) {
    return at >= never.time_since_epoch() / tick ? never : time_point{at * tick};
  }
  [[nodiscard]] static std::uint32_t bucket(std::uint32_t level, ticks at) {
    return level * spokes + static_cast<std::uint32_t>(at >> (bits * level)) % spokes;
  }

  /// On the wheel of the highest digit in which the due tick differs from the present one.
  void place(std::uint32_t slot) {
    const ticks due = timers_[slot].due;
    if (due <= at_) return append(overdue, slot);
    const ticks within = std::min(due, at_ + horizon / 2);
    const auto differing = static_cast<std::uint64_t>(within ^ at_);
    const auto level = std::min((static_cast<std::uint32_t>(std::bit_width(differing)) - 1) / bits, levels - 1);
    append(bucket(level, within), slot);
  }
  void append(std::uint32_t into, std::uint32_t slot) {
    auto& added = timers_[slot];
    head& list = heads_[into];
    added.bucket = into;
    added.place = {.previous = list.last, .next = no_slot};
    (list.last == no_slot ? list.first : timers_[list.last].place.next) = slot;
    list.last = slot;
    if (into != overdue) occupied_[into / 64] |= std::uint64_t{1} << (into % 64);
  }
  void unplace(std::uint32_t slot) {
    const auto& gone = timers_[slot];
    head& list = heads_[gone.bucket];
    (gone.place.previous == no_slot ? list.first : timers_[gone.place.previous].place.next) = gone.place.next;
    (gone.place.next == no_slot ? list.last : timers_[gone.place.next].place.previous) = gone.place.previous;
    if (list.first == no_slot && gone.bucket < overdue) {
      occupied_[gone.bucket / 64] &= ~(std::uint64_t{1} << (gone.bucket % 64));
    }
  }

  /// The next tick at which a timer is due or a bucket of a coarser wheel is to be spread over finer ones.
  [[nodiscard]] ticks next_stop() const {
    for (std::uint32_t level = 0; level < levels; ++level) {
      const auto here = static_cast<std::uint32_t>(at_ >> (bits * level)) % spokes;
      const auto found = next_occupied(level, here + 1);
      if (found == spokes) continue;
      const auto above = at_ >> (bits * (level + 1)) << (bits * (level + 1));
      return above | static_cast<ticks>(found) << (bits * level);
    }
    // Only behind us on the coarsest wheel: its next turn.
    return timers_.size() == 0 ? std::numeric_limits<ticks>::max() : ((at_ >> (bits * levels)) + 1) << (bits * levels);
  }
  [[nodiscard]] std::uint32_t next_occupied(std::uint32_t level, std::uint32_t from) const {
    while (from < spokes) {
      const auto word = occupied_[(level * spokes + from) / 64] >> (from % 64);
      if (word != 0) return from + static_cast<std::uint32_t>(std::countr_zero(word));
      from = (from / 64 + 1) * 64;
    }
    return spokes;
  }
  /// Spreads the buckets that the present tick has reached, the coarsest first.
  void cascade() {
    for (std::uint32_t level = levels; --level > 0;) {
      if (at_ % (ticks{1} << (bits * level)) != 0) continue;
      const auto from = bucket(level, at_);
      const head list = std::exchange(heads_[from], head{});
      occupied_[from / 64] &= ~(std::uint64_t{1} << (from % 64));
      for (auto slot = list.first; slot != no_slot;) {
        const auto next = timers_[slot].place.next;
        place(slot);
        slot = next;
      }
    }
  }
  /// Fires what is in the bucket now, not what firing adds to it.
  template <class Fire>
  void drain(std::uint32_t from, Fire& fire) {
    if (heads_[from].first == no_slot) return;
    if (from != overdue) occupied_[from / 64] &= ~(std::uint64_t{1} << (from % 64));
    heads_[firing] = std::exchange(heads_[from], head{});
    for (auto slot = heads_[firing].first; slot != no_slot; slot = timers_[slot].place.next)
      timers_[slot].bucket = firing;
    while (heads_[firing].first != no_slot) {
      const auto slot = heads_[firing].first;
      T what = std::move(timers_[slot].what);
      unplace(slot);
      timers_.release(slot);
      fire(std::move(what));
    }
  }

  slab<armed> timers_;
  std::array<head, firing + 1> heads_{};
  std::array<std::uint64_t, levels * spokes / 64> occupied_{};
  ticks at_ = 0;  ///< all due up to and including it have fired
};

}  // namespace orrery::kernel
