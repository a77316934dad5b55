#pragma once
// What a runtime and clients that are processes say to each other (docs/sdk-protocol.md, "Client processes"). A client
// process is a process of this node whose mailbox is one connection of an SDK client.
#include "mesh/base/ids.hpp"
#include "mesh/base/result.hpp"
#include "mesh/base/strong.hpp"
#include "mesh/base/time.hpp"
#include "mesh/kernel/exit_reason.hpp"
#include "mesh/process/directory.hpp"
#include "mesh/wire/value.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

namespace orrery::process {

/// One connection of an SDK client, of which some host classes; chosen by the shell, never reused.
using app_id = strong<struct app_id_tag, std::uint64_t>;
/// A client's number for one of its processes.
using client_process_id = strong<struct client_process_id_tag, std::uint64_t>;
/// Chosen by the connection for something that it asked; comes back with the answer, exactly once.
using client_request = strong<struct client_request_tag, std::uint64_t>;

inline constexpr std::size_t client_processes_max = 1024;         ///< of one connection
inline constexpr std::size_t client_ties_max = 10'000;            ///< monitors that one process holds; links, likewise
inline constexpr std::size_t client_messages_max = 10'000;        ///< that wait for credit or room, for one process
inline constexpr std::size_t client_waiting_bytes = 128U << 20U;  ///< of what waits so, for all of a node
/// Of ends, and of what the system tells of groups and keys, that wait beyond that.
inline constexpr std::size_t client_waiting_ends_bytes = 64U << 20U;
/// Of messages that one connection was told and has not written: more waits, whatever the credit of its processes.
inline constexpr std::size_t client_window_bytes = 2U << 20U;
/// The same for all connections together: each has its share of this, where that is less.
inline constexpr std::size_t client_window_bytes_in_all = 64U << 20U;
/// A byte of JSON takes as much time to write as so many of CBOR: what is told in one turn is to be written in it.
inline constexpr std::size_t client_json_cost = 4;
/// Of that each connection may be told so much, however much is on its way to others.
inline constexpr std::size_t client_floor_bytes = 128U << 10U;
/// Whose connection has taken nothing for so long is told no more than that floor.
inline constexpr duration client_stuck_after = std::chrono::seconds{1};
/// Where others wait because one does not read, its connection ends when it has taken nothing for so long.
inline constexpr duration client_patience = std::chrono::seconds{10};
inline constexpr std::size_t client_watches_max = 250'000;     ///< monitors that all hold, and downs that wait
inline constexpr std::uint32_t client_credit_max = 1'000'000;  ///< in hand, of one process
inline constexpr duration client_call_timeout = std::chrono::seconds{5};  ///< where none is given

// ---- acts of a process; `to` is a pid's text or "class/key" ----

struct client_open {
  std::uint32_t credit = 0;
  bool as_json = false;  ///< its connection speaks JSON
};
struct client_close {
  kernel::exit_reason why;
};
struct client_calls {
  std::string to;
  std::string method;
  value argument;
  std::optional<duration> timeout{};  ///< none: that of the class; of a pid, client_call_timeout
};
struct client_casts {
  std::string to;
  std::string method;
  value argument;
};
struct client_sends {
  std::string to;
  std::string word;
  value argument;
};
struct client_spawns {
  class_name klass;
  value argument;
  bool link = false;
  bool monitor = false;
};
struct client_monitors {
  std::string to;
};
struct client_demonitors {
  std::uint64_t monitor = 0;
};
struct client_links {
  std::string to;
  bool on = true;
};
struct client_exits {
  std::string to;
  kernel::exit_reason why;
};
struct client_groups {
  enum class kind : std::uint8_t { join, leave, watch, unwatch };
  kind what = kind::join;
  std::string group;
};
struct client_publishes {
  std::string group;
  std::string word;
  value argument;
};
struct client_claims {
  key_space in = key_space::mesh_unique;
  std::string key;
  value held;
  duration timeout = client_call_timeout;
};
struct client_updates {
  key_space in = key_space::mesh_unique;
  std::string key;
  value held;
};
struct client_releases {
  key_space in = key_space::mesh_unique;
  std::string key;
};
using client_deed = std::variant<client_open, client_close, client_calls, client_casts, client_sends, client_spawns,
                                 client_monitors, client_demonitors, client_links, client_exits, client_groups,
                                 client_publishes, client_claims, client_updates, client_releases>;

// ---- from a client ----

/// Answered by client_answer.
struct client_act {
  app_id client;
  client_request request;
  client_process_id process;
  client_deed what;
};
/// Who holds a key; answered by client_answer.
struct client_looks_up {
  app_id client;
  client_request request;
  key_space in = key_space::mesh_unique;
  std::string key;
};
/// A call that the client wants no more: `request` is answered, `cancelled` where its reply had not come. What is no
/// call goes on.
struct client_cancels {
  app_id client;
  client_request request;
};
/// So many more messages may come. Not answered.
struct client_credit {
  app_id client;
  client_process_id process;
  std::uint32_t add = 0;
};
/// Messages of this `weight` together, that this connection was told, have left. Not answered.
struct client_written {
  app_id client;
  std::size_t bytes = 0;
};

// ---- to a client ----

/// What came of an act: `ok` of docs/sdk-protocol.md.
struct client_answer {
  app_id app;
  client_request request;
  result<value> answer;
};
struct client_message {
  enum class kind : std::uint8_t { plain, cast, down, exit, dropped };
  app_id app;
  client_process_id process;
  kind what = kind::plain;
  std::string word{};  ///< or a method
  value argument{};
  std::string from{};         ///< pid; empty: no process
  std::uint64_t monitor = 0;  ///< of a down
  kernel::exit_reason why{};  ///< of a down or an exit
  std::uint64_t count = 0;    ///< that came here and found no room, where they are dropped
  std::size_t weight = 0;  ///< bytes of its frame, or a few more, of JSON client_json_cost times: for `client_written`
};
/// What it counts for where it waits: its size as a frame in CBOR, or a few more.
[[nodiscard]] inline std::size_t bytes_of(const client_message& what) noexcept {
  constexpr std::size_t names_of_fields = 128;
  return names_of_fields + what.argument.cbor().size() + what.why.detail.size() + what.word.size() + what.from.size();
}
/// Ended by others than its client; it is no more.
struct client_ended {
  app_id app;
  client_process_id process;
  kernel::exit_reason why;
};
/// It does not read, and others wait for that: its connection is to be ended.
struct client_too_slow {
  app_id app;
  std::string why;
};

/// The bounds that all processes of all clients share; tests have smaller ones.
struct client_bounds {
  std::size_t window = client_window_bytes;
  std::size_t window_in_all = client_window_bytes_in_all;
  std::size_t floor = client_floor_bytes;
  std::size_t waiting = client_waiting_bytes;
  std::size_t waiting_ends = client_waiting_ends_bytes;
  std::size_t watches = client_watches_max;
};

/// What the processes of clients take of a node, for metrics.
struct client_load {
  std::size_t connections = 0;  ///< that have, or had, processes
  std::size_t unwritten_bytes = 0;
  std::size_t waiting_bytes = 0;
  std::size_t waiting_ends_bytes = 0;
  std::size_t watching = 0;
  std::uint64_t dropped = 0;
};

}  // namespace orrery::process
