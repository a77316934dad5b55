// What changes of a supervisor while it runs: its own settings, and children that come from and go to elsewhere.
#include "mesh/process/supervision/supervisor.hpp"

#include <utility>

namespace orrery::process {

void supervisor::retune(const supervisor_spec& wanted) {
  ORRERY_ASSERT(simple() == (wanted.kind == strategy::simple_one_for_one));
  auto kept = std::move(spec_.children);
  spec_ = wanted;
  spec_.children = std::move(kept);
  if (simple()) spec_.others = wanted.children.front();
}

bool supervisor::retune_child(const child_spec& wanted) {
  const auto slot = find(wanted.id);
  if (slot == kernel::no_slot) return false;
  ORRERY_ASSERT(children_[slot].tag == wanted.tag);
  *children_[slot].own = wanted;
  return true;
}

void supervisor::arrange(const std::vector<std::string>& ids) {
  child_list arranged;
  for (const auto& id : ids) {
    const auto slot = find(id);
    if (slot == kernel::no_slot) continue;
    declared_.remove(children_, slot);
    arranged.push_back(children_, slot);
  }
  while (!declared_.empty()) {
    const auto slot = declared_.first();
    declared_.remove(children_, slot);
    arranged.push_back(children_, slot);
  }
  declared_ = arranged;
}

bool supervisor::declare(kernel::context& self, kernel::handle who, child_spec spec) {
  const auto slot = find(self, who);
  if (slot == kernel::no_slot || children_[slot].own) return false;
  ORRERY_ASSERT(children_[slot].tag == spec.tag && find(spec.id) == kernel::no_slot);
  tagged_.remove(children_, slot);
  children_[slot].own = std::make_unique<child_spec>(std::move(spec));
  declared_.push_back(children_, slot);
  return true;
}

void supervisor::never_began(kernel::handle who) {
  const auto slot = find_anywhere(who);
  if (slot != kernel::no_slot && children_[slot].own) past_of(slot).unborn = true;
}

bool supervisor::drop(kernel::context& self, std::string_view id) {
  const auto slot = find(id);
  if (slot == kernel::no_slot) return false;
  ORRERY_ASSERT(children_[slot].who == kernel::nobody);
  put_down(self, slot);
  forget(slot);
  cause_is_gone(self, slot);
  return true;
}

bool supervisor::drop(kernel::context& self, std::uint32_t note, std::uint64_t tag) {
  if (!children_.taken(note) || children_[note].tag != tag || children_[note].own) return false;
  ORRERY_ASSERT(children_[note].who == kernel::nobody);
  put_down(self, note);
  forget(note);
  return true;
}

void supervisor::adopt(kernel::context& self, child_spec spec, kernel::handle who) {
  ORRERY_ASSERT(find(spec.id) == kernel::no_slot);
  const auto tag = spec.tag;
  const auto slot = add(tag, std::make_unique<child_spec>(std::move(spec)));
  children_[slot].who = who;
  children_[slot].state = child_state::running;
  self.adopt(who, slot);
}

}  // namespace orrery::process
