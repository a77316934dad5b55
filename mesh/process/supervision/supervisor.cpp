// A supervisor's own acts: starting, hearing of ends, stopping. Restarts: restarts.cpp. What it is asked:
// requests.cpp. What changes while it runs: changes.cpp.
#include "mesh/process/supervision/supervisor.hpp"

#include "mesh/process/supervision/words.hpp"
#include "mesh/wire/cbor.hpp"

#include <algorithm>
#include <utility>

namespace orrery::process {

supervisor::supervisor(supervisor_spec spec, supervisor_watcher* watcher)
    : spec_(std::move(spec)), watcher_(watcher), random_(spec_.seed) {
  if (simple()) spec_.others = spec_.children.front();
}

// ---- starting ----

void supervisor::started(kernel::context& self) {
  if (simple()) return;
  std::vector<std::uint32_t> all;
  for (auto& each : std::exchange(spec_.children, {}))
    all.push_back(add(each.tag, std::make_unique<child_spec>(std::move(each))));
  for (const auto slot : all) {
    if (!start_first(self, slot)) return;
  }
}

/// In the supervisor's own start. False where the next is not to be started now.
bool supervisor::start_first(kernel::context& self, std::uint32_t slot) {
  const auto begun = bring_up(self, slot);
  if (begun) {
    if (watcher_ != nullptr) watcher_->child_started(children_[slot].tag, *begun);
    return true;
  }
  if (spec_.patience.initial > duration::zero()) {
    const bool others_wait = grouped(children_[slot]);
    failed_to_start(self, slot, begun.error());
    return !others_wait && !stopping_ && self.of().alive(self.self());
  }
  auto up = in_order();
  std::reverse(up.begin(), up.end());
  for (const auto other : up) {
    if (children_[other].state == child_state::running) tell_to_end(self, other);
  }
  const auto& failed = children_[slot].own->id;
  self.stop({exit_reason::kind::shutdown, "failed_to_start_child " + failed + ": " + to_string(begun.error())});
  return false;
}

supervisor::history& supervisor::past_of(std::uint32_t slot) {
  auto& past = children_[slot].past;
  if (!past) past = std::make_unique<history>();
  return *past;
}

std::uint32_t supervisor::add(std::uint64_t tag, std::unique_ptr<child_spec> own) {
  const auto slot = children_.take();
  children_[slot].tag = tag;
  children_[slot].own = std::move(own);
  list_of(children_[slot]).push_back(children_, slot);
  return slot;
}

void supervisor::forget(std::uint32_t slot) {
  list_of(children_[slot]).remove(children_, slot);
  children_.release(slot);
}

tl::expected<kernel::handle, exit_reason> supervisor::bring_up(kernel::context& self, std::uint32_t slot) {
  child& starting = children_[slot];
  const child_spec& spec = spec_of(starting);
  auto how = spec.process;
  how.link = true;
  how.note = slot;
  how.tag = starting.tag;
  if (spec.supervisor) how.priority = how.trap_exits = true;
  auto life = spec.factory->make(starting.tag);
  auto begun = life != nullptr ? self.start(std::move(life), how)
                               : tl::unexpected(exit_reason{exit_reason::kind::error, "its factory made nothing"});
  if (!begun) {
    starting.state = child_state::stopped;
    return tl::unexpected(std::move(begun.error()));
  }
  starting.who = begun->who;
  starting.state = child_state::running;
  if (starting.past) starting.past->unborn = false;
  return begun->who;
}

// ---- messages ----

void supervisor::received(kernel::context& self, kernel::message& arrived) {
  using kind = kernel::message::kind;
  if (arrived.what == kind::timer) return timer_fired(self, arrived);
  if (arrived.what == kind::call) {
    return self.reply(kernel::caller_of(arrived), fail(errc::not_found, "a supervisor answers no calls"));
  }
  if (arrived.what == kind::plain && arrived.from == self.self()) {
    const auto slot = slot_marked(arrived.payload);
    return slot == kernel::no_slot ? void() : try_again(self, slot);
  }
  if (arrived.what != kind::exit) return;
  const auto slot = arrived.word.value;
  if (children_.taken(slot) && children_[slot].who == arrived.from && arrived.from != kernel::nobody) {
    return child_exited(self, slot, kernel::reason_of(arrived));
  }
  if (reason_of(arrived).why == exit_reason::kind::noproc) {
    if (const auto at = find_anywhere(arrived.from); at != kernel::no_slot) {
      return child_exited(self, at, kernel::reason_of(arrived));
    }
  }
  if (arrived.from != self.parent()) return;  // of a child that was released, or of nobody that matters
  stop_children(self, {.left = in_order(), .next = stopping::then::exit, .why = kernel::reason_of(arrived)});
}

void supervisor::child_exited(kernel::context& self, std::uint32_t slot, const exit_reason& why) {
  child& ended = children_[slot];
  const bool was_told = ended.state == child_state::stopping;
  ended.who = kernel::nobody;
  ended.state = child_state::stopped;
  if (was_told) return stopped(self, slot, why);
  if (stopping_) {
    const auto& left = stopping_->left;
    if (std::find(left.begin(), left.end(), slot) != left.end()) return bury(slot, why);  // before it was told to
    ended_meanwhile_.emplace_back(slot, why);
    return;
  }
  settle_ended(self, slot, why);
}

void supervisor::settle_ended(kernel::context& self, std::uint32_t slot, const exit_reason& why) {
  const child& ended = children_[slot];
  const child_spec& spec = spec_of(ended);
  const auto tag = ended.tag;
  const bool again = wants_restart(spec.restart, why);
  if (watcher_ != nullptr) watcher_->child_ended(tag, why, !again);
  if (again) return restart(self, slot, why, ended.past != nullptr && std::exchange(ended.past->unborn, false));
  const bool significant = ended.own && spec.significant && spec_.when_significant != auto_shutdown::never;
  if (spec.restart == restart_type::temporary || !ended.own) forget(slot);
  if (significant) finish_if_significant(self);
}

/// A significant child has ended by itself.
void supervisor::finish_if_significant(kernel::context& self) {
  bool others = false;
  for (auto at = declared_.first(); at != kernel::no_slot; at = children_[at].place.next)
    others |= !is_down(children_[at]) && spec_of(children_[at]).significant;
  if (spec_.when_significant == auto_shutdown::all_significant && others) return;
  const std::string text = others ? "a significant child ended" : "its significant children ended";
  if (watcher_ != nullptr) watcher_->finished("supervisor " + spec_.name + " shuts down: " + text);
  stop_children(self, {.left = in_order(), .next = stopping::then::exit, .why = {exit_reason::kind::shutdown, text}});
}

// ---- stopping ----

/// As they were started: what is declared first.
std::vector<std::uint32_t> supervisor::in_order() const {
  std::vector<std::uint32_t> all;
  all.reserve(count());
  for (const auto* list : {&declared_, &tagged_}) {
    for (auto at = list->first(); at != kernel::no_slot; at = children_[at].place.next)
      all.push_back(at);
  }
  return all;
}

void supervisor::stop_children(kernel::context& self, stopping plan) {
  if (stopping_) {
    // Only an end of its own comes before what is under way; what was to start again does not.
    if (plan.next != stopping::then::exit || stopping_->next == stopping::then::exit) return;
    plan.waiting = stopping_->waiting;
  }
  stopping_ = std::move(plan);
  stop_next(self);
}

void supervisor::stop_next(kernel::context& self) {
  while (!stopping_->left.empty()) {
    const auto slot = stopping_->left.back();
    const bool there = children_.taken(slot);
    // Children of the template are told all at once, each that is declared when those after it have ended.
    if (there && children_[slot].own && stopping_->waiting > 0) return;
    stopping_->left.pop_back();
    if (!there) continue;
    child& next = children_[slot];
    put_down(self, slot);
    if (is_down(next) || next.awaited) continue;
    ++stopping_->waiting;
    next.awaited = true;
    if (next.state == child_state::running) tell_to_end(self, slot);  // else terminate_child told it
  }
  if (stopping_->waiting > 0) return;
  const auto done = *std::exchange(stopping_, std::nullopt);
  if (done.next == stopping::then::exit) return self.stop(done.why);
  if (done.next == stopping::then::start_again) begin_after_stop(self, done);
  // What came meanwhile comes next, as from OTP's mailbox; of those that are up again it is settled.
  while (!stopping_ && !ended_meanwhile_.empty() && self.of().alive(self.self())) {
    const auto [slot, why] = std::move(ended_meanwhile_.front());
    ended_meanwhile_.pop_front();
    if (!children_.taken(slot)) continue;
    if (children_[slot].state == child_state::stopped) {
      settle_ended(self, slot, why);
    } else if (children_[slot].state == child_state::restarting) {
      past_of(slot).to_try ? try_again(self, slot) : pause_is_over(self, slot);
    }
  }
}

void supervisor::tell_to_end(kernel::context& self, std::uint32_t slot) {
  child& ending = children_[slot];
  const auto& how = spec_of(ending).shutdown;
  const bool endless =
      how.how == shutdown_spec::kind::infinity || (spec_of(ending).supervisor && how == shutdown_spec{});
  ending.state = child_state::stopping;
  self.link(ending.who);  // it may have unlinked itself, and even have ended since: then noproc comes
  if (how.how == shutdown_spec::kind::brutal_kill) return self.exit(ending.who, {exit_reason::kind::kill, {}});
  self.exit(ending.who, {exit_reason::kind::shutdown, {}});
  if (endless || !self.of().alive(ending.who)) return;
  const kernel::reference life{ending.who.slot, ending.who.generation};
  static_cast<void>(self.send_after(how.length, self.self(), *self.of().atoms().intern(words::stop_took_too_long),
                                    cbor::integer_value(static_cast<std::int64_t>(kernel::packed(life)))));
}

/// `life` is a pid, as a child may have begun another life since, and be told to end that one too.
void supervisor::stop_took_too_long(kernel::context& self, const value& life) {
  const auto number = cbor::reader(life.cbor()).next().integer().value_or(-1);
  const auto told = kernel::unpacked(static_cast<std::uint64_t>(number));
  const kernel::handle who{kernel::handle::here, told.slot, told.generation};
  const auto slot = find(self, who);
  if (slot == kernel::no_slot || children_[slot].state != child_state::stopping) return;
  self.exit(who, {exit_reason::kind::kill, "it did not shut down in time"});
}

/// A child has ended that was to.
void supervisor::bury(std::uint32_t slot, const exit_reason& why) {
  const auto tag = children_[slot].tag;
  const bool comes_back =
      stopping_ && std::find(stopping_->again.begin(), stopping_->again.end(), slot) != stopping_->again.end();
  if (spec_of(children_[slot]).restart == restart_type::temporary || !children_[slot].own) forget(slot);
  if (watcher_ != nullptr) watcher_->child_ended(tag, why, !comes_back);
}

/// A child that was told to end has.
void supervisor::stopped(kernel::context& self, std::uint32_t slot, const exit_reason& why) {
  const bool awaited = std::exchange(children_[slot].awaited, false);
  bury(slot, why);
  if (!awaited) return;  // by terminate_child, or from a start that failed
  --stopping_->waiting;
  stop_next(self);
}

}  // namespace orrery::process
