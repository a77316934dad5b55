#include "kube/lease_machine.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <utility>

namespace orrery::kube {

lease_record read_lease(const json& lease) {
  return {.holder = std::string{text_at(lease, {"spec", "holderIdentity"})},
          .duration = std::chrono::seconds{std::clamp<std::int64_t>(integer_at(lease, {"spec", "leaseDurationSeconds"}),
                                                                    0, 24 * 3600)},
          .renew_time = std::string{text_at(lease, {"spec", "renewTime"})},
          .acquire_time = std::string{text_at(lease, {"spec", "acquireTime"})},
          .transitions =
              static_cast<std::uint64_t>(std::max<std::int64_t>(integer_at(lease, {"spec", "leaseTransitions"}), 0)),
          .version = std::string{resource_version_of(lease)}};
}

bool lease_machine::may_write(const std::optional<lease_record>& seen, time_point now) {
  if (!seen) {
    exists_ = false;
    seen_ = {};
    return true;
  }
  if (!exists_ || *seen != seen_) {
    seen_ = *seen;
    seen_changed_ = now;
    exists_ = true;
  }
  if (seen_.holder.empty() || seen_.holder == options_.identity) return true;
  const auto duration = seen_.duration.count() > 0 ? seen_.duration : options_.duration;
  return now - seen_changed_ >= duration;
}

lease_record lease_machine::record(wall_time wall) const {
  const auto now = to_micro_time(wall);
  const bool renewal = leading_ && exists_ && seen_.holder == options_.identity;
  return {.holder = options_.identity,
          .duration = options_.duration,
          .renew_time = now,
          .acquire_time = renewal ? seen_.acquire_time : now,
          .transitions = renewal ? seen_.transitions : (exists_ ? seen_.transitions + 1 : 0),
          .version = exists_ ? seen_.version : ""};
}

json lease_machine::lease_object(const lease_record& record) const {
  auto lease = make_object(resources::leases, options_.lease);
  if (!record.version.empty()) lease["metadata"]["resourceVersion"] = record.version;
  const auto whole_seconds = std::chrono::ceil<std::chrono::seconds>(record.duration).count();
  lease["spec"] = {{"holderIdentity", record.holder},
                   {"leaseDurationSeconds", std::max<std::int64_t>(whole_seconds, 1)},
                   {"acquireTime", record.acquire_time},
                   {"renewTime", record.renew_time},
                   {"leaseTransitions", record.transitions}};
  return lease;
}

bool lease_machine::written(const lease_record& accepted, time_point sent) {
  seen_ = accepted;
  seen_changed_ = sent;
  exists_ = true;
  renewed_ = sent;
  return !std::exchange(leading_, true);
}

}  // namespace orrery::kube
