#include "mesh/process/builtin/lock.hpp"

#include <utility>

namespace orrery::process {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

constexpr std::int64_t permits_max = 10'000;
constexpr std::size_t told_max = 100;  ///< holders, and owners that wait, of one `inspect`
constexpr std::int64_t lock_format = 1;
constexpr range<duration> lease_accepted{milliseconds{1}, hours{24 * 7}};
constexpr range<std::int64_t> any_token{0, std::numeric_limits<std::int64_t>::max()};

constexpr std::string_view lock_form =
    R"({"owner": "...", "pid": "..." (in place of owner), "ttlSeconds": N (optional), "waitSeconds": 0 (optional)})";
constexpr std::string_view semaphore_form =
    R"({"owner": "...", "pid": "..." (in place of owner), "permits": 1 (optional), "ttlSeconds": N (optional), )"
    R"("waitSeconds": 0 (optional)})";
constexpr std::string_view release_form = R"({"owner": "..."} or {"token": N})";
constexpr std::string_view renew_form = R"({"owner": "..."} or {"token": N}, and "ttlSeconds": N (optional))";

void put_end(object_writer& out, const scope& where, time_point until) {
  if (until == never) {
    out.null("expiresInSeconds");
  } else {
    out.seconds("expiresInSeconds", until - where.now);
  }
}

void put_holder(object_writer& out, const scope& where, const permits::holders::value_type& of, bool with_count) {
  const auto& [owner, held] = of;
  out.text("owner", owner).integer("token", held.token);
  if (with_count) out.integer("permits", held.count);
  if (held.pid.empty()) {
    out.null("pid");
  } else {
    out.text("pid", held.pid);
  }
  out.seconds("heldSeconds", where.now - held.since);
  put_end(out, where, held.until);
}

}  // namespace

template <builtin_kind Kind>
std::string guard<Kind>::name_of(std::string_view method) {
  return (is_lock ? "lock." : "semaphore.") + std::string{method};
}

template <builtin_kind Kind>
result<guard_options> guard<Kind>::read_options(const value& given) {
  guard_options out;
  arguments in("behaviour.options",
               is_lock ? R"({"ttlSeconds": 30, "maxWaiting": 1000}, all optional)"
                       : R"({"permits": 1, "ttlSeconds": 30, "maxWaiting": 1000}, all optional)",
               given);
  if constexpr (!is_lock) out.permits = in.integer("permits", {1, permits_max}).value_or(out.permits);
  out.lease = in.seconds("ttlSeconds", lease_accepted).value_or(out.lease);
  out.waiting_max = in.integer("maxWaiting", {0, 100'000}).value_or(out.waiting_max);
  if (auto fault = in.fault()) return fail(std::move(*fault));
  return out;
}

template <builtin_kind Kind>
std::optional<exit_reason> guard<Kind>::init(const scope& where, std::uint64_t) {
  permits_.begin(number_of_life(where));
  return {};
}

template <builtin_kind Kind>
outcome guard<Kind>::handle(const scope& where, std::string_view method, const value& argument) {
  if (method == "acquire") return acquire(where, argument);
  if (method == "release") return release(where, argument);
  if (method == "renew") return renew(where, argument);
  if (method == "inspect") return inspect(where, argument);
  if constexpr (is_lock) {
    if (method == "holder") {
      return done{permits_.all().empty() ? value{} : cbor::text_value(permits_.all().begin()->first)};
    }
  } else {
    if (method == "available") return done{cbor::integer_value(std::max<std::int64_t>(permits_.available(), 0))};
    if (method == "resize") return resize(where, argument);
  }
  return refused{
      {errc::not_found, std::string{is_lock ? "lock" : "semaphore"} + " has no method '" + shown(method) + "'"}};
}

template <builtin_kind Kind>
void guard<Kind>::follow_limit() {
  permits_.set_limit(is_lock ? 1 : limit_.value_or(settings_.chosen.permits));
}

template <builtin_kind Kind>
void guard<Kind>::advance(const scope& where) {
  follow_limit();
  permits_.expire(where);
  serve(where);
  waiting_.expire(where, [&](const auto&) { return not_granted(where); });
}

template <builtin_kind Kind>
void guard<Kind>::owner_ended(const scope& where, kernel::reference watched) {
  permits_.owner_ended(where, watched);
  serve(where);
}

template <builtin_kind Kind>
void guard<Kind>::serve(const scope& where) {
  while (auto* next = waiting_.first(where)) {
    const auto taken = permits_.try_take(where, next->wanted);
    if (taken && *taken == nullptr) return;
    if (taken) {
      where.self.reply(next->from, granted(where, **taken));
    } else {
      where.self.reply(next->from, fail(taken.error()));
    }
    waiting_.pop();
  }
}

// ---- who asks ----

template <builtin_kind Kind>
result<permits::request> guard<Kind>::request_of(const scope& where, arguments& in) {
  permits::request asked;
  const auto owner = in.text("owner");
  const auto pid = in.text("pid", {1, class_name_bytes_max + process_key_bytes_max + 1});
  if constexpr (!is_lock) asked.count = in.integer("permits", {1, permits_.limit()}).value_or(1);
  const auto lease = in.seconds("ttlSeconds", lease_accepted);
  if (!owner && !pid) in.refuse("owner", "is missing: name the client, or give the pid of the process that asks");
  if (auto fault = in.fault()) return fail(std::move(*fault));
  if (pid) {
    const auto process = where.around.find(*pid);
    if (!process) return fail(process.error().code, name_of("acquire") + ": pid: " + process.error().context);
    asked.process = *process;
    asked.pid = where.around.text_of(*process);
  }
  asked.owner = owner ? std::string{*owner} : asked.pid;
  asked.lease = lease ? *lease : asked.pid.empty() ? settings_.chosen.lease : duration::max();
  return asked;
}

template <builtin_kind Kind>
result<permits::holders::iterator> guard<Kind>::held_by(arguments& in) {
  const auto owner = in.text("owner");
  const auto token = in.integer("token", any_token);
  if (owner && token) in.refuse("token", "is given beside owner; one of them is enough");
  if (!owner && !token) in.refuse("owner", "is missing");
  if (auto fault = in.fault()) return fail(std::move(*fault));
  if (token) return permits_.find(*token);
  return permits_.find(*owner);
}

// ---- methods ----

template <builtin_kind Kind>
outcome guard<Kind>::acquire(const scope& where, const value& argument) {
  arguments in(is_lock ? "lock.acquire" : "semaphore.acquire", is_lock ? lock_form : semaphore_form, argument, "owner");
  const auto wait = in.seconds("waitSeconds", wait_accepted).value_or(duration::zero());
  auto asked = request_of(where, in);
  if (!asked) return refused{std::move(asked.error())};
  const auto size = state_overhead + permits_.size() + permits::size_of(*asked);
  if (size > settings_.state_bytes_max)
    return refused{too_much_state(name_of("acquire"), size, settings_.state_bytes_max)};

  const bool behind =
      !waiting_.empty() && waiting_.first(where) != nullptr && permits_.find(asked->owner) == permits_.none();
  if (!behind) {
    const auto taken = permits_.try_take(where, *asked);
    if (!taken) return refused{{taken.error().code, name_of("acquire") + ": " + taken.error().context}};
    if (*taken != nullptr) return done{granted(where, **taken)};
  }
  if (wait == duration::zero()) return done{not_granted(where)};
  return waiting_.join(where, name_of("acquire"), static_cast<std::size_t>(settings_.chosen.waiting_max),
                       after(where.now, wait), std::move(*asked), argument);
}

template <builtin_kind Kind>
outcome guard<Kind>::release(const scope& where, const value& argument) {
  arguments in(is_lock ? "lock.release" : "semaphore.release", release_form, argument, "owner");
  const auto held = held_by(in);
  if (!held) return refused{held.error()};
  if (*held == permits_.none()) return done{cbor::bool_value(false)};
  permits_.release(where, *held);
  serve(where);
  return done{cbor::bool_value(true)};
}

template <builtin_kind Kind>
outcome guard<Kind>::renew(const scope& where, const value& argument) {
  arguments in(is_lock ? "lock.renew" : "semaphore.renew", renew_form, argument, "owner");
  const auto lease = in.seconds("ttlSeconds", lease_accepted);
  const auto held = held_by(in);
  if (!held) return refused{held.error()};
  if (*held == permits_.none()) {
    const bool free = permits_.all().empty();
    const auto by = free ? std::string{"; nobody does"} : "; '" + shown(permits_.all().begin()->first) + "' does";
    return refused{
        {errc::conflict, name_of("renew") + ": whoever asks does not hold it (any more)" + (is_lock ? by : "")}};
  }
  permits_.renew(where, *held, lease);
  return done{granted(where, **held)};
}

template <builtin_kind Kind>
outcome guard<Kind>::resize(const scope& where, const value& argument) {
  arguments in("semaphore.resize", "a number of permits", argument, "permits");
  const auto wanted = in.need("permits", in.integer("permits", {1, permits_max}));
  if (auto fault = in.fault()) return refused{std::move(*fault)};
  limit_ = wanted;
  follow_limit();
  serve(where);
  return done{object_writer{}
                  .integer("permits", wanted)
                  .integer("available", std::max<std::int64_t>(permits_.available(), 0))
                  .finish()};
}

template <builtin_kind Kind>
outcome guard<Kind>::inspect(const scope& where, const value& argument) {
  arguments in(is_lock ? "lock.inspect" : "semaphore.inspect", "nothing", argument);
  if (auto fault = in.fault()) return refused{std::move(*fault)};
  array_writer line;
  for (const auto& each : waiting_) {
    if (line.count() == told_max) break;
    object_writer waiter;
    waiter.text("owner", each.wanted.owner);
    if constexpr (!is_lock) waiter.integer("permits", each.wanted.count);
    if (!line.add(waiter.view(), value_bytes_max / 2)) break;
  }
  object_writer out;
  if constexpr (is_lock) {
    out.flag("held", !permits_.all().empty());
    if (!permits_.all().empty()) put_holder(out, where, *permits_.all().begin(), false);
  } else {
    array_writer told;
    for (const auto& each : permits_.all()) {
      object_writer holder;
      put_holder(holder, where, each, true);
      if (told.count() == told_max || !told.add(holder.view(), value_bytes_max / 2)) break;
    }
    out.integer("permits", permits_.limit())
        .integer("available", std::max<std::int64_t>(permits_.available(), 0))
        .integer("holderCount", static_cast<std::int64_t>(permits_.all().size()))
        .item("holders", told.finish());
  }
  out.integer("waitingCount", static_cast<std::int64_t>(waiting_.size())).item("waiting", line.finish());
  return done{out.finish()};
}

template <builtin_kind Kind>
value guard<Kind>::granted(const scope& where, const permits::holders::value_type& to) const {
  object_writer out;
  out.flag("acquired", true).text("owner", to.first).integer("token", to.second.token);
  if constexpr (!is_lock) out.integer("permits", to.second.count);
  put_end(out, where, to.second.until);
  return out.finish();
}

template <builtin_kind Kind>
value guard<Kind>::not_granted(const scope& where) const {
  object_writer out;
  out.flag("acquired", false);
  if constexpr (is_lock) {
    if (!permits_.all().empty()) {
      const auto& [owner, held] = *permits_.all().begin();
      out.text("owner", owner);
      put_end(out, where, held.until);
    }
  } else {
    out.integer("available", std::max<std::int64_t>(permits_.available(), 0));
  }
  return out.integer("waiting", static_cast<std::int64_t>(waiting_.size())).finish();
}

// ---- moving ----

template <builtin_kind Kind>
result<value> guard<Kind>::snapshot(const moment& at) {
  bytes out;
  cbor::put_head(out, cbor::major::array, 3);
  cbor::put_integer(out, lock_format);
  if (limit_) {
    cbor::put_integer(out, *limit_);
  } else {
    cbor::put_null(out);
  }
  permits_.put(out, at);
  return finished_state(is_lock ? "lock" : "semaphore", out);
}

template <builtin_kind Kind>
result<void> guard<Kind>::restore(const scope& where, std::uint64_t, const value& state, std::uint64_t) {
  state_reader in(state);
  in.array(3);
  if (in.integer() != lock_format) in.fail();
  limit_ = in.integer_or_null();
  follow_limit();
  permits_.read(in, where, settings_.chosen.lease);
  set_alarm(where);
  return in.finish(is_lock ? "lock" : "semaphore");
}

template class guard<builtin_kind::lock>;
template class guard<builtin_kind::semaphore>;

}  // namespace orrery::process
