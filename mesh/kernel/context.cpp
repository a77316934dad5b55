#include "mesh/kernel/body.hpp"
#include "mesh/kernel/core.hpp"

#include <utility>

namespace orrery::kernel {

handle context::parent() const { return core_.processes_[self_.slot].parent; }

// ---- messages ----

void context::send(handle to, atom word, value payload) {
  core_.deliver(now_, self_, to, message::kind::plain, no_reference, word, std::move(payload));
}

void context::cast(handle to, atom word, value payload) {
  core_.deliver(now_, self_, to, message::kind::cast, no_reference, word, std::move(payload));
}

reference context::call(handle to, atom word, value payload, duration timeout) {
  return core_.make_call(now_, self_.slot, to, word, std::move(payload), timeout);
}

bool context::give_up(reference asked) { return core_.give_up(self_.slot, asked); }

void context::await(reference asked) {
  process& of = core_.processes_[self_.slot];
  of.awaiting = asked;
  if (core_.relations_.alive(asked.slot, asked.generation)) return;
  for (auto at = of.mailbox.first(); at != no_slot; at = core_.messages_[at].place.next) {
    if (core_.messages_[at].what != message::kind::reply || core_.messages_[at].ref != asked) continue;
    of.mailbox.remove(core_.messages_, at);
    of.mailbox.push_front(core_.messages_, at);
    return;
  }
  of.awaiting = no_reference;  // answered before: nothing will ever come
}

void context::reply(const caller& to, result<value> answer) { core_.answer(now_, to, std::move(answer)); }

bool context::waits(const caller& asked) const { return core_.waited_for(asked); }

void context::resume(value payload) {
  message* posted = core_.post(now_, self_.slot, message::kind::resume);
  if (posted == nullptr) return;
  posted->payload = std::move(payload);
  core_.put_first(*posted);
}

void context::pause() { core_.processes_[self_.slot].paused = true; }
void context::put_back() { core_.processes_[self_.slot].keeps = true; }
bool context::puts_back() const { return core_.processes_[self_.slot].keeps; }

reference context::alias() {
  const auto made = core_.relate(relation::kind::alias, self(), nobody, self());
  return made == no_slot ? no_reference : core_.reference_of(made);
}

void context::unalias(reference given) {
  auto& relations = core_.relations_;
  if (!relations.alive(given.slot, given.generation)) return;
  const relation& tie = relations[given.slot];
  if (tie.what == relation::kind::alias && tie.ends[0].who == self()) core_.unrelate(given.slot);
}

void context::send_alias(handle to, reference alias, atom word, value payload) {
  core_.deliver_alias(now_, self(), to, alias, word, std::move(payload));
}

// ---- other processes ----

spawned context::spawn(std::unique_ptr<body> what, const spawn_options& how) {
  const bool room = core_.has_room_for(how);
  const auto slot = room ? core_.admit(std::move(what), how, self()) : no_slot;
  if (slot == no_slot) {
    const char* why = room ? "as many processes run as may" : relations_limit;
    core_.doom(self_.slot, {exit_reason::kind::system_limit, why}, false);
    return {};
  }
  spawned made{core_.handle_of(slot), no_reference};
  if (how.link) static_cast<void>(core_.relate(relation::kind::link, self(), made.who, self()));
  if (how.monitor) made.monitor = core_.make_monitor(now_, self_.slot, made.who);
  core_.update_runnable(slot);
  return made;
}

tl::expected<spawned, exit_reason> context::start(std::unique_ptr<body> what, const spawn_options& how) {
  const auto slot = core_.start_now(now_, std::move(what), how, self());
  if (!slot) return tl::unexpected(slot.error());
  spawned made{core_.handle_of(*slot), no_reference};
  if (how.monitor) made.monitor = core_.make_monitor(now_, self_.slot, made.who);
  return made;
}

void context::link(handle with) { core_.make_link(now_, self_.slot, with); }
void context::unlink(handle with) { core_.break_link(self_.slot, with); }
reference context::monitor(handle target) { return core_.make_monitor(now_, self_.slot, target); }
void context::demonitor(reference watched, bool flush) { core_.drop_monitor(self_.slot, watched, flush); }

void context::exit(handle to, exit_reason why) { core_.send_exit(now_, self(), to, why); }

void context::adopt(handle child, std::uint32_t note) {
  process* adopted = core_.find(child);
  if (adopted == nullptr) return;
  adopted->parent = self();
  adopted->note = note;
  link(child);
}

// ---- itself ----

void context::stop(exit_reason why) { core_.doom(self_.slot, std::move(why), true); }

void context::abort(exit_reason why) { core_.doom(self_.slot, std::move(why), false); }

bool context::trap_exits(bool on) {
  const bool before = core_.processes_[self_.slot].trapping;
  core_.processes_[self_.slot].trapping = on;
  return before;
}

void context::charge(std::uint32_t messages) { core_.charged_ += messages; }

void context::worked(std::uint64_t units) { core_.processes_[self_.slot].work += units; }

void context::receive_timeout(duration length) { core_.set_timeout(now_, self_.slot, length); }

bool context::register_name(atom name) {
  process& of = core_.processes_[self_.slot];
  if (name == atom{} || of.name != atom{} || of.doomed) return false;
  if (!core_.names_.emplace(name.value, self()).second) return false;
  of.name = name;
  return true;
}

void context::unregister_name() {
  const auto name = std::exchange(core_.processes_[self_.slot].name, atom{});
  if (name != atom{}) core_.names_.erase(name.value);
}

// ---- timers ----

reference context::send_after(duration delay, handle to, atom word, value payload) {
  return core_.set_timer(now_, self(), delay, to, word, std::move(payload));
}

std::optional<duration> context::cancel(reference timer) { return core_.cancel_timer(now_, timer); }

std::optional<duration> context::cancel_own(reference timer) {
  const auto& relations = core_.relations_;
  if (!relations.alive(timer.slot, timer.generation) || relations[timer.slot].ends[0].who != self_) return {};
  return core_.cancel_timer(now_, timer);
}

}  // namespace orrery::kernel
