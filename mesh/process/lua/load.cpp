// From a script's text to the functions of a behaviour.
#include "mesh/process/lua/host.hpp"

namespace orrery::process {
namespace {

int wrong_script(lua_State* state, const char* text) {
  lua_pushfstring(state, "the script %s", text);
  return lua_error(state);
}

/// A field of the table at 1, without asking metamethods: the meter may be off.
void push_field(lua_State* state, const char* field) {
  lua_pushstring(state, field);
  lua_rawget(state, 1);
}

/// Of what is wrong, the least is told: Lua's order of keys is another one on every run.
bool is_less(const char* a, const char* b) { return std::string_view{a} < std::string_view{b}; }

/// Looks whether the table on top holds functions by name, and nothing else.
void check_methods(lua_State* state, const char* field) {
  const char* wrong = nullptr;  // the type of a value
  const char* under = nullptr;  // the type of its key
  lua_pushnil(state);
  while (lua_next(state, -2) != 0) {
    const bool fine = lua_type(state, -2) == LUA_TSTRING && lua_isfunction(state, -1);
    const char* kind = luaL_typename(state, -1);
    const char* key = luaL_typename(state, -2);
    lua_pop(state, 1);
    if (fine) continue;
    if (wrong == nullptr || is_less(kind, wrong) || (!is_less(wrong, kind) && is_less(key, under))) {
      wrong = kind;
      under = key;
    }
  }
  if (wrong == nullptr) return;
  luaL_error(state, "the script's field '%s' holds a %s under a %s; functions by method name are needed", field, wrong,
             under);
}

/// Collects the functions of the table on top under their names.
void collect(lua_State* state, const char* field, lua_functions::by_name& into) {
  push_field(state, field);
  if (lua_isnil(state, -1)) return lua_pop(state, 1);
  if (!lua_istable(state, -1)) {
    luaL_error(state, "the script's field '%s' is a %s; a table of functions by method is needed", field,
               luaL_typename(state, -1));
  }
  check_methods(state, field);
  lua_pushnil(state);
  while (lua_next(state, -2) != 0) {
    const char* name = lua_tostring(state, -2);
    const int reference = keep(state);
    into.insert_or_assign(name, reference);
  }
  lua_pop(state, 1);
}

int collect_function(lua_State* state, const char* field) {
  push_field(state, field);
  if (lua_isnil(state, -1)) {
    lua_pop(state, 1);
    return LUA_NOREF;
  }
  if (!lua_isfunction(state, -1)) {
    luaL_error(state, "the script's field '%s' is a %s; a function is needed", field, luaL_typename(state, -1));
  }
  return keep(state);
}

void check_fields(lua_State* state) {
  const char* wrong = nullptr;
  lua_pushnil(state);
  while (lua_next(state, 1) != 0) {
    lua_pop(state, 1);
    const char* name = lua_type(state, -1) == LUA_TSTRING ? lua_tostring(state, -1) : "";
    const std::string_view field{name};
    if (field == "init" || field == "call" || field == "cast" || field == "info" || field == "terminate" ||
        field == "code_change") {
      continue;
    }
    const char* shown = lua_type(state, -1) == LUA_TSTRING ? name : luaL_typename(state, -1);
    if (wrong == nullptr || is_less(shown, wrong)) wrong = shown;
  }
  if (wrong == nullptr) return;
  luaL_error(state,
             "the script returns a table with the field '%s'; a behaviour has init, call, cast, info, terminate and "
             "code_change",
             wrong);
}

}  // namespace

int run_load(lua_State* state) {
  lua_job& job = job_of(state);
  lua_settop(state, 0);
  if (luaL_loadbufferx(state, job.script.data(), job.script.size(), "=script", "t") != LUA_OK) return lua_error(state);
  lua_rawgeti(state, LUA_REGISTRYINDEX, host_of(state).environment_ref);
  lua_setupvalue(state, 1, 1);
  host_of(state).meter.begin(state, job.allowed_at_top_level, 0);  // from here on it is the script's own work
  lua_call(state, 0, 1);
  if (!lua_istable(state, 1)) return wrong_script(state, "must return a table with at least call or cast");
  check_fields(state);
  job.loaded->init = collect_function(state, "init");
  job.loaded->terminate = collect_function(state, "terminate");
  job.loaded->code_change = collect_function(state, "code_change");
  using kind = lua_functions::kind;
  collect(state, "call", job.loaded->of(kind::call));
  collect(state, "cast", job.loaded->of(kind::cast));
  collect(state, "info", job.loaded->of(kind::info));
  if (job.loaded->of(kind::call).empty() && job.loaded->of(kind::cast).empty()) {
    return wrong_script(state, "returns a table without methods; it needs call = {...} or cast = {...}");
  }
  return 0;
}

}  // namespace orrery::process
