#include "mesh/node/isolation.hpp"

namespace orrery::node {

isolation::change isolation::majority(time_point now, bool has_majority) {
  change out;
  if (has_majority) {
    out.regained_majority = minority_;
    out.rejoined = isolated_;
    minority_ = false;
    isolated_ = false;
    return out;
  }
  if (!minority_) {
    minority_ = true;
    out.lost_majority = true;
    next_check_ = now;
  }
  if (asking_ || now < next_check_) return out;
  asking_ = true;
  next_check_ = now + control_plane_check_interval;
  out.check = true;
  return out;
}

isolation::change isolation::control_plane(time_point now, bool reachable) {
  change out;
  asking_ = false;
  if (next_check_ < now) next_check_ = now;
  const bool now_isolated = minority_ && !reachable;
  out.isolated = now_isolated && !isolated_;
  out.rejoined = !now_isolated && isolated_;
  isolated_ = now_isolated;
  return out;
}

}  // namespace orrery::node
