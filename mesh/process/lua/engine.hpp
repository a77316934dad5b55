#pragma once
// One Lua 5.4 state for all processes of a class: the sandbox, the script's versions, and the way in and out. Nothing
// of Lua's headers here.
//
// Every callback runs in a coroutine, which the script cannot see: a callback that waits for a reply is one that has
// yielded, and keeps its coroutine until it goes on. Plain ones share a few.
#include "mesh/base/random.hpp"
#include "mesh/process/behaviour.hpp"
#include "mesh/process/lua/functions.hpp"
#include "mesh/process/spec.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct lua_State;

namespace orrery::process {

inline constexpr std::size_t script_bytes_max = 256U << 10U;
/// Of one class at once. The functions of what is older are let go; a process that still runs them goes on with the
/// present ones.
inline constexpr std::size_t script_versions_max = 3;

struct lua_host;
struct lua_job;
struct lua_thread;
struct lua_ties;

/// A process' part of the engine: its state table by reference, and what is known of it.
struct lua_process {
  lua_process();
  lua_process(const lua_process&) = delete;
  lua_process& operator=(const lua_process&) = delete;
  ~lua_process();

  int state = lua_functions::none;
  std::uint32_t unmeasured_work = 0;
  std::uint32_t state_size = 0;
  std::uint32_t largest_string = 0;
  std::uint16_t unmeasured_callbacks = 0;
  bool allocated = false;              ///< since it was measured
  bool moved = false;                  ///< info.moved is to come
  bool holds_on = false;               ///< a `continue` is to come before any message
  lua_functions* functions = nullptr;  ///< of the version that it runs
  std::uint64_t version = 0;           ///< of the class, that its state is of
  seeded_random random{0};
  std::unique_ptr<lua_ties> ties;  ///< what few processes have

  [[nodiscard]] lua_ties& tied();
  [[nodiscard]] bool waits() const noexcept;
};

/// Not thread-safe; callbacks of different processes may run within each other. Outlives its processes.
class lua_engine {
 public:
  /// Errors: invalid_argument with "line N: ...", too_large, limit_exceeded.
  [[nodiscard]] static result<std::unique_ptr<lua_engine>> create(const lua_source& source, const limits_spec& limits,
                                                                  std::uint64_t version,
                                                                  duration (*processor_time)() = nullptr);
  lua_engine(const lua_engine&) = delete;
  lua_engine& operator=(const lua_engine&) = delete;
  ~lua_engine();

  /// A new script for everything from the next callback on, before which each process' state goes through the script's
  /// code_change, where its version is an older one. A process whose state that fails on keeps it, and the functions of
  /// its version. After an error the old script stays.
  [[nodiscard]] result<void> replace(const lua_source& source, const limits_spec& limits, std::uint64_t version);

  /// Instructions and allocations of all callbacks so far, as one number.
  [[nodiscard]] std::uint64_t work() const noexcept { return work_; }
  [[nodiscard]] bool answers(message_kind kind, std::string_view method) const;
  [[nodiscard]] bool hears(std::string_view word) const;
  [[nodiscard]] std::string methods(message_kind kind) const;

  [[nodiscard]] std::optional<exit_reason> init(lua_process& of, const scope& where, const value& argument);
  /// `deferred` where it waits for a reply: what comes of it then, `go_on` says.
  [[nodiscard]] outcome handle(lua_process& of, lua_functions::kind kind, const scope& where, std::string_view method,
                               const value& argument);
  /// All that is neither: timers, plain messages, and what the system tells (info.down and the like), where the script
  /// has a function for it. The reply that a callback waits for lets it go on; the call that it handles is then
  /// answered from here.
  [[nodiscard]] outcome arrived(lua_process& of, const scope& where);
  /// It was restored on another node: info.moved is to come first.
  void has_moved(lua_process& of, const scope& where);
  /// A callback that waits is cut off where it is.
  void terminate(lua_process& of, const scope& where, const exit_reason& reason);
  /// Errors: unavailable, while a callback waits or is to be continued; internal.
  [[nodiscard]] result<value> snapshot(lua_process& of);
  [[nodiscard]] result<void> restore(lua_process& of, const value& state, std::uint64_t version);
  /// See behaviour::code; of a process without functions: what it would get.
  [[nodiscard]] std::uint64_t code_of(const lua_process& of) const noexcept {
    return of.functions == nullptr ? latest().code : of.functions->code;
  }
  void forget(lua_process& of) noexcept;

 private:
  lua_engine();

  // ---- run.cpp ----
  class metered;
  [[nodiscard]] lua_thread take_thread();
  void give_back(lua_thread thread, bool reusable);
  /// A job for a callback of this process.
  [[nodiscard]] lua_job job_for(lua_process& of, const scope* where) const;
  /// Runs `body`, a C function, with every Lua error caught; the job says how it ended. It cannot wait.
  void enter(int (*body)(lua_State*), lua_job& job, std::size_t largest_string);
  /// Runs what lies on the thread's stack, and fills in how it ended. False: the thread is to be thrown away.
  [[nodiscard]] bool resume(lua_State* thread, lua_job& job, int arguments, int& results);
  [[nodiscard]] outcome run(lua_process& of, lua_job& job);
  [[nodiscard]] outcome tell(lua_process& of, const scope& where, std::string_view word);
  [[nodiscard]] outcome go_on(lua_process& of, const scope& where);
  [[nodiscard]] outcome settle(lua_process& of, lua_thread thread, lua_job& job, bool reusable);
  /// The reply; the new state, looked at where it may have outgrown its limit.
  [[nodiscard]] value take_results(lua_process& of, lua_State* thread, lua_job& job);
  void wait(lua_process& of, lua_thread thread, lua_job& job);
  [[nodiscard]] outcome outcome_of(lua_process& of, lua_job& job, value reply);
  void grant(lua_process& of, lua_job& job);
  void abandon(lua_process& of, const scope& where, const exit_reason& reason);
  void keep_account(lua_process& of, const lua_job& job) const noexcept;
  void collect_garbage();
  void collect_after_a_feast();

  // ---- versions.cpp ----
  [[nodiscard]] result<void> load(const lua_source& source, const limits_spec& limits, std::uint64_t version);
  void adopt(lua_process& of, lua_functions* functions) noexcept;
  /// A reason: code_change failed, and the process with it.
  [[nodiscard]] std::optional<exit_reason> migrate(lua_process& of, const scope& where);
  [[nodiscard]] bool take_back(lua_process& of, const value& state);
  [[nodiscard]] lua_functions& latest() const noexcept { return *versions_.back(); }
  void drop_old_versions();
  void release(lua_functions& functions) noexcept;

  std::unique_ptr<lua_host> host_;
  std::vector<std::unique_ptr<lua_functions>> versions_;  ///< the last is the present one
  limits_spec limits_;
  std::uint64_t loads_ = 0;
  std::uint64_t work_ = 0;
  std::size_t heap_after_collection_ = 0;
};

/// The behaviour type of Lua classes. Errors: as lua_engine::create.
[[nodiscard]] result<std::unique_ptr<behaviour_type>> make_lua_type(const class_spec& spec,
                                                                    duration (*processor_time)());

}  // namespace orrery::process
