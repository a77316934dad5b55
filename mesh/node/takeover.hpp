#pragma once
#include "mesh/base/ids.hpp"
#include "mesh/base/time.hpp"
#include "mesh/membership/membership.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

namespace orrery::node {

/// A peer that is to hand over and says nothing about it for this long, and for three of its heartbeats, which tell
/// whether it is still at it, is not waited for any longer.
inline constexpr duration handover_silence_max = std::chrono::seconds{2};

/// Which live peers may still run processes that this node owns: from the moment they come up, or announce that they
/// drain, or place a class elsewhere, until they say handoff_done. Meanwhile such names are not started afresh here.
/// What a peer holds even after that, as it could not be taken over, is known by name.
class takeover {
 public:
  explicit takeover(duration heartbeat_interval = {})
      : silence_max_(std::max(handover_silence_max, 3 * heartbeat_interval)) {}

  /// `number`: what its word must have heard of what this node says of its classes, as its hello may be out of date.
  void came_up(time_point now, membership::link_id peer, const node_id& node, bool draining, std::uint64_t number);
  /// A peer places names at this node, which is not up here: it may hold some of ours, and is given time to come up.
  void rumoured(time_point now, const node_id& node);
  /// A peer has placed names by what this one says of its classes, which has not been heard here: it may run some that
  /// we take for ours, and is given time to be heard.
  void unheard(time_point now, membership::link_id peer, const node_id& node, std::uint64_t number);
  /// What this one said, so far.
  void heard(membership::link_id peer, std::uint64_t number);
  void drains(time_point now, membership::link_id peer, const node_id& node);
  /// The peer may run any name of this class that is now ours, until it says handoff_done and has heard so much.
  void awaits(time_point now, membership::link_id peer, const node_id& node, const class_name& klass,
              std::uint64_t number);
  /// A handoff arrived: the peer is at it.
  void progress(time_point now, membership::link_id peer);
  /// The peer said handoff_done, having heard so much of what this node says of its classes.
  void done(membership::link_id peer, std::uint64_t heard);
  /// The peer is down: neither waited for nor holding anything.
  void lose(membership::link_id peer);
  /// True if somebody is not waited for any longer.
  bool expire(time_point now);

  /// A peer keeps these though it does not own them, in place of what it held before.
  void holds(membership::link_id peer, std::set<process_name> names);
  /// As this node did not take the name over.
  void holds_too(membership::link_id peer, const process_name& name) { held_[peer].insert(name); }
  void gave(membership::link_id peer, const process_name& name);
  [[nodiscard]] std::optional<membership::link_id> holder(const process_name& name) const;

  /// Grows whenever the answers of draining() may have changed.
  [[nodiscard]] std::uint64_t version() const noexcept { return version_; }
  [[nodiscard]] bool empty() const noexcept { return waiting_.empty() && rumours_.empty() && words_.empty(); }
  [[nodiscard]] time_point next_deadline() const;
  /// A peer that has just come up may run any of our names, as it placed them without us.
  [[nodiscard]] bool any_name() const;
  /// So may one for which this class was placed anew.
  [[nodiscard]] bool any_name_of(const class_name& klass) const;
  /// So may one whose last word on its classes is still to come, whatever class has its processes in apps.
  [[nodiscard]] bool any_unheard() const noexcept { return !words_.empty(); }
  [[nodiscard]] bool any_draining() const;
  /// It drains, and is waited for.
  [[nodiscard]] bool drains_still(membership::link_id peer) const;
  /// Those that drain, but had handed over before: they run what they own in the placement that counts them in.
  [[nodiscard]] std::vector<node_id> draining() const;
  /// For people: whom we wait for.
  [[nodiscard]] std::optional<node_name> first() const;

 private:
  struct entry {
    node_id node;
    bool any_name = false;
    bool draining = false;
    time_point until{};
    std::uint64_t number = 0;                       ///< what its word on any name must have heard
    std::map<class_name, std::uint64_t> classes{};  ///< what its word on them must have heard
  };
  struct word {
    node_id node;
    std::uint64_t number = 0;
    time_point until{};
  };
  duration silence_max_;
  std::uint64_t version_ = 0;
  std::map<membership::link_id, entry> waiting_;
  std::map<node_id, time_point> rumours_;
  std::map<membership::link_id, word> words_;
  std::map<membership::link_id, std::set<process_name>> held_;
};

}  // namespace orrery::node
