#include "mesh/process/runtime_impl.hpp"

#include <utility>

namespace orrery::process {

error exited_error(const process_name& name, const exit_reason& reason, took_effect how_far) {
  // A limit has a code of its own: retrying a call that ran into it does not help.
  const bool over_limit = reason.why == exit_reason::kind::limit && how_far != took_effect::not_executed;
  return {over_limit ? errc::limit_exceeded : errc::process_exited, to_string(name) + " exited, " + to_string(reason),
          how_far};
}

std::uint64_t runtime::impl::next_seed(const process& of) {
  return mix64(settings.seed + ++lives * 0x9e3779b97f4a7c15U) ^
         stable_hash(of.key, stable_hash(of.klass->spec.name.value));
}

void runtime::impl::emit(process_event::kind what, std::uint32_t slot, exit_reason reason, effects& out) const {
  out.emplace_back(process_event{what, name_of(processes[slot]), pid_of(slot), std::move(reason)});
}

std::uint32_t runtime::impl::admit(supervised_class& klass, const process_key& key) {
  const auto slot = processes.take();
  process& admitted = processes[slot];
  admitted.key = key.value;
  admitted.klass = &klass;
  klass.slots_by_key.emplace(admitted.key, slot);
  klass.children.push_back(processes, slot);
  return slot;
}

std::optional<exit_reason> runtime::impl::bring_up(time_point now, std::uint32_t slot, effects& out) {
  process& starting = processes[slot];
  starting.type = starting.klass->type.get();
  starting.body = starting.type->make();
  starting.handled = 0;
  starting.started_at = now;
  auto failed = starting.body->init(scope_of(now, starting, out), next_seed(starting));
  if (failed) starting.body.reset();
  return failed;
}

result<std::uint32_t> runtime::impl::start(time_point now, supervised_class& klass, const process_key& key,
                                           effects& out) {
  if (processes.size() >= settings.processes_max) {
    return fail(errc::overloaded, "the node runs " + std::to_string(processes.size()) +
                                      " processes, as many as it may; retry later or add nodes");
  }
  const auto slot = admit(klass, key);
  // As in OTP, a child that cannot start the first time is the starter's error and does not count as a restart.
  if (const auto failed = bring_up(now, slot, out)) {
    auto why = exited_error(name_of(processes[slot]), *failed, took_effect::not_executed);
    why.context += " (while it started)";
    remove(slot);
    return fail(std::move(why));
  }
  emit(process_event::kind::started, slot, {}, out);
  return slot;
}

void runtime::impl::drop_mailbox(std::uint32_t slot, const exit_reason& reason, effects& out) {
  auto& mailbox = processes[slot].mailbox;
  while (!mailbox.empty()) {
    const message dropped = take_message(mailbox.first());
    if (dropped.kind == message_kind::call) {
      out.emplace_back(
          replied{dropped.token, fail(exited_error(name_of(processes[slot]), reason, took_effect::not_executed))});
    } else {
      ++counted.casts_dropped;
    }
  }
  set_runnable(slot, false);
}

void runtime::impl::remove(std::uint32_t slot) {
  process& removed = processes[slot];
  ORRERY_ASSERT(removed.mailbox.empty());
  set_runnable(slot, false);
  removed.klass->slots_by_key.erase(removed.key);
  removed.klass->children.remove(processes, slot);
  processes.release(slot);
}

void runtime::impl::exited(time_point now, std::uint32_t slot, exit_reason reason, effects& out) {
  process& ended = processes[slot];
  ended.body.reset();
  drop_mailbox(slot, reason, out);
  emit(process_event::kind::exited, slot, reason, out);
  if (wants_restart(ended.klass->spec.supervision.restart, reason)) return restart(now, slot, std::move(reason), out);
  remove(slot);
}

void runtime::impl::shut_down(time_point now, std::uint32_t slot, const exit_reason& reason, effects& out) {
  process& ended = processes[slot];
  if (ended.body) ended.body->terminate(scope_of(now, ended, out), reason);
  drop_mailbox(slot, reason, out);
  emit(process_event::kind::exited, slot, reason, out);
  remove(slot);
}

void runtime::impl::restart(time_point now, std::uint32_t slot, exit_reason reason, effects& out) {
  process& returning = processes[slot];
  supervised_class& klass = *returning.klass;
  for (;;) {
    const auto& supervision = klass.spec.supervision;
    const bool within = klass.window.admit(now, supervision.intensity, supervision.period);
    if (!within || !processes.renew(slot)) {
      const auto why =
          "supervisor root/" + klass.spec.name.value + " gave up: more than " + std::to_string(supervision.intensity) +
          " restarts within " +
          std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(supervision.period).count()) +
          " ms; the last was " + to_string(name_of(returning)) + ", " + to_string(reason);
      remove(slot);  // it has no body: its exit is told already
      return give_up(now, klass, why, out);
    }
    ++klass.restarts;
    ++returning.restarts;
    returning.last = std::make_unique<last_exit>(last_exit{reason, now});
    auto failed = bring_up(now, slot, out);
    if (!failed) return emit(process_event::kind::restarted, slot, std::move(reason), out);
    reason = std::move(*failed);
    emit(process_event::kind::exited, slot, reason, out);
  }
}

void runtime::impl::shut_down_children(time_point now, supervised_class& klass, const exit_reason& reason,
                                       effects& out) {
  while (!klass.children.empty())
    shut_down(now, klass.children.last(), reason, out);  // OTP: in the reverse order of their start
}

void runtime::impl::give_up(time_point now, supervised_class& klass, const std::string& why, effects& out) {
  ++klass.gave_up;
  klass.window.clear();  // whoever restarts it, it starts with no history and no children
  shut_down_children(now, klass, {exit_reason::kind::shutdown, why}, out);
  out.emplace_back(escalated{klass.spec.name, klass.spec.supervision.escalate, why});
  if (klass.spec.supervision.escalate != escalation::parent) return;
  if (root_window.admit(now, root_intensity, root_period)) return;
  root_window.clear();
  out.emplace_back(escalated{klass.spec.name, escalation::node,
                             "supervisor root gave up: more than " + std::to_string(root_intensity) +
                                 " restarts of class supervisors within 10 s; the last: " + why});
}

void runtime::impl::renew(time_point now, std::uint32_t slot, effects& out) {
  process& old = processes[slot];
  const exit_reason reason{exit_reason::kind::shutdown, "its class has another behaviour now"};
  old.body->terminate(scope_of(now, old, out), reason);
  old.body.reset();
  emit(process_event::kind::exited, slot, reason, out);
  if (!processes.renew(slot)) return drop_mailbox(slot, reason, out), remove(slot);
  auto failed = bring_up(now, slot, out);
  if (!failed) return emit(process_event::kind::started, slot, {}, out);
  exited(now, slot, std::move(*failed), out);
}

result<handoff> runtime::take(time_point now, const process_name& name, effects& out) {
  static_cast<void>(now);
  const auto slot = impl_->find(name);
  if (slot == no_slot) return fail(errc::not_found, "no process " + to_string(name) + " runs here");
  process& leaving = impl_->processes[slot];
  auto state = leaving.body->snapshot();
  if (!state) return fail(errc::internal, to_string(name) + " cannot be handed over: " + state.error().context);
  handoff packed{name, leaving.klass->spec.version, leaving.restarts, std::move(*state), {}};
  packed.mailbox.reserve(leaving.mailbox.size());
  while (!leaving.mailbox.empty()) {
    message waiting = impl_->take_message(leaving.mailbox.first());
    packed.mailbox.push_back({std::move(waiting.method), std::move(waiting.argument),
                              waiting.kind == message_kind::call ? std::optional{waiting.token} : std::nullopt,
                              waiting.deadline});
  }
  impl_->emit(process_event::kind::moved_out, slot, {exit_reason::kind::moved, {}}, out);
  impl_->remove(slot);
  return packed;
}

result<void> runtime::install(time_point now, handoff arrived, effects& out) {
  supervised_class* klass = impl_->find_class(arrived.name.klass);
  if (klass == nullptr) return fail(errc::not_found, "no class '" + arrived.name.klass.value + "' here");
  if (impl_->find(arrived.name) != no_slot) {
    return fail(errc::already_exists, "process " + to_string(arrived.name) + " runs here already");
  }
  if (impl_->processes.size() >= impl_->settings.processes_max) {
    return fail(errc::overloaded, "the node runs as many processes as it may");
  }
  const auto slot = impl_->admit(*klass, arrived.name.key);
  process& installed = impl_->processes[slot];
  installed.type = klass->type.get();
  installed.body = installed.type->make();
  installed.started_at = now;
  installed.restarts = arrived.restarts;
  const auto restored =
      installed.body->restore(impl_->scope_of(now, installed, out), impl_->next_seed(installed), arrived.state);
  if (!restored) {
    impl_->remove(slot);
    return fail(restored.error());
  }
  impl_->emit(process_event::kind::moved_in, slot, {}, out);
  for (auto& waiting : arrived.mailbox) {
    if (waiting.token) {
      call(now,
           {arrived.name, std::move(waiting.method), std::move(waiting.argument), waiting.deadline, *waiting.token},
           out);
    } else {
      (void)cast(now, arrived.name, std::move(waiting.method), std::move(waiting.argument), out);
    }
  }
  return {};
}

}  // namespace orrery::process
