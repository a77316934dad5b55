#include "mesh/node/keys.hpp"

#include "mesh/base/hash.hpp"

#include <algorithm>
#include <utility>

namespace orrery::node {

std::uint64_t digest_of(const membership::placement& nodes) {
  std::uint64_t digest = 0;
  for (const auto& node : nodes.nodes())
    digest = stable_hash(node.name.value, mix64(digest ^ node.boot.value));
  return digest;
}

const node_id* owner_of_key(const membership::placement& nodes, std::string_view key) {
  return nodes.owner_among_all({class_name{"registry"}, process_key{std::string{key}}});
}

// ---- grants ----

void key_grants::place(time_point now, std::uint64_t digest) {
  digest_ = digest;
  until_ = now + agreement_max;
}

void key_grants::peer_up(time_point now, membership::link_id peer) {
  peers_[peer].reset();
  until_ = now + agreement_max;
}

void key_grants::peer_places(time_point now, membership::link_id peer, std::uint64_t digest) {
  const auto found = peers_.find(peer);
  if (found == peers_.end()) return;
  found->second = digest;
  if (digest != digest_) until_ = now + agreement_max;
}

bool key_grants::agreed(time_point now) const {
  return now >= until_ || std::ranges::all_of(peers_, [&](const auto& each) { return each.second == digest_; });
}

std::optional<pid> key_grants::granted_to(std::string_view key) const {
  const auto found = granted_.find(key);
  return found == granted_.end() ? std::nullopt : std::optional{found->second};
}

bool key_grants::grant(std::string_view key, const pid& who) {
  if (granted_.contains(key)) return true;
  if (granted_.size() >= grants_max) return false;
  granted_.emplace(key, who);
  return true;
}

void key_grants::settle(std::string_view key, const pid& who) {
  const auto found = granted_.find(key);
  if (found != granted_.end() && found->second == who) granted_.erase(found);
}

void key_grants::forget_node(const node_id& node) {
  std::erase_if(granted_, [&](const auto& each) { return each.second.node == node; });
}

bool key_grants::park(claim asked) {
  if (parked_.size() >= claims_parked_max) return false;
  parked_.push_back(std::move(asked));
  return true;
}

std::vector<key_grants::claim> key_grants::take_parked() { return std::exchange(parked_, {}); }

// ---- claims ----

key_claims::claim* key_claims::find(wire::correlation id) {
  const auto found = claims_.find(id);
  return found == claims_.end() ? nullptr : &found->second;
}

std::vector<wire::correlation> key_claims::asked_of(membership::link_id peer) const {
  std::vector<wire::correlation> out;
  for (const auto& [id, each] : claims_) {
    if (each.asked == peer) out.push_back(id);
  }
  return out;
}

std::vector<wire::correlation> key_claims::due(time_point now) const {
  std::vector<wire::correlation> out;
  for (auto each = wakes_.begin(); each != wakes_.end() && each->first <= now; ++each)
    out.push_back(each->second);
  return out;
}

void key_claims::add(wire::correlation id, claim asked) {
  claims_.emplace(id, std::move(asked));
  wake_at(id);
}

void key_claims::erase(wire::correlation id) {
  const auto found = claims_.find(id);
  if (found == claims_.end()) return;
  wakes_.erase({found->second.wake, id});
  claims_.erase(found);
}

void key_claims::wake_at(wire::correlation id, time_point retry) {
  claim& of = claims_.at(id);
  wakes_.erase({of.wake, id});
  of.wake = std::min(retry, of.deadline);
  wakes_.emplace(of.wake, id);
}

void key_claims::give_up(wire::correlation id) {
  claim& of = claims_.at(id);
  of.given_up = true;
  wakes_.erase({of.wake, id});
}

}  // namespace orrery::node
