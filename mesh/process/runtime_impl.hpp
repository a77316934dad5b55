#pragma once
// The inside of process::runtime: what its two .cpp files share. runtime.cpp: mailboxes, the run queue, reading.
// lifecycle.cpp: start, exit, restart, giving up, handing over.
#include "mesh/base/hash.hpp"
#include "mesh/process/behaviour.hpp"
#include "mesh/process/deadline_queue.hpp"
#include "mesh/process/runtime.hpp"
#include "mesh/kernel/slab.hpp"
#include "mesh/process/supervision.hpp"

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace orrery::process {

using kernel::no_slot;
using kernel::slab;
using kernel::slot_link;
using kernel::slot_list;

struct message {
  message_kind kind = message_kind::cast;
  std::string method;
  value argument;
  reply_token token;
  time_point deadline = never;
  std::uint32_t receiver = no_slot;
  slot_link in_mailbox;
  [[nodiscard]] std::size_t bytes() const noexcept { return method.size() + argument.cbor().size(); }
};

struct supervised_class;

struct process {
  std::string key;
  supervised_class* klass = nullptr;
  behaviour_type* type = nullptr;   ///< what `body` was made by; differs from the class' after a change of kind
  std::unique_ptr<behaviour> body;  ///< null only while the supervisor decides
  slot_list<message, &message::in_mailbox> mailbox;
  slot_link among_children;
  slot_link in_run_queue;
  bool runnable = false;
  std::uint64_t handled = 0;
  std::uint64_t restarts = 0;
  time_point started_at;
  std::unique_ptr<last_exit> last;
};

/// A class and its supervisor.
struct supervised_class {
  class_spec spec;
  std::unique_ptr<behaviour_type> type;
  std::vector<std::unique_ptr<behaviour_type>> replaced;  ///< of another kind, with processes that still run it
  restart_window window;
  slot_list<process, &process::among_children> children;             ///< in the order of their start
  std::unordered_map<std::string_view, std::uint32_t> slots_by_key;  ///< views of process::key. Never iterated
  std::uint64_t restarts = 0;
  std::uint64_t gave_up = 0;
};

struct runtime::impl {
  explicit impl(options chosen) : settings(std::move(chosen)) {}

  options settings;
  std::map<class_name, std::unique_ptr<supervised_class>> classes;  // outlives the processes: declared before them
  slab<process> processes;
  slab<message> messages;
  slot_list<process, &process::in_run_queue> run_queue;
  std::size_t queued_bytes = 0;  ///< of all messages
  deadline_queue deadlines;
  restart_window root_window;
  std::uint64_t lives = 0;  ///< started so far, for seeds
  counters counted;
  std::uint64_t spent = 0;  ///< of the budgets of all runs

  // ---- runtime.cpp ----
  [[nodiscard]] supervised_class* find_class(const class_name& name);
  [[nodiscard]] std::uint32_t find(const process_name& name);
  [[nodiscard]] process_info describe(std::uint32_t slot) const;
  /// The receiver's slot, started if need be, or why the message is refused.
  [[nodiscard]] result<std::uint32_t> receiver(time_point now, const process_name& name, message_kind kind,
                                               std::string_view method, effects& out);
  void enqueue(std::uint32_t slot, message arrived);
  /// Takes a message out of its mailbox and out of the table.
  [[nodiscard]] message take_message(std::uint32_t slot);
  /// Handles the first message of the mailbox. The process may be gone or another life afterwards.
  void handle_one(time_point now, std::uint32_t slot, effects& out);
  void settle(time_point now, std::uint32_t slot, const message& handled, outcome led_to, effects& out);
  void expire(time_point now, effects& out);
  [[nodiscard]] const deadline_queue::entry* earliest_deadline();
  void set_runnable(std::uint32_t slot, bool wanted);

  // ---- lifecycle.cpp ----
  [[nodiscard]] process_name name_of(const process& of) const { return {of.klass->spec.name, process_key{of.key}}; }
  [[nodiscard]] pid pid_of(std::uint32_t slot) const { return {settings.node, slot, processes.generation(slot)}; }
  [[nodiscard]] scope scope_of(time_point now, const process& of, effects& out) const {
    return {now, of.klass->spec.name.value, of.key, out};
  }
  [[nodiscard]] std::uint64_t next_seed(const process& of);
  void emit(process_event::kind what, std::uint32_t slot, exit_reason reason, effects& out) const;

  /// A slot with a name and a class, and no body yet.
  [[nodiscard]] std::uint32_t admit(supervised_class& klass, const process_key& key);
  /// Gives the process its body. A reason: init failed, there is no body.
  [[nodiscard]] std::optional<exit_reason> bring_up(time_point now, std::uint32_t slot, effects& out);
  [[nodiscard]] result<std::uint32_t> start(time_point now, supervised_class& klass, const process_key& key,
                                            effects& out);
  /// Answers every waiting call and drops every waiting cast.
  void drop_mailbox(std::uint32_t slot, const exit_reason& reason, effects& out);
  /// Forgets the process: name, slot, place in the run queue. REQUIRES: an empty mailbox.
  void remove(std::uint32_t slot);
  /// The process ends; its supervisor decides whether it comes back.
  void exited(time_point now, std::uint32_t slot, exit_reason reason, effects& out);
  /// The process ends and does not come back; terminate runs.
  void shut_down(time_point now, std::uint32_t slot, const exit_reason& reason, effects& out);
  void restart(time_point now, std::uint32_t slot, exit_reason reason, effects& out);
  void give_up(time_point now, supervised_class& klass, const std::string& why, effects& out);
  void shut_down_children(time_point now, supervised_class& klass, const exit_reason& reason, effects& out);
  /// Starts the process afresh where its class has changed to a behaviour of another kind.
  void renew(time_point now, std::uint32_t slot, effects& out);
};

[[nodiscard]] error exited_error(const process_name& name, const exit_reason& reason, took_effect how_far);

}  // namespace orrery::process
