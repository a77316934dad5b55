// What nodes say of groups and keys: to others, and what they are told.
#include "mesh/process/runtime_impl.hpp"

#include <utility>

namespace orrery::process {
namespace {

/// A key of a process that was handed over is asked for as long.
constexpr duration handed_over_key_max = std::chrono::seconds{5};

wire::fact member_fact(const groups::membership& of) {
  return {wire::fact::kind::member, of.group, {of.who.slot, of.who.generation}, of.joins, {}};
}

wire::fact key_fact(const registry::entry& of) {
  const auto kind = is_unique(of.at.in) ? wire::fact::kind::unique : wire::fact::kind::duplicate;
  return {kind, of.at.key, {of.who.slot, of.who.generation}, 1, of.held};
}

key_space space_of(wire::fact::kind what) {
  return what == wire::fact::kind::unique ? key_space::mesh_unique : key_space::mesh_duplicate;
}

}  // namespace

std::vector<wire::fact> runtime::facts() const {
  std::vector<wire::fact> all;
  for (const auto& each : impl_->groups_.of_this_node())
    all.push_back(member_fact(each));
  for (const auto& each : impl_->registry_.of_this_node()) {
    if (is_of_mesh(each.at.in)) all.push_back(key_fact(each));
  }
  return all;
}

std::vector<wire::fact> runtime::impl::facts_of(kernel::handle who) const {
  std::vector<wire::fact> all;
  for (const auto& each : groups_.of(who))
    all.push_back(member_fact(each));
  for (const auto& each : registry_.of(who)) {
    if (is_of_mesh(each.at.in)) all.push_back(key_fact(each));
  }
  if (all.size() > wire::announced_max) all.resize(wire::announced_max);
  for (auto& each : all)
    each.who = {};
  return all;
}

result<void> runtime::receive(time_point now, const node_id& from, const wire::announce& what, effects& out) {
  const impl::sink into(*impl_, now, out);
  const auto number = impl_->number_of(from);
  if (!number || !impl_->lives_[*number].up) return {};
  auto& life = impl_->lives_[*number];
  if (what.number != life.heard + 1) {
    return fail(errc::protocol, "announcement " + std::to_string(what.number) + " of " + to_string(from) + " after " +
                                    std::to_string(life.heard));
  }
  life.heard = what.number;
  if (what.number == 1) impl_->forget_node(*number);
  for (const auto& each : what.facts)
    impl_->take_fact(*number, each);
  return {};
}

void runtime::impl::take_fact(std::uint32_t from, const wire::fact& what) {
  const kernel::handle who{from, what.who.slot, what.who.generation};
  if (what.what != wire::fact::kind::member) return take_key(who, what);
  if (!check_group_name(what.name)) return;
  if (groups_.set(what.name, who, static_cast<std::uint32_t>(what.count))) {
    tell_watchers(what.name, who, what.count > 0);
  }
}

void runtime::impl::take_key(kernel::handle who, const wire::fact& what) {
  const auto in = space_of(what.what);
  if (what.count == 0) {
    registry_.remove(in, what.name, who);
    return;
  }
  if (!registry_.put_from_elsewhere(in, what.name, who, what.held) || in != key_space::mesh_unique) return;
  // Both were granted while the mesh was split, or while it did not agree on who grants. One of the two nodes gives in.
  const pid theirs = pid_of(who);
  for (const auto& each : registry_.holders(in, what.name)) {
    if (each.node != kernel::handle::here || pid_of(each) < theirs) continue;
    registry_.remove(in, what.name, each);
    key_changed(in, what.name, each, nullptr);
    tell_key_lost(what.name, each, to_string(theirs));
  }
}

void runtime::impl::enter_facts(kernel::handle who, const std::vector<wire::fact>& facts) {
  for (const auto& each : facts) {
    if (each.what == wire::fact::kind::member) {
      if (!join(each.name, who)) continue;  // as many as may be: the rest is dropped
      static_cast<void>(groups_.set(each.name, who, static_cast<std::uint32_t>(each.count)));
    } else if (each.what == wire::fact::kind::duplicate) {
      static_cast<void>(register_key(key_space::mesh_duplicate, each.name, who, each.held));
    } else if (!ask_for_key(who, kernel::no_reference, each.name, each.held, after(now, handed_over_key_max))) {
      tell_key_lost(each.name, who, "nobody");
    }
  }
}

void runtime::impl::forget_node(std::uint32_t node) {
  for (const auto& each : groups_.forget_node(node))
    tell_watchers(each.group, each.who, false);
  registry_.forget_node(node);
}

void runtime::receive(time_point now, const node_id& from, const wire::publish& what, effects& out) {
  const impl::sink into(*impl_, now, out);
  const auto number = impl_->number_of(from);
  if (!number || !impl_->lives_[*number].up) return;
  for (const auto& each : impl_->groups_.members(what.group, reach::node)) {
    impl_->take_signal(*number, {.what = wire::signal::kind::plain,
                                 .from = what.from,
                                 .to = {each.slot, each.generation},
                                 .word = what.word,
                                 .payload = what.payload});
  }
}

// ---- for those who are no processes ----

std::vector<runtime::group_info> runtime::groups(std::string_view prefix, std::size_t limit) const {
  std::vector<group_info> all;
  for (auto& each : impl_->groups_.names(prefix, limit)) {
    const auto members = impl_->groups_.count(each);
    const auto here = impl_->groups_.members(each, reach::node).size();
    all.push_back({std::move(each), members, here});
  }
  return all;
}

std::vector<pid> runtime::members(std::string_view group) const {
  std::vector<pid> all;
  for (const auto& each : impl_->groups_.members(group, reach::mesh))
    all.push_back(impl_->pid_of(each));
  return all;
}

}  // namespace orrery::process
