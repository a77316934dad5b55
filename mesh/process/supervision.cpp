#include "mesh/process/supervision.hpp"

#include "mesh/wire/value.hpp"

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

result<void> validate(const class_spec& spec) {
  const auto wrong = [&](std::string_view field, const std::string& given, std::string_view accepted) {
    return fail(errc::invalid_argument, "class '" + spec.name.value + "': " + std::string{field} + " is " + given +
                                            "; accepted: " + std::string{accepted});
  };
  if (!is_dns_label(spec.name.value)) {
    return fail(errc::invalid_argument, "class '" + spec.name.value.substr(0, 80) +
                                            "' is not a name: use 1 to 63 lower-case letters, digits and '-'");
  }
  if (spec.supervision.intensity > intensity_max) {
    return wrong("supervision.intensity", std::to_string(spec.supervision.intensity),
                 "0 to " + std::to_string(intensity_max));
  }
  if (spec.supervision.period <= duration::zero()) {
    return wrong("supervision.period", std::to_string(spec.supervision.period.count()) + "ns", "more than 0");
  }
  if (spec.call_timeout <= duration::zero()) {
    return wrong("callTimeout", std::to_string(spec.call_timeout.count()) + "ns", "more than 0");
  }
  const auto& limits = spec.limits;
  if (limits.mailbox_max == 0) return wrong("limits.mailbox", "0", "1 or more");
  if (limits.instructions_max == 0) return wrong("limits.instructions", "0", "1 or more");
  if (limits.memory_bytes_max == 0) return wrong("limits.memoryBytes", "0", "1 or more");
  if (limits.state_bytes_max == 0 || limits.state_bytes_max > value_bytes_max) {
    return wrong("limits.stateBytes", std::to_string(limits.state_bytes_max),
                 "1 to " + std::to_string(value_bytes_max));
  }
  return {};
}

}  // namespace orrery::process
