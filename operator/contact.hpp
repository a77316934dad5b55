#pragma once
#include "operator/plan/observed.hpp"

#include <mutex>
#include <optional>

namespace orrery::op {

/// Since when the operator has led and the API server has answered it, without a break. What others said of hosts
/// before that may be as old as the break was long: see plan::observed::in_contact_since. Thread-safe.
class contact {
 public:
  /// It leads (again), or the API server answers again.
  void begins(plan::wall_time now) {
    const std::lock_guard lock(mutex_);
    since_ = now;
  }
  /// It does not lead any more, until begins().
  void ends() {
    const std::lock_guard lock(mutex_);
    since_.reset();
  }
  /// The API server does not answer: it counts from when it does again, if the operator leads at all.
  void breaks(plan::wall_time now) {
    const std::lock_guard lock(mutex_);
    if (since_) since_ = now;
  }
  [[nodiscard]] std::optional<plan::wall_time> since() const {
    const std::lock_guard lock(mutex_);
    return since_;
  }

 private:
  mutable std::mutex mutex_;
  std::optional<plan::wall_time> since_;
};

}  // namespace orrery::op
