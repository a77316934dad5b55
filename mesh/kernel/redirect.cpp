// Stand-ins: pids of a node that is none, for processes that are still to be found. What is sent to one comes to the
// surroundings as a signal, and goes on from there when they know to whom.
#include "mesh/kernel/core.hpp"
#include "mesh/wire/cbor.hpp"

#include <utility>

namespace orrery::kernel {

/// The second end of a relation is another process from now on.
void core::retarget(std::uint32_t relation_slot, handle found) {
  detach(relation_slot, 1);
  relations_[relation_slot].ends[1] = {.who = found, .place = {}};
  attach(relation_slot, 1);
}

void core::redirect(time_point now, signal what, handle found) {
  ORRERY_ASSERT(what.to.node != handle::here);
  const handle stand_in = std::exchange(what.to, found);
  switch (what.what) {
    case signal::kind::monitor:
      redirect_monitor(now, what, stand_in);
      break;
    case signal::kind::link:
      redirect_link(now, what, stand_in);
      break;
    case signal::kind::unlink: {
      const bool meant = what.ref == no_reference || acknowledge_unlink(what, stand_in);
      if (meant && find(what.from) != nullptr) break_link(what.from.slot, found);
      break;
    }
    case signal::kind::plain:
    case signal::kind::cast: {
      const auto as = what.what == signal::kind::cast ? message::kind::cast : message::kind::plain;
      deliver(now, what.from, found, as, no_reference, what.word, std::move(what.payload));
      break;
    }
    case signal::kind::exit:
      send_exit(now, what.from, found, reason_of(what));
      break;
    case signal::kind::link_broke:
      redirect_broken_link(now, what);
      break;
    case signal::kind::call:
    case signal::kind::reply:
    case signal::kind::unlinked:
    case signal::kind::demonitor:
    case signal::kind::down:
      break;  // nothing of the kind goes through a stand-in
  }
  settle(now);
}

void core::redirect_monitor(time_point now, const signal& what, handle stand_in) {
  if (!is_tie(what.ref, relation::kind::monitor, what.from, stand_in)) return;  // given up meanwhile
  const handle found = what.to;
  const bool here = found.node == handle::here;
  if (here ? alive(found) : reaches(found.node)) {
    retarget(what.ref.slot, found);
    if (!here) transmit({.what = signal::kind::monitor, .from = what.from, .to = found, .ref = what.ref});
    return;
  }
  unrelate(what.ref.slot);
  post_end(now, what.from.slot, message::kind::down, found, what.ref,
           {here ? exit_reason::kind::noproc : exit_reason::kind::noconnection, {}});
}

void core::redirect_link(time_point now, const signal& what, handle stand_in) {
  if (find(what.from) == nullptr) return;
  const auto known = find_tie(what.from, stand_in, false);
  if (known == no_slot) return;  // unlinked meanwhile
  unrelate(known);
  make_link(now, what.from.slot, what.to);
}

/// Who was linked ended before it was known with whom: its link got nowhere, and its end is all that there is to tell.
void core::redirect_broken_link(time_point now, signal& what) {
  if (what.to.node == handle::here) {
    if (find(what.to) != nullptr) signal_exit(now, what.from, what.to.slot, reason_of(what), true);
  } else if (reaches(what.to.node)) {
    transmit({.what = signal::kind::link, .from = what.from, .to = what.to});
    transmit(std::move(what));
  }
}

bool core::acknowledge_unlink(const signal& what, handle stand_in) {
  if (find(what.from) == nullptr) return false;
  const auto known = find_tie(what.from, stand_in, true);
  const bool pending = known != no_slot && relations_[known].what == relation::kind::unlinking;
  if (!pending || relations_[known].note != packed(what.ref)) return false;
  unrelate(known);
  return true;
}

void core::refuse(time_point now, signal what, const exit_reason& why) {
  const handle stand_in = what.to;
  switch (what.what) {
    case signal::kind::monitor:
      if (!is_tie(what.ref, relation::kind::monitor, what.from, stand_in)) break;
      unrelate(what.ref.slot);
      post_end(now, what.from.slot, message::kind::down, stand_in, what.ref, why);
      break;
    case signal::kind::link:
      if (const auto known = find(what.from) == nullptr ? no_slot : find_tie(what.from, stand_in, false);
          known != no_slot) {
        unrelate(known);
        signal_exit(now, stand_in, what.from.slot, why, true);
      }
      break;
    case signal::kind::unlink:
      static_cast<void>(acknowledge_unlink(what, stand_in));
      break;
    case signal::kind::call:
      if (is_tie(what.ref, relation::kind::call, what.from, stand_in)) {
        const bool lost = why.why == exit_reason::kind::noconnection;
        const bool full = why.why == exit_reason::kind::system_limit;
        conclude(now, what.ref.slot,
                 fail(lost   ? errc::unavailable
                      : full ? errc::overloaded
                             : errc::process_exited,
                      to_string(why)));
      }
      break;
    case signal::kind::plain:
    case signal::kind::cast:
    case signal::kind::exit:
      ++counted_.dropped;
      break;
    case signal::kind::reply:
    case signal::kind::unlinked:
    case signal::kind::link_broke:
    case signal::kind::demonitor:
    case signal::kind::down:
      break;
  }
  settle(now);
}

}  // namespace orrery::kernel
