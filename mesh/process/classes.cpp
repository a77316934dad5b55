// Classes; processes that start, end and move.
#include "mesh/process/runtime_impl.hpp"

#include <algorithm>
#include <utility>

namespace orrery::process {

// ---- what the kernel and the supervisors say ----

void runtime::impl::replied(kernel::call_token token, result<value> answer) {
  out().emplace_back(process::replied{reply_token{token.value}, std::move(answer)});
}

void runtime::impl::ended(kernel::handle who, std::uint64_t tag, const exit_reason& why) {
  forget_entries(who);
  if (is_supervisor(tag)) return supervisor_ended(who, tag);
  if (tag == client_tag) return client_ended(who, why);
  const auto name = static_cast<std::uint32_t>(tag);
  if (names.taken(name)) spawned_ended(name, why);  // of others their supervisors tell
}

void runtime::impl::mailbox_full(std::uint64_t tag, kernel::at_the_bound what) {
  if (is_supervisor(tag) || tag == client_tag || !names.taken(static_cast<std::uint32_t>(tag))) return;
  auto& counts = names[static_cast<std::uint32_t>(tag)].klass->mailboxes;
  switch (what) {
    case kernel::at_the_bound::refused:
      ++counts.refused;
      break;
    case kernel::at_the_bound::displaced:
      ++counts.displaced;
      break;
    case kernel::at_the_bound::waits:
      ++counts.waited;
      break;
  }
}

std::string runtime::impl::describe(std::uint64_t tag) const {
  if (is_supervisor(tag)) {
    const auto found = by_id.find(static_cast<std::uint32_t>(tag));
    return found == by_id.end() ? "a supervisor" : "supervisor " + path_of(found->second);
  }
  if (tag == client_tag) return "a client's process";
  const auto slot = static_cast<std::uint32_t>(tag);
  return names.taken(slot) && names[slot].klass != nullptr ? to_string(name_of(names[slot])) : "the process";
}

void runtime::impl::emit(process_event::kind what, std::uint32_t name, exit_reason reason) {
  const named& of = names[name];
  if (traces.any()) trace_life(what, name, reason);
  out().emplace_back(
      process_event{what, name_of(of), pid{settings.node, of.who.slot, of.who.generation}, std::move(reason)});
}

std::unique_ptr<kernel::body> supervised_class::make(std::uint64_t tag) {
  return std::make_unique<hosted>(*this, static_cast<std::uint32_t>(tag));
}

void supervised_class::child_started(std::uint64_t tag, kernel::handle who) {
  if (is_supervisor(tag)) return owner.supervisor_started(tag, who);
  named& of = owner.names[static_cast<std::uint32_t>(tag)];
  of.who = who;
  of.live = true;
  of.note = owner.core.note_of(who).value_or(kernel::no_slot);
  of.started_at = owner.now;
  owner.emit(owner.moving_in ? process_event::kind::moved_in : process_event::kind::started,
             static_cast<std::uint32_t>(tag), {});
}

void supervised_class::child_ended(std::uint64_t tag, const exit_reason& why, bool final) {
  if (is_supervisor(tag)) return;
  const auto name = static_cast<std::uint32_t>(tag);
  owner.emit(process_event::kind::exited, name, why);
  if (is_crash(why)) owner.report_crash(name, why, final);
  named& of = owner.names[name];
  of.live = false;
  if (!final) return;
  auto* child = of.declared ? find_declared(of.key) : nullptr;
  if (child == nullptr) return owner.forget(name);
  // Its supervisor still lists it, so that it comes back with its siblings, unless it is temporary.
  const bool kept = child->spec.restart.value_or(spec.supervision.restart) != restart_type::temporary;
  kept ? owner.set_down(name, true) : owner.forget(name);
  child->ended = true;
}

void supervised_class::child_restarted(std::uint64_t tag, kernel::handle who, const exit_reason& why) {
  if (is_supervisor(tag)) return owner.supervisor_restarted(tag, who, why);
  const auto name = static_cast<std::uint32_t>(tag);
  named& of = owner.names[name];
  of.who = who;
  of.live = true;
  of.note = owner.core.note_of(who).value_or(kernel::no_slot);
  of.started_at = owner.now;
  owner.set_down(name, false);
  ++of.restarts;
  ++restarts;
  of.last = std::make_unique<last_exit>(last_exit{why, owner.now});
  owner.emit(process_event::kind::restarted, name, why);
  if (is_crash(why)) owner.crash_reports.decide(owner.name_of(of), crash_decision::restarted);
}

void supervised_class::child_given_up(std::uint64_t tag, const std::string& why) {
  if (is_supervisor(tag)) return;
  const auto name = static_cast<std::uint32_t>(tag);
  owner.crash_reports.decide(owner.name_of(owner.names[name]), crash_decision::given_up);
  owner.give_up(name, why);
}

// ---- classes ----

result<void> runtime::define(class_spec spec) {
  if (auto sound = validate(spec); !sound) return sound;
  if (auto sound = impl_->check_parent(spec); !sound) return sound;
  if (supervised_class* known = impl_->find_class(spec.name); known != nullptr) {
    if (spec == known->spec) return {};
    return impl_->replace(*known, std::move(spec));
  }
  auto type = impl_->make_type(spec);
  if (!type) return fail(type.error());
  auto added = std::make_unique<supervised_class>(*impl_, impl_->classes_made++);
  added->type = std::make_unique<shared_type>(shared_type{std::move(*type)});
  added->spec = std::move(spec);
  auto& defined = *impl_->classes.emplace(added->spec.name, std::move(added)).first->second;
  impl_->redeclare(defined);
  impl_->by_id.emplace(defined.id, &defined);
  impl_->app_class_changed(defined);
  return {};
}

result<void> runtime::impl::replace(supervised_class& known, class_spec spec) {
  const auto upgraded = known.type->of->upgrade(spec);
  if (!upgraded) return fail(upgraded.error());
  if (!*upgraded) {
    auto type = make_type(spec);
    if (!type) return fail(type.error());
    let_go_of_app(known);
    std::erase_if(known.replaced, [](const auto& old) { return old->users == 0; });
    known.replaced.push_back(std::exchange(known.type, std::make_unique<shared_type>(shared_type{std::move(*type)})));
  }
  const auto before = std::exchange(known.spec, std::move(spec)).limits;
  const auto& limits = known.spec.limits;
  known.has_finished = false;
  release_all(known);
  redeclare(known);
  app_class_changed(known);
  if (core.alive(known.supervised_by)) {
    static_cast<supervisor*>(core.body_of(known.supervised_by))->retune(spec_of_supervisor(known));
  }
  if (before.mailbox_max == limits.mailbox_max && before.mailbox_policy == limits.mailbox_policy) return {};
  for (const auto first : {known.children.first(), known.spawned.first()}) {
    for (auto at = first; at != kernel::no_slot; at = names[at].among_children.next)
      core.set_mailbox(names[at].who, limits.mailbox_max, limits.mailbox_policy);
  }
  return {};
}

void runtime::undefine(time_point now, const class_name& name, effects& out) {
  const impl::sink into(*impl_, now, out);
  auto& of = *impl_;
  supervised_class* klass = of.find_class(name);
  if (klass == nullptr) return;
  klass->leaving = true;
  for (const auto& [other, below] : of.classes) {
    if (below->below == klass) static_cast<void>(of.move_below_parent(*below));
  }
  of.stop_spawned(*klass, {exit_reason::kind::shutdown, "its class is gone"});
  while (!klass->children.empty()) {
    const auto last = klass->children.last();
    of.names[last].live ? of.shut_down(last, {exit_reason::kind::shutdown, "its class is gone"}) : of.abandon(last);
  }
  if (of.core.alive(klass->supervised_by)) {
    static_cast<void>(of.ask(of.supervisor_above(*klass), [&](supervisor& above, kernel::context& self) {
      return above.release(self, klass->supervised_by);
    }));
    of.core.stop(now, klass->supervised_by, {});
  } else {
    of.leave_parent(*klass);
  }
  of.release_all(*klass);
  of.last_class = nullptr;
  of.by_id.erase(klass->id);
  of.classes.erase(name);
  of.apps.class_changed(name, app_class_state::undeclared, 0);
  of.apps.prune();
}

// ---- processes ----

std::uint64_t runtime::impl::next_seed(const supervised_class& klass, std::uint32_t name) {
  // One way: a script sees what its seed leads to, and is not to learn of it what seals callers.
  return siphash({settings.seed ^ stable_hash(klass.spec.name.value), ++lives}, names[name].key);
}

std::uint32_t runtime::impl::admit(supervised_class& klass, const process_key& key) {
  const auto slot = names.take();
  named& admitted = names[slot];
  admitted.key = key.value;
  admitted.klass = &klass;
  klass.by_key.add(admitted.key, slot);
  klass.children.push_back(names, slot);
  return slot;
}

void runtime::impl::forget(std::uint32_t name) {
  named& gone = names[name];
  to_tell.erase(name);
  if (traces.any()) traces.forgot(name);
  set_down(name, false);
  if (auto* child = gone.declared ? gone.klass->find_declared(gone.key) : nullptr; child != nullptr) {
    child->name = kernel::no_slot;
  }
  gone.klass->by_key.remove(gone.key, name);
  gone.klass->children.remove(names, name);
  names.release(name);
}

result<kernel::handle> runtime::impl::start(supervised_class& klass, const process_key& key, arrival how) {
  const auto& most = klass.spec.limits.processes_max;
  if (how == arrival::called && most && klass.processes() >= *most) {
    return fail(errc::overloaded, "class '" + klass.spec.name.value + "' runs " + std::to_string(klass.processes()) +
                                      " processes on this node, as many as its limits.maxProcesses allows; retry "
                                      "later, add nodes or raise it");
  }
  if (names.size() >= settings.processes_max) {
    return fail(errc::overloaded, "the node runs " + std::to_string(names.size()) +
                                      " processes, as many as it may; retry later or add nodes");
  }
  if (auto* child = klass.find_declared(key.value); child != nullptr) return start(klass, *child, how);
  const auto supervising = supervisor_of(klass);
  if (!supervising) return supervising;
  const auto name = admit(klass, key);
  const auto begun = ask(
      *supervising, [&](supervisor& of, kernel::context& self) { return of.start_child(self, std::uint64_t{name}); });
  // As in OTP, a child that cannot start the first time is the starter's error and does not count as a restart.
  if (!begun) {
    report_failed_start(name);
    forget(name);
  }
  return begun;
}

void runtime::impl::shut_down(std::uint32_t name, const exit_reason& reason) {
  const auto who = names[name].who;
  static_cast<void>(ask(names[name].klass->supervised_by,
                        [&](supervisor& of, kernel::context& self) { return of.release(self, who); }));
  core.stop(now, who, reason);
  emit(process_event::kind::exited, name, reason);
  if (auto* child = names[name].declared ? names[name].klass->find_declared(names[name].key) : nullptr) {
    child->ended = true;
  }
  forget(name);
}

bool runtime::stop(time_point now, const process_name& name, effects& out) {
  const impl::sink into(*impl_, now, out);
  const auto slot = impl_->find(name);
  if (slot == kernel::no_slot) return false;
  if (impl_->names[slot].live) {
    impl_->shut_down(slot, {exit_reason::kind::normal, {}});
  } else {
    impl_->abandon(slot);
  }
  return true;
}

bool runtime::kill(time_point now, const process_name& name, std::string reason, effects& out) {
  const impl::sink into(*impl_, now, out);
  const auto slot = impl_->find(name);
  if (slot == kernel::no_slot || !impl_->names[slot].live) return false;
  if (impl_->core.alive(impl_->names[slot].who)) impl_->note_scene(slot, nullptr, nullptr);
  impl_->core.exit(now, impl_->names[slot].who, {exit_reason::kind::kill, std::move(reason)});
  return true;
}

// ---- processes on their way ----

result<handoff> runtime::take(time_point now, const process_name& name, effects& out) {
  const impl::sink into(*impl_, now, out);
  auto& of = *impl_;
  const auto slot = of.find(name);
  if (slot == kernel::no_slot) return fail(errc::not_found, "no process " + to_string(name) + " runs here");
  if (!of.names[slot].live) {
    of.abandon(slot);
    return fail(errc::not_found, to_string(name) + " was about to start again here, with no state to hand over");
  }
  const auto who = of.names[slot].who;
  if (!of.core.alive(who)) return fail(errc::unavailable, to_string(name) + " is just ending; retry");
  of.end_pause(who);
  auto& leaving = *static_cast<hosted*>(of.core.body_of(who));
  if (leaving.inner().busy()) {
    of.to_tell.insert(slot);
    return fail(errc::unavailable, to_string(name) + " is handling a message, and goes when that is done");
  }
  auto state = leaving.snapshot();
  if (state && state->cbor().size() > value_bytes_max) {  // a peer would take it for a fault of the protocol
    state = fail(errc::limit_exceeded, "its state and what it waits for have " + std::to_string(state->cbor().size()) +
                                           " bytes; " + std::to_string(value_bytes_max) + " are allowed");
  }
  if (!state) return fail(state.error().code, to_string(name) + " cannot be handed over: " + state.error().context);
  handoff packed{.name = name,
                 .class_version = leaving.version(),
                 .restarts = of.names[slot].restarts,
                 .state = std::move(*state),
                 .mailbox = {},
                 .suspended = of.core.load_of(who).suspended,
                 .facts = of.facts_of(who),
                 .code = leaving.code()};
  static_cast<void>(of.ask(of.names[slot].klass->supervised_by,
                           [&](supervisor& what, kernel::context& self) { return what.release(self, who); }));
  std::vector<unanswered> kept;
  of.core.enter(now, who,
                [&](kernel::body& what, kernel::context& self) { kept = static_cast<hosted&>(what).leave(self); });
  for (auto& each : kept) {
    const auto call = of.core.take_back(each.from);
    if (!call) continue;  // its deadline has passed
    packed.mailbox.push_back(
        {std::move(each.method), std::move(each.argument), reply_token{call->token->value}, call->deadline});
  }
  for (auto& waiting : of.core.withdraw(now, who)) {
    const bool plain = waiting.what == kernel::message::kind::plain;
    std::string word{of.core.atoms().text(waiting.word)};
    if (plain && waiting.from == who && word == app_notice_word) continue;  // the snapshot has what it announces
    packed.mailbox.push_back({std::move(word), std::move(waiting.payload),
                              waiting.token ? std::optional{reply_token{waiting.token->value}} : std::nullopt,
                              waiting.deadline, plain});
  }
  of.emit(process_event::kind::moved_out, slot, {exit_reason::kind::moved, {}});
  if (auto* child = of.names[slot].klass->find_declared(name.key.value); child != nullptr) child->here = false;
  of.forget(slot);
  return packed;
}

void runtime::impl::pause(kernel::handle who) {
  core.suspend(who);
  paused.push_back({after(now, pause_length), who});
}

void runtime::impl::tell_movable(std::uint32_t name, kernel::handle who) {
  if (to_tell.erase(name) == 0) return;
  pause(who);
  out().emplace_back(movable{name_of(names[name])});
}

void runtime::impl::end_pauses(time_point until) {
  for (; !paused.empty() && paused.front().until <= until; paused.pop_front())
    core.resume(paused.front().who);
}

void runtime::impl::end_pause(kernel::handle who) {
  if (std::erase_if(paused, [&](const paused_process& each) { return each.who == who; }) > 0) core.resume(who);
}

void runtime::impl::set_timer(kernel::handle who, handoff::waiting& timer) {
  const auto word = core.atoms().intern(timer.method);
  if (!word) return;
  core.enter(now, who, [&](kernel::body&, kernel::context& self) {
    const auto set = self.send_after(timer.deadline - now, who, *word, timer.argument);
    static_cast<hosted*>(core.body_of(who))->inner().timer_restored(timer.argument, set);
  });
}

result<void> runtime::install(time_point now, handoff arrived, effects& out) {
  const impl::sink into(*impl_, now, out);
  auto& of = *impl_;
  supervised_class* klass = of.find_class(arrived.name.klass);
  if (klass == nullptr) return fail(errc::not_found, "no class '" + arrived.name.klass.value + "' here");
  if (of.find(arrived.name) != kernel::no_slot) {
    return fail(errc::already_exists, "process " + to_string(arrived.name) + " runs here already");
  }
  if (const auto ended = of.find_any(*klass, arrived.name.key.value); ended != kernel::no_slot) of.abandon(ended);
  of.installing = std::move(arrived.state);
  of.installing_version = arrived.class_version;
  of.installing_code = arrived.code;
  of.not_restored.reset();
  of.moving_in = true;
  const auto begun = of.start(*klass, arrived.name.key, impl::arrival::moved);
  of.moving_in = false;
  of.installing.reset();
  if (!begun) return fail(of.not_restored ? *of.not_restored : begun.error());
  of.names[of.find(arrived.name)].restarts = arrived.restarts;
  if (arrived.suspended) static_cast<void>(of.core.suspend(*begun));
  of.enter_facts(*begun, arrived.facts);
  for (auto& waiting : arrived.mailbox) {
    if (waiting.is_timer()) {
      if (of.core.alive(*begun)) of.set_timer(*begun, waiting);
    } else if (waiting.token) {
      call(now,
           {arrived.name, std::move(waiting.method), std::move(waiting.argument), waiting.deadline, *waiting.token},
           out);
    } else if (waiting.plain) {
      inform(now, arrived.name, waiting.method, std::move(waiting.argument), out);
    } else {
      (void)cast(now, arrived.name, std::move(waiting.method), std::move(waiting.argument), out);
    }
  }
  return {};
}

}  // namespace orrery::process
