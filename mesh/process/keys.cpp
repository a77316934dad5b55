// The registry, as processes of this node use it.
#include "mesh/process/runtime_impl.hpp"
#include "mesh/wire/cbor.hpp"

#include <algorithm>
#include <utility>

namespace orrery::process {
namespace {

constexpr std::size_t asked_keys_max = 10'000;  ///< claims that wait for their answer

}  // namespace

/// Where several hold a unique key, after the mesh was split, all nodes name the same: the pid that sorts first.
std::optional<kernel::handle> runtime::impl::holder_of(key_space in, std::string_view key) const {
  const auto holders = registry_.holders(in, key);
  if (holders.empty()) return {};
  return *std::ranges::min_element(
      holders, [this](const kernel::handle& a, const kernel::handle& b) { return pid_of(a) < pid_of(b); });
}

result<void> runtime::impl::register_key(key_space in, std::string_view key, kernel::handle who, value held) {
  if (in == key_space::mesh_unique) {
    return fail(errc::invalid_argument, "a key that is unique in the mesh is claimed (claim_key), not registered");
  }
  if (auto own = check_own(who); !own) return own;
  if (auto may = registry_.may_hold(in, key, who, held); !may) return may;
  if (const auto holder = is_unique(in) ? holder_of(in, key) : std::nullopt) {
    return fail(errc::already_exists, text_of(*holder) + " holds '" + std::string{key} + "'");
  }
  key_changed(in, key, who, &held);
  registry_.put(in, key, who, std::move(held));
  return {};
}

kernel::reference runtime::impl::claim_key(kernel::context& self, std::string_view key, value held, duration timeout) {
  const auto ref = self.call({stand_ins_.node(), kernel::no_slot, 0}, {}, {}, timeout);
  if (ref == kernel::no_reference) return ref;
  auto asked = ask_for_key(self.self(), ref, key, std::move(held), after(now, std::min(timeout, named_call_max)));
  if (!asked) answered_.push_back({self.self(), ref, fail(std::move(asked.error()))});
  return ref;
}

result<void> runtime::impl::ask_for_key(kernel::handle who, kernel::reference ref, std::string_view key, value held,
                                        time_point deadline) {
  if (auto own = check_own(who); !own) return own;
  if (auto may = registry_.may_hold(key_space::mesh_unique, key, who, held); !may) return may;
  const auto holder = holder_of(key_space::mesh_unique, key);
  if (ref != kernel::no_reference && holder) {
    return fail(errc::already_exists, text_of(*holder) + " holds '" + std::string{key} + "'");
  }
  if (asked_keys_.size() >= asked_keys_max) {
    return fail(errc::overloaded, std::to_string(asked_keys_max) + " claims wait for their answer; retry later");
  }
  const auto number = ++asked_keys_so_far_;
  asked_keys_.emplace(number, asked_key{who, ref, std::string{key}, std::move(held)});
  out().emplace_back(key_claimed{number, std::string{key}, who, deadline, ref == kernel::no_reference});
  return {};
}

bool runtime::key_answered(time_point now, std::uint64_t number, const result<value>& granted, effects& out) {
  const impl::sink into(*impl_, now, out);
  auto& of = *impl_;
  const auto found = of.asked_keys_.find(number);
  if (found == of.asked_keys_.end()) return false;
  const impl::asked_key asked = std::move(found->second);
  of.asked_keys_.erase(found);
  auto taken = of.take_granted(asked, granted);
  if (asked.ref != kernel::no_reference) {
    of.answered_.push_back(
        {asked.who, asked.ref, taken ? result<value>{cbor::bool_value(true)} : result<value>{fail(taken.error())}});
  } else if (!taken && of.core.alive(asked.who)) {
    const auto holder = of.holder_of(key_space::mesh_unique, asked.key);
    of.tell_key_lost(asked.key, asked.who, holder ? of.text_of(*holder) : "nobody");
  }
  return of.registry_.holds(key_space::mesh_unique, asked.key, asked.who);
}

result<void> runtime::impl::take_granted(const asked_key& asked, const result<value>& granted) {
  if (!granted) return fail(granted.error());
  if (auto own = check_own(asked.who); !own) return own;
  if (auto may = registry_.may_hold(key_space::mesh_unique, asked.key, asked.who, asked.held); !may) return may;
  if (const auto holder = holder_of(key_space::mesh_unique, asked.key)) {
    return fail(errc::already_exists, text_of(*holder) + " holds '" + asked.key + "'");
  }
  registry_.put(key_space::mesh_unique, asked.key, asked.who, asked.held);
  key_changed(key_space::mesh_unique, asked.key, asked.who, &asked.held);
  return {};
}

bool runtime::impl::unregister_key(key_space in, std::string_view key, kernel::handle who) {
  if (who.node != kernel::handle::here || !registry_.remove(in, key, who)) return false;
  key_changed(in, key, who, nullptr);
  return true;
}

result<void> runtime::impl::update_value(key_space in, std::string_view key, kernel::handle who, value held) {
  if (auto own = check_own(who); !own) return own;
  if (auto done = registry_.update(in, key, who, held); !done) return done;
  key_changed(in, key, who, &held);
  return {};
}

std::vector<registration> runtime::impl::lookup(key_space in, std::string_view key) const {
  auto all = registry_.lookup(in, key);
  if (is_unique(in) && all.size() > 1) {
    const auto holder = *holder_of(in, key);
    std::erase_if(all, [&](const registration& each) { return each.who != holder; });
  }
  return all;
}

std::vector<std::string> runtime::impl::keys_of(key_space in, kernel::handle who) const {
  std::vector<std::string> keys;
  for (auto& each : registry_.of(who)) {
    if (each.at.in == in) keys.push_back(std::move(each.at.key));
  }
  return keys;
}

std::vector<registration> runtime::impl::match_keys(key_space in, std::string_view prefix, std::size_t limit) const {
  return registry_.match(in, prefix, limit);
}

std::size_t runtime::impl::count_keys(key_space in) const { return registry_.count(in); }

// ---- for those who are no processes ----

std::vector<runtime::key_info> runtime::keys(key_space in, std::string_view prefix, std::size_t limit) const {
  std::vector<key_info> all;
  for (auto& each : impl_->registry_.match(in, prefix, limit))
    all.push_back({std::move(each.key), impl_->pid_of(each.who), std::move(each.held)});
  return all;
}

std::optional<pid> runtime::key_holder(std::string_view key) const {
  const auto holder = impl_->holder_of(key_space::mesh_unique, key);
  if (!holder) return {};
  return impl_->pid_of(*holder);
}

}  // namespace orrery::process
