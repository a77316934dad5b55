// What a supervisor is asked.
#include "mesh/process/supervisor.hpp"

#include <set>
#include <utility>

namespace orrery::process {

result<void> validate(const supervisor_spec& spec) {
  const auto wrong = [&](const std::string& where, const std::string& what) {
    return fail(errc::invalid_argument, "supervisor " + spec.name + ": " + where + what);
  };
  if (spec.intensity > intensity_max) return wrong("intensity: ", "at most " + std::to_string(intensity_max));
  if (spec.period <= duration::zero()) return wrong("period: ", "more than 0");
  if (spec.kind == strategy::simple_one_for_one && spec.children.size() != 1) {
    return wrong("children: ", "simple_one_for_one takes exactly one, as the template of all; there are " +
                                   std::to_string(spec.children.size()));
  }
  std::set<std::string_view> ids;
  for (const auto& each : spec.children) {
    const auto where = "child '" + each.id + "': ";
    if (each.id.empty()) return wrong("children: ", "one has no id");
    if (!ids.insert(each.id).second) return wrong(where, "there are two of this id");
    if (each.factory == nullptr) return wrong(where, "it has nothing to start");
    if (each.shutdown.how == shutdown_spec::kind::timeout && each.shutdown.length < duration::zero()) {
      return wrong(where, "shutdown takes 0 or more");
    }
    if (each.significant && each.restart == restart_type::permanent) {
      return wrong(where, "only transient and temporary children can be significant");
    }
    if (each.significant && spec.when_significant == auto_shutdown::never) {
      return wrong(where, "it is significant, and the supervisor's auto_shutdown is never");
    }
  }
  return {};
}

error supervisor::busy() const {
  return {errc::unavailable, "supervisor " + spec_.name + " is stopping children; retry", took_effect::not_executed};
}

std::uint32_t supervisor::find(std::string_view id) const {
  for (auto at = order_.first(); at != kernel::no_slot; at = children_[at].place.next) {
    if (children_[at].own && children_[at].own->id == id) return at;
  }
  return kernel::no_slot;
}

std::uint32_t supervisor::find(kernel::context& self, kernel::handle who) const {
  const auto slot = self.of().note_of(who).value_or(kernel::no_slot);
  return children_.taken(slot) && children_[slot].who == who ? slot : kernel::no_slot;
}

result<kernel::handle> supervisor::start_new(kernel::context& self, std::uint32_t slot) {
  const auto begun = bring_up(self, slot);
  if (!begun) {
    const bool full = begun.error().why == exit_reason::kind::system_limit;
    auto why = self.of().describe(children_[slot].tag) + " exited, " + to_string(begun.error()) + " (while it started)";
    forget(slot);
    return fail(full ? errc::overloaded : errc::process_exited, std::move(why));
  }
  if (watcher_ != nullptr) watcher_->child_started(children_[slot].tag, *begun);
  return *begun;
}

result<kernel::handle> supervisor::start_child(kernel::context& self, child_spec spec) {
  if (simple()) {
    return fail(errc::invalid_argument, "supervisor " + spec_.name + " is simple_one_for_one: it takes a tag, no spec");
  }
  auto all = spec_;
  all.children = {spec};
  if (auto sound = validate(all); !sound) return fail(sound.error());
  if (stopping_) return fail(busy());
  if (const auto known = find(spec.id); known != kernel::no_slot) {
    const bool runs = children_[known].who != kernel::nobody;
    return fail(errc::already_exists, "supervisor " + spec_.name + " has a child '" + spec.id + "', " +
                                          (runs ? "already started" : "already present: restart or delete it"));
  }
  if (order_.size() >= spec_.children_max) {
    return fail(errc::overloaded, "supervisor " + spec_.name + " has as many children as it may");
  }
  const auto tag = spec.tag;
  return start_new(self, add(tag, std::make_unique<child_spec>(std::move(spec))));
}

result<kernel::handle> supervisor::start_child(kernel::context& self, std::uint64_t tag) {
  ORRERY_ASSERT(simple());
  if (stopping_) return fail(busy());
  if (order_.size() >= spec_.children_max) {
    return fail(errc::overloaded, "supervisor " + spec_.name + " has as many children as it may");
  }
  return start_new(self, add(tag, nullptr));
}

result<void> supervisor::terminate_child(kernel::context& self, std::string_view id) {
  if (stopping_) return fail(busy());
  const auto slot = find(id);
  if (slot == kernel::no_slot) {
    return fail(errc::not_found, "supervisor " + spec_.name + " has no child '" + std::string{id} + "'");
  }
  child& of = children_[slot];
  if (of.state == child_state::restarting) of.state = child_state::stopped;
  if (of.state == child_state::running) tell_to_end(self, slot);
  return {};
}

result<void> supervisor::terminate_child(kernel::context& self, kernel::handle who) {
  if (stopping_) return fail(busy());
  const auto slot = find(self, who);
  if (slot == kernel::no_slot || !simple()) {
    return fail(errc::not_found, "supervisor " + spec_.name + " has no such child");
  }
  if (children_[slot].state == child_state::running) tell_to_end(self, slot);
  return {};
}

result<kernel::handle> supervisor::restart_child(kernel::context& self, std::string_view id) {
  if (stopping_) return fail(busy());
  const auto slot = find(id);
  if (slot == kernel::no_slot) {
    return fail(errc::not_found, "supervisor " + spec_.name + " has no child '" + std::string{id} + "'");
  }
  if (children_[slot].state != child_state::stopped) {
    return fail(errc::conflict,
                "child '" + std::string{id} + "' of supervisor " + spec_.name +
                    (children_[slot].state == child_state::running ? " runs" : " is about to start or end"));
  }
  const auto begun = bring_up(self, slot);
  if (!begun) return fail(errc::process_exited, "child '" + std::string{id} + "' exited, " + to_string(begun.error()));
  if (watcher_ != nullptr) watcher_->child_started(children_[slot].tag, *begun);
  return *begun;
}

result<void> supervisor::delete_child(kernel::context& self, std::string_view id) {
  static_cast<void>(self);
  if (stopping_) return fail(busy());
  const auto slot = find(id);
  if (slot == kernel::no_slot) {
    return fail(errc::not_found, "supervisor " + spec_.name + " has no child '" + std::string{id} + "'");
  }
  if (children_[slot].state != child_state::stopped) {
    return fail(errc::conflict, "child '" + std::string{id} + "' of supervisor " + spec_.name + " is not stopped");
  }
  forget(slot);
  return {};
}

bool supervisor::release(kernel::context& self, kernel::handle who) {
  const auto slot = find(self, who);
  if (slot == kernel::no_slot) return false;
  self.unlink(who);
  const bool awaited = children_[slot].awaited;
  forget(slot);
  if (awaited) {
    --stopping_->waiting;
    stop_next(self);
  }
  return true;
}

std::vector<supervisor::child_info> supervisor::which_children() const {
  std::vector<child_info> all;
  all.reserve(order_.size());
  for (auto at = order_.first(); at != kernel::no_slot; at = children_[at].place.next) {
    const child& each = children_[at];
    const auto& of = spec_of(each);
    all.push_back({of.id, each.tag, each.who, each.state, of.supervisor, each.restarts});
  }
  return all;
}

supervisor::child_counts supervisor::count_children() const {
  child_counts counts{.specs = simple() ? 1 : order_.size()};
  for (auto at = order_.first(); at != kernel::no_slot; at = children_[at].place.next) {
    counts.active += children_[at].who != kernel::nobody ? 1U : 0U;
    ++(spec_of(children_[at]).supervisor ? counts.supervisors : counts.workers);
  }
  return counts;
}

const child_spec* supervisor::find_spec(std::string_view id) const {
  const auto slot = find(id);
  return slot == kernel::no_slot ? nullptr : children_[slot].own.get();
}

void supervisor::set_budget(std::uint32_t intensity, duration period, restart_type of_template) {
  spec_.intensity = intensity;
  spec_.period = period;
  if (simple()) spec_.children.front().restart = of_template;
}

}  // namespace orrery::process
