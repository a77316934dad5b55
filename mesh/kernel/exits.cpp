// How processes end, and who hears of it.
#include "mesh/kernel/core.hpp"
#include "mesh/wire/cbor.hpp"

#include <utility>

namespace orrery::kernel {

// The table of OTP's reference manual, "Receiving Exit Signals".
void core::signal_exit(time_point now, handle from, std::uint32_t to, const exit_reason& why, bool along_link) {
  process& receiver = processes_[to];
  if (receiver.doomed) return;
  if (!along_link && why.why == exit_reason::kind::kill) {
    return doom(to, {exit_reason::kind::killed, why.detail}, false);
  }
  if (receiver.trapping) {
    if (along_link || from == receiver.parent || has_room_for_exit(receiver))
      return post_end(now, to, message::kind::exit, from, no_reference, why);
    ++counted_.dropped;
    return around_.mailbox_full(receiver.tag, at_the_bound::refused);
  }
  if (why.why != exit_reason::kind::normal) return doom(to, why, false);
  if (!along_link && from == handle_of(to)) doom(to, why, false);
}

/// Of what anybody may send as often as they like. Links and parents, who say it once, are always heard.
bool core::has_room_for_exit(const process& receiver) const {
  return receiver.mailbox.size() < std::uint64_t{receiver.mailbox_max} + exits_beyond_max &&
         messages_.size() < options_.messages_max;
}

void core::doom(std::uint32_t slot, exit_reason why, bool orderly) {
  process& of = processes_[slot];
  if (of.doomed) return;
  of.doomed = true;
  of.orderly = orderly && !of.starting;
  of.why = std::make_unique<exit_reason>(std::move(why));
  update_runnable(slot);
  if (!of.held) ending_.push_back(slot);
}

void core::send_exit(time_point now, handle from, handle to, const exit_reason& why) {
  if (to.node == handle::here) {
    if (find(to) != nullptr) signal_exit(now, from, to.slot, why, false);
    return;
  }
  transmit(
      {.what = signal::kind::exit, .why = why.why, .from = from, .to = to, .payload = cbor::text_value(why.detail)});
}

void core::exit(time_point now, handle to, const exit_reason& why) {
  send_exit(now, nobody, to, why);
  settle(now);
}

bool core::stop(time_point now, handle who, const exit_reason& why) {
  if (!alive(who)) return false;
  doom(who.slot, why, true);
  settle(now);
  return true;
}

std::vector<withdrawn> core::withdraw(time_point now, handle who) {
  std::vector<withdrawn> waiting;
  if (!alive(who)) return waiting;
  for (auto at = processes_[who.slot].relations; at != no_slot;) {
    const auto slot = at / 2;
    at = relations_[slot].ends[at % 2].place.next;
    if (relations_[slot].what != relation::kind::timer) continue;
    auto held = timers_.cancel(std::exchange(relations_[slot].deadline, no_reference));
    processes_[who.slot].timer_bytes -= weight_of_timer(held->first.payload);
    unrelate(slot);
    waiting.push_back({message::kind::timer, held->first.word, {}, std::move(held->first.payload), {}, held->second});
  }
  auto& mailbox = processes_[who.slot].mailbox;
  for (auto at = mailbox.first(); at != no_slot;) {
    message& each = messages_[at];
    const auto next = each.place.next;
    withdrawn taken;
    const bool called = each.what == message::kind::call;
    const bool from_outside =
        called && each.from.node == handle::outside && relations_.alive(each.ref.slot, each.ref.generation);
    if (from_outside) taken = withdraw_call(each.ref.slot);
    const bool fired = each.what == message::kind::timer;
    if (fired) taken.deadline = now;
    if (from_outside || fired || each.what == message::kind::cast || each.what == message::kind::plain) {
      taken.what = each.what;
      taken.word = each.word;
      taken.from = each.from;
      taken.payload = std::move(each.payload);
      waiting.push_back(std::move(taken));
      mailbox.remove(messages_, at);
      release(at);
    }
    at = next;
  }
  doom(who.slot, {exit_reason::kind::moved, {}}, false);
  settle(now);
  return waiting;
}

// The order is OTP's: what others could see of the process (its name, its place in the surroundings' tables) is gone
// before anybody hears of its end, so that whoever hears can start another in its place.
void core::finish(time_point now, std::uint32_t slot) {
  process& of = processes_[slot];
  const exit_reason why = std::move(*of.why);
  if (of.orderly) within(now, slot, [&](body& what, context& self) { what.ended(self, why); });
  of.what.reset();
  if (of.name != atom{}) names_.erase(std::exchange(of.name, atom{}).value);
  ++counted_.ended;
  if (is_crash(why)) ++counted_.crashed;
  if (of.announced) around_.ended(handle_of(slot), of.tag, why);
  while (of.relations != no_slot)
    tell_end(now, of.relations / 2, of.relations % 2, why);
  while (!of.mailbox.empty()) {
    const auto waiting = of.mailbox.first();
    if (messages_[waiting].what != message::kind::call) ++counted_.dropped;
    of.mailbox.remove(messages_, waiting);
    release(waiting);
  }
  if (of.timeout != no_reference) clear_timeout(of);
  update_runnable(slot);
  processes_.release(slot);
}

void core::tell_end(time_point now, std::uint32_t relation_slot, std::uint32_t end, const exit_reason& why) {
  const relation tie = relations_[relation_slot];
  const handle ended = tie.ends[end].who;
  const handle other = tie.ends[1 - end].who;
  const bool target = end == 1;  // of a monitor or call, not its owner
  if (tie.what == relation::kind::call && target) {
    const auto how_far = tie.request == no_slot ? took_effect::unknown : took_effect::not_executed;
    const auto code = why.why == exit_reason::kind::noconnection                               ? errc::unavailable
                      : why.why == exit_reason::kind::limit && how_far == took_effect::unknown ? errc::limit_exceeded
                                                                                               : errc::process_exited;
    const auto name = ended.node == handle::here ? describe(processes_[ended.slot].tag) : std::string{"the process"};
    return conclude(now, relation_slot, fail(code, name + " exited, " + to_string(why), how_far));
  }
  const reference ref = reference_of(relation_slot);
  unrelate(relation_slot);
  const bool near = other.node == handle::here && find(other) != nullptr;
  if (tie.what == relation::kind::link) {
    if (near) return signal_exit(now, ended, other.slot, why, true);
    if (ended.node != handle::here) return;
    transmit({.what = signal::kind::link_broke,
              .why = why.why,
              .from = ended,
              .to = other,
              .payload = cbor::text_value(why.detail)});
  } else if (tie.what == relation::kind::call) {
    if (ended.node == handle::here && other.node != handle::here && other.node != handle::outside) {
      transmit({.what = signal::kind::demonitor, .from = ended, .to = other, .ref = ref});
    }
  } else if (tie.what == relation::kind::monitor) {
    if (target && near) return post_end(now, other.slot, message::kind::down, ended, ref, why);
    if (ended.node != handle::here || other.node == handle::here) return;
    transmit({.what = target ? signal::kind::down : signal::kind::demonitor,
              .why = why.why,
              .from = ended,
              .to = other,
              .ref = target ? unpacked(tie.note) : ref,
              .payload = cbor::text_value(why.detail)});
  }
}

void core::post_end(time_point now, std::uint32_t receiver, message::kind what, handle from, reference ref,
                    const exit_reason& why) {
  message* posted = post(now, receiver, what);
  if (posted == nullptr) return;
  posted->from = from;
  posted->ref = ref;
  posted->why = why.why;
  if (const process* ended = find(from); ended != nullptr && ended->parent == handle_of(receiver)) {
    posted->word = atom{ended->note};
  }
  if (!why.detail.empty()) posted->payload = cbor::text_value(why.detail);
}

}  // namespace orrery::kernel
