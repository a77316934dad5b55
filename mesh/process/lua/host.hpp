#pragma once
// What the C functions of a class' lua_State share. lua_error and lua_yield are longjmps: they must not cross a frame
// that holds anything with a destructor. So C functions here keep trivial locals only, texts are built in `message` by
// helpers that do not call Lua, and results are left in the job.
#include "mesh/base/random.hpp"
#include "mesh/process/behaviour.hpp"
#include "mesh/process/lua/convert.hpp"
#include "mesh/process/lua/functions.hpp"
#include "mesh/process/lua/meter.hpp"

#include <lua.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::process {

struct lua_process;

/// One entry into Lua: what is asked, and what came of it. That of a callback that waits for a reply is kept until
/// then.
struct lua_job {
  enum class ending : std::uint8_t {
    fine,
    waiting,  ///< for the reply to `asked`
    failed,   ///< orrery.fail
    error,
    limit,
    over,  ///< cut off: the process has been told to end
    bad_argument,
    bad_reply,
    bad_state,
    state_limit,
  };

  // What is asked. Pointers are to what the caller owns.
  const scope* where = nullptr;  ///< null while a script is loaded
  lua_process* process = nullptr;
  const value* argument = nullptr;
  const kernel::message* arrived = nullptr;  ///< an exit, a down, a reply: in place of `argument`
  std::string_view script;
  std::string_view text;      ///< init: the key; terminate: the reason
  const char* kind = "";      ///< "call", "info", "init"
  std::string_view callback;  ///< "add"; outlives the job
  lua_meter::allowance allowed{};
  lua_meter::allowance allowed_at_top_level{};  ///< of a script, once its text is compiled
  const lua_functions* functions = nullptr;     ///< of the script that runs
  lua_functions* loaded = nullptr;              ///< where those of a script go that is loaded
  int function = LUA_NOREF;
  int state = LUA_NOREF;
  std::uint64_t old_version = 0;
  std::size_t state_bytes_max = 0;
  kernel::caller caller{};  ///< of a call
  bool called = false;
  int protected_depth = 0;  ///< pcalls that it is within

  // What came of it.
  bool takes_argument = false;  ///< no code of the script has run for it yet
  ending ended = ending::fine;
  bool measured = false;
  bool later = false;  ///< the call is answered by orrery.reply
  int line = 0;        ///< where it failed
  kernel::reference asked{};
  std::size_t state_size = 0;
  std::size_t largest_string = 0;
  error refusal{};       ///< failed
  std::string detail{};  ///< otherwise
  std::string traceback{};
  lua_wishes wishes{};
};

/// A coroutine that callbacks run in, held by the registry.
struct lua_thread {
  lua_State* state = nullptr;
  int reference = LUA_NOREF;
};

/// A callback that waits for a reply.
struct lua_waiting {
  lua_thread thread;
  lua_job job;
  lua_meter::gauge used;
};

struct lua_ties {
  std::unique_ptr<lua_waiting> waiting;  ///< the callback that waits for a reply
  std::set<kernel::reference> monitors;  ///< that it holds
  std::uint32_t asks = 0;                ///< unanswered
  std::uint64_t refused = 0;             ///< serial of the version whose code_change failed on its state
};

/// An entry of the registry, or a member of a group, on its way to a script.
struct lua_listed {
  std::string key;
  std::string pid;
  value held;
};

struct lua_host {
  lua_State* state = nullptr;
  lua_meter meter;
  lua_encoder encoder;
  lua_job* job = nullptr;
  lua_State* running = nullptr;   ///< the thread of `job`
  std::vector<lua_thread> spare;  ///< that nothing runs in
  bytes scratch;                  ///< what is being encoded
  std::string message;
  std::vector<lua_listed> listed;
  const void* array_metatable = nullptr;
  const void* fail_metatable = nullptr;
  const void* error_metatable = nullptr;
  int array_metatable_ref = LUA_NOREF;
  int fail_metatable_ref = LUA_NOREF;
  int error_metatable_ref = LUA_NOREF;
  int code_key_ref = LUA_NOREF;     ///< "code"
  int text_key_ref = LUA_NOREF;     ///< "text"
  int environment_ref = LUA_NOREF;  ///< what scripts have as _ENV
  char later = 0;                   ///< its address is what orrery.later() returns
  std::uint32_t words = 0;          ///< that this class' scripts have made the node learn
};

[[nodiscard]] inline lua_host& host_of(lua_State* state) { return **static_cast<lua_host**>(lua_getextraspace(state)); }
[[nodiscard]] inline lua_job& job_of(lua_State* state) { return *host_of(state).job; }

// ---- entries: what runs in a thread, with the job's results in the job ----

/// Compiles the job's script, runs its top level and collects what it returns.
int run_load(lua_State* state);
int run_init(lua_State* state);
int run_restore(lua_State* state);
int run_terminate(lua_State* state);
int run_code_change(lua_State* state);
/// 1: a function of the script, 2: the state. Decodes the job's argument, and goes on as the function.
int run_with_argument(lua_State* state);

/// Looks whether the value at `index` can be kept as state. Sets the job's ending. Raises nothing.
bool measure_state(lua_State* state, lua_job& job, int index);
/// A reference to the value on top. Not the callback's expense: the registry grows with the number of processes.
int keep(lua_State* state);

// ---- errors ----

/// The line of the innermost function of the script, or 0.
[[nodiscard]] int current_line(lua_State* state);
/// Notes in the job where the script is, unless that has been noted.
void note_place(lua_State* state);
/// What lua_resume ended with, into the job. The error is on top.
void describe_error(lua_State* state, lua_job& job, int status);
[[nodiscard]] exit_reason reason_of(const lua_job& job);
/// "'add'", "info 'tick'", "init"
[[nodiscard]] std::string callback_text(const lua_job& job);
/// Tells the surroundings of a failure.
void report(const lua_job& job, std::string what);
/// "script:12: text" -> "line 12: text"
[[nodiscard]] std::string with_line(std::string_view text, int line);
/// Raises `host.message` with the script's line before it. Never returns.
int raise_message(lua_State* state);
/// Raises an error object with `code` and `text` of the job's `refusal`. Never returns.
int raise_refusal(lua_State* state);
/// The job of the callback that runs; raises where none does.
lua_job& callback_of(lua_State* state, const char* function);

// ---- the sandbox ----

/// Makes the table on the stack's top one that is written as an array even if empty.
void mark_array(lua_State* state);
/// Builds the environment of scripts: sandboxed libraries, `orrery`, nothing that can be written to.
void open_sandbox(lua_State* state);
// Its parts, each leaving one table on the stack.
void push_string_library(lua_State* state);
void push_table_library(lua_State* state);
void push_orrery_module(lua_State* state);
// Parts of the module, into the table on top.
void add_message_functions(lua_State* state);
void add_timing_functions(lua_State* state);
void add_process_functions(lua_State* state);
void add_group_functions(lua_State* state);

// C functions that the base library of the sandbox has in place of Lua's.
int lua_ordered_pairs(lua_State* state);
int lua_ordered_next(lua_State* state);
int lua_plain_tostring(lua_State* state);
int lua_metered_tonumber(lua_State* state);
int lua_process_random(lua_State* state);
/// Wraps every C function of the table on top that takes texts for numbers.
void meter_numbers(lua_State* state);

}  // namespace orrery::process
