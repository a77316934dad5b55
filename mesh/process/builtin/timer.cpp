#include "mesh/process/builtin/timer.hpp"

#include <utility>

namespace orrery::process {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::int64_t timer_format = 1;
constexpr std::size_t fires_max = 256;  ///< in one turn; the rest at once afterwards
constexpr int argument_levels = 3;
constexpr std::int64_t list_max = 1000;
constexpr std::size_t timer_entry_overhead = 96;
constexpr duration date_look_interval = std::chrono::minutes{1};
constexpr duration clock_corrected = hours{3};
constexpr range<std::size_t> method_bytes{1, 256};
constexpr range<std::size_t> target_bytes{1, class_name_bytes_max + 1 + process_key_bytes_max};
constexpr range<duration> period_accepted{milliseconds{10}, up_to_a_year.most};

constexpr std::string_view sort_names[] = {"after", "at", "every", "cron"};

std::string form_of(std::string_view method) {
  const std::string_view when = method == "after"   ? R"("seconds": N)"
                                : method == "every" ? R"("seconds": N, "firstSeconds": N (optional))"
                                : method == "at"    ? R"("time": "2026-01-31T09:00:00Z")"
                                                    : R"("schedule": "*/5 * * * *")";
  return R"({"name": "...", )" + std::string{when} +
         R"(, "to": "class/key", "method": "...", "argument": ... (optional)})";
}

}  // namespace

result<timer_options> timer::read_options(const value& given) {
  timer_options out;
  arguments in("behaviour.options", R"({"maxTimers": 1000})", given);
  out.timers_max = in.integer("maxTimers", {1, 10'000}).value_or(out.timers_max);
  if (auto fault = in.fault()) return fail(std::move(*fault));
  return out;
}

outcome timer::handle(const scope& where, std::string_view method, const value& argument) {
  if (method == "list") return list(where, argument);
  if (method == "get") return get(where, argument);
  if (method == "cancel") return cancel(argument);
  for (const auto known : sort_names) {
    if (method == known) return set(where, method, argument);
  }
  return refused{{errc::not_found, "timer has no method '" + shown(method) + "'"}};
}

void timer::advance(const scope& where) {
  if (!dates_.empty() && where.wall_offset <= seen_.wall_offset - clock_corrected) begin_schedules_anew(where);
  seen_ = where.when();
  std::size_t fired = 0;
  for (; fired < fires_max && !due_.empty() && due_.begin()->first <= where.now; ++fired)
    fire(where, entries_.find(due_.begin()->second));
  for (; fired < fires_max && !dates_.empty() && dates_.begin()->first <= seen_.wall(); ++fired)
    fire(where, entries_.find(dates_.begin()->second));
}

time_point timer::next_due() const {
  auto due = due_.empty() ? never : due_.begin()->first;
  if (dates_.empty()) return due;
  const auto ahead = std::min<duration>(dates_.begin()->first - seen_.wall(), date_look_interval);
  return std::min(due, after(seen_.now, std::max(ahead, duration::zero())));
}

// ---- firing ----

void timer::fire(const scope& where, entries::iterator of) {
  auto& fires = of->second;
  where.out.emplace_back(cast_sent{fires.to, fires.method, fires.argument});
  ++fires.fired;
  if (fires.kind == sort::after || fires.kind == sort::at) return remove(of);
  disarm(of);
  if (fires.kind == sort::every) {
    const auto missed = (where.now - fires.due) / fires.period;
    fires.due = after(fires.due, fires.period * (missed + 1));
  } else {
    const auto next = fires.parsed->next_after(std::max(where.when().wall(), fires.date));
    if (!next) return remove(of);
    fires.date = *next;
  }
  arm(of);
}

void timer::begin_schedules_anew(const scope& where) {
  for (auto at = entries_.begin(); at != entries_.end(); ++at) {
    if (at->second.kind != sort::cron) continue;
    const auto next = at->second.parsed->next_after(where.when().wall());
    if (!next) continue;
    disarm(at);
    at->second.date = *next;
    arm(at);
  }
}

void timer::arm(entries::iterator of) {
  if (by_date(of->second)) {
    dates_.emplace(of->second.date, of->first);
  } else {
    due_.emplace(of->second.due, of->first);
  }
}

void timer::disarm(entries::iterator of) {
  if (by_date(of->second)) {
    dates_.erase({of->second.date, of->first});
  } else {
    due_.erase({of->second.due, of->first});
  }
}

void timer::remove(entries::iterator gone) {
  disarm(gone);
  size_ -= size_of(gone->first, gone->second);
  entries_.erase(gone);
}

std::size_t timer::size_of(std::string_view name, const entry& of) {
  return name.size() + of.to.klass.value.size() + of.to.key.value.size() + of.method.size() +
         of.argument.cbor().size() + of.schedule.size() + timer_entry_overhead;
}

// ---- methods ----

void timer::read_when(const scope& where, arguments& in, entry& into) const {
  if (into.kind == sort::after) {
    const auto delay = in.need("seconds", in.seconds("seconds", up_to_a_year));
    into.due = after(where.now, delay);
  } else if (into.kind == sort::every) {
    into.period = in.need("seconds", in.seconds("seconds", period_accepted));
    into.due = after(where.now, in.seconds("firstSeconds", up_to_a_year).value_or(into.period));
  } else if (into.kind == sort::at) {
    const auto given = in.need("time", in.text("time"));
    const auto date = parse_rfc3339(given);
    if (!date) return in.refuse("time", date.error().context);
    if (*date < where.when().wall()) {
      in.refuse("time", std::string{given} + " has passed: it is " + to_rfc3339(where.when().wall()));
    }
    into.date = *date;
  } else {
    into.schedule = in.need("schedule", in.text("schedule"));
    auto parsed = cron_schedule::parse(into.schedule);
    if (!parsed) return in.refuse("schedule", parsed.error().context);
    const auto next = parsed->next_after(where.when().wall());
    if (!next) return in.refuse("schedule", "does not come any more");
    into.date = *next;
    into.parsed = *parsed;
  }
}

outcome timer::set(const scope& where, std::string_view method, const value& argument) {
  const auto label = "timer." + std::string{method};
  const auto form = form_of(method);
  arguments in(label, form, argument);
  entry added;
  for (std::size_t i = 0; i < std::size(sort_names); ++i) {
    if (sort_names[i] == method) added.kind = static_cast<sort>(i);
  }
  const auto name = in.need("name", in.text("name"));
  read_when(where, in, added);
  const auto to = in.need("to", in.text("to", target_bytes));
  added.method = in.need("method", in.text("method", method_bytes));
  if (const auto held = in.item("argument", argument_levels)) added.argument = value::adopt(*held);
  auto target = parse_process_name(to);
  if (!target) in.refuse("to", target.error().context);
  if (auto fault = in.fault()) return refused{std::move(*fault)};
  added.to = std::move(*target);

  const auto known = entries_.find(name);
  if (known == entries_.end() && entries_.size() >= static_cast<std::size_t>(settings_.chosen.timers_max)) {
    return refused{{errc::overloaded, label + ": this process has " + std::to_string(entries_.size()) +
                                          " timers, as many as options.maxTimers allows"}};
  }
  const auto size = size_ + size_of(name, added) - (known == entries_.end() ? 0 : size_of(known->first, known->second));
  if (size > settings_.state_bytes_max) return refused{too_much_state(label, size, settings_.state_bytes_max)};
  std::string key{name};
  if (known != entries_.end()) remove(known);
  size_ += size_of(key, added);
  const auto place = entries_.try_emplace(std::move(key), std::move(added)).first;
  arm(place);
  return done{told(where, place->first, place->second).finish()};
}

outcome timer::cancel(const value& argument) {
  arguments in("timer.cancel", "a timer's name (a string)", argument, "name");
  const auto name = in.need("name", in.text("name"));
  if (auto fault = in.fault()) return refused{std::move(*fault)};
  const auto found = entries_.find(name);
  if (found == entries_.end()) return done{cbor::bool_value(false)};
  remove(found);
  return done{cbor::bool_value(true)};
}

object_writer timer::told(const scope& where, const std::string& name, const entry& of) const {
  const auto left = by_date(of) ? of.date - where.when().wall() : of.due - where.now;
  object_writer out;
  out.text("name", name)
      .text("kind", sort_names[static_cast<std::size_t>(of.kind)])
      .text("next", to_rfc3339(where.when().wall() + left))
      .seconds("inSeconds", std::max<duration>(left, duration::zero()))
      .text("to", to_string(of.to))
      .text("method", of.method)
      .integer("fired", of.fired);
  if (of.kind == sort::every) out.seconds("everySeconds", of.period);
  if (of.kind == sort::cron) out.text("schedule", of.schedule);
  return out;
}

outcome timer::get(const scope& where, const value& argument) const {
  arguments in("timer.get", "a timer's name (a string)", argument, "name");
  const auto name = in.need("name", in.text("name"));
  if (auto fault = in.fault()) return refused{std::move(*fault)};
  const auto found = entries_.find(name);
  if (found == entries_.end()) return done{};
  auto out = told(where, found->first, found->second);
  return done{out.item("argument", found->second.argument.cbor()).finish()};
}

outcome timer::list(const scope& where, const value& argument) const {
  arguments in("timer.list", R"({"prefix": "...", "after": "...", "limit": 100}, all optional)", argument, "prefix");
  const auto prefix = in.text("prefix", {0, name_bytes.most}).value_or("");
  const auto from = in.text("after", {0, name_bytes.most}).value_or("");
  const auto limit = static_cast<std::size_t>(in.integer("limit", {1, list_max}).value_or(100));
  if (auto fault = in.fault()) return refused{std::move(*fault)};
  array_writer out;
  auto at = from < prefix ? entries_.lower_bound(prefix) : entries_.upper_bound(from);
  for (; at != entries_.end() && at->first.starts_with(prefix) && out.count() < limit; ++at) {
    if (!out.add(told(where, at->first, at->second).view())) break;
  }
  return done{value::adopt(out.finish())};
}

// ---- moving ----

result<value> timer::snapshot(const moment& at) {
  bytes out;
  out.reserve(size_);
  cbor::put_head(out, cbor::major::array, 2);
  cbor::put_integer(out, timer_format);
  cbor::put_head(out, cbor::major::array, entries_.size());
  for (const auto& [name, each] : entries_) {
    cbor::put_head(out, cbor::major::array, 10);
    cbor::put_text(out, name);
    cbor::put_integer(out, static_cast<std::int64_t>(each.kind));
    cbor::put_text(out, to_string(each.to));
    cbor::put_text(out, each.method);
    cbor::put(out, each.argument.cbor());
    cbor::put_text(out, each.schedule);
    cbor::put_integer(out, std::chrono::duration_cast<milliseconds>(each.period).count());
    cbor::put_integer(out, each.fired);
    if (by_date(each)) {
      cbor::put_null(out);
      cbor::put_integer(out, std::chrono::duration_cast<milliseconds>(each.date.time_since_epoch()).count());
    } else {
      put_remaining(out, at, each.due);
      cbor::put_null(out);
    }
  }
  return finished_state("timer", out);
}

result<void> timer::restore(const scope& where, std::uint64_t, const value& state, std::uint64_t) {
  state_reader in(state);
  in.array(2);
  if (in.integer() != timer_format) in.fail();
  const auto count = in.array();
  for (std::uint64_t i = 0; i < count && !in.broken(); ++i) {
    in.array(10);
    auto name = in.text();
    entry read;
    const auto number = in.integer();
    if (number < 0 || number > static_cast<std::int64_t>(sort::cron)) in.fail();
    auto to = parse_process_name(in.text());
    read.method = in.text();
    const auto argument = in.item();
    read.schedule = in.text();
    read.period = ends_after({}, in.integer()).time_since_epoch();
    read.fired = in.integer();
    read.due = ends_after(where.now, in.integer_or_null());
    const auto date = in.integer_or_null();
    if (!to) in.fail();
    if (in.broken()) break;
    read.argument = value::adopt(argument);
    read.kind = static_cast<sort>(number);
    read.to = std::move(*to);
    read.date = wall_time{ends_after({}, date.value_or(0)).time_since_epoch()};
    if (read.kind == sort::every && read.period < period_accepted.least) in.fail();
    if (read.kind == sort::cron) {
      auto parsed = cron_schedule::parse(read.schedule);
      if (parsed) read.parsed = *parsed;
      if (!parsed) in.fail();
    }
    if (by_date(read) != date.has_value() || entries_.contains(name)) in.fail();
    if (in.broken()) break;
    size_ += size_of(name, read);
    arm(entries_.try_emplace(std::move(name), std::move(read)).first);
  }
  seen_ = where.when();
  set_alarm(where);
  return in.finish("timer");
}

}  // namespace orrery::process
