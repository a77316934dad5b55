#include "mesh/node/takeover.hpp"

#include <algorithm>

namespace orrery::node {

using membership::link_id;

void takeover::came_up(time_point now, link_id peer, const node_id& node, bool draining, std::uint64_t number) {
  ++version_;
  waiting_[peer] = {node, true, draining, now + silence_max_, number};
  rumours_.erase(node);
}

void takeover::rumoured(time_point now, const node_id& node) { rumours_.try_emplace(node, now + silence_max_); }

void takeover::unheard(time_point now, link_id peer, const node_id& node, std::uint64_t number) {
  auto& known = words_[peer];
  if (number > known.number) known = {node, number, now + silence_max_};
}

void takeover::heard(link_id peer, std::uint64_t number) {
  const auto found = words_.find(peer);
  if (found != words_.end() && found->second.number <= number) words_.erase(found);
}

void takeover::drains(time_point now, link_id peer, const node_id& node) {
  ++version_;
  auto& known = waiting_[peer];
  known.node = node;
  known.draining = true;
  known.until = now + silence_max_;
}

void takeover::awaits(time_point now, link_id peer, const node_id& node, const class_name& klass,
                      std::uint64_t number) {
  auto& known = waiting_[peer];
  known.node = node;
  known.classes[klass] = number;
  known.until = now + silence_max_;
}

void takeover::progress(time_point now, link_id peer) {
  if (const auto found = waiting_.find(peer); found != waiting_.end()) found->second.until = now + silence_max_;
}

void takeover::done(link_id peer, std::uint64_t heard) {
  ++version_;
  const auto found = waiting_.find(peer);
  if (found == waiting_.end()) return;
  auto& known = found->second;
  known.any_name &= known.number > heard;
  known.draining = false;
  std::erase_if(known.classes, [&](const auto& each) { return each.second <= heard; });
  if (!known.any_name && known.classes.empty()) waiting_.erase(found);
}

void takeover::lose(link_id peer) {
  ++version_;
  waiting_.erase(peer);
  words_.erase(peer);
  held_.erase(peer);
}

bool takeover::expire(time_point now) {
  const auto silent = std::erase_if(waiting_, [&](const auto& each) { return each.second.until <= now; });
  if (silent > 0) ++version_;
  const auto unheard = std::erase_if(words_, [&](const auto& each) { return each.second.until <= now; });
  return silent + unheard + std::erase_if(rumours_, [&](const auto& each) { return each.second <= now; }) > 0;
}

void takeover::holds(link_id peer, std::set<process_name> names) {
  if (names.empty()) {
    held_.erase(peer);
  } else {
    held_[peer] = std::move(names);
  }
}

void takeover::gave(link_id peer, const process_name& name) {
  const auto found = held_.find(peer);
  if (found == held_.end()) return;
  found->second.erase(name);
  if (found->second.empty()) held_.erase(found);
}

std::optional<link_id> takeover::holder(const process_name& name) const {
  for (const auto& [peer, names] : held_) {
    if (names.contains(name)) return peer;
  }
  return std::nullopt;
}

time_point takeover::next_deadline() const {
  time_point next = never;
  for (const auto& [peer, each] : waiting_)
    next = std::min(next, each.until);
  for (const auto& [peer, each] : words_)
    next = std::min(next, each.until);
  for (const auto& [node, until] : rumours_)
    next = std::min(next, until);
  return next;
}

bool takeover::any_name() const {
  return !rumours_.empty() ||
         std::any_of(waiting_.begin(), waiting_.end(), [](const auto& each) { return each.second.any_name; });
}

bool takeover::any_name_of(const class_name& klass) const {
  return std::any_of(waiting_.begin(), waiting_.end(),
                     [&](const auto& each) { return each.second.classes.contains(klass); });
}

bool takeover::any_draining() const {
  return std::any_of(waiting_.begin(), waiting_.end(), [](const auto& each) { return each.second.draining; });
}

bool takeover::drains_still(link_id peer) const {
  const auto found = waiting_.find(peer);
  return found != waiting_.end() && found->second.draining;
}

std::vector<node_id> takeover::draining() const {
  std::vector<node_id> out;
  for (const auto& [peer, each] : waiting_) {
    if (each.draining) out.push_back(each.node);
  }
  return out;
}

std::optional<node_name> takeover::first() const {
  if (!waiting_.empty()) return waiting_.begin()->second.node.name;
  if (!rumours_.empty()) return rumours_.begin()->first.name;
  return words_.empty() ? std::nullopt : std::optional{words_.begin()->second.node.name};
}

}  // namespace orrery::node
