// What scripts can reach: no files, clock, entropy, code from text, coroutines, collector or debugger; nothing that
// they could leave for each other except through messages.
#include "mesh/process/lua/host.hpp"

#include <string>

namespace orrery::process {
namespace {

/// Upvalue: the library's name, or nil for the globals.
int refuse_write(lua_State* state) {
  lua_settop(state, 2);
  const char* key = lua_type(state, 2) == LUA_TSTRING ? lua_tostring(state, 2) : luaL_typename(state, 2);
  if (lua_isnil(state, lua_upvalueindex(1))) {
    return luaL_error(
        state,
        "assignment to global '%s': state belongs in the state table that callbacks are given and return; "
        "helpers are 'local function %s'",
        key, key);
  }
  return luaL_error(state, "assignment to '%s.%s': libraries cannot be changed",
                    lua_tostring(state, lua_upvalueindex(1)), key);
}

/// Replaces the table on top by an empty one that reads through to it and refuses writes.
void make_read_only(lua_State* state, const char* library) {
  lua_newtable(state);
  lua_createtable(state, 0, 3);
  lua_pushvalue(state, -3);
  lua_setfield(state, -2, "__index");
  library == nullptr ? lua_pushnil(state) : static_cast<void>(lua_pushstring(state, library));
  lua_pushcclosure(state, refuse_write, 1);
  lua_setfield(state, -2, "__newindex");
  lua_pushboolean(state, 0);
  lua_setfield(state, -2, "__metatable");
  lua_setmetatable(state, -2);
  lua_remove(state, -2);
}

constexpr std::uint64_t caught_error_cost = 200;  ///< in instructions: unwinding and a message

/// Lua counts C calls against runaway recursion, but no longer those whose C frames an error has unwound.
constexpr int protected_depth_max = 150;

/// Where an error is caught, Lua walks all of the stack.
void charge_for_depth(lua_State* state) {
  lua_Debug frame{};
  for (int level = 256; lua_getstack(state, level, &frame) != 0; level *= 2)
    charge(state, static_cast<std::uint64_t>(level));
}

void enter_protected(lua_State* state) {
  int& depth = job_of(state).protected_depth;
  if (depth >= protected_depth_max) luaL_error(state, "stack overflow: too many pcalls within each other");
  ++depth;
}

/// What is owed after a protected call: a limit that ended it goes on upwards, as a script must not live through it.
bool ended_well(lua_State* state, int status) {
  --job_of(state).protected_depth;
  if (host_of(state).meter.hit() != lua_meter::limit::none) raise_limit(state);
  const bool fine = status == LUA_OK || status == LUA_YIELD;
  if (!fine) {
    charge(state, caught_error_cost);
    charge_for_depth(state);
  }
  luaL_checkstack(state, 1, "too many results");
  return fine;
}

int after_pcall(lua_State* state, int status, lua_KContext) {
  const bool fine = ended_well(state, status);
  lua_pushboolean(state, fine ? 1 : 0);
  lua_replace(state, 1);
  return lua_gettop(state);
}

/// pcall(f, ...): what it calls may wait for replies.
int protected_call(lua_State* state) {
  luaL_checkany(state, 1);
  enter_protected(state);
  lua_pushboolean(state, 1);
  lua_insert(state, 1);  // where what after_pcall says goes
  return after_pcall(state, lua_pcallk(state, lua_gettop(state) - 2, LUA_MULTRET, 0, 0, after_pcall), 0);
}

int after_handler(lua_State* state, int status, lua_KContext) {
  ended_well(state, status);
  lua_settop(state, 2);
  lua_pushboolean(state, 0);
  lua_replace(state, 1);
  return 2;
}

/// The handler runs after the stack is unwound, not as Lua's message handler: that one would run inside the count hook
/// when a limit is hit, where no hook can stop it.
int after_xpcall(lua_State* state, int status, lua_KContext) {
  if (ended_well(state, status)) {
    lua_pushboolean(state, 1);
    lua_replace(state, 1);
    return lua_gettop(state);
  }
  enter_protected(state);
  lua_settop(state, 2);
  lua_pushvalue(state, 1);
  lua_insert(state, 2);
  return after_handler(state, lua_pcallk(state, 1, LUA_MULTRET, 0, 0, after_handler), 0);
}

/// xpcall(f, handler, ...)
int protected_call_with_handler(lua_State* state) {
  luaL_checktype(state, 2, LUA_TFUNCTION);
  enter_protected(state);
  const int arguments = lua_gettop(state) - 2;
  lua_pushvalue(state, 1);
  lua_copy(state, 2, 1);
  lua_replace(state, 2);  // 1: the handler, 2: the function, then its arguments
  return after_xpcall(state, lua_pcallk(state, arguments, LUA_MULTRET, 0, 0, after_xpcall), 0);
}

/// Upvalue: Lua's own setmetatable.
int guarded_setmetatable(lua_State* state) {
  if (lua_type(state, 2) == LUA_TTABLE) {
    for (const char* refused : {"__gc", "__mode"}) {  // both would act when the collector does: never twice the same
      lua_pushstring(state, refused);
      if (lua_rawget(state, 2) != LUA_TNIL) return luaL_error(state, "metatables cannot have '%s' here", refused);
      lua_pop(state, 1);
    }
  }
  return lua_tocfunction(state, lua_upvalueindex(1))(state);
}

/// Upvalue: Lua's own function. For those whose work grows with the length of their first argument.
int metered_by_length(lua_State* state) {
  if (lua_type(state, 1) == LUA_TSTRING) charge(state, lua_rawlen(state, 1) / 16 + 1);
  return lua_tocfunction(state, lua_upvalueindex(1))(state);
}

/// Upvalue: Lua's own function. Of a text that is taken for a number Lua reads every character, spaces and zeros too.
int metered_by_numbers(lua_State* state) {
  constexpr std::size_t number_size = 64;
  for (int i = lua_gettop(state); i > 0; --i) {
    if (lua_type(state, i) != LUA_TSTRING || lua_rawlen(state, i) <= number_size) continue;
    charge(state, lua_rawlen(state, i) / 8);
  }
  return lua_tocfunction(state, lua_upvalueindex(1))(state);
}

void copy_field(lua_State* state, const char* name) {
  lua_getfield(state, -2, name);
  lua_setfield(state, -2, name);
}

void wrap_field(lua_State* state, const char* name, lua_CFunction wrapper) {
  lua_getfield(state, -2, name);
  lua_pushcclosure(state, wrapper, 1);
  lua_setfield(state, -2, name);
}

void push_math_library(lua_State* state) {
  luaL_requiref(state, LUA_MATHLIBNAME, luaopen_math, 0);
  lua_pushnil(state);
  lua_setfield(state, -2, "randomseed");
  meter_numbers(state);
  lua_pushcfunction(state, lua_process_random);
  lua_setfield(state, -2, "random");
}

void push_utf8_library(lua_State* state) {
  luaL_requiref(state, LUA_UTF8LIBNAME, luaopen_utf8, 0);
  lua_newtable(state);
  for (const char* name : {"char", "charpattern", "codes"})
    copy_field(state, name);
  for (const char* name : {"codepoint", "len", "offset"})
    wrap_field(state, name, metered_by_length);
  lua_remove(state, -2);
}

void add_library(lua_State* state, const char* name, void (*push)(lua_State*)) {
  push(state);
  make_read_only(state, name);
  lua_setfield(state, -2, name);
}

void make_array_metatable(lua_State* state) {
  auto& host = host_of(state);
  lua_createtable(state, 0, 1);
  lua_pushliteral(state, "array");
  lua_setfield(state, -2, "__metatable");
  host.array_metatable = lua_topointer(state, -1);
  host.array_metatable_ref = luaL_ref(state, LUA_REGISTRYINDEX);
}

}  // namespace

void meter_numbers(lua_State* state) {
  lua_pushnil(state);
  while (lua_next(state, -2) != 0) {
    if (lua_iscfunction(state, -1) == 0) {
      lua_pop(state, 1);
      continue;
    }
    lua_pushvalue(state, -2);
    lua_rotate(state, -2, 1);
    lua_pushcclosure(state, metered_by_numbers, 1);
    lua_rawset(state, -4);
  }
}

void mark_array(lua_State* state) {
  lua_rawgeti(state, LUA_REGISTRYINDEX, host_of(state).array_metatable_ref);
  lua_setmetatable(state, -2);
}

void open_sandbox(lua_State* state) {
  make_array_metatable(state);
  lua_pushcfunction(state, luaopen_base);
  lua_call(state, 0, 1);
  lua_newtable(state);
  for (const char* name :
       {"assert", "error", "getmetatable", "ipairs", "rawequal", "rawget", "rawlen", "select", "type"})
    copy_field(state, name);
  wrap_field(state, "setmetatable", guarded_setmetatable);
  wrap_field(state, "tonumber", lua_metered_tonumber);
  static constexpr luaL_Reg ours[] = {{"next", lua_ordered_next},
                                      {"pairs", lua_ordered_pairs},
                                      {"pcall", protected_call},
                                      {"tostring", lua_plain_tostring},
                                      {"xpcall", protected_call_with_handler},
                                      {nullptr, nullptr}};
  luaL_setfuncs(state, ours, 0);
  lua_remove(state, -2);
  add_library(state, "math", push_math_library);
  add_library(state, "orrery", push_orrery_module);
  add_library(state, "string", push_string_library);
  add_library(state, "table", push_table_library);
  add_library(state, "utf8", push_utf8_library);
  make_read_only(state, nullptr);
  lua_pushvalue(state, -1);
  host_of(state).environment_ref = luaL_ref(state, LUA_REGISTRYINDEX);
  // Lua's own globals and list of loaded libraries are reached by no name any more; drop them all the same.
  lua_rawseti(state, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  lua_pushnil(state);
  lua_setfield(state, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
}

}  // namespace orrery::process
