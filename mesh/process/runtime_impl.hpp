#pragma once
// The inside of process::runtime: classes and names on a kernel. runtime.cpp: messages, reading. classes.cpp: classes
// and their supervisors, start and end of processes, handing over.
#include "mesh/base/hash.hpp"
#include "mesh/kernel/core.hpp"
#include "mesh/process/behaviour.hpp"
#include "mesh/process/hosted.hpp"
#include "mesh/process/name_index.hpp"
#include "mesh/process/runtime.hpp"
#include "mesh/process/supervision.hpp"
#include "mesh/process/supervisor.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::process {

inline constexpr std::uint32_t supervisors_max = 10'000;  ///< beside the processes that are asked for

/// A behaviour's type, and how many processes run it.
struct shared_type {
  std::unique_ptr<behaviour_type> of;
  std::size_t users = 0;
};

/// What is known of a name as long as its process is supervised; it stays while lives of the process come and go.
struct named {
  std::string key{};
  supervised_class* klass = nullptr;
  kernel::handle who{};
  kernel::slot_link among_children{};
  std::uint64_t restarts = 0;
  time_point started_at{};
  std::unique_ptr<last_exit> last{};
};

/// A class: its behaviour, its names, and the supervisor of its processes, of which names are the tags.
struct supervised_class final : supervisor_watcher, child_factory {
  explicit supervised_class(runtime::impl& of) : owner(of) {}

  [[nodiscard]] std::unique_ptr<kernel::body> make(std::uint64_t tag) override;
  void child_started(std::uint64_t tag, kernel::handle who) override;
  void child_ended(std::uint64_t tag, const exit_reason& why, bool final) override;
  void child_restarted(std::uint64_t tag, kernel::handle who, const exit_reason& why) override;
  void child_given_up(std::uint64_t tag, const std::string& why) override;
  void gave_up(const std::string& why) override;

  runtime::impl& owner;
  class_spec spec;
  std::unique_ptr<shared_type> type;
  std::vector<std::unique_ptr<shared_type>> replaced;  ///< of another kind, with processes that still run it
  kernel::handle supervised_by{};
  kernel::slot_list<named, &named::among_children> children;  ///< in the order of their start
  name_index by_key;
  std::uint64_t restarts = 0;
  std::uint64_t gave_up_times = 0;
};

struct runtime::impl final : kernel::surroundings, directory {
  explicit impl(options chosen);
  ~impl() override;

  // ---- kernel::surroundings ----
  void replied(kernel::call_token token, result<value> answer) override;
  void ended(kernel::handle who, std::uint64_t tag, const exit_reason& why) override;
  void transmit(kernel::signal what) override;
  [[nodiscard]] std::string describe(std::uint64_t tag) const override;

  // ---- directory ----
  [[nodiscard]] result<kernel::handle> find(std::string_view target) override;
  [[nodiscard]] std::string text_of(kernel::handle who) const override;

  /// Where effects go while one of the runtime's functions runs.
  class sink {
   public:
    sink(impl& of, time_point now, effects& out) : of_(of), before_(std::exchange(of.out_, &out)) { of.now = now; }
    sink(const sink&) = delete;
    sink& operator=(const sink&) = delete;
    ~sink() { of_.out_ = before_; }

   private:
    impl& of_;
    effects* before_;
  };
  [[nodiscard]] effects& out() const { return *out_; }
  void emit(process_event::kind what, std::uint32_t name, exit_reason reason) const;

  // ---- runtime.cpp ----
  [[nodiscard]] supervised_class* find_class(const class_name& name);
  [[nodiscard]] error no_class(const class_name& name) const;
  [[nodiscard]] std::uint32_t find(const process_name& name);
  [[nodiscard]] std::uint32_t find(const supervised_class& klass, std::string_view key) const;
  [[nodiscard]] process_info describe_name(std::uint32_t name) const;
  [[nodiscard]] process_name name_of(const named& of) const { return {of.klass->spec.name, process_key{of.key}}; }
  struct route {
    kernel::handle to;
    kernel::atom word;
  };
  /// The receiver, started if need be, or why the message is refused.
  [[nodiscard]] result<route> receiver(const process_name& name, message_kind kind, std::string_view method);

  // ---- classes.cpp ----
  [[nodiscard]] std::uint64_t next_seed(const supervised_class& klass, std::uint32_t name);
  [[nodiscard]] result<void> replace(supervised_class& known, class_spec spec);
  [[nodiscard]] kernel::handle supervisor_of(supervised_class& klass);
  [[nodiscard]] supervisor_spec spec_of_supervisor(supervised_class& klass) const;
  [[nodiscard]] std::uint32_t admit(supervised_class& klass, const process_key& key);
  void forget(std::uint32_t name);
  [[nodiscard]] result<kernel::handle> start(supervised_class& klass, const process_key& key);
  void set_timer(kernel::handle who, handoff::waiting& timer);
  /// Ends the process for good; terminate runs.
  void shut_down(std::uint32_t name, const exit_reason& reason);

  options settings;
  std::map<class_name, std::unique_ptr<supervised_class>> classes;
  supervised_class* last_class = nullptr;  ///< that was asked for
  kernel::slab<named> names;
  kernel::core core;  // its processes refer to classes and names: declared after them
  restart_window root_window;
  std::uint64_t lives = 0;  ///< started so far, for seeds
  counters counted;
  time_point now{};
  std::optional<error> not_restored;  ///< why the process that is being installed was not
  std::optional<value> installing;    ///< what the process that starts next goes on from, in place of init
  std::uint64_t installing_version = 0;
  bool moving_in = false;
  effects* out_ = nullptr;
};

}  // namespace orrery::process
