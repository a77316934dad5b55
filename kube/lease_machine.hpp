#pragma once
#include "kube/lease.hpp"
#include "kube/resource.hpp"
#include "kube/timestamp.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace orrery::kube {

/// The fields of a Lease that matter (coordination.k8s.io/v1, spec).
struct lease_record {
  std::string holder;
  std::chrono::milliseconds duration{0};
  std::string renew_time;    ///< as it was written: compared, never interpreted by our clock
  std::string acquire_time;  ///< likewise
  std::uint64_t transitions = 0;
  std::string version;  ///< resourceVersion

  friend bool operator==(const lease_record&, const lease_record&) = default;
};

[[nodiscard]] lease_record read_lease(const json& lease);

/// The decisions of a leader elector. Pure: the time comes as an argument. Not thread-safe.
class lease_machine {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  explicit lease_machine(lease_options options) : options_(std::move(options)) {}

  /// A Lease was read (nothing: there is none). Whether to write it now; if so, what record() says.
  [[nodiscard]] bool may_write(const std::optional<lease_record>& seen, time_point now);
  /// The Lease as we would write it now, conditional on the version last seen. Null `version`: create it.
  [[nodiscard]] lease_record record(wall_time wall) const;
  [[nodiscard]] json lease_object(const lease_record& record) const;

  /// Our write was accepted. `sent` is from before it was sent. True if this made us the leader.
  [[nodiscard]] bool written(const lease_record& accepted, time_point sent);

  /// Leading, and the last renewal is recent enough.
  [[nodiscard]] bool leads(time_point now) const { return leading_ && now < lead_until(); }
  [[nodiscard]] bool was_leading() const noexcept { return leading_; }
  /// When leadership ends unless renewed. REQUIRES: was_leading().
  [[nodiscard]] time_point lead_until() const { return renewed_ + options_.renew_deadline; }
  void lost() noexcept { leading_ = false; }

  [[nodiscard]] const std::string& holder() const noexcept { return seen_.holder; }
  [[nodiscard]] std::uint64_t term() const noexcept { return seen_.transitions; }

 private:
  lease_options options_;
  lease_record seen_;
  bool exists_ = false;
  time_point seen_changed_{};  // when we saw the record change, by our clock
  bool leading_ = false;
  time_point renewed_{};
};

}  // namespace orrery::kube
