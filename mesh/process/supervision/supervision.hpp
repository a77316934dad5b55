#pragma once
#include "mesh/base/result.hpp"
#include "mesh/base/time.hpp"
#include "mesh/process/runtime.hpp"
#include "mesh/process/spec.hpp"

#include <cstdint>
#include <deque>

namespace orrery::process {

/// What the root supervisor of a node allows its class supervisors; beyond it the node is to be restarted.
inline constexpr std::uint32_t root_intensity = 10;
inline constexpr duration root_period = std::chrono::seconds{10};
inline constexpr std::size_t parents_max = 8;              ///< supervisors above a class' one, below the root
inline constexpr std::size_t declared_children_max = 256;  ///< of one class
inline constexpr std::uint32_t intensity_max = 100'000;    ///< bounds what a supervisor remembers

/// Does a child that ended for `reason` come back? (OTP: permanent always, transient after a crash, temporary never.)
[[nodiscard]] bool wants_restart(restart_type type, const exit_reason& reason) noexcept;

/// The restarts that still count, as OTP's supervisor:add_restart keeps them: one made exactly `period` ago counts.
class restart_window {
 public:
  /// Records a restart at `now`. False if that makes more than `intensity` within `period`: the supervisor gives up.
  /// REQUIRES: `now` never goes back.
  [[nodiscard]] bool admit(time_point now, std::uint32_t intensity, duration period);
  void clear() noexcept { restarts_.clear(); }
  [[nodiscard]] std::size_t size() const noexcept { return restarts_.size(); }
  /// How many restarts more may be made at `now`.
  [[nodiscard]] std::uint32_t left(time_point now, std::uint32_t intensity, duration period) const;

 private:
  std::deque<time_point> restarts_;
};

/// Errors: invalid_argument naming the field, what it holds and what would be accepted.
[[nodiscard]] result<void> validate(const class_spec& spec);

}  // namespace orrery::process
