#pragma once
// The inside of process::runtime: classes and names on a kernel. runtime.cpp: messages, reading. classes.cpp: classes,
// start and end of processes, handing over. tree.cpp: supervisors and what they say. declared.cpp: declared children.
// introspect.cpp: what may be seen of one process, and done to it. reporting.cpp: crashes. observing.cpp: traces, the
// census. directory.cpp: pids and names. remote.cpp: signals to and from other nodes. shared.cpp: groups; keys.cpp: the
// registry; announced.cpp: what nodes say of them. apps/apps.cpp: processes whose callbacks run in an app.
// clients/clients.cpp: processes of clients.
#include "mesh/base/hash.hpp"
#include "mesh/kernel/core.hpp"
#include "mesh/process/apps/behaviour.hpp"
#include "mesh/process/apps/desk.hpp"
#include "mesh/process/behaviour.hpp"
#include "mesh/process/caller_seal.hpp"
#include "mesh/process/clients/client_process.hpp"
#include "mesh/process/given_up.hpp"
#include "mesh/process/groups.hpp"
#include "mesh/process/hosted.hpp"
#include "mesh/process/name_index.hpp"
#include "mesh/process/registry.hpp"
#include "mesh/process/runtime.hpp"
#include "mesh/process/stand_ins.hpp"
#include "mesh/process/supervision/supervision.hpp"
#include "mesh/process/supervision/supervisor.hpp"
#include "mesh/wire/trace_context.hpp"

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::process {

/// How long a process that is to be handed over waits for that. Longer than its node waits between two attempts.
inline constexpr duration pause_length = std::chrono::milliseconds{1500};
inline constexpr std::uint32_t spawned_max = 100'000;     ///< processes of one class without a name
inline constexpr std::uint32_t supervisors_max = 10'000;  ///< beside the processes that are asked for
/// Before a declared child that did not start is tried again, where its class has no backoff.
inline constexpr backoff_spec start_patience{std::chrono::seconds{1}, std::chrono::seconds{30}};

/// Tags of kernel processes: the slot of a name; this bit and the number of a class, for its supervisor; client_tag.
inline constexpr std::uint64_t supervisor_bit = 1ULL << 32U;
[[nodiscard]] constexpr bool is_supervisor(std::uint64_t tag) noexcept { return (tag & supervisor_bit) != 0; }
/// The tag of all client processes.
inline constexpr std::uint64_t client_tag = 1ULL << 33U;

/// A behaviour's type, and how many processes run it.
struct shared_type {
  std::unique_ptr<behaviour_type> of;
  std::size_t users = 0;
};

/// What is known of a name as long as its process is supervised; it stays while lives of the process come and go.
struct named {
  enum class role : std::uint8_t {
    supervised,  ///< it has a name
    linked,      ///< spawned by another process, and its child as far as exits go; its key is its pid
    alone,       ///< spawned, and nobody's child
  };
  std::string key{};
  supervised_class* klass = nullptr;
  kernel::handle who{};
  kernel::slot_link among_children{};
  role role = role::supervised;
  std::uint64_t restarts = 0;
  time_point started_at{};
  std::unique_ptr<last_exit> last{};
  std::uint32_t note = kernel::no_slot;  ///< its place with its supervisor, once it has run
  bool live = false;                     ///< `who` runs
  bool declared = false;
  bool down = false;  ///< declared, and not to come back by itself: for most purposes it is not there
};

/// A declared child, and what this node has of it.
struct declared_slot {
  declared_child spec;
  std::uint32_t name = kernel::no_slot;
  bool here = false;   ///< this node is to run it
  bool ended = false;  ///< for good, here
};

/// A class: its behaviour, its names, and the supervisor of its processes, of which names are the tags.
struct supervised_class final : supervisor_watcher, child_factory {
  supervised_class(runtime::impl& of, std::uint32_t number) : owner(of), id(number) {}

  [[nodiscard]] std::unique_ptr<kernel::body> make(std::uint64_t tag) override;
  void child_started(std::uint64_t tag, kernel::handle who) override;
  void child_ended(std::uint64_t tag, const exit_reason& why, bool final) override;
  void child_restarted(std::uint64_t tag, kernel::handle who, const exit_reason& why) override;
  void child_given_up(std::uint64_t tag, const std::string& why) override;
  void gave_up(const std::string& why) override;
  void finished(const std::string& why) override;

  [[nodiscard]] std::uint64_t tag() const noexcept { return supervisor_bit | id; }
  [[nodiscard]] declared_slot* find_declared(std::string_view key);
  [[nodiscard]] std::size_t processes() const noexcept { return children.size() - down; }

  runtime::impl& owner;
  const std::uint32_t id;  ///< never used again
  class_spec spec;
  std::unique_ptr<shared_type> type;
  std::vector<std::unique_ptr<shared_type>> replaced;  ///< of another kind, with processes that still run it
  kernel::handle supervised_by{};
  supervised_class* below = nullptr;                          ///< whose supervisor lists this one's; null: the root
  bool listed = false;                                        ///< by that one, whether it runs or not
  bool leaving = false;                                       ///< it is being undefined: nobody's parent
  bool has_finished = false;                                  ///< by its significant children
  bool changed = true;                                        ///< since it was arranged last
  kernel::slot_list<named, &named::among_children> children;  ///< in the order of their start
  std::size_t down = 0;                                       ///< of these
  kernel::slot_list<named, &named::among_children> spawned;   ///< those without a name
  name_index by_key;
  std::vector<declared_slot> declared;  ///< in the order of their start
  std::vector<process_key> undeclared;  ///< since it was arranged last
  std::uint64_t restarts = 0;
  std::uint64_t gave_up_times = 0;
  std::uint64_t children_given_up = 0;
  mailbox_counts mailboxes;
  class_load load;      ///< as the last census found it
  class_load counting;  ///< by the census that is under way
};

/// The root of a node's supervisors: makes those of classes, and hears of those directly below it.
struct root_of_classes final : supervisor_watcher, child_factory {
  explicit root_of_classes(runtime::impl& of) : owner(of) {}

  [[nodiscard]] std::unique_ptr<kernel::body> make(std::uint64_t tag) override;
  void child_started(std::uint64_t tag, kernel::handle who) override;
  void child_ended(std::uint64_t tag, const exit_reason& why, bool final) override;
  void child_restarted(std::uint64_t tag, kernel::handle who, const exit_reason& why) override;
  void child_given_up(std::uint64_t tag, const std::string& why) override;
  void gave_up(const std::string& why) override;

  runtime::impl& owner;
  kernel::handle who{};
  std::uint64_t last_ended = 0;  ///< tag
};

struct runtime::impl final : kernel::surroundings, directory {
  explicit impl(options chosen);
  ~impl() override;

  // ---- kernel::surroundings ----
  void replied(kernel::call_token token, result<value> answer) override;
  void ended(kernel::handle who, std::uint64_t tag, const exit_reason& why) override;
  void transmit(kernel::signal what) override;
  void mailbox_full(std::uint64_t tag, kernel::at_the_bound what) override;
  [[nodiscard]] std::string describe(std::uint64_t tag) const override;

  // ---- directory ----
  [[nodiscard]] result<kernel::handle> find(std::string_view target) override;
  [[nodiscard]] std::string text_of(kernel::handle who) const override;
  [[nodiscard]] result<kernel::spawned> spawn(kernel::context& parent, const spawn_request& what) override;
  [[nodiscard]] result<void> join(std::string_view group, kernel::handle who) override;
  bool leave(std::string_view group, kernel::handle who) override;
  [[nodiscard]] std::vector<kernel::handle> members(std::string_view group, reach among) const override;
  [[nodiscard]] std::vector<std::string> groups(std::string_view prefix, std::size_t limit) const override;
  std::size_t publish(kernel::context& self, std::string_view group, kernel::atom word, const value& payload,
                      reach among) override;
  [[nodiscard]] result<std::vector<kernel::handle>> monitor_group(std::string_view group,
                                                                  kernel::handle watcher) override;
  void demonitor_group(std::string_view group, kernel::handle watcher) override;
  [[nodiscard]] result<void> register_key(key_space in, std::string_view key, kernel::handle who, value held) override;
  kernel::reference claim_key(kernel::context& self, std::string_view key, value held, duration timeout) override;
  bool unregister_key(key_space in, std::string_view key, kernel::handle who) override;
  [[nodiscard]] result<void> update_value(key_space in, std::string_view key, kernel::handle who, value held) override;
  [[nodiscard]] std::vector<registration> lookup(key_space in, std::string_view key) const override;
  [[nodiscard]] std::vector<std::string> keys_of(key_space in, kernel::handle who) const override;
  [[nodiscard]] std::vector<registration> match_keys(key_space in, std::string_view prefix,
                                                     std::size_t limit) const override;
  [[nodiscard]] std::size_t count_keys(key_space in) const override;
  [[nodiscard]] result<kernel::atom> word_of(std::string_view text, std::string_view what) override;

  /// Where effects go while one of the runtime's functions runs.
  class sink {
   public:
    sink(impl& of, time_point now, effects& out) : of_(of), before_(std::exchange(of.out_, &out)) { of.now = now; }
    sink(const sink&) = delete;
    sink& operator=(const sink&) = delete;
    ~sink() {
      if (before_ == nullptr) of_.tell_what_waits();
      for (auto& each : of_.apps.outbox)
        of_.out().emplace_back(to_app{std::move(each)});
      of_.apps.outbox.clear();
      of_.out_ = before_;
    }

   private:
    impl& of_;
    effects* before_;
  };
  [[nodiscard]] effects& out() const { return *out_; }
  void emit(process_event::kind what, std::uint32_t name, exit_reason reason);

  // ---- runtime.cpp ----
  [[nodiscard]] supervised_class* find_class(const class_name& name);
  [[nodiscard]] error no_class(const class_name& name) const;
  /// No slot where there is none, or where it is down.
  [[nodiscard]] std::uint32_t find(const process_name& name);
  [[nodiscard]] std::uint32_t find(const supervised_class& klass, std::string_view key) const;
  [[nodiscard]] std::uint32_t find_any(const supervised_class& klass, std::string_view key) const;
  [[nodiscard]] process_info describe_name(std::uint32_t name) const;
  [[nodiscard]] std::size_t memory_of(const named& of, const kernel::process_load& load) const;
  [[nodiscard]] process_name name_of(const named& of) const { return {of.klass->spec.name, process_key{of.key}}; }
  struct route {
    kernel::handle to;
    kernel::atom word;
    bool traced = false;  ///< behaviour_type::takes_traces
    [[nodiscard]] value argument(value given) const { return traced ? std::move(given) : split_trace(given).second; }
  };
  /// The receiver, started if need be, or why the message is refused.
  [[nodiscard]] result<route> receiver(const process_name& name, message_kind kind, std::string_view method);
  [[nodiscard]] result<kernel::handle> receiving(supervised_class& klass, const process_name& name);

  // ---- reporting.cpp ----
  /// A process is about to crash, while it handled a message or without one. `inner`: where its state may be shown.
  void note_scene(std::uint32_t name, const kernel::message* handled, behaviour* inner);
  void note_app_scene(std::uint32_t name, const app_desk::work& of);
  void note_init_scene(std::uint32_t name, const exit_reason& why);
  void report_crash(std::uint32_t name, const exit_reason& why, bool final);
  void report_failed_start(std::uint32_t name);

  // ---- observing.cpp ----
  /// hosted::received, for a process that is traced.
  void trace_message(hosted& receiver, kernel::context& self, kernel::message& arrived);
  void trace_life(process_event::kind what, std::uint32_t name, const exit_reason& reason);
  [[nodiscard]] seen_process look_at(std::uint32_t name) const;
  void take_census_of(std::uint32_t name);

  // ---- introspect.cpp ----
  /// The slot of a name whose process lives.
  [[nodiscard]] result<std::uint32_t> living(const process_name& name);
  [[nodiscard]] hosted& body_of(std::uint32_t name);
  [[nodiscard]] std::string version_of(std::uint32_t name);
  /// "counter/a", "root/counter", or a pid.
  [[nodiscard]] std::string name_or_pid(kernel::handle who) const;

  // ---- spawned.cpp: processes without a name ----
  /// One has ended.
  void spawned_ended(std::uint32_t name, const exit_reason& why);
  void stop_spawned(supervised_class& klass, const exit_reason& reason);
  void forget_spawned(std::uint32_t name);

  // ---- classes.cpp ----
  [[nodiscard]] std::uint64_t next_seed(const supervised_class& klass, std::uint32_t name);
  [[nodiscard]] result<void> replace(supervised_class& known, class_spec spec);
  [[nodiscard]] result<std::unique_ptr<behaviour_type>> make_type(const class_spec& spec);
  [[nodiscard]] std::uint32_t admit(supervised_class& klass, const process_key& key);
  void forget(std::uint32_t name);
  enum class arrival : std::uint8_t { called, moved };
  [[nodiscard]] result<kernel::handle> start(supervised_class& klass, const process_key& key, arrival how);
  void set_timer(kernel::handle who, handoff::waiting& timer);
  /// Suspends what could not be handed over in the middle of a message, so that the next attempt meets it between two.
  void pause(kernel::handle who);
  /// It has handled a message, and is not busy: where its node waits for that, it is told, and the process with it.
  void tell_movable(std::uint32_t name, kernel::handle who);
  void end_pauses(time_point until);
  void end_pause(kernel::handle who);
  /// Ends the process for good; terminate runs.
  void shut_down(std::uint32_t name, const exit_reason& reason);
  /// Of a name that does not run: its supervisor is not to start it any more, and it is forgotten.
  void abandon(std::uint32_t name);

  // ---- tree.cpp ----
  [[nodiscard]] supervised_class& class_of(std::uint64_t tag) const {
    return *by_id.at(static_cast<std::uint32_t>(tag));
  }
  [[nodiscard]] supervised_class* parent_of(const supervised_class& klass) const;
  [[nodiscard]] std::string path_of(const supervised_class* klass) const;
  [[nodiscard]] result<void> check_parent(const class_spec& spec) const;
  [[nodiscard]] kernel::handle root_supervisor();
  [[nodiscard]] result<kernel::handle> supervisor_of(supervised_class& klass);
  [[nodiscard]] kernel::handle supervisor_above(const supervised_class& klass) const;
  [[nodiscard]] supervisor_spec spec_of_supervisor(supervised_class& klass) const;
  [[nodiscard]] std::unique_ptr<kernel::body> make_supervisor(supervised_class& klass);
  [[nodiscard]] child_spec child_of(supervised_class& klass);
  void leave_parent(supervised_class& klass);
  [[nodiscard]] bool move_below_parent(supervised_class& klass);
  void keep_order(supervised_class* parent);
  void supervisor_started(std::uint64_t tag, kernel::handle who);
  void supervisor_ended(kernel::handle who, std::uint64_t tag);
  void supervisor_restarted(std::uint64_t tag, kernel::handle who, const exit_reason& why);
  template <class Ask>
  auto ask(kernel::handle supervising, Ask&& what) {
    decltype(what(std::declval<supervisor&>(), std::declval<kernel::context&>())) answer{};
    core.enter(now, supervising,
               [&](kernel::body& body, kernel::context& self) { answer = what(static_cast<supervisor&>(body), self); });
    return answer;
  }

  // ---- declared.cpp ----
  [[nodiscard]] child_spec child_of(supervised_class& klass, const declared_slot& child);
  void redeclare(supervised_class& klass);
  void retune_declared(supervised_class& klass);
  [[nodiscard]] result<kernel::handle> start(supervised_class& klass, declared_slot& child, arrival how);
  [[nodiscard]] result<kernel::handle> start_down(std::uint32_t name);
  [[nodiscard]] declared_info describe_declared(const supervised_class& klass, const declared_slot& child) const;
  void set_down(std::uint32_t name, bool down);
  void give_up(std::uint32_t name, const std::string& why);
  [[nodiscard]] std::optional<error> refusal_of(const process_name& name) const;
  void released(const process_name& name, const std::string& why);
  void release_all(supervised_class& klass);

  // ---- apps/apps.cpp ----
  void take(app_registered& said);
  void take(app_drains& said);
  void take(app_done& said);
  void take(app_gone& said);
  /// Room has come: processes that wait for it have their turn.
  void hand_out(app_pool& pool);
  void hand_out_all();
  void watch_apps();
  void app_class_changed(const supervised_class& klass);
  /// The class is no longer app-hosted: what waits for an app has its turn with the new behaviour.
  void let_go_of_app(const supervised_class& klass);
  /// The app failed with this process' work. `loss`: not by what it did, but by going away.
  void app_failed(const app_desk::work& of, exit_reason why, bool loss);
  void not_started(std::uint32_t name, const exit_reason& why, error told);

  // ---- clients/clients.cpp: processes of clients ----
  struct client_acts;
  void take(client_act& said);
  void take(client_looks_up& said);
  void take(client_cancels& said);
  void take(client_credit& said);
  void take(client_written& said);
  void tell_client(app_id client, client_window& window);
  void tell_all_clients();
  void end_slow_clients();
  [[nodiscard]] client_process* find_client(app_id client, client_process_id process);
  [[nodiscard]] result<value> open_client(const client_act& said, std::uint32_t credit, bool as_json);
  void end_client(kernel::handle who, const exit_reason& why);
  void client_gone(app_id client, const std::string& why);
  /// One has ended, by others than its client.
  void client_ended(kernel::handle who, const exit_reason& why);

  // ---- remote.cpp ----
  /// Another node's life, by its number in the kernel.
  struct life {
    node_id id;
    bool up = false;
    std::uint64_t heard = 0;  ///< announcements, on this connection
  };
  [[nodiscard]] std::optional<std::uint32_t> number_of(const node_id& node) const;
  [[nodiscard]] std::optional<kernel::handle> handle_of(const pid& who) const;
  [[nodiscard]] pid pid_of(kernel::handle who) const;
  [[nodiscard]] std::optional<kernel::atom> word_from_elsewhere(std::string_view text);
  [[nodiscard]] std::optional<kernel::atom> word_from(std::string_view text, std::size_t& learnt, std::size_t most);
  void take_signal(std::uint32_t from, wire::signal what);
  void to_name(kernel::signal what);
  void pass_on(stand_ins::entry& to, kernel::signal what, time_point deadline);
  void seek(kernel::handle stand_in, stand_ins::entry& of);
  void release_queue(kernel::handle stand_in, const result<pid>& found);
  void answer_through(kernel::handle stand_in, kernel::handle to, kernel::reference ref, result<value> answer);

  // ---- shared.cpp ----
  [[nodiscard]] result<void> check_word(std::string_view text, std::string_view what);
  [[nodiscard]] result<void> check_own(kernel::handle who);
  void forget_entries(kernel::handle who);
  void tell_watchers(std::string_view group, kernel::handle who, bool joined);
  void publish_elsewhere(const std::vector<kernel::handle>& members, wire::publish what);
  void group_changed(std::string_view group, kernel::handle who, bool joined);
  void key_changed(key_space in, std::string_view key, kernel::handle who, const value* held);
  void tell_key_lost(std::string_view key, kernel::handle who, const std::string& holder);

  // ---- keys.cpp ----
  /// A key that was asked for; without a reference by nobody: its process was handed over with it.
  struct asked_key {
    kernel::handle who;
    kernel::reference ref;
    std::string key;
    value held;
  };
  [[nodiscard]] std::optional<kernel::handle> holder_of(key_space in, std::string_view key) const;
  [[nodiscard]] result<void> ask_for_key(kernel::handle who, kernel::reference ref, std::string_view key, value held,
                                         time_point deadline);
  [[nodiscard]] result<void> take_granted(const asked_key& asked, const result<value>& granted);

  // ---- announced.cpp ----
  void take_fact(std::uint32_t from, const wire::fact& what);
  void take_key(kernel::handle who, const wire::fact& what);
  [[nodiscard]] std::vector<wire::fact> facts_of(kernel::handle who) const;
  /// A process that was handed over joins and holds what it did where it came from.
  void enter_facts(kernel::handle who, const std::vector<wire::fact>& facts);
  void forget_node(std::uint32_t node);

  /// What could not be said from within the kernel: before the outermost of the runtime's functions returns.
  void tell_what_waits();

  options settings;
  app_desk apps;  // behaviours refer to its pools: declared before them
  client_flow flow{apps.outbox, now, settings.clients};
  client_surroundings client_shared{*this, apps.outbox, flow};
  std::map<std::pair<app_id, client_process_id>, kernel::handle> clients;
  std::map<kernel::handle, std::pair<app_id, client_process_id>> client_of;
  std::set<std::uint32_t> to_tell;  ///< names that were to be taken out, and were busy
  std::map<class_name, std::unique_ptr<supervised_class>> classes;
  supervised_class* last_class = nullptr;  ///< that was asked for
  std::map<std::uint32_t, supervised_class*> by_id;
  std::uint32_t classes_made = 0;
  root_of_classes root{*this};
  given_up_names given_up;
  kernel::slab<named> names;
  std::size_t names_down = 0;
  kernel::core core;        // its processes refer to classes and names: declared after them
  std::uint64_t lives = 0;  ///< started so far, for seeds
  counters counted;
  time_point now{};
  caller_seal callers{settings.seed, to_string(settings.node)};
  value giving;  ///< what the process that starts next is spawned with
  duration wall_offset{};
  std::optional<error> not_restored;  ///< why the process that is being installed was not
  std::optional<value> installing;    ///< what the process that starts next goes on from, in place of init
  std::uint64_t installing_version = 0;
  std::uint64_t installing_code = 0;
  bool moving_in = false;
  crash_log crash_reports;
  struct noted_scene {
    std::uint32_t name;
    crash_scene scene;
    exit_reason why{};  ///< of a failed init
  };
  std::optional<noted_scene> scene;  ///< of the process that is about to crash
  tracer traces;
  census counting;
  std::optional<std::uint32_t> census_at;  ///< where the walk that is under way goes on
  struct paused_process {
    time_point until;
    kernel::handle who;
  };
  std::deque<paused_process> paused;
  process::groups groups_;
  process::registry registry_;
  struct notice {
    kernel::handle to;
    kernel::atom word;
    value payload;
  };
  std::vector<notice> notices_;  ///< for processes of this node
  struct answered_claim {
    kernel::handle to;
    kernel::reference ref;
    result<value> answer;
  };
  std::vector<answered_claim> answered_;
  std::map<std::uint64_t, asked_key> asked_keys_;
  std::uint64_t asked_keys_so_far_ = 0;
  std::vector<life> lives_;  ///< by number; the first are this node and the one of the stand-ins
  std::map<node_id, std::uint32_t> numbers_;
  process::stand_ins stand_ins_;
  std::vector<kernel::signal> lost_;  ///< sent through stand-ins that stand for nobody any more
  std::size_t words_from_elsewhere_ = 0;
  std::size_t words_from_clients_ = 0;
  kernel::atom key_lost_word_{};
  kernel::atom joined_word_{};
  kernel::atom left_word_{};
  kernel::atom start_word_{};
  effects* out_ = nullptr;
};

}  // namespace orrery::process
