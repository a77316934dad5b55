#include "mesh/kernel/core.hpp"

#include <algorithm>
#include <utility>

namespace orrery::kernel {

reference core::set_timer(time_point now, handle by, duration delay, handle to, atom word, value payload) {
  const auto due = after(now, std::max(delay, duration::zero()));
  if (!alive(to) || due == never) return no_reference;
  if (timers_.size() >= options_.timers_max) {
    if (find(by) != nullptr) doom(by.slot, {exit_reason::kind::system_limit, "as many timers run as may"}, false);
    return no_reference;
  }
  const auto made = relate(relation::kind::timer, to, nobody, by);
  if (made == no_slot) return no_reference;
  const reference ref = reference_of(made);
  ++processes_[to.slot].timers;
  processes_[to.slot].timer_bytes += weight_of_timer(payload);
  relations_[made].deadline = timers_.add(due, {timer::kind::message, ref, word, std::move(payload)});
  return ref;
}

std::optional<duration> core::cancel_timer(time_point now, reference set) {
  if (!relations_.alive(set.slot, set.generation) || relations_[set.slot].what != relation::kind::timer) return {};
  const auto held = timers_.cancel(std::exchange(relations_[set.slot].deadline, no_reference));
  ORRERY_ASSERT(held);
  processes_[relations_[set.slot].ends[0].who.slot].timer_bytes -= weight_of_timer(held->first.payload);
  unrelate(set.slot);
  return std::max(held->second - now, duration::zero());
}

std::vector<std::pair<reference, value>> core::timers_of(handle who) const {
  std::vector<std::pair<reference, value>> set;
  const process* of = find(who);
  if (of == nullptr) return set;
  for (auto at = of->relations; at != no_slot && set.size() < of->timers;
       at = relations_[at / 2].ends[at % 2].place.next) {
    const relation& each = relations_[at / 2];
    if (each.what == relation::kind::timer) set.emplace_back(reference_of(at / 2), timers_.held(each.deadline).payload);
  }
  return set;
}

void core::set_deadline(time_point at, std::uint32_t relation_slot) {
  relations_[relation_slot].deadline = timers_.add(at, {timer::kind::deadline, reference_of(relation_slot), {}, {}});
}

void core::set_timeout(time_point now, std::uint32_t slot, duration length) {
  process& of = processes_[slot];
  if (of.timeout != no_reference) clear_timeout(of);
  const auto due = after(now, std::max(length, duration::zero()));
  if (due == never) return;
  of.timeout = timers_.add(due, {timer::kind::timeout, {slot, processes_.generation(slot)}, {}, {}});
}

void core::clear_timeout(process& of) { timers_.cancel(std::exchange(of.timeout, no_reference)); }

void core::fire(time_point now, timer due) {
  if (due.what == timer::kind::timeout) {
    process& of = processes_[due.of.slot];  // it would have been cancelled with the process
    of.timeout = no_reference;
    // The reply that is awaited comes before it, and so cancels it.
    if (of.mailbox.empty() && of.awaiting == no_reference)
      static_cast<void>(post(now, due.of.slot, message::kind::timeout));
    return;
  }
  if (due.what == timer::kind::deadline) return call_expired(now, due.of.slot);
  const handle to = relations_[due.of.slot].ends[0].who;
  relations_[due.of.slot].deadline = no_reference;
  processes_[to.slot].timer_bytes -= weight_of_timer(due.payload);
  unrelate(due.of.slot);
  message* posted = post(now, to.slot, message::kind::timer);
  if (posted == nullptr) return;
  posted->word = due.word;
  posted->ref = due.of;
  posted->payload = std::move(due.payload);
}

}  // namespace orrery::kernel
