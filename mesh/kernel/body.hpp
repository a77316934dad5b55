#pragma once
#include "mesh/kernel/message.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

namespace orrery::kernel {

class core;
class context;

/// What runs in a process: its state and what it does with messages. The kernel calls one function at a time, and never
/// one within another of the same process.
class body {
 public:
  body() = default;
  body(const body&) = delete;
  body& operator=(const body&) = delete;
  virtual ~body() = default;

  /// First of all. A process that stops in it was never there for who started it with `start`.
  virtual void started(context& self) { static_cast<void>(self); }
  virtual void received(context& self, message& arrived) = 0;
  /// Last of all, where the process stops by itself; not where an exit signal ends it. (OTP's terminate.)
  virtual void ended(context& self, const exit_reason& why) { static_cast<void>(self), static_cast<void>(why); }
};

/// What a full mailbox does. Whatever it does is counted, and never silent for a caller.
enum class overflow : std::uint8_t {
  reject,       ///< calls are answered `overloaded`, the rest is dropped
  drop_oldest,  ///< the oldest waiting call, cast or plain message makes room
  block,        ///< calls wait, each up to its own deadline, at most `blocked_max` of them; the rest is dropped
};
/// Calls that may wait beyond the bound of a mailbox that blocks.
inline constexpr std::uint32_t blocked_max = 10'000;

/// Exit signals of strangers that a process which traps them may have waiting beyond the bound of its mailbox.
inline constexpr std::uint32_t exits_beyond_max = 10'000;

struct spawn_options {
  bool link = false;        ///< with the parent, from the start
  bool monitor = false;     ///< by the parent, from the start
  bool trap_exits = false;  ///< exit signals become messages
  bool priority = false;    ///< its messages are handled before others', as soon as the present callback returns
  bool announced = false;   ///< its end is told to the surroundings
  overflow when_full = overflow::reject;
  std::uint32_t mailbox_max = 1U << 20U;
  std::uint64_t tag = 0;   ///< for the surroundings
  std::uint32_t note = 0;  ///< for the parent: `word` of the exit and down messages that it gets of this process
};

struct spawned {
  handle who;
  reference monitor;  ///< where one was asked for
};

/// A process' hands: valid during the callback that got it. All that OTP's BIFs do to other processes and to itself.
class context {
 public:
  context(core& of, handle self, time_point now) : core_(of), self_(self), now_(now) {}

  [[nodiscard]] time_point now() const noexcept { return now_; }
  [[nodiscard]] handle self() const noexcept { return self_; }
  [[nodiscard]] handle parent() const;
  [[nodiscard]] core& of() const noexcept { return core_; }

  // ---- messages ----
  void send(handle to, atom word, value payload = {});
  void cast(handle to, atom word, value payload = {});
  /// Asks; a `reply` message with this reference comes exactly once: the answer, or deadline_exceeded (`timeout`),
  /// process_exited, unavailable, overloaded. An answer that comes after that is dropped.
  reference call(handle to, atom word, value payload, duration timeout);
  /// No reply comes to this call of ours any more. True where its receiver, of this kernel, had not begun it: it never
  /// will.
  bool give_up(reference asked);
  /// Lets nothing but the reply to `asked` through until it comes. REQUIRES: a call of this process.
  void await(reference asked);
  void reply(const caller& to, result<value> answer);
  /// Is this call of ours still to be answered? Not once its deadline has passed or its caller has ended.
  [[nodiscard]] bool waits(const caller& asked) const;
  /// The next message is a `resume` with this, before any that waits.
  void resume(value payload = {});
  /// After this callback it handles nothing until core::unpause or core::take_turn; exit signals still end it. For
  /// bodies whose work is done outside of the kernel.
  void pause();
  /// The message that is being handled goes back to where it was, as if it had not been taken: a call can expire
  /// without effect, and goes along if the process is withdrawn. The body must not answer it.
  void put_back();
  [[nodiscard]] bool puts_back() const;
  /// A reference by which others may send here until it is given up; what comes by it later is dropped.
  [[nodiscard]] reference alias();
  void unalias(reference given);
  void send_alias(handle to, reference alias, atom word, value payload = {});

  // ---- other processes ----
  /// Runs `started` at the new process' first turn.
  spawned spawn(std::unique_ptr<body> what, const spawn_options& how = {});
  /// Runs `started` at once; the reason where it stopped there. `overloaded` becomes a limit reason.
  tl::expected<spawned, exit_reason> start(std::unique_ptr<body> what, const spawn_options& how = {});
  void link(handle with);
  /// What was sent along the link and has not arrived never does.
  void unlink(handle with);
  [[nodiscard]] reference monitor(handle target);
  /// With `flush`, a DOWN that waits is taken back.
  void demonitor(reference watched, bool flush = true);
  /// An exit signal; `kill` cannot be trapped. One that is trapped is dropped where exits_beyond_max wait beyond the
  /// bound of the mailbox, unless it comes from the parent.
  void exit(handle to, exit_reason why);
  /// This process becomes the parent of another of this kernel, linked with it: what `spawn_options` made it at first.
  void adopt(handle child, std::uint32_t note);

  // ---- itself ----
  /// Ends this process after the callback, which should return. The first call counts.
  void stop(exit_reason why = {});
  /// As stop, and `ended` does not run.
  void abort(exit_reason why);
  /// What it was before.
  bool trap_exits(bool on);
  /// This callback has worked as hard as so many messages: the process waits the longer for its next turn.
  void charge(std::uint32_t messages);
  /// Adds to what process_load::work tells of this process; of no consequence here.
  void worked(std::uint64_t units);
  /// A `timeout` message, unless another message is handled first. Zero: as soon as nothing waits.
  void receive_timeout(duration length);
  /// false: the name is another's, or this process has one.
  bool register_name(atom name);
  void unregister_name();

  // ---- timers ----
  /// A `timer` message. A timer ends with the process that it is for; processes of other kernels have none.
  reference send_after(duration delay, handle to, atom word, value payload = {});
  /// What is left of it, or nothing where it has fired, was cancelled, or never was.
  std::optional<duration> cancel(reference timer);
  /// As cancel, of timers for this process only: references from code that is not trusted.
  std::optional<duration> cancel_own(reference timer);

 private:
  core& core_;
  handle self_;
  time_point now_;
};

}  // namespace orrery::kernel
