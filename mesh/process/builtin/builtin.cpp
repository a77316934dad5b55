#include "mesh/process/builtin/builtin.hpp"

#include <algorithm>

namespace orrery::process {

using std::chrono::milliseconds;

outcome builtin_process::call(const scope& where, std::string_view method, const value& argument) {
  advance(where);
  auto led_to = handle(where, method, argument);
  set_alarm(where);
  return led_to;
}

outcome builtin_process::cast(const scope& where, std::string_view method, const value& argument) {
  return call(where, method, argument);
}

outcome builtin_process::info(const scope& where, const kernel::message& arrived) {
  using kind = kernel::message::kind;
  if (arrived.what == kind::timer && arrived.ref == alarm_) {
    alarm_ = kernel::no_reference;
    alarm_at_ = never;
  }
  advance(where);
  if (arrived.what == kind::down) owner_ended(where, arrived.ref);
  set_alarm(where);
  return done{};
}

std::vector<unanswered> builtin_process::leave(const scope& where) {
  stop_alarm(where);
  return let_go(where);
}

void builtin_process::terminate(const scope& where, const exit_reason& reason) {
  stop_alarm(where);
  for (const auto& each : let_go(where)) {
    where.self.reply(each.from, fail(errc::process_exited, std::string{where.klass} + "/" + std::string{where.key} +
                                                               " exited, " + to_string(reason)));
  }
}

// An alarm that rings early costs one look; setting it anew for each message would cost more.
void builtin_process::set_alarm(const scope& where) {
  const auto due = next_due();
  if (due >= alarm_at_) return;
  stop_alarm(where);
  alarm_ = where.self.send_after(std::max(due - where.now, duration::zero()), where.self.self(), kernel::atom{});
  alarm_at_ = due;
}

void builtin_process::stop_alarm(const scope& where) {
  if (alarm_ != kernel::no_reference) static_cast<void>(where.self.cancel(alarm_));
  alarm_ = kernel::no_reference;
  alarm_at_ = never;
}

std::string joined(std::span<const std::string_view> names) {
  std::string all;
  for (const auto name : names)
    all += (all.empty() ? "" : ", ") + std::string{name};
  return all;
}

std::int64_t number_of_life(const scope& where) {
  const auto since = std::chrono::duration_cast<std::chrono::microseconds>(where.when().wall().time_since_epoch());
  return std::max<std::int64_t>(since.count(), 0);
}

void put_remaining(bytes& out, const moment& at, time_point until) {
  if (until == never) return cbor::put_null(out);
  cbor::put_integer(out, std::chrono::ceil<milliseconds>(std::max(until - at.now, duration::zero())).count());
}

time_point ends_after(time_point now, std::optional<std::int64_t> remaining) noexcept {
  constexpr std::int64_t most = std::chrono::duration_cast<milliseconds>(duration::max()).count();
  if (!remaining) return never;
  return after(now, milliseconds{std::clamp<std::int64_t>(*remaining, 0, most)});
}

void put_age(bytes& out, const moment& at, time_point began) {
  cbor::put_integer(out, std::chrono::duration_cast<milliseconds>(at.now - began).count());
}

time_point began_before(time_point now, std::int64_t age) noexcept {
  constexpr std::int64_t most = milliseconds{std::chrono::years{100}}.count();
  return now - milliseconds{std::clamp<std::int64_t>(age, 0, most)};
}

result<value> finished_state(std::string_view whose, const bytes& encoded) {
  if (encoded.size() <= value_bytes_max) return value::adopt(encoded);
  return fail(errc::internal, "the state of this " + std::string{whose} + " has " + std::to_string(encoded.size()) +
                                  " bytes; at most " + std::to_string(value_bytes_max) + " can be handed over");
}

error too_much_state(std::string_view whose, std::size_t size, std::uint64_t most) {
  return {errc::limit_exceeded, std::string{whose} + ": the state would have about " + std::to_string(size) +
                                    " bytes; limits.stateBytes allows " + std::to_string(most)};
}

result<no_options> read_no_options(const value& given) {
  arguments in("behaviour.options", "nothing for this behaviour", given);
  if (auto fault = in.fault()) return fail(std::move(*fault));
  return no_options{};
}

}  // namespace orrery::process
