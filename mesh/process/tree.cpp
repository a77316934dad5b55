// The tree of supervisors of a node: the root, below it the supervisors of classes, each below its class' parent.
//
// A class' supervisor is a transient child of the one above: it comes back when it gave up, which is a crash here, and
// stays down when its significant children have ended. The root outlives its own budget: it asks for the node's end,
// and until then whatever still runs goes on, so that it can be handed over.
#include "mesh/process/runtime_impl.hpp"

#include <utility>

namespace orrery::process {
namespace {

[[nodiscard]] std::string id_of(const supervised_class& klass) { return "supervisor " + klass.spec.name.value; }

}  // namespace

// ---- who is where ----

supervised_class* runtime::impl::parent_of(const supervised_class& klass) const {
  const auto& wanted = klass.spec.supervision.parent;
  if (!wanted) return nullptr;
  const auto found = classes.find(*wanted);
  return found == classes.end() || found->second->leaving ? nullptr : found->second.get();
}

std::string runtime::impl::path_of(const supervised_class* klass) const {
  if (klass == nullptr) return "root";
  return path_of(parent_of(*klass)) + "/" + klass->spec.name.value;
}

result<void> runtime::impl::check_parent(const class_spec& spec) const {
  const auto refuse = [&](const std::string& why) {
    return fail(errc::invalid_argument, "class '" + spec.name.value + "': supervision.parent: " + why);
  };
  std::string way = spec.name.value;
  std::size_t levels = 0;
  for (auto above = spec.supervision.parent; above;) {
    way += " -> " + above->value;
    if (*above == spec.name) return refuse("goes in a circle: " + way);
    const auto found = classes.find(*above);
    if (found == classes.end()) return refuse(no_class(*above).context);
    if (++levels > parents_max) {
      return refuse("there are more than " + std::to_string(parents_max) + " levels: " + way);
    }
    above = found->second->spec.supervision.parent;
  }
  return {};
}

/// Whose child the class' supervisor is, dead or alive.
kernel::handle runtime::impl::supervisor_above(const supervised_class& klass) const {
  return klass.below == nullptr ? root.who : klass.below->supervised_by;
}

// ---- making them ----

kernel::handle runtime::impl::root_supervisor() {
  if (core.alive(root.who)) return root.who;
  supervisor_spec spec;
  spec.name = "root";
  spec.intensity = root_intensity;
  spec.period = root_period;
  spec.patience = start_patience;
  spec.outlives_its_budget = true;
  spec.seed = settings.seed;
  auto how = supervisor::options();
  how.tag = supervisor_bit | kernel::no_slot;
  const auto begun = core.start(now, std::make_unique<supervisor>(std::move(spec), &root), how);
  ORRERY_ASSERT(begun);
  root.who = *begun;
  return root.who;
}

supervisor_spec runtime::impl::spec_of_supervisor(supervised_class& klass) const {
  const auto& chosen = klass.spec.supervision;
  supervisor_spec spec;
  spec.name = path_of(&klass);
  spec.kind = chosen.kind;
  spec.intensity = chosen.intensity;
  spec.period = chosen.period;
  spec.when_significant = chosen.when_significant;
  spec.children_max = settings.processes_max;
  spec.child_intensity = chosen.child_intensity;
  spec.backoff = chosen.backoff;
  spec.patience = start_patience;
  spec.giving_up_is_a_crash = true;
  spec.seed = settings.seed;
  spec.others = child_spec{.id = klass.spec.name.value, .factory = &klass, .restart = chosen.restart};
  spec.others->shutdown = chosen.shutdown;
  spec.others->forgives_noconnection = true;  // of an app that hosts it
  spec.others->process.mailbox_max = klass.spec.limits.mailbox_max;
  spec.others->process.when_full = klass.spec.limits.mailbox_policy;
  return spec;
}

child_spec runtime::impl::child_of(supervised_class& klass) {
  return {.id = id_of(klass),
          .factory = &root,
          .tag = klass.tag(),
          .restart = restart_type::transient,
          .supervisor = true,
          .process = {.announced = true}};
}

/// With all that it begins with: the declared children that are to run here, then the supervisors below.
std::unique_ptr<kernel::body> runtime::impl::make_supervisor(supervised_class& klass) {
  auto spec = spec_of_supervisor(klass);
  klass.has_finished = false;
  for (auto& child : klass.declared) {
    child.ended = false;
    const process_name name{klass.spec.name, child.spec.key};
    if (!child.here || given_up.find(name) != nullptr || names.size() >= settings.processes_max) continue;
    child.name = admit(klass, child.spec.key);
    names[child.name].declared = true;
    spec.children.push_back(child_of(klass, child));
  }
  for (const auto& [name, other] : classes) {
    // One that is elsewhere still is moved when the tree is arranged.
    const bool elsewhere = core.alive(other->supervised_by) || (other->listed && other->below != &klass);
    if (other->leaving || parent_of(*other) != &klass || elsewhere) continue;
    other->below = &klass;
    other->listed = true;
    spec.children.push_back(child_of(*other));
  }
  ORRERY_ASSERT(validate(spec));
  return std::make_unique<supervisor>(std::move(spec), &klass);
}

/// The class' supervisor, started if need be with those above it. One that gave up comes back by itself, with no
/// history and no children but those that are declared. Errors: unavailable while it ends or is about to come back.
result<kernel::handle> runtime::impl::supervisor_of(supervised_class& klass) {
  if (core.alive(klass.supervised_by)) return klass.supervised_by;
  supervised_class* parent = parent_of(klass);
  const auto above = parent == nullptr ? result<kernel::handle>{root_supervisor()} : supervisor_of(*parent);
  if (!above) return above;
  if (core.alive(klass.supervised_by)) return klass.supervised_by;  // it came with the one above
  if (klass.below != parent) leave_parent(klass);
  for (const auto& [name, other] : classes) {
    if (other->below != &klass && parent_of(*other) == &klass) leave_parent(*other);
  }
  const auto spec = child_of(klass);
  auto begun = ask(*above, [&](supervisor& of, kernel::context& self) {
    return of.state_of(spec.id) ? of.restart_child(self, spec.id) : of.start_child(self, spec);
  });
  klass.below = parent;
  klass.listed = true;
  keep_order(parent);
  if (begun || begun.error().code == errc::overloaded) return begun;
  return fail(errc::unavailable,
              "supervisor " + path_of(&klass) + " is about to start again; retry (" + begun.error().context + ")");
}

// ---- moving them ----

/// Where the one above still lists a supervisor that does not run, it is not to start it again.
void runtime::impl::leave_parent(supervised_class& klass) {
  if (core.alive(klass.supervised_by)) return;
  const auto above = supervisor_above(klass);
  if (klass.listed && core.alive(above)) {
    static_cast<void>(ask(above, [&](supervisor& of, kernel::context& self) { return of.drop(self, id_of(klass)); }));
  }
  klass.below = nullptr;
  klass.listed = false;
}

/// As it runs, with all that is below it. False where one of the supervisors is not to be had now.
bool runtime::impl::move_below_parent(supervised_class& klass) {
  supervised_class* parent = parent_of(klass);
  if (!core.alive(klass.supervised_by)) {
    if (klass.below != parent) leave_parent(klass);
    return true;
  }
  if (klass.below == parent) return true;
  const auto to = parent == nullptr ? result<kernel::handle>{root_supervisor()} : supervisor_of(*parent);
  if (!to) return false;
  const auto from = supervisor_above(klass);
  static_cast<void>(
      ask(from, [&](supervisor& of, kernel::context& self) { return of.release(self, klass.supervised_by); }));
  core.enter(now, *to, [&](kernel::body& what, kernel::context& self) {
    static_cast<supervisor&>(what).adopt(self, child_of(klass), klass.supervised_by);
  });
  klass.below = parent;
  keep_order(parent);
  return true;
}

/// Of what is below one supervisor: declared children as they are declared, then classes by name.
void runtime::impl::keep_order(supervised_class* parent) {
  const auto above = parent == nullptr ? root.who : parent->supervised_by;
  if (!core.alive(above)) return;
  std::vector<std::string> ids;
  if (parent != nullptr) {
    for (const auto& child : parent->declared)
      ids.push_back(to_string(process_name{parent->spec.name, child.spec.key}));
  }
  for (const auto& [name, other] : classes) {
    if (other->below == parent) ids.push_back(id_of(*other));
  }
  static_cast<supervisor*>(core.body_of(above))->arrange(ids);
}

// ---- what becomes of them ----

void runtime::impl::supervisor_started(std::uint64_t tag, kernel::handle who) { class_of(tag).supervised_by = who; }

void runtime::impl::supervisor_restarted(std::uint64_t tag, kernel::handle who, const exit_reason& why) {
  auto& klass = class_of(tag);
  klass.supervised_by = who;
  out().emplace_back(supervisor_event{supervisor_event::kind::restarted, klass.spec.name, path_of(parent_of(klass)),
                                      process::to_string(why)});
}

/// What it had given up on, and what it could not stop any more, is forgotten with it.
void runtime::impl::supervisor_ended(kernel::handle who, std::uint64_t tag) {
  const auto found = by_id.find(static_cast<std::uint32_t>(tag));
  if (found == by_id.end()) return;
  supervised_class& klass = *found->second;
  if (klass.supervised_by != kernel::nobody && klass.supervised_by != who) return;
  klass.supervised_by = kernel::nobody;
  while (!klass.children.empty()) {
    const auto name = klass.children.last();
    if (names[name].live)
      emit(process_event::kind::exited, name, {exit_reason::kind::shutdown, "its supervisor ended"});
    forget(name);
  }
}

std::unique_ptr<kernel::body> root_of_classes::make(std::uint64_t tag) {
  return owner.make_supervisor(owner.class_of(tag));
}

void root_of_classes::child_started(std::uint64_t tag, kernel::handle child) { owner.supervisor_started(tag, child); }
void root_of_classes::child_restarted(std::uint64_t tag, kernel::handle child, const exit_reason& why) {
  owner.supervisor_restarted(tag, child, why);
}
void root_of_classes::child_ended(std::uint64_t tag, const exit_reason& why, bool final) {
  static_cast<void>(why), static_cast<void>(final);
  last_ended = tag;
}
void root_of_classes::child_given_up(std::uint64_t tag, const std::string& why) {
  static_cast<void>(tag), static_cast<void>(why);  // the root has no budget for single children
}

void root_of_classes::gave_up(const std::string& why) {
  owner.out().emplace_back(escalated{owner.class_of(last_ended).spec.name, escalation::node, why, {}});
}

void supervised_class::gave_up(const std::string& why) {
  ++gave_up_times;
  owner.crash_reports.supervisor_gave_up({owner.now, spec.name, why, spec.supervision.escalate});
  owner.out().emplace_back(escalated{spec.name, spec.supervision.escalate, why, owner.path_of(owner.parent_of(*this))});
}

void supervised_class::finished(const std::string& why) {
  has_finished = true;
  owner.out().emplace_back(
      supervisor_event{supervisor_event::kind::finished, spec.name, owner.path_of(owner.parent_of(*this)), why});
}

}  // namespace orrery::process
