#include "mesh/sim/network.hpp"

#include <algorithm>
#include <vector>

namespace orrery::sim {
namespace {

constexpr duration dial_timeout = std::chrono::seconds{3};

std::pair<std::string, std::string> pair_of(const std::string& a, const std::string& b) {
  return a < b ? std::pair{a, b} : std::pair{b, a};
}

}  // namespace

void network::listen(const endpoint_id& who, const std::string& address) {
  alive_.insert(who);
  // A new life on an address: hosts answer the old connections of the last one with a reset.
  if (const auto last = listening_.find(address); last != listening_.end()) end(last->second, false);
  listening_[address] = who;
}

duration network::latency(const std::string& a, const std::string& b) {
  const auto extra = extra_.find(pair_of(a, b));
  const auto spread = static_cast<std::uint64_t>((most_ - least_).count()) + 1;
  return least_ + duration{static_cast<std::int64_t>(random_.below(spread))} +
         (extra == extra_.end() ? duration::zero() : extra->second);
}

bool network::is_cut(const std::string& a, const std::string& b) const { return cuts_.contains(pair_of(a, b)); }

void network::dial(const endpoint_id& from, std::uint64_t number, const std::string& address) {
  dialling_.emplace(from, number);
  const auto target = listening_.find(address);
  if (target == listening_.end() || !alive_.contains(target->second)) {
    time_.in(most_, [this, from, number] {
      if (dialling_.erase({from, number}) == 0) return;
      events_.closed(from, number, {errc::unavailable, "connection refused"});
    });
    return;
  }
  const std::string peer = target->second.node;
  if (is_cut(from.node, peer)) {
    time_.in(dial_timeout, [this, from, number] {
      if (dialling_.erase({from, number}) == 0) return;
      events_.closed(from, number, {errc::deadline_exceeded, "no answer"});
    });
    return;
  }
  time_.in(latency(from.node, peer) * 3, [this, from, number, address] { finish_dial(from, number, address); });
}

void network::finish_dial(const endpoint_id& from, std::uint64_t number, const std::string& address) {
  if (dialling_.erase({from, number}) == 0 || !alive_.contains(from)) return;
  const auto target = listening_.find(address);
  if (target == listening_.end() || !alive_.contains(target->second) || is_cut(from.node, target->second.node)) {
    events_.closed(from, number, {errc::unavailable, "connection refused"});
    return;
  }
  const endpoint_id to = target->second;
  const std::uint64_t id = ++last_connection_;
  auto& next = next_accepted_[to];
  const std::uint64_t accepted = next++ * 2 + 1;
  auto& made = connections_[id];
  made.sides[0] = {from, number, true, {}, time_.now()};
  made.sides[1] = {to, accepted, true, {}, time_.now()};
  places_[{from, number}] = {id, 0};
  places_[{to, accepted}] = {id, 1};
  events_.opened(to, accepted, from.node, false);
  if (connections_.contains(id) && connections_[id].sides[0].open) events_.opened(from, number, to.node, true);
}

void network::enqueue(std::uint64_t id, int to, std::optional<bytes> content) {
  auto& made = connections_.at(id);
  side& target = made.sides[to];
  if (!target.open) return;
  target.last_due = std::max(target.last_due, time_.now() + latency(made.sides[0].who.node, made.sides[1].who.node));
  target.incoming.push_back({target.last_due, std::move(content)});
  time_.at(target.last_due, [this, id, to] { deliver(id, to); });
}

void network::deliver(std::uint64_t id, int to) {
  for (;;) {
    const auto found = connections_.find(id);
    if (found == connections_.end()) return;
    side& target = found->second.sides[to];
    if (!target.open || target.incoming.empty() || target.incoming.front().due > time_.now()) return;
    if (is_cut(found->second.sides[0].who.node, found->second.sides[1].who.node)) return;  // heal tries again
    packet next = std::move(target.incoming.front());
    target.incoming.pop_front();
    const endpoint_id who = target.who;
    const std::uint64_t number = target.number;
    if (next.content) {
      events_.received(who, number, *next.content);
    } else {
      close_side(id, to, false);
      events_.closed(who, number, {errc::unavailable, "closed by the peer"});
    }
  }
}

void network::close_side(std::uint64_t id, int which, bool tell_other) {
  auto& made = connections_.at(id);
  side& closing = made.sides[which];
  if (!closing.open) return;
  closing.open = false;
  closing.incoming.clear();
  places_.erase({closing.who, closing.number});
  if (tell_other) enqueue(id, 1 - which, std::nullopt);
  if (!made.sides[1 - which].open) connections_.erase(id);
}

void network::send(const endpoint_id& from, std::uint64_t number, const bytes& sent) {
  const auto found = places_.find({from, number});
  if (found == places_.end()) return;
  enqueue(found->second.connection, 1 - found->second.side, sent);
}

void network::hang_up(const endpoint_id& from, std::uint64_t number) {
  dialling_.erase({from, number});
  const auto found = places_.find({from, number});
  if (found == places_.end()) return;
  close_side(found->second.connection, found->second.side, true);
}

void network::end(const endpoint_id& who, bool silently) {
  alive_.erase(who);
  std::erase_if(dialling_, [&](const auto& each) { return each.first == who; });
  std::vector<place> open;
  for (const auto& [key, where] : places_) {
    if (key.first == who) open.push_back(where);
  }
  for (const auto& where : open)
    close_side(where.connection, where.side, !silently);
  // Those that a silent end left half open learn of it when the address lives again.
  for (auto& [id, made] : connections_) {
    if (silently) break;
    for (int i = 0; i < 2; ++i) {
      if (made.sides[i].who == who && !made.sides[i].open && made.sides[1 - i].open) {
        enqueue(id, 1 - i, std::nullopt);
      }
    }
  }
}

void network::cut(const std::string& a, const std::string& b) { cuts_.insert(pair_of(a, b)); }

void network::heal(const std::string& a, const std::string& b) {
  cuts_.erase(pair_of(a, b));
  wake_all();
}

void network::heal_all() {
  cuts_.clear();
  wake_all();
}

void network::wake_all() {
  for (const auto& [id, made] : connections_) {
    for (int to = 0; to < 2; ++to)
      time_.in(duration::zero(), [this, id = id, to] { deliver(id, to); });
  }
}

void network::slow(const std::string& a, const std::string& b, duration extra) { extra_[pair_of(a, b)] = extra; }

}  // namespace orrery::sim
