// Processes without a name: spawned by others of this node, known by their pids, and gone with the node.
#include "mesh/process/runtime_impl.hpp"

#include <utility>

namespace orrery::process {

result<kernel::spawned> runtime::impl::spawn(kernel::context& parent, const spawn_request& what) {
  supervised_class* klass = find_class(class_name{std::string{what.klass}});
  if (klass == nullptr) return fail(no_class(class_name{std::string{what.klass.substr(0, 80)}}));
  if (names.size() >= settings.processes_max || klass->spawned.size() >= spawned_max) {
    return fail(errc::overloaded, "as many processes run here, or of class '" + klass->spec.name.value +
                                      "' without a name, as may; retry later");
  }
  const auto name = names.take();
  names[name].klass = klass;
  names[name].role = what.link ? named::role::linked : named::role::alone;
  klass->spawned.push_back(names, name);
  giving = what.argument;
  const auto begun =
      parent.start(std::make_unique<hosted>(*klass, name), {.link = what.link,
                                                            .monitor = what.monitor,
                                                            .announced = true,
                                                            .when_full = klass->spec.limits.mailbox_policy,
                                                            .mailbox_max = klass->spec.limits.mailbox_max,
                                                            .tag = name});
  giving = {};
  if (!begun) {
    auto why = to_string(name_of(names[name])) + " exited, " + to_string(begun.error()) + " (while it started)";
    forget_spawned(name);
    const bool limited = begun.error().why == exit_reason::kind::system_limit;
    return fail(limited ? errc::overloaded : errc::process_exited, std::move(why));
  }
  named& added = names[name];
  added.who = begun->who;
  added.started_at = now;
  emit(process_event::kind::started, name, {});
  return *begun;
}

void runtime::impl::spawned_ended(std::uint32_t name, const exit_reason& why) {
  if (names[name].role == named::role::supervised) return;  // its supervisor tells of it
  if (names[name].who == kernel::nobody) return;            // it never began: `spawn` sees to it
  emit(process_event::kind::exited, name, why);
  if (is_crash(why)) report_crash(name, why, true);
  forget_spawned(name);
}

void runtime::impl::stop_spawned(supervised_class& klass, const exit_reason& reason) {
  while (!klass.spawned.empty()) {
    const auto last = klass.spawned.last();
    core.stop(now, names[last].who, reason);
    ORRERY_ASSERT(klass.spawned.last() != last);
  }
}

void runtime::impl::forget_spawned(std::uint32_t name) {
  names[name].klass->spawned.remove(names, name);
  names.release(name);
}

}  // namespace orrery::process
