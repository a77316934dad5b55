#pragma once
// Keys that are unique in the mesh: who grants them, and who has asked. Pure tables.
#include "mesh/base/ids.hpp"
#include "mesh/base/time.hpp"
#include "mesh/kernel/handle.hpp"
#include "mesh/membership/membership.hpp"
#include "mesh/membership/placement.hpp"
#include "mesh/wire/messages.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orrery::node {

inline constexpr std::size_t grants_max = 100'000;         ///< granted, and not heard of since
inline constexpr std::size_t claims_parked_max = 10'000;   ///< until the mesh agrees on who grants
inline constexpr std::size_t claims_waiting_max = 20'000;  ///< of processes of this node
/// Nodes that do not agree on the placement for this long no longer keep a key's owner from granting.
inline constexpr duration agreement_max = std::chrono::seconds{2};
/// A claim that may succeed soon is tried again after this.
inline constexpr duration claim_retry = std::chrono::milliseconds{25};
/// As often, where its key's owner names a holder that this node does not know of, or no longer.
inline constexpr std::uint32_t claim_doubts_max = 8;

[[nodiscard]] std::uint64_t digest_of(const membership::placement& nodes);
/// Where a key belongs: rendezvous, as names.
[[nodiscard]] const node_id* owner_of_key(const membership::placement& nodes, std::string_view key);

/// What the owner of keys knows beyond the registry: what it has granted and not yet heard announced, and whether all
/// peers place as it does. One that has said so has announced before all that it was granted under another placement,
/// so nothing is granted twice among nodes that see each other.
class key_grants {
 public:
  struct claim {
    std::optional<membership::link_id> from;  ///< nothing: this node itself
    wire::correlation id = 0;
    std::string key;
    pid who;
    time_point deadline = never;
  };

  // ---- agreement ----
  void place(time_point now, std::uint64_t digest);
  void peer_up(time_point now, membership::link_id peer);
  void peer_down(membership::link_id peer) { peers_.erase(peer); }
  void peer_places(time_point now, membership::link_id peer, std::uint64_t digest);
  [[nodiscard]] bool agreed(time_point now) const;

  // ---- grants ----
  [[nodiscard]] std::optional<pid> granted_to(std::string_view key) const;
  /// False where as many are granted as may be.
  [[nodiscard]] bool grant(std::string_view key, const pid& who);
  /// It is in the registry, or was given back.
  void settle(std::string_view key, const pid& who);
  void forget_node(const node_id& node);

  // ---- claims that wait ----
  [[nodiscard]] bool park(claim asked);
  [[nodiscard]] std::vector<claim> take_parked();
  [[nodiscard]] bool any_parked() const noexcept { return !parked_.empty(); }
  /// When parked claims must be looked at again, if only because time passes.
  [[nodiscard]] time_point next_deadline(time_point now) const {
    return parked_.empty() || until_ <= now ? never : until_;
  }

 private:
  std::uint64_t digest_ = 0;
  time_point until_{};
  std::map<membership::link_id, std::optional<std::uint64_t>> peers_;
  std::map<std::string, pid, std::less<>> granted_;
  std::vector<claim> parked_;
};

/// Claims of processes of this node, from the claim to the answer.
class key_claims {
 public:
  struct claim {
    std::uint64_t number = 0;  ///< the runtime's
    std::string key;
    kernel::handle who;
    time_point deadline = never;
    bool handed_over = false;
    std::optional<membership::link_id> asked{};  ///< the peer that is to answer
    std::uint32_t doubts = 0;
    bool given_up = false;    ///< answered here; what its owner still grants is given back
    time_point wake = never;  ///< set by the table: its deadline, or when it is to be tried again
  };

  [[nodiscard]] bool full() const noexcept { return claims_.size() >= claims_waiting_max; }
  void add(wire::correlation id, claim asked);
  [[nodiscard]] claim* find(wire::correlation id);
  void erase(wire::correlation id);
  /// At its deadline, or before if it is to be tried again.
  void wake_at(wire::correlation id, time_point retry = never);
  void give_up(wire::correlation id);
  [[nodiscard]] std::vector<wire::correlation> asked_of(membership::link_id peer) const;
  [[nodiscard]] std::vector<wire::correlation> due(time_point now) const;
  [[nodiscard]] time_point next_deadline() const { return wakes_.empty() ? never : wakes_.begin()->first; }

 private:
  std::map<wire::correlation, claim> claims_;
  std::set<std::pair<time_point, wire::correlation>> wakes_;
};

}  // namespace orrery::node
