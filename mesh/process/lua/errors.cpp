// From a Lua error to what people read, and errors of our own.
#include "mesh/process/lua/host.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace orrery::process {
namespace {

using ending = lua_job::ending;

constexpr std::size_t detail_max = 1000;  ///< bytes of a script's error
constexpr int traceback_levels_max = 12;  ///< the innermost
constexpr std::size_t function_name_max = 60;

/// "add (line 12) < total (line 4)": the script's functions, innermost first.
std::string traceback_of(lua_State* state) {
  std::string text;
  lua_Debug frame{};
  int told = 0;
  for (int level = 0; lua_getstack(state, level, &frame) != 0; ++level) {
    lua_getinfo(state, "nSl", &frame);
    if (frame.currentline <= 0) continue;
    if (told++ == traceback_levels_max) return text + " < ...";
    if (!text.empty()) text += " < ";
    if (frame.name != nullptr) {
      text += std::string_view{frame.name}.substr(0, function_name_max);
    } else {
      text += frame.linedefined > 0 ? "function at " + std::to_string(frame.linedefined) : "top level";
    }
    text += " (line " + std::to_string(frame.currentline) + ")";
  }
  return text;
}

/// The field of the error object on top whose name `key` refers to; a script may have put anything there. Allocates
/// nothing in Lua, and so raises nothing.
std::string_view text_field(lua_State* state, int key) {
  lua_rawgeti(state, LUA_REGISTRYINDEX, key);
  lua_rawget(state, -2);
  std::size_t size = 0;
  const char* text = lua_type(state, -1) == LUA_TSTRING ? lua_tolstring(state, -1, &size) : "";
  lua_pop(state, 1);
  return {text, std::min(size, detail_max)};
}

void describe_failure(lua_State* state, lua_job& job) {
  const auto& host = host_of(state);
  job.refusal = {errc_from(text_field(state, host.code_key_ref)), std::string{text_field(state, host.text_key_ref)},
                 took_effect::executed};
}

/// An error of a call that the script did not catch: "deadline_exceeded: ..."
void describe_call_error(lua_State* state, lua_job& job) {
  describe_failure(state, job);
  job.detail = to_string(job.refusal);
}

void describe_number(lua_State* state, lua_job& job) {
  std::array<char, 40> text{};  // lua_tolstring would allocate, and so might raise
  if (lua_isinteger(state, -1) != 0) {
    const auto end = std::to_chars(text.begin(), text.end(), lua_tointeger(state, -1)).ptr;
    job.detail.assign(text.begin(), end);
  } else {
    const auto end =
        std::to_chars(text.begin(), text.end(), lua_tonumber(state, -1), std::chars_format::general, 14).ptr;
    job.detail.assign(text.begin(), end);
  }
}

}  // namespace

std::string with_line(std::string_view text, int line) {
  constexpr std::string_view prefix = "script:";
  if (text.starts_with(prefix)) return "line " + std::string{text.substr(prefix.size())};
  return line > 0 ? "line " + std::to_string(line) + ": " + std::string{text} : std::string{text};
}

int current_line(lua_State* state) {
  lua_Debug frame{};
  for (int level = 0; lua_getstack(state, level, &frame) != 0; ++level) {
    lua_getinfo(state, "l", &frame);
    if (frame.currentline > 0) return frame.currentline;
  }
  return 0;
}

void note_place(lua_State* state) {
  lua_job& job = job_of(state);
  if (job.line != 0) return;
  job.line = current_line(state);
  job.traceback = traceback_of(state);
}

void describe_error(lua_State* state, lua_job& job, int status) {
  const auto& host = host_of(state);
  job.line = 0;  // that of a limit that was hit and did not end it would be another
  note_place(state);
  if (job.ended == ending::bad_argument) return;
  job.ended = ending::error;
  if (status != LUA_ERRRUN) {
    job.detail = status == LUA_ERRMEM ? "not enough memory" : "an error in the handling of an error";
    return;
  }
  const int type = lua_type(state, -1);
  if (type == LUA_TSTRING) {
    std::size_t size = 0;
    const char* text = lua_tolstring(state, -1, &size);
    job.detail.assign(text, std::min(size, detail_max));
  } else if (type == LUA_TNUMBER) {
    describe_number(state, job);
  } else if (lua_getmetatable(state, -1) != 0) {
    const void* metatable = lua_topointer(state, -1);
    lua_pop(state, 1);
    if (metatable == host.fail_metatable) {
      describe_failure(state, job);
      job.ended = ending::failed;
    } else if (metatable == host.error_metatable) {
      describe_call_error(state, job);
    } else {
      job.detail = std::string{"error object is a "} + luaL_typename(state, -1);
    }
  } else {
    job.detail = std::string{"error object is a "} + luaL_typename(state, -1);
  }
}

std::string callback_text(const lua_job& job) {
  if (job.callback.empty()) return job.kind;
  const auto name = "'" + std::string{job.callback} + "'";
  return std::string_view{job.kind} == "info" ? "info " + name : name;
}

exit_reason reason_of(const lua_job& job) {
  const auto in_state = [&](const std::string& what) { return "the state after " + callback_text(job) + what; };
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
    case ending::waiting:
    case ending::error:
    case ending::over:
    case ending::bad_argument:
    case ending::bad_reply:
      break;
  }
  return {exit_reason::kind::error, with_line(job.detail, job.line)};
}

void report(const lua_job& job, std::string what) {
  const scope& where = *job.where;
  const std::string kind{job.kind};
  where.out.emplace_back(
      script_failure{.name = {class_name{std::string{where.klass}}, process_key{std::string{where.key}}},
                     .id = where.around.text_of(where.self.self()),
                     .callback = job.callback.empty() ? kind : kind + " " + std::string{job.callback},
                     .what = std::move(what),
                     .traceback = job.traceback});
}

int raise_message(lua_State* state) {
  const auto& text = host_of(state).message;
  luaL_where(state, 1);
  lua_pushlstring(state, text.data(), text.size());
  lua_concat(state, 2);
  return lua_error(state);
}

int raise_refusal(lua_State* state) {
  const error& why = job_of(state).refusal;
  const auto code = to_string(why.code);
  const auto took_place = to_string(why.effect);
  lua_createtable(state, 0, 3);
  lua_pushlstring(state, code.data(), code.size());
  lua_setfield(state, -2, "code");
  lua_pushlstring(state, why.context.data(), why.context.size());
  lua_setfield(state, -2, "text");
  lua_pushlstring(state, took_place.data(), took_place.size());
  lua_setfield(state, -2, "effect");
  lua_rawgeti(state, LUA_REGISTRYINDEX, host_of(state).error_metatable_ref);
  lua_setmetatable(state, -2);
  return lua_error(state);
}

lua_job& callback_of(lua_State* state, const char* function) {
  auto& host = host_of(state);
  if (host.job == nullptr || host.job->where == nullptr) {
    luaL_error(state, "%s is for callbacks, not for the script's top level", function);
  }
  return *host.job;
}

}  // namespace orrery::process
