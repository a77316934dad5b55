// Our pattern matcher finds what Lua's own does. Input: a pattern, a zero byte, the text to look in.
#include "mesh/base/assert.hpp"
#include "mesh/base/bytes.hpp"
#include "mesh/process/lua/pattern.hpp"

#include <lua.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace orrery::process {
namespace {

using found = std::vector<std::string>;

/// Small enough that Lua's matcher, which has no bound, ends soon as well.
constexpr std::uint64_t steps_max = 20'000;

/// As string.find shows a match: where it begins and ends, then its captures.
found as_find(const pattern_matcher& matcher, std::string_view text, std::size_t at, std::size_t end) {
  found seen{std::to_string(at + 1), std::to_string(end)};
  for (int i = 0; i < matcher.capture_count(); ++i) {
    const auto& each = matcher.captured(i);
    if (each.open) return {"error"};
    seen.push_back(each.position ? std::to_string(each.start + 1) : std::string{text.substr(each.start, each.size)});
  }
  return seen;
}

/// False where our matcher is not asked, or gave up, as Lua's would much later or at another depth.
bool ours(std::string_view text, std::string_view pattern, found& out) {
  if (pattern.find_first_of("^$*+?.([%-") == std::string_view::npos) return false;  // string.find takes it for a text
  const bool anchored = pattern.starts_with('^');
  pattern_matcher matcher(text, anchored ? pattern.substr(1) : pattern, steps_max);
  for (std::size_t at = 0; at <= text.size(); ++at) {
    const auto end = matcher.match_at(at);
    switch (matcher.failed()) {
      case pattern_matcher::failure::none:
        break;
      case pattern_matcher::failure::malformed:
        out = {"error"};
        return true;
      case pattern_matcher::failure::too_complex:
      case pattern_matcher::failure::out_of_steps:
        return false;
    }
    if (end != pattern_matcher::no_match) {
      out = as_find(matcher, text, at, end);
      return true;
    }
    if (anchored) break;
  }
  out = {"none"};
  return true;
}

struct lua {
  lua() : state(luaL_newstate()) { luaL_requiref(state, LUA_STRLIBNAME, luaopen_string, 1); }
  ~lua() { lua_close(state); }
  lua(const lua&) = delete;
  lua& operator=(const lua&) = delete;
  lua_State* state;
};

found theirs(std::string_view text, std::string_view pattern) {
  static const lua in;
  lua_State* const state = in.state;
  lua_settop(state, 0);
  lua_getglobal(state, LUA_STRLIBNAME);
  lua_getfield(state, -1, "find");
  lua_remove(state, 1);
  lua_pushlstring(state, text.data(), text.size());
  lua_pushlstring(state, pattern.data(), pattern.size());
  if (lua_pcall(state, 2, LUA_MULTRET, 0) != LUA_OK) return {"error"};
  if (lua_isnil(state, 1)) return {"none"};
  found seen;
  for (int i = 1; i <= lua_gettop(state); ++i) {
    std::size_t size = 0;
    const char* content = lua_tolstring(state, i, &size);
    seen.emplace_back(content, size);
  }
  return seen;
}

}  // namespace
}  // namespace orrery::process

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace orrery;
  const auto all = as_text(byte_view(data, size));
  const auto zero = all.find('\0');
  if (zero == std::string_view::npos) return 0;
  process::found seen;
  if (!process::ours(all.substr(zero + 1), all.substr(0, zero), seen)) return 0;
  ORRERY_ASSERT(seen == process::theirs(all.substr(zero + 1), all.substr(0, zero)));
  return 0;
}
