#include "mesh/process/builtin/permits.hpp"

#include <utility>

namespace orrery::process {

result<const permits::holders::value_type*> permits::try_take(const scope& where, const request& asked) {
  if (const auto known = holders_.find(asked.owner); known != holders_.end()) {
    if (known->second.count != asked.count) {
      return fail(errc::conflict, "'" + shown(asked.owner) + "' holds " + std::to_string(known->second.count) +
                                      " permits already, not " + std::to_string(asked.count) + "; release them first");
    }
    renew(where, known, asked.lease);
    return &*known;
  }
  if (asked.count > available()) return nullptr;
  const auto [granted, fresh] = holders_.try_emplace(asked.owner);
  auto& held = granted->second;
  held.count = asked.count;
  held.token = ++last_token_;
  held.lease = asked.lease;
  held.since = where.now;
  held.pid = asked.pid;
  held_ += asked.count;
  size_ += entry_size(asked.owner, asked.pid);
  set_end(granted, after(where.now, asked.lease));
  if (!asked.pid.empty()) {
    held.watched = where.self.monitor(asked.process);
    watched_.emplace(held.watched, asked.owner);
  }
  return &*granted;
}

void permits::release(const scope& where, holders::iterator of) {
  auto& [owner, held] = *of;
  set_end(of, never);
  if (held.watched != kernel::no_reference) {
    where.self.demonitor(held.watched);
    watched_.erase(held.watched);
  }
  held_ -= held.count;
  size_ -= entry_size(owner, held.pid);
  holders_.erase(of);
}

void permits::unwatch(const scope& where) {
  for (const auto& [watched, owner] : std::exchange(watched_, {})) {
    where.self.demonitor(watched);
    holders_.find(owner)->second.watched = kernel::no_reference;
  }
}

void permits::renew(const scope& where, holders::iterator of, std::optional<duration> lease) {
  if (lease) of->second.lease = *lease;
  set_end(of, after(where.now, of->second.lease));
}

permits::holders::iterator permits::find(std::int64_t token) {
  return std::find_if(holders_.begin(), holders_.end(), [&](const auto& each) { return each.second.token == token; });
}

void permits::owner_ended(const scope& where, kernel::reference watched) {
  const auto known = watched_.find(watched);
  if (known == watched_.end()) return;
  const auto gone = holders_.find(known->second);
  watched_.erase(known);
  gone->second.watched = kernel::no_reference;
  release(where, gone);
}

void permits::expire(const scope& where) {
  while (!leases_.empty() && leases_.begin()->first <= where.now)
    release(where, holders_.find(leases_.begin()->second));
}

void permits::set_end(holders::iterator of, time_point until) {
  if (of->second.until != never) leases_.erase({of->second.until, of->first});
  of->second.until = until;
  if (until != never) leases_.emplace(until, of->first);
}

void permits::put(bytes& out, const moment& at) const {
  cbor::put_head(out, cbor::major::array, 2);
  cbor::put_integer(out, last_token_);
  cbor::put_head(out, cbor::major::array, holders_.size());
  for (const auto& [owner, held] : holders_) {
    cbor::put_head(out, cbor::major::array, 7);
    cbor::put_text(out, owner);
    cbor::put_integer(out, held.count);
    cbor::put_integer(out, held.token);
    put_remaining(out, {}, after(time_point{}, held.lease));
    put_remaining(out, at, held.until);
    put_age(out, at, held.since);
    cbor::put_text(out, held.pid);
  }
}

void permits::read(state_reader& in, const scope& where, duration unseen_lease) {
  in.array(2);
  last_token_ = in.integer();
  const auto count = in.array();
  for (std::uint64_t i = 0; i < count && !in.broken(); ++i) {
    in.array(7);
    auto owner = in.text();
    holder held;
    held.count = in.integer();
    held.token = in.integer();
    const auto lease = ends_after(time_point{}, in.integer_or_null());
    if (lease != never) held.lease = lease.time_since_epoch();
    auto until = ends_after(where.now, in.integer_or_null());
    held.since = began_before(where.now, in.integer());
    held.pid = in.text();
    if (in.broken() || held.count < 1 || holders_.contains(owner)) return in.fail();
    if (!held.pid.empty()) {
      if (const auto process = where.around.find(held.pid)) {
        held.watched = where.self.monitor(*process);
        watched_.emplace(held.watched, owner);
      } else {
        until = std::min(until, after(where.now, unseen_lease));
      }
    }
    held_ += held.count;
    size_ += entry_size(owner, held.pid);
    set_end(holders_.emplace(std::move(owner), std::move(held)).first, until);
  }
}

}  // namespace orrery::process
