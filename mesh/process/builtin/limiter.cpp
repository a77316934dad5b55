#include "mesh/process/builtin/limiter.hpp"

#include <cmath>
#include <utility>

namespace orrery::process {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

constexpr std::int64_t limiter_format = 1;
constexpr std::int64_t bucket_tokens_max = 1'000'000;
constexpr range<double> rate_accepted{0.001, 1'000'000};
constexpr range<duration> per_accepted{milliseconds{1}, hours{24}};
constexpr duration wait_default = std::chrono::seconds{60};
constexpr duration fill_max = up_to_a_year.most;

/// Fields that are not given stay what they are in `into`.
void read_bucket(arguments& in, limiter_rate& into) {
  into.rate = in.number("rate", rate_accepted).value_or(into.rate);
  into.per = in.seconds("perSeconds", per_accepted).value_or(into.per);
  into.burst = in.integer("burst", {1, bucket_tokens_max}).value_or(into.burst);
  if (into.interval() > fill_max / into.burst) {
    in.refuse("burst", "would take longer than a year to fill at this rate");
  }
}

bool sound(const limiter_rate& read) {
  return read.rate >= rate_accepted.least && read.rate <= rate_accepted.most && read.per >= per_accepted.least &&
         read.per <= per_accepted.most && read.burst >= 1 && read.burst <= bucket_tokens_max &&
         read.interval() <= fill_max / read.burst;
}

}  // namespace

duration limiter_rate::interval() const noexcept {
  return duration{std::max<std::int64_t>(std::llround(static_cast<double>(per.count()) / rate), 1)};
}

result<limiter_options> limiter::read_options(const value& given) {
  limiter_options out;
  arguments in("behaviour.options", R"({"rate": 10, "perSeconds": 1, "burst": 10, "maxWaiting": 1000}, all optional)",
               given);
  read_bucket(in, out.bucket);
  out.waiting_max = in.integer("maxWaiting", {0, 100'000}).value_or(out.waiting_max);
  if (auto fault = in.fault()) return fail(std::move(*fault));
  return out;
}

std::optional<exit_reason> limiter::init(const scope& where, std::uint64_t) {
  full_at_ = where.now;
  interval_ = bucket().interval();
  return {};
}

outcome limiter::handle(const scope& where, std::string_view method, const value& argument) {
  if (method == "take") return take(where, argument);
  if (method == "wait") return wait(where, argument);
  if (method == "get") return get(where);
  if (method == "configure") return configure(where, argument);
  if (method == "reset") {
    full_at_ = where.now;
    advance(where);
    return get(where);
  }
  return refused{{errc::not_found, "limiter has no method '" + shown(method) + "'"}};
}

void limiter::advance(const scope& where) {
  follow(where.now);
  while (auto* next = waiting_.first(where)) {
    const auto tokens = std::min(next->wanted, bucket().burst);  // the bucket may have become smaller
    if (ready_at(tokens) > where.now) break;
    spend(where.now, tokens);
    where.self.reply(next->from, answer(where.now, true, tokens));
    waiting_.pop();
  }
  waiting_.expire(where, [&](const auto& each) { return answer(where.now, false, each.wanted); });
  promised_ = 0;
  for (const auto& each : waiting_)
    promised_ += each.wanted;
}

time_point limiter::next_due() const {
  if (waiting_.empty()) return never;
  return std::min(waiting_.next_due(), ready_at(std::min(waiting_.begin()->wanted, bucket().burst)));
}

// ---- the bucket ----

time_point limiter::ready_at(std::int64_t tokens) const { return full_at_ - interval_ * (bucket().burst - tokens); }

void limiter::spend(time_point now, std::int64_t tokens) { full_at_ = std::max(full_at_, now) + interval_ * tokens; }

std::int64_t limiter::remaining(time_point now) const {
  const auto lacks = std::max(full_at_ - now, duration::zero());
  return std::max<std::int64_t>((interval_ * bucket().burst - lacks) / interval_, 0);
}

void limiter::follow(time_point now) {
  const auto interval = bucket().interval();
  if (interval == interval_) return;
  const auto lacks = std::max(full_at_ - now, duration::zero());
  const auto tokens = static_cast<double>(lacks.count()) / static_cast<double>(interval_.count());
  const auto most = static_cast<double>(bucket().burst);
  full_at_ = now + duration{std::llround(std::min(tokens, most) * static_cast<double>(interval.count()))};
  interval_ = interval;
}

value limiter::answer(time_point now, bool allowed, std::int64_t tokens) const {
  object_writer out;
  out.flag("allowed", allowed);
  const auto wait = allowed ? duration::zero() : ready_at(tokens) + interval_ * promised_ - now;
  out.seconds("retryAfterSeconds", std::max(wait, duration::zero())).integer("remaining", remaining(now));
  return out.finish();
}

// ---- methods ----

outcome limiter::take(const scope& where, const value& argument) {
  arguments in("limiter.take", R"(a number of tokens (default 1))", argument, "tokens");
  const auto tokens = in.integer("tokens", {1, bucket().burst}).value_or(1);
  if (auto fault = in.fault()) return refused{std::move(*fault)};
  const bool allowed = waiting_.empty() && ready_at(tokens) <= where.now;
  if (allowed) spend(where.now, tokens);
  return done{answer(where.now, allowed, tokens)};
}

outcome limiter::wait(const scope& where, const value& argument) {
  arguments in("limiter.wait", R"({"tokens": 1, "waitSeconds": 60}, both optional)", argument, "tokens");
  const auto tokens = in.integer("tokens", {1, bucket().burst}).value_or(1);
  const auto most = in.seconds("waitSeconds", wait_accepted).value_or(wait_default);
  if (auto fault = in.fault()) return refused{std::move(*fault)};
  if (waiting_.empty() && ready_at(tokens) <= where.now) {
    spend(where.now, tokens);
    return done{answer(where.now, true, tokens)};
  }
  const auto until = after(where.now, most);
  if (ready_at(tokens) + interval_ * promised_ > until) return done{answer(where.now, false, tokens)};
  auto joined = waiting_.join(where, "limiter.wait", static_cast<std::size_t>(settings_.chosen.waiting_max), until,
                              tokens, argument);
  if (std::holds_alternative<deferred>(joined)) promised_ += tokens;
  return joined;
}

outcome limiter::configure(const scope& where, const value& argument) {
  arguments in("limiter.configure",
               R"({"rate": N, "perSeconds": 1, "burst": N}, all optional, or null for what the class says)", argument);
  auto changed = bucket();
  read_bucket(in, changed);
  if (auto fault = in.fault()) return refused{std::move(*fault)};
  own_.reset();
  if (!cbor::reader(argument.cbor()).next().is_null()) own_ = changed;
  advance(where);
  return get(where);
}

outcome limiter::get(const scope& where) const {
  return done{object_writer{}
                  .number("rate", bucket().rate)
                  .seconds("perSeconds", bucket().per)
                  .integer("burst", bucket().burst)
                  .integer("remaining", remaining(where.now))
                  .integer("waiting", static_cast<std::int64_t>(waiting_.size()))
                  .finish()};
}

// ---- moving ----

result<value> limiter::snapshot(const moment& at) {
  bytes out;
  cbor::put_head(out, cbor::major::array, 3);
  cbor::put_integer(out, limiter_format);
  if (own_) {
    cbor::put_head(out, cbor::major::array, 3);
    cbor::put_float(out, own_->rate);
    cbor::put_integer(out, std::chrono::duration_cast<milliseconds>(own_->per).count());
    cbor::put_integer(out, own_->burst);
  } else {
    cbor::put_head(out, cbor::major::array, 0);
  }
  cbor::put_integer(out, std::max(full_at_ - at.now, duration::zero()).count());
  return value::adopt(out);
}

result<void> limiter::restore(const scope& where, std::uint64_t, const value& state, std::uint64_t) {
  state_reader in(state);
  in.array(3);
  if (in.integer() != limiter_format) in.fail();
  const auto own = in.array();
  if (own == 3) {
    limiter_rate read;
    read.rate = in.number();
    read.per = milliseconds{in.integer()};
    read.burst = in.integer();
    if (!sound(read)) in.fail();
    own_ = read;
  } else if (own != 0) {
    in.fail();
  }
  const auto lacks = in.integer();
  if (in.broken() || lacks < 0 || duration{lacks} > fill_max)
    return fail(errc::invalid_argument, "this is no state of a limiter");
  interval_ = bucket().interval();
  full_at_ = where.now + duration{lacks};
  set_alarm(where);
  return {};
}

}  // namespace orrery::process
