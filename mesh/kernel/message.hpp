#pragma once
#include "mesh/base/result.hpp"
#include "mesh/base/time.hpp"
#include "mesh/kernel/exit_reason.hpp"
#include "mesh/kernel/handle.hpp"
#include "mesh/wire/value.hpp"

#include <cstdint>
#include <string>

namespace orrery::kernel {

/// What a process receives, one at a time. Which fields mean something depends on `what`.
struct message {
  enum class kind : std::uint8_t {
    plain,    ///< word, payload; from: who sent it (nobody for the outside), ref: the alias it came by, or none
    cast,     ///< word, payload: a request without an answer
    call,     ///< word, payload, from and ref: whom to answer (`caller_of`)
    reply,    ///< ref: our call; payload, or `failed` with word's place taken by an errc and the payload its text
    exit,     ///< from: the linked process that ended, or who asked us to; why, payload: the reason (`reason_of`);
              ///< word: the note of a child of ours
    down,     ///< ref: our monitor; from: the process watched; the rest as above
    timer,    ///< word, payload: what send_after was given; ref: the timer
    timeout,  ///< nothing arrived in the time that the process had set
    resume,   ///< payload: what the process wanted to go on with before anything else (OTP's continue)
  };
  kind what = kind::plain;
  exit_reason::kind why = exit_reason::kind::normal;
  bool failed = false;                             ///< of a reply
  took_effect effect = took_effect::not_executed;  ///< of a failed reply
  atom word{};                                     ///< of a failed reply: static_cast<errc>(word.value)
  handle from{};
  reference ref{};
  value payload{};
  time_point arrived{};

  // The kernel's own.
  std::uint32_t receiver = no_slot;
  std::uint32_t weight = 0;  ///< bytes of the payload of a call, cast or plain message
  slot_link place{};

  void clear() noexcept { payload = value{}; }
};

/// Whom to answer; may be kept, and answered once, later (OTP's From).
struct caller {
  handle from{};
  reference ref{};
};
[[nodiscard]] inline caller caller_of(const message& call) noexcept { return {call.from, call.ref}; }
/// Of an exit or a down.
[[nodiscard]] exit_reason reason_of(const message& ended);
/// Of a reply.
[[nodiscard]] result<value> outcome_of(const message& reply);

/// What one kernel tells another of a process of theirs. Signals from one process to another arrive in the order in
/// which they were sent, or not at all.
struct signal {
  enum class kind : std::uint8_t {
    plain,       ///< as message's; also through an alias, then ref is set
    cast,        ///< as message's
    call,        ///< as message's; a monitor of the callee comes with it: a `down` for ref fails the call
    reply,       ///< ref: the call; payload or failure
    exit,        ///< asked to exit for a reason
    link,        ///< from wants to be linked with to
    unlink,      ///< ref.slot: a number that unlinked brings back
    unlinked,    ///< acknowledges an unlink
    link_broke,  ///< from ended, and was linked
    monitor,     ///< from watches to, as ref
    demonitor,   ///< from no longer watches as ref, or waits for the call ref
    down,        ///< ref: the watcher's; from ended
  };
  kind what = kind::plain;
  exit_reason::kind why = exit_reason::kind::normal;
  bool failed = false;
  took_effect effect = took_effect::not_executed;
  atom word{};
  handle from{};
  handle to{};
  reference ref{};
  value payload{};
  duration timeout = duration::max();  ///< of a call: how long its caller still waits
};
/// Of an exit, a link_broke or a down.
[[nodiscard]] exit_reason reason_of(const signal& ended);
/// What a reply says.
void put_outcome(signal& reply, result<value> outcome);

}  // namespace orrery::kernel
