#pragma once
// mesh/membership: who should be in the mesh, who answers, and where a name belongs. Pure: no clock, no sockets.
#include "mesh/base/ids.hpp"

#include <cstdint>
#include <map>
#include <vector>

namespace orrery::membership {

/// Rendezvous hashing (Thaler and Ravishankar 1998): a name belongs to the node with the greatest
/// stable_hash(name, stable_hash(node id)). When a node comes or goes, only names that it owns move.
/// Of a key with something in {braces}, the first such thing alone counts, whatever the class: names that share it
/// share their node (Redis Cluster's hash tags).
/// A class may have nodes where its names are not placed, as no app hosts it there: they belong to the best of the
/// others. Where that would leave none, to the best of all.
class placement {
 public:
  using by_class = std::map<class_name, std::vector<node_id>>;

  placement() = default;
  /// `unhosted`: for each class, those of the nodes that have no app for it, if any.
  explicit placement(std::vector<node_id> nodes, const by_class& unhosted = {});

  /// Null if there are no nodes.
  [[nodiscard]] const node_id* owner(const process_name& name) const;
  /// Of what is no process: any node may own it.
  [[nodiscard]] const node_id* owner_among_all(const process_name& name) const { return best(name, nullptr); }
  [[nodiscard]] const std::vector<node_id>& nodes() const noexcept { return nodes_; }
  /// Whether names of the class may belong to it. False for a node that is not among nodes().
  [[nodiscard]] bool takes(const node_id& node, const class_name& klass) const;
  /// For each class that is not placed everywhere, where it is: some of nodes(), not all.
  [[nodiscard]] const by_class& restricted() const noexcept { return restricted_; }
  friend bool operator==(const placement& a, const placement& b) noexcept {
    return a.nodes_ == b.nodes_ && a.restricted_ == b.restricted_;
  }

 private:
  [[nodiscard]] const node_id* best(const process_name& name, const std::vector<node_id>* among) const;

  std::vector<node_id> nodes_;  ///< in order, without repeats
  std::vector<std::uint64_t> seeds_;
  by_class restricted_;
};

}  // namespace orrery::membership
