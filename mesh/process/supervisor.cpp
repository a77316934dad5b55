// A supervisor's own acts: starting, hearing of ends, restarting, stopping. What it is asked: supervisor_requests.cpp.
#include "mesh/process/supervisor.hpp"

#include "mesh/wire/cbor.hpp"

#include <algorithm>
#include <utility>

namespace orrery::process {
namespace {

constexpr std::string_view stop_word = "supervisor: stop took too long";
constexpr std::string_view restart_word = "supervisor: restart";

[[nodiscard]] exit_reason shutdown_because(std::string why) { return {exit_reason::kind::shutdown, std::move(why)}; }

[[nodiscard]] std::string in_milliseconds(duration length) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(length).count()) + " ms";
}

}  // namespace

supervisor::supervisor(supervisor_spec spec, supervisor_watcher* watcher)
    : spec_(std::move(spec)), watcher_(watcher), random_(spec_.seed) {}

// ---- starting ----

void supervisor::started(kernel::context& self) {
  if (simple()) return;
  const auto declared = std::exchange(spec_.children, {});
  for (const auto& each : declared) {
    const auto slot = add(each.tag, std::make_unique<child_spec>(each));
    const auto begun = bring_up(self, slot);
    if (begun) {
      if (watcher_ != nullptr) watcher_->child_started(each.tag, *begun);
      continue;
    }
    auto up = in_order();
    std::reverse(up.begin(), up.end());
    for (const auto other : up) {
      if (children_[other].state == child_state::running) tell_to_end(self, other);
    }
    return self.stop(shutdown_because("failed_to_start_child " + each.id + ": " + to_string(begun.error())));
  }
}

std::uint32_t supervisor::add(std::uint64_t tag, std::unique_ptr<child_spec> own) {
  const auto slot = children_.take();
  children_[slot].tag = tag;
  children_[slot].own = std::move(own);
  order_.push_back(children_, slot);
  return slot;
}

void supervisor::forget(std::uint32_t slot) {
  order_.remove(children_, slot);
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
  auto begun = self.start(spec.factory->make(starting.tag), how);
  if (!begun) {
    starting.state = child_state::stopped;
    return tl::unexpected(std::move(begun.error()));
  }
  starting.who = begun->who;
  starting.state = child_state::running;
  return begun->who;
}

// ---- messages ----

void supervisor::received(kernel::context& self, kernel::message& arrived) {
  if (arrived.what == kernel::message::kind::timer) return timer_fired(self, arrived);
  if (arrived.what == kernel::message::kind::call) {
    return self.reply(kernel::caller_of(arrived), fail(errc::not_found, "a supervisor answers no calls"));
  }
  if (arrived.what != kernel::message::kind::exit) return;
  const auto slot = arrived.word.value;
  if (children_.taken(slot) && children_[slot].who == arrived.from && arrived.from != kernel::nobody) {
    return child_exited(self, slot, kernel::reason_of(arrived));
  }
  if (reason_of(arrived).why == exit_reason::kind::noproc) {
    for (auto at = order_.first(); at != kernel::no_slot; at = children_[at].place.next) {
      if (children_[at].who == arrived.from) return child_exited(self, at, kernel::reason_of(arrived));
    }
  }
  if (arrived.from != self.parent()) return;  // of a child that was released, or of nobody that matters
  stop_children(
      self, {.left = in_order(), .at_once = simple(), .next = stopping::then::exit, .why = kernel::reason_of(arrived)});
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
  if (again) return restart(self, slot, why);
  const bool significant = spec.significant && spec_.when_significant != auto_shutdown::never;
  if (spec.restart == restart_type::temporary || simple()) forget(slot);
  if (!significant) return;
  bool others = false;
  for (auto at = order_.first(); at != kernel::no_slot; at = children_[at].place.next)
    others |= children_[at].state != child_state::stopped && spec_of(children_[at]).significant;
  significant_ended(self, others);
}

void supervisor::significant_ended(kernel::context& self, bool others_left) {
  if (spec_.when_significant == auto_shutdown::all_significant && others_left) return;
  stop_children(self, {.left = in_order(),
                       .at_once = simple(),
                       .next = stopping::then::exit,
                       .why = shutdown_because("a significant child ended")});
}

// ---- restarting ----

void supervisor::restart(kernel::context& self, std::uint32_t slot, exit_reason why) {
  if (!within_child_budget(self, slot, why) || !within_budget(self, slot, why)) return;
  if (spec_.kind == strategy::one_for_all || spec_.kind == strategy::rest_for_one) {
    stopping plan{.left = {}, .next = stopping::then::start_again, .cause = slot, .why = std::move(why)};
    bool after = spec_.kind == strategy::one_for_all;
    for (auto at = order_.first(); at != kernel::no_slot; at = children_[at].place.next) {
      after |= at == slot;
      if (!after) continue;
      // Also one that terminate_child stopped, or that had ended for good.
      if (spec_of(children_[at]).restart != restart_type::temporary) plan.again.push_back(at);
      if (children_[at].state != child_state::stopped) plan.left.push_back(at);
    }
    return stop_children(self, std::move(plan));
  }
  if (put_off(self, slot)) return;
  static_cast<void>(start_again(self, slot, why));
}

/// Starts children in order, each for as long as the budget lasts. A failed restart counts as one more.
void supervisor::start_again(kernel::context& self, const std::vector<std::uint32_t>& order, const exit_reason& why) {
  for (const auto slot : order) {
    if (!start_again(self, slot, why)) return;
  }
}

bool supervisor::start_again(kernel::context& self, std::uint32_t slot, const exit_reason& why) {
  const auto begun = bring_up(self, slot);
  if (!begun) {
    if (watcher_ != nullptr) watcher_->child_ended(children_[slot].tag, begun.error(), false);
    restart(self, slot, begun.error());
    return false;
  }
  ++restarts_;
  ++children_[slot].restarts;
  if (watcher_ != nullptr) watcher_->child_restarted(children_[slot].tag, *begun, why);
  return true;
}

bool supervisor::within_budget(kernel::context& self, std::uint32_t slot, const exit_reason& why) {
  if (window_.admit(self.now(), spec_.intensity, spec_.period)) return true;
  const auto text = "supervisor " + spec_.name + " gave up: more than " + std::to_string(spec_.intensity) +
                    " restarts within " + in_milliseconds(spec_.period) + "; the last was " +
                    self.of().describe(children_[slot].tag) + ", " + to_string(why);
  if (watcher_ != nullptr) watcher_->gave_up(text);
  stop_children(self,
                {.left = in_order(), .at_once = simple(), .next = stopping::then::exit, .why = shutdown_because(text)});
  return false;
}

bool supervisor::within_child_budget(kernel::context& self, std::uint32_t slot, const exit_reason& why) {
  if (!spec_.child_intensity) return true;
  child& of = children_[slot];
  if (!of.past) of.past = std::make_unique<history>();
  if (of.past->restarts.admit(self.now(), *spec_.child_intensity, spec_.period)) return true;
  of.past.reset();
  const auto text = self.of().describe(of.tag) + " is given up: more than " + std::to_string(*spec_.child_intensity) +
                    " restarts within " + in_milliseconds(spec_.period) + "; the last: " + to_string(why);
  const auto tag = of.tag;
  if (simple()) forget(slot);
  if (watcher_ != nullptr) watcher_->child_ended(tag, why, true), watcher_->child_given_up(tag, text);
  return false;
}

bool supervisor::put_off(kernel::context& self, std::uint32_t slot) {
  if (spec_.backoff.initial <= duration::zero()) return false;
  child& of = children_[slot];
  if (!of.past) of.past = std::make_unique<history>();
  auto& past = *of.past;
  if (self.now() - past.last_restart > spec_.period + past.pause) past.pause = duration::zero();
  past.pause = past.pause == duration::zero() ? spec_.backoff.initial : std::min(2 * past.pause, spec_.backoff.maximum);
  const auto jitter = static_cast<std::int64_t>(random_.unit() * static_cast<double>(past.pause.count()) / 5);
  past.last_restart = self.now();
  of.state = child_state::restarting;
  const auto marked = kernel::packed({slot, children_.generation(slot)});
  static_cast<void>(self.send_after(past.pause + duration{jitter}, self.self(), *self.of().atoms().intern(restart_word),
                                    cbor::integer_value(static_cast<std::int64_t>(marked))));
  return true;
}

void supervisor::timer_fired(kernel::context& self, const kernel::message& due) {
  const auto marked =
      kernel::unpacked(static_cast<std::uint64_t>(cbor::reader(due.payload.cbor()).next().integer().value_or(-1)));
  if (!children_.alive(marked.slot, marked.generation)) return;
  child& of = children_[marked.slot];
  if (self.of().atoms().text(due.word) == stop_word) {
    if (of.state == child_state::stopping) self.exit(of.who, {exit_reason::kind::kill, "it did not shut down in time"});
    return;
  }
  if (of.state == child_state::restarting && !stopping_) {
    static_cast<void>(start_again(self, marked.slot, {exit_reason::kind::error, "it was put off"}));
  }
}

// ---- stopping ----

std::vector<std::uint32_t> supervisor::in_order() const {
  std::vector<std::uint32_t> all;
  all.reserve(order_.size());
  for (auto at = order_.first(); at != kernel::no_slot; at = children_[at].place.next)
    all.push_back(at);
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
  while (!stopping_->left.empty() && (stopping_->at_once || stopping_->waiting == 0)) {
    const auto slot = stopping_->left.back();
    stopping_->left.pop_back();
    if (!children_.taken(slot)) continue;
    child& next = children_[slot];
    if (next.state == child_state::restarting) next.state = child_state::stopped;
    if (next.state == child_state::stopped || next.awaited) continue;
    ++stopping_->waiting;
    next.awaited = true;
    if (next.state == child_state::running) tell_to_end(self, slot);  // else terminate_child told it
  }
  if (stopping_->waiting > 0 || !stopping_->left.empty()) return;
  const auto done = *std::exchange(stopping_, std::nullopt);
  if (done.next == stopping::then::exit) return self.stop(done.why);
  if (done.next == stopping::then::start_again) {
    std::vector<std::uint32_t> again;
    for (const auto slot : done.again) {
      if (children_.taken(slot)) again.push_back(slot);
    }
    start_again(self, again, done.why);
  }
  // What came meanwhile comes next, as from OTP's mailbox; of those that are up again it is settled.
  while (!stopping_ && !ended_meanwhile_.empty() && self.of().alive(self.self())) {
    const auto [slot, why] = std::move(ended_meanwhile_.front());
    ended_meanwhile_.pop_front();
    if (children_.taken(slot) && children_[slot].state == child_state::stopped) settle_ended(self, slot, why);
  }
}

void supervisor::tell_to_end(kernel::context& self, std::uint32_t slot) {
  child& ending = children_[slot];
  const auto& how = spec_of(ending).shutdown;
  ending.state = child_state::stopping;
  self.link(ending.who);  // it may have unlinked itself, and even have ended since: then noproc comes
  if (how.how == shutdown_spec::kind::brutal_kill) return self.exit(ending.who, {exit_reason::kind::kill, {}});
  self.exit(ending.who, {exit_reason::kind::shutdown, {}});
  if (how.how == shutdown_spec::kind::infinity || !self.of().alive(ending.who)) return;
  const auto marked = kernel::packed({slot, children_.generation(slot)});
  static_cast<void>(self.send_after(how.length, self.self(), *self.of().atoms().intern(stop_word),
                                    cbor::integer_value(static_cast<std::int64_t>(marked))));
}

/// A child has ended that was to.
void supervisor::bury(std::uint32_t slot, const exit_reason& why) {
  const auto tag = children_[slot].tag;
  const bool comes_back =
      stopping_ && std::find(stopping_->again.begin(), stopping_->again.end(), slot) != stopping_->again.end();
  if (spec_of(children_[slot]).restart == restart_type::temporary || simple()) forget(slot);
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
