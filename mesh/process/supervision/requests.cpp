// What a supervisor is asked.
#include "mesh/process/supervision/supervisor.hpp"

#include <set>
#include <utility>

namespace orrery::process {

namespace {

using refusal = std::optional<std::string>;

/// What is wrong with a child, or nothing.
refusal fault_of(const child_spec& child, const supervisor_spec& of) {
  if (child.factory == nullptr) return "it has nothing to start";
  if (child.shutdown.how == shutdown_spec::kind::timeout && child.shutdown.length < duration::zero()) {
    return "shutdown takes 0 or more";
  }
  if (child.significant && child.restart == restart_type::permanent) {
    return "only transient and temporary children can be significant";
  }
  if (child.significant && of.when_significant == auto_shutdown::never) {
    return "it is significant, and the supervisor's auto_shutdown is never";
  }
  return {};
}

refusal fault_of(const backoff_spec& pause, const char* name) {
  if (pause.initial < duration::zero()) return std::string{name} + ".initial: 0 or more";
  if (pause.initial > pause.maximum) return std::string{name} + ".maximum: at least " + name + ".initial";
  return {};
}

refusal fault_of(const supervisor_spec& spec) {
  if (spec.intensity > intensity_max) return "intensity: at most " + std::to_string(intensity_max);
  if (spec.child_intensity.value_or(0) > intensity_max) {
    return "child_intensity: at most " + std::to_string(intensity_max);
  }
  if (spec.period <= duration::zero()) return "period: more than 0";
  if (auto fault = fault_of(spec.backoff, "backoff")) return fault;
  if (auto fault = fault_of(spec.patience, "patience")) return fault;
  if (spec.kind == strategy::simple_one_for_one && (spec.children.size() != 1 || spec.others)) {
    return "children: simple_one_for_one takes exactly one, as the template of all; there are " +
           std::to_string(spec.children.size() + (spec.others ? 1U : 0U));
  }
  if (spec.others) {
    auto fault = fault_of(*spec.others, spec);
    if (spec.others->significant) fault = "only declared children can be significant";
    if (fault) return "others: " + *fault;
  }
  std::set<std::string_view> ids;
  for (const auto& each : spec.children) {
    const auto where = "child '" + each.id.substr(0, 80) + "': ";
    if (each.id.empty()) return "children: one has no id";
    if (each.id.size() > child_id_bytes_max) {
      return where + "its id has " + std::to_string(each.id.size()) + " bytes; at most " +
             std::to_string(child_id_bytes_max) + " are accepted";
    }
    if (!ids.insert(each.id).second) return where + "there are two of this id";
    if (auto fault = fault_of(each, spec)) return where + *fault;
  }
  return {};
}

}  // namespace

result<void> validate(const supervisor_spec& spec) {
  if (const auto fault = fault_of(spec)) {
    return fail(errc::invalid_argument, "supervisor " + spec.name + ": " + *fault);
  }
  return {};
}

error supervisor::busy() const {
  return {errc::unavailable, "supervisor " + spec_.name + " is stopping children; retry", took_effect::not_executed};
}

error supervisor::no_child(std::string_view id) const {
  return {errc::not_found, "supervisor " + spec_.name + " has no child '" + std::string{id.substr(0, 80)} + "'"};
}

std::uint32_t supervisor::find(std::string_view id) const {
  for (auto at = declared_.first(); at != kernel::no_slot; at = children_[at].place.next) {
    if (children_[at].own->id == id) return at;
  }
  return kernel::no_slot;
}

std::uint32_t supervisor::find(kernel::context& self, kernel::handle who) const {
  const auto slot = self.of().note_of(who).value_or(kernel::no_slot);
  return children_.taken(slot) && children_[slot].who == who ? slot : kernel::no_slot;
}

/// Also of a process that is no more.
std::uint32_t supervisor::find_anywhere(kernel::handle who) const {
  for (const auto* list : {&declared_, &tagged_}) {
    for (auto at = list->first(); at != kernel::no_slot; at = children_[at].place.next) {
      if (children_[at].who == who) return at;
    }
  }
  return kernel::no_slot;
}

result<void> supervisor::may_add(const child_spec& spec) const {
  if (simple()) {
    return fail(errc::invalid_argument, "supervisor " + spec_.name + " is simple_one_for_one: it takes a tag, no spec");
  }
  auto all = spec_;
  all.children = {spec};
  if (auto sound = validate(all); !sound) return sound;
  if (stopping_) return fail(busy());
  if (const auto known = find(spec.id); known != kernel::no_slot) {
    const bool runs = children_[known].who != kernel::nobody;
    return fail(errc::already_exists, "supervisor " + spec_.name + " has a child '" + spec.id + "', " +
                                          (runs ? "already started" : "already present: restart or delete it"));
  }
  if (count() >= spec_.children_max) {
    return fail(errc::overloaded, "supervisor " + spec_.name + " has as many children as it may");
  }
  return {};
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
  if (auto fine = may_add(spec); !fine) return fail(fine.error());
  const auto tag = spec.tag;
  return start_new(self, add(tag, std::make_unique<child_spec>(std::move(spec))));
}

result<kernel::handle> supervisor::begin_child(kernel::context& self, child_spec spec) {
  if (auto fine = may_add(spec); !fine) return fail(fine.error());
  const auto tag = spec.tag;
  const auto slot = add(tag, std::make_unique<child_spec>(std::move(spec)));
  const auto begun = bring_up(self, slot);
  if (!begun) {
    auto why = self.of().describe(tag) + " exited, " + to_string(begun.error()) + " (while it started)";
    failed_to_start(self, slot, begun.error());
    return fail(errc::process_exited, std::move(why));
  }
  if (watcher_ != nullptr) watcher_->child_started(tag, *begun);
  return *begun;
}

result<kernel::handle> supervisor::start_child(kernel::context& self, std::uint64_t tag) {
  ORRERY_ASSERT(spec_.others.has_value());
  if (stopping_) return fail(busy());
  if (count() >= spec_.children_max) {
    return fail(errc::overloaded, "supervisor " + spec_.name + " has as many children as it may");
  }
  return start_new(self, add(tag, nullptr));
}

result<void> supervisor::terminate_child(kernel::context& self, std::string_view id) {
  if (stopping_) return fail(busy());
  const auto slot = find(id);
  if (slot == kernel::no_slot) return fail(no_child(id));
  if (children_[slot].state == child_state::running) tell_to_end(self, slot);
  if (children_[slot].state == child_state::restarting) {
    put_down(self, slot);
    cause_is_gone(self, slot);
  }
  return {};
}

result<void> supervisor::terminate_child(kernel::context& self, kernel::handle who) {
  if (stopping_) return fail(busy());
  const auto slot = find(self, who);
  if (slot == kernel::no_slot && simple() && !self.of().alive(who)) return {};
  if (slot == kernel::no_slot || children_[slot].own) {
    return fail(errc::not_found, "supervisor " + spec_.name + " has no such child");
  }
  if (children_[slot].state == child_state::running) tell_to_end(self, slot);
  return {};
}

result<kernel::handle> supervisor::restart_child(kernel::context& self, std::string_view id) {
  if (stopping_) return fail(busy());
  const auto slot = find(id);
  if (slot == kernel::no_slot) return fail(no_child(id));
  if (!is_down(children_[slot])) {
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
  if (slot == kernel::no_slot) return fail(no_child(id));
  if (!is_down(children_[slot])) {
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
  all.reserve(count());
  for (const auto at : in_order()) {
    const child& each = children_[at];
    const auto& of = spec_of(each);
    all.push_back({of.id, each.tag, each.who, each.state, of.supervisor, each.restarts});
  }
  return all;
}

supervisor::child_counts supervisor::count_children() const {
  child_counts counts{.specs = declared_.size() + (spec_.others ? 1U : 0U)};
  for (const auto at : in_order()) {
    counts.active += children_[at].who != kernel::nobody ? 1U : 0U;
    ++(spec_of(children_[at]).supervisor ? counts.supervisors : counts.workers);
  }
  return counts;
}

const child_spec* supervisor::find_spec(std::string_view id) const {
  const auto slot = find(id);
  return slot == kernel::no_slot ? nullptr : children_[slot].own.get();
}

std::optional<supervisor::child_state> supervisor::state_of(std::string_view id) const {
  const auto slot = find(id);
  return slot == kernel::no_slot ? std::nullopt : std::optional{children_[slot].state};
}

}  // namespace orrery::process
