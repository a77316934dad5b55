#pragma once
#include "mesh/base/time.hpp"
#include "mesh/kernel/slab.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace orrery::process {

/// Deadlines of waiting messages, earliest first. Most calls are handled long before their deadline, so removal is
/// lazy: the owner says that an entry is dead, and dead ones are swept out when they outnumber the living. Ties are in
/// no promised order of time but in order of slot and generation: the same on every run.
class deadline_queue {
 public:
  struct entry {
    time_point at;
    std::uint32_t slot = kernel::no_slot;
    std::uint32_t generation = 0;
    friend auto operator<=>(const entry&, const entry&) = default;
  };

  void add(entry added);
  /// One entry that is in the queue is dead from now on.
  void forget() noexcept { ++dead_; }

  /// The earliest living entry, or nullptr. `alive(slot, generation)` tells the living.
  template <class Alive>
  [[nodiscard]] const entry* earliest(Alive&& alive) {
    if (dead_ > sweep_min && dead_ * 2 > heap_.size()) sweep(alive);
    while (!heap_.empty() && !alive(heap_.front().slot, heap_.front().generation)) {
      pop();
      --dead_;
    }
    return heap_.empty() ? nullptr : &heap_.front();
  }
  [[nodiscard]] std::size_t size() const noexcept { return heap_.size(); }

 private:
  static constexpr std::size_t sweep_min = 1024;

  template <class Alive>
  void sweep(Alive&& alive) {
    std::erase_if(heap_, [&](const entry& held) { return !alive(held.slot, held.generation); });
    rebuild();
  }
  void rebuild();
  void pop();

  std::vector<entry> heap_;
  std::size_t dead_ = 0;
};

}  // namespace orrery::process
