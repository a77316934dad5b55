#include "mesh/kernel/core.hpp"

#include "mesh/wire/cbor.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace orrery::kernel {
namespace {

constexpr std::uint32_t turn_max = 16;       ///< messages that one process handles before the next one's turn
constexpr std::size_t charged_bytes = 4096;  ///< sent to other kernels: as much work as one message
constexpr std::uint32_t depth_max = 64;      ///< processes that start one within the other's start

[[nodiscard]] bool from_users(message::kind what) noexcept {
  return what == message::kind::plain || what == message::kind::cast || what == message::kind::call;
}

}  // namespace

exit_reason reason_of(const message& ended) {
  const auto detail = cbor::text_of(ended.payload);
  return {ended.why, std::string{detail.value_or(std::string_view{})}};
}

result<value> outcome_of(const message& reply) {
  if (!reply.failed) return reply.payload;
  return fail(static_cast<errc>(reply.word.value),
              std::string{cbor::text_of(reply.payload).value_or(std::string_view{})}, reply.effect);
}

core::core(options chosen, surroundings& around) : options_(chosen), around_(around), nodes_(1) {}
core::~core() = default;

// ---- starting ----

std::uint32_t core::admit(std::unique_ptr<body> what, const spawn_options& how, handle parent) {
  if (processes_.size() >= options_.processes_max) return no_slot;
  const auto slot = processes_.take();
  process& added = processes_[slot];
  added.what = std::move(what);
  added.starting = true;
  added.trapping = how.trap_exits;
  added.priority = how.priority;
  added.announced = how.announced;
  added.when_full = how.when_full;
  added.mailbox_max = how.mailbox_max;
  added.parent = parent;
  added.tag = how.tag;
  added.note = how.note;
  ++counted_.spawned;
  return slot;
}

bool core::run_started(time_point now, std::uint32_t slot) {
  within(now, slot, [](body& what, context& self) { what.started(self); });
  process& begun = processes_[slot];
  begun.starting = false;
  return !begun.doomed;
}

tl::expected<std::uint32_t, exit_reason> core::start_now(time_point now, std::unique_ptr<body> what,
                                                         const spawn_options& how, handle parent) {
  const auto refused = [](const char* why) {
    return tl::unexpected(exit_reason{exit_reason::kind::system_limit, why});
  };
  if (depth_ >= depth_max) return refused("too many processes start within each other");
  if (!has_room_for(how)) return refused(relations_limit);
  const auto slot = admit(std::move(what), how, parent);
  if (slot == no_slot) return refused("as many processes run as may");
  processes_[slot].held = true;
  if (how.link && find(parent) != nullptr) {
    static_cast<void>(relate(relation::kind::link, handle_of(slot), parent, nobody));
  }
  if (run_started(now, slot)) {
    processes_[slot].held = false;
    update_runnable(slot);
    return slot;
  }
  const exit_reason why = *processes_[slot].why;
  // A parent that traps exits hears it once, from start; one that does not goes with its child.
  if (how.link && find(parent) != nullptr && processes_[parent.slot].trapping) break_link(slot, parent);
  finish(now, slot);
  return tl::unexpected(why);
}

result<handle> core::spawn(time_point now, std::unique_ptr<body> what, const spawn_options& how) {
  const auto slot = admit(std::move(what), how, nobody);
  if (slot == no_slot) return fail(errc::overloaded, "as many processes run as may; retry later or add nodes");
  update_runnable(slot);
  settle(now);
  return handle_of(slot);
}

tl::expected<handle, exit_reason> core::start(time_point now, std::unique_ptr<body> what, const spawn_options& how) {
  const auto slot = start_now(now, std::move(what), how, nobody);
  const auto begun = slot ? tl::expected<handle, exit_reason>{handle_of(*slot)} : tl::unexpected(slot.error());
  settle(now);
  return begun;
}

// ---- messages ----

bool core::make_room(time_point now, process& full, message::kind what) {
  if (full.when_full == overflow::block) {
    const bool room = full.mailbox.size() < std::uint64_t{full.mailbox_max} + blocked_max;
    return what == message::kind::call && room && messages_.size() < options_.messages_max;
  }
  if (full.when_full == overflow::reject) return false;
  auto oldest = full.mailbox.first();
  while (oldest != no_slot && !from_users(messages_[oldest].what))
    oldest = messages_[oldest].place.next;
  if (oldest == no_slot) return false;
  discard(now, oldest,
          {errc::overloaded, "newer messages took its place in a full mailbox", took_effect::not_executed});
  return true;
}

message* core::post(time_point now, std::uint32_t receiver, message::kind what) {
  process& to = processes_[receiver];
  const bool bounded = from_users(what);
  const bool full = bounded && (to.mailbox.size() >= to.mailbox_max || messages_.size() >= options_.messages_max);
  if (to.doomed || (full && !make_room(now, to, what))) {
    if (what != message::kind::call) ++counted_.dropped;
    if (!to.doomed) around_.mailbox_full(to.tag, at_the_bound::refused);
    return nullptr;
  }
  if (full) {
    const bool waits = to.when_full == overflow::block;
    around_.mailbox_full(to.tag, waits ? at_the_bound::waits : at_the_bound::displaced);
  }
  const auto slot = messages_.take();
  message& posted = messages_[slot];
  posted.what = what;
  posted.why = exit_reason::kind::normal;
  posted.failed = false;
  posted.effect = took_effect::not_executed;
  posted.word = atom{};
  posted.from = nobody;
  posted.ref = no_reference;
  posted.arrived = now;
  posted.receiver = receiver;
  posted.weight = 0;
  to.mailbox.push_back(messages_, slot);
  if (!to.runnable) update_runnable(receiver);
  return &posted;
}

void core::fill(message& posted, value&& payload) {
  posted.weight = static_cast<std::uint32_t>(payload.cbor().size());
  queued_bytes_ += posted.weight;
  processes_[posted.receiver].queued += posted.weight;
  posted.payload = std::move(payload);
}

void core::release(std::uint32_t message_slot) {
  const message& gone = messages_[message_slot];
  queued_bytes_ -= gone.weight;
  processes_[gone.receiver].queued -= gone.weight;
  messages_.release(message_slot);
}

void core::put_first(message& posted) {
  process& to = processes_[posted.receiver];
  const auto slot = to.mailbox.last();
  to.mailbox.remove(messages_, slot);
  to.mailbox.push_front(messages_, slot);
  update_runnable(posted.receiver);
}

/// A message that was taken goes back.
void core::keep(std::uint32_t message_slot) {
  message& kept = messages_[message_slot];
  processes_[kept.receiver].keeps = false;
  processes_[kept.receiver].mailbox.push_front(messages_, message_slot);
  --processes_[kept.receiver].handled;
  --counted_.handled;
  if (kept.what == message::kind::call && relations_.alive(kept.ref.slot, kept.ref.generation)) {
    relations_[kept.ref.slot].request = message_slot;
  }
}

void core::discard(time_point now, std::uint32_t message_slot, error why) {
  const message& gone = messages_[message_slot];
  const bool was_call = gone.what == message::kind::call;
  const reference ref = gone.ref;
  remove_waiting(message_slot);
  if (!was_call) ++counted_.dropped;
  if (was_call && relations_.alive(ref.slot, ref.generation)) conclude(now, ref.slot, fail(std::move(why)));
}

void core::remove_waiting(std::uint32_t message_slot) {
  const auto receiver = messages_[message_slot].receiver;
  processes_[receiver].mailbox.remove(messages_, message_slot);
  release(message_slot);
  update_runnable(receiver);
}

void core::deliver(time_point now, const handle& from, const handle& to, message::kind what, reference ref, atom word,
                   value&& payload) {
  if (to.node != handle::here) {
    const auto as = what == message::kind::cast ? signal::kind::cast : signal::kind::plain;
    return transmit({.what = as, .word = word, .from = from, .to = to, .ref = ref, .payload = std::move(payload)});
  }
  if (find(to) == nullptr) {
    ++counted_.dropped;
    return;
  }
  message* posted = post(now, to.slot, what);
  if (posted == nullptr) return;
  posted->from = from;
  posted->ref = ref;
  posted->word = word;
  fill(*posted, std::move(payload));
}

void core::deliver_alias(time_point now, const handle& from, const handle& to, reference alias, atom word,
                         value&& payload) {
  if (to.node == handle::here) {
    const bool open = relations_.alive(alias.slot, alias.generation) &&
                      relations_[alias.slot].what == relation::kind::alias && relations_[alias.slot].ends[0].who == to;
    if (!open) return static_cast<void>(++counted_.late);
  }
  deliver(now, from, to, message::kind::plain, alias, word, std::move(payload));
}

void core::transmit(signal what) {
  if (what.to.node >= nodes_.size() || !nodes_[what.to.node].up) {
    ++counted_.dropped;
    return;
  }
  // What goes out is bounded as what is worked: a process that sends much waits the longer for its next turn.
  charged_ += static_cast<std::uint32_t>(what.payload.cbor().size() / charged_bytes);
  around_.transmit(std::move(what));
}

void core::send(time_point now, handle to, atom word, value payload) {
  deliver(now, nobody, to, message::kind::plain, no_reference, word, std::move(payload));
  settle(now);
}

void core::cast(time_point now, handle to, atom word, value payload) {
  deliver(now, nobody, to, message::kind::cast, no_reference, word, std::move(payload));
  settle(now);
}

// ---- running ----

void core::update_runnable(std::uint32_t slot) {
  process& of = processes_[slot];
  bool wanted = !of.doomed && !of.suspended && !of.paused && (of.starting || !of.mailbox.empty());
  if (wanted && !of.starting && of.awaiting != no_reference) {
    const message& first = messages_[of.mailbox.first()];
    wanted = first.what == message::kind::reply && first.ref == of.awaiting;
  }
  if (of.runnable == wanted) return;
  of.runnable = wanted;
  auto& queue = of.priority ? urgent_ : run_queue_;
  wanted ? queue.push_back(processes_, slot) : queue.remove(processes_, slot);
}

void core::handle_next(time_point now, std::uint32_t slot) {
  process& handling = processes_[slot];
  if (handling.starting) {
    static_cast<void>(run_started(now, slot));
  } else {
    const auto at = handling.mailbox.first();
    handling.mailbox.remove(messages_, at);
    message& arrived = messages_[at];
    if (handling.timeout != no_reference) clear_timeout(handling);
    if (handling.awaiting != no_reference) handling.awaiting = no_reference;
    if (arrived.what == message::kind::call) mark_taken(arrived.ref);
    ++handling.handled;
    ++counted_.handled;
    within(now, slot, [&](body& what, context& self) { what.received(self, arrived); });
    handling.keeps ? keep(at) : release(at);
  }
  if (handling.mailbox.empty() || handling.doomed || handling.suspended || handling.paused ||
      handling.awaiting != no_reference) {
    update_runnable(slot);
  }
  settle(now);
}

void core::settle(time_point now) {
  if (depth_ > 0) return;
  for (std::uint32_t urgent = 0; urgent < urgent_max;) {
    if (ending_at_ < ending_.size()) {
      finish(now, ending_[ending_at_++]);
    } else if (!urgent_.empty()) {
      ++urgent;
      const auto slot = urgent_.first();
      ++depth_;  // what follows from it is settled here, not in a nested call
      handle_next(now, slot);
      --depth_;
    } else {
      break;
    }
  }
  if (ending_at_ == ending_.size()) ending_.clear(), ending_at_ = 0;
}

bool core::run(time_point now, std::uint32_t budget) {
  timers_.expire(now, [&](timer&& due) { fire(now, std::move(due)); });
  settle(now);
  while (budget > 0 && !run_queue_.empty()) {
    const auto slot = run_queue_.first();
    for (std::uint32_t turn = 0; turn < turn_max && budget > 0 && run_queue_.first() == slot; ++turn) {
      charged_ = 1;
      handle_next(now, slot);
      budget -= std::min(budget, charged_);
      spent_ += charged_;
      if (charged_ > 1) turn += charged_ - 1;
    }
    if (run_queue_.first() != slot) continue;  // it has nothing left to do, or is no more
    run_queue_.remove(processes_, slot);
    run_queue_.push_back(processes_, slot);
  }
  return !idle();
}

// ---- looking ----

bool core::alive(handle who) const {
  const process* found = find(who);
  return found != nullptr && !found->doomed;
}

body* core::body_of(handle who) {
  process* found = find(who);
  return found == nullptr ? nullptr : found->what.get();
}

const body* core::body_of(handle who) const {
  const process* found = find(who);
  return found == nullptr ? nullptr : found->what.get();
}

std::optional<std::uint64_t> core::tag_of(handle who) const {
  const process* found = find(who);
  return found == nullptr ? std::nullopt : std::optional{found->tag};
}

process_load core::load_of(handle who) const {
  const process* of = find(who);
  if (of == nullptr) return {};
  process_load load{.waiting = of->mailbox.size(), .handled = of->handled, .timers = of->timers};
  load.queued_bytes = of->queued;
  load.timer_bytes = of->timer_bytes;
  load.work = of->work;
  load.suspended = of->suspended;
  if (!of->mailbox.empty()) load.oldest = messages_[of->mailbox.first()].arrived;
  return load;
}

std::optional<std::uint32_t> core::note_of(handle who) const {
  const process* found = find(who);
  return found == nullptr ? std::nullopt : std::optional{found->note};
}

handle core::whereis(atom name) const {
  const auto found = names_.find(name.value);
  return found == names_.end() ? nobody : found->second;
}

std::optional<process_state> core::inspect(handle who) const {
  const process* of = find(who);
  if (of == nullptr) return {};
  process_state state{.who = who, .parent = of->parent, .name = of->name, .tag = of->tag};
  state.waiting = of->mailbox.size();
  if (!of->mailbox.empty()) state.oldest = messages_[of->mailbox.first()].arrived;
  state.handled = of->handled;
  state.trapping = of->trapping;
  state.suspended = of->suspended;
  state.awaiting = of->awaiting != no_reference;
  for (auto at = of->relations; at != no_slot; at = relations_[at / 2].ends[at % 2].place.next) {
    const relation& tie = relations_[at / 2];
    if (tie.what == relation::kind::link) state.links.push_back(tie.ends[1 - at % 2].who);
    if (tie.what == relation::kind::monitor && at % 2 == 0) ++state.monitors;
    if ((tie.what == relation::kind::monitor || tie.what == relation::kind::call) && at % 2 == 1) ++state.monitored;
  }
  return state;
}

std::uint32_t core::visit(std::uint32_t from, const std::function<bool(handle)>& see) const {
  for (auto slot = from; slot < processes_.end(); ++slot) {
    if (processes_.taken(slot) && !see(handle_of(slot))) return slot + 1;
  }
  return no_slot;
}

bool core::suspend(handle who) {
  process* found = find(who);
  if (found == nullptr) return false;
  found->suspended = true;
  update_runnable(who.slot);
  return true;
}

bool core::resume(handle who) {
  process* found = find(who);
  if (found == nullptr) return false;
  found->suspended = false;
  update_runnable(who.slot);
  return true;
}

void core::set_mailbox(handle who, std::uint32_t mailbox_max, overflow when_full) {
  process* found = find(who);
  if (found == nullptr) return;
  found->mailbox_max = mailbox_max;
  found->when_full = when_full;
}

bool core::unpause(handle who) {
  process* found = find(who);
  if (found == nullptr) return false;
  found->paused = false;
  update_runnable(who.slot);
  return true;
}

bool core::take_turn(time_point now, handle who) {
  ORRERY_ASSERT(depth_ == 0);
  if (!unpause(who) || !processes_[who.slot].runnable) return false;
  handle_next(now, who.slot);
  return true;
}

void core::refuse_calls(time_point now, handle who, const error& why) {
  if (!alive(who)) return;
  for (auto at = processes_[who.slot].mailbox.first(); at != no_slot;) {
    const auto next = messages_[at].place.next;
    if (messages_[at].what == message::kind::call) discard(now, at, why);
    at = next;
  }
  settle(now);
}

bool core::announce(handle who) {
  process* found = find(who);
  if (found == nullptr) return false;
  found->announced = true;
  return true;
}

}  // namespace orrery::kernel
