#include "mesh/node/moves.hpp"

#include "mesh/base/assert.hpp"

#include <algorithm>

namespace orrery::node {

void moves::rescan() {
  scanning_ = true;
  names_.clear();
  place_ = 0;
  passed_over_ = false;
  held_.clear();
}

void moves::take_names(process::runtime::names_slice slice) {
  ORRERY_ASSERT(needs_names());
  names_ = std::move(slice.names);
  std::reverse(names_.begin(), names_.end());
  place_ = slice.next;
}

std::optional<process_name> moves::next() {
  if (names_.empty()) {
    if (!place_) scanning_ = false;
    return std::nullopt;
  }
  std::optional<process_name> out{std::move(names_.back())};
  names_.pop_back();
  return out;
}

void moves::sent(wire::correlation id, move what) {
  bytes_ += what.bytes;
  names_in_flight_.insert(what.what.name);
  in_flight_.emplace(id, std::move(what));
}

std::optional<move> moves::arrived(wire::correlation id, membership::link_id from) {
  const auto found = in_flight_.find(id);
  if (found == in_flight_.end() || found->second.to != from) return std::nullopt;
  land(found->second);
  std::optional<move> out{std::move(found->second)};
  in_flight_.erase(found);
  return out;
}

std::vector<move> moves::lost(membership::link_id peer) {
  std::vector<move> out;
  for (auto each = in_flight_.begin(); each != in_flight_.end();) {
    if (each->second.to == peer) {
      land(each->second);
      out.push_back(std::move(each->second));
      each = in_flight_.erase(each);
    } else {
      ++each;
    }
  }
  return out;
}

bool moves::take_news() {
  ORRERY_ASSERT(settled());
  if (held_ == told_) return false;
  told_ = held_;
  return true;
}

std::vector<membership::link_id> moves::take_owed() {
  ORRERY_ASSERT(settled());
  std::vector<membership::link_id> out{owed_.begin(), owed_.end()};
  owed_.clear();
  return out;
}

void moves::land(const move& gone) {
  bytes_ -= gone.bytes;
  names_in_flight_.erase(names_in_flight_.find(gone.what.name));
}

}  // namespace orrery::node
