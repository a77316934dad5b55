// Callbacks in their coroutines: begun, waiting, gone on with, and what they left behind.
#include "mesh/base/assert.hpp"
#include "mesh/base/overloaded.hpp"
#include "mesh/kernel/core.hpp"
#include "mesh/process/lua/engine.hpp"
#include "mesh/process/lua/host.hpp"
#include "mesh/wire/cbor.hpp"

#include <algorithm>
#include <utility>

namespace orrery::process {
namespace {

using ending = lua_job::ending;

constexpr std::uint64_t callback_cost = 64;  ///< instructions that a callback counts for at least
/// The state is measured once the work since then is worth it: encoding costs about its size.
constexpr std::uint64_t measure_ratio = 16;
/// Callbacks that allocate nothing cannot make a state grow by more than this takes to notice.
constexpr std::uint16_t unmeasured_max = 16;
constexpr std::size_t spare_threads_max = 8;
constexpr std::size_t garbage_min = 64U << 10U;  ///< that is worth a collection
constexpr std::size_t feast_min = 32U << 20U;
constexpr std::size_t scratch_kept_max = 64U << 10U;

std::string limit_text(const lua_meter& meter) {
  if (meter.hit() == lua_meter::limit::over) return "cut off";
  if (meter.hit() == lua_meter::limit::time) {
    const auto allowed = std::chrono::duration_cast<std::chrono::milliseconds>(lua_meter::time_max).count();
    return "more than " + std::to_string(allowed) + " ms of processor time in one callback, in fewer than " +
           std::to_string(meter.allowed().instructions) + " instructions: single ones took very long, as they do in " +
           "a table whose keys collide";
  }
  if (meter.hit() == lua_meter::limit::keys) {
    return "a table of more than " + std::to_string(lua_meter::keys_max) + " keys beside its sequence";
  }
  return meter.hit() == lua_meter::limit::memory
             ? "more than " + std::to_string(meter.allowed().memory_bytes) + " bytes allocated in one callback"
             : "more than " + std::to_string(meter.allowed().instructions) + " instructions in one callback";
}

/// Numbers, booleans and null: to push them allocates nothing, and so raises nothing.
bool is_scalar(const value& argument) {
  const auto kind = static_cast<cbor::major>(argument.cbor().front() >> 5U);
  return kind == cbor::major::unsigned_integer || kind == cbor::major::negative_integer || kind == cbor::major::simple;
}

}  // namespace

lua_process::lua_process() = default;
lua_process::~lua_process() = default;
lua_ties& lua_process::tied() {
  if (ties == nullptr) ties = std::make_unique<lua_ties>();
  return *ties;
}
bool lua_process::waits() const noexcept { return ties != nullptr && ties->waiting != nullptr; }

/// Counts what runs until it goes, for the engine and for the callback itself; what ran around it is paused.
class lua_engine::metered {
 public:
  explicit metered(lua_engine& engine) : engine_(engine) {
    if (meter().active()) outer_ = meter().pause();
  }
  metered(const metered&) = delete;
  metered& operator=(const metered&) = delete;
  ~metered() {
    engine_.work_ += meter().work() - before_;
    meter().end();
    if (outer_) meter().go_on(*outer_);
  }
  void begin(lua_State* thread, lua_meter::allowance allowed, std::size_t largest_string) {
    meter().begin(thread, allowed, largest_string);
  }
  void go_on(const lua_meter::gauge& used) {
    meter().go_on(used);
    before_ = meter().work();
  }

 private:
  [[nodiscard]] lua_meter& meter() const { return engine_.host_->meter; }
  lua_engine& engine_;
  std::optional<lua_meter::gauge> outer_;
  std::uint64_t before_ = 0;
};

// ---- threads ----

lua_thread lua_engine::take_thread() {
  auto& spare = host_->spare;
  if (!spare.empty()) {
    const lua_thread taken = spare.back();
    spare.pop_back();
    return taken;
  }
  lua_thread made;
  made.state = lua_newthread(host_->state);
  made.reference = luaL_ref(host_->state, LUA_REGISTRYINDEX);
  return made;
}

void lua_engine::give_back(lua_thread thread, bool reusable) {
  if (reusable && host_->spare.size() < spare_threads_max) {
    lua_settop(thread.state, 0);
    return host_->spare.push_back(thread);
  }
  luaL_unref(host_->state, LUA_REGISTRYINDEX, thread.reference);
}

bool lua_engine::resume(lua_State* thread, lua_job& job, int arguments, int& results) {
  auto& host = *host_;
  lua_job* const outer_job = std::exchange(host.job, &job);
  lua_State* const outer = std::exchange(host.running, thread);
  const int status = lua_resume(thread, outer, arguments, &results);
  bool reusable = true;
  if (status == LUA_YIELD) {
    job.ended = ending::waiting;
  } else if (status != LUA_OK && host.meter.hit() == lua_meter::limit::none) {
    describe_error(thread, job, status);
    static_cast<void>(lua_resetthread(thread));  // runs what the script has to be closed
  }
  if (host.meter.hit() != lua_meter::limit::none) {
    // Also where the last allocation was over the limit and no instruction came after it. Where the hook has raised,
    // hooks stay off in this thread: it must never run again.
    note_place(thread);
    job.ended = host.meter.hit() == lua_meter::limit::over ? ending::over
                : job.takes_argument                       ? ending::bad_argument
                                                           : ending::limit;
    job.detail = limit_text(host.meter);
    reusable = false;
  }
  host.job = outer_job;
  host.running = outer;
  return reusable;
}

void lua_engine::enter(lua_CFunction body, lua_job& job, std::size_t largest_string) {
  metered counting(*this);
  const auto thread = take_thread();
  counting.begin(thread.state, job.allowed, largest_string);
  lua_pushcfunction(thread.state, body);
  int results = 0;
  give_back(thread, resume(thread.state, job, 0, results));
  ORRERY_ASSERT(job.ended != ending::waiting);
}

// ---- callbacks ----

lua_job lua_engine::job_for(lua_process& of, const scope* where) const {
  lua_job job;
  job.where = where;
  job.process = &of;
  job.functions = of.functions;
  job.state = of.state;
  job.allowed = {limits_.instructions_max, limits_.memory_bytes_max};
  job.state_bytes_max = limits_.state_bytes_max;
  return job;
}

outcome lua_engine::run(lua_process& of, lua_job& job) {
  metered counting(*this);
  const auto thread = take_thread();
  lua_State* state = thread.state;
  counting.begin(state, job.allowed, of.largest_string);
  const bool scalar = job.argument != nullptr && is_scalar(*job.argument);
  if (!scalar) lua_pushcfunction(state, run_with_argument);
  lua_rawgeti(state, LUA_REGISTRYINDEX, job.function);
  lua_rawgeti(state, LUA_REGISTRYINDEX, job.state);
  if (scalar && !push_cbor(state, job.argument->cbor())) {
    give_back(thread, true);
    job.ended = ending::bad_argument;
    return outcome_of(of, job, {});
  }
  int results = 0;
  const bool reusable = resume(state, job, 2, results);
  return settle(of, thread, job, reusable);
}

outcome lua_engine::settle(lua_process& of, lua_thread thread, lua_job& job, bool reusable) {
  if (job.ended == ending::waiting) {
    wait(of, thread, job);
    return deferred{};
  }
  value reply;
  if (job.ended == ending::fine) reply = take_results(of, thread.state, job);
  keep_account(of, job);
  give_back(thread, reusable);
  return outcome_of(of, job, std::move(reply));
}

value lua_engine::take_results(lua_process& of, lua_State* thread, lua_job& job) {
  auto& host = *host_;
  const int new_state = job.called ? 2 : 1;
  lua_settop(thread, new_state);
  const bool replaced = !lua_isnil(thread, new_state);
  if (replaced) {
    lua_pushvalue(thread, new_state);
    lua_rawseti(thread, LUA_REGISTRYINDEX, job.state);
  }
  const auto work = of.unmeasured_work + host.meter.work() + callback_cost;
  const bool may_differ = host.meter.allocated() > 0 || of.allocated || of.unmeasured_callbacks >= unmeasured_max;
  if (replaced || (may_differ && work * measure_ratio >= of.state_size)) {
    lua_rawgeti(thread, LUA_REGISTRYINDEX, job.state);
    if (!measure_state(thread, job, -1)) return {};
  }
  if (!job.called || lua_isnil(thread, 1)) return {};
  if (lua_isinteger(thread, 1) != 0) return cbor::integer_value(lua_tointeger(thread, 1));
  if (lua_touserdata(thread, 1) == &host.later) {
    job.later = true;
    return {};
  }
  host.scratch.clear();
  if (host.encoder.encode(thread, 1, value_bytes_max, host.scratch)) {
    value reply = value::adopt(host.scratch);
    if (host.scratch.capacity() > scratch_kept_max) bytes{}.swap(host.scratch);
    return reply;
  }
  job.ended = ending::bad_reply;
  job.detail = host.encoder.why();
  return {};
}

void lua_engine::keep_account(lua_process& of, const lua_job& job) const noexcept {
  if (job.measured) {
    of.unmeasured_work = 0;
    of.unmeasured_callbacks = 0;
    of.allocated = false;
    of.state_size = static_cast<std::uint32_t>(job.state_size);
    of.largest_string = static_cast<std::uint32_t>(job.largest_string);
  } else {
    const auto work = of.unmeasured_work + host_->meter.work() + callback_cost;
    of.unmeasured_work = static_cast<std::uint32_t>(std::min<std::uint64_t>(work, UINT32_MAX));
    of.allocated |= host_->meter.allocated() > 0;
    ++of.unmeasured_callbacks;
  }
}

void lua_engine::wait(lua_process& of, lua_thread thread, lua_job& job) {
  const scope& where = *std::exchange(job.where, nullptr);
  job.argument = nullptr;
  where.self.await(job.asked);
  of.tied().waiting = std::make_unique<lua_waiting>(lua_waiting{thread, std::move(job), host_->meter.pause()});
}

outcome lua_engine::go_on(lua_process& of, const scope& where) {
  const auto waiting = std::exchange(of.ties->waiting, nullptr);
  lua_job& job = waiting->job;
  job.where = &where;
  job.arrived = where.handled;
  job.ended = ending::fine;
  metered counting(*this);
  counting.go_on(waiting->used);
  int results = 0;
  const bool reusable = resume(waiting->thread.state, job, 0, results);
  auto led_to = settle(of, waiting->thread, job, reusable);
  if (!job.called) return led_to;
  const auto answer = [&](result<value> with) { where.self.reply(job.caller, std::move(with)); };
  std::visit(overloaded{[&](done& fine) { answer(std::move(fine.reply)); },
                        [&](refused& no) { answer(fail(std::move(no.why))); },
                        [&](exits& end) {
                          if (end.reply) answer(std::move(*std::exchange(end.reply, std::nullopt)));
                        },
                        [](const deferred&) {}},
             led_to);
  return led_to;
}

outcome lua_engine::outcome_of(lua_process& of, lua_job& job, value reply) {
  collect_after_a_feast();
  switch (job.ended) {
    case ending::fine:
      if (job.wishes.stop && job.later) return exits{std::move(*job.wishes.stop), {}};
      if (job.wishes.stop) return exits{std::move(*job.wishes.stop), std::move(reply)};
      grant(of, job);
      if (job.later) return deferred{};
      return done{std::move(reply)};
    case ending::failed:
      grant(of, job);
      return refused{std::move(job.refusal)};
    case ending::bad_argument:
      if (!job.detail.empty()) return refused{{errc::limit_exceeded, "the argument is too much: " + job.detail}};
      return refused{{errc::invalid_argument, "the argument has an integer of more than 64 bits"}};
    case ending::bad_reply:
      return refused{
          {errc::handler_failed, "the reply of " + callback_text(job) + " has " + job.detail, took_effect::executed}};
    case ending::over:
      return exits{{exit_reason::kind::killed, {}}, {}};  // it has a reason already
    case ending::waiting:
    case ending::error:
    case ending::limit:
    case ending::bad_state:
    case ending::state_limit:
      break;
  }
  auto why = reason_of(job);
  report(job, to_string(why));
  return exits{std::move(why), {}};
}

void lua_engine::grant(lua_process& of, lua_job& job) {
  auto& self = job.where->self;
  if (job.wishes.go_on) {
    of.holds_on = true;
    self.resume(std::move(*job.wishes.go_on));
  }
  if (job.wishes.timeout) self.receive_timeout(*job.wishes.timeout);
  if (job.wishes.hibernate) collect_garbage();
}

/// A callback that needed much, and keeps little, leaves its garbage to a collector that has no reason to hurry.
void lua_engine::collect_after_a_feast() {
  const auto heap = static_cast<std::size_t>(lua_gc(host_->state, LUA_GCCOUNT)) << 10U;
  if (heap > heap_after_collection_ * 4 + feast_min) collect_garbage();
}

/// All processes of the class share a heap, and to walk it takes its size: only where there may be much to give back.
void lua_engine::collect_garbage() {
  lua_State* state = host_->state;
  const auto heap = [&] { return static_cast<std::size_t>(lua_gc(state, LUA_GCCOUNT)) << 10U; };
  const auto before = heap();
  if (before < heap_after_collection_ + heap_after_collection_ / 4 + garbage_min) return;
  while (host_->spare.size() > 1) {
    luaL_unref(state, LUA_REGISTRYINDEX, host_->spare.back().reference);
    host_->spare.pop_back();
  }
  lua_gc(state, LUA_GCCOLLECT);
  heap_after_collection_ = heap();
  work_ += before / 8;
}

}  // namespace orrery::process
