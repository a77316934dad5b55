#pragma once
// mesh/membership: who should be in the mesh, who answers, and where a name belongs. Pure: no clock, no sockets.
#include "mesh/base/ids.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace orrery::membership {

/// Rendezvous hashing (Thaler and Ravishankar 1998): a name belongs to the node with the greatest
/// stable_hash(name, stable_hash(node id)). When a node comes or goes, only names that it owns move.
/// Of a key with something in {braces}, the first such thing alone counts, whatever the class: names that share it
/// share their node (Redis Cluster's hash tags).
class placement {
 public:
  placement() = default;
  explicit placement(std::vector<node_id> nodes);

  /// Null if there are no nodes.
  [[nodiscard]] const node_id* owner(const process_name& name) const;
  [[nodiscard]] const std::vector<node_id>& nodes() const noexcept { return nodes_; }
  friend bool operator==(const placement& a, const placement& b) noexcept { return a.nodes_ == b.nodes_; }

 private:
  std::vector<node_id> nodes_;  ///< in order, without repeats
  std::vector<std::uint64_t> seeds_;
};

}  // namespace orrery::membership
