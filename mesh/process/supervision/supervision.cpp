#include "mesh/process/supervision/supervision.hpp"

#include "mesh/wire/value.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <string_view>

namespace orrery::process {

bool wants_restart(restart_type type, const exit_reason& reason) noexcept {
  switch (type) {
    case restart_type::permanent:
      return true;
    case restart_type::transient:
      return is_crash(reason);
    case restart_type::temporary:
      return false;
  }
  return false;
}

bool restart_window::admit(time_point now, std::uint32_t intensity, duration period) {
  while (!restarts_.empty() && now - restarts_.front() > period)
    restarts_.pop_front();
  restarts_.push_back(now);
  return restarts_.size() <= intensity;
}

std::uint32_t restart_window::left(time_point now, std::uint32_t intensity, duration period) const {
  const auto counting =
      std::count_if(restarts_.begin(), restarts_.end(), [&](time_point at) { return now - at <= period; });
  const auto used = static_cast<std::size_t>(counting);
  return used >= intensity ? 0 : intensity - static_cast<std::uint32_t>(used);
}

namespace {

/// Says what is wrong with a class: the field, what it holds, what would be accepted.
class reviewer {
 public:
  explicit reviewer(const class_spec& spec) : spec_(spec) {}

  [[nodiscard]] result<void> review() {
    if (!is_dns_label(spec_.name.value)) {
      return fail(errc::invalid_argument, "class '" + spec_.name.value.substr(0, 80) +
                                              "' is not a name: use 1 to 63 lower-case letters, digits and '-'");
    }
    supervision();
    if (spec_.call_timeout <= duration::zero()) wrong("callTimeout", nanoseconds(spec_.call_timeout), "more than 0");
    limits();
    children();
    if (fault_.empty()) return {};
    return fail(errc::invalid_argument, "class '" + spec_.name.value + "': " + fault_);
  }

 private:
  void wrong(const std::string& field, const std::string& given, const std::string& accepted) {
    if (fault_.empty()) fault_ = field + " is " + given + "; accepted: " + accepted;
  }
  [[nodiscard]] static std::string nanoseconds(duration length) { return std::to_string(length.count()) + "ns"; }
  void up_to(const std::string& field, std::uint64_t given, std::uint64_t least, std::uint64_t most) {
    if (given < least || given > most) {
      wrong(field, std::to_string(given), std::to_string(least) + " to " + std::to_string(most));
    }
  }

  void supervision() {
    const auto& of = spec_.supervision;
    up_to("supervision.intensity", of.intensity, 0, intensity_max);
    if (of.child_intensity) up_to("supervision.childIntensity", *of.child_intensity, 0, intensity_max);
    if (of.period <= duration::zero()) wrong("supervision.period", nanoseconds(of.period), "more than 0");
    if (of.child_cooldown <= duration::zero()) {
      wrong("supervision.childCooldown", nanoseconds(of.child_cooldown), "more than 0");
    }
    if (of.backoff.initial < duration::zero()) {
      wrong("supervision.backoff.initial", nanoseconds(of.backoff.initial), "0 or more");
    }
    if (of.backoff.maximum < of.backoff.initial) {
      wrong("supervision.backoff.max", nanoseconds(of.backoff.maximum), "at least supervision.backoff.initial");
    }
    if (of.shutdown.how == shutdown_spec::kind::timeout && of.shutdown.length < duration::zero()) {
      wrong("supervision.shutdown", nanoseconds(of.shutdown.length), "0 or more, BrutalKill or Infinity");
    }
    if (of.kind == strategy::simple_one_for_one) {
      wrong("supervision.strategy", "SimpleOneForOne", "OneForOne, OneForAll, RestForOne");
    }
    if (of.parent && !is_dns_label(of.parent->value)) {
      wrong("supervision.parent", "'" + of.parent->value.substr(0, 80) + "'", "the name of a class of the mesh");
    }
    if (of.parent == spec_.name) wrong("supervision.parent", "the class itself", "another class of the mesh");
  }

  void limits() {
    const auto& of = spec_.limits;
    if (of.mailbox_max == 0) wrong("limits.mailbox", "0", "1 or more");
    if (of.processes_max == 0U) wrong("limits.maxProcesses", "0", "1 or more");
    if (of.instructions_max == 0) wrong("limits.instructions", "0", "1 or more");
    if (of.memory_bytes_max == 0) wrong("limits.memoryBytes", "0", "1 or more");
    up_to("limits.stateBytes", of.state_bytes_max, 1, value_bytes_max);
  }

  void children() {
    const auto& all = spec_.children;
    if (all.size() > declared_children_max) {
      wrong("children", std::to_string(all.size()) + " children", "up to " + std::to_string(declared_children_max));
    }
    if (spec_.limits.processes_max && all.size() > *spec_.limits.processes_max) {
      wrong("limits.maxProcesses", std::to_string(*spec_.limits.processes_max),
            "at least as many as there are children, which are " + std::to_string(all.size()));
    }
    std::set<std::string_view> keys;
    for (std::size_t i = 0; i < all.size(); ++i) {
      const auto where = "children[" + std::to_string(i) + "]";
      const auto& key = all[i].key.value;
      if (const auto name = make_process_name(spec_.name.value, key); !name) {
        wrong(where + ".key", name.error().context,
              "1 to " + std::to_string(process_key_bytes_max) + " bytes of UTF-8");
      }
      if (!keys.insert(key).second) wrong(where + ".key", "'" + key.substr(0, 80) + "' once more", "each key once");
      if (all[i].significant) significant(where + ".significant", all[i]);
      if (all[i].argument != value{} && std::holds_alternative<builtin_kind>(spec_.behaviour)) {
        wrong(where + ".argument", "given", "none: only the init of a script or of an app takes one");
      }
    }
  }

  void significant(const std::string& field, const declared_child& child) {
    if (child.restart.value_or(spec_.supervision.restart) == restart_type::permanent) {
      wrong(field, "true, and its restart is Permanent", "significant only with restart Transient or Temporary");
    }
    if (spec_.supervision.when_significant == auto_shutdown::never) {
      wrong(field, "true, and supervision.autoShutdown is Never",
            "significant only with autoShutdown AnySignificant or AllSignificant");
    }
  }

  const class_spec& spec_;
  std::string fault_;  ///< the first
};

}  // namespace

result<void> validate(const class_spec& spec) { return reviewer(spec).review(); }

}  // namespace orrery::process
