// Lists of the whole mesh: every node is asked, and those that do not answer in time are named.
#include "mesh/node/impl.hpp"

namespace orrery::node {

value core::impl::local_part(wire::verb asked, const std::optional<class_name>& only, std::size_t limit) const {
  if (asked == wire::verb::tree) return tree_document(settings_.self.name, runtime_.supervisors());
  // One more than asked for, so that a list that was cut says so.
  return process_list(now_, settings_.self.name, runtime_.list(only, {}, limit + 1), limit);
}

void core::impl::begin_gather(gather asked, const std::optional<class_name>& only) {
  if (gathers_.size() >= gathers_max) {
    return answer(from_client{asked.client}, fail(errc::overloaded, "too many lists are being gathered; retry later"));
  }
  const std::uint64_t id = pending_.next_number();
  asked.deadline = now_ + gather_max_time;
  asked.parts.push_back(local_part(asked.asked, only, asked.limit));
  for (const auto& peer : members_.live()) {
    asked.waiting.emplace(peer.link, peer.node.name.value);
    transmit_to(peer.link,
                wire::control{.id = id,
                              .asked = asked.asked,
                              .name = {},
                              .reason = {},
                              .only = only,
                              .limit = asked.limit,
                              .remaining = std::chrono::duration_cast<std::chrono::microseconds>(gather_max_time),
                              .hops = 0});
  }
  for (const auto& peer : members_.view()) {
    using membership::peer_state;
    if (peer.state == peer_state::connecting || peer.state == peer_state::down) {
      asked.unreachable.push_back(peer.name.value);
    }
  }
  const bool complete_already = asked.waiting.empty();
  gathers_.emplace(id, std::move(asked));
  if (complete_already) finish_gather(id);
}

void core::impl::on_gather_reply(std::uint64_t id, link_id link, result<value>& outcome) {
  gather& asked = gathers_.at(id);
  const auto waited = asked.waiting.find(link);
  if (waited == asked.waiting.end()) return;
  if (outcome) {
    asked.parts.push_back(std::move(*outcome));
  } else {
    asked.unreachable.push_back(waited->second);
  }
  asked.waiting.erase(waited);
  if (asked.waiting.empty()) finish_gather(id);
}

void core::impl::lose_gathers(link_id link) {
  std::vector<std::uint64_t> complete_now;
  for (auto& [id, asked] : gathers_) {
    const auto waited = asked.waiting.find(link);
    if (waited == asked.waiting.end()) continue;
    asked.unreachable.push_back(waited->second);
    asked.waiting.erase(waited);
    if (asked.waiting.empty()) complete_now.push_back(id);
  }
  for (const auto id : complete_now)
    finish_gather(id);
}

void core::impl::expire_gathers() {
  std::vector<std::uint64_t> due;
  for (const auto& [id, asked] : gathers_) {
    if (asked.deadline <= now_) due.push_back(id);
  }
  for (const auto id : due)
    finish_gather(id);
}

void core::impl::finish_gather(std::uint64_t id) {
  gather done = std::move(gathers_.at(id));
  gathers_.erase(id);
  for (const auto& [link, name] : done.waiting)
    done.unreachable.push_back(name);
  std::sort(done.unreachable.begin(), done.unreachable.end());
  answer(from_client{done.client}, done.asked == wire::verb::tree
                                       ? merge_trees(done.parts, done.unreachable)
                                       : merge_process_lists(done.parts, done.unreachable, done.limit));
}

}  // namespace orrery::node
