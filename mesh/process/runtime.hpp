#pragma once
#include "mesh/base/ids.hpp"
#include "mesh/base/result.hpp"
#include "mesh/base/strong.hpp"
#include "mesh/base/time.hpp"
#include "mesh/kernel/exit_reason.hpp"
#include "mesh/process/spec.hpp"
#include "mesh/wire/value.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace orrery::process {

using kernel::exit_reason;
using kernel::is_crash;
using kernel::to_string;

/// Chosen by whoever calls; comes back with the reply, exactly once.
using reply_token = strong<struct reply_token_tag, std::uint64_t>;

struct call_request {
  process_name name;
  std::string method;
  value argument;
  time_point deadline = never;
  reply_token token;
};

struct last_exit {
  exit_reason reason;
  time_point at;
};

struct process_info {
  process_name name;
  pid id;
  std::size_t mailbox = 0;     ///< waiting messages
  std::uint64_t restarts = 0;  ///< of this name on this node since it first started here
  std::uint64_t handled = 0;   ///< messages since the last start
  std::uint64_t class_version = 0;
  time_point started_at;
  std::optional<last_exit> last;
};

struct supervisor_info {
  class_name klass;
  std::uint64_t class_version = 0;
  supervision_spec supervision;
  std::size_t children = 0;
  std::uint64_t restarts = 0;  ///< of children, ever
  std::uint64_t gave_up = 0;   ///< times it went over its intensity
};

// ---- effects ----

/// Answers one call. A deadline that passes answers too; a reply that comes later is dropped.
struct replied {
  reply_token token;
  result<value> reply;
};
struct process_event {
  enum class kind : std::uint8_t { started, exited, restarted, moved_out, moved_in };
  kind what;
  process_name name;
  pid id;
  exit_reason reason;  ///< of the exit before, for exited, restarted and moved_out
};
/// A process sent a message to a name; the node routes it (perhaps back to this runtime).
struct cast_sent {
  process_name to;
  std::string method;
  value argument;
};
struct escalated {
  class_name klass;
  escalation to;
  std::string why;
};
using effect = std::variant<replied, process_event, cast_sent, escalated>;
using effects = std::vector<effect>;

/// A named process on its way to another node: its state and the messages that wait for it.
struct handoff {
  process_name name;
  std::uint64_t class_version = 0;
  std::uint64_t restarts = 0;
  value state;
  struct waiting {
    std::string method;
    value argument;
    std::optional<reply_token> token;  ///< set for calls: the node that hands over forwards the reply
    time_point deadline = never;       ///< of a call; or when a timer is due
    /// Part of the process' state more than a message: it goes where the state goes.
    [[nodiscard]] bool is_timer() const noexcept { return !token && deadline != never; }
  };
  std::vector<waiting> mailbox;
};

/// What happened and has no effect of its own, for metrics.
struct counters {
  std::uint64_t calls_handled = 0;
  std::uint64_t casts_handled = 0;
  std::uint64_t casts_dropped = 0;  ///< refused on arrival, or waiting when the process exited
  std::uint64_t calls_expired = 0;  ///< answered deadline_exceeded while waiting
};

/// All processes of one shard of a node, under one supervisor per class. Not thread-safe. Never blocks; runs user code
/// only inside `run`, within a budget. Does not know of other nodes: names that reach it are run here.
class runtime {
 public:
  struct options {
    node_id node;
    std::uint64_t seed = 1;
    std::uint32_t processes_max = 2'000'000;
    std::size_t queued_bytes_max = 128U << 20U;  ///< what waits in all mailboxes together, methods and arguments
  };
  explicit runtime(options chosen);
  ~runtime();
  runtime(runtime&&) noexcept;
  runtime& operator=(runtime&&) noexcept;

  /// Adds a class or replaces it; versions are names, not an order: one that was deleted and made anew counts from 1
  /// again. Running processes go on with the new behaviour from their next
  /// message where the behaviour kind allows it; a script that does not compile is refused (invalid_argument with the
  /// line) and the old one stays.
  [[nodiscard]] result<void> define(class_spec spec);
  /// Stops the class' processes (reason shutdown) and forgets it.
  void undefine(time_point now, const class_name& name, effects& out);
  [[nodiscard]] std::vector<class_spec> classes() const;
  [[nodiscard]] const class_spec* find_class(const class_name& name) const;
  /// "not_found: no class 'x'; known classes: counter, kv"
  [[nodiscard]] error no_class(const class_name& name) const;

  /// Puts a call into the process' mailbox, starting the process if there is none. Refusals are answered through
  /// `out` like any reply: not_found (class, method), overloaded (mailbox, queued_bytes_max, processes_max),
  /// deadline_exceeded.
  void call(time_point now, call_request request, effects& out);
  /// As call, with no answer: a cast that is refused here and now is dropped and counted, and the error says why.
  result<void> cast(time_point now, const process_name& name, std::string method, value argument, effects& out);
  /// Orderly stop: terminate runs, the reason is `normal`, not restarted. False if there is no such process.
  bool stop(time_point now, const process_name& name, effects& out);
  /// Exits the process at once, as a crash would; its supervisor decides. False if there is no such process.
  bool kill(time_point now, const process_name& name, std::string reason, effects& out);

  /// Handles waiting messages and due deadlines, at most `budget` messages; one that works long counts for several.
  /// Returns true if work is left.
  bool run(time_point now, std::uint32_t budget, effects& out);
  /// What all runs so far have used of their budgets.
  [[nodiscard]] std::uint64_t spent() const noexcept;
  /// When run must be called next even if nothing arrives; `never` if no deadline is pending.
  [[nodiscard]] time_point next_deadline() const;

  [[nodiscard]] std::optional<process_info> find(const process_name& name) const;
  /// In name order, after `after` (for paging), at most `limit`.
  [[nodiscard]] std::vector<process_info> list(const std::optional<class_name>& only,
                                               const std::optional<process_name>& after, std::size_t limit) const;
  /// A walk over all names, some at a time: what runs from its first slice to its last, restarts included, is told
  /// exactly once, in no order that means anything. A slice looks at `places_max` places of a table, so it may be
  /// short, or empty, before the end. A walk begins at 0; without `next` it has ended.
  struct names_slice {
    std::vector<process_name> names;
    std::optional<std::uint32_t> next;
  };
  [[nodiscard]] names_slice names_from(std::uint32_t place, std::uint32_t places_max) const;
  [[nodiscard]] std::size_t count() const noexcept;
  [[nodiscard]] std::vector<supervisor_info> supervisors() const;
  [[nodiscard]] counters counted() const noexcept;

  /// Takes a process out between two messages; emits moved_out. not_found if there is none; internal if its state
  /// cannot be encoded (then it stays).
  [[nodiscard]] result<handoff> take(time_point now, const process_name& name, effects& out);
  /// Starts a process from a handoff and queues its messages; emits moved_in. already_exists if the name runs here;
  /// not_found if the class is unknown; invalid_argument if the state is not one of its behaviour. After an error
  /// nothing has changed here, and the waiting calls are still the caller's to answer.
  [[nodiscard]] result<void> install(time_point now, handoff arrived, effects& out);

  struct impl;  ///< this room's own business

 private:
  std::unique_ptr<impl> impl_;
};

/// Compiles a script in the sandbox and runs its top level under `limits`, as define would. Errors: invalid_argument
/// with "line N: ..." (syntax, or a table that lacks what a behaviour needs); limit_exceeded.
[[nodiscard]] result<void> check_script(const lua_source& source, const limits_spec& limits);

}  // namespace orrery::process
