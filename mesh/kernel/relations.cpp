// Links, monitors and aliases: the lists of what ties processes, here and in other kernels.
#include "mesh/kernel/core.hpp"
#include "mesh/wire/cbor.hpp"

#include <utility>

namespace orrery::kernel {

core::list core::relations_of(handle who) {
  if (who.node == handle::here) return {&processes_[who.slot].relations, &processes_[who.slot].relation_count};
  return {&nodes_[who.node].relations, &nodes_[who.node].relation_count};
}

void core::attach(std::uint32_t slot, std::uint32_t end) {
  auto& added = relations_[slot].ends[end];
  if (added.who.node == handle::outside || added.who == nobody) return;
  const auto into = relations_of(added.who);
  added.place = {.previous = no_slot, .next = *into.first};
  const auto at = 2 * slot + end;
  if (*into.first != no_slot) relations_[*into.first / 2].ends[*into.first % 2].place.previous = at;
  *into.first = at;
  ++*into.count;
}

void core::detach(std::uint32_t slot, std::uint32_t end) {
  const auto& gone = relations_[slot].ends[end];
  if (gone.who.node == handle::outside || gone.who == nobody) return;
  const auto from = relations_of(gone.who);
  const auto [previous, next] = gone.place;
  (previous == no_slot ? *from.first : relations_[previous / 2].ends[previous % 2].place.next) = next;
  if (next != no_slot) relations_[next / 2].ends[next % 2].place.previous = previous;
  --*from.count;
}

bool core::has_room_for(const spawn_options& how) const {
  return relations_.size() + (how.link ? 1 : 0) + (how.monitor ? 1 : 0) <= options_.relations_max;
}

std::uint32_t core::relate(relation::kind what, handle first, handle second, handle wanted_by) {
  if (relations_.size() >= options_.relations_max) {
    if (find(wanted_by) != nullptr) doom(wanted_by.slot, {exit_reason::kind::system_limit, relations_limit}, false);
    return no_slot;
  }
  const auto slot = relations_.take();
  relation& added = relations_[slot];
  added.what = what;
  added.ends[0].who = first;
  added.ends[1].who = second;
  attach(slot, 0);
  attach(slot, 1);
  if (what == relation::kind::link) keep_far(slot);
  return slot;
}

void core::unrelate(std::uint32_t slot) {
  if (relations_[slot].what == relation::kind::timer) --processes_[relations_[slot].ends[0].who.slot].timers;
  forget_far(slot);
  detach(slot, 0);
  detach(slot, 1);
  if (relations_[slot].deadline != no_reference) timers_.cancel(relations_[slot].deadline);
  relations_.release(slot);
}

std::optional<far_tie> core::far_name_of(const relation& of) {
  const auto& [first, second] = of.ends;
  const bool near = first.who.node == handle::here;
  switch (of.what) {
    case relation::kind::link:
    case relation::kind::unlinking: {
      const handle& other = near ? second.who : first.who;
      if (other.node == handle::here) return {};
      return far_tie{other.node, near ? first.who.slot : second.who.slot, packed({other.slot, other.generation}), true};
    }
    case relation::kind::monitor:
    case relation::kind::call:
      if (near || first.who.node == handle::outside) return {};
      return far_tie{first.who.node, second.who.slot, of.note, false};
    case relation::kind::alias:
    case relation::kind::timer:
      break;
  }
  return {};
}

void core::keep_far(std::uint32_t slot) {
  if (const auto name = far_name_of(relations_[slot])) far_ties_.try_emplace(*name, slot);
}

void core::forget_far(std::uint32_t slot) {
  const auto name = far_name_of(relations_[slot]);
  if (!name) return;
  const auto known = far_ties_.find(*name);
  if (known != far_ties_.end() && known->second == slot) far_ties_.erase(known);
}

/// A link between two, or no_slot; of two that are here it looks through the shorter list.
std::uint32_t core::find_tie(handle a, handle b, bool unlinking_too) {
  if (a.node != handle::here) std::swap(a, b);
  if (b.node != handle::here) {
    const auto known = far_ties_.find({b.node, a.slot, packed({b.slot, b.generation}), true});
    if (known == far_ties_.end()) return no_slot;
    return unlinking_too || relations_[known->second].what == relation::kind::link ? known->second : no_slot;
  }
  const auto of_a = relations_of(a);
  const auto of_b = relations_of(b);
  for (auto at = *of_a.count <= *of_b.count ? *of_a.first : *of_b.first; at != no_slot;
       at = relations_[at / 2].ends[at % 2].place.next) {
    const relation& tie = relations_[at / 2];
    const bool counts = tie.what == relation::kind::link || (unlinking_too && tie.what == relation::kind::unlinking);
    if (!counts) continue;
    if ((tie.ends[0].who == a && tie.ends[1].who == b) || (tie.ends[0].who == b && tie.ends[1].who == a)) return at / 2;
  }
  return no_slot;
}

ties core::ties_of(handle who, std::size_t max) const {
  ties all;
  const process* of = find(who);
  if (of == nullptr) return all;
  std::uint32_t looked_at = 0;
  for (auto at = of->relations; at != no_slot; at = relations_[at / 2].ends[at % 2].place.next) {
    if (all.found.size() == max || ++looked_at > ties_looked_at_max) {
      all.whole = false;
      break;
    }
    const relation& each = relations_[at / 2];
    const handle other = each.ends[1 - at % 2].who;
    if (each.what == relation::kind::link) all.found.push_back({tie::kind::linked, other});
    if (each.what == relation::kind::monitor)
      all.found.push_back({at % 2 == 0 ? tie::kind::monitors : tie::kind::monitored, other});
  }
  return all;
}

void core::make_link(time_point now, std::uint32_t slot, handle with) {
  const handle self = handle_of(slot);
  if (with == self) return;
  if (with.node == handle::here) {
    if (!alive(with)) {  // or was told to die before
      return signal_exit(now, with, slot, {exit_reason::kind::noproc, "linked to a process that does not exist"}, true);
    }
  } else if (with.node >= nodes_.size() || !nodes_[with.node].up) {
    return signal_exit(now, with, slot, {exit_reason::kind::noconnection, {}}, true);
  }
  const auto known = find_tie(self, with, true);
  if (known != no_slot && relations_[known].what == relation::kind::link) return;
  if (known != no_slot) {
    relations_[known].what = relation::kind::link;
  } else if (relate(relation::kind::link, self, with, self) == no_slot) {
    return;
  }
  if (with.node != handle::here) transmit({.what = signal::kind::link, .from = self, .to = with});
}

void core::break_link(std::uint32_t slot, handle with) {
  const handle self = handle_of(slot);
  if (with.node == handle::here && find(with) == nullptr) return;
  if (with.node != handle::here && with.node >= nodes_.size()) return;
  const auto known = find_tie(self, with, false);
  if (known == no_slot) {  // or it is with the process that was found behind a stand-in
    if (nodes_[with.node].stands_in) transmit({.what = signal::kind::unlink, .from = self, .to = with});
    return;
  }
  if (with.node == handle::here) return unrelate(known);
  relations_[known].what = relation::kind::unlinking;
  relations_[known].note = ++unlinked_;
  transmit({.what = signal::kind::unlink, .from = self, .to = with, .ref = unpacked(unlinked_)});
}

reference core::make_monitor(time_point now, std::uint32_t slot, handle target) {
  const handle self = handle_of(slot);
  const bool here = target.node == handle::here;
  const bool reachable = here ? alive(target) : target.node < nodes_.size() && nodes_[target.node].up;
  const auto made = relate(relation::kind::monitor, self, reachable ? target : nobody, self);
  if (made == no_slot) return no_reference;
  const reference ref = reference_of(made);
  if (!reachable) {
    unrelate(made);
    const auto why = here ? exit_reason::kind::noproc : exit_reason::kind::noconnection;
    post_end(now, slot, message::kind::down, target, ref, {why, {}});
  } else if (!here) {
    transmit({.what = signal::kind::monitor, .from = self, .to = target, .ref = ref});
  }
  return ref;
}

void core::drop_monitor(std::uint32_t slot, reference watched, bool flush) {
  if (relations_.alive(watched.slot, watched.generation)) {
    const relation tie = relations_[watched.slot];
    const bool ours = tie.what == relation::kind::monitor && tie.ends[0].who == handle_of(slot);
    if (!ours) return;
    unrelate(watched.slot);
    if (tie.ends[1].who.node != handle::here) {
      transmit({.what = signal::kind::demonitor, .from = handle_of(slot), .to = tie.ends[1].who, .ref = watched});
    }
    return;
  }
  if (!flush) return;
  auto& mailbox = processes_[slot].mailbox;
  for (auto at = mailbox.first(); at != no_slot; at = messages_[at].place.next) {
    if (messages_[at].what != message::kind::down || messages_[at].ref != watched) continue;
    mailbox.remove(messages_, at);
    release(at);
    return update_runnable(slot);
  }
}

}  // namespace orrery::kernel
