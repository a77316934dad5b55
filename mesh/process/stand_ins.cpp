#include "mesh/process/stand_ins.hpp"

namespace orrery::process {

std::optional<kernel::handle> stand_ins::of(const process_name& name) {
  const auto known = by_name_.find(name);
  if (known == by_name_.end() && entries_.size() >= limits_.names_max) {
    trim();
    if (entries_.size() >= limits_.names_max) return {};
  }
  auto slot = known == by_name_.end() ? kernel::no_slot : known->second;
  if (slot == kernel::no_slot) {
    slot = entries_.take();
    entries_[slot].name = name;
    by_name_.emplace(name, slot);
  }
  const kernel::handle who{node_, slot, entries_.generation(slot)};
  touch(who);
  return who;
}

stand_ins::entry* stand_ins::find(kernel::handle who) {
  const bool there = who.node == node_ && who.slot != kernel::no_slot && entries_.alive(who.slot, who.generation);
  return there ? &entries_[who.slot] : nullptr;
}

const stand_ins::entry* stand_ins::find(kernel::handle who) const {
  const bool there = who.node == node_ && who.slot != kernel::no_slot && entries_.alive(who.slot, who.generation);
  return there ? &entries_[who.slot] : nullptr;
}

void stand_ins::touch(kernel::handle who) {
  entry* used = find(who);
  if (used == nullptr) return;
  used->used = ++clock_;
  uses_.emplace_back(who, used->used);
}

void stand_ins::trim() {
  while (uses_.size() > limits_.idle_max) {
    const auto [who, when] = uses_.front();
    uses_.pop_front();
    const entry* oldest = find(who);
    if (oldest == nullptr || oldest->used != when) continue;
    if (oldest->idle()) {
      forget(who.slot);
    } else {
      touch(who);
      if (uses_.size() <= entries_.size()) return;  // all that is left is waited for
    }
  }
}

void stand_ins::forget(std::uint32_t slot) {
  by_name_.erase(entries_[slot].name);
  entries_.release(slot);
}

}  // namespace orrery::process
