#pragma once
// mesh/kernel: OTP's process model for one shard: processes, messages, links, monitors, aliases, timers, names.
#include "mesh/kernel/atom_table.hpp"
#include "mesh/kernel/body.hpp"
#include "mesh/kernel/cells.hpp"
#include "mesh/kernel/message.hpp"
#include "mesh/kernel/timer_wheel.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace orrery::kernel {

/// What became of a message that met a full mailbox.
enum class at_the_bound : std::uint8_t {
  refused,    ///< it did not get in
  displaced,  ///< it got in, and the oldest that waited made room
  waits,      ///< a call that waits beyond the bound
};

/// What is around a kernel. Called from within its functions; must not call back into it.
class surroundings {
 public:
  surroundings() = default;
  surroundings(const surroundings&) = delete;
  surroundings& operator=(const surroundings&) = delete;
  virtual ~surroundings() = default;

  /// The one answer to core::call.
  virtual void replied(call_token token, result<value> answer) = 0;
  /// An announced process has ended: it is in no table any more, and nobody else has heard.
  virtual void ended(handle who, std::uint64_t tag, const exit_reason& why) = 0;
  /// A mailbox was full when a message came.
  virtual void mailbox_full(std::uint64_t tag, at_the_bound what) { static_cast<void>(tag), static_cast<void>(what); }
  /// For a process of another kernel: `what.to.node` says which.
  virtual void transmit(signal what) = 0;
  /// What errors call a process.
  [[nodiscard]] virtual std::string describe(std::uint64_t tag) const {
    static_cast<void>(tag);
    return "the process";
  }
};

/// What happened so far, for metrics.
struct counters {
  std::uint64_t spawned = 0;
  std::uint64_t ended = 0;
  std::uint64_t crashed = 0;
  std::uint64_t handled = 0;  ///< messages
  std::uint64_t dropped = 0;  ///< sent to nobody, or to a mailbox that was full, or waiting when their receiver ended
  std::uint64_t refused = 0;  ///< calls answered `overloaded`
  std::uint64_t expired = 0;  ///< calls whose deadline passed
  std::uint64_t late = 0;     ///< answers that came too late, or twice
};

/// A message that waited for a process which was taken out.
struct withdrawn {
  message::kind what = message::kind::cast;  ///< plain, cast, call, or a timer (also one that has fired and waits)
  atom word{};
  handle from{};  ///< of a plain message
  value payload{};
  std::optional<call_token> token{};  ///< of a call
  time_point deadline = never;        ///< of a call; when a timer is due
};

/// What the tables hold now, to see that nothing is left behind.
struct holdings {
  std::size_t processes = 0;
  std::size_t messages = 0;
  std::size_t relations = 0;  ///< links, monitors, calls, aliases, timers
  friend bool operator==(const holdings&, const holdings&) = default;
};

struct process_load {
  std::size_t waiting = 0;
  std::uint64_t handled = 0;
  std::size_t timers = 0;
  std::optional<time_point> oldest{};  ///< when the message that is next arrived
  std::size_t queued_bytes = 0;        ///< of the payloads that wait
  std::size_t timer_bytes = 0;         ///< of the payloads of its timers, where they take more than the timers
  std::uint64_t work = 0;              ///< as its body counts it: context::worked
  bool suspended = false;
};

/// What ties a process to another, seen from its side.
struct tie {
  enum class kind : std::uint8_t { linked, monitors, monitored };
  kind what = kind::linked;
  handle with;
};
struct ties {
  std::vector<tie> found{};
  bool whole = true;  ///< nothing was left out
};

struct process_state {
  handle who;
  handle parent;
  atom name;
  std::uint64_t tag = 0;
  std::size_t waiting = 0;             ///< messages
  std::optional<time_point> oldest{};  ///< when the message that is next arrived
  std::uint64_t handled = 0;
  std::vector<handle> links{};
  std::size_t monitors = 0;   ///< that it holds
  std::size_t monitored = 0;  ///< by others, calls included
  bool trapping = false;
  bool suspended = false;
  bool awaiting = false;  ///< a reply, and nothing else
};

/// All processes of one shard. Not thread-safe. Deterministic: the same calls, the same effects. Runs bodies only
/// within `run`, `start` and, for processes of priority, before any of its functions returns. Semantics are OTP's
/// (Erlang reference manual, "Processes"); where they are more, body.hpp says so.
class core {
 public:
  static constexpr std::uint32_t urgent_max = 10'000;  ///< messages of priority handled before a function returns
  static constexpr std::uint32_t ties_looked_at_max = 10'000;
  struct options {
    std::uint32_t processes_max = 4'000'000;
    std::uint32_t messages_max = 16'000'000;   ///< waiting, in all mailboxes
    std::uint32_t relations_max = 16'000'000;  ///< links, monitors, calls, aliases
    std::uint32_t timers_max = 4'000'000;
    /// Of payloads, waiting in all mailboxes, as far as nobody outside bounds it: an answer beyond is not kept, and its
    /// caller told so.
    std::size_t answer_bytes_max = SIZE_MAX;
  };
  core(options chosen, surroundings& around);
  ~core();
  core(const core&) = delete;
  core& operator=(const core&) = delete;

  // ---- from outside of any process ----
  /// Errors: overloaded.
  [[nodiscard]] result<handle> spawn(time_point now, std::unique_ptr<body> what, const spawn_options& how = {});
  /// As spawn, with `started` run at once; why it stopped there.
  [[nodiscard]] tl::expected<handle, exit_reason> start(time_point now, std::unique_ptr<body> what,
                                                        const spawn_options& how = {});
  void send(time_point now, handle to, atom word, value payload = {});
  void cast(time_point now, handle to, atom word, value payload = {});
  /// Answered through surroundings::replied, at once where it is refused: not_found (no such process), overloaded,
  /// deadline_exceeded.
  reference call(time_point now, handle to, atom word, value payload, time_point deadline, call_token token);
  /// Takes such a call back, if its process has not begun it: it never will, and nobody is answered. False: it has been
  /// begun, or answered.
  bool cancel(reference asked, call_token token);
  /// An exit signal from nobody.
  void exit(time_point now, handle to, const exit_reason& why);
  /// Ends the process between two messages, as if it had stopped by itself: `ended` runs. False if there is none.
  bool stop(time_point now, handle who, const exit_reason& why);
  /// Runs one function of (body&, context&) as the process, between two messages: what a supervisor is asked directly.
  /// REQUIRES: alive, and not within a callback of it.
  template <class Callback>
  void enter(time_point now, handle who, Callback&& what);
  /// Takes a process out between two messages, to go on elsewhere: it ends as `moved`, `ended` does not run, and what
  /// waited is handed out. Calls from outside are then the taker's to answer; those of processes fail, not_executed.
  [[nodiscard]] std::vector<withdrawn> withdraw(time_point now, handle who);
  /// A call from outside that its process has begun and not answered, to be asked again elsewhere: its token and its
  /// deadline. Nothing where nobody waits for it, or where a process asked.
  [[nodiscard]] std::optional<withdrawn> take_back(const caller& kept);

  /// Handles due timers and waiting messages, at most `budget`. Returns true if work is left.
  bool run(time_point now, std::uint32_t budget);
  /// When run must be called next even if nothing arrives.
  [[nodiscard]] time_point next_deadline() const { return timers_.next(); }
  [[nodiscard]] bool idle() const noexcept {
    return run_queue_.empty() && urgent_.empty() && ending_at_ == ending_.size();
  }

  // ---- other kernels ----
  /// A number for another kernel, or the one it has. `down` frees nothing: pids of it stay what they are.
  [[nodiscard]] std::uint32_t add_node();
  [[nodiscard]] std::uint32_t add_stand_ins();
  /// REQUIRES: what.from.node is a number from add_node; what.to is of this kernel.
  void receive(time_point now, signal what);
  /// Links, monitors and calls to it break with noconnection; what is sent to it is dropped until node_up.
  void node_down(time_point now, std::uint32_t node);
  void node_up(std::uint32_t node);
  /// A number may also be one for stand-ins (add_stand_ins): pids that stand for processes which are still to be found.
  /// What is sent to one comes to surroundings::transmit as any signal does; here it goes on, and what it tied is tied
  /// to `found`. Calls are answered through the stand-in (receive), and casts may go on in any way. REQUIRES: what.to
  /// is a stand-in; not from within the surroundings.
  void redirect(time_point now, signal what, handle found);
  /// There is nobody behind the stand-in, for this reason.
  void refuse(time_point now, signal what, const exit_reason& why);

  // ---- looking ----
  [[nodiscard]] bool alive(handle who) const;
  [[nodiscard]] body* body_of(handle who);
  [[nodiscard]] const body* body_of(handle who) const;
  [[nodiscard]] std::optional<std::uint64_t> tag_of(handle who) const;
  /// spawn_options::note, where there is such a process.
  [[nodiscard]] std::optional<std::uint32_t> note_of(handle who) const;
  [[nodiscard]] process_load load_of(handle who) const;
  /// Of the payloads that wait, in all mailboxes.
  [[nodiscard]] std::size_t queued_bytes() const noexcept { return queued_bytes_; }
  [[nodiscard]] std::optional<process_state> inspect(handle who) const;
  /// The call is still to be answered.
  [[nodiscard]] bool waited_for(const caller& asked) const;
  /// At most `max` links and monitors, the latest first; looks at no more than ties_looked_at_max relations, of which
  /// calls that wait are some.
  [[nodiscard]] ties ties_of(handle who, std::size_t max) const;
  /// Those that are still to fire, with what they were set with.
  [[nodiscard]] std::vector<std::pair<reference, value>> timers_of(handle who) const;
  /// Processes that wait for their turn.
  [[nodiscard]] std::size_t runnable() const noexcept { return run_queue_.size() + urgent_.size(); }
  [[nodiscard]] handle whereis(atom name) const;
  /// What all runs so far have used of their budgets.
  [[nodiscard]] std::uint64_t spent() const noexcept { return spent_; }
  [[nodiscard]] std::size_t count() const noexcept { return processes_.size(); }
  [[nodiscard]] holdings held() const noexcept { return {processes_.size(), messages_.size(), relations_.size()}; }
  [[nodiscard]] const counters& counted() const noexcept { return counted_; }
  [[nodiscard]] atom_table& atoms() noexcept { return atoms_; }
  /// What the surroundings call a process of this tag.
  [[nodiscard]] std::string describe(std::uint64_t tag) const { return around_.describe(tag); }
  /// Processes in table order from `from`, until `see` returns false. Returns where to go on, or no_slot at the end.
  std::uint32_t visit(std::uint32_t from, const std::function<bool(handle)>& see) const;
  /// A suspended process handles nothing until it is resumed; exit signals still end it.
  bool suspend(handle who);
  bool resume(handle who);
  /// From now on; what waits already stays.
  void set_mailbox(handle who, std::uint32_t mailbox_max, overflow when_full);

  // ---- processes that paused themselves ----
  /// It handles messages again, when its turn comes. False if there is none.
  bool unpause(handle who);
  /// As unpause, and handles the next message at once, if there is one that it may handle: true then. REQUIRES: not
  /// within a callback.
  bool take_turn(time_point now, handle who);
  /// Answers all calls that wait for it; what else waits stays.
  void refuse_calls(time_point now, handle who, const error& why);
  /// From now on its end is told to the surroundings, as spawn_options::announced says. False if there is none.
  bool announce(handle who);

 private:
  friend class context;

  // ---- core.cpp: processes and messages ----
  [[nodiscard]] handle handle_of(std::uint32_t slot) const { return {handle::here, slot, processes_.generation(slot)}; }
  [[nodiscard]] process* find(const handle& who) {
    const bool there = who.node == handle::here && processes_.alive(who.slot, who.generation);
    return there ? &processes_[who.slot] : nullptr;
  }
  [[nodiscard]] const process* find(const handle& who) const {
    const bool there = who.node == handle::here && processes_.alive(who.slot, who.generation);
    return there ? &processes_[who.slot] : nullptr;
  }
  /// A process with nothing run yet, or no_slot where there are too many.
  [[nodiscard]] std::uint32_t admit(std::unique_ptr<body> what, const spawn_options& how, handle parent);
  bool run_started(time_point now, std::uint32_t slot);
  [[nodiscard]] tl::expected<std::uint32_t, exit_reason> start_now(time_point now, std::unique_ptr<body> what,
                                                                   const spawn_options& how, handle parent);
  /// A new last message of a mailbox, for the caller to fill in; nullptr where it was dropped.
  [[nodiscard]] message* post(time_point now, std::uint32_t receiver, message::kind what);
  void fill(message& posted, value&& payload);
  void release(std::uint32_t message_slot);
  void put_first(message& posted);
  void keep(std::uint32_t message_slot);
  [[nodiscard]] bool make_room(time_point now, process& full, message::kind what);
  void discard(time_point now, std::uint32_t message_slot, error why);
  void remove_waiting(std::uint32_t message_slot);
  void deliver(time_point now, const handle& from, const handle& to, message::kind what, reference ref, atom word,
               value&& payload);
  void deliver_alias(time_point now, const handle& from, const handle& to, reference alias, atom word, value&& payload);
  void transmit(signal what);
  void update_runnable(std::uint32_t slot);
  void handle_next(time_point now, std::uint32_t slot);
  template <class Callback>
  void within(time_point now, std::uint32_t slot, Callback&& callback);
  /// All that must follow before anybody else has a turn: ends, and what processes of priority have to do.
  void settle(time_point now);

  // ---- exits.cpp ----
  void send_exit(time_point now, handle from, handle to, const exit_reason& why);
  void signal_exit(time_point now, handle from, std::uint32_t to, const exit_reason& why, bool along_link);
  [[nodiscard]] bool has_room_for_exit(const process& receiver) const;
  void doom(std::uint32_t slot, exit_reason why, bool orderly);
  void finish(time_point now, std::uint32_t slot);
  void tell_end(time_point now, std::uint32_t relation_slot, std::uint32_t end, const exit_reason& why);
  void post_end(time_point now, std::uint32_t receiver, message::kind what, handle from, reference ref,
                const exit_reason& why);

  // ---- relations.cpp ----
  /// no_slot where there are too many: then `wanted_by`, if it is a process of ours, is doomed, as OTP's system_limit
  /// does.
  [[nodiscard]] std::uint32_t relate(relation::kind what, handle first, handle second, handle wanted_by);
  /// For the link and the monitor that a process is to be spawned with.
  [[nodiscard]] bool has_room_for(const spawn_options& how) const;
  void unrelate(std::uint32_t slot);
  struct list {
    std::uint32_t* first;
    std::uint32_t* count;
  };
  [[nodiscard]] list relations_of(handle who);
  [[nodiscard]] static std::optional<far_tie> far_name_of(const relation& of);
  /// From now on found under its far name, whose parts must not change.
  void keep_far(std::uint32_t slot);
  void forget_far(std::uint32_t slot);
  void attach(std::uint32_t slot, std::uint32_t end);
  void detach(std::uint32_t slot, std::uint32_t end);
  [[nodiscard]] std::uint32_t find_tie(handle a, handle b, bool unlinking_too);
  void make_link(time_point now, std::uint32_t slot, handle with);
  void break_link(std::uint32_t slot, handle with);
  [[nodiscard]] reference make_monitor(time_point now, std::uint32_t slot, handle target);
  void drop_monitor(std::uint32_t slot, reference watched, bool flush);
  [[nodiscard]] reference reference_of(std::uint32_t relation_slot) const {
    return {relation_slot, relations_.generation(relation_slot)};
  }

  // ---- calls.cpp ----
  [[nodiscard]] reference make_call(time_point now, std::uint32_t slot, handle to, atom word, value payload,
                                    duration timeout);
  /// Puts the request of a call relation into the mailbox of a process of ours.
  void post_call(time_point now, std::uint32_t relation_slot, std::uint32_t receiver, atom word, value payload);
  void answer(time_point now, const caller& to, result<value> with);
  /// Ends the relation of a call from outside without an answer.
  [[nodiscard]] withdrawn withdraw_call(std::uint32_t relation_slot);
  void mark_taken(reference call);
  /// The relation is gone, and whoever waited has heard.
  void conclude(time_point now, std::uint32_t relation_slot, result<value> with);
  void call_expired(time_point now, std::uint32_t relation_slot);
  bool give_up(std::uint32_t caller, reference asked);
  void post_reply(time_point now, std::uint32_t receiver, reference call, result<value> with);

  // ---- remote.cpp ----
  void take(time_point now, signal& what);
  void take_call(time_point now, signal& what);
  void take_reply(time_point now, signal& what);
  void take_link(time_point now, signal& what);
  void take_monitor(time_point now, signal& what);
  [[nodiscard]] bool reaches(std::uint32_t node) const { return node < nodes_.size() && nodes_[node].up; }
  /// Does this reference name a relation of this kind, of `first`, whose second end is of the node of `second`?
  [[nodiscard]] bool is_tie(reference ref, relation::kind what, handle first, handle second) const;

  // ---- redirect.cpp ----
  void retarget(std::uint32_t relation_slot, handle found);
  void redirect_monitor(time_point now, const signal& what, handle stand_in);
  void redirect_link(time_point now, const signal& what, handle stand_in);
  void redirect_broken_link(time_point now, signal& what);
  /// Whether it had been linked with the stand-in itself.
  bool acknowledge_unlink(const signal& what, handle stand_in);

  // ---- timers.cpp ----
  struct timer {
    enum class kind : std::uint8_t { message, deadline, timeout };
    kind what = kind::message;
    reference of{};  ///< a relation; for a timeout: a process
    atom word{};
    value payload{};
  };
  reference set_timer(time_point now, handle by, duration delay, handle to, atom word, value payload);
  /// What a payload takes beside its timer: nothing, if it lives in the value itself.
  [[nodiscard]] static std::uint32_t weight_of_timer(const value& payload) noexcept {
    const auto size = payload.cbor().size();
    return size <= value::small_max ? 0 : static_cast<std::uint32_t>(size);
  }
  std::optional<duration> cancel_timer(time_point now, reference set);
  void set_deadline(time_point at, std::uint32_t relation_slot);
  void set_timeout(time_point now, std::uint32_t slot, duration length);
  void clear_timeout(process& of);
  void fire(time_point now, timer due);

  options options_;
  surroundings& around_;
  atom_table atoms_;
  slab<process> processes_;
  slab<message> messages_;
  slab<relation> relations_;
  timer_wheel<timer> timers_;
  slot_list<process, &process::in_run_queue> run_queue_;
  slot_list<process, &process::in_run_queue> urgent_;  ///< of priority
  std::vector<std::uint32_t> ending_;                  ///< doomed, first come first served; from ending_at_ on
  std::size_t ending_at_ = 0;
  std::unordered_map<std::uint32_t, handle> names_;                    ///< by atom. Never iterated
  std::unordered_map<far_tie, std::uint32_t, far_tie_hash> far_ties_;  ///< relations. Never iterated
  std::vector<remote_node> nodes_;                                     ///< the first is this kernel, and stays unused
  std::size_t queued_bytes_ = 0;
  std::uint32_t running_ = no_slot;
  std::uint32_t depth_ = 0;     ///< of callbacks within each other
  std::uint32_t charged_ = 0;   ///< by the callback that runs, in messages
  std::uint64_t spent_ = 0;     ///< by all, of the budgets of all runs
  std::uint64_t unlinked_ = 0;  ///< links to other kernels so far, to number them
  counters counted_;
};

template <class Callback>
void core::enter(time_point now, handle who, Callback&& what) {
  ORRERY_ASSERT(find(who) != nullptr && running_ != who.slot);
  within(now, who.slot, what);
  update_runnable(who.slot);  // it may await a reply now
  settle(now);
}

template <class Callback>
void core::within(time_point now, std::uint32_t slot, Callback&& callback) {
  const auto before = std::exchange(running_, slot);
  ++depth_;
  context self(*this, handle_of(slot), now);
  callback(*processes_[slot].what, self);
  --depth_;
  running_ = before;
}

}  // namespace orrery::kernel
