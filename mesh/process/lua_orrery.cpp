// The module `orrery` of scripts, and the random numbers of math.random.
#include "mesh/kernel/core.hpp"
#include "mesh/process/lua_host.hpp"

#include <algorithm>
#include <chrono>

namespace orrery::process {
namespace {

constexpr std::uint64_t cast_cost = 100;  ///< in instructions: bounds the casts of one callback
constexpr std::size_t timers_max = 1000;  ///< of one process
constexpr duration delay_min = std::chrono::milliseconds{1};
constexpr double delay_seconds_max = 366.0 * 24 * 3600;

lua_job& callback_of(lua_State* state, const char* function) {
  auto& host = host_of(state);
  if (host.job == nullptr || host.job->where == nullptr) {
    luaL_error(state, "%s is for callbacks, not for the script's top level", function);
  }
  return *host.job;
}

int now(lua_State* state) {
  const auto since = callback_of(state, "orrery.now").where->now.time_since_epoch();
  lua_pushnumber(state, std::chrono::duration<double>(since).count());
  return 1;
}

int self(lua_State* state) {
  const auto& where = *callback_of(state, "orrery.self").where;
  lua_createtable(state, 0, 2);
  lua_pushlstring(state, where.klass.data(), where.klass.size());
  lua_setfield(state, -2, "class");
  lua_pushlstring(state, where.key.data(), where.key.size());
  lua_setfield(state, -2, "key");
  return 1;
}

/// No Lua in here: it has destructors. False: `host.message` says what is wrong.
bool send(lua_host& host, std::string_view name, std::string_view method, bytes& encoded) {
  auto to = parse_process_name(name);
  if (!to) {
    host.message = "orrery.cast: " + to.error().context;
    return false;
  }
  host.meter.allocated_elsewhere(encoded.size() + name.size() + method.size());
  host.job->where->out.emplace_back(cast_sent{std::move(*to), std::string{method}, value::adopt(std::move(encoded))});
  return true;
}

bool encode_argument(lua_State* state, lua_host& host) {
  host.job->encoded.clear();
  if (host.encoder.encode(state, 3, value_bytes_max, host.job->encoded)) return true;
  host.message = "orrery.cast: the argument has " + host.encoder.why();
  return false;
}

int cast(lua_State* state) {
  auto& job = callback_of(state, "orrery.cast");
  auto& host = host_of(state);
  charge(state, cast_cost);
  std::size_t name_size = 0;
  std::size_t method_size = 0;
  const char* name = luaL_checklstring(state, 1, &name_size);
  const char* method = luaL_checklstring(state, 2, &method_size);
  luaL_argcheck(state, method_size > 0 && method_size <= 256, 2, "a method has 1 to 256 bytes");
  lua_settop(state, 3);
  if (!encode_argument(state, host)) return raise_message(state);
  if (!send(host, {name, name_size}, {method, method_size}, job.encoded)) return raise_message(state);
  return 0;
}

/// No Lua in here. The timer's number, or 0: `host.message` says what is wrong.
std::int64_t set_timer(lua_host& host, double seconds, std::string_view word) {
  auto& job = *host.job;
  auto& self = job.where->self;
  if (job.functions == nullptr || !job.functions->infos.contains(word)) {
    host.message = "orrery.send_after: the script has no info." + std::string{word.substr(0, 80)};
    return 0;
  }
  if (self.of().load_of(self.self()).timers >= timers_max) {
    host.message = "orrery.send_after: this process has " + std::to_string(timers_max) + " timers, as many as it may";
    return 0;
  }
  const auto atom = self.of().atoms().intern(word);
  // A process that sets a timer in each of its timers is to let the node sleep between them.
  const auto delay = std::max(std::chrono::duration_cast<duration>(std::chrono::duration<double>(seconds)), delay_min);
  const auto set =
      atom ? self.send_after(delay, self.self(), *atom, value::adopt(std::move(job.encoded))) : kernel::no_reference;
  if (set == kernel::no_reference) {
    host.message = "orrery.send_after: this node has as many timers as it may";
    return 0;
  }
  return static_cast<std::int64_t>(kernel::packed(set)) + 1;
}

/// send_after(seconds, word [, argument]) -> timer; info.WORD(state, argument) runs then, if the process still lives.
int send_after(lua_State* state) {
  auto& job = callback_of(state, "orrery.send_after");
  auto& host = host_of(state);
  charge(state, cast_cost);
  const double seconds = luaL_checknumber(state, 1);
  std::size_t word_size = 0;
  const char* word = luaL_checklstring(state, 2, &word_size);
  luaL_argcheck(state, seconds >= 0 && seconds <= delay_seconds_max, 1, "a delay has 0 seconds to a year");
  lua_settop(state, 3);
  job.encoded.clear();
  if (!host.encoder.encode(state, 3, value_bytes_max, job.encoded)) {
    host.message = "orrery.send_after: the argument has " + host.encoder.why();
    return raise_message(state);
  }
  const auto timer = set_timer(host, seconds, {word, word_size});
  if (timer == 0) return raise_message(state);
  lua_pushinteger(state, timer);
  return 1;
}

/// cancel(timer) -> seconds that were left, or nil
int cancel(lua_State* state) {
  auto& job = callback_of(state, "orrery.cancel");
  const auto timer = kernel::unpacked(static_cast<std::uint64_t>(luaL_checkinteger(state, 1) - 1));
  const auto left = job.where->self.cancel_own(timer);
  if (!left) return 0;
  lua_pushnumber(state, std::chrono::duration<double>(*left).count());
  return 1;
}

void stop_job(lua_job& job, std::string_view reason) {
  using kind = exit_reason::kind;
  job.stops = reason.empty() ? exit_reason{kind::normal, {}} : exit_reason{kind::shutdown, std::string{reason}};
}

/// stop([reason]): the process ends after this callback, orderly. What the callback returns is still answered.
int stop(lua_State* state) {
  auto& job = callback_of(state, "orrery.stop");
  std::size_t size = 0;
  const char* reason = luaL_optlstring(state, 1, "", &size);
  stop_job(job, {reason, std::min<std::size_t>(size, 1000)});
  return 0;
}

bool known_code(lua_host& host, std::string_view name) {
  if (to_string(errc_from(name)) == name) return true;
  host.message = "orrery.fail: '" + std::string{name.substr(0, 60)} +
                 "' is no code; use invalid_argument, not_found, already_exists, conflict, too_large, overloaded, "
                 "unavailable, forbidden or handler_failed";
  return false;
}

int fail_call(lua_State* state) {
  std::size_t size = 0;
  const char* code = luaL_checklstring(state, 1, &size);
  luaL_checkstring(state, 2);
  if (!known_code(host_of(state), {code, size})) return raise_message(state);
  lua_createtable(state, 2, 0);
  lua_pushvalue(state, 1);
  lua_rawseti(state, -2, 1);
  lua_pushvalue(state, 2);
  lua_rawseti(state, -2, 2);
  lua_rawgeti(state, LUA_REGISTRYINDEX, host_of(state).fail_metatable_ref);
  lua_setmetatable(state, -2);
  return lua_error(state);
}

int failure_text(lua_State* state) {
  luaL_checktype(state, 1, LUA_TTABLE);
  lua_rawgeti(state, 1, 2);
  return 1;
}

int array(lua_State* state) {
  if (lua_isnoneornil(state, 1)) {
    lua_newtable(state);
  } else {
    luaL_checktype(state, 1, LUA_TTABLE);
    lua_settop(state, 1);
    if (lua_getmetatable(state, 1) != 0) {
      luaL_argcheck(state, lua_topointer(state, -1) == host_of(state).array_metatable, 1, "it has a metatable");
      lua_pop(state, 1);
    }
  }
  mark_array(state);
  return 1;
}

}  // namespace

int lua_process_random(lua_State* state) {
  auto& random = *callback_of(state, "random").random;
  if (lua_gettop(state) == 0) {
    lua_pushnumber(state, random.unit());
    return 1;
  }
  const bool range = lua_gettop(state) > 1;
  const auto low = range ? luaL_checkinteger(state, 1) : 1;
  const auto high = luaL_checkinteger(state, range ? 2 : 1);
  luaL_argcheck(state, low <= high, range ? 2 : 1, "interval is empty");
  const auto span = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low);
  const auto drawn = span == UINT64_MAX ? random.next() : random.below(span + 1);
  lua_pushinteger(state, static_cast<lua_Integer>(static_cast<std::uint64_t>(low) + drawn));
  return 1;
}

void push_orrery_module(lua_State* state) {
  static constexpr luaL_Reg functions[] = {{"array", array}, {"cancel", cancel},
                                           {"cast", cast},   {"fail", fail_call},
                                           {"now", now},     {"random", lua_process_random},
                                           {"self", self},   {"send_after", send_after},
                                           {"stop", stop},   {nullptr, nullptr}};
  auto& host = host_of(state);
  lua_createtable(state, 0, 2);
  lua_pushcfunction(state, failure_text);
  lua_setfield(state, -2, "__tostring");
  lua_pushboolean(state, 0);
  lua_setfield(state, -2, "__metatable");
  host.fail_metatable = lua_topointer(state, -1);
  host.fail_metatable_ref = luaL_ref(state, LUA_REGISTRYINDEX);

  lua_newtable(state);
  luaL_setfuncs(state, functions, 0);
  lua_pushlightuserdata(state, nullptr);
  lua_setfield(state, -2, "null");
}

}  // namespace orrery::process
