#pragma once
// One Lua 5.4 state for all processes of a class: the sandbox, the current script, and the way in and out. Nothing of
// Lua's headers here.
#include "mesh/base/random.hpp"
#include "mesh/process/behaviour.hpp"
#include "mesh/process/spec.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

struct lua_State;

namespace orrery::process {

inline constexpr std::size_t script_bytes_max = 256U << 10U;

struct lua_functions;
struct lua_host;
struct lua_job;

/// A process' part of the engine: its state table by reference, and what is known of it.
struct lua_process {
  int state = -2;  ///< LUA_NOREF
  std::uint64_t unmeasured_work = 0;
  std::size_t state_size = 0;
  std::size_t largest_string = 0;
  std::uint64_t version = 0;  ///< of the class, that its state is of
  seeded_random random{0};
};

/// Not thread-safe. Outlives its processes.
class lua_engine {
 public:
  /// Errors: invalid_argument with "line N: ...", too_large, limit_exceeded.
  [[nodiscard]] static result<std::unique_ptr<lua_engine>> create(const lua_source& source, const limits_spec& limits,
                                                                  std::uint64_t version);
  lua_engine(const lua_engine&) = delete;
  lua_engine& operator=(const lua_engine&) = delete;
  ~lua_engine();

  /// A new script for everything from the next callback on, before which each process' state goes through the script's
  /// code_change, where its version is an older one. After an error the old one stays.
  [[nodiscard]] result<void> replace(const lua_source& source, const limits_spec& limits, std::uint64_t version);

  /// Instructions and allocations of all callbacks so far, as one number.
  [[nodiscard]] std::uint64_t work() const noexcept { return work_; }
  [[nodiscard]] bool answers(message_kind kind, std::string_view method) const;
  [[nodiscard]] std::string methods(message_kind kind) const;

  [[nodiscard]] std::optional<exit_reason> init(lua_process& of, const scope& where);
  [[nodiscard]] outcome handle(lua_process& of, message_kind kind, const scope& where, std::string_view method,
                               const value& argument);
  /// A message of no method: info.WORD(state, argument). What the script has no function for is dropped.
  [[nodiscard]] outcome info(lua_process& of, const scope& where, std::string_view word, const value& argument);
  void terminate(lua_process& of, const scope& where, const exit_reason& reason);
  [[nodiscard]] result<value> snapshot(lua_process& of);
  [[nodiscard]] result<void> restore(lua_process& of, const value& state, std::uint64_t version);
  void forget(lua_process& of) noexcept;

 private:
  lua_engine();
  /// Runs `body` under the meter with every Lua error caught; the job says how it ended.
  void enter(int (*body)(lua_State*), lua_job& job, std::size_t largest_string);
  [[nodiscard]] result<void> load(const lua_source& source, const limits_spec& limits);
  [[nodiscard]] outcome run(lua_process& of, const scope& where, int function, bool wants_reply,
                            std::string_view method, const value& argument);
  /// A reason: code_change failed, and the process with it.
  [[nodiscard]] std::optional<exit_reason> migrate(lua_process& of, const scope* where);
  void release(const lua_functions& functions) noexcept;
  [[nodiscard]] exit_reason reason_of(const lua_job& job, std::string_view callback) const;
  void keep_account(lua_process& of, const lua_job& job) const noexcept;

  std::unique_ptr<lua_host> host_;
  std::unique_ptr<lua_functions> functions_;
  limits_spec limits_;
  std::uint64_t version_ = 0;
  std::uint64_t work_ = 0;
};

/// The behaviour type of Lua classes. Errors: as lua_engine::create.
[[nodiscard]] result<std::unique_ptr<behaviour_type>> make_lua_type(const class_spec& spec);

}  // namespace orrery::process
