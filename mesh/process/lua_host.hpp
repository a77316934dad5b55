#pragma once
// What the C functions of a class' lua_State share. lua_error is a longjmp: it must not cross a frame that holds
// anything with a destructor. So C functions here keep trivial locals only, texts are built in `message` by helpers
// that do not call Lua, and results are left in the job.
#include "mesh/base/random.hpp"
#include "mesh/process/behaviour.hpp"
#include "mesh/process/lua_convert.hpp"
#include "mesh/process/lua_meter.hpp"

#include <lua.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace orrery::process {

/// The functions of one version of a script, as references into the registry.
struct lua_functions {
  int init = LUA_NOREF;
  int terminate = LUA_NOREF;
  int code_change = LUA_NOREF;
  std::map<std::string, int, std::less<>> calls;
  std::map<std::string, int, std::less<>> casts;
  std::map<std::string, int, std::less<>> infos;
};

/// One entry into Lua: what is asked, and what came of it.
struct lua_job {
  enum class ending : std::uint8_t { fine, failed, error, limit, bad_argument, bad_reply, bad_state, state_limit };

  // What is asked. Pointers are to what the caller owns.
  const scope* where = nullptr;  ///< null while a script is loaded
  seeded_random* random = nullptr;
  std::string_view script;
  std::string_view text;  ///< init: the key; terminate: the reason
  const value* argument = nullptr;
  lua_meter::allowance allowed;
  lua_meter::allowance allowed_at_top_level;  ///< of a script, once its text is compiled
  const lua_functions* functions = nullptr;   ///< of the script that runs
  int function = LUA_NOREF;
  std::uint64_t old_version = 0;
  bool wants_reply = false;
  std::uint64_t unmeasured_work = 0;
  std::size_t state_size = 0;
  std::size_t state_bytes_max = 0;

  // What came of it.
  ending ended = ending::fine;
  int state = LUA_NOREF;
  bytes encoded;
  error refusal;       ///< failed
  std::string detail;  ///< otherwise
  int line = 0;
  bool measured = false;
  std::size_t largest_string = 0;
  lua_functions loaded;
  std::optional<exit_reason> stops;  ///< orrery.stop was called
};

struct lua_host {
  lua_State* state = nullptr;
  lua_meter meter;
  lua_encoder encoder;
  lua_job* job = nullptr;
  std::string message;
  const void* array_metatable = nullptr;
  const void* fail_metatable = nullptr;
  int array_metatable_ref = LUA_NOREF;
  int fail_metatable_ref = LUA_NOREF;
  int environment_ref = LUA_NOREF;  ///< what scripts have as _ENV
};

[[nodiscard]] inline lua_host& host_of(lua_State* state) { return **static_cast<lua_host**>(lua_getextraspace(state)); }
[[nodiscard]] inline lua_job& job_of(lua_State* state) { return *host_of(state).job; }

/// Compiles the job's script, runs its top level and collects what it returns.
int run_load(lua_State* state);
/// A reference to the value on top. Not the callback's expense: the registry grows with the number of processes.
int keep(lua_State* state);

/// The line of the innermost function of the script, or 0.
[[nodiscard]] int current_line(lua_State* state);
/// Raises `host.message` with the script's line before it. Never returns.
int raise_message(lua_State* state);
/// Makes the table on the stack's top one that is written as an array even if empty.
void mark_array(lua_State* state);

/// Builds the environment of scripts: sandboxed libraries, `orrery`, nothing that can be written to.
void open_sandbox(lua_State* state);
// Its parts, each leaving one table on the stack.
void push_string_library(lua_State* state);
void push_table_library(lua_State* state);
void push_orrery_module(lua_State* state);

// C functions that the base library of the sandbox has in place of Lua's.
int lua_ordered_pairs(lua_State* state);
int lua_ordered_next(lua_State* state);
int lua_plain_tostring(lua_State* state);
int lua_metered_tonumber(lua_State* state);
int lua_process_random(lua_State* state);

}  // namespace orrery::process
