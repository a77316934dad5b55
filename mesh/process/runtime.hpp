#pragma once
#include "mesh/base/ids.hpp"
#include "mesh/base/result.hpp"
#include "mesh/base/strong.hpp"
#include "mesh/base/time.hpp"
#include "mesh/kernel/exit_reason.hpp"
#include "mesh/process/apps/app.hpp"
#include "mesh/process/census.hpp"
#include "mesh/process/crashes.hpp"
#include "mesh/process/directory.hpp"
#include "mesh/process/remote.hpp"
#include "mesh/process/spec.hpp"
#include "mesh/process/tracing.hpp"
#include "mesh/wire/value.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace orrery::process {

using kernel::exit_reason;
using kernel::is_crash;
using kernel::to_string;

/// Chosen by whoever calls; comes back with the reply, exactly once.
using reply_token = strong<struct reply_token_tag, std::uint64_t>;

/// A call of this method is answered by every process, once it has begun, with
/// {"pid"}: no class can have the method.
inline constexpr std::string_view start_method = "orrery:start";

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

enum class process_state : std::uint8_t {
  running,
  suspended,   ///< handles nothing until it is resumed
  restarting,  ///< its supervisor is about to start it again; its id is that of its last life
};

struct process_info {
  process_name name;
  pid id;
  process_state state = process_state::running;
  std::size_t mailbox = 0;             ///< waiting messages
  std::optional<time_point> oldest{};  ///< when the message that is next arrived
  std::size_t mailbox_bytes = 0;       ///< of the arguments that wait
  std::size_t memory_bytes = 0;        ///< an estimate of all that there is of it
  std::size_t timers = 0;
  std::uint64_t reductions = 0;  ///< since the last start: one a message, one an instruction of Lua, by hundreds
  std::uint64_t restarts = 0;    ///< of this name on this node since it first started here
  std::uint64_t handled = 0;     ///< messages since the last start
  std::uint64_t class_version = 0;
  time_point started_at;
  std::optional<last_exit> last;
  std::string supervisor{};  ///< its class' one: "root/shop/cart"
};

/// A declared child, as far as this node has to do with it.
struct declared_info {
  enum class state : std::uint8_t {
    absent,      ///< not here: another node's, or not started yet
    running,     ///< here
    restarting,  ///< here, and it waits for its next life
    ended,       ///< for good: it was stopped, or its restart type says so. A call starts it again
    given_up,    ///< over its own budget
  };
  process_name name;
  state what = state::absent;
};

/// A name whose process went over its own budget. Calls are refused until it is released or has cooled down.
struct given_up_info {
  process_name name;
  std::string why;
  time_point until;
};

/// What met a full mailbox.
struct mailbox_counts {
  std::uint64_t refused = 0;    ///< did not get in
  std::uint64_t displaced = 0;  ///< dropped to make room for newer ones
  std::uint64_t waited = 0;     ///< calls that had to wait beyond the bound
};

/// What ties a process to others, each by its name or else its pid, the latest first.
struct process_ties {
  static constexpr std::size_t named_max = 200;
  std::vector<std::string> links{};
  std::vector<std::string> monitors{};      ///< that it holds
  std::vector<std::string> monitored_by{};  ///< calls that wait are not told
  bool whole = true;                        ///< nothing was left out
};

/// A process' state as data. `version` differs from that of any state that it had before, in any of its lives.
struct state_copy {
  std::string version;
  value state;
};

struct supervisor_info {
  static constexpr std::size_t given_up_shown = 20;
  class_name klass;
  std::uint64_t class_version = 0;
  supervision_spec supervision;
  std::size_t children = 0;
  std::uint64_t restarts = 0;           ///< of children, ever
  std::uint64_t gave_up = 0;            ///< times it went over its intensity
  std::uint32_t budget_left = 0;        ///< restarts that it may make now before it does so
  std::string path{};                   ///< "root/shop/cart"
  bool finished = false;                ///< its significant children have ended: it is down until a call or a change
  std::uint64_t children_given_up = 0;  ///< ever
  std::size_t given_up_now = 0;
  std::vector<given_up_info> given_up{};  ///< of these, at most given_up_shown
  std::vector<declared_info> declared{};
  std::optional<std::uint32_t> processes_max{};
  mailbox_counts mailboxes{};
};

// ---- effects ----

/// Answers one call. A deadline that passes answers too; a reply that comes later is dropped.
struct replied {
  reply_token token;
  result<value> reply;
};
struct process_event {
  /// given_up: over its own budget, and refused from now on; released: no longer.
  enum class kind : std::uint8_t { started, exited, restarted, moved_out, moved_in, given_up, released };
  kind what;
  process_name name;
  pid id;
  exit_reason reason;  ///< of the exit before, for exited, restarted and moved_out; of given_up, its detail
};
/// A process sent a message to a name; the node routes it (perhaps back to this runtime).
struct cast_sent {
  process_name to;
  std::string method;
  value argument;
};
/// A process crashed, and its supervisor has dealt with it: crash_log has the report.
struct crashed {
  std::uint64_t number = 0;
};
struct escalated {
  class_name klass;
  escalation to;
  std::string why;
  std::string parent{};  ///< path of the supervisor above
};
/// What became of a class' supervisor by its parent's doing, or by its own.
struct supervisor_event {
  enum class kind : std::uint8_t {
    restarted,  ///< by its parent
    finished,   ///< its significant children have ended, and the others with it
  };
  kind what;
  class_name klass;
  std::string parent;
  std::string why;
};
/// For an app that hosts classes.
struct to_app {
  app_effect what;
};
/// `take` found this process in the middle of a message; it is between two now, until the runtime runs again.
struct movable {
  process_name name;
};
/// For people: what a script's function failed of, and where. The process' end, where it comes to that, is told too.
struct script_failure {
  process_name name;
  std::string id;         ///< its pid
  std::string callback;   ///< "call add", "info tick", "init", "code_change"
  std::string what;       ///< "error: line 12: ..."
  std::string traceback;  ///< "total (line 4) < add (line 12)", the innermost first; bounded
};
using effect =
    std::variant<replied, process_event, crashed, cast_sent, escalated, supervisor_event, to_app, movable, signal_sent,
                 published, fact_changed, name_called, name_sought, key_claimed, script_failure>;
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
    bool plain = false;                ///< a plain message, and no cast: `method` is its word
    /// Part of the process' state more than a message: it goes where the state goes.
    [[nodiscard]] bool is_timer() const noexcept { return !token && deadline != never; }
  };
  std::vector<waiting> mailbox;
  bool suspended = false;
  std::vector<wire::fact> facts{};  ///< the groups that it was in, and the keys of the mesh that it held
  std::uint64_t code = 0;           ///< see behaviour::code
};

class behaviour_type;

/// What happened and has no effect of its own, for metrics.
struct counters {
  std::uint64_t calls_handled = 0;
  std::uint64_t casts_handled = 0;
  std::uint64_t casts_dropped = 0;            ///< refused on arrival, or waiting when the process exited
  std::uint64_t calls_expired = 0;            ///< answered deadline_exceeded while waiting
  std::uint64_t app_works = 0;                ///< callbacks handed to apps
  std::uint64_t app_crashes = 0;              ///< that they failed with
  std::uint64_t app_losses = 0;               ///< that went with the connection of the app that had them
  std::uint64_t app_overdue = 0;              ///< that were not done in time
};

/// All processes of one shard of a node, under one supervisor per class. Not thread-safe. Never blocks; runs user code
/// only inside `run`, within a budget. Does not know of other nodes: names that reach it are run here.
class runtime {
 public:
  struct options {
    node_id node;
    std::uint64_t seed = 1;
    std::uint32_t processes_max = 2'000'000;
    std::size_t queued_bytes_max =
        128U << 20U;  ///< what waits in all mailboxes together; a quarter more for empty ones
    /// Makes the behaviours of a class, as make_type does; empty: make_type.
    std::function<result<std::unique_ptr<behaviour_type>>(const class_spec&)> make{};
    /// A clock to time callbacks that are traced; nothing depends on it. None: they are not timed.
    duration (*stopwatch)() = nullptr;
    /// Of this thread: see make_type.
    duration (*processor_time)() = nullptr;
    client_bounds clients{};
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

  /// What is to be added to `now` for the time of day (wall_time); 0 until it is told. Tell it again when that clock
  /// was set: processes go on with it from their next message.
  void set_wall_offset(duration offset) noexcept;
  /// Carries out what `define` and `undefine` changed of the tree of supervisors: each goes below its parent, children
  /// that are no longer declared are stopped, those that run and are declared now are. REQUIRES, after a change: to be
  /// called before anything runs. False where something has to wait for processes that end slowly: call it again.
  bool arrange(time_point now, effects& out);
  /// All declared children of all classes, class by class, in the order of their start.
  [[nodiscard]] std::vector<declared_info> declared() const;
  /// Starts a declared child that is absent. A child that does not start is tried again, as one that crashed. False
  /// where it cannot be started now: try again later.
  [[nodiscard]] bool start_declared(time_point now, const process_name& name, effects& out);
  /// This node does not own the declared child: unless it runs, it becomes absent, however it had ended.
  void let_go(time_point now, const process_name& name, effects& out);
  /// Why the name is refused now, if it is over its own budget.
  [[nodiscard]] std::optional<given_up_info> given_up(const process_name& name) const;
  /// Takes that back: a declared child starts at once, another on its next call. False if it is not given up.
  bool release(time_point now, const process_name& name, effects& out);

  /// Puts a call into the process' mailbox, starting the process if there is none. Refusals are answered through
  /// `out` like any reply: not_found (class, method), overloaded (mailbox, queued_bytes_max, processes_max), given_up,
  /// unavailable (it is about to start again), deadline_exceeded.
  /// What `cancel` knows it by; no_reference where it was refused.
  kernel::reference call(time_point now, call_request request, effects& out);
  /// Takes a call back, if its process has not begun it: it never will, and is not answered. False: it has been begun,
  /// or answered.
  bool cancel(kernel::reference asked, reply_token token);
  /// As call, with no answer: a cast that is refused here and now is dropped and counted, and the error says why.
  result<void> cast(time_point now, const process_name& name, std::string method, value argument, effects& out);
  /// A plain message that waited for the process where it ran before. Dropped, and counted, where it does not run here.
  void inform(time_point now, const process_name& name, std::string_view word, value payload, effects& out);
  /// What a client says: an app that hosts, or one that has processes. A process whose work is with an app handles
  /// nothing else until it is done; the app's failure, its going away and a missed deadline end exactly the processes
  /// whose work it had.
  void from_app(time_point now, app_event said, effects& out);
  struct app_load {
    std::size_t registrations = 0;
    std::size_t at_work = 0;  ///< callbacks that apps have in hand
  };
  [[nodiscard]] app_load apps() const noexcept;
  [[nodiscard]] client_load clients() const noexcept;
  /// An app that hosts the class is connected.
  [[nodiscard]] bool has_app(const class_name& klass) const;
  /// Whether unhosted() may have changed since the last time that this was asked.
  [[nodiscard]] bool apps_came_or_went(time_point now);
  /// App-hosted classes that no app was ever there for, nor in the last waitForApp, nor has one been back as long.
  [[nodiscard]] std::vector<class_name> unhosted() const;
  /// These are hosted by other nodes, and not here: their messages wait to go there, and are not refused.
  void set_hosted_elsewhere(const std::set<class_name>& classes);

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
  [[nodiscard]] process_ties ties_of(const process_name& name) const;
  // OTP's sys, between two messages. Errors of each: not_found (no such process), unavailable (it is about to start
  // again).
  /// Errors: internal, where it cannot be expressed.
  [[nodiscard]] result<state_copy> read_state(const process_name& name);
  /// The new version. Errors: invalid_argument (no state of its behaviour), too_large (limits.stateBytes), conflict
  /// (not at version `expected`). After an error nothing has changed.
  [[nodiscard]] result<std::string> replace_state(time_point now, const process_name& name, const value& state,
                                                  const std::optional<std::string>& expected, effects& out);
  /// From then on messages wait, calls up to their deadlines. Lasts until it is resumed or ends; a process that is
  /// handed over stays suspended.
  [[nodiscard]] result<void> suspend(const process_name& name);
  [[nodiscard]] result<void> resume(const process_name& name);
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
  [[nodiscard]] const crash_log& crashes() const noexcept;
  [[nodiscard]] std::size_t run_queue() const noexcept;     ///< processes that wait for their turn
  [[nodiscard]] std::size_t queued_bytes() const noexcept;  ///< of arguments that wait, in all mailboxes

  /// Records what the process receives, in all its lives here; it need not run. Ends by itself after `limit` entries.
  /// Errors: not_found (no such class), overloaded.
  [[nodiscard]] result<void> begin_trace(trace_id id, const process_name& name, std::size_t limit);
  /// How many entries had been dropped and not told. Nothing if it has ended.
  std::optional<std::uint64_t> end_trace(trace_id id);
  /// What the traces have recorded, in order.
  [[nodiscard]] std::vector<traced> take_traced();
  [[nodiscard]] std::size_t traces() const noexcept;

  /// A walk over all processes. REQUIRES: none is under way.
  void begin_census(time_point now);
  /// Looks at so many places of a table. False when the walk has ended.
  bool continue_census(time_point now, std::uint32_t places_max);
  void forget_baseline();
  [[nodiscard]] const census& seen() const noexcept;
  /// As the walk that ended last saw them, in the order of their names.
  [[nodiscard]] std::vector<std::pair<class_name, class_load>> class_loads() const;
  struct great {
    process_info info;
    std::optional<rates> per_second;
  };
  /// Of these those that still run, the greatest first.
  [[nodiscard]] std::vector<great> top(measure by, std::size_t limit) const;
  [[nodiscard]] counters counted() const noexcept;

  /// Takes a process out between two messages; emits moved_out. Errors: not_found if there is none, or if it waited for
  /// its next life, which it does no longer; and, then it stays, internal if its state cannot be encoded; unavailable
  /// if it is just ending, or is in the middle of a message: it waits for a reply, or an app has its work (then
  /// `movable` follows).
  [[nodiscard]] result<handoff> take(time_point now, const process_name& name, effects& out);
  /// Starts a process from a handoff and queues its messages; emits moved_in. already_exists if the name runs here;
  /// not_found if the class is unknown; invalid_argument if the state is not one of its behaviour. After an error
  /// nothing has changed here, and the waiting calls are still the caller's to answer.
  [[nodiscard]] result<void> install(time_point now, handoff arrived, effects& out);

  // ---- other nodes (remote.cpp, shared.cpp) ----
  /// Signals to and from this life of a node pass from now on. Errors: overloaded (lives_known_max).
  [[nodiscard]] result<void> node_up(const node_id& node);
  /// What its processes joined and held is forgotten; then links, monitors and calls to them break, noconnection.
  void node_down(time_point now, const node_id& node, effects& out);
  /// From a node that is up; else dropped.
  void receive(time_point now, const node_id& from, wire::signal what, effects& out);
  void receive(time_point now, const node_id& from, const wire::publish& what, effects& out);
  /// Errors: protocol, where it does not follow the one before.
  [[nodiscard]] result<void> receive(time_point now, const node_id& from, const wire::announce& what, effects& out);
  /// All that processes of this node joined and hold in the mesh.
  [[nodiscard]] std::vector<wire::fact> facts() const;
  /// The answers to name_called, name_sought and key_claimed. Of a name: its pid; not_found where none runs.
  void name_answered(time_point now, const asker& by, result<value> answer, effects& out);
  void name_found(time_point now, kernel::handle stand_in, const result<pid>& found, effects& out);
  /// False where the key is not held after all that was granted.
  bool key_answered(time_point now, std::uint64_t number, const result<value>& granted, effects& out);
  [[nodiscard]] std::optional<pid> whereis(const process_name& name) const;

  // ---- groups and the registry, for those who are no processes ----
  /// To the members known; how many they are. Errors: invalid_argument, overloaded (words).
  [[nodiscard]] result<std::size_t> publish(time_point now, std::string_view group, std::string_view word,
                                            const value& payload, effects& out);
  struct group_info {
    std::string name;
    std::size_t members = 0;
    std::size_t here = 0;
  };
  [[nodiscard]] std::vector<group_info> groups(std::string_view prefix, std::size_t limit) const;
  [[nodiscard]] std::vector<pid> members(std::string_view group) const;
  struct key_info {
    std::string key;
    pid holder;
    value held;
  };
  [[nodiscard]] std::vector<key_info> keys(key_space in, std::string_view prefix, std::size_t limit) const;
  /// Who holds a key that is unique in the mesh, as far as this node has heard.
  [[nodiscard]] std::optional<pid> key_holder(std::string_view key) const;

  struct impl;  ///< this room's own business
  [[nodiscard]] impl& inside() noexcept { return *impl_; }

 private:
  std::unique_ptr<impl> impl_;
};

/// Compiles a script in the sandbox and runs its top level under `limits`, as define would. Errors: invalid_argument
/// with "line N: ..." (syntax, or a table that lacks what a behaviour needs); limit_exceeded.
[[nodiscard]] result<void> check_script(const lua_source& source, const limits_spec& limits);

}  // namespace orrery::process
