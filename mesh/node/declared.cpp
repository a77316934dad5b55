// Declared children: each runs at its name's owner without a first call.
//
// Every node looks at all of them whenever what it knows of the mesh or of the classes has changed, and starts those
// that are its own: the owner is found as for a call, so nodes that disagree for a moment are set right as they are
// for names that were called, and a child that another node is about to hand over is waited for.
#include "mesh/node/impl.hpp"

namespace orrery::node {

void core::impl::keep_declared() {
  if (!declared_stale_ && now_ < declared_at_) return;
  declared_stale_ = false;
  declared_at_ = never;
  using state = process::declared_info::state;
  bool done = runtime_.arrange(now_, ran_);
  for (const auto& child : runtime_.declared()) {
    if (child.what == state::running) continue;
    const auto way = where(child.name);
    if (way.where == route::to::there) runtime_.let_go(now_, child.name, ran_);
    if (way.where == route::to::here && child.what == state::absent) {
      done &= runtime_.start_declared(now_, child.name, ran_);
    }
  }
  if (!done) declared_at_ = now_ + declared_retry;
}

}  // namespace orrery::node
