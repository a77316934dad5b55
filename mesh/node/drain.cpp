// Leaving by plan: say so, hand over, answer what is in flight, say goodbye.
#include "mesh/node/impl.hpp"

namespace orrery::node {

void core::impl::announce_drain() {
  if (draining_) return;
  draining_ = true;
  members_.set_draining();
  emit("node_draining", {{"peer", settings_.self.name.value}});
  for (const auto& peer : members_.live()) {
    transmit_to(peer.link, wire::draining{});
    drain_unheard_.insert(peer.link);
    moves_.owe_done(peer.link);
  }
  moves_.rescan();
  placement_stale_ = true;
}

bool core::impl::may_leave() const {
  // The last node waits for a newcomer that is on its way, or that discovery may not have told of yet: otherwise all
  // that it runs would be lost.
  if (placement_.nodes().empty() && runtime_.count() > 0 &&
      (now_ < newcomer_until_ || members_.waiting_for(now_) || members_.greeting())) {
    return false;
  }
  // A peer that has acknowledged sends no more calls after it; those that it had sent are in pending_ by then.
  // What processes here had asked for dies with them.
  return handed_over() && !members_.half_up() && pending_.of_others() == 0 && gathers_.empty() && !work_left_;
}

void core::impl::finish_drain() {
  if (!drain_wanted_) return;
  if (!may_leave() && now_ < drain_until_) return;
  leave();
}

void core::impl::leave() {
  for (const reply_token token : pending_.everything()) {
    const bool parked = pending_.find(token)->where == pending::place::parked;
    complete(token, fail(errc::draining, "this node left the mesh before there was an answer",
                         parked ? took_effect::not_executed : took_effect::unknown));
  }
  end_traces();
  while (!gathers_.empty())
    finish_gather(gathers_.begin()->first);
  members_.leave(now_, todo_);
  for (std::size_t i = 0; i < todo_.size(); ++i) {
    if (const auto* last = std::get_if<membership::send>(&todo_[i])) apply(*last);
    if (const auto* last = std::get_if<membership::hang_up>(&todo_[i])) apply(*last);
  }
  todo_.clear();
  left_ = true;
  out_->push_back(drained{});
}

}  // namespace orrery::node
