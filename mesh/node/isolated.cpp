// What this node does when it finds itself on the small side of the mesh, and when it is back.
#include "mesh/node/impl.hpp"

namespace orrery::node {

void core::impl::watch_majority() {
  const bool forming = !joined_ && !isolation_.minority() && forming_until_ != never;
  const bool majority = !members_.discovery_known() || forming || members_.count().majority();
  apply(isolation_.majority(now_, majority));
}

void core::impl::apply(const isolation::change& change) {
  if (change.check) out_->push_back(check_control_plane{});
  if (change.isolated) {
    const auto count = members_.count();
    emit("isolated", {{"live", std::uint64_t{count.live}}, {"expected", std::uint64_t{count.expected}}});
    release_parked();  // they are refused
  }
  if (change.regained_majority) {
    // The others may have started names that run here: until they have said which, theirs win over older ones.
    contested_before_ = now_;
    contest_open_ = true;
  }
  if (!change.rejoined) return;
  emit("rejoined", {});
  refresh_placement();
  lost_ = lost_names{placement_, now_};
  moves_.rescan();
}

/// A name that this node ran while it was isolated and that another owns runs there, or starts there when called. It
/// ends here when it is asked for or when the scan comes to it: there may be a million.
void core::impl::end_if_lost(const process_name& name) {
  if (!lost_) return;
  const auto info = runtime_.find(name);
  if (!info || info->started_at > lost_->before) return;
  const node_id* owner = lost_->placed.owner(name);
  if (owner == nullptr || *owner == settings_.self) return;
  std::vector<process::handoff::waiting> mailbox;
  discard(name, mailbox);
  for (auto& each : mailbox) {
    if (each.token) {
      dispatch(*each.token);
    } else {
      (void)route_cast(name, std::move(each.method), std::move(each.argument), 0);
    }
  }
}

}  // namespace orrery::node
