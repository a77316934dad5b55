// What other kernels say, and what happens when they no longer do.
#include "mesh/kernel/core.hpp"
#include "mesh/wire/cbor.hpp"

#include <string>
#include <utility>

namespace orrery::kernel {

exit_reason reason_of(const signal& ended) {
  return {ended.why, std::string{cbor::text_of(ended.payload).value_or(std::string_view{})}};
}

bool core::is_tie(reference ref, relation::kind what, handle first, handle second) const {
  if (!relations_.alive(ref.slot, ref.generation)) return false;
  const relation& tie = relations_[ref.slot];
  return tie.what == what && tie.ends[0].who == first && tie.ends[1].who.node == second.node;
}

std::uint32_t core::add_node() {
  nodes_.emplace_back();
  return static_cast<std::uint32_t>(nodes_.size() - 1);
}

std::uint32_t core::add_stand_ins() {
  const auto number = add_node();
  nodes_[number].stands_in = true;
  return number;
}

void core::node_up(std::uint32_t node) { nodes_.at(node).up = true; }

void core::node_down(time_point now, std::uint32_t node) {
  nodes_.at(node).up = false;
  while (nodes_[node].relations != no_slot) {
    tell_end(now, nodes_[node].relations / 2, nodes_[node].relations % 2, {exit_reason::kind::noconnection, {}});
  }
  settle(now);
}

void core::receive(time_point now, signal what) {
  ORRERY_ASSERT(what.from.node != handle::here && what.from.node < nodes_.size() && what.to.node == handle::here);
  if (!nodes_[what.from.node].up) return static_cast<void>(++counted_.dropped);  // from before it was lost
  const bool says_nobody =
      what.from.slot == no_slot &&
      (what.what == signal::kind::plain || what.what == signal::kind::cast || what.what == signal::kind::exit);
  if (says_nobody) what.from = nobody;
  take(now, what);
  settle(now);
}

void core::take(time_point now, signal& what) {
  switch (what.what) {
    case signal::kind::plain:
      if (what.ref != no_reference) {
        return deliver_alias(now, what.from, what.to, what.ref, what.word, std::move(what.payload));
      }
      return deliver(now, what.from, what.to, message::kind::plain, no_reference, what.word, std::move(what.payload));
    case signal::kind::cast:
      return deliver(now, what.from, what.to, message::kind::cast, no_reference, what.word, std::move(what.payload));
    case signal::kind::call:
      return take_call(now, what);
    case signal::kind::reply:
      return take_reply(now, what);
    case signal::kind::exit:
      if (find(what.to) != nullptr) signal_exit(now, what.from, what.to.slot, reason_of(what), false);
      return;
    case signal::kind::link:
    case signal::kind::unlink:
    case signal::kind::unlinked:
    case signal::kind::link_broke:
      return take_link(now, what);
    case signal::kind::monitor:
    case signal::kind::demonitor:
    case signal::kind::down:
      return take_monitor(now, what);
  }
}

void core::take_call(time_point now, signal& what) {
  const auto refuse = [&](errc code, const char* why) {
    transmit({.what = signal::kind::reply,
              .failed = true,
              .word = atom{static_cast<std::uint32_t>(code)},
              .to = what.from,
              .ref = what.ref,
              .payload = cbor::text_value(why)});
  };
  if (find(what.to) == nullptr) return refuse(errc::process_exited, "noproc: there is no such process");
  const auto made = relate(relation::kind::call, what.from, what.to, nobody);
  if (made == no_slot) return refuse(errc::overloaded, "as many calls wait as may; retry later");
  relations_[made].note = packed(what.ref);
  keep_far(made);
  const auto deadline = after(now, what.timeout);
  if (deadline != never) set_deadline(deadline, made);
  post_call(now, made, what.to.slot, what.word, std::move(what.payload));
}

void core::take_reply(time_point now, signal& what) {
  // Of the node that was asked: another one's word does not count.
  if (!is_tie(what.ref, relation::kind::call, what.to, what.from)) return static_cast<void>(++counted_.late);
  if (!what.failed) return conclude(now, what.ref.slot, std::move(what.payload));
  conclude(now, what.ref.slot,
           fail(static_cast<errc>(what.word.value),
                std::string{cbor::text_of(what.payload).value_or(std::string_view{})}, what.effect));
}

// Both sides may link and unlink at once. A side that has unlinked ignores what it is told of the link until the other
// has acknowledged; so both end with the same (Erlang's distribution protocol, "Link Protocol").
void core::take_link(time_point now, signal& what) {
  const bool there = find(what.to) != nullptr;
  const auto known = there ? find_tie(what.to, what.from, true) : no_slot;
  const bool pending = known != no_slot && relations_[known].what == relation::kind::unlinking;
  if (what.what == signal::kind::link) {
    if (known != no_slot || (there && relate(relation::kind::link, what.to, what.from, nobody) != no_slot)) return;
    const auto why = there ? exit_reason::kind::system_limit : exit_reason::kind::noproc;
    transmit({.what = signal::kind::link_broke, .why = why, .from = what.to, .to = what.from});
  } else if (what.what == signal::kind::unlink) {
    if (known != no_slot && !pending) unrelate(known);
    transmit({.what = signal::kind::unlinked, .from = what.to, .to = what.from, .ref = what.ref});
  } else if (what.what == signal::kind::unlinked) {
    if (pending && relations_[known].note == packed(what.ref)) unrelate(known);
  } else if (known != no_slot) {
    unrelate(known);
    if (!pending) signal_exit(now, what.from, what.to.slot, reason_of(what), true);
  }
}

void core::take_monitor(time_point now, signal& what) {
  if (what.what == signal::kind::monitor) {
    const bool there = find(what.to) != nullptr;
    const auto made = there ? relate(relation::kind::monitor, what.from, what.to, nobody) : no_slot;
    if (made != no_slot) {
      relations_[made].note = packed(what.ref);
      keep_far(made);
      return;
    }
    return transmit({.what = signal::kind::down,
                     .why = there ? exit_reason::kind::system_limit : exit_reason::kind::noproc,
                     .from = what.to,
                     .to = what.from,
                     .ref = what.ref});
  }
  if (what.what == signal::kind::demonitor) {
    if (find(what.to) == nullptr) return;
    const auto known = far_ties_.find({what.from.node, what.to.slot, packed(what.ref), false});
    if (known != far_ties_.end() && relations_[known->second].ends[0].who == what.from) unrelate(known->second);
    return;
  }
  if (!is_tie(what.ref, relation::kind::monitor, what.to, what.from)) return;
  const handle watched = relations_[what.ref.slot].ends[1].who;
  unrelate(what.ref.slot);
  post_end(now, what.to.slot, message::kind::down, watched, what.ref, reason_of(what));
}

}  // namespace orrery::kernel
