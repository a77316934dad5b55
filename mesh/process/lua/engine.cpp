#include "mesh/process/lua/engine.hpp"

#include "mesh/base/assert.hpp"
#include "mesh/kernel/core.hpp"
#include "mesh/process/lua/host.hpp"

#include <utility>

namespace orrery::process {
namespace {

using ending = lua_job::ending;

/// The sandbox, a state on its way: beyond what a callback may have.
constexpr std::uint64_t inner_memory = 32U << 20U;

int run_open(lua_State* state) {
  open_sandbox(state);
  return 0;
}

const char* text_of(lua_functions::kind kind) {
  switch (kind) {
    case lua_functions::kind::call:
      return "call";
    case lua_functions::kind::cast:
      return "cast";
    case lua_functions::kind::info:
      break;
  }
  return "info";
}

}  // namespace

lua_engine::lua_engine() : host_(std::make_unique<lua_host>()) {
  host_->state = lua_newstate(lua_meter::allocate, &host_->meter);
  ORRERY_ASSERT(host_->state != nullptr);
  *static_cast<lua_host**>(lua_getextraspace(host_->state)) = host_.get();
}

lua_engine::~lua_engine() { lua_close(host_->state); }

result<std::unique_ptr<lua_engine>> lua_engine::create(const lua_source& source, const limits_spec& limits,
                                                       std::uint64_t version, duration (*processor_time)()) {
  std::unique_ptr<lua_engine> made(new lua_engine());
  made->host_->meter.set_clock(processor_time);
  lua_job opening;
  opening.allowed = {UINT64_MAX, inner_memory};
  made->enter(run_open, opening, 0);
  ORRERY_ASSERT(opening.ended == ending::fine);
  if (auto loaded = made->load(source, limits, version); !loaded) return fail(loaded.error());
  return made;
}

bool lua_engine::answers(message_kind kind, std::string_view method) const {
  const auto which = kind == message_kind::call ? lua_functions::kind::call : lua_functions::kind::cast;
  return latest().of(which).contains(method);
}

bool lua_engine::hears(std::string_view word) const {
  const auto& functions = latest();
  return functions.of(lua_functions::kind::info).contains(word) ||
         functions.of(lua_functions::kind::cast).contains(word) ||
         functions.of(lua_functions::kind::call).contains(word);
}

std::string lua_engine::methods(message_kind kind) const {
  std::string names;
  const auto which = kind == message_kind::call ? lua_functions::kind::call : lua_functions::kind::cast;
  for (const auto& [name, reference] : latest().of(which))
    names += (names.empty() ? "" : ", ") + name;
  return names;
}

std::optional<exit_reason> lua_engine::init(lua_process& of, const scope& where, const value& argument) {
  adopt(of, &latest());
  of.version = latest().version;
  auto job = job_for(of, &where);
  job.kind = "init";
  job.text = where.key;
  job.argument = &argument;
  job.function = of.functions->init;
  enter(run_init, job, 0);
  of.state = job.state;
  if (job.ended == ending::fine) {
    keep_account(of, job);
    if (job.wishes.stop) return std::move(job.wishes.stop);
    grant(of, job);
    return {};
  }
  auto why = reason_of(job);
  report(job, to_string(why));
  return why;
}

outcome lua_engine::handle(lua_process& of, lua_functions::kind kind, const scope& where, std::string_view method,
                           const value& argument) {
  if (auto failed = migrate(of, where)) return exits{std::move(*failed), {}};
  const int function = of.functions->find(kind, where.handled->word, method);
  if (function == LUA_NOREF) {
    // Of a call or cast: the script changed while it waited. What info has no function for, nobody waits for any more.
    if (kind == lua_functions::kind::info) return done{};
    return refused{{errc::not_found, "method '" + std::string{method.substr(0, 80)} + "' is gone from the class"}};
  }
  auto job = job_for(of, &where);
  job.kind = text_of(kind);
  job.callback = method;
  job.argument = &argument;
  job.function = function;
  job.called = kind == lua_functions::kind::call;
  if (job.called) job.caller = kernel::caller_of(*where.handled);
  return run(of, job);
}

outcome lua_engine::tell(lua_process& of, const scope& where, std::string_view word) {
  if (auto failed = migrate(of, where)) return exits{std::move(*failed), {}};
  const int function = of.functions->find(lua_functions::kind::info, word);
  if (function == LUA_NOREF) return done{};
  auto job = job_for(of, &where);
  job.kind = "info";
  job.callback = word;
  job.arrived = where.handled;
  job.function = function;
  return run(of, job);
}

outcome lua_engine::arrived(lua_process& of, const scope& where) {
  const kernel::message& told = *where.handled;
  using kind = kernel::message::kind;
  switch (told.what) {
    case kind::reply:
      if (of.waits() && of.ties->waiting->job.asked == told.ref) return go_on(of, where);
      if (of.tied().asks > 0) --of.ties->asks;
      return tell(of, where, info_of_reply);
    case kind::down:
      of.tied().monitors.erase(told.ref);
      return tell(of, where, info_of_down);
    case kind::exit:
      return tell(of, where, info_of_exit);
    case kind::timeout:
      return tell(of, where, info_of_timeout);
    case kind::resume:
      of.holds_on = false;
      return tell(of, where, std::exchange(of.moved, false) ? info_of_move : info_of_continue);
    case kind::plain:
    case kind::timer:
    case kind::call:
    case kind::cast:
      break;
  }
  const auto word = where.self.of().atoms().text(told.word);
  if (told.what == kind::plain && is_of_the_system(word)) return done{};  // only the system says it
  return handle(of, lua_functions::kind::info, where, word, told.payload);
}

void lua_engine::has_moved(lua_process& of, const scope& where) {
  if (of.functions->find(lua_functions::kind::info, info_of_move) == LUA_NOREF) return;
  of.moved = true;
  of.holds_on = true;
  where.self.resume();
}

void lua_engine::abandon(lua_process& of, const scope& where, const exit_reason& reason) {
  const auto waiting = std::exchange(of.ties->waiting, nullptr);
  luaL_unref(host_->state, LUA_REGISTRYINDEX, waiting->thread.reference);
  // Where the process ends, the kernel tells its callers.
  if (!waiting->job.called || !where.self.of().alive(where.self.self())) return;
  where.self.reply(waiting->job.caller, fail(errc::process_exited, to_string(reason), took_effect::unknown));
}

void lua_engine::terminate(lua_process& of, const scope& where, const exit_reason& reason) {
  if (of.waits()) abandon(of, where, reason);
  if (of.functions == nullptr || of.functions->terminate == LUA_NOREF || of.state == LUA_NOREF) return;
  const auto text = to_string(reason);
  auto job = job_for(of, &where);
  job.kind = "terminate";
  job.text = text;
  job.function = of.functions->terminate;
  enter(run_terminate, job, of.largest_string);  // it ends either way
  if (job.ended != ending::fine && job.ended != ending::over) report(job, to_string(reason_of(job)));
}

result<value> lua_engine::snapshot(lua_process& of) {
  if (of.waits()) return fail(errc::unavailable, "it waits for the reply to a call of its own; retry");
  if (of.holds_on) return fail(errc::unavailable, "it is to continue before anything else; retry");
  lua_State* state = host_->state;
  lua_rawgeti(state, LUA_REGISTRYINDEX, of.state);
  bytes encoded;
  const bool fine = host_->encoder.encode(state, -1, value_bytes_max, encoded);
  lua_settop(state, 0);
  if (!fine) {
    return fail(errc::internal, "the state after its last message cannot be kept: it has " + host_->encoder.why());
  }
  return value::adopt(encoded);
}

result<void> lua_engine::restore(lua_process& of, const value& state, std::uint64_t version) {
  adopt(of, &latest());
  of.version = version;
  auto job = job_for(of, nullptr);
  job.kind = "a move";
  job.argument = &state;
  job.allowed.memory_bytes = inner_memory;
  enter(run_restore, job, 0);
  of.state = job.state;
  if (job.ended == ending::bad_argument) {
    return fail(errc::invalid_argument, "the state has an integer of more than 64 bits");
  }
  if (job.ended != ending::fine) return fail(errc::invalid_argument, reason_of(job).detail);
  keep_account(of, job);
  return {};
}

void lua_engine::forget(lua_process& of) noexcept {
  if (of.waits()) luaL_unref(host_->state, LUA_REGISTRYINDEX, of.ties->waiting->thread.reference);
  of.ties.reset();
  luaL_unref(host_->state, LUA_REGISTRYINDEX, std::exchange(of.state, LUA_NOREF));
  adopt(of, nullptr);
}

}  // namespace orrery::process
