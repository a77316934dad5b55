#pragma once
// What processes hear of each other.
#include <nlohmann/json.hpp>

#include "orrery/app/error.hpp"
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>

namespace orrery::app {

using nlohmann::json;

/// How a call ended: the reply, or why there is none.
struct outcome {
  json reply;
  std::unique_ptr<error> failure;
};

/// Why a process ends. `kind`: normal, shutdown, error, limit, killed, moved, noproc, noconnection or system_limit
/// (docs/semantics.md).
struct exit_reason {
  std::string kind;
  std::string text;
  friend bool operator==(const exit_reason&, const exit_reason&) = default;
};

/// A process that was monitored has ended, is not there (`noproc`), or cannot be reached any more (`noconnection`).
/// `pid` is empty where nobody was behind a name, or it is not known who.
struct down {
  std::string pid;
  exit_reason reason;
  friend bool operator==(const down&, const down&) = default;
};

/// A message that is no call and no cast. From the system: `group_joined` and `group_left`, with `{"group", "pids"}`,
/// of groups that are watched, and `key_lost`, with `{"key", "pid"}`.
struct plain_message {
  std::string word;
  json argument;
  std::string from;  ///< a pid; empty: no process sent it
};
/// It was cast at the client process' pid.
struct cast_message {
  std::string method;
  json argument;
  std::string from;  ///< as above
};
/// What the client process monitors under this number has ended.
struct down_message {
  std::uint64_t monitor;
  down what;
};
/// A process that it is linked with has ended, or somebody asks it to exit. It goes on.
struct exit_message {
  std::string from;  ///< a pid; empty: nobody was behind a name
  exit_reason reason;
};
/// In the place of messages that found no room, as they were not read: so many, plain ones and casts, are lost. What
/// they would have told is to be looked at anew. Ends, and the system's words, are not among them.
struct dropped_message {
  std::uint64_t count;
};
/// What comes to a client process.
using process_message = std::variant<plain_message, cast_message, down_message, exit_message, dropped_message>;

/// Why a linked task was cancelled: the process that it is linked with has ended, or the connection (`noconnection`).
/// Its code is `process_exited`.
class process_exit : public error {
 public:
  process_exit(const std::string& who, exit_reason why)
      : error("process_exited", who + " exited, " + why.kind + (why.text.empty() ? "" : ": " + why.text),
              effect::unknown),
        reason_(std::move(why)) {}
  [[nodiscard]] const exit_reason& reason() const noexcept { return reason_; }

 private:
  exit_reason reason_;
};

}  // namespace orrery::app
