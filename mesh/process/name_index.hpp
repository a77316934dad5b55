#pragma once
#include "mesh/base/hash.hpp"
#include "mesh/kernel/slab.hpp"

#include <cstdint>
#include <string_view>
#include <vector>

namespace orrery::process {

/// Finds a slot by its key, in one array: no node for each name, no copy of it. The keys stay with the items; `key_of`
/// tells a slot's. Linear probing over at most three quarters of the places. Not thread-safe, never walked.
class name_index {
 public:
  template <class KeyOf>
  [[nodiscard]] std::uint32_t find(std::string_view key, KeyOf&& key_of) const {
    if (size_ == 0) return kernel::no_slot;
    const auto hash = short_hash(key);
    for (auto at = hash & mask(); places_[at].slot != kernel::no_slot; at = (at + 1) & mask()) {
      if (places_[at].hash == hash && key_of(places_[at].slot) == key) return places_[at].slot;
    }
    return kernel::no_slot;
  }
  /// REQUIRES: no such key.
  void add(std::string_view key, std::uint32_t slot) {
    if ((size_ + 1) * 4 > places_.size() * 3) grow();
    put({short_hash(key), slot});
    ++size_;
  }
  /// REQUIRES: it was added with this slot.
  void remove(std::string_view key, std::uint32_t slot) {
    auto at = short_hash(key) & mask();
    while (places_[at].slot != slot)
      at = (at + 1) & mask();
    // Those that had to step over it move up, so that every search still ends where it should.
    for (auto next = (at + 1) & mask(); places_[next].slot != kernel::no_slot; next = (next + 1) & mask()) {
      const auto distance = (next - places_[next].hash) & mask();
      if (distance < ((next - at) & mask())) continue;
      places_[at] = places_[next];
      at = next;
    }
    places_[at] = {};
    --size_;
  }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  struct place {
    std::uint32_t hash = 0;
    std::uint32_t slot = kernel::no_slot;
  };
  static constexpr std::size_t places_min = 16;

  [[nodiscard]] static std::uint32_t short_hash(std::string_view key) noexcept {
    return static_cast<std::uint32_t>(stable_hash(key));
  }
  [[nodiscard]] std::uint32_t mask() const noexcept { return static_cast<std::uint32_t>(places_.size() - 1); }
  void put(place added) {
    auto at = added.hash & mask();
    while (places_[at].slot != kernel::no_slot)
      at = (at + 1) & mask();
    places_[at] = added;
  }
  void grow() {
    const auto old = std::exchange(places_, std::vector<place>(places_.empty() ? places_min : 2 * places_.size()));
    for (const auto& each : old) {
      if (each.slot != kernel::no_slot) put(each);
    }
  }

  std::vector<place> places_;
  std::size_t size_ = 0;
};

}  // namespace orrery::process
