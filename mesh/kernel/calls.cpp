// Calls: a relation from the request to the one answer, whoever asks and from wherever.
#include "mesh/kernel/core.hpp"
#include "mesh/wire/cbor.hpp"

#include <utility>

namespace orrery::kernel {

namespace {

constexpr std::size_t answer_always_kept = 1024;

}  // namespace

void put_outcome(signal& reply, result<value> outcome) {
  reply.failed = !outcome;
  if (outcome) {
    reply.payload = std::move(*outcome);
    return;
  }
  reply.effect = outcome.error().effect;
  reply.word = atom{static_cast<std::uint32_t>(outcome.error().code)};
  reply.payload = cbor::text_value(outcome.error().context);
}

reference core::call(time_point now, handle to, atom word, value payload, time_point deadline, call_token token) {
  if (deadline <= now) {
    around_.replied(token, fail(errc::deadline_exceeded, "the deadline of the call had passed when it arrived"));
    return no_reference;
  }
  if (!alive(to)) {
    around_.replied(token, fail(errc::not_found, "there is no such process"));
    return no_reference;
  }
  const auto made = relate(relation::kind::call, {handle::outside, 0, 0}, to, nobody);
  if (made == no_slot) {
    ++counted_.refused;
    around_.replied(token, fail(errc::overloaded, "as many calls wait as may; retry later"));
    return no_reference;
  }
  const reference asked = reference_of(made);
  relations_[made].note = token.value;
  if (deadline != never) set_deadline(deadline, made);
  post_call(now, made, to.slot, word, std::move(payload));
  settle(now);
  return asked;
}

bool core::cancel(reference asked, call_token token) {
  if (!relations_.alive(asked.slot, asked.generation)) return false;
  const relation& tie = relations_[asked.slot];
  const bool of_token =
      tie.what == relation::kind::call && tie.ends[0].who.node == handle::outside && tie.note == token.value;
  if (!of_token || tie.request == no_slot) return false;
  remove_waiting(tie.request);
  (void)withdraw_call(asked.slot);
  return true;
}

bool core::give_up(std::uint32_t caller, reference asked) {
  if (!relations_.alive(asked.slot, asked.generation)) return false;
  const relation& tie = relations_[asked.slot];
  if (tie.what != relation::kind::call || tie.ends[0].who != handle_of(caller)) return false;
  const bool waits = tie.request != no_slot;
  if (waits) remove_waiting(tie.request);
  (void)withdraw_call(asked.slot);
  return waits;
}

reference core::make_call(time_point now, std::uint32_t slot, handle to, atom word, value payload, duration timeout) {
  const handle self = handle_of(slot);
  const bool here = to.node == handle::here;
  const bool reachable = here ? alive(to) : to.node < nodes_.size() && nodes_[to.node].up;
  const auto made = relate(relation::kind::call, self, reachable ? to : nobody, self);
  if (made == no_slot) return no_reference;
  const reference ref = reference_of(made);
  const auto deadline = after(now, timeout);
  if (!reachable) {
    conclude(now, made,
             here ? fail(errc::process_exited, "noproc: there is no such process")
                  : fail(errc::unavailable, "noconnection: its node cannot be reached"));
  } else if (to == self) {
    conclude(now, made, fail(errc::invalid_argument, "calling_self: a process that calls itself would wait for ever"));
  } else {
    if (deadline != never) set_deadline(deadline, made);
    if (here) {
      post_call(now, made, to.slot, word, std::move(payload));
    } else {
      transmit({.what = signal::kind::call,
                .word = word,
                .from = self,
                .to = to,
                .ref = ref,
                .payload = std::move(payload),
                .timeout = timeout});
    }
  }
  return ref;
}

void core::post_call(time_point now, std::uint32_t relation_slot, std::uint32_t receiver, atom word, value payload) {
  message* posted = post(now, receiver, message::kind::call);
  if (posted == nullptr) {
    ++counted_.refused;
    const auto waiting = std::to_string(processes_[receiver].mailbox.size());
    return conclude(now, relation_slot,
                    fail(errc::overloaded, "the mailbox of " + describe(processes_[receiver].tag) + " is full (" +
                                               waiting + " messages wait); retry later"));
  }
  posted->word = word;
  fill(*posted, std::move(payload));
  posted->from = relations_[relation_slot].ends[0].who;
  posted->ref = reference_of(relation_slot);
  relations_[relation_slot].request = processes_[receiver].mailbox.last();
}

void core::mark_taken(reference call) {
  if (relations_.alive(call.slot, call.generation)) relations_[call.slot].request = no_slot;
}

void core::answer(time_point now, const caller& to, result<value> with) {
  if (!waited_for(to)) {
    ++counted_.late;
    return;
  }
  conclude(now, to.ref.slot, std::move(with));
}

bool core::waited_for(const caller& asked) const {
  return relations_.alive(asked.ref.slot, asked.ref.generation) &&
         relations_[asked.ref.slot].what == relation::kind::call &&
         relations_[asked.ref.slot].ends[0].who == asked.from;
}

std::optional<withdrawn> core::take_back(const caller& kept) {
  if (kept.from.node != handle::outside || !waited_for(kept)) return {};
  return withdraw_call(kept.ref.slot);
}

withdrawn core::withdraw_call(std::uint32_t relation_slot) {
  relation& tie = relations_[relation_slot];
  withdrawn taken{.what = message::kind::call, .token = call_token{tie.note}};
  if (tie.deadline != no_reference) {
    if (const auto held = timers_.cancel(std::exchange(tie.deadline, no_reference))) taken.deadline = held->second;
  }
  unrelate(relation_slot);
  return taken;
}

void core::conclude(time_point now, std::uint32_t relation_slot, result<value> with) {
  const handle from = relations_[relation_slot].ends[0].who;
  const auto note = relations_[relation_slot].note;
  const reference ref = reference_of(relation_slot);
  unrelate(relation_slot);
  if (from.node == handle::outside) return around_.replied(call_token{note}, std::move(with));
  if (from.node == handle::here) return post_reply(now, from.slot, ref, std::move(with));
  signal back{.what = signal::kind::reply, .to = from, .ref = unpacked(note)};
  put_outcome(back, std::move(with));
  transmit(std::move(back));
}

void core::post_reply(time_point now, std::uint32_t receiver, reference call, result<value> with) {
  message* posted = post(now, receiver, message::kind::reply);
  if (posted == nullptr) return;
  posted->ref = call;
  if (with && with->cbor().size() > answer_always_kept &&
      queued_bytes_ + with->cbor().size() > options_.answer_bytes_max)
    with = fail(errc::overloaded,
                "its answer of " + std::to_string(with->cbor().size()) +
                    " bytes was dropped: " + std::to_string(queued_bytes_) + " wait in this node's mailboxes",
                took_effect::executed);
  if (with) {
    fill(*posted, std::move(*with));
  } else {
    posted->failed = true;
    posted->effect = with.error().effect;
    posted->word = atom{static_cast<std::uint32_t>(with.error().code)};
    fill(*posted, cbor::text_value(with.error().context));
  }
  if (processes_[receiver].awaiting == call) put_first(*posted);
}

void core::call_expired(time_point now, std::uint32_t relation_slot) {
  const auto request = relations_[relation_slot].request;
  relations_[relation_slot].deadline = no_reference;
  ++counted_.expired;
  error why{errc::deadline_exceeded, "no answer came before the deadline", took_effect::unknown};
  if (request == no_slot) return conclude(now, relation_slot, fail(std::move(why)));
  // It has not begun, and never will: better than OTP, whose server would still work for nobody.
  const message& waiting = messages_[request];
  why.context = describe(processes_[waiting.receiver].tag) + " did not get to '" +
                std::string{atoms_.text(waiting.word)} + "' before its deadline";
  why.effect = took_effect::not_executed;
  discard(now, request, std::move(why));
}

}  // namespace orrery::kernel
