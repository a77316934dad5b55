#include "mesh/membership/placement.hpp"

#include "mesh/base/hash.hpp"

#include <algorithm>

namespace orrery::membership {

placement::placement(std::vector<node_id> nodes) : nodes_(std::move(nodes)) {
  std::sort(nodes_.begin(), nodes_.end());
  nodes_.erase(std::unique(nodes_.begin(), nodes_.end()), nodes_.end());
  for (const auto& node : nodes_)
    seeds_.push_back(stable_hash(to_string(node)));
}

const node_id* placement::owner(const process_name& name) const {
  if (nodes_.size() == 1) return nodes_.data();
  const std::string text = to_string(name);
  const node_id* best = nullptr;
  std::uint64_t best_hash = 0;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const std::uint64_t hash = stable_hash(text, seeds_[i]);
    if (best == nullptr || hash > best_hash) {  // equal hashes: the smaller node id, as nodes_ is in order
      best = &nodes_[i];
      best_hash = hash;
    }
  }
  return best;
}

}  // namespace orrery::membership
