// Declared children, which are there without a call, and names that are given up.
#include "mesh/process/runtime_impl.hpp"

#include <algorithm>
#include <utility>

namespace orrery::process {

declared_slot* supervised_class::find_declared(std::string_view key) {
  const auto found = std::find_if(declared.begin(), declared.end(),
                                  [&](const declared_slot& each) { return each.spec.key.value == key; });
  return found == declared.end() ? nullptr : &*found;
}

child_spec runtime::impl::child_of(supervised_class& klass, const declared_slot& child) {
  auto spec = *spec_of_supervisor(klass).others;
  spec.id = to_string(process_name{klass.spec.name, child.spec.key});
  spec.tag = child.name;
  spec.restart = child.spec.restart.value_or(klass.spec.supervision.restart);
  spec.significant = child.spec.significant;
  return spec;
}

// ---- what a changed class declares ----

/// What is known of children that stay is kept.
void runtime::impl::redeclare(supervised_class& klass) {
  std::vector<declared_slot> fresh;
  for (const auto& child : klass.spec.children) {
    const auto* known = klass.find_declared(child.key.value);
    fresh.push_back(known == nullptr ? declared_slot{.spec = child} : *known);
    fresh.back().spec = child;
    fresh.back().ended = false;
  }
  for (auto& old : std::exchange(klass.declared, std::move(fresh)))
    klass.undeclared.push_back(std::move(old.spec.key));
  klass.changed = true;
}

/// Those that run and are no longer declared end; those that run and are now, are no longer like others.
void runtime::impl::retune_declared(supervised_class& klass) {
  for (const auto& key : std::exchange(klass.undeclared, {})) {
    const auto name = find_any(klass, key.value);
    if (name == kernel::no_slot || !names[name].declared || klass.find_declared(key.value) != nullptr) continue;
    names[name].live ? shut_down(name, {exit_reason::kind::shutdown, "it is no longer declared"}) : abandon(name);
  }
  for (auto& child : klass.declared) {
    const auto name = find_any(klass, child.spec.key.value);
    if (name == kernel::no_slot) continue;
    child.here = true;
    child.name = name;
    if (!names[name].live) {
      abandon(name);  // a changed class is another chance, at once
      child.name = kernel::no_slot;
    } else if (names[name].declared) {
      static_cast<supervisor*>(core.body_of(klass.supervised_by))->retune_child(child_of(klass, child));
    } else {
      names[name].declared = ask(klass.supervised_by, [&](supervisor& of, kernel::context& self) {
        return of.declare(self, names[name].who, child_of(klass, child));
      });
    }
  }
  keep_order(&klass);
}

bool runtime::arrange(time_point now, effects& out) {
  const impl::sink into(*impl_, now, out);
  auto& of = *impl_;
  bool done = true;
  for (const auto& [name, klass] : of.classes) {
    if (!klass->changed) continue;
    const bool moved = of.move_below_parent(*klass);
    if (of.core.alive(klass->supervised_by)) of.retune_declared(*klass);
    klass->changed = !moved || (!klass->has_finished && !of.supervisor_of(*klass));
    done &= !klass->changed;
  }
  return done;
}

// ---- their lives ----

result<kernel::handle> runtime::impl::start(supervised_class& klass, declared_slot& child, arrival how) {
  const auto supervising = supervisor_of(klass);
  if (!supervising) return supervising;
  // It may have come with its supervisor.
  if (const auto known = find_any(klass, child.spec.key.value); known != kernel::no_slot) {
    if (names[known].live) return names[known].who;
    return fail(errc::unavailable, describe(known) + " is about to start again; retry");
  }
  const auto name = admit(klass, child.spec.key);
  names[name].declared = true;
  child.name = name;
  const bool was_here = std::exchange(child.here, true);
  child.ended = false;
  const auto begun = ask(*supervising, [&](supervisor& of, kernel::context& self) {
    const auto spec = child_of(klass, child);
    return how == arrival::moved ? of.start_child(self, spec) : of.begin_child(self, spec);
  });
  if (begun) {
    keep_order(&klass);
  } else if (child.name == name && names.taken(name)) {
    const auto id = to_string(name_of(names[name]));
    const bool kept =
        core.alive(klass.supervised_by) &&
        ask(klass.supervised_by, [&](supervisor& of, kernel::context&) { return of.state_of(id).has_value(); });
    if (!kept) {
      forget(name);
      child.here = was_here;
    }
  }
  return begun;
}

/// A declared child that had ended for good, or was given up.
result<kernel::handle> runtime::impl::start_down(std::uint32_t name) {
  auto& klass = *names[name].klass;
  auto& child = *klass.find_declared(names[name].key);
  abandon(name);
  return start(klass, child, arrival::called);
}

bool runtime::start_declared(time_point now, const process_name& name, effects& out) {
  using state = declared_info::state;
  const impl::sink into(*impl_, now, out);
  supervised_class* klass = impl_->find_class(name.klass);
  auto* child = klass == nullptr ? nullptr : klass->find_declared(name.key.value);
  if (child == nullptr || klass->has_finished) return true;
  if (impl_->describe_declared(*klass, *child).what != state::absent) return true;
  if (impl_->start(*klass, *child, impl::arrival::called)) return true;
  return impl_->describe_declared(*klass, *child).what != state::absent;
}

void runtime::let_go(time_point now, const process_name& name, effects& out) {
  const impl::sink into(*impl_, now, out);
  supervised_class* klass = impl_->find_class(name.klass);
  auto* child = klass == nullptr ? nullptr : klass->find_declared(name.key.value);
  if (child == nullptr) return;
  if (child->name != kernel::no_slot && impl_->names[child->name].live) return;
  if (child->name != kernel::no_slot) impl_->abandon(child->name);
  child->here = false;
  child->ended = false;
  impl_->given_up.release(name);
}

void runtime::impl::set_down(std::uint32_t name, bool down) {
  if (names[name].down == down) return;
  names[name].down = down;
  down ? ++names_down : --names_down;
  down ? ++names[name].klass->down : --names[name].klass->down;
}

/// Its supervisor lists it no more, if it still did.
void runtime::impl::abandon(std::uint32_t name) {
  const named& of = names[name];
  ORRERY_ASSERT(!of.live);
  const auto supervising = of.klass->supervised_by;
  if (core.alive(supervising)) {
    const auto id = to_string(name_of(of));
    const auto note = of.note;
    const bool declared = of.declared;
    static_cast<void>(ask(supervising, [&](supervisor& what, kernel::context& self) {
      return declared ? what.drop(self, id) : what.drop(self, note, name);
    }));
  }
  forget(name);
}

declared_info runtime::impl::describe_declared(const supervised_class& klass, const declared_slot& child) const {
  using state = declared_info::state;
  declared_info out{{klass.spec.name, child.spec.key}, state::absent};
  if (given_up.find(out.name) != nullptr) {
    out.what = state::given_up;
  } else if (child.name == kernel::no_slot) {
    out.what = child.ended ? state::ended : state::absent;
  } else if (names[child.name].down) {
    out.what = state::ended;
  } else {
    out.what = names[child.name].live ? state::running : state::restarting;
  }
  return out;
}

std::vector<declared_info> runtime::declared() const {
  std::vector<declared_info> all;
  for (const auto& [name, klass] : impl_->classes) {
    for (const auto& child : klass->declared)
      all.push_back(impl_->describe_declared(*klass, child));
  }
  return all;
}

// ---- given up ----

void runtime::impl::give_up(std::uint32_t name, const std::string& why) {
  auto& klass = *names[name].klass;
  ++klass.children_given_up;
  given_up.add(name_of(names[name]), {why, after(now, klass.spec.supervision.child_cooldown)});
  emit(process_event::kind::given_up, name, {exit_reason::kind::limit, why});
  names[name].declared ? set_down(name, true) : forget(name);
}

std::optional<error> runtime::impl::refusal_of(const process_name& name) const {
  const auto* found = given_up.size() == 0 ? nullptr : given_up.find(name);
  if (found == nullptr) return {};
  const auto left = std::max(std::chrono::ceil<std::chrono::seconds>(found->until - now), std::chrono::seconds{1});
  return error{errc::given_up, found->why + "; it is refused for " + std::to_string(left.count()) +
                                   " s more, or until it is released (orrery release " + to_string(name) + ")"};
}

/// A declared child starts again; another does on its next call.
void runtime::impl::released(const process_name& name, const std::string& why) {
  out().emplace_back(process_event{process_event::kind::released, name, {}, {exit_reason::kind::normal, why}});
  supervised_class* klass = find_class(name.klass);
  auto* child = klass == nullptr ? nullptr : klass->find_declared(name.key.value);
  if (child == nullptr || !child->here) return;
  if (child->name == kernel::no_slot) {
    static_cast<void>(start(*klass, *child, arrival::called));
  } else if (names[child->name].down) {
    static_cast<void>(start_down(child->name));
  }
}

void runtime::impl::release_all(supervised_class& klass) {
  while (true) {
    const auto some = given_up.of(klass.spec.name, 100);
    if (some.empty()) return;
    for (const auto& [name, unused] : some)
      given_up.release(name);
  }
}

std::optional<given_up_info> runtime::given_up(const process_name& name) const {
  const auto* found = impl_->given_up.find(name);
  return found == nullptr ? std::nullopt : std::optional{given_up_info{name, found->why, found->until}};
}

bool runtime::release(time_point now, const process_name& name, effects& out) {
  const impl::sink into(*impl_, now, out);
  if (!impl_->given_up.release(name)) return false;
  impl_->released(name, "by request");
  return true;
}

}  // namespace orrery::process
