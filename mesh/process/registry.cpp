#include "mesh/process/registry.hpp"

#include "mesh/base/assert.hpp"
#include "mesh/base/ids.hpp"

namespace orrery::process {
namespace {

result<void> check(std::string_view key, const value& held) {
  if (key.empty() || key.size() > registry_key_bytes_max || !is_utf8(key)) {
    return fail(errc::invalid_argument, "a key has 1 to " + std::to_string(registry_key_bytes_max) +
                                            " bytes of UTF-8; this one has " + std::to_string(key.size()));
  }
  if (held.cbor().size() > registry_value_bytes_max) {
    return fail(errc::invalid_argument, "the value of a key takes " + std::to_string(held.cbor().size()) +
                                            " bytes as CBOR; " + std::to_string(registry_value_bytes_max) +
                                            " are accepted");
  }
  return {};
}

}  // namespace

const registry::holders_of_key* registry::find(key_space in, std::string_view key) const {
  const auto found = table(in).find(key);
  return found == table(in).end() ? nullptr : &found->second;
}

result<void> registry::has_room(std::size_t bytes_more) const {
  if (here_ < limits_.here_max && known_ < limits_.known_max && here_bytes_ + bytes_more <= limits_.here_bytes_max) {
    return {};
  }
  return fail(errc::overloaded, "this node's processes hold " + std::to_string(here_) + " keys with " +
                                    std::to_string(here_bytes_) + " bytes, and " + std::to_string(known_) +
                                    " are known, as many as may be; retry later");
}

result<void> registry::may_hold(key_space in, std::string_view key, kernel::handle who, const value& held) const {
  if (auto fine = check(key, held); !fine) return fine;
  if (const auto* known = find(in, key); known != nullptr && known->contains(who)) {
    return fail(errc::already_exists, "the process holds '" + std::string{key} + "' already; update its value instead");
  }
  return has_room(key.size() + held.cbor().size());
}

void registry::add(key_space in, std::string_view key, kernel::handle who, value held) {
  auto found = table(in).find(key);
  if (found == table(in).end()) found = table(in).emplace(std::string{key}, holders_of_key{}).first;
  const auto bytes = key.size() + held.cbor().size();
  const bool fresh = found->second.emplace(who, std::move(held)).second;
  ORRERY_ASSERT(fresh);
  held_[who].insert({in, found->first});
  ++counts_.at(static_cast<std::size_t>(in));
  ++known_;
  if (who.node != kernel::handle::here) return;
  ++here_;
  here_bytes_ += bytes;
}

void registry::put(key_space in, std::string_view key, kernel::handle who, value held) {
  ORRERY_ASSERT(who.node == kernel::handle::here);
  add(in, key, who, std::move(held));
}

bool registry::put_from_elsewhere(key_space in, std::string_view key, kernel::handle who, value held) {
  ORRERY_ASSERT(who.node != kernel::handle::here && is_of_mesh(in));
  const auto found = table(in).find(key);
  if (found != table(in).end()) {
    if (const auto known = found->second.find(who); known != found->second.end()) {
      known->second = std::move(held);
      return true;
    }
  }
  if (known_ >= limits_.known_max) return false;
  add(in, key, who, std::move(held));
  return true;
}

result<void> registry::update(key_space in, std::string_view key, kernel::handle who, value held) {
  if (auto fine = check(key, held); !fine) return fine;
  const auto found = table(in).find(key);
  const bool holds = found != table(in).end() && found->second.contains(who);
  if (!holds) return fail(errc::not_found, "the process does not hold '" + std::string{key} + "'");
  value& known = found->second.at(who);
  const auto bytes = here_bytes_ - known.cbor().size() + held.cbor().size();
  if (bytes > limits_.here_bytes_max) return has_room(held.cbor().size());
  here_bytes_ = bytes;
  known = std::move(held);
  return {};
}

bool registry::remove(key_space in, std::string_view key, kernel::handle who) {
  const auto found = table(in).find(key);
  if (found == table(in).end()) return false;
  const auto holder = found->second.find(who);
  if (holder == found->second.end()) return false;
  if (who.node == kernel::handle::here) {
    --here_;
    here_bytes_ -= key.size() + holder->second.cbor().size();
  }
  const auto of = held_.find(who);
  of->second.erase({in, found->first});
  if (of->second.empty()) held_.erase(of);
  found->second.erase(holder);
  if (found->second.empty()) table(in).erase(found);
  --counts_.at(static_cast<std::size_t>(in));
  --known_;
  return true;
}

std::vector<registry::place> registry::forget(kernel::handle who) {
  const auto of = held_.find(who);
  if (of == held_.end()) return {};
  std::vector<place> gone(of->second.begin(), of->second.end());
  for (const auto& each : gone)
    remove(each.in, each.key, who);
  return gone;
}

void registry::forget_node(std::uint32_t node) {
  for (auto of = held_.lower_bound({node, 0, 0}); of != held_.end() && of->first.node == node;) {
    const kernel::handle who = (of++)->first;  // what follows erases it
    static_cast<void>(forget(who));
  }
}

std::vector<registration> registry::lookup(key_space in, std::string_view key) const {
  std::vector<registration> all;
  const auto* known = find(in, key);
  if (known == nullptr) return all;
  for (const auto& [who, held] : *known)
    all.push_back({std::string{key}, who, held});
  return all;
}

std::vector<kernel::handle> registry::holders(key_space in, std::string_view key) const {
  std::vector<kernel::handle> all;
  if (const auto* known = find(in, key); known != nullptr) {
    for (const auto& [who, held] : *known)
      all.push_back(who);
  }
  return all;
}

std::vector<registration> registry::match(key_space in, std::string_view prefix, std::size_t limit) const {
  std::vector<registration> all;
  for (auto at = table(in).lower_bound(prefix); at != table(in).end() && at->first.starts_with(prefix); ++at) {
    for (const auto& [who, held] : at->second) {
      if (all.size() == limit) return all;
      all.push_back({at->first, who, held});
    }
  }
  return all;
}

std::vector<registry::entry> registry::of(kernel::handle who) const {
  std::vector<entry> all;
  const auto of = held_.find(who);
  if (of == held_.end()) return all;
  for (const auto& at : of->second)
    all.push_back({at, who, find(at.in, at.key)->at(who)});
  return all;
}

std::vector<registry::entry> registry::of_this_node() const {
  std::vector<entry> all;
  for (auto at = held_.begin(); at != held_.end() && at->first.node == kernel::handle::here; ++at) {
    auto some = of(at->first);
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

}  // namespace orrery::process
