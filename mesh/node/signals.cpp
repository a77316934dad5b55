// What processes of different nodes have to do with each other: signals on the one connection of a pair, in order; what
// processes joined and hold, told to every peer; and names, for processes as for clients.
#include "mesh/node/impl.hpp"
#include "mesh/wire/cbor.hpp"

#include <algorithm>

namespace orrery::node {

std::chrono::microseconds core::impl::remaining(time_point deadline) const {
  constexpr duration a_day = std::chrono::hours{24};
  return std::chrono::duration_cast<std::chrono::microseconds>(std::clamp(deadline - now_, duration::zero(), a_day));
}

// ---- peers ----

/// The first that a peer hears after the handshake is all that processes here joined and hold, and then how this node
/// places: what follows it is in order.
void core::impl::begin_signals(const membership::peer_up& seen) {
  const auto peer = members_.find(seen.link);
  if (!peer || (peer->features & wire::feature_processes) == 0) return;
  if (auto known = runtime_.node_up(seen.node); !known) {
    return emit("peer_refused", {{"peer", seen.node.name.value}, {"reason", to_string(known.error())}});
  }
  flush_facts();
  told_[seen.link] = 0;
  announce_to(seen.link, runtime_.facts());
  key_grants_.peer_up(now_, seen.link);
  transmit_to(seen.link, wire::placed{digest_of(placement_)});
}

void core::impl::end_signals(const membership::peer_down& seen) {
  if (told_.erase(seen.link) == 0) return;
  key_grants_.peer_down(seen.link);
  key_grants_.forget_node(seen.node);
  lose_claims(seen.link);
  work_left_ = true;
  // What was meant for this connection must not go on another one.
  std::erase_if(ran_, [&](const process::effect& each) {
    const auto* sent = std::get_if<process::signal_sent>(&each);
    return sent != nullptr && sent->to == seen.node;
  });
  runtime_.node_down(now_, seen.node, ran_);
}

void core::impl::tell_placement() {
  flush_facts();
  const wire::placed now_so{digest_of(placement_)};
  key_grants_.place(now_, now_so.digest);
  for (const auto& [link, number] : told_)
    transmit_to(link, now_so);
}

void core::impl::from_peers_processes(link_id link, wire::message& received) {
  if (!told_.contains(link)) return;
  const node_id from = members_.find(link)->node;
  work_left_ = true;
  if (auto* signal = std::get_if<wire::signal>(&received)) {
    runtime_.receive(now_, from, std::move(*signal), ran_);
  } else if (const auto* publish = std::get_if<wire::publish>(&received)) {
    runtime_.receive(now_, from, *publish, ran_);
  } else if (const auto* announce = std::get_if<wire::announce>(&received)) {
    on_announce(link, from, *announce);
  } else if (auto* claim = std::get_if<wire::claim>(&received)) {
    take_claim({link,
                claim->id,
                std::move(claim->key),
                {from, claim->who.slot, claim->who.generation},
                after(now_, claim->remaining)});
  } else if (const auto* unclaim = std::get_if<wire::unclaim>(&received)) {
    key_grants_.settle(unclaim->key, {from, unclaim->who.slot, unclaim->who.generation});
  } else if (const auto* placed = std::get_if<wire::placed>(&received)) {
    key_grants_.peer_places(now_, link, placed->digest);
  }
}

void core::impl::on_announce(link_id link, const node_id& from, const wire::announce& received) {
  if (auto taken = runtime_.receive(now_, from, received, ran_); !taken) {
    return refuse_frame(link, std::move(taken.error()));
  }
  for (const auto& each : received.facts) {
    if (each.what != wire::fact::kind::unique) continue;
    key_grants_.settle(each.name, {from, each.who.slot, each.who.generation});
  }
}

// ---- what processes here say ----

void core::impl::send_signal(process::signal_sent& sent) {
  const auto peer = members_.find(sent.to);
  if (!peer || !speaks(*peer)) return;  // the runtime hears that it is down
  flush_facts();                        // whoever hears of an end hears first what ended with it
  transmit_to(peer->link, std::move(sent.what));
}

void core::impl::send_published(process::published& sent) {
  flush_facts();
  const wire::message what{std::move(sent.what)};
  for (const auto& each : sent.to) {
    const auto peer = members_.find(each);
    if (peer && speaks(*peer)) transmit_to(peer->link, what);
  }
}

void core::impl::announce_to(link_id link, std::vector<wire::fact> facts) {
  for (std::size_t at = 0; at < facts.size();) {
    wire::announce next{.number = ++told_.at(link)};
    std::size_t bytes = 0;
    for (; at < facts.size() && next.facts.size() < wire::announced_max; ++at) {
      bytes += wire::encoded_size(facts[at]);
      if (bytes > wire::announced_bytes_max && !next.facts.empty()) break;
      next.facts.push_back(std::move(facts[at]));
    }
    transmit_to(link, next);
  }
}

void core::impl::flush_facts() {
  if (facts_out_.empty()) return;
  const auto facts = std::exchange(facts_out_, {});
  for (const auto& [link, number] : told_)
    announce_to(link, facts);
}

// ---- names ----

void core::impl::call_for_process(process::name_called& asked) {
  const from_process caller{asked.by};
  if (auto fine = check_method(asked.method); !fine) return answer(caller, fail(std::move(fine.error())));
  begin({.from = caller,
         .name = std::move(asked.name),
         .what = ask_call{std::move(asked.method), std::move(asked.argument)},
         .deadline = asked.deadline});
}

void core::impl::seek_for_process(process::name_sought& asked) {
  begin({.from = from_seeker{asked.stand_in},
         .name = std::move(asked.name),
         .what = ask_control{wire::verb::whereis, {}, {}},
         .deadline = after(now_, control_timeout)});
}

void core::impl::answer_process(const origin& to, result<value> outcome) {
  work_left_ = true;
  if (const auto* caller = std::get_if<from_process>(&to)) {
    runtime_.name_answered(now_, caller->by, std::move(outcome), ran_);
  } else if (const auto* seeker = std::get_if<from_seeker>(&to)) {
    if (!outcome) return runtime_.name_found(now_, seeker->stand_in, fail(outcome.error()), ran_);
    const auto text = cbor::text_of(*outcome);
    runtime_.name_found(now_, seeker->stand_in, parse_pid(text.value_or(std::string_view{})), ran_);
  }
}

}  // namespace orrery::node
