#pragma once
#include "mesh/base/time.hpp"
#include "mesh/membership/membership.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

namespace orrery::node {

/// A peer that is to hand over and says nothing about it for this long is not waited for any longer.
inline constexpr duration handover_silence_max = std::chrono::seconds{2};

/// Which live peers may still run processes that this node owns: from the moment they come up, or announce that they
/// drain, until they say handoff_done. Meanwhile such names are not started afresh here.
class takeover {
 public:
  void came_up(time_point now, membership::link_id peer, const node_id& node, bool draining) {
    waiting_[peer] = {node, true, draining, now + handover_silence_max};
    rumours_.erase(node);
  }
  /// A peer places names at this node, which is not up here: it may hold some of ours, and is given time to come up.
  void rumoured(time_point now, const node_id& node) { rumours_.try_emplace(node, now + handover_silence_max); }
  void drains(time_point now, membership::link_id peer, const node_id& node) {
    const bool any = waiting_.contains(peer) && waiting_.at(peer).any_name;
    waiting_[peer] = {node, any, true, now + handover_silence_max};
  }
  /// A handoff arrived: the peer is at it.
  void progress(time_point now, membership::link_id peer) {
    if (const auto found = waiting_.find(peer); found != waiting_.end()) {
      found->second.until = now + handover_silence_max;
    }
  }
  /// True if the peer was waited for.
  bool forget(membership::link_id peer) { return waiting_.erase(peer) > 0; }
  /// True if somebody is not waited for any longer.
  bool expire(time_point now) {
    const auto silent = std::erase_if(waiting_, [&](const auto& each) { return each.second.until <= now; });
    return silent + std::erase_if(rumours_, [&](const auto& each) { return each.second <= now; }) > 0;
  }
  [[nodiscard]] bool empty() const noexcept { return waiting_.empty() && rumours_.empty(); }
  [[nodiscard]] time_point next_deadline() const {
    time_point next = never;
    for (const auto& [peer, each] : waiting_)
      next = std::min(next, each.until);
    for (const auto& [node, until] : rumours_)
      next = std::min(next, until);
    return next;
  }
  /// A peer that has just come up may run any of our names, as it placed them without us.
  [[nodiscard]] bool any_name() const {
    return !rumours_.empty() ||
           std::any_of(waiting_.begin(), waiting_.end(), [](const auto& each) { return each.second.any_name; });
  }
  [[nodiscard]] bool any_draining() const {
    return std::any_of(waiting_.begin(), waiting_.end(), [](const auto& each) { return each.second.draining; });
  }
  /// Those that drain, but had handed over before: they run what they own in the placement that counts them in.
  [[nodiscard]] std::vector<node_id> draining() const {
    std::vector<node_id> out;
    for (const auto& [peer, each] : waiting_) {
      if (each.draining) out.push_back(each.node);
    }
    return out;
  }
  /// For people: whom we wait for.
  [[nodiscard]] std::optional<node_name> first() const {
    if (waiting_.empty()) return rumours_.empty() ? std::nullopt : std::optional{rumours_.begin()->first.name};
    return waiting_.begin()->second.node.name;
  }

 private:
  struct entry {
    node_id node;
    bool any_name = false;
    bool draining = false;
    time_point until{};
  };
  std::map<membership::link_id, entry> waiting_;
  std::map<node_id, time_point> rumours_;
};

}  // namespace orrery::node
