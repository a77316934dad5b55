#pragma once
// The one interface between processes and what runs in them: built in, Lua, the user's app.
#include "mesh/base/result.hpp"
#include "mesh/kernel/body.hpp"
#include "mesh/process/directory.hpp"
#include "mesh/process/runtime.hpp"
#include "mesh/process/spec.hpp"
#include "mesh/wire/value.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace orrery::process {

class caller_seal;

/// A moment on this node's monotonic clock and in the world. Without a shell that told the time of day (in tests), they
/// are the same.
struct moment {
  time_point now;
  duration wall_offset{};  ///< runtime::set_wall_offset
  [[nodiscard]] wall_time wall() const noexcept { return wall_time{now.time_since_epoch() + wall_offset}; }
};

/// What a callback may know and do. Valid during the callback only.
struct scope {
  time_point now;
  std::string_view klass;
  std::string_view key;
  effects& out;  ///< only cast_sent and script_failure may be added
  kernel::context& self;
  directory& around;
  const kernel::message* handled =
      nullptr;                           ///< whom a call is to be answered (kernel::caller_of); null in init, terminate
  const value* given = nullptr;          ///< of init: what the process was spawned with, or is declared with
  const caller_seal* callers = nullptr;  ///< for callers that are kept as data
  std::size_t queued_bytes_max = SIZE_MAX;  ///< what may wait in all mailboxes of the kernel, for those who add to it
  duration wall_offset{};                   ///< of this node, see moment

  [[nodiscard]] moment when() const noexcept { return {now, wall_offset}; }
};

/// A call that a behaviour has kept to answer later, as it was asked.
struct unanswered {
  kernel::caller from;
  std::string method;
  value argument;
};

/// The callback did its work. `reply` goes to the caller of a call and is ignored after a cast.
struct done {
  value reply;
};
/// The callback answers with an error; the process lives on.
struct refused {
  error why;
};
/// The process ends after this message: a crash, or a stop of its own. `reply`: what the caller hears before; without
/// one it hears that the process exited.
struct exits {
  exit_reason reason;
  std::optional<value> reply;
};
/// The callback has kept whom to answer (kernel::caller_of), and replies later.
struct deferred {};
using outcome = std::variant<done, refused, exits, deferred>;

/// One life of one process: its state and its callbacks, named as gen_server's are. The runtime calls one at a time.
class behaviour {
 public:
  behaviour() = default;
  behaviour(const behaviour&) = delete;
  behaviour& operator=(const behaviour&) = delete;
  virtual ~behaviour() = default;

  /// First of all callbacks, unless `restore` is. A reason means that the process did not start.
  /// `seed`: for the process' own random numbers; differs from life to life.
  [[nodiscard]] virtual std::optional<exit_reason> init(const scope& where, std::uint64_t seed) = 0;
  [[nodiscard]] virtual outcome call(const scope& where, std::string_view method, const value& argument) = 0;
  [[nodiscard]] virtual outcome cast(const scope& where, std::string_view method, const value& argument) = 0;
  /// What is neither: exits and downs of others, timers, timeouts, replies to own calls, plain messages, continues.
  /// Without it they are dropped.
  [[nodiscard]] virtual outcome info(const scope& where, const kernel::message& arrived) {
    static_cast<void>(where), static_cast<void>(arrived);
    return done{};
  }
  /// Last of all callbacks: on stop and shutdown, and after an error of its own; not when killed or over a limit.
  virtual void terminate(const scope& where, const exit_reason& reason) = 0;
  /// The state as data, for another node or a checkpoint. Errors: unavailable, in the middle of a message (it waits for
  /// a reply); internal, where it cannot be expressed.
  /// `at`: so that the state can say how long something still lasts, which `restore` goes on from.
  [[nodiscard]] virtual result<value> snapshot(const moment& at) = 0;
  /// About what a snapshot would have, without making one. For people who look for what takes the memory.
  [[nodiscard]] virtual std::size_t state_bytes() const noexcept { return 0; }
  /// After a snapshot that was taken to go on elsewhere, in place of terminate: cancels its timers, as far as the
  /// snapshot speaks of what they are for, and gives back the calls that it has kept. Those from outside are asked
  /// again where it goes, before anything else that waits there.
  [[nodiscard]] virtual std::vector<unanswered> leave(const scope& where) {
    static_cast<void>(where);
    return {};
  }
  /// In place of init: goes on from a snapshot that this version of the class made. Errors: invalid_argument, where it
  /// is no state of this behaviour.
  [[nodiscard]] virtual result<void> restore(const scope& where, std::uint64_t seed, const value& state,
                                             std::uint64_t version) = 0;
  /// What people see of a snapshot, and the snapshot that would be of this process if it had what they give instead.
  [[nodiscard]] virtual value unpacked(value snapshot) const { return snapshot; }
  [[nodiscard]] virtual value packed(value state) const { return state; }
  /// After a `restore` in place of `before`, which is no longer asked: what is no state, as callers who wait.
  virtual void take_over(behaviour& before) { static_cast<void>(before); }
  /// A timer that came along with the state is set again: `payload` is what it was set with.
  virtual void timer_restored(const value& payload, kernel::reference set) {
    static_cast<void>(payload), static_cast<void>(set);
  }
  /// Not between two messages, though no callback runs: it cannot go elsewhere now.
  [[nodiscard]] virtual bool busy() const noexcept { return false; }

  /// After a `restore` on another node: timers have come along; links, monitors and what was asked have not.
  virtual void moved(const scope& where) { static_cast<void>(where); }
  /// Of the class, that the state is of, where it may be another than the class' present one.
  [[nodiscard]] virtual std::optional<std::uint64_t> version() const { return {}; }
  /// Names the code that the state is of: the same on every node, and through changes of the class that leave the code
  /// alone. 0: the class' version tells.
  [[nodiscard]] virtual std::uint64_t code() const { return 0; }
};

enum class message_kind : std::uint8_t { call, cast };

/// What the processes of one class share: its methods, and a script where there is one. Outlives its behaviours.
class behaviour_type {
 public:
  behaviour_type() = default;
  behaviour_type(const behaviour_type&) = delete;
  behaviour_type& operator=(const behaviour_type&) = delete;
  virtual ~behaviour_type() = default;

  [[nodiscard]] virtual bool answers(message_kind kind, std::string_view method) const = 0;
  /// Is there a callback for messages of this word, of whatever kind?
  [[nodiscard]] virtual bool hears(std::string_view word) const {
    static_cast<void>(word);
    return false;
  }
  /// "add, get, set", for refusals
  [[nodiscard]] virtual std::string methods(message_kind kind) const = 0;
  /// Arguments come with the trace of who sent them (mesh/wire/trace_context.hpp); else without.
  [[nodiscard]] virtual bool takes_traces() const noexcept { return false; }
  /// Why no new messages are taken for now.
  [[nodiscard]] virtual std::optional<error> refusal(time_point now) const {
    static_cast<void>(now);
    return {};
  }
  [[nodiscard]] virtual std::unique_ptr<behaviour> make() = 0;
  /// Takes over a newer spec for processes that run already. False where `spec` is of another kind: its processes
  /// start afresh. Errors: as make_type; then nothing has changed.
  [[nodiscard]] virtual result<bool> upgrade(const class_spec& spec) = 0;
  /// What all callbacks so far have cost, in Lua's instructions. Built-in ones are too short to count.
  [[nodiscard]] virtual std::uint64_t work() const noexcept { return 0; }
};

/// Errors: those of check_options (builtin/kinds.hpp).
[[nodiscard]] result<std::unique_ptr<behaviour_type>> make_builtin_type(builtin_kind kind, const class_spec& spec);
/// Errors: those of make_builtin_type; invalid_argument ("line N: ...") or limit_exceeded for a script that cannot be
/// used. `processor_time`: of the thread, as a last bound on what a script's callback takes; null: there is none.
[[nodiscard]] result<std::unique_ptr<behaviour_type>> make_type(const class_spec& spec,
                                                                duration (*processor_time)() = nullptr);

}  // namespace orrery::process
