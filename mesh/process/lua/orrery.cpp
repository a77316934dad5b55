// The module `orrery` of scripts, and the random numbers of math.random.
#include "mesh/kernel/core.hpp"
#include "mesh/process/lua/module.hpp"

#include <algorithm>
#include <chrono>

namespace orrery::process {
namespace {

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

int fail_call(lua_State* state) {
  const auto code = check_text(state, 1);
  luaL_checkstring(state, 2);
  check_code(state, code, "orrery.fail");
  lua_createtable(state, 0, 2);
  lua_pushvalue(state, 1);
  lua_setfield(state, -2, "code");
  lua_pushvalue(state, 2);
  lua_setfield(state, -2, "text");
  lua_rawgeti(state, LUA_REGISTRYINDEX, host_of(state).fail_metatable_ref);
  lua_setmetatable(state, -2);
  return lua_error(state);
}

/// tostring of what orrery.fail raises: its text.
int failure_text(lua_State* state) {
  luaL_checktype(state, 1, LUA_TTABLE);
  lua_getfield(state, 1, "text");
  return 1;
}

/// tostring of what orrery.call raises: "deadline_exceeded: no answer came before the deadline"
int error_text(lua_State* state) {
  luaL_checktype(state, 1, LUA_TTABLE);
  lua_getfield(state, 1, "code");
  lua_pushliteral(state, ": ");
  lua_getfield(state, 1, "text");
  for (const int part : {-3, -1}) {  // the script may have put anything there
    if (lua_isstring(state, part) == 0) return luaL_error(state, "an error without code and text");
  }
  lua_concat(state, 3);
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
  auto& random = callback_of(state, "random").process->random;
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

namespace {

/// A metatable of error objects: read-only, and with a text.
int make_error_metatable(lua_State* state, lua_CFunction text, const void*& known_by) {
  lua_createtable(state, 0, 2);
  lua_pushcfunction(state, text);
  lua_setfield(state, -2, "__tostring");
  lua_pushboolean(state, 0);
  lua_setfield(state, -2, "__metatable");
  known_by = lua_topointer(state, -1);
  return luaL_ref(state, LUA_REGISTRYINDEX);
}

int keep_text(lua_State* state, const char* text) {
  lua_pushstring(state, text);
  return luaL_ref(state, LUA_REGISTRYINDEX);
}

}  // namespace

void push_orrery_module(lua_State* state) {
  static constexpr luaL_Reg functions[] = {{"array", array}, {"fail", fail_call},
                                           {"now", now},     {"random", lua_process_random},
                                           {"self", self},   {nullptr, nullptr}};
  auto& host = host_of(state);
  host.fail_metatable_ref = make_error_metatable(state, failure_text, host.fail_metatable);
  host.error_metatable_ref = make_error_metatable(state, error_text, host.error_metatable);
  host.code_key_ref = keep_text(state, "code");
  host.text_key_ref = keep_text(state, "text");

  lua_newtable(state);
  luaL_setfuncs(state, functions, 0);
  add_message_functions(state);
  add_timing_functions(state);
  add_process_functions(state);
  add_group_functions(state);
  lua_pushlightuserdata(state, nullptr);
  lua_setfield(state, -2, "null");
}

}  // namespace orrery::process
