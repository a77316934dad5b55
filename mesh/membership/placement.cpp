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

placement::placement(std::vector<node_id> nodes, const by_class& unhosted) : nodes_(std::move(nodes)) {
  std::sort(nodes_.begin(), nodes_.end());
  nodes_.erase(std::unique(nodes_.begin(), nodes_.end()), nodes_.end());
  for (const auto& node : nodes_)
    seeds_.push_back(stable_hash(to_string(node)));
  for (const auto& [klass, without] : unhosted) {
    std::vector<node_id> with;
    for (const auto& each : nodes_) {
      if (std::find(without.begin(), without.end(), each) == without.end()) with.push_back(each);
    }
    if (!with.empty() && with.size() < nodes_.size()) restricted_.emplace(klass, std::move(with));
  }
}

bool placement::takes(const node_id& node, const class_name& klass) const {
  const auto found = restricted_.find(klass);
  const auto& among = found == restricted_.end() ? nodes_ : found->second;
  return std::binary_search(among.begin(), among.end(), node);
}

const node_id* placement::owner(const process_name& name) const {
  const auto found = restricted_.empty() ? restricted_.end() : restricted_.find(name.klass);
  return best(name, found == restricted_.end() ? nullptr : &found->second);
}

const node_id* placement::best(const process_name& name, const std::vector<node_id>* among) const {
  if (nodes_.size() == 1) return nodes_.data();
  const std::string text = placed_by(name);
  const node_id* best = nullptr;
  std::uint64_t best_hash = 0;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (among != nullptr && !std::binary_search(among->begin(), among->end(), nodes_[i])) continue;
    const std::uint64_t hash = stable_hash(text, seeds_[i]);
    if (best == nullptr || hash > best_hash) {  // equal hashes: the smaller node id, as nodes_ is in order
      best = &nodes_[i];
      best_hash = hash;
    }
  }
  return best;
}

}  // namespace orrery::membership
