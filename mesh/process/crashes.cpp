#include "mesh/process/crashes.hpp"

#include "mesh/wire/excerpt.hpp"

#include <algorithm>
#include <utility>

namespace orrery::process {
namespace {

std::size_t bytes_of(const crash_report& of) {
  return of.name.key.value.size() + of.reason.detail.size() + of.scene.method.size() + of.scene.argument.size() +
         of.scene.state.size() + sizeof of;
}

bool matches(const crash_report& of, const crash_log::filter& only) {
  return (!only.klass || *only.klass == of.name.klass) && (!only.key || *only.key == of.name.key);
}

}  // namespace

std::string_view to_string(crash_decision what) noexcept {
  switch (what) {
    case crash_decision::waits:
      return "waits";
    case crash_decision::restarted:
      return "restarted";
    case crash_decision::ended:
      return "ended";
    case crash_decision::given_up:
      return "given_up";
    case crash_decision::supervisor_gave_up:
      return "supervisor_gave_up";
    case crash_decision::not_started:
      return "not_started";
  }
  return "waits";
}

std::uint64_t crash_log::add(crash_report what) {
  what.number = ++last_;
  what.reason.detail = excerpt(what.reason.detail, crash_reason_bytes_max);
  what.scene.argument = excerpt(what.scene.argument, crash_argument_bytes_max);
  what.scene.state = excerpt(what.scene.state, crash_state_bytes_max);
  ++counted_[static_cast<std::size_t>(what.decision)];
  bytes_ += bytes_of(what);
  crashes_.push_back(std::move(what));
  while (crashes_.size() > crashes_kept_max || bytes_ > crash_bytes_max) {
    bytes_ -= bytes_of(crashes_.front());
    crashes_.pop_front();
  }
  return last_;
}

void crash_log::decide(const process_name& name, crash_decision what) {
  const auto found = std::find_if(crashes_.rbegin(), crashes_.rend(), [&](const crash_report& each) {
    return each.decision == crash_decision::waits && each.name == name;
  });
  if (found != crashes_.rend()) settle(*found, what);
}

void crash_log::settle(crash_report& of, crash_decision as) {
  --counted_[static_cast<std::size_t>(of.decision)];
  of.decision = as;
  ++counted_[static_cast<std::size_t>(as)];
}

void crash_log::supervisor_gave_up(give_up_report what) {
  const auto cause = std::find_if(crashes_.rbegin(), crashes_.rend(), [&](const crash_report& each) {
    return each.decision == crash_decision::waits && each.name.klass == what.klass;
  });
  if (cause != crashes_.rend()) settle(*cause, crash_decision::supervisor_gave_up);
  what.why = excerpt(what.why, crash_reason_bytes_max);
  give_ups_.push_back(std::move(what));
  if (give_ups_.size() > give_ups_kept_max) give_ups_.pop_front();
}

const crash_report* crash_log::find(std::uint64_t number) const {
  if (crashes_.empty() || number < crashes_.front().number || number > last_) return nullptr;
  return &crashes_[number - crashes_.front().number];
}

std::vector<crash_report> crash_log::crashes(const filter& only) const {
  std::vector<crash_report> found;
  for (auto each = crashes_.rbegin(); each != crashes_.rend() && found.size() < only.limit; ++each) {
    if (matches(*each, only)) found.push_back(*each);
  }
  return found;
}

std::vector<give_up_report> crash_log::give_ups(const filter& only) const {
  std::vector<give_up_report> found;
  for (auto each = give_ups_.rbegin(); each != give_ups_.rend() && found.size() < only.limit; ++each) {
    if (!only.klass || *only.klass == each->klass) found.push_back(*each);
  }
  return found;
}

bool crash_log::may_take_state(time_point now) {
  if (now - states_since_ >= std::chrono::seconds{1}) {
    states_since_ = now;
    states_taken_ = 0;
  }
  if (states_taken_ >= crash_states_per_second_max) return false;
  ++states_taken_;
  return true;
}

}  // namespace orrery::process
