#pragma once
#include "mesh/base/time.hpp"

namespace orrery::node {

/// How often the control plane is asked while the majority is lost.
inline constexpr duration control_plane_check_interval = std::chrono::seconds{1};

/// Whether this node may go on alone. It is isolated when it has lost the majority of the expected nodes and does not
/// reach the control plane either; with either of the two it is not.
class isolation {
 public:
  struct change {
    bool check = false;  ///< ask the control plane
    bool lost_majority = false;
    bool regained_majority = false;
    bool isolated = false;  ///< just now
    bool rejoined = false;
  };

  change majority(time_point now, bool has_majority);
  change control_plane(time_point now, bool reachable);

  [[nodiscard]] bool isolated() const noexcept { return isolated_; }
  [[nodiscard]] bool minority() const noexcept { return minority_; }
  [[nodiscard]] time_point wake_at() const noexcept { return minority_ && !asking_ ? next_check_ : never; }

 private:
  bool minority_ = false;
  bool isolated_ = false;
  bool asking_ = false;
  time_point next_check_{};
};

}  // namespace orrery::node
