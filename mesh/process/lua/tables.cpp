// The sandbox's table library and iteration. Ours because Lua's loop in C without counting instructions, trust __len,
// and, for `next` and `pairs`, go in the order of hashes that are seeded with time and addresses: the same program
// would send its casts in another order on every run. All work on plain tables, in an order of keys that is always the
// same.
#include "mesh/process/lua/host.hpp"

#include <algorithm>
#include <climits>

namespace orrery::process {
namespace {

void check_plain(lua_State* state, int index) {
  luaL_checktype(state, index, LUA_TTABLE);
  if (lua_getmetatable(state, index) == 0) return;
  const bool marked = lua_topointer(state, -1) == host_of(state).array_metatable;
  lua_pop(state, 1);
  if (!marked) luaL_argerror(state, index, "a plain table is needed, this one has a metatable");
}

lua_Integer length(lua_State* state, int index) { return static_cast<lua_Integer>(lua_rawlen(state, index)); }

/// The number of integers in [from, to], charged as work.
std::uint64_t charge_range(lua_State* state, lua_Integer from, lua_Integer to) {
  if (from > to) return 0;
  const auto count = static_cast<std::uint64_t>(to) - static_cast<std::uint64_t>(from) + 1;
  charge(state, count == 0 ? UINT64_MAX : count);
  return count;
}

int table_insert(lua_State* state) {
  check_plain(state, 1);
  luaL_argcheck(state, length(state, 1) < LUA_MAXINTEGER, 1, "array too big");
  const auto end = length(state, 1) + 1;
  switch (lua_gettop(state)) {
    case 2:
      lua_rawseti(state, 1, end);
      return 0;
    case 3: {
      const auto at = luaL_checkinteger(state, 2);
      luaL_argcheck(state, at >= 1 && at <= end, 2, "position out of bounds");
      charge_range(state, at, end);
      for (auto i = end; i > at; --i) {
        lua_rawgeti(state, 1, i - 1);
        lua_rawseti(state, 1, i);
      }
      lua_rawseti(state, 1, at);
      return 0;
    }
    default:
      return luaL_error(state, "wrong number of arguments to 'insert'");
  }
}

int table_remove(lua_State* state) {
  check_plain(state, 1);
  const auto size = length(state, 1);
  const auto at = luaL_optinteger(state, 2, size);
  if (lua_gettop(state) > 1) {
    luaL_argcheck(state, at == size || (at >= 1 && at - 1 <= size), 2, "position out of bounds");
  }
  charge_range(state, at, size);
  lua_rawgeti(state, 1, at);
  auto i = at;
  for (; i < size; ++i) {
    lua_rawgeti(state, 1, i + 1);
    lua_rawseti(state, 1, i);
  }
  lua_pushnil(state);
  lua_rawseti(state, 1, i);
  return 1;
}

int table_concat(lua_State* state) {
  check_plain(state, 1);
  std::size_t separator_size = 0;
  const char* separator = luaL_optlstring(state, 2, "", &separator_size);
  const auto from = luaL_optinteger(state, 3, 1);
  const auto to = luaL_optinteger(state, 4, length(state, 1));
  luaL_Buffer out;
  luaL_buffinit(state, &out);
  for (auto i = from; i <= to; ++i) {
    charge(state, 1);
    if (lua_rawgeti(state, 1, i) != LUA_TSTRING && lua_isnumber(state, -1) == 0) {
      return luaL_error(state, "invalid value (a %s, at index %I) in table for 'concat'", luaL_typename(state, -1),
                        static_cast<LUAI_UACINT>(i));
    }
    luaL_addvalue(&out);
    if (i == to) break;  // `to` may be the largest integer
    luaL_addlstring(&out, separator, separator_size);
  }
  luaL_pushresult(&out);
  return 1;
}

int table_unpack(lua_State* state) {
  check_plain(state, 1);
  const auto from = luaL_optinteger(state, 2, 1);
  const auto to = luaL_opt(state, luaL_checkinteger, 3, length(state, 1));
  const auto count = charge_range(state, from, to);
  if (count >= INT_MAX || lua_checkstack(state, static_cast<int>(count)) == 0) {
    return luaL_error(state, "too many results to unpack");
  }
  for (std::uint64_t i = 0; i < count; ++i)
    lua_rawgeti(state, 1, from + static_cast<lua_Integer>(i));
  return static_cast<int>(count);
}

int table_move(lua_State* state) {
  check_plain(state, 1);
  const auto from = luaL_checkinteger(state, 2);
  const auto to = luaL_checkinteger(state, 3);
  const auto target = luaL_checkinteger(state, 4);
  const int into = lua_isnoneornil(state, 5) ? 1 : 5;
  check_plain(state, into);
  const auto count = static_cast<lua_Integer>(charge_range(state, from, to));
  luaL_argcheck(state, count == 0 || target <= LUA_MAXINTEGER - count + 1, 4, "destination wrap around");
  const auto move_one = [&](lua_Integer i) {
    lua_rawgeti(state, 1, from + i);
    lua_rawseti(state, into, target + i);
  };
  if (target > to || target <= from || into != 1) {
    for (lua_Integer i = 0; i < count; ++i)
      move_one(i);
  } else {
    for (auto i = count; i-- > 0;)
      move_one(i);
  }
  lua_pushvalue(state, into);
  return 1;
}

/// Is the value at `a` to come before that at `b`? Argument 2 is the script's function or nil.
bool less(lua_State* state, int a, int b) {
  charge(state, 2);
  if (lua_isnil(state, 2)) return lua_compare(state, a, b, LUA_OPLT) != 0;
  lua_pushvalue(state, 2);
  lua_pushvalue(state, a < 0 ? a - 1 : a);
  lua_pushvalue(state, b < 0 ? b - 2 : b);
  lua_call(state, 2, 1);
  const bool before = lua_toboolean(state, -1) != 0;
  lua_pop(state, 1);
  return before;
}

/// Merges the runs [begin, middle) and [middle, end) of the table at `from` into the one at `into`.
void merge(lua_State* state, int from, int into, lua_Integer begin, lua_Integer middle, lua_Integer end) {
  auto left = begin;
  auto right = middle;
  for (auto at = begin; at < end; ++at) {
    bool take_right = left == middle;
    if (!take_right && right < end) {
      lua_rawgeti(state, from, right);
      lua_rawgeti(state, from, left);
      take_right = less(state, -2, -1);
      lua_pop(state, 2);
    }
    lua_rawgeti(state, from, take_right ? right++ : left++);
    lua_rawseti(state, into, at);
  }
}

/// A merge sort, so that equal elements keep their order on every run; the script's function sees a copy.
int table_sort(lua_State* state) {
  check_plain(state, 1);
  if (!lua_isnoneornil(state, 2)) luaL_checktype(state, 2, LUA_TFUNCTION);
  lua_settop(state, 2);
  const auto size = length(state, 1);
  charge_range(state, 1, size);
  luaL_argcheck(state, size < INT_MAX, 1, "array too big");
  const int room = lua_meter::room_for(static_cast<std::uint64_t>(size));
  lua_createtable(state, room, 0);  // 3
  lua_createtable(state, room, 0);  // 4
  for (lua_Integer i = 1; i <= size; ++i) {
    lua_rawgeti(state, 1, i);
    lua_rawseti(state, 3, i);
  }
  int from = 3;
  int into = 4;
  for (lua_Integer width = 1; width < size; width *= 2) {
    for (lua_Integer begin = 1; begin <= size; begin += 2 * width) {
      merge(state, from, into, begin, std::min(begin + width, size + 1), std::min(begin + 2 * width, size + 1));
    }
    std::swap(from, into);
  }
  for (lua_Integer i = 1; i <= size; ++i) {
    lua_rawgeti(state, from, i);
    lua_rawseti(state, 1, i);
  }
  return 0;
}

// ---- iteration in the order of keys ----

/// A key for comparing: numbers before strings before booleans; what has no order of its own (tables, functions) last,
/// in the order in which Lua has it. Text is that of a key that its table holds.
struct ordered_key {
  int rank = 0;
  lua_Number number = 0;
  lua_Integer integer = 0;
  const char* text = nullptr;
  std::size_t size = 0;
  lua_Integer position = 0;
};

ordered_key key_at(lua_State* state, int index, lua_Integer position) {
  ordered_key key{.rank = 3, .position = position};
  switch (lua_type(state, index)) {
    case LUA_TNUMBER:
      key.rank = 0;
      key.number = lua_tonumber(state, index);
      key.integer = lua_tointeger(state, index);
      break;
    case LUA_TSTRING:
      key.rank = 1;
      key.text = lua_tolstring(state, index, &key.size);
      break;
    case LUA_TBOOLEAN:
      key.rank = 2;
      key.integer = lua_toboolean(state, index);
      break;
    default:
      break;
  }
  return key;
}

bool before(const ordered_key& a, const ordered_key& b) {
  if (a.rank != b.rank) return a.rank < b.rank;
  switch (a.rank) {
    case 0:
      return a.number != b.number ? a.number < b.number : a.integer < b.integer;
    case 1:
      return std::string_view{a.text, a.size} < std::string_view{b.text, b.size};
    case 2:
      return a.integer < b.integer;
    default:
      return a.position < b.position;
  }
}

/// Upvalues: the table, its keys as an array, the order (a userdata of positions), how far we are.
int pairs_step(lua_State* state) {
  const auto* order = static_cast<const lua_Integer*>(lua_touserdata(state, lua_upvalueindex(3)));
  const auto count = length(state, lua_upvalueindex(2));
  auto at = lua_tointeger(state, lua_upvalueindex(4));
  while (at < count) {
    charge(state, 1);
    lua_rawgeti(state, lua_upvalueindex(2), order[at++]);
    lua_pushvalue(state, -1);
    if (lua_rawget(state, lua_upvalueindex(1)) == LUA_TNIL) {  // removed on the way
      lua_pop(state, 2);
      continue;
    }
    lua_pushinteger(state, at);
    lua_replace(state, lua_upvalueindex(4));
    return 2;
  }
  lua_pushinteger(state, at);
  lua_replace(state, lua_upvalueindex(4));
  lua_pushnil(state);
  return 1;
}

/// Upvalues: the table, its length, how far we are.
int sequence_step(lua_State* state) {
  const auto count = lua_tointeger(state, lua_upvalueindex(2));
  for (auto at = lua_tointeger(state, lua_upvalueindex(3)) + 1; at <= count; ++at) {
    charge(state, 1);
    lua_pushinteger(state, at);
    if (lua_rawgeti(state, lua_upvalueindex(1), at) != LUA_TNIL) {
      lua_copy(state, -2, lua_upvalueindex(3));
      return 2;
    }
    lua_pop(state, 2);
  }
  lua_pushinteger(state, count);
  lua_replace(state, lua_upvalueindex(3));
  lua_pushnil(state);
  return 1;
}

/// Are the keys of the table at 1 exactly 1 to its length, and does Lua have them in that order?
bool is_sequence(lua_State* state) {
  lua_Integer expected = 0;
  lua_pushnil(state);
  while (lua_next(state, 1) != 0) {
    lua_pop(state, 1);
    if (lua_isinteger(state, -1) == 0 || lua_tointeger(state, -1) != ++expected) {
      lua_pop(state, 1);
      return false;
    }
  }
  return expected == length(state, 1);
}

}  // namespace

int lua_ordered_pairs(lua_State* state) {
  luaL_checkany(state, 1);
  if (luaL_getmetafield(state, 1, "__pairs") != LUA_TNIL) {
    lua_pushvalue(state, 1);
    lua_call(state, 1, 3);
    return 3;
  }
  luaL_checktype(state, 1, LUA_TTABLE);
  lua_settop(state, 1);
  lua_pushvalue(state, 1);
  charge(state, static_cast<std::uint64_t>(length(state, 1)) / 2);  // looking is work, even if nobody goes on
  if (is_sequence(state)) {
    lua_pushinteger(state, length(state, 1));
    lua_pushinteger(state, 0);
    lua_pushcclosure(state, sequence_step, 3);
    lua_pushvalue(state, 1);
    lua_pushnil(state);
    return 3;
  }
  lua_newtable(state);  // 3: the keys
  lua_Integer count = 0;
  lua_pushnil(state);
  while (lua_next(state, 1) != 0) {
    lua_pop(state, 1);
    lua_pushvalue(state, -1);
    lua_rawseti(state, 3, ++count);
  }
  charge(state, static_cast<std::uint64_t>(count) * 4);
  auto* order =
      static_cast<lua_Integer*>(lua_newuserdatauv(state, sizeof(lua_Integer) * static_cast<std::size_t>(count), 0));
  auto* keys =
      static_cast<ordered_key*>(lua_newuserdatauv(state, sizeof(ordered_key) * static_cast<std::size_t>(count), 0));
  for (lua_Integer i = 0; i < count; ++i) {
    lua_rawgeti(state, 3, i + 1);
    keys[i] = key_at(state, -1, i + 1);
    lua_pop(state, 1);
  }
  if (!std::is_sorted(keys, keys + count, before)) std::sort(keys, keys + count, before);
  for (lua_Integer i = 0; i < count; ++i)
    order[i] = keys[i].position;
  lua_pop(state, 1);
  lua_pushinteger(state, 0);
  lua_pushcclosure(state, pairs_step, 4);  // takes the table, keys, order and place
  lua_pushvalue(state, 1);
  lua_pushnil(state);
  return 3;
}

/// The least key above the one given. Looks at every key: for walking through a table, `pairs` is the quick way.
int lua_ordered_next(lua_State* state) {
  luaL_checktype(state, 1, LUA_TTABLE);
  lua_settop(state, 2);
  const bool first = lua_isnil(state, 2);
  ordered_key least{};
  bool found = false;
  bool passed = false;  // for keys without an order: the one given has been seen
  ordered_key given = key_at(state, 2, 0);
  lua_pushnil(state);  // 3: the best key so far, 4: the walking key
  lua_pushnil(state);
  lua_Integer position = 0;
  while (lua_next(state, 1) != 0) {
    lua_pop(state, 1);
    charge(state, 1);
    const auto key = key_at(state, 4, ++position);
    const bool same_place = key.rank == 3 && given.rank == 3;
    const bool after = first || (same_place ? passed : before(given, key));
    if (same_place && lua_rawequal(state, 2, 4) != 0) passed = true;
    if (!after || (found && !before(key, least))) continue;
    found = true;
    least = key;
    lua_copy(state, 4, 3);
  }
  if (!found) {
    lua_pushnil(state);
    return 1;
  }
  lua_settop(state, 3);
  lua_pushvalue(state, 3);
  lua_rawget(state, 1);
  return 2;
}

void push_table_library(lua_State* state) {
  static constexpr luaL_Reg functions[] = {{"concat", table_concat}, {"insert", table_insert}, {"move", table_move},
                                           {"remove", table_remove}, {"sort", table_sort},     {"unpack", table_unpack},
                                           {nullptr, nullptr}};
  luaL_requiref(state, LUA_TABLIBNAME, luaopen_table, 0);
  lua_getfield(state, -1, "pack");
  lua_remove(state, -2);
  lua_newtable(state);
  luaL_setfuncs(state, functions, 0);
  lua_rotate(state, -2, 1);
  lua_setfield(state, -2, "pack");
}

}  // namespace orrery::process
