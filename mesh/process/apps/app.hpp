#pragma once
// What a runtime and the apps that host classes say to each other. An app is one connection of a user's own program,
// which registers classes and handles their processes' messages, one at a time for each process (docs/sdk-protocol.md).
#include "mesh/base/ids.hpp"
#include "mesh/base/result.hpp"
#include "mesh/base/strong.hpp"
#include "mesh/base/time.hpp"
#include "mesh/kernel/exit_reason.hpp"
#include "mesh/process/clients/client.hpp"
#include "mesh/wire/value.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace orrery::process {

/// One callback of one process, handed to one app; never reused.
using work_id = strong<struct work_id_tag, std::uint64_t>;

inline constexpr std::size_t app_methods_max = 256;           ///< of one registration, calls and casts together
inline constexpr std::size_t app_method_bytes_max = 128;      ///< of a method's or a timer's name
inline constexpr std::size_t app_registrations_max = 16'384;  ///< on one node
inline constexpr std::uint32_t app_concurrency_max = 1024;    ///< of one registration
inline constexpr std::size_t app_deeds_max = 1000;            ///< effects of one answer
inline constexpr std::size_t app_timers_max = 1000;           ///< of one process
inline constexpr std::size_t app_kept_callers_max = 1000;     ///< of one process, to be answered later
inline constexpr std::size_t app_asked_max = 1000;            ///< calls and monitors of one process, that wait
/// State and arguments that one connection has in its hands, for all its classes; one piece of work is always allowed.
inline constexpr std::size_t app_bytes_max = 16U << 20U;
inline constexpr std::size_t app_farewells_max = 1000;  ///< `terminate` callbacks that wait for room, per class

enum class app_callback : std::uint8_t { init, call, cast, info, resume, code_change, terminate, handoff };

struct app_work;

/// What an app says that it can do for a class.
struct app_offer {
  app_id app;
  class_name klass;
  std::vector<std::string> calls{};
  std::vector<std::string> casts{};
  std::uint8_t callbacks = 0;  ///< a bit for each optional one
  std::uint32_t state_version = 0;
  std::uint32_t concurrency = 64;  ///< pieces of work at a time

  void add(app_callback one) noexcept { callbacks |= static_cast<std::uint8_t>(1U << static_cast<unsigned>(one)); }
  [[nodiscard]] bool has(app_callback one) const noexcept {
    return (callbacks >> static_cast<unsigned>(one) & 1U) != 0;
  }
  [[nodiscard]] bool takes(const app_work& what) const;
};

// ---- what an app did with a piece of work ----

struct app_cast {
  process_name to;
  std::string method;
  value argument;
};
struct app_timer {
  std::string name;
  duration delay{};
  value argument;
};
struct app_cancel_timer {
  std::string name;
};
/// To a caller whose answer was put off.
struct app_late_reply {
  std::uint64_t to = 0;
  result<value> answer;
};
/// A plain message. `to`, here and below, is a pid's text or "class/key".
struct app_send {
  std::string to;
  std::string word;
  value argument;
};
struct app_publish {
  std::string group;
  std::string word;
  value argument;
};
struct app_join {
  std::string group;
};
struct app_leave {
  std::string group;
};
/// Asks, and goes on: the answer comes as an info of this name, source `reply`.
struct app_request {
  std::string name;
  std::string to;
  std::string method;
  value argument;
  duration timeout{};
};
/// Its end comes as an info of this name, source `down`.
struct app_monitor {
  std::string name;
  std::string to;
};
struct app_demonitor {
  std::string name;
};
using app_deed = std::variant<app_cast, app_timer, app_cancel_timer, app_late_reply, app_send, app_publish, app_join,
                              app_leave, app_request, app_monitor, app_demonitor>;

/// Taken whole or not at all.
struct app_answer {
  std::optional<value> reply{};
  std::optional<error> refusal{};
  bool later = false;
  std::optional<value> state{};
  std::optional<value> patch{};  ///< JSON merge patch, RFC 7396
  std::vector<app_deed> deeds{};
  std::optional<value> next{};
  std::optional<kernel::exit_reason> stop{};
  std::optional<std::string> crash{};  ///< the handler threw: nothing else counts
};

// ---- from an app ----

/// Answered by app_class.
struct app_registered {
  app_offer offer;
};
/// It wants no new work (of one class, or of all); answered by app_drained when it has finished what it has.
struct app_drains {
  app_id app;
  std::optional<class_name> only;
};
/// `answer`: an error where what it sent makes no sense.
struct app_done {
  app_id app;
  work_id work;
  result<app_answer> answer;
};
/// The connection has ended.
struct app_gone {
  app_id app;
  std::string why;
};
/// The end of a connection is the end of its client processes, too.
using app_event = std::variant<app_registered, app_drains, app_done, app_gone, client_act, client_looks_up,
                               client_cancels, client_credit, client_written>;

// ---- to an app ----

enum class app_source : std::uint8_t { none, timer, message, reply, down };  ///< of an info

struct app_work {
  app_id app{};
  work_id id{};
  process_name name{};
  std::string pid{};
  app_callback what = app_callback::call;
  std::string method{};
  value argument{};
  std::optional<value> state{};  ///< none before init
  std::uint32_t state_version = 0;
  std::uint64_t class_version = 0;
  std::uint64_t caller = 0;  ///< of a call
  std::string trace{};       ///< W3C traceparent of who sent the message; empty: none
  app_source source = app_source::none;
  std::optional<kernel::exit_reason> reason{};  ///< of a terminate
  duration timeout{};
};
/// Nobody waits for this work any more.
struct app_cancel {
  app_id app;
  work_id work;
  std::string why;
};
/// An answer was not taken; the process has crashed for it.
struct app_refused {
  app_id app;
  work_id work;
  error why;
};
enum class app_class_state : std::uint8_t { ready, undeclared, other };
/// What a registration has come to, at once and whenever the class changes. With `refused` there is no registration.
struct app_class {
  app_id app;
  class_name klass;
  app_class_state state = app_class_state::undeclared;
  std::uint64_t version = 0;
  std::optional<error> refused{};
};
struct app_drained {
  app_id app;
  std::optional<class_name> only;
};
using app_effect = std::variant<app_work, app_cancel, app_refused, app_class, app_drained, client_answer,
                                client_message, client_ended, client_too_slow>;

}  // namespace orrery::process
