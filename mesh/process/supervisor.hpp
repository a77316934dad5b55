#pragma once
// OTP's supervisor: starts, watches, restarts and stops children.
#include "mesh/base/random.hpp"
#include "mesh/kernel/core.hpp"
#include "mesh/kernel/slab.hpp"
#include "mesh/process/spec.hpp"
#include "mesh/process/supervision.hpp"

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

/// How a child is stopped: `shutdown`, and `kill` if it has not ended in time.
struct shutdown_spec {
  enum class kind : std::uint8_t { timeout, brutal_kill, infinity };
  kind how = kind::timeout;
  duration length = std::chrono::seconds{5};
};

struct child_spec {
  std::string id;  ///< unique among its siblings; of a simple_one_for_one's template it names the kind
  child_factory* factory = nullptr;
  std::uint64_t tag = 0;  ///< for the factory and the watcher
  restart_type restart = restart_type::permanent;
  bool significant = false;
  shutdown_spec shutdown{};
  bool supervisor = false;
  kernel::spawn_options process{};  ///< link, tag and note are the supervisor's
};

enum class auto_shutdown : std::uint8_t { never, any_significant, all_significant };

/// A pause before each restart of a child, doubled with each restart that follows within the supervisor's period, with
/// up to a fifth of jitter. OTP has none.
struct backoff_spec {
  duration initial{};  ///< zero: none
  duration maximum = std::chrono::seconds{30};
};

struct supervisor_spec {
  std::string name;
  strategy kind = strategy::one_for_one;
  std::uint32_t intensity = 1;
  duration period = std::chrono::seconds{5};
  auto_shutdown when_significant = auto_shutdown::never;
  std::vector<child_spec> children{};  ///< in the order of their start; of simple_one_for_one the one template
  std::uint32_t children_max = 4'000'000;
  /// More restarts of one child than this within `period`: that child is given up alone. Beyond OTP.
  std::optional<std::uint32_t> child_intensity{};
  backoff_spec backoff{};  ///< one_for_one and simple_one_for_one
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
  /// `final`: it will not come back by itself, and of a simple_one_for_one it is forgotten.
  virtual void child_ended(std::uint64_t tag, const exit_reason& why, bool final) = 0;
  virtual void child_restarted(std::uint64_t tag, kernel::handle who, const exit_reason& why) = 0;
  /// It is over its own budget and stays down; `child_ended` with `final` came before.
  virtual void child_given_up(std::uint64_t tag, const std::string& why) = 0;
  /// The supervisor is over its intensity: it stops its children and exits with `shutdown`.
  virtual void gave_up(const std::string& why) = 0;
};

/// A kernel process that supervises. Spawn it with `options()`. Exactly OTP's supervisor where it says nothing else:
/// children are started in order, each when the one before has, and stopped in reverse, each in its own time; requests
/// meanwhile are refused with `unavailable` instead of waiting.
class supervisor final : public kernel::body {
 public:
  enum class child_state : std::uint8_t { running, stopping, restarting, stopped };
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

  // ---- requests: by core::enter, with the supervisor's own context ----
  /// Errors: already_exists (of this id, running or not), unavailable, overloaded (children_max),
  /// process_exited with the reason where it did not start (then nothing is kept), invalid_argument.
  [[nodiscard]] result<kernel::handle> start_child(kernel::context& self, child_spec spec);
  /// Of a simple_one_for_one.
  [[nodiscard]] result<kernel::handle> start_child(kernel::context& self, std::uint64_t tag);
  /// Stops it; it stays listed unless it is temporary. It has ended at once unless it traps exits. Errors: not_found.
  [[nodiscard]] result<void> terminate_child(kernel::context& self, std::string_view id);
  /// Of a simple_one_for_one, which forgets it.
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
  [[nodiscard]] const supervisor_spec& spec() const noexcept { return spec_; }
  /// From now on; children that run keep what they were started with.
  void set_budget(std::uint32_t intensity, duration period, restart_type of_template);
  [[nodiscard]] std::uint64_t restarts() const noexcept { return restarts_; }

 private:
  /// What only children with a budget or a backoff need.
  struct history {
    restart_window restarts;
    time_point last_restart{};
    duration pause{};
  };
  /// 64 bytes; of a simple_one_for_one there may be millions.
  struct child {
    kernel::handle who{};
    child_state state = child_state::stopped;
    bool awaited = false;  ///< its end, by what is under way
    kernel::slot_link place{};
    std::uint64_t tag = 0;
    std::unique_ptr<child_spec> own{};  ///< null for children of a template
    std::unique_ptr<history> past{};
    std::uint32_t restarts = 0;
  };
  /// Children that are being stopped, and what comes then.
  struct stopping {
    enum class then : std::uint8_t { nothing, start_again, exit };
    std::vector<std::uint32_t> left;  ///< the last is the next
    std::size_t waiting = 0;          ///< told to end, and have not
    bool at_once = false;
    then next = then::nothing;
    std::vector<std::uint32_t> again{};  ///< start_again: in order
    std::uint32_t cause = kernel::no_slot;
    exit_reason why{};
  };

  [[nodiscard]] bool simple() const noexcept { return spec_.kind == strategy::simple_one_for_one; }
  [[nodiscard]] const child_spec& spec_of(const child& of) const { return of.own ? *of.own : spec_.children.front(); }
  [[nodiscard]] std::uint32_t find(std::string_view id) const;
  [[nodiscard]] std::uint32_t find(kernel::context& self, kernel::handle who) const;
  [[nodiscard]] error busy() const;
  std::uint32_t add(std::uint64_t tag, std::unique_ptr<child_spec> own);
  void forget(std::uint32_t slot);
  [[nodiscard]] tl::expected<kernel::handle, exit_reason> bring_up(kernel::context& self, std::uint32_t slot);
  [[nodiscard]] result<kernel::handle> start_new(kernel::context& self, std::uint32_t slot);

  void child_exited(kernel::context& self, std::uint32_t slot, const exit_reason& why);
  void settle_ended(kernel::context& self, std::uint32_t slot, const exit_reason& why);
  void restart(kernel::context& self, std::uint32_t slot, exit_reason why);
  [[nodiscard]] bool within_budget(kernel::context& self, std::uint32_t slot, const exit_reason& why);
  [[nodiscard]] bool within_child_budget(kernel::context& self, std::uint32_t slot, const exit_reason& why);
  bool put_off(kernel::context& self, std::uint32_t slot);
  void start_again(kernel::context& self, const std::vector<std::uint32_t>& order, const exit_reason& why);
  /// False where it did not start, and what follows from that is done.
  bool start_again(kernel::context& self, std::uint32_t slot, const exit_reason& why);
  void significant_ended(kernel::context& self, bool others_left);

  void stop_children(kernel::context& self, stopping plan);
  void stop_next(kernel::context& self);
  void tell_to_end(kernel::context& self, std::uint32_t slot);
  void bury(std::uint32_t slot, const exit_reason& why);
  void stopped(kernel::context& self, std::uint32_t slot, const exit_reason& why);
  void timer_fired(kernel::context& self, const kernel::message& due);
  [[nodiscard]] std::vector<std::uint32_t> in_order() const;

  supervisor_spec spec_;
  supervisor_watcher* watcher_;
  kernel::slab<child> children_;
  kernel::slot_list<child, &child::place> order_;
  restart_window window_;
  std::optional<stopping> stopping_;
  std::deque<std::pair<std::uint32_t, exit_reason>> ended_meanwhile_;  ///< while others are being stopped
  seeded_random random_;
  std::uint64_t restarts_ = 0;
};

}  // namespace orrery::process
