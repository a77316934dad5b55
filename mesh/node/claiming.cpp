// Unique keys of the mesh: claims of processes here on their way to the key's owner, and what this node grants as one.
//
// Who holds what is in every node's registry, announced by the node where the holder lives. The owner of a key only
// decides between claims: it refuses a key that its registry knows a holder of, or that it has granted and not yet
// heard announced. When the owner goes, the next one needs nothing from it: it grants as soon as all peers have said
// that they place as it does, as each has announced before all that it was granted earlier.
#include "mesh/node/impl.hpp"
#include "mesh/wire/cbor.hpp"

namespace orrery::node {
namespace {

error held_by(std::string_view key, const pid& holder) {
  return {errc::already_exists, to_string(holder) + " holds '" + std::string{key} + "'"};
}

bool worth_a_retry(const error& why) { return why.code == errc::unavailable || why.code == errc::draining; }

}  // namespace

// ---- as the claimant's node ----

void core::impl::begin_claim(process::key_claimed& asked) {
  if (key_claims_.full()) {
    (void)runtime_.key_answered(now_, asked.number, fail(errc::overloaded, "too many claims wait; retry later"), ran_);
    return;
  }
  const auto id = pending_.next_number();
  key_claims_.add(id, {.number = asked.number,
                       .key = std::move(asked.key),
                       .who = asked.who,
                       .deadline = asked.deadline,
                       .handed_over = asked.handed_over});
  send_claim(id);
}

void core::impl::send_claim(wire::correlation id) {
  auto& claim = *key_claims_.find(id);
  claim.asked.reset();
  key_claims_.wake_at(id);
  if (isolation_.isolated()) {
    return end_claim(id, fail(errc::isolated, "this node reaches neither a majority of the mesh nor the API server"));
  }
  const node_id* owner = owner_of_key(placement_, claim.key);
  if (owner == nullptr) return end_claim(id, fail(errc::draining, "every node of the mesh is draining"));
  if (*owner == settings_.self) {
    return take_claim({{}, id, claim.key, {settings_.self, claim.who.slot, claim.who.generation}, claim.deadline});
  }
  const auto peer = members_.find(*owner);
  if (!peer || members_.quiet(now_, peer->link)) {
    return key_claims_.wake_at(id, now_ + claim_retry);
  }
  if (!speaks(*peer)) {
    return end_claim(id, fail(errc::unavailable, "node " + owner->name.value + ", which owns the key, has a version " +
                                                     "that knows no registry"));
  }
  flush_facts();
  claim.asked = peer->link;
  transmit_to(peer->link,
              wire::claim{id, claim.key, {claim.who.slot, claim.who.generation}, remaining(claim.deadline)});
}

void core::impl::end_claim(wire::correlation id, const result<value>& outcome) {
  const auto claim = *key_claims_.find(id);
  // What its owner may still grant is to be given back.
  if (claim.asked) {
    key_claims_.give_up(id);
  } else {
    key_claims_.erase(id);
  }
  work_left_ = true;
  (void)runtime_.key_answered(now_, claim.number, outcome, ran_);
}

/// True if the reply was one to a claim.
bool core::impl::on_claim_reply(link_id link, const wire::reply& received) {
  auto* claim = key_claims_.find(received.id);
  if (claim == nullptr || claim->asked != link) return claim != nullptr;
  claim->asked.reset();
  const wire::unclaim back{claim->key, {claim->who.slot, claim->who.generation}};
  if (claim->given_up) {
    key_claims_.erase(received.id);
    if (received.outcome) transmit_to(link, back);
    return true;
  }
  if (!received.outcome) {
    claim_refused(received.id, received.outcome.error());
    return true;
  }
  const auto peer = members_.find(link);
  const node_id* owner = owner_of_key(placement_, claim->key);
  if (owner == nullptr || !peer || *owner != peer->node) {  // granted by one that no longer may
    transmit_to(link, back);
    send_claim(received.id);
    return true;
  }
  const auto number = claim->number;
  key_claims_.erase(received.id);
  work_left_ = true;
  const bool holds = runtime_.key_answered(now_, number, received.outcome, ran_);
  if (!holds) transmit_to(link, back);
  return true;
}

void core::impl::claim_refused(wire::correlation id, const error& why) {
  auto& claim = *key_claims_.find(id);
  // A holder that this node does not know of either has just come, or has just gone; one that was handed over here with
  // its key has just gone elsewhere.
  const bool doubtful = why.code == errc::already_exists &&
                        (claim.handed_over || (!runtime_.key_holder(claim.key) && claim.doubts++ < claim_doubts_max));
  if ((doubtful || worth_a_retry(why)) && now_ + claim_retry < claim.deadline) {
    return key_claims_.wake_at(id, now_ + claim_retry);
  }
  end_claim(id, fail(why));
}

void core::impl::expire_claims() {
  for (const auto id : key_claims_.due(now_)) {
    if (key_claims_.find(id)->deadline <= now_) {
      end_claim(id, fail(errc::deadline_exceeded, "the key's owner did not answer before the deadline"));
    } else {
      send_claim(id);
    }
  }
  if (!key_grants_.any_parked() || !may_grant()) return;
  for (auto& each : key_grants_.take_parked())
    take_claim(std::move(each));
}

void core::impl::lose_claims(link_id link) {
  for (const auto id : key_claims_.asked_of(link)) {
    auto& claim = *key_claims_.find(id);
    claim.asked.reset();
    if (claim.given_up) {
      key_claims_.erase(id);
    } else {
      key_claims_.wake_at(id, now_);
    }
  }
}

// ---- as the key's owner ----

bool core::impl::may_grant() const { return forming_until_ == never && !placement_stale_ && key_grants_.agreed(now_); }

void core::impl::take_claim(key_grants::claim asked) {
  const node_id* owner = owner_of_key(placement_, asked.key);
  if (owner == nullptr || *owner != settings_.self || isolation_.isolated()) {
    return answer_claim(asked, fail(errc::unavailable, settings_.self.name.value + " does not own the key"));
  }
  if (asked.deadline <= now_) return answer_claim(asked, fail(errc::deadline_exceeded, "the claim came too late"));
  if (!may_grant()) {
    const auto parked = asked;
    if (key_grants_.park(std::move(asked))) return;
    return answer_claim(parked, fail(errc::overloaded, std::to_string(claims_parked_max) +
                                                           " claims wait until the mesh agrees on who owns them"));
  }
  if (const auto holder = runtime_.key_holder(asked.key); holder && *holder != asked.who) {
    return answer_claim(asked, fail(held_by(asked.key, *holder)));
  }
  if (const auto granted = key_grants_.granted_to(asked.key); granted && *granted != asked.who) {
    return answer_claim(asked, fail(held_by(asked.key, *granted)));
  }
  if (!key_grants_.grant(asked.key, asked.who)) {
    return answer_claim(asked, fail(errc::overloaded, "too many keys are granted at once; retry later"));
  }
  answer_claim(asked, cbor::bool_value(true));
}

void core::impl::answer_claim(const key_grants::claim& asked, result<value> outcome) {
  if (asked.from) {
    if (members_.find(*asked.from)) transmit_to(*asked.from, wire::reply{asked.id, std::move(outcome)});
    return;
  }
  const auto* claim = key_claims_.find(asked.id);
  if (claim != nullptr && !claim->given_up) {
    if (outcome) {
      end_claim(asked.id, outcome);
    } else {
      claim_refused(asked.id, outcome.error());
    }
  }
  key_grants_.settle(asked.key, asked.who);  // it is in the registry, or not held after all
}

}  // namespace orrery::node
