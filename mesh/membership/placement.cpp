#include "mesh/membership/placement.hpp"

#include "mesh/base/hash.hpp"

#include <algorithm>

namespace orrery::membership {

namespace {

/// What decides where a name belongs.
std::string placed_by(const process_name& name) {
  const std::string& key = name.key.value;
  const auto opened = key.find('{');
  const auto closed = opened == std::string::npos ? opened : key.find('}', opened);
  const bool tagged = closed != std::string::npos && closed > opened + 1;
  return tagged ? key.substr(opened, closed + 1 - opened) : to_string(name);
}

}  // namespace

placement::placement(std::vector<node_id> nodes) : nodes_(std::move(nodes)) {
  std::sort(nodes_.begin(), nodes_.end());
  nodes_.erase(std::unique(nodes_.begin(), nodes_.end()), nodes_.end());
  for (const auto& node : nodes_)
    seeds_.push_back(stable_hash(to_string(node)));
}

const node_id* placement::owner(const process_name& name) const {
  if (nodes_.size() == 1) return nodes_.data();
  const std::string text = placed_by(name);
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
