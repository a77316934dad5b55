#include "mesh/process/apps/behaviour.hpp"

#include "mesh/base/assert.hpp"
#include "mesh/base/overloaded.hpp"
#include "mesh/kernel/core.hpp"
#include "mesh/wire/cbor.hpp"
#include "mesh/wire/trace_context.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>
#include <string_view>
#include <tuple>

namespace orrery::process {
namespace {

using cbor::major;

constexpr std::size_t snapshot_overhead = 32;  ///< bytes of a snapshot beside the state

bytes array_of(std::uint64_t size) {
  bytes out;
  cbor::put_head(out, major::array, size);
  return out;
}

/// What `next` held, marked so that it is not taken for the first message of a life.
value wrapped(const value& payload) {
  auto out = array_of(1);
  cbor::put(out, payload.cbor());
  return value::adopt(out);
}
std::optional<value> unwrapped(const value& payload) {
  cbor::reader in(payload.cbor());
  if (const auto head = in.next(); head.kind != major::array || head.number != 1) return {};
  return value::adopt(in.whole());
}

/// The first message after a move.
bool is_arrival(const value& payload) {
  const auto head = cbor::reader(payload.cbor()).next();
  return head.kind == major::array && head.number == 0;
}

struct timer_payload {
  std::string name;
  std::uint64_t number = 0;
  value argument;
};
timer_payload decoded(const value& payload) {
  cbor::reader in(payload.cbor());
  static_cast<void>(in.next());
  const auto name = in.take(in.next().number);
  const auto number = in.next().number;
  return {std::string{name}, number, value::adopt(in.whole())};
}

error too_much(std::string_view what, std::size_t given, std::size_t allowed) {
  return {errc::limit_exceeded,
          std::string{what} + " " + std::to_string(given) + " bytes; " + std::to_string(allowed) + " are allowed"};
}

}  // namespace

app_behaviour::~app_behaviour() {
  if (at_work_) pool_.abandon(*at_work_, "its process has ended");
  if (place_ != 0) pool_.leave(place_);
}

// ---- callbacks ----

std::optional<exit_reason> app_behaviour::init(const scope& where, std::uint64_t seed) {
  static_cast<void>(seed);
  if (where.given != nullptr) state_ = *where.given;
  where.self.resume();  // an app has to say what the state begins as, and may not be there yet
  return {};
}

app_work app_behaviour::work_of(const scope& where, app_callback what) const {
  app_work out{.name = {class_name{std::string{where.klass}}, process_key{std::string{where.key}}},
               .pid = where.around.text_of(where.self.self()),
               .what = what};
  if (what == app_callback::init) {
    out.argument = state_;
  } else {
    out.state = state_, out.state_version = state_version_;
  }
  return out;
}

outcome app_behaviour::wait(const scope& where) {
  where.self.put_back();
  where.self.pause();
  place_ = pool_.wait(where.self.self());
  return deferred{};
}

/// Hands the message over, or what must come before it; or it waits.
outcome app_behaviour::ask(const scope& where, app_work what) {
  if (!pool_.anyone_there()) return wait(where);
  const bool first_of_life = what.what == app_callback::init;
  const bool old_state = begun_ && state_version_ != pool_.state_version();
  const bool before = (!begun_ && !first_of_life) || (old_state && pool_.has(app_callback::code_change));
  if (!begun_ && !pool_.has(app_callback::init)) {
    begun_ = true;
    state_ = value{};
    state_version_ = pool_.state_version();
    if (first_of_life) return done{};
    return ask(where, std::move(what));
  }
  if (old_state && !before) what.state_version = state_version_ = pool_.state_version();
  if (before) what = work_of(where, begun_ ? app_callback::code_change : app_callback::init);
  if (!pool_.admits(where.self.self(), what)) return wait(where);
  if (before) where.self.put_back();
  where.self.pause();
  place_ = 0;
  doing_ = what.what;
  if (doing_ == app_callback::call) {
    asking_ = kernel::caller_of(*where.handled);
    what.caller = asked_number_ = ++numbers_;
  }
  asked_version_ = pool_.state_version();
  at_work_ = pool_.begin(where.now, where.self.self(), std::move(what));
  return deferred{};
}

outcome app_behaviour::call(const scope& where, std::string_view method, const value& argument) {
  if (auto why = pool_.refusal(where.now)) return refused{std::move(*why)};
  if (!pool_.answers(message_kind::call, method)) {
    return refused{{errc::not_found, "no app hosts method '" + std::string{method} + "' of class '" +
                                         std::string{where.klass} + "' for a call; there are " +
                                         pool_.methods(message_kind::call)}};
  }
  auto what = work_of(where, app_callback::call);
  what.method = method;
  std::tie(what.trace, what.argument) = split_trace(argument);
  return ask(where, std::move(what));
}

outcome app_behaviour::cast(const scope& where, std::string_view method, const value& argument) {
  if (!pool_.answers(message_kind::cast, method)) return done{};  // accepted before anyone knew the methods
  auto what = work_of(where, app_callback::cast);
  what.method = method;
  std::tie(what.trace, what.argument) = split_trace(argument);
  return ask(where, std::move(what));
}

outcome app_behaviour::info(const scope& where, const kernel::message& arrived) {
  using kind = kernel::message::kind;
  if (arrived.what == kind::timer) return fired(where, arrived.payload);
  if (arrived.what == kind::resume) return resumed(where, arrived.payload);
  if (arrived.what == kind::reply || arrived.what == kind::down) return heard(where, arrived);
  if (arrived.what != kind::plain) return done{};
  auto what = work_of(where, app_callback::info);
  what.method = where.self.of().atoms().text(arrived.word);
  if (what.method == app_notice_word && arrived.from == where.self.self()) return noticed(where);
  what.argument = arrived.payload;
  what.source = app_source::message;
  return inform(where, std::move(what), [] {});
}

template <class Forget>
outcome app_behaviour::inform(const scope& where, app_work what, const Forget& forget) {
  if (pool_.anyone_there() && !pool_.has(app_callback::info)) {
    forget();
    return done{};
  }
  auto led_to = ask(where, std::move(what));
  if (!where.self.puts_back()) forget();
  return led_to;
}

/// The first message of a life, what `next` held, or the first after a move.
outcome app_behaviour::resumed(const scope& where, const value& payload) {
  if (is_arrival(payload)) {
    if (pool_.anyone_there() && !pool_.has(app_callback::handoff)) return done{};
    return ask(where, work_of(where, app_callback::handoff));
  }
  const auto next = unwrapped(payload);
  if (!next) return begun_ ? done{} : ask(where, work_of(where, app_callback::init));
  if (pool_.anyone_there() && !pool_.has(app_callback::resume)) {
    continues_ = false, more().next = {};
    return done{};
  }
  auto what = work_of(where, app_callback::resume);
  what.argument = *next;
  return ask(where, std::move(what));
}

/// The answer to a call of its own, or the end of what it watches.
outcome app_behaviour::heard(const scope& where, const kernel::message& arrived) {
  const auto ref = kernel::packed(arrived.ref);
  if (!more_ || !more_->names.contains(ref)) return done{};  // another has taken its place
  const bool replied = arrived.what == kernel::message::kind::reply;
  auto what = work_of(where, app_callback::info);
  what.method = more_->names.at(ref);
  what.source = replied ? app_source::reply : app_source::down;
  what.argument = replied ? reply_argument(kernel::outcome_of(arrived))
                          : down_argument(where.around.text_of(arrived.from), kernel::reason_of(arrived));
  const std::string name = what.method;
  return inform(where, std::move(what), [&] { forget(replied ? more_->requests : more_->monitors, name); });
}

outcome app_behaviour::noticed(const scope& where) {
  if (!more_ || more_->notices.empty()) return done{};
  const auto& next = more_->notices.front();
  auto what = work_of(where, app_callback::info);
  what.method = next.name;
  what.source = next.source;
  what.argument = next.argument;
  return inform(where, std::move(what), [&] { more_->notices.pop_front(); });
}

outcome app_behaviour::fired(const scope& where, const value& payload) {
  auto due = decoded(payload);
  const auto known = more().timers.find(due.name);
  if (known == more().timers.end() || known->second.number != due.number) return done{};  // cancelled, or set anew
  auto what = work_of(where, app_callback::info);
  what.method = due.name;
  what.argument = std::move(due.argument);
  what.source = app_source::timer;
  return inform(where, std::move(what), [&] { more().timers.erase(known); });
}

void app_behaviour::terminate(const scope& where, const exit_reason& reason) {
  if (!begun_) return;
  auto what = work_of(where, app_callback::terminate);
  what.reason = reason;
  pool_.say_farewell(where.now, std::move(what));
}

/// [begun, state version, numbers given, state] and, where there are any, the notices: [[name, source, argument], ...],
/// and where a `continue` is to follow, what it gets.
/// Its calls that have no answer yet find none where it goes.
result<value> app_behaviour::snapshot(const moment&) {
  auto notices = more_ ? more_->notices : std::deque<notice>{};
  if (more_) {
    for (const auto& [name, asked] : more_->requests) {
      notices.push_back(
          {name, app_source::reply,
           reply_argument(fail(errc::unavailable, "the process moved to another node before the answer came",
                               took_effect::unknown))});
    }
  }
  const auto packed = pack(begun_, state_, notices, continues_ ? std::optional{more_->next} : std::nullopt);
  return value::from_cbor(packed.cbor());  // with the notices it may be too large
}

value app_behaviour::pack(bool begun, const value& state, const std::deque<notice>& notices,
                          const std::optional<value>& next) const {
  auto out = array_of(next ? 6 : notices.empty() ? 4 : 5);
  cbor::put_bool(out, begun);
  cbor::put_head(out, major::unsigned_integer, begun_ ? state_version_ : 0);
  cbor::put_head(out, major::unsigned_integer, numbers_);
  cbor::put(out, state.cbor());
  if (notices.empty() && !next) return value::adopt(out);
  cbor::put_head(out, major::array, notices.size());
  for (const auto& each : notices) {
    cbor::put_head(out, major::array, 3);
    cbor::put_text(out, each.name);
    cbor::put_head(out, major::unsigned_integer, static_cast<std::uint64_t>(each.source));
    cbor::put(out, each.argument.cbor());
  }
  if (next) cbor::put(out, next->cbor());
  return value::adopt(out);
}

value app_behaviour::packed(value state) const { return pack(true, state, {}, {}); }

value app_behaviour::unpacked(value snapshot) const {
  cbor::reader in(snapshot.cbor());
  static_cast<void>(in.next());
  for (int i = 0; i < 3; ++i)
    static_cast<void>(in.next());
  return value::adopt(in.whole());
}

result<void> app_behaviour::restore(const scope& where, std::uint64_t seed, const value& state, std::uint64_t version) {
  static_cast<void>(seed), static_cast<void>(version);
  const auto wrong = [] { return fail(errc::invalid_argument, "this is no state of an app-hosted process"); };
  cbor::reader in(state.cbor());
  const auto head = in.next();
  if (head.kind != major::array || head.number < 4 || head.number > 6) return wrong();
  const auto begun = in.next();
  if (begun.kind != major::simple || (begun.info != 20 && begun.info != 21)) return wrong();
  const auto of_version = in.next();
  const auto numbers = in.next();
  if (of_version.kind != major::unsigned_integer || of_version.number > std::numeric_limits<std::int32_t>::max() ||
      numbers.kind != major::unsigned_integer) {
    return wrong();
  }
  begun_ = begun.info == 21;
  state_version_ = static_cast<std::uint32_t>(of_version.number);
  numbers_ = numbers.number;
  state_ = value::adopt(in.whole());
  if (head.number >= 5) {
    auto notices = read_notices(in);
    if (!notices) return wrong();
    more().notices = *std::move(notices);
  }
  if (head.number == 6) {
    more().next = value::adopt(in.whole());
    continues_ = true;
  }
  if (!begun_) where.self.resume();
  return {};
}

std::optional<std::deque<app_behaviour::notice>> app_behaviour::read_notices(cbor::reader& in) {
  std::deque<notice> all;
  const auto count = in.next();
  if (count.kind != major::array) return {};
  for (std::uint64_t i = 0; i < count.number; ++i) {
    const auto each = in.next();
    if (each.kind != major::array || each.number != 3) return {};
    const auto name = in.next();
    if (name.kind != major::text) return {};
    std::string called{in.take(name.number)};
    const auto source = in.next();
    if (source.kind != major::unsigned_integer || source.number > static_cast<std::uint64_t>(app_source::down))
      return {};
    all.push_back({std::move(called), static_cast<app_source>(source.number), value::adopt(in.whole())});
  }
  return all;
}

void app_behaviour::take_over(behaviour& before) {
  auto& other = static_cast<app_behaviour&>(before);
  if (!other.more_) return;
  more().kept.swap(other.more_->kept);
  more().requests.swap(other.more_->requests);
  more().monitors.swap(other.more_->monitors);
  more().names.swap(other.more_->names);
  more().notices.swap(other.more_->notices);
  more().next = std::move(other.more_->next);
  continues_ = other.continues_;
}

void app_behaviour::moved(const scope& where) {
  if (!begun_) return;
  if (continues_) where.self.resume(wrapped(more_->next));
  where.self.resume(value::adopt(array_of(0)));  // in front
  const auto word = where.self.of().atoms().intern(app_notice_word);
  for (std::size_t i = 0; word && more_ && i < more_->notices.size(); ++i)
    where.self.send(where.self.self(), *word);
}

// ---- answers ----

result<std::optional<value>> app_behaviour::state_after(const app_answer& answer) const {
  if (!answer.state && !answer.patch) return std::optional<value>{};
  value next;
  if (answer.state) {
    next = *answer.state;
  } else {
    auto document = state_.document();
    document.merge_patch(answer.patch->document());
    auto made = value::from_document(document);
    if (!made) return fail(errc::limit_exceeded, "the patched state: " + made.error().context);
    next = std::move(*made);
  }
  const auto allowed = std::min<std::uint64_t>(pool_.declared().state_bytes_max, value_bytes_max - snapshot_overhead);
  if (next.cbor().size() > allowed) return fail(too_much("its state would have", next.cbor().size(), allowed));
  if (auto flat = check_depth("its state", next); !flat) return fail(std::move(flat.error()));
  return std::optional{std::move(next)};
}

/// One that is set anew is not one more.
std::size_t app_behaviour::timers_after(const app_answer& answer) const {
  const auto is_timer = [](const app_deed& each) { return std::holds_alternative<app_timer>(each); };
  if (std::none_of(answer.deeds.begin(), answer.deeds.end(), is_timer)) return 0;
  std::set<std::string_view> names;
  if (more_) {
    for (const auto& [name, each] : more_->timers)
      names.insert(name);
  }
  for (const auto& each : answer.deeds) {
    if (const auto* set = std::get_if<app_timer>(&each)) names.insert(set->name);
    if (const auto* gone = std::get_if<app_cancel_timer>(&each)) names.erase(gone->name);
  }
  return names.size();
}

/// Calls and monitors, likewise.
std::size_t app_behaviour::asked_after(const app_answer& answer) const {
  std::set<std::string_view> requests;
  std::set<std::string_view> monitors;
  if (more_) {
    for (const auto& [name, each] : more_->requests)
      requests.insert(name);
    for (const auto& [name, each] : more_->monitors)
      monitors.insert(name);
  }
  for (const auto& each : answer.deeds) {
    if (const auto* asked = std::get_if<app_request>(&each)) requests.insert(asked->name);
    if (const auto* watch = std::get_if<app_monitor>(&each)) monitors.insert(watch->name);
    if (const auto* gone = std::get_if<app_demonitor>(&each)) monitors.erase(gone->name);
  }
  return requests.size() + monitors.size() + (more_ ? more_->notices.size() : 0);
}

result<void> app_behaviour::check(const scope& where, const app_answer& answer) const {
  for (const auto& each : answer.deeds) {
    if (auto sound = check_deed(where.around, each); !sound) return sound;
  }
  if (const auto asked = asked_after(answer); asked > app_asked_max) {
    return fail(errc::limit_exceeded, "it would wait for " + std::to_string(asked) + " answers and ends; " +
                                          std::to_string(app_asked_max) + " are allowed");
  }
  if (const auto timers = timers_after(answer); timers > app_timers_max) {
    return fail(errc::limit_exceeded, "it would have " + std::to_string(timers) + " timers; " +
                                          std::to_string(app_timers_max) + " are allowed");
  }
  if (answer.later && more_ && more_->kept.size() >= app_kept_callers_max) {
    // Those whose deadline has passed are forgotten only now: most are answered, and never looked at again.
    std::erase_if(more_->kept, [&](const auto& each) { return !where.self.of().waited_for(each.second); });
    if (more_->kept.size() >= app_kept_callers_max)
      return fail(errc::limit_exceeded, std::to_string(app_kept_callers_max) + " callers wait for a later answer");
  }
  return {};
}

result<void> app_behaviour::finish(const scope& where, app_answer answer) {
  ORRERY_ASSERT(at_work_ && !answer.crash);
  at_work_.reset();
  auto sound = check(where, answer);
  auto state = sound ? state_after(answer) : fail(sound.error());
  if (const auto baggage = state ? baggage_after(answer) : 0; baggage > 0) {
    const auto needed = (*state ? **state : state_).cbor().size() + baggage;
    const auto allowed = value_bytes_max - snapshot_overhead;
    if (needed > allowed)
      state = fail(too_much("its state and the answers that it waits for might have", needed, allowed));
  }
  if (!state) {
    where.self.abort({exit_reason::kind::limit, state.error().context});
    return fail(state.error());
  }
  if (*state) {
    state_ = std::move(**state);
  } else if (doing_ == app_callback::init) {
    state_ = value{};
  }
  state_version_ = asked_version_;
  if (doing_ == app_callback::resume) continues_ = false, more().next = {};
  if (doing_ == app_callback::init) begun_ = true;
  for (auto& each : answer.deeds)
    carry_out(where, each);
  if (doing_ == app_callback::call) {
    if (answer.refusal) {
      where.self.reply(asking_, fail(std::move(*answer.refusal)));
    } else if (answer.later) {
      more().kept.emplace(asked_number_, asking_);
    } else {
      where.self.reply(asking_, answer.reply ? std::move(*answer.reply) : value{});
    }
  }
  if (answer.next) {
    continues_ = true;
    more().next = *answer.next;
    where.self.resume(wrapped(*answer.next));
  }
  if (answer.stop) where.self.stop(std::move(*answer.stop));
  return {};
}

void app_behaviour::timer_restored(const value& payload, kernel::reference set) {
  auto timer_of = decoded(payload);
  more().timers.insert_or_assign(std::move(timer_of.name), timer{timer_of.number, set});
}

// ---- the type ----

namespace {

class app_type final : public behaviour_type {
 public:
  explicit app_type(app_pool& pool) : pool_(pool) { pool_.add_user(); }
  ~app_type() override { pool_.drop_user(); }

  bool answers(message_kind kind, std::string_view method) const override { return pool_.answers(kind, method); }
  std::string methods(message_kind kind) const override { return pool_.methods(kind); }
  std::optional<error> refusal(time_point now) const override { return pool_.refusal(now); }
  bool takes_traces() const noexcept override { return true; }
  std::unique_ptr<behaviour> make() override { return std::make_unique<app_behaviour>(pool_); }
  result<bool> upgrade(const class_spec& spec) override { return std::holds_alternative<app_hosted>(spec.behaviour); }

 private:
  app_pool& pool_;
};

}  // namespace

std::unique_ptr<behaviour_type> make_app_type(app_pool& pool) { return std::make_unique<app_type>(pool); }

}  // namespace orrery::process
