#pragma once
// mesh/node: the only room where processes, membership and the wire meet: one pure step function.
#include "mesh/base/identity.hpp"
#include "mesh/base/ids.hpp"
#include "mesh/base/result.hpp"
#include "mesh/base/strong.hpp"
#include "mesh/base/time.hpp"
#include "mesh/process/apps/app.hpp"
#include "mesh/process/census.hpp"
#include "mesh/process/spec.hpp"
#include "mesh/wire/frame.hpp"
#include "mesh/wire/value.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace orrery::process {
class behaviour_type;
}

namespace orrery::node {

/// One connection of the transport. The core numbers those that it dials (even numbers), the transport those that it
/// accepts (odd numbers); never reused.
using connection_id = strong<struct connection_id_tag, std::uint64_t>;
/// One request of an SDK client; chosen by the shell, comes back once with the response.
using request_id = strong<struct request_id_tag, std::uint64_t>;

struct settings {
  std::string name_space;
  std::string mesh;
  std::string mesh_id;  ///< from the genesis; peers of another mesh id are refused
  node_id self;
  std::string uid;      ///< this pod's UID
  std::string address;  ///< ip:port on which peers reach this node
  duration heartbeat_interval = std::chrono::milliseconds{500};
  duration down_after = std::chrono::seconds{2};
  duration drain_timeout = std::chrono::seconds{20};
  std::uint64_t seed = 1;
  /// Makes the behaviours of a class; empty: process::make_type.
  std::function<result<std::unique_ptr<process::behaviour_type>>(const process::class_spec&)> make{};
  duration (*stopwatch)() = nullptr;       ///< see process::runtime::options
  duration (*processor_time)() = nullptr;  ///< see process::runtime::options
  duration wall_offset{};                  ///< see clock_read
};

/// A pod that Kubernetes (or a static list) says belongs to the mesh.
struct expected_member {
  node_name name;
  std::string uid;
  std::string address;       ///< ip:port of its mesh port; empty while the pod has no address
  bool terminating = false;  ///< has a deletion timestamp: draining, not dead
  friend bool operator==(const expected_member&, const expected_member&) = default;
};

/// Entries of one answer to a list, of whatever was asked for.
inline constexpr std::size_t list_limit_max = 5000;

// ---- events ----

/// The whole list as discovery knows it now, self included. Errors of discovery are not events: the last list stands.
struct members_changed {
  std::vector<expected_member> members;
};
/// The answer to check_control_plane.
struct control_plane_checked {
  bool reachable = false;
};
struct connection_opened {
  connection_id id;
  mesh_identity peer;
  bool dialled = false;
};
struct connection_closed {
  connection_id id;
  error why;
};  ///< also when a dial failed
struct frame_received {
  connection_id id;
  wire::frame received;
};
/// The mesh's classes, whole. Classes not in it are undefined.
struct classes_changed {
  std::vector<process::class_spec> classes;
};
/// The time of day is `now` and this much more; told at the start (settings) and whenever that clock was set.
struct clock_read {
  duration wall_offset{};
};
/// SIGTERM: hand over, say goodbye, then `drained`.
struct drain_requested {};
/// `wake_at` was reached.
struct woken {};

// What SDK clients ask; each is answered by exactly one `respond`.
struct call_op {
  process_name name;
  std::string method;
  value argument;
  std::optional<duration> timeout;
};
/// Sees to it that the process runs; answered with {"pid"}, once its init is done.
struct start_op {
  process_name name;
  std::optional<duration> timeout;
};
struct cast_op {
  process_name name;
  std::string method;
  value argument;
};
struct inspect_op {
  process_name name;
};
struct stop_op {
  process_name name;
};
struct kill_op {
  process_name name;
  std::string reason;
};
/// {"version": text, "state": any}
struct state_op {
  process_name name;
};
struct set_state_op {
  process_name name;
  value state;
  std::string expected;  ///< the version that it replaces; empty: any
};
struct suspend_op {
  process_name name;
};
struct resume_op {
  process_name name;
};
/// Takes back that the process was given up.
struct release_op {
  process_name name;
};
struct list_nodes_op {};
struct list_processes_op {
  std::optional<class_name> only;
  std::size_t limit = 1000;
  bool local = false;
};
struct list_classes_op {};
struct tree_op {
  bool local = false;
  std::optional<class_name> only{};
  std::size_t children = 0;  ///< of each supervisor, to be listed
};
struct crashes_op {
  std::optional<class_name> only{};
  std::optional<process_key> key{};
  std::size_t limit = 100;
  bool local = false;
};
/// The greatest processes. Takes as long as looking at all there are does.
struct top_op {
  process::measure by = process::measure::mailbox;
  std::size_t limit = 20;
  bool local = false;
};
/// What there is of each class on this node, for metrics.
struct load_op {};
/// Answered by `streamed`, or by one `respond` where it is refused.
struct trace_op {
  process_name name;
  std::size_t limit = 1000;  ///< entries
  duration length = std::chrono::seconds{60};
};
// Of groups and the registry each node knows the whole mesh, as far as it has heard: they are answered at once.
struct list_groups_op {
  std::string prefix;
  std::size_t limit = 1000;
};
struct group_op {
  std::string group;
};
/// A plain message to every member.
struct publish_op {
  std::string group;
  std::string word;
  value payload;
};
struct list_registry_op {
  std::string prefix;
  std::size_t limit = 1000;
};
using operation =
    std::variant<call_op, start_op, cast_op, inspect_op, stop_op, kill_op, state_op, set_state_op, suspend_op,
                 resume_op, release_op, list_nodes_op, list_processes_op, list_classes_op, tree_op, crashes_op, top_op,
                 load_op, trace_op, list_groups_op, group_op, publish_op, list_registry_op>;
struct client_request {
  request_id id;
  operation asked;
};
/// A call that the client wants no more. It is answered: `cancelled` and `not_executed` where it could be taken back
/// before its process began it, `unknown` where that had begun, or what came of it before this.
struct client_cancelled {
  request_id id;
};
/// The client went away, and nobody hears the reply. A call that has not begun is taken back.
struct client_gone {
  request_id id;
};

/// A connection of an app that hosts classes says something.
struct from_app {
  process::app_event said;
};

using event = std::variant<members_changed, control_plane_checked, connection_opened, connection_closed, frame_received,
                           classes_changed, clock_read, drain_requested, woken, client_request, client_cancelled,
                           client_gone, from_app>;

// ---- effects ----

struct dial {
  connection_id id;
  std::string address;
  mesh_identity expected;
};
struct hang_up {
  connection_id id;
  error why;
};
struct transmit {
  connection_id id;
  bytes encoded;
};
/// The JSON document of the answer (shapes in docs/protocol.md), or why there is none.
struct respond {
  request_id id;
  result<value> answer;
};
/// One event of a stream that a client follows, until one is the last or the client goes. A `respond` with an error may
/// end it as well.
struct streamed {
  request_id id;
  std::string type;
  value document;
  bool last = false;
};
/// Ask the API server for anything, with a 2 s deadline, and report control_plane_checked.
struct check_control_plane {};
/// A supervisor gave up and escalated this far: the shell restarts the node (exits) or asks for the pod's replacement.
struct escalate {
  process::escalation to;
  std::string why;
};
/// Handed over; the shell may exit.
struct drained {};
/// For /v1/events, logs and metrics: `type` is node_up, node_down, node_joined, process_started, process_exited,
/// process_restarted, process_moved, process_given_up, escalated, class_updated, class_refused, isolated, rejoined,
/// peer_refused, ...; `document` has its fields. The closed list is in docs/protocol.md.
struct notify {
  std::string type;
  value document;
};

/// For one connection of an app. What is for one that has gone is dropped.
struct to_app {
  process::app_effect what;
};

using effect =
    std::variant<dial, hang_up, transmit, respond, streamed, check_control_plane, escalate, drained, notify, to_app>;
using effects = std::vector<effect>;

/// Numbers for metrics and health. Cheap to read.
struct status {
  /// Connected to every expected peer that answers, handoffs in are done, and a majority is reached: at first of all
  /// that have an address, later of all that it has known (newcomers do not make a running node unready).
  bool joined = false;
  bool isolated = false;
  bool draining = false;
  std::string reason;         ///< why not joined: "waiting for demo-x7k2p (connecting)", "connected to 0 of 2 peers"
  std::size_t expected = 0;   ///< members that discovery names, self included
  std::size_t connected = 0;  ///< peers up, self excluded
  std::size_t processes = 0;
  struct counters {
    std::uint64_t calls_local = 0, calls_forwarded = 0, calls_failed = 0, casts = 0;
    std::uint64_t process_starts = 0, process_restarts = 0, process_crashes = 0, handoffs_in = 0, handoffs_out = 0;
    std::uint64_t peers_refused = 0, frames_refused = 0, escalations = 0, casts_dropped = 0, calls_expired = 0;
    std::uint64_t app_works = 0, app_crashes = 0, app_losses = 0, app_overdue = 0;
    std::uint64_t processes_given_up = 0, calls_cancelled = 0;
  } counted;
  std::size_t app_registrations = 0;  ///< classes that connections of apps host here
  std::size_t app_at_work = 0;        ///< callbacks that they have in hand
  process::client_load clients;       ///< what their processes take
  std::size_t classes_unhosted = 0;   ///< app-hosted ones that no app is there for: placed elsewhere, if anywhere
};

/// One node: single-threaded, deterministic (same settings and events, same effects), no clock, no I/O.
class core {
 public:
  explicit core(settings chosen);
  ~core();
  core(core&&) noexcept;
  core& operator=(core&&) noexcept;

  /// Takes one event at `now` (never earlier than before) and appends what is to be done, in order.
  void step(time_point now, event happened, effects& out);
  /// When to send `woken` at the latest; `now` or earlier if there is more work to do at once.
  [[nodiscard]] time_point wake_at() const;
  [[nodiscard]] status current() const;

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace orrery::node
