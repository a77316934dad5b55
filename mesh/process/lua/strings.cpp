// The sandbox's string library: Lua's, except where one call could do unbounded work inside one VM instruction, or
// show an address (which would differ from run to run).
#include "mesh/process/lua/host.hpp"
#include "mesh/process/lua/pattern.hpp"

#include <algorithm>
#include <climits>

namespace orrery::process {
namespace {

std::string_view string_argument(lua_State* state, int index) {
  std::size_t size = 0;
  const char* data = luaL_checklstring(state, index, &size);
  return {data, size};
}

/// Turns a 1-based, perhaps negative position into a 0-based one within [0, size], as string.find's init.
std::size_t start_position(lua_Integer given, std::size_t size) {
  if (given > 0) return static_cast<std::size_t>(given) - 1;
  if (given == 0 || given < -static_cast<lua_Integer>(size)) return 0;
  return size - static_cast<std::size_t>(-given);
}

// ---- patterns ----

bool has_specials(std::string_view pattern) { return pattern.find_first_of("^$*+?.([%-") != std::string_view::npos; }

/// A plain search that is charged for what it compares: find_first_of's quadratic worst case included.
std::size_t plain_find(lua_State* state, std::string_view subject, std::string_view wanted, std::size_t from) {
  if (wanted.empty()) return from;
  while (from + wanted.size() <= subject.size()) {
    const auto window = subject.substr(0, subject.size() - wanted.size() + 1);
    const auto candidate = window.find(wanted.front(), from);
    charge(state,
           ((candidate == std::string_view::npos ? window.size() : candidate) - from) / 32 + wanted.size() / 32 + 1);
    if (candidate == std::string_view::npos) return candidate;
    if (subject.substr(candidate, wanted.size()) == wanted) return candidate;
    from = candidate + 1;
  }
  return std::string_view::npos;
}

pattern_matcher matcher_for(lua_State* state, std::string_view subject, std::string_view pattern) {
  return {subject, pattern, host_of(state).meter.instructions_left()};
}

/// Charges what the matcher did and raises what it failed on.
void settle(lua_State* state, const pattern_matcher& matcher, std::uint64_t already_charged = 0) {
  charge(state, matcher.steps_taken() - already_charged);
  switch (matcher.failed()) {
    case pattern_matcher::failure::none:
      return;
    case pattern_matcher::failure::out_of_steps:
      host_of(state).meter.trip(lua_meter::limit::instructions);
      raise_limit(state);
      return;
    case pattern_matcher::failure::malformed:
    case pattern_matcher::failure::too_complex:
      luaL_error(state, "%s", matcher.why());
  }
}

void push_capture(lua_State* state, const pattern_matcher& matcher, std::string_view subject, int index,
                  std::size_t start, std::size_t end) {
  if (index >= matcher.capture_count()) {
    if (index != 0) luaL_error(state, "invalid capture index %%%d", index + 1);
    lua_pushlstring(state, subject.data() + start, end - start);
    return;
  }
  const auto& captured = matcher.captured(index);
  if (captured.open) luaL_error(state, "unfinished capture");
  if (captured.position) {
    lua_pushinteger(state, static_cast<lua_Integer>(captured.start) + 1);
  } else {
    lua_pushlstring(state, subject.data() + captured.start, captured.size);
  }
}

/// All captures, or the whole match if there are none and `whole_if_none`.
int push_captures(lua_State* state, const pattern_matcher& matcher, std::string_view subject, std::size_t start,
                  std::size_t end, bool whole_if_none) {
  const int count = matcher.capture_count() == 0 && whole_if_none ? 1 : matcher.capture_count();
  luaL_checkstack(state, count, "too many captures");
  for (int i = 0; i < count; ++i)
    push_capture(state, matcher, subject, i, start, end);
  return count;
}

int find_or_match(lua_State* state, bool find) {
  const auto subject = string_argument(state, 1);
  auto pattern = string_argument(state, 2);
  std::size_t at = start_position(luaL_optinteger(state, 3, 1), subject.size());
  if (at > subject.size()) {
    lua_pushnil(state);
    return 1;
  }
  if (find && (lua_toboolean(state, 4) != 0 || !has_specials(pattern))) {
    const auto found = plain_find(state, subject, pattern, at);
    if (found == std::string_view::npos) {
      lua_pushnil(state);
      return 1;
    }
    lua_pushinteger(state, static_cast<lua_Integer>(found) + 1);
    lua_pushinteger(state, static_cast<lua_Integer>(found + pattern.size()));
    return 2;
  }
  const bool anchored = pattern.starts_with('^');
  if (anchored) pattern.remove_prefix(1);
  auto matcher = matcher_for(state, subject, pattern);
  for (; at <= subject.size(); ++at) {
    const auto end = matcher.match_at(at);
    if (end == pattern_matcher::no_match && !anchored && matcher.failed() == pattern_matcher::failure::none) continue;
    settle(state, matcher);
    if (end == pattern_matcher::no_match) break;
    if (!find) return push_captures(state, matcher, subject, at, end, true);
    lua_pushinteger(state, static_cast<lua_Integer>(at) + 1);
    lua_pushinteger(state, static_cast<lua_Integer>(end));
    return 2 + push_captures(state, matcher, subject, at, end, false);
  }
  if (matcher.failed() == pattern_matcher::failure::none) charge(state, matcher.steps_taken());
  lua_pushnil(state);
  return 1;
}

int string_find(lua_State* state) { return find_or_match(state, true); }
int string_match(lua_State* state) { return find_or_match(state, false); }

/// Upvalues: subject, pattern, next position, end of the last match (or -1).
int gmatch_step(lua_State* state) {
  const auto subject = string_argument(state, lua_upvalueindex(1));
  const auto pattern = string_argument(state, lua_upvalueindex(2));
  const auto last_end = lua_tointeger(state, lua_upvalueindex(4));
  auto matcher = matcher_for(state, subject, pattern);
  for (auto at = static_cast<std::size_t>(lua_tointeger(state, lua_upvalueindex(3))); at <= subject.size(); ++at) {
    const auto end = matcher.match_at(at);
    if (matcher.failed() != pattern_matcher::failure::none) break;
    if (end == pattern_matcher::no_match || static_cast<lua_Integer>(end) == last_end) continue;
    settle(state, matcher);
    lua_pushinteger(state, static_cast<lua_Integer>(end));
    lua_copy(state, -1, lua_upvalueindex(3));
    lua_replace(state, lua_upvalueindex(4));
    return push_captures(state, matcher, subject, at, end, true);
  }
  settle(state, matcher);
  lua_pushinteger(state, static_cast<lua_Integer>(subject.size()) + 1);
  lua_replace(state, lua_upvalueindex(3));
  return 0;
}

int string_gmatch(lua_State* state) {
  const auto subject = string_argument(state, 1);
  static_cast<void>(string_argument(state, 2));
  const auto at = start_position(luaL_optinteger(state, 3, 1), subject.size());
  lua_settop(state, 2);
  lua_pushinteger(state, static_cast<lua_Integer>(std::min(at, subject.size() + 1)));
  lua_pushinteger(state, -1);
  lua_pushcclosure(state, gmatch_step, 4);
  return 1;
}

/// gsub with a string: %0 to %9 and %%.
void add_template(lua_State* state, luaL_Buffer* out, const pattern_matcher& matcher, std::string_view subject,
                  std::size_t start, std::size_t end) {
  const auto text = string_argument(state, 3);
  charge(state, text.size() / 16 + 1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      luaL_addchar(out, text[i]);
      continue;
    }
    const char what = ++i < text.size() ? text[i] : '\0';
    if (what == '%') {
      luaL_addchar(out, '%');
    } else if (what == '0') {
      luaL_addlstring(out, subject.data() + start, end - start);
    } else if (what >= '1' && what <= '9') {
      push_capture(state, matcher, subject, what - '1', start, end);
      luaL_tolstring(state, -1, nullptr);  // a position is a number
      lua_remove(state, -2);
      luaL_addvalue(out);
    } else {
      luaL_error(state, "invalid use of '%%' in replacement string");
    }
  }
}

void add_replacement(lua_State* state, luaL_Buffer* out, const pattern_matcher& matcher, std::string_view subject,
                     std::size_t start, std::size_t end) {
  switch (lua_type(state, 3)) {
    case LUA_TFUNCTION: {
      lua_pushvalue(state, 3);
      const int count = push_captures(state, matcher, subject, start, end, true);
      lua_call(state, count, 1);
      break;
    }
    case LUA_TTABLE:
      push_capture(state, matcher, subject, 0, start, end);
      lua_gettable(state, 3);
      break;
    default:
      return add_template(state, out, matcher, subject, start, end);
  }
  if (lua_toboolean(state, -1) == 0) {
    lua_pop(state, 1);
    luaL_addlstring(out, subject.data() + start, end - start);
  } else if (lua_isstring(state, -1) == 0) {
    luaL_error(state, "invalid replacement value (a %s)", luaL_typename(state, -1));
  } else {
    luaL_addvalue(out);
  }
}

int string_gsub(lua_State* state) {
  const auto subject = string_argument(state, 1);
  auto pattern = string_argument(state, 2);
  const int kind = lua_type(state, 3);
  if (kind != LUA_TNUMBER && kind != LUA_TSTRING && kind != LUA_TFUNCTION && kind != LUA_TTABLE) {
    return luaL_typeerror(state, 3, "string/function/table");
  }
  if (kind == LUA_TNUMBER) static_cast<void>(lua_tostring(state, 3));
  const auto replacements_max = luaL_optinteger(state, 4, static_cast<lua_Integer>(subject.size()) + 1);
  const bool anchored = pattern.starts_with('^');
  if (anchored) pattern.remove_prefix(1);
  lua_settop(state, 4);
  luaL_Buffer out;
  luaL_buffinit(state, &out);
  auto matcher = matcher_for(state, subject, pattern);
  std::uint64_t charged = 0;
  std::size_t at = 0;
  std::size_t last_end = pattern_matcher::no_match;
  lua_Integer replaced = 0;
  while (replaced < replacements_max) {
    const auto end = matcher.match_at(at);
    if (matcher.failed() != pattern_matcher::failure::none || matcher.steps_taken() - charged > 256) {
      settle(state, matcher, charged);
      charged = matcher.steps_taken();
    }
    if (end != pattern_matcher::no_match && end != last_end) {
      ++replaced;
      add_replacement(state, &out, matcher, subject, at, end);
      at = last_end = end;
    } else if (at < subject.size()) {
      luaL_addchar(&out, subject[at]);
      ++at;
    } else {
      break;
    }
    if (anchored) break;
  }
  settle(state, matcher, charged);
  luaL_addlstring(&out, subject.data() + at, subject.size() - at);
  luaL_pushresult(&out);
  lua_pushinteger(state, replaced);
  return 2;
}

// ---- others ----

int string_rep(lua_State* state) {
  const auto unit = string_argument(state, 1);
  const auto count = luaL_checkinteger(state, 2);
  std::size_t separator_size = 0;
  const char* separator = luaL_optlstring(state, 3, "", &separator_size);
  const std::size_t step = unit.size() + separator_size;
  if (count <= 0 || step == 0) {
    lua_pushliteral(state, "");
    return 1;
  }
  auto& meter = host_of(state).meter;
  if (static_cast<std::uint64_t>(count) > meter.memory_left() / step) {  // refused before anything is allocated
    meter.trip(lua_meter::limit::memory);
    return raise_limit(state);
  }
  charge(state, static_cast<std::uint64_t>(count) / 16);
  const std::size_t size = step * static_cast<std::size_t>(count) - separator_size;
  luaL_Buffer out;
  char* at = luaL_buffinitsize(state, &out, lua_meter::room_for_text(size));
  for (lua_Integer i = 0; i < count; ++i) {
    at = std::copy(unit.begin(), unit.end(), at);
    if (i + 1 < count) at = std::copy_n(separator, separator_size, at);
  }
  luaL_pushresultsize(&out, size);
  return 1;
}

int string_byte(lua_State* state) {
  const auto text = string_argument(state, 1);
  const auto first_given = luaL_optinteger(state, 2, 1);
  const auto first = start_position(first_given, text.size());
  const auto last_given = luaL_optinteger(state, 3, first_given);
  const auto size = static_cast<lua_Integer>(text.size());
  const auto last = last_given > size    ? size
                    : last_given >= 0    ? last_given
                    : last_given < -size ? 0
                                         : size + last_given + 1;
  if (static_cast<lua_Integer>(first) >= last) return 0;
  const auto count = last - static_cast<lua_Integer>(first);
  charge(state, static_cast<std::uint64_t>(count));
  if (count >= INT_MAX) return luaL_error(state, "string slice too long");
  luaL_checkstack(state, static_cast<int>(count), "string slice too long");
  for (lua_Integer i = 0; i < count; ++i)
    lua_pushinteger(state, static_cast<unsigned char>(text[first + static_cast<std::size_t>(i)]));
  return static_cast<int>(count);
}

/// Replaces the value at `index` by text without an address.
void plain_text_at(lua_State* state, int index) {
  lua_pushcfunction(state, lua_plain_tostring);
  lua_pushvalue(state, index);
  lua_call(state, 1, 1);
  lua_replace(state, index);
}

/// Upvalue: Lua's own string.format.
int string_format(lua_State* state) {
  const auto format = string_argument(state, 1);
  charge(state, format.size() / 16 + 1);
  int argument = 1;
  for (std::size_t i = 0; i + 1 < format.size(); ++i) {
    if (format[i] != '%') continue;
    if (format[++i] == '%') continue;
    while (i < format.size() && std::string_view{"-+ #0123456789."}.find(format[i]) != std::string_view::npos)
      ++i;
    ++argument;
    if (i == format.size()) break;
    if (format[i] == 'p') return luaL_error(state, "string.format: '%%p' is not available here");
    if (format[i] == 's' && argument <= lua_gettop(state) && lua_type(state, argument) > LUA_TNUMBER &&
        lua_type(state, argument) != LUA_TSTRING) {
      plain_text_at(state, argument);
    } else if (format[i] == 's' && argument <= lua_gettop(state) && lua_islightuserdata(state, argument)) {
      plain_text_at(state, argument);
    }
  }
  return lua_tocfunction(state, lua_upvalueindex(1))(state);
}

constexpr const char* kept_as_they_are[] = {"char", "len", "lower", "reverse", "sub", "upper"};

constexpr luaL_Reg replaced_functions[] = {{"byte", string_byte}, {"find", string_find},   {"gmatch", string_gmatch},
                                           {"gsub", string_gsub}, {"match", string_match}, {"rep", string_rep},
                                           {nullptr, nullptr}};

}  // namespace

int lua_plain_tostring(lua_State* state) {
  luaL_checkany(state, 1);
  const int kind = lua_type(state, 1);
  if (kind == LUA_TLIGHTUSERDATA && lua_touserdata(state, 1) == nullptr) {
    lua_pushliteral(state, "null");
  } else if (kind == LUA_TNIL || kind == LUA_TBOOLEAN || kind == LUA_TNUMBER || kind == LUA_TSTRING) {
    luaL_tolstring(state, 1, nullptr);
  } else if (luaL_getmetafield(state, 1, "__tostring") != LUA_TNIL) {
    lua_pop(state, 1);
    luaL_tolstring(state, 1, nullptr);
  } else {
    lua_pushstring(state, lua_typename(state, kind));  // Lua would show an address: another one on every run
  }
  return 1;
}

/// Upvalue: Lua's own tonumber.
int lua_metered_tonumber(lua_State* state) {
  if (lua_type(state, 1) == LUA_TSTRING) charge(state, lua_rawlen(state, 1) / 16 + 1);
  return lua_tocfunction(state, lua_upvalueindex(1))(state);
}

void push_string_library(lua_State* state) {
  luaL_requiref(state, LUA_STRLIBNAME, luaopen_string, 0);  // Lua's, below ours until the end
  lua_newtable(state);
  for (const char* name : kept_as_they_are) {
    lua_getfield(state, -2, name);
    lua_setfield(state, -2, name);
  }
  luaL_setfuncs(state, replaced_functions, 0);
  lua_getfield(state, -2, "format");
  lua_pushcclosure(state, string_format, 1);
  lua_setfield(state, -2, "format");
  lua_remove(state, -2);

  lua_pushliteral(state, "");  // methods of strings: ("x"):rep(3)
  lua_getmetatable(state, -1);
  meter_numbers(state);  // "1" + 1
  lua_pushvalue(state, -3);
  lua_setfield(state, -2, "__index");
  lua_pushboolean(state, 0);
  lua_setfield(state, -2, "__metatable");
  lua_pop(state, 2);
}

}  // namespace orrery::process
