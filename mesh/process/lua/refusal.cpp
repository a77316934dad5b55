// Why a Lua value cannot be data. Writing goes in the order of hashes, which Lua seeds with time and addresses, so
// where writing stopped says nothing that would be the same on another node. This looks at all of it, and tells the
// first in the order of keys. How much there is to look at does not depend on any order, so neither does giving up.
#include "mesh/base/ids.hpp"
#include "mesh/process/lua/convert.hpp"
#include "mesh/process/lua/host.hpp"

#include <algorithm>
#include <utility>

namespace orrery::process {

bool lua_encoder::explain(lua_State* state, int index, int depth) {
  if (explain_left_ == 0 || --explain_left_ == 0) return false;
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
  const auto kind = shape_of(state, index, marked, count);
  explain_left_ -= std::min(explain_left_, count);
  if (explain_left_ == 0) return false;
  switch (kind) {
    case shape::array:
      return explain_array(state, index, depth, count);
    case shape::object:
      return explain_object(state, index, depth);
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

bool lua_encoder::explain_object(lua_State* state, int index, int depth) {
  bool found = false;
  std::string first;
  std::string why;
  std::string path;
  lua_pushnil(state);
  while (lua_next(state, index) != 0) {
    std::size_t size = 0;
    const char* data = lua_tolstring(state, -2, &size);
    const std::string_view key{data, size};
    const bool readable = is_utf8(key);
    path_.clear();
    const bool refused =
        readable ? explain(state, lua_gettop(state), depth + 1) : !refuse("a table with a key that is not UTF-8");
    if (refused && (!found || key < first)) {
      found = true;
      first = key;
      why = std::move(why_);
      path = readable ? "." + std::string{key.substr(0, 60)} + path_ : std::string{};
    }
    lua_pop(state, 1);
    if (explain_left_ > 0) continue;
    lua_pop(state, 1);
    return false;
  }
  why_ = std::move(why);
  path_ = std::move(path);
  return found;
}

}  // namespace orrery::process
