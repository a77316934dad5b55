#pragma once
#include "mesh/base/assert.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

namespace orrery::kernel {

inline constexpr std::uint32_t no_slot = std::numeric_limits<std::uint32_t>::max();

/// A table of items that never move, addressed by slot. A slot's generation grows whenever its item is replaced, so
/// that (slot, generation) is never reused; a slot whose generations are used up is not used again.
/// Not thread-safe. Allocates in chunks; never shrinks.
template <class T>
class slab {
 public:
  [[nodiscard]] std::uint32_t take() {
    if (free_ == no_slot) grow();
    const auto slot = free_;
    free_ = std::exchange(at(slot).next_free, in_use);
    ++size_;
    return slot;
  }
  /// The item becomes a fresh T, or is told to let go of what it holds (`clear()`, for items that whoever takes a slot
  /// fills in wholly), and the slot may be taken again.
  void release(std::uint32_t slot) {
    cell& released = at(slot);
    ORRERY_ASSERT(released.next_free == in_use);
    if constexpr (requires { released.item.clear(); }) {
      released.item.clear();
    } else {
      released.item = T{};
    }
    --size_;
    released.next_free = retired;
    if (++released.generation == std::numeric_limits<std::uint32_t>::max()) return;
    released.next_free = std::exchange(free_, slot);
  }
  /// The same slot for a new life. False where the slot has no generations left: release it.
  [[nodiscard]] bool renew(std::uint32_t slot) {
    cell& renewed = at(slot);
    if (renewed.generation + 1 == std::numeric_limits<std::uint32_t>::max()) return false;
    ++renewed.generation;
    return true;
  }

  [[nodiscard]] T& operator[](std::uint32_t slot) { return at(slot).item; }
  [[nodiscard]] const T& operator[](std::uint32_t slot) const { return at(slot).item; }
  [[nodiscard]] std::uint32_t generation(std::uint32_t slot) const { return at(slot).generation; }
  [[nodiscard]] bool alive(std::uint32_t slot, std::uint32_t generation) const {
    return slot / chunk_size < chunks_.size() && at(slot).generation == generation && at(slot).next_free == in_use;
  }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// For walking: slots are below `end`, and hold an item where `taken`.
  [[nodiscard]] std::uint32_t end() const noexcept { return static_cast<std::uint32_t>(chunks_.size() * chunk_size); }
  [[nodiscard]] bool taken(std::uint32_t slot) const { return slot < end() && at(slot).next_free == in_use; }

 private:
  static constexpr std::uint32_t chunk_size = 256;
  static constexpr std::uint32_t in_use = no_slot - 1;
  static constexpr std::uint32_t retired = no_slot - 2;

  struct cell {
    T item{};
    std::uint32_t generation = 0;
    std::uint32_t next_free = no_slot;
  };

  [[nodiscard]] cell& at(std::uint32_t slot) { return chunks_[slot / chunk_size][slot % chunk_size]; }
  [[nodiscard]] const cell& at(std::uint32_t slot) const { return chunks_[slot / chunk_size][slot % chunk_size]; }

  void grow() {
    const auto first = static_cast<std::uint32_t>(chunks_.size() * chunk_size);
    ORRERY_ASSERT(first < retired - chunk_size);
    chunks_.push_back(std::make_unique<cell[]>(chunk_size));
    for (std::uint32_t i = chunk_size; i-- > 0;)
      at(first + i).next_free = std::exchange(free_, first + i);
  }

  std::vector<std::unique_ptr<cell[]>> chunks_;
  std::uint32_t free_ = no_slot;
  std::size_t size_ = 0;
};

/// An item's place in one list.
struct slot_link {
  std::uint32_t previous = no_slot;
  std::uint32_t next = no_slot;
};

/// A doubly linked list through the items of a slab: no allocation, removal from the middle in constant time.
template <class T, slot_link T::*Link>
class slot_list {
 public:
  void push_back(slab<T>& items, std::uint32_t slot) {
    items[slot].*Link = {.previous = last_, .next = no_slot};
    (last_ == no_slot ? first_ : (items[last_].*Link).next) = slot;
    last_ = slot;
    ++size_;
  }
  void push_front(slab<T>& items, std::uint32_t slot) {
    items[slot].*Link = {.previous = no_slot, .next = first_};
    (first_ == no_slot ? last_ : (items[first_].*Link).previous) = slot;
    first_ = slot;
    ++size_;
  }
  void remove(slab<T>& items, std::uint32_t slot) {
    const slot_link gone = std::exchange(items[slot].*Link, slot_link{});
    (gone.previous == no_slot ? first_ : (items[gone.previous].*Link).next) = gone.next;
    (gone.next == no_slot ? last_ : (items[gone.next].*Link).previous) = gone.previous;
    --size_;
  }
  [[nodiscard]] std::uint32_t first() const noexcept { return first_; }
  [[nodiscard]] std::uint32_t last() const noexcept { return last_; }
  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

 private:
  std::uint32_t first_ = no_slot;
  std::uint32_t last_ = no_slot;
  std::uint32_t size_ = 0;
};

}  // namespace orrery::kernel
