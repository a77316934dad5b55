#pragma once
// OTP's supervisor: starts, watches, restarts and stops children.
#include "mesh/base/random.hpp"
#include "mesh/kernel/core.hpp"
#include "mesh/kernel/slab.hpp"
#include "mesh/process/spec.hpp"
#include "mesh/process/supervision/supervision.hpp"

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::process {

/// Makes the lives of children. Outlives the supervisors that use it.
class child_factory {
 public:
  child_factory() = default;
  child_factory(const child_factory&) = delete;
  child_factory& operator=(const child_factory&) = delete;
  virtual ~child_factory() = default;
  [[nodiscard]] virtual std::unique_ptr<kernel::body> make(std::uint64_t tag) = 0;
};

inline constexpr std::size_t child_id_bytes_max = 1200;  ///< a class and a key fit

struct child_spec {
  std::string id;  ///< unique among its siblings; of a simple_one_for_one's template it names the kind
  child_factory* factory = nullptr;
  std::uint64_t tag = 0;  ///< for the factory and the watcher
  restart_type restart = restart_type::permanent;
  bool significant = false;
  shutdown_spec shutdown{};  ///< of a supervisor, unless it is another than the default: infinity
  bool supervisor = false;
  /// Ends with `noconnection` count against no budget: what it depends on was away, which restarts do not mend and
  /// others see to. Beyond OTP.
  bool forgives_noconnection = false;
  kernel::spawn_options process{};  ///< link, tag and note are the supervisor's
};

struct supervisor_spec {
  std::string name;
  strategy kind = strategy::one_for_one;
  std::uint32_t intensity = 1;
  duration period = std::chrono::seconds{5};
  auto_shutdown when_significant = auto_shutdown::never;
  std::vector<child_spec> children{};  ///< in the order of their start; of simple_one_for_one the one template
  std::uint32_t children_max = 4'000'000;

  // ---- beyond OTP, and off unless asked for ----

  /// The template of children that are started by a tag, beside those that are declared. Each is restarted alone
  /// whatever `kind` is. (In OTP they take a simple_one_for_one supervisor of their own, with a budget of its own.)
  std::optional<child_spec> others{};
  /// More restarts of one child than this within `period`: that child is given up alone.
  std::optional<std::uint32_t> child_intensity{};
  /// Before restarts; where several children restart together, before the first of them.
  backoff_spec backoff{};
  /// Where there is no `backoff`: before another try to start a declared child that did not start, which OTP makes at
  /// once. In the supervisor's own start such a child is one that crashed, and not the supervisor's failure.
  backoff_spec patience{};
  /// Over its intensity it only says so, and goes on with a clean record: for a root whose node is about to end in good
  /// order.
  bool outlives_its_budget = false;
  /// Giving up is a crash, so that a transient supervisor comes back after that, and not when it has finished.
  bool giving_up_is_a_crash = false;
  std::uint64_t seed = 1;  ///< of the jitter
};
/// Errors: invalid_argument with the child, the field and what would be accepted.
[[nodiscard]] result<void> validate(const supervisor_spec& spec);

/// Hears what a supervisor does, from within its callbacks.
class supervisor_watcher {
 public:
  supervisor_watcher() = default;
  supervisor_watcher(const supervisor_watcher&) = delete;
  supervisor_watcher& operator=(const supervisor_watcher&) = delete;
  virtual ~supervisor_watcher() = default;

  virtual void child_started(std::uint64_t tag, kernel::handle who) = 0;
  /// `final`: it will not come back by itself; if it was started by a tag, it is forgotten.
  virtual void child_ended(std::uint64_t tag, const exit_reason& why, bool final) = 0;
  virtual void child_restarted(std::uint64_t tag, kernel::handle who, const exit_reason& why) = 0;
  /// It is over its own budget and stays down, as after a final `child_ended`.
  virtual void child_given_up(std::uint64_t tag, const std::string& why) = 0;
  /// The supervisor is over its intensity: it stops its children and exits.
  virtual void gave_up(const std::string& why) = 0;
  /// Its significant children have ended: it stops the others and exits.
  virtual void finished(const std::string& why) { static_cast<void>(why); }
};

/// A kernel process that supervises. Spawn it with `options()`. Exactly OTP's supervisor where it says nothing else:
/// children are started in order, each when the one before has, and stopped in reverse, each in its own time; requests
/// meanwhile are refused with `unavailable` instead of waiting.
class supervisor final : public kernel::body {
 public:
  enum class child_state : std::uint8_t { running, stopping, restarting, stopped, given_up };
  struct child_info {
    std::string id;
    std::uint64_t tag = 0;
    kernel::handle who{};  ///< nobody unless it runs
    child_state state = child_state::stopped;
    bool supervisor = false;
    std::uint32_t restarts = 0;
  };
  struct child_counts {
    std::size_t specs = 0;
    std::size_t active = 0;
    std::size_t supervisors = 0;
    std::size_t workers = 0;
  };

  /// REQUIRES: validate(spec). The watcher outlives the supervisor.
  explicit supervisor(supervisor_spec spec, supervisor_watcher* watcher = nullptr);

  /// How to spawn one: its messages go before others', and it traps exits.
  [[nodiscard]] static kernel::spawn_options options() {
    return {.link = true, .trap_exits = true, .priority = true, .mailbox_max = 1U << 20U};
  }

  void started(kernel::context& self) override;
  void received(kernel::context& self, kernel::message& arrived) override;

  /// Restarts that it may make at `now` before it gives up.
  [[nodiscard]] std::uint32_t budget_left(time_point now) const {
    return window_.left(now, spec_.intensity, spec_.period);
  }

  // ---- requests: by core::enter, with the supervisor's own context (requests.cpp) ----
  /// Errors: already_exists (of this id, running or not), unavailable, overloaded (children_max),
  /// process_exited with the reason where it did not start (then nothing is kept), invalid_argument.
  [[nodiscard]] result<kernel::handle> start_child(kernel::context& self, child_spec spec);
  /// As start_child; but a child that does not start is kept, as one that has crashed.
  [[nodiscard]] result<kernel::handle> begin_child(kernel::context& self, child_spec spec);
  /// Of the template.
  [[nodiscard]] result<kernel::handle> start_child(kernel::context& self, std::uint64_t tag);
  /// Stops it; it stays listed unless it is temporary. It has ended at once unless it traps exits. Errors: not_found.
  [[nodiscard]] result<void> terminate_child(kernel::context& self, std::string_view id);
  /// Of the template, which forgets it; one that is dead already is fine. Errors: not_found, of another's.
  [[nodiscard]] result<void> terminate_child(kernel::context& self, kernel::handle who);
  /// Errors: not_found; conflict where it runs or is about to; process_exited where it does not start.
  [[nodiscard]] result<kernel::handle> restart_child(kernel::context& self, std::string_view id);
  /// Errors: not_found; conflict where it runs or is about to.
  [[nodiscard]] result<void> delete_child(kernel::context& self, std::string_view id);
  /// No longer a child: whatever happens to it is its own affair. False if it was none.
  bool release(kernel::context& self, kernel::handle who);

  [[nodiscard]] std::vector<child_info> which_children() const;
  [[nodiscard]] child_counts count_children() const;
  [[nodiscard]] const child_spec* find_spec(std::string_view id) const;
  [[nodiscard]] std::optional<child_state> state_of(std::string_view id) const;
  [[nodiscard]] const supervisor_spec& spec() const noexcept { return spec_; }
  [[nodiscard]] std::uint64_t restarts() const noexcept { return restarts_; }

  // ---- while it runs (changes.cpp) ----
  /// Takes over all of `wanted` but its children: from now on; those that run keep what they were started with.
  void retune(const supervisor_spec& wanted);
  /// What is known of a declared child, but how its process was started: `id` and `tag` say which. False if it is none.
  bool retune_child(const child_spec& wanted);
  /// Declared children in this order; those that are not named come last.
  void arrange(const std::vector<std::string>& ids);
  /// A child that was started by a tag is declared from now on. False if it is none.
  bool declare(kernel::context& self, kernel::handle who, child_spec spec);
  /// The start of a declared child has returned, but its init, which runs elsewhere, has failed: its end, which is to
  /// follow, counts as that of a start that failed.
  void never_began(kernel::handle who);
  /// Forgets a declared child that does not run, whatever it waits for. False if there is none.
  bool drop(kernel::context& self, std::string_view id);
  /// The same of a child that was started by a tag: `note` is what core::note_of said of it while it ran.
  bool drop(kernel::context& self, std::uint32_t note, std::uint64_t tag);
  /// What was another supervisor's child becomes this one's, as it runs. REQUIRES: that one has released it.
  void adopt(kernel::context& self, child_spec spec, kernel::handle who);

 private:
  /// What only children with a budget, a backoff or a failed start need.
  struct history {
    restart_window restarts;
    time_point last_restart{};
    duration pause{};
    kernel::reference timer{};  ///< of the pause that it is in
    exit_reason failed{};       ///< why it did not start
    bool to_try = false;        ///< again, when the message for it comes
    bool unborn = false;        ///< see never_began
  };
  /// 64 bytes; of a template there may be millions.
  struct child {
    kernel::handle who{};
    child_state state = child_state::stopped;
    bool awaited = false;  ///< its end, by what is under way
    kernel::slot_link place{};
    std::uint64_t tag = 0;
    std::unique_ptr<child_spec> own{};  ///< null for children of the template
    std::unique_ptr<history> past{};
    std::uint32_t restarts = 0;
  };
  using child_list = kernel::slot_list<child, &child::place>;
  /// Children that are being stopped, and what comes then.
  struct stopping {
    enum class then : std::uint8_t { nothing, start_again, exit };
    std::vector<std::uint32_t> left;  ///< the last is the next
    std::size_t waiting = 0;          ///< told to end, and have not
    then next = then::nothing;
    std::vector<std::uint32_t> again{};  ///< start_again: in order
    std::uint32_t cause = kernel::no_slot;
    bool not_started = false;  ///< the cause
    exit_reason why{};
  };

  [[nodiscard]] bool simple() const noexcept { return spec_.kind == strategy::simple_one_for_one; }
  [[nodiscard]] bool grouped(const child& of) const noexcept {
    return of.own != nullptr && (spec_.kind == strategy::one_for_all || spec_.kind == strategy::rest_for_one);
  }
  [[nodiscard]] static bool is_down(const child& of) noexcept {
    return of.state == child_state::stopped || of.state == child_state::given_up;
  }
  [[nodiscard]] const child_spec& spec_of(const child& of) const { return of.own ? *of.own : *spec_.others; }
  [[nodiscard]] child_list& list_of(const child& of) { return of.own ? declared_ : tagged_; }
  [[nodiscard]] std::uint32_t find(std::string_view id) const;
  [[nodiscard]] std::uint32_t find(kernel::context& self, kernel::handle who) const;
  [[nodiscard]] std::uint32_t find_anywhere(kernel::handle who) const;
  [[nodiscard]] error busy() const;
  [[nodiscard]] error no_child(std::string_view id) const;
  [[nodiscard]] std::size_t count() const noexcept { return std::size_t{declared_.size()} + tagged_.size(); }
  history& past_of(std::uint32_t slot);
  std::uint32_t add(std::uint64_t tag, std::unique_ptr<child_spec> own);
  void forget(std::uint32_t slot);
  [[nodiscard]] tl::expected<kernel::handle, exit_reason> bring_up(kernel::context& self, std::uint32_t slot);
  [[nodiscard]] result<void> may_add(const child_spec& spec) const;
  [[nodiscard]] result<kernel::handle> start_new(kernel::context& self, std::uint32_t slot);
  [[nodiscard]] bool start_first(kernel::context& self, std::uint32_t slot);

  void child_exited(kernel::context& self, std::uint32_t slot, const exit_reason& why);
  void settle_ended(kernel::context& self, std::uint32_t slot, const exit_reason& why);
  void finish_if_significant(kernel::context& self);

  // ---- restarts.cpp ----
  void restart(kernel::context& self, std::uint32_t slot, const exit_reason& why, bool not_started = false);
  [[nodiscard]] bool within_budget(kernel::context& self, std::uint32_t slot, const exit_reason& why);
  [[nodiscard]] bool within_child_budget(kernel::context& self, std::uint32_t slot, const exit_reason& why);
  bool put_off(kernel::context& self, std::uint32_t slot, bool not_started);
  void failed_to_start(kernel::context& self, std::uint32_t slot, const exit_reason& why);
  bool start_again(kernel::context& self, std::uint32_t slot, const exit_reason& why);
  void start_waiting(kernel::context& self, const exit_reason& why);
  void cause_is_gone(kernel::context& self, std::uint32_t slot);
  void put_down(kernel::context& self, std::uint32_t slot);
  void try_again(kernel::context& self, std::uint32_t slot);
  void pause_is_over(kernel::context& self, std::uint32_t slot);
  [[nodiscard]] value marked(std::uint32_t slot) const;
  [[nodiscard]] std::uint32_t slot_marked(const value& payload) const;
  void timer_fired(kernel::context& self, const kernel::message& due);

  void stop_children(kernel::context& self, stopping plan);
  void stop_next(kernel::context& self);
  void begin_after_stop(kernel::context& self, const stopping& done);
  void tell_to_end(kernel::context& self, std::uint32_t slot);
  void stop_took_too_long(kernel::context& self, const value& life);
  void bury(std::uint32_t slot, const exit_reason& why);
  void stopped(kernel::context& self, std::uint32_t slot, const exit_reason& why);
  [[nodiscard]] std::vector<std::uint32_t> in_order() const;

  supervisor_spec spec_;
  supervisor_watcher* watcher_;
  kernel::slab<child> children_;
  child_list declared_;  ///< in the order of their start
  child_list tagged_;    ///< of the template
  restart_window window_;
  std::optional<stopping> stopping_;
  std::deque<std::pair<std::uint32_t, exit_reason>> ended_meanwhile_;  ///< while others are being stopped
  /// The child for which declared ones wait to restart together: in a pause, or about to be tried again.
  std::uint32_t cause_ = kernel::no_slot;
  seeded_random random_;
  std::uint64_t restarts_ = 0;
};

}  // namespace orrery::process
