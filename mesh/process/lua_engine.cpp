#include "mesh/process/lua_engine.hpp"

#include "mesh/base/assert.hpp"
#include "mesh/process/lua_host.hpp"

#include <algorithm>
#include <utility>

namespace orrery::process {
namespace {

using ending = lua_job::ending;

constexpr std::uint64_t callback_cost = 64;  ///< instructions that a callback counts for at least
/// A compiled script, and the sandbox: beyond what a callback may have, as it is there once per class.
constexpr std::uint64_t load_memory = 32U << 20U;
/// The state is measured once the work since then is worth it: encoding costs about its size.
constexpr std::uint64_t measure_ratio = 16;

/// "script:12: text" -> "line 12: text"
std::string with_line(std::string_view text, int line) {
  constexpr std::string_view prefix = "script:";
  if (text.starts_with(prefix)) return "line " + std::string{text.substr(prefix.size())};
  return line > 0 ? "line " + std::to_string(line) + ": " + std::string{text} : std::string{text};
}

void describe_failure(lua_State* state, lua_job& job) {
  std::size_t size = 0;
  lua_rawgeti(state, 1, 1);
  const char* code = lua_tolstring(state, -1, &size);
  job.refusal.code = errc_from({code, size});
  lua_rawgeti(state, 1, 2);
  const char* text = lua_tolstring(state, -1, &size);
  job.refusal.context.assign(text, size);
  job.refusal.effect = took_effect::executed;
  job.ended = ending::failed;
}

/// The message handler of every entry: notes what happened, and where, while the stack is still there.
int on_error(lua_State* state) {
  auto& host = host_of(state);
  lua_job& job = *host.job;
  job.line = current_line(state);
  if (host.meter.hit() != lua_meter::limit::none) {
    job.ended = ending::limit;
    return 1;
  }
  if (job.ended == ending::bad_argument) return 1;
  job.ended = ending::error;
  if (lua_type(state, 1) == LUA_TSTRING || lua_type(state, 1) == LUA_TNUMBER) {
    std::size_t size = 0;
    const char* text = lua_tolstring(state, 1, &size);
    job.detail.assign(text, std::min<std::size_t>(size, 1000));
  } else if (lua_getmetatable(state, 1) != 0 && lua_topointer(state, -1) == host.fail_metatable) {
    describe_failure(state, job);
  } else {
    job.detail = "error object is a ";
    job.detail += luaL_typename(state, 1);
  }
  lua_settop(state, 1);
  return 1;
}

// ---- what runs inside `enter`: plain C frames, results in the job ----

void push_argument(lua_State* state, lua_job& job) {
  if (push_cbor(state, job.argument->cbor())) return;
  job.ended = ending::bad_argument;
  lua_pushnil(state);
  lua_error(state);
}

/// Looks whether the value at `index` can be kept as state. Sets the job's ending.
bool measure(lua_State* state, lua_job& job, int index) {
  auto& host = host_of(state);
  bytes& scratch = job.encoded;
  const auto begin = scratch.size();
  job.measured = true;
  if (!host.encoder.encode(state, index, job.state_bytes_max, scratch)) {
    job.ended = host.encoder.too_large() ? ending::state_limit : ending::bad_state;
    job.detail = host.encoder.why();
    return false;
  }
  job.state_size = scratch.size() - begin;
  job.largest_string = host.encoder.largest_string();
  scratch.resize(begin);
  return true;
}

void empty_if_nil(lua_State* state, int index) {
  if (!lua_isnil(state, index)) return;
  lua_newtable(state);
  lua_replace(state, index);
}

int run_init(lua_State* state) {
  lua_job& job = job_of(state);
  lua_settop(state, 0);
  if (job.function == LUA_NOREF) {
    lua_newtable(state);
  } else {
    lua_rawgeti(state, LUA_REGISTRYINDEX, job.function);
    lua_pushlstring(state, job.text.data(), job.text.size());
    lua_call(state, 1, 1);
  }
  empty_if_nil(state, 1);
  if (measure(state, job, 1)) job.state = keep(state);
  return 0;
}

int run_restore(lua_State* state) {
  lua_job& job = job_of(state);
  lua_settop(state, 0);
  push_argument(state, job);
  empty_if_nil(state, 1);
  if (measure(state, job, 1)) job.state = keep(state);
  return 0;
}

int run_snapshot(lua_State* state) {
  lua_job& job = job_of(state);
  lua_rawgeti(state, LUA_REGISTRYINDEX, job.state);
  auto& encoder = host_of(state).encoder;
  if (encoder.encode(state, -1, value_bytes_max, job.encoded)) return 0;
  job.ended = ending::bad_state;
  job.detail = encoder.why();
  return 0;
}

int run_terminate(lua_State* state) {
  lua_job& job = job_of(state);
  lua_rawgeti(state, LUA_REGISTRYINDEX, job.function);
  lua_rawgeti(state, LUA_REGISTRYINDEX, job.state);
  lua_pushlstring(state, job.text.data(), job.text.size());
  lua_call(state, 2, 0);
  return 0;
}

/// call.METHOD(state, argument) -> reply [, new state]; cast.METHOD(state, argument) [-> new state]
int run_handler(lua_State* state) {
  lua_job& job = job_of(state);
  auto& host = host_of(state);
  lua_settop(state, 0);
  lua_rawgeti(state, LUA_REGISTRYINDEX, job.function);
  lua_rawgeti(state, LUA_REGISTRYINDEX, job.state);
  push_argument(state, job);
  lua_call(state, 2, job.wants_reply ? 2 : 1);
  const int new_state = job.wants_reply ? 2 : 1;
  const bool replaced = !lua_isnil(state, new_state);
  if (replaced) {
    lua_pushvalue(state, new_state);
    lua_rawseti(state, LUA_REGISTRYINDEX, job.state);
  }
  job.encoded.clear();
  const auto work = job.unmeasured_work + host.meter.work() + callback_cost;
  if (replaced || work * measure_ratio >= job.state_size) {
    lua_rawgeti(state, LUA_REGISTRYINDEX, job.state);
    if (!measure(state, job, -1)) return 0;
  }
  if (job.wants_reply && !host.encoder.encode(state, 1, value_bytes_max, job.encoded)) {
    job.ended = ending::bad_reply;
    job.detail = host.encoder.why();
  }
  return 0;
}

/// code_change(old version, state) [-> new state]
int run_code_change(lua_State* state) {
  lua_job& job = job_of(state);
  lua_settop(state, 0);
  lua_rawgeti(state, LUA_REGISTRYINDEX, job.function);
  lua_pushinteger(state, static_cast<lua_Integer>(job.old_version));
  lua_rawgeti(state, LUA_REGISTRYINDEX, job.state);
  lua_call(state, 2, 1);
  if (!lua_isnil(state, 1)) {
    lua_pushvalue(state, 1);
    lua_rawseti(state, LUA_REGISTRYINDEX, job.state);
  }
  lua_rawgeti(state, LUA_REGISTRYINDEX, job.state);
  static_cast<void>(measure(state, job, -1));
  return 0;
}

int run_open(lua_State* state) {
  open_sandbox(state);
  return 0;
}

std::string limit_text(const lua_meter& meter) {
  return meter.hit() == lua_meter::limit::memory
             ? "more than " + std::to_string(meter.allowed().memory_bytes) + " bytes allocated in one callback"
             : "more than " + std::to_string(meter.allowed().instructions) + " instructions in one callback";
}

}  // namespace

lua_engine::lua_engine() : host_(std::make_unique<lua_host>()), functions_(std::make_unique<lua_functions>()) {
  host_->state = lua_newstate(lua_meter::allocate, &host_->meter);
  ORRERY_ASSERT(host_->state != nullptr);
  *static_cast<lua_host**>(lua_getextraspace(host_->state)) = host_.get();
}

lua_engine::~lua_engine() { lua_close(host_->state); }

result<std::unique_ptr<lua_engine>> lua_engine::create(const lua_source& source, const limits_spec& limits,
                                                       std::uint64_t version) {
  std::unique_ptr<lua_engine> made(new lua_engine());
  lua_job opening;
  opening.allowed = {UINT64_MAX, load_memory};
  made->enter(run_open, opening, 0);
  ORRERY_ASSERT(opening.ended == ending::fine);
  if (auto loaded = made->load(source, limits); !loaded) return fail(loaded.error());
  made->version_ = version;
  return made;
}

result<void> lua_engine::replace(const lua_source& source, const limits_spec& limits, std::uint64_t version) {
  if (auto loaded = load(source, limits); !loaded) return loaded;
  version_ = version;
  return {};
}

void lua_engine::enter(lua_CFunction body, lua_job& job, std::size_t largest_string) {
  lua_State* state = host_->state;
  host_->job = &job;
  host_->meter.begin(state, job.allowed, largest_string);
  lua_pushcfunction(state, on_error);
  lua_pushcfunction(state, body);
  const int status = lua_pcall(state, 0, 0, 1);
  if (host_->meter.hit() != lua_meter::limit::none) {
    // Also where the last allocation was over the limit and no instruction came after it.
    job.ended = ending::limit;
    job.detail = limit_text(host_->meter);
  } else if (status != LUA_OK && job.ended == ending::fine) {
    job.ended = ending::error;
    job.detail = status == LUA_ERRMEM ? "not enough memory" : "an error in the handling of an error";
  }
  work_ += host_->meter.work();
  host_->meter.end();
  host_->job = nullptr;
  lua_settop(state, 0);
}

result<void> lua_engine::load(const lua_source& source, const limits_spec& limits) {
  if (source.script.size() > script_bytes_max) {
    return fail(errc::too_large, "the script has " + std::to_string(source.script.size()) + " bytes; at most " +
                                     std::to_string(script_bytes_max) + " are accepted");
  }
  lua_job job;
  job.script = source.script;
  job.allowed = {UINT64_MAX, load_memory};
  job.allowed_at_top_level = {limits.instructions_max, limits.memory_bytes_max};
  enter(run_load, job, 0);
  if (job.ended != ending::fine) {
    release(job.loaded);
    return fail(job.ended == ending::limit ? errc::limit_exceeded : errc::invalid_argument,
                with_line(job.ended == ending::failed ? job.refusal.context : job.detail, job.line));
  }
  release(*functions_);
  *functions_ = std::move(job.loaded);
  limits_ = limits;
  return {};
}

void lua_engine::release(const lua_functions& functions) noexcept {
  lua_State* state = host_->state;
  const auto drop = [&](int reference) { luaL_unref(state, LUA_REGISTRYINDEX, reference); };
  drop(functions.init);
  drop(functions.terminate);
  drop(functions.code_change);
  for (const auto& [name, reference] : functions.calls)
    drop(reference);
  for (const auto& [name, reference] : functions.casts)
    drop(reference);
  for (const auto& [name, reference] : functions.infos)
    drop(reference);
}

bool lua_engine::answers(message_kind kind, std::string_view method) const {
  return (kind == message_kind::call ? functions_->calls : functions_->casts).contains(method);
}

std::string lua_engine::methods(message_kind kind) const {
  std::string names;
  for (const auto& [name, reference] : kind == message_kind::call ? functions_->calls : functions_->casts)
    names += (names.empty() ? "" : ", ") + name;
  return names;
}

exit_reason lua_engine::reason_of(const lua_job& job, std::string_view callback) const {
  const auto in_state = [&](const std::string& what) { return "the state after " + std::string{callback} + what; };
  switch (job.ended) {
    case ending::limit:
      return {exit_reason::kind::limit, with_line(job.detail, job.line)};
    case ending::state_limit:
      return {exit_reason::kind::limit, in_state(" has " + job.detail)};
    case ending::bad_state:
      return {exit_reason::kind::error, in_state(" cannot be kept: it has " + job.detail)};
    case ending::failed:
      return {exit_reason::kind::error, with_line(job.refusal.context, job.line)};
    case ending::fine:
    case ending::error:
    case ending::bad_argument:
    case ending::bad_reply:
      break;
  }
  return {exit_reason::kind::error, with_line(job.detail, job.line)};
}

void lua_engine::keep_account(lua_process& of, const lua_job& job) const noexcept {
  if (job.measured) {
    of.unmeasured_work = 0;
    of.state_size = job.state_size;
    of.largest_string = job.largest_string;
  } else {
    of.unmeasured_work += host_->meter.work() + callback_cost;
  }
}

std::optional<exit_reason> lua_engine::init(lua_process& of, const scope& where) {
  lua_job job;
  job.where = &where;
  job.random = &of.random;
  job.text = where.key;
  job.allowed = {limits_.instructions_max, limits_.memory_bytes_max};
  job.function = functions_->init;
  job.state_bytes_max = limits_.state_bytes_max;
  job.functions = functions_.get();
  enter(run_init, job, 0);
  of.state = job.state;
  of.version = version_;
  if (job.ended != ending::fine) return reason_of(job, "init");
  keep_account(of, job);
  return {};
}

std::optional<exit_reason> lua_engine::migrate(lua_process& of, const scope* where) {
  if (of.version >= version_) return {};
  const auto old_version = std::exchange(of.version, version_);
  if (functions_->code_change == LUA_NOREF) return {};
  lua_job job;
  job.where = where;
  job.random = &of.random;
  job.functions = functions_.get();
  job.allowed = {limits_.instructions_max, limits_.memory_bytes_max};
  job.function = functions_->code_change;
  job.state = of.state;
  job.old_version = old_version;
  job.state_bytes_max = limits_.state_bytes_max;
  enter(run_code_change, job, of.largest_string);
  keep_account(of, job);
  if (job.ended == ending::fine) return {};
  auto why = reason_of(job, "code_change");
  why.detail = "code_change from version " + std::to_string(old_version) + ": " + why.detail;
  return why;
}

outcome lua_engine::info(lua_process& of, const scope& where, std::string_view word, const value& argument) {
  const auto found = functions_->infos.find(word);
  if (found == functions_->infos.end()) return done{};  // nobody waits for it any more
  return run(of, where, found->second, false, "info '" + std::string{word} + "'", argument);
}

outcome lua_engine::handle(lua_process& of, message_kind kind, const scope& where, std::string_view method,
                           const value& argument) {
  const auto& methods_of_kind = kind == message_kind::call ? functions_->calls : functions_->casts;
  const auto found = methods_of_kind.find(method);
  if (found == methods_of_kind.end()) {  // the script changed while the message waited
    return refused{{errc::not_found, "method '" + std::string{method.substr(0, 80)} + "' is gone from the class"}};
  }
  return run(of, where, found->second, kind == message_kind::call, method, argument);
}

outcome lua_engine::run(lua_process& of, const scope& where, int function, bool wants_reply, std::string_view method,
                        const value& argument) {
  if (auto failed = migrate(of, &where)) return exits{std::move(*failed), {}};
  lua_job job;
  job.where = &where;
  job.random = &of.random;
  job.argument = &argument;
  job.allowed = {limits_.instructions_max, limits_.memory_bytes_max};
  job.functions = functions_.get();
  job.function = function;
  job.state = of.state;
  job.wants_reply = wants_reply;
  job.unmeasured_work = of.unmeasured_work;
  job.state_size = of.state_size;
  job.state_bytes_max = limits_.state_bytes_max;
  enter(run_handler, job, of.largest_string);
  keep_account(of, job);
  switch (job.ended) {
    case ending::fine: {
      auto reply = job.wants_reply ? value::adopt(std::move(job.encoded)) : value{};
      if (job.stops) return exits{std::move(*job.stops), std::move(reply)};
      return done{std::move(reply)};
    }
    case ending::failed:
      return refused{std::move(job.refusal)};
    case ending::bad_argument:
      return refused{{errc::invalid_argument, "the argument has an integer of more than 64 bits"}};
    case ending::bad_reply:
      return refused{{errc::handler_failed, "the reply of '" + std::string{method} + "' has " + job.detail,
                      took_effect::executed}};
    case ending::error:
    case ending::limit:
    case ending::bad_state:
    case ending::state_limit:
      break;
  }
  return exits{reason_of(job, "'" + std::string{method} + "'"), {}};
}

void lua_engine::terminate(lua_process& of, const scope& where, const exit_reason& reason) {
  if (functions_->terminate == LUA_NOREF || of.state == LUA_NOREF) return;
  const auto text = to_string(reason);
  lua_job job;
  job.where = &where;
  job.random = &of.random;
  job.text = text;
  job.allowed = {limits_.instructions_max, limits_.memory_bytes_max};
  job.function = functions_->terminate;
  job.state = of.state;
  enter(run_terminate, job, of.largest_string);  // it ends either way
}

result<value> lua_engine::snapshot(lua_process& of) {
  if (const auto failed = migrate(of, nullptr)) return fail(errc::internal, failed->detail);
  lua_job job;
  job.allowed = {limits_.instructions_max, load_memory};
  job.state = of.state;
  enter(run_snapshot, job, 0);
  if (job.ended != ending::fine) return fail(errc::internal, reason_of(job, "its last message").detail);
  return value::adopt(std::move(job.encoded));
}

result<void> lua_engine::restore(lua_process& of, const value& state, std::uint64_t version) {
  of.version = version;
  lua_job job;
  job.argument = &state;
  job.allowed = {limits_.instructions_max, load_memory};
  job.state_bytes_max = limits_.state_bytes_max;
  enter(run_restore, job, 0);
  of.state = job.state;
  if (job.ended == ending::bad_argument) {
    return fail(errc::invalid_argument, "the state has an integer of more than 64 bits");
  }
  if (job.ended != ending::fine) return fail(errc::invalid_argument, reason_of(job, "a move").detail);
  keep_account(of, job);
  return {};
}

void lua_engine::forget(lua_process& of) noexcept {
  luaL_unref(host_->state, LUA_REGISTRYINDEX, std::exchange(of.state, LUA_NOREF));
}

}  // namespace orrery::process
