// Why a Lua value cannot be data. Writing goes in the order of hashes, which Lua seeds with time and addresses, so
// where writing stopped says nothing that would be the same on another node. This looks again, in the order of keys.
#include "mesh/base/ids.hpp"
#include "mesh/process/lua_convert.hpp"
#include "mesh/process/lua_host.hpp"

namespace orrery::process {
namespace {

std::string_view text_at(lua_State* state, int index) {
  std::size_t size = 0;
  const char* data = lua_tolstring(state, index, &size);
  return {data, size};
}

/// Leaves the least key above `after` and its value on the stack, in place of the two that are there. False: there is
/// none. REQUIRES: the table's keys are strings.
bool next_in_order(lua_State* state, int table, const std::string_view* after, std::string_view& found) {
  const int key = lua_gettop(state) - 1;
  bool any = false;
  lua_pushnil(state);
  while (lua_next(state, table) != 0) {
    const auto candidate = text_at(state, -2);
    if ((after == nullptr || *after < candidate) && (!any || candidate < found)) {
      any = true;
      found = candidate;
      lua_copy(state, -2, key);
      lua_copy(state, -1, key + 1);
    }
    lua_pop(state, 1);
  }
  return any;
}

}  // namespace

bool lua_encoder::spend(std::size_t steps) {
  if (steps > explain_left_) {
    explain_left_ = 0;
    return false;
  }
  explain_left_ -= steps;
  return true;
}

bool lua_encoder::explain(lua_State* state, int index, int depth) {
  if (!spend(1)) return false;
  switch (lua_type(state, index)) {
    case LUA_TNIL:
    case LUA_TBOOLEAN:
    case LUA_TNUMBER:
    case LUA_TSTRING:
      return false;
    case LUA_TLIGHTUSERDATA:
      return lua_touserdata(state, index) != nullptr && !refuse("a value that is no data");
    case LUA_TTABLE:
      break;
    default:
      return !refuse(std::string{"a "} + lua_typename(state, lua_type(state, index)) + ", which is no data,");
  }
  bool marked = false;
  if (!is_plain(state, index, depth, marked)) return true;
  std::size_t count = 0;
  switch (shape_of(state, index, marked, count)) {
    case shape::array:
      return explain_array(state, index, depth, count);
    case shape::object:
      return explain_object(state, index, depth, count);
    case shape::neither:
      break;
  }
  return true;
}

bool lua_encoder::explain_array(lua_State* state, int index, int depth, std::size_t count) {
  for (std::size_t i = 1; i <= count; ++i) {
    lua_rawgeti(state, index, static_cast<lua_Integer>(i));
    const bool found = explain(state, lua_gettop(state), depth + 1);
    lua_pop(state, 1);
    if (found) path_.insert(0, "[" + std::to_string(i) + "]");
    if (found || explain_left_ == 0) return found;
  }
  return false;
}

bool lua_encoder::explain_object(lua_State* state, int index, int depth, std::size_t count) {
  lua_pushnil(state);
  lua_pushnil(state);
  std::string_view key;
  std::string_view before;
  bool found = false;
  for (std::size_t i = 0; i < count && !found && spend(count); ++i) {
    if (!next_in_order(state, index, i == 0 ? nullptr : &before, key)) break;
    before = key;
    if (!is_utf8(key)) {
      found = !refuse("a table with a key that is not UTF-8");
      break;
    }
    found = explain(state, lua_gettop(state), depth + 1);
    if (found) path_.insert(0, "." + std::string{key.substr(0, 60)});
  }
  lua_pop(state, 2);
  return found;
}

}  // namespace orrery::process
