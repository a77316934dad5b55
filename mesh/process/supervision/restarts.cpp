// How a supervisor restarts: budgets, pauses, and children that restart together.
//
// A child that is to restart is `restarting` until it has. Of declared children that restart together, one is the
// cause: the pause, or the message by which a failed start is tried again, is the cause's, and the others wait with it.
#include "mesh/process/supervision/supervisor.hpp"
#include "mesh/process/supervision/words.hpp"
#include "mesh/wire/cbor.hpp"

#include <algorithm>
#include <utility>

namespace orrery::process {
namespace {

constexpr std::size_t reason_bytes_max = 1500;  ///< reasons hold those of the level below

[[nodiscard]] std::string in_milliseconds(duration length) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(length).count()) + " ms";
}

[[nodiscard]] std::string more_than(std::uint32_t intensity, duration period) {
  return "more than " + std::to_string(intensity) + " restarts within " + in_milliseconds(period);
}

}  // namespace

void supervisor::restart(kernel::context& self, std::uint32_t slot, const exit_reason& why, bool not_started) {
  const bool forgiven = why.why == exit_reason::kind::noconnection && spec_of(children_[slot]).forgives_noconnection;
  if (!forgiven && !within_child_budget(self, slot, why)) return cause_is_gone(self, slot);
  // What never began is tried again ever more seldom; only where no restart at all is allowed does it count.
  const bool patient = not_started && children_[slot].own && spec_.patience.initial > duration::zero();
  if (!forgiven && !(patient && spec_.intensity > 0) && !within_budget(self, slot, why)) return;
  if (!grouped(children_[slot])) {
    if (!put_off(self, slot, not_started)) static_cast<void>(start_again(self, slot, why));
    return;
  }
  stopping plan{.left = {}, .next = stopping::then::start_again, .cause = slot, .not_started = not_started, .why = why};
  bool after = spec_.kind == strategy::one_for_all;
  for (auto at = declared_.first(); at != kernel::no_slot; at = children_[at].place.next) {
    after |= at == slot;
    if (!after || children_[at].state == child_state::given_up) continue;
    // Also one that terminate_child stopped, or that had ended for good.
    if (spec_of(children_[at]).restart != restart_type::temporary) plan.again.push_back(at);
    if (!is_down(children_[at])) plan.left.push_back(at);
  }
  stop_children(self, std::move(plan));
}

/// Those that restart together have ended.
void supervisor::begin_after_stop(kernel::context& self, const stopping& done) {
  for (const auto slot : done.again) {
    if (children_.taken(slot) && is_down(children_[slot])) children_[slot].state = child_state::restarting;
  }
  if (children_.taken(done.cause) && put_off(self, done.cause, done.not_started)) return;
  start_waiting(self, done.why);
}

/// Starts the declared children that wait, in order. A failed restart counts as one more.
void supervisor::start_waiting(kernel::context& self, const exit_reason& why) {
  cause_ = kernel::no_slot;
  for (auto at = declared_.first(); at != kernel::no_slot;) {
    const auto next = children_[at].place.next;
    if (children_[at].state == child_state::restarting && !start_again(self, at, why)) return;
    at = next;
  }
}

/// The child for which others wait is not to be started after all.
void supervisor::cause_is_gone(kernel::context& self, std::uint32_t slot) {
  if (slot != cause_) return;
  start_waiting(self, {exit_reason::kind::shutdown, "they restart together"});
}

/// A child that was to restart is not to, or not now.
void supervisor::put_down(kernel::context& self, std::uint32_t slot) {
  child& of = children_[slot];
  if (of.state != child_state::restarting) return;
  of.state = child_state::stopped;
  if (!of.past) return;
  of.past->to_try = false;
  static_cast<void>(self.cancel(std::exchange(of.past->timer, kernel::no_reference)));
}

/// False where it did not start, and what follows from that is done.
bool supervisor::start_again(kernel::context& self, std::uint32_t slot, const exit_reason& why) {
  const auto begun = bring_up(self, slot);
  if (!begun) {
    failed_to_start(self, slot, begun.error());
    return false;
  }
  ++restarts_;
  ++children_[slot].restarts;
  if (watcher_ != nullptr) watcher_->child_restarted(children_[slot].tag, *begun, why);
  return true;
}

/// Without a pause it is tried again in the turn of a message, as OTP does: a child that never starts must not keep its
/// supervisor in one callback for as long as the budget lasts.
void supervisor::failed_to_start(kernel::context& self, std::uint32_t slot, const exit_reason& why) {
  if (watcher_ != nullptr) watcher_->child_ended(children_[slot].tag, why, false);
  if (grouped(children_[slot])) cause_ = slot;
  const bool patient = children_[slot].own && spec_.patience.initial > duration::zero();
  if (patient || spec_.backoff.initial > duration::zero()) return restart(self, slot, why, true);
  past_of(slot).failed = why;
  past_of(slot).to_try = true;
  children_[slot].state = child_state::restarting;
  self.send(self.self(), *self.of().atoms().intern(words::try_again), marked(slot));
}

void supervisor::try_again(kernel::context& self, std::uint32_t slot) {
  if (children_[slot].state != child_state::restarting || !past_of(slot).to_try) return;
  const auto why = past_of(slot).failed;
  if (stopping_) {
    ended_meanwhile_.emplace_back(slot, why);
    return;
  }
  put_down(self, slot);
  restart(self, slot, why);
}

// ---- budgets ----

bool supervisor::within_budget(kernel::context& self, std::uint32_t slot, const exit_reason& why) {
  if (window_.admit(self.now(), spec_.intensity, spec_.period)) return true;
  const auto text = "supervisor " + spec_.name + " gave up: " + more_than(spec_.intensity, spec_.period) +
                    "; the last was " + self.of().describe(children_[slot].tag) + ", " +
                    std::string{cut_text(to_string(why), reason_bytes_max)};
  if (watcher_ != nullptr) watcher_->gave_up(text);
  if (spec_.outlives_its_budget) {
    window_.clear();
    return true;
  }
  const auto kind = spec_.giving_up_is_a_crash ? exit_reason::kind::error : exit_reason::kind::shutdown;
  stop_children(self, {.left = in_order(), .next = stopping::then::exit, .why = {kind, text}});
  return false;
}

bool supervisor::within_child_budget(kernel::context& self, std::uint32_t slot, const exit_reason& why) {
  if (!spec_.child_intensity) return true;
  auto& past = past_of(slot);
  if (past.restarts.admit(self.now(), *spec_.child_intensity, spec_.period)) return true;
  child& of = children_[slot];
  const auto text = self.of().describe(of.tag) + " is given up: " + more_than(*spec_.child_intensity, spec_.period) +
                    "; the last: " + std::string{cut_text(to_string(why), reason_bytes_max)};
  const auto tag = of.tag;
  of.past.reset();
  of.state = child_state::given_up;
  if (!of.own) forget(slot);
  if (watcher_ != nullptr) watcher_->child_given_up(tag, text);
  return false;
}

// ---- pauses ----

/// False where it is to be started at once.
bool supervisor::put_off(kernel::context& self, std::uint32_t slot, bool not_started) {
  const bool paused = spec_.backoff.initial > duration::zero();
  const auto& length = paused ? spec_.backoff : spec_.patience;
  const bool patient = not_started && children_[slot].own;
  if (length.initial <= duration::zero() || (!paused && !patient)) return false;
  auto& past = past_of(slot);
  if (self.now() - past.last_restart > spec_.period + past.pause) past.pause = duration::zero();
  past.pause = past.pause == duration::zero() ? length.initial : std::min(2 * past.pause, length.maximum);
  const auto jitter = static_cast<std::int64_t>(random_.unit() * static_cast<double>(past.pause.count()) / 5);
  past.last_restart = self.now();
  children_[slot].state = child_state::restarting;
  if (grouped(children_[slot])) cause_ = slot;
  static_cast<void>(self.cancel(past.timer));
  past.timer = self.send_after(past.pause + duration{jitter}, self.self(), *self.of().atoms().intern(words::restart),
                               marked(slot));
  return true;
}

void supervisor::pause_is_over(kernel::context& self, std::uint32_t slot) {
  if (children_[slot].state != child_state::restarting) return;
  const exit_reason why{exit_reason::kind::error, "it was put off"};
  if (stopping_) {
    ended_meanwhile_.emplace_back(slot, why);
  } else if (grouped(children_[slot])) {
    start_waiting(self, why);
  } else {
    static_cast<void>(start_again(self, slot, why));
  }
}

/// A child, as a message names it: another that comes to have its slot is not meant.
value supervisor::marked(std::uint32_t slot) const {
  return cbor::integer_value(static_cast<std::int64_t>(kernel::packed({slot, children_.generation(slot)})));
}

std::uint32_t supervisor::slot_marked(const value& payload) const {
  const auto number = cbor::reader(payload.cbor()).next().integer().value_or(-1);
  const auto named = kernel::unpacked(static_cast<std::uint64_t>(number));
  return children_.alive(named.slot, named.generation) ? named.slot : kernel::no_slot;
}

void supervisor::timer_fired(kernel::context& self, const kernel::message& due) {
  if (self.of().atoms().text(due.word) == words::stop_took_too_long) return stop_took_too_long(self, due.payload);
  const auto slot = slot_marked(due.payload);
  if (slot == kernel::no_slot) return;
  const child& of = children_[slot];
  if (of.past && of.past->timer == due.ref) {
    of.past->timer = kernel::no_reference;
    pause_is_over(self, slot);
  }
}

}  // namespace orrery::process
