// Who is expected, whom to dial, and what the whole looks like. The connections' own rules are in links.cpp.
#include "mesh/membership/membership.hpp"

#include <algorithm>
#include <set>

namespace orrery::membership {

std::string_view to_string(peer_state state) noexcept {
  switch (state) {
    case peer_state::self:
      return "self";
    case peer_state::up:
      return "up";
    case peer_state::draining:
      return "draining";
    case peer_state::connecting:
      return "connecting";
    case peer_state::down:
      return "down";
  }
  return "down";
}

table::table(settings chosen) : settings_(std::move(chosen)), random_(settings_.seed) {}

void table::expect(time_point now, const std::vector<member>& members, actions& out) {
  discovery_known_ = true;
  self_expected_ = false;
  std::set<node_name> listed;
  for (const auto& each : members) {
    if (each.name == settings_.self.name) {
      self_expected_ = true;
      self_terminating_ = each.terminating;
      continue;
    }
    listed.insert(each.name);
    peer& known = peers_[each.name];
    if (known.expected == each) continue;
    const bool reachable_anew = !known.expected || known.expected->address != each.address;
    known.expected = each;
    if (!reachable_anew) continue;
    known.departed = false;
    known.unreached_since = now;
    known.failures = 0;
    known.redial_at = now;
    if (!we_dial(each.name)) known.knock_at = now + knock_delay;
  }
  for (auto& [name, known] : peers_) {
    if (!listed.contains(name)) known.expected.reset();
  }
  std::vector<link_id> ids;
  for (const auto& [id, link] : links_)
    ids.push_back(id);
  for (const link_id id : ids) {
    if (const auto found = links_.find(id); found != links_.end()) judge(now, id, found->second, out);
  }
  forget_strangers();
  dial_missing(now, out);
}

void table::dial_missing(time_point now, actions& out) {
  if (left_) return;
  for (auto& [name, known] : peers_) {
    const bool wanted = known.expected && !known.expected->address.empty();
    if (we_dial(name)) {
      if (wanted && !known.current && now >= known.redial_at) dial_peer(now, name, false, out);
    } else if (now >= known.knock_at) {
      known.knock_at = never;  // once: if it is not there now, it dials when it starts
      if (wanted && !linked(name)) dial_peer(now, name, true, out);
    }
  }
}

void table::dial_peer(time_point now, const node_name& name, bool knock, actions& out) {
  peer& known = peers_.at(name);
  const link_id id{next_link_};
  next_link_ += 2;
  if (!knock) known.current = id;
  links_.emplace(
      id,
      connection{.pod = name.value, .dialled = true, .knock = knock, .opened_at = now, .said = {}, .last_heard = now});
  out.push_back(dial{id, known.expected->address, name});
}

bool table::linked(const node_name& name) const {
  return std::any_of(links_.begin(), links_.end(), [&](const auto& each) { return each.second.pod == name.value; });
}

void table::back_off(time_point now, peer& missed) {
  // Exponential from redial_min to redial_max, then between half and all of it, so that a crowd spreads out.
  const auto doublings = missed.failures < redials_at_once ? 0U : std::min(missed.failures - redials_at_once + 1, 10U);
  const duration whole = std::min(redial_max, redial_min * (std::int64_t{1} << doublings));
  const auto spread = static_cast<std::uint64_t>(whole.count() / 2);
  missed.redial_at = now + whole / 2 + duration{static_cast<std::int64_t>(random_.below(spread + 1))};
  ++missed.failures;
}

void table::forget_strangers() {
  std::erase_if(peers_, [this](const auto& entry) { return !entry.second.expected && !linked(entry.first); });
}

void table::tick(time_point now, actions& out) {
  std::vector<link_id> ids;
  for (const auto& [id, link] : links_)
    ids.push_back(id);
  for (const link_id id : ids) {
    const auto found = links_.find(id);
    if (found == links_.end()) continue;
    connection& link = found->second;
    if (link.up) {
      beat(now, id, link, out);
    } else if (link.open) {
      judge(now, id, link, out);
      if (links_.contains(id) && !link.up && now - link.opened_at >= handshake_max) {
        drop(now, id, error{errc::deadline_exceeded, "no handshake within 10 s"}, true, out);
      }
    } else if (now - link.opened_at >= dial_max) {
      drop(now, id, error{errc::deadline_exceeded, "no connection within 10 s"}, true, out);
    }
  }
  forget_strangers();
  dial_missing(now, out);
}

time_point table::wake_at() const {
  time_point next = never;
  for (const auto& [id, link] : links_) {
    if (link.up) {
      next = std::min({next, link.next_heartbeat, link.last_heard + settings_.down_after});
      if (!link.quiet) next = std::min(next, link.last_heard + 2 * settings_.heartbeat_interval);
    } else if (link.open) {
      next = std::min(next, link.opened_at + handshake_max);
    } else {
      next = std::min(next, link.opened_at + dial_max);
    }
    if (link.unexpected_since != never) next = std::min(next, link.unexpected_since + provisional_max);
  }
  for (const auto& [name, known] : peers_) {
    if (left_ || !known.expected || known.expected->address.empty()) continue;
    if (!known.current && we_dial(name)) next = std::min(next, known.redial_at);
    next = std::min(next, known.knock_at);
  }
  return next;
}

std::vector<live_peer> table::live() const {
  std::vector<live_peer> out;
  for (const auto& [name, known] : peers_) {
    if (!known.current) continue;
    const auto& link = links_.at(*known.current);
    if (link.up) {
      out.push_back({link.said->node, *known.current, known.draining, link.said->features & settings_.features});
    }
  }
  return out;
}

std::optional<live_peer> table::find(link_id id) const {
  const auto found = links_.find(id);
  if (found == links_.end() || !found->second.up) return std::nullopt;
  const auto& said = *found->second.said;
  const bool leaves = peers_.at(node_name{found->second.pod}).draining;
  return live_peer{said.node, id, leaves, said.features & settings_.features};
}

std::optional<live_peer> table::find(const node_id& node) const {
  const auto known = peers_.find(node.name);
  if (known == peers_.end() || !known->second.current) return std::nullopt;
  auto found = find(*known->second.current);
  return found && found->node == node ? found : std::nullopt;
}

bool table::quiet(time_point now, link_id id) const {
  const auto found = links_.find(id);
  return found != links_.end() && now - found->second.last_heard >= 2 * settings_.heartbeat_interval;
}

head_count table::count() const {
  head_count out;
  for (const auto& [name, known] : peers_) {
    if (!stays(known)) continue;
    ++out.expected;
    if (is_up(known)) ++out.live;
  }
  return out;
}

head_count table::reachable(bool met) const {
  head_count out;
  for (const auto& [name, known] : peers_) {
    if (!stays(known)) continue;
    if (!is_up(known) && (known.expected->address.empty() || (met && !known.met))) continue;
    ++out.expected;
    if (is_up(known)) ++out.live;
  }
  return out;
}

std::optional<std::string> table::waiting_for(time_point now) const {
  for (const auto& [name, known] : peers_) {
    if (!stays(known) || known.expected->address.empty() || is_up(known)) continue;
    if (now - known.unreached_since < unreached_max) return name.value + " (connecting)";
  }
  return std::nullopt;
}

bool table::unreached_leaver() const {
  return std::any_of(peers_.begin(), peers_.end(), [&](const auto& each) {
    const peer& known = each.second;
    return known.expected && known.expected->terminating && !known.expected->address.empty() && !is_up(known) &&
           known.failures == 0;
  });
}

bool table::half_up() const {
  return std::any_of(links_.begin(), links_.end(),
                     [](const auto& each) { return each.second.accepted && !each.second.up; });
}

bool table::greeting() const {
  return std::any_of(links_.begin(), links_.end(), [](const auto& each) { return !each.second.up; });
}

std::vector<peer_view> table::view() const {
  std::vector<peer_view> out;
  out.push_back({settings_.self.name, settings_.uid, settings_.self.boot, settings_.address, peer_state::self,
                 processes_, std::nullopt, ORRERY_VERSION});
  for (const auto& [name, known] : peers_) {
    if (!known.expected && !is_up(known)) continue;  // about to be forgotten
    peer_view each{.name = name, .uid = {}, .boot = known.last_boot, .address = {}, .rtt = {}, .software = {}};
    const bool up = is_up(known);
    if (known.expected) {
      each.uid = known.expected->uid;
      each.address = known.expected->address;
    }
    each.software = known.software;
    if (up) {
      each.processes = known.processes;
      each.rtt = known.rtt;
      if (each.uid.empty()) each.uid = links_.at(*known.current).said->uid;
      if (each.address.empty()) each.address = links_.at(*known.current).said->address;
    }
    const bool leaving = known.draining || (known.expected && known.expected->terminating);
    each.state = up && leaving                           ? peer_state::draining
                 : up                                    ? peer_state::up
                 : known.failures > failures_of_the_lost ? peer_state::down
                 : known.last_boot.value != 0            ? peer_state::down
                                                         : peer_state::connecting;
    out.push_back(std::move(each));
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return out;
}

}  // namespace orrery::membership
