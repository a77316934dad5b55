#include "mesh/node/pending.hpp"

#include "mesh/base/assert.hpp"

#include <algorithm>

namespace orrery::node {

namespace {

std::size_t bytes_of(const pending& entry) {
  const auto said = [](const auto& asked) -> std::size_t {
    if constexpr (requires { asked.method; }) {
      return asked.method.size() + asked.argument.cbor().size();
    } else {
      return asked.reason.size() + asked.argument.cbor().size();
    }
  };
  return entry.name.key.value.size() + std::visit(said, entry.what);
}

bool is_of_process(const origin& from) {
  return std::holds_alternative<from_process>(from) || std::holds_alternative<from_seeker>(from);
}

}  // namespace

error pending_table::overload() const {
  const bool many = entries_.size() >= pending_max;
  return {errc::overloaded, (many ? "this node has " + std::to_string(pending_max) + " requests in flight"
                                  : "the requests in flight on this node hold " +
                                        std::to_string(pending_bytes_max >> 20U) + " MiB of arguments") +
                                "; retry later"};
}

reply_token pending_table::open(pending entry) {
  ORRERY_ASSERT(!full());
  const reply_token token{++last_};
  if (const auto* client = std::get_if<from_client>(&entry.from)) clients_[client->id] = token;
  if (const auto* peer = std::get_if<from_peer>(&entry.from)) peers_[*peer] = token;
  if (is_of_process(entry.from)) ++of_processes_;
  entry.where = pending::place::here;
  entry.bytes = bytes_of(entry);
  bytes_ += entry.bytes;
  entries_.emplace(token, std::move(entry));
  return token;
}

pending* pending_table::find(reply_token token) {
  const auto found = entries_.find(token);
  return found == entries_.end() ? nullptr : &found->second;
}

void pending_table::unindex(reply_token token, const pending& entry) {
  if (entry.where == pending::place::here) return;
  deadlines_.erase({entry.deadline, token});
  if (entry.where == pending::place::forwarded) {
    const auto found = forwarded_.find(entry.peer);
    found->second.erase(token);
    if (found->second.empty()) forwarded_.erase(found);
    return;
  }
  parked_.erase(token);
  const auto named = parked_names_.find(entry.name);
  named->second.erase(token);
  if (named->second.empty()) parked_names_.erase(named);
  retries_.erase({entry.retry_at, token});
}

std::optional<pending> pending_table::close(reply_token token) {
  const auto found = entries_.find(token);
  if (found == entries_.end()) return std::nullopt;
  unindex(token, found->second);
  bytes_ -= found->second.bytes;
  forget_origin(token, found->second.from);
  if (is_of_process(found->second.from)) --of_processes_;
  std::optional<pending> out{std::move(found->second)};
  entries_.erase(found);
  return out;
}

void pending_table::set_here(reply_token token) {
  pending& entry = entries_.at(token);
  unindex(token, entry);
  entry.where = pending::place::here;
}

bool pending_table::set_forwarded(reply_token token, link_id peer) {
  pending& entry = entries_.at(token);
  auto& share = forwarded_[peer];
  if (share.size() >= forwarded_max) return false;
  unindex(token, entry);
  forwarded_[peer].insert(token);
  entry.where = pending::place::forwarded;
  entry.peer = peer;
  deadlines_.emplace(entry.deadline, token);
  return true;
}

bool pending_table::set_parked(reply_token token, time_point retry_at) {
  pending& entry = entries_.at(token);
  if (entry.where != pending::place::parked && parked_.size() >= parked_max) return false;
  unindex(token, entry);
  entry.where = pending::place::parked;
  parked_.insert(token);
  parked_names_[entry.name].insert(token);
  deadlines_.emplace(entry.deadline, token);
  entry.retry_at = retry_at;
  if (retry_at != never) retries_.emplace(retry_at, token);
  return true;
}

std::vector<reply_token> pending_table::forwarded_to(link_id peer) const {
  const auto found = forwarded_.find(peer);
  if (found == forwarded_.end()) return {};
  return {found->second.begin(), found->second.end()};
}

std::vector<reply_token> pending_table::parked() const { return {parked_.begin(), parked_.end()}; }

std::vector<reply_token> pending_table::parked_for(const process_name& name) const {
  const auto found = parked_names_.find(name);
  if (found == parked_names_.end()) return {};
  return {found->second.begin(), found->second.end()};
}

std::vector<reply_token> pending_table::due_retries(time_point now) {
  std::vector<reply_token> out;
  while (!retries_.empty() && retries_.begin()->first <= now) {
    out.push_back(retries_.begin()->second);
    retries_.erase(retries_.begin());
  }
  return out;
}

std::vector<reply_token> pending_table::expired(time_point now) const {
  std::vector<reply_token> out;
  for (auto each = deadlines_.begin(); each != deadlines_.end() && each->first <= now; ++each)
    out.push_back(each->second);
  return out;
}

time_point pending_table::next_deadline() const {
  const time_point next = deadlines_.empty() ? never : deadlines_.begin()->first;
  return retries_.empty() ? next : std::min(next, retries_.begin()->first);
}

std::vector<reply_token> pending_table::everything() const {
  std::vector<reply_token> out;
  for (const auto& [token, entry] : entries_)
    out.push_back(token);
  std::sort(out.begin(), out.end());
  return out;
}

std::optional<reply_token> pending_table::of_client(request_id id) const {
  const auto found = clients_.find(id);
  return found == clients_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<reply_token> pending_table::of_peer(const from_peer& peer) const {
  const auto found = peers_.find(peer);
  return found == peers_.end() ? std::nullopt : std::optional(found->second);
}

void pending_table::disown(reply_token token) {
  pending& entry = entries_.at(token);
  forget_origin(token, entry.from);
  if (is_of_process(entry.from)) --of_processes_;
  entry.from = nobody{};
}

void pending_table::forget_origin(reply_token token, const origin& from) {
  if (const auto* client = std::get_if<from_client>(&from)) clients_.erase(client->id);
  // A peer that numbers two requests alike would else lose the later one.
  if (const auto* peer = std::get_if<from_peer>(&from)) {
    const auto found = peers_.find(*peer);
    if (found != peers_.end() && found->second == token) peers_.erase(found);
  }
}

}  // namespace orrery::node
