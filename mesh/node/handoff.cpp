// Processes on their way to the node that owns them, with their state and what waits in their mailbox.
//
// A node walks its names whenever the placement changes and sends those that it does not own to their owners. The
// receiver acknowledges when the process is where it belongs: if it sees a better owner it passes the process on and
// acknowledges when that one has. Only when all that a node sent has arrived does it say handoff_done, so that a node
// that has heard everyone's handoff_done knows that nothing that it owns is still under way. What could not go, as its
// owner refused it or as its state cannot travel, is held: served here, named in handoff_done, and offered again.
#include "mesh/node/impl.hpp"

#include <algorithm>

namespace orrery::node {
namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;

}  // namespace

void core::impl::hand_over_some() {
  for (std::uint32_t looked_at = 0; looked_at < scan_names_max && moves_.scanning() && moves_.may_send(); ++looked_at) {
    if (moves_.needs_names()) moves_.take_names(runtime_.names_from(moves_.place(), scan_names_max));
    const auto name = moves_.next();
    if (!name) continue;
    const node_id* owner = placement_.owner(*name);
    if (lost_) end_if_lost(*name);
    if (owner == nullptr || *owner == settings_.self || moves_.held().contains(*name)) continue;
    const auto peer = members_.find(*owner);
    if (!peer || members_.quiet(now_, peer->link)) {
      if (!runs(*name)) continue;
      moves_.pass_over();
      rescan_at_ = std::min(rescan_at_, after(now_, handoff_retry));
    } else if (const auto info = runtime_.find(*name)) {
      hand_over(*info, *peer);
    }
  }
  if (!moves_.scanning()) lost_.reset();
  // What drains may pass its processes through this node to one that does not know it: that one waits for our word.
  if (!moves_.settled() || (!draining_ && takeover_.any_draining())) return;
  tell_what_is_held();
}

void core::impl::tell_what_is_held() {
  if (moves_.take_news()) {
    for (const auto& peer : members_.live())
      moves_.owe_done(peer.link);
  }
  const std::vector<link_id> owed = moves_.take_owed();
  if (owed.empty()) return;
  wire::handoff_done done{placement_.nodes(), {moves_.held().begin(), moves_.held().end()}};
  done.words = words_of(done.nodes);
  for (const link_id link : owed) {
    if (!members_.find(link)) continue;
    done.heard = members_.unhosted_of(link).number;
    transmit_to(link, done);
  }
}

void core::impl::hold(const process_name& name, const error& why) {
  if (!moves_.holds(name)) {
    emit("process_held", {{"class", name.klass.value}, {"key", name.key.value}, {"reason", to_string(why)}});
  }
  moves_.hold(name);
  rescan_at_ = std::min(rescan_at_, after(now_, handoff_retry));
}

void core::impl::hand_over(const process::process_info& info, const membership::live_peer& to) {
  auto taken = runtime_.take(now_, info.name, ran_);
  if (!taken && taken.error().code == errc::not_found) return;  // it waited for its next life, which begins elsewhere
  if (!taken) return hold(info.name, taken.error());
  send_handoff(std::move(*taken), to, contested(info), 0, {});
}

/// It was in the middle of a message when its turn to go came, and is held since. Now it is between two.
void core::impl::hand_over_late(const process_name& name) {
  if (!moves_.held().contains(name) || !moves_.may_send()) return;  // else the next scan finds it
  const auto to = better_owner(name);
  const auto info = runtime_.find(name);
  if (!to || !info || members_.quiet(now_, to->link)) return;
  moves_.release(name);
  hand_over(*info, *to);
}

void core::impl::send_handoff(process::handoff what, const membership::live_peer& to, bool is_contested,
                              std::uint64_t hops, std::optional<move::upstream> acknowledged) {
  ++counted_.handoffs_out;
  wire::handoff out{.id = pending_.next_number(),
                    .name = what.name,
                    .class_version = what.class_version,
                    .code = what.code,
                    .restarts = what.restarts,
                    .state = what.state,
                    .contested = is_contested,
                    .hops = hops,
                    .mailbox = {},
                    .suspended = what.suspended,
                    .facts = what.facts};
  std::vector<process::handoff::waiting> mailbox = std::move(what.mailbox);
  what.mailbox.clear();
  std::size_t bytes_left = wire::handoff_mailbox_bytes_max;
  std::size_t sent = 0;
  for (; sent < mailbox.size() && sent < wire::handoff_waiting_max; ++sent) {
    auto& entry = mailbox[sent];
    wire::handoff::waiting each{entry.method, entry.argument, {}, {}, entry.plain};
    if (wire::encoded_size(each) > bytes_left) break;
    if (entry.token) {
      if (pending_.find(*entry.token) == nullptr) continue;  // its caller has been answered
      if (!pending_.set_forwarded(*entry.token, to.link)) break;
      each.reply_to = entry.token->value;
      each.remaining = duration_cast<microseconds>(std::max(duration::zero(), entry.deadline - now_));
    } else {
      if (entry.is_timer())
        each.remaining = duration_cast<microseconds>(std::max(duration::zero(), entry.deadline - now_));
      what.mailbox.push_back(entry);
    }
    bytes_left -= wire::encoded_size(each);
    out.mailbox.push_back(std::move(each));
  }
  const std::size_t size = out.state.cbor().size() + (wire::handoff_mailbox_bytes_max - bytes_left);
  moves_.sent(out.id, {to.link, std::move(what), size, is_contested, acknowledged});
  const process_name name = out.name;
  transmit_to(to.link, out);
  // The rest of a long mailbox follows in order on the same connection, as ordinary messages.
  mailbox.erase(mailbox.begin(), mailbox.begin() + static_cast<std::ptrdiff_t>(sent));
  for (auto& entry : mailbox) {
    if (entry.token) {
      if (pending_.find(*entry.token) != nullptr) send_there(*entry.token, to);
    } else if (entry.plain) {
      ++counted_.casts_dropped;  // no frame carries it to a name, and it is promised less than a cast
    } else {
      transmit_to(to.link, wire::cast{name, entry.method, entry.argument, 1});
    }
  }
}

void core::impl::on_handoff(link_id link, wire::handoff& received) {
  takeover_.progress(now_, link);
  takeover_.gave(link, received.name);
  ++counted_.handoffs_in;
  process::handoff what{.name = received.name,
                        .class_version = received.class_version,
                        .restarts = received.restarts,
                        .state = std::move(received.state),
                        .mailbox = {},
                        .suspended = received.suspended,
                        .facts = std::move(received.facts),
                        .code = received.code};
  for (auto& each : received.mailbox) {
    process::handoff::waiting entry{std::move(each.method), std::move(each.argument), {}, never, each.plain};
    if (each.reply_to) {
      const from_peer caller{link, *each.reply_to};
      if (pending_.full()) {
        answer(caller, fail(pending_.overload()));
        continue;
      }
      if (each.remaining) entry.deadline = after(now_, *each.remaining);
      entry.token = pending_.open({.from = caller,
                                   .name = what.name,
                                   .what = ask_call{entry.method, entry.argument},
                                   .deadline = entry.deadline,
                                   .hops = 1});
    } else if (each.remaining) {
      entry.deadline = after(now_, *each.remaining);
    }
    what.mailbox.push_back(std::move(entry));
  }
  const move::upstream from{link, received.id};
  end_if_lost(what.name);
  if (const auto running = runtime_.find(what.name)) {
    const bool theirs_wins = contest_open_ && contested(*running) && !received.contested;
    if (!theirs_wins) {
      queue_mailbox(what.name, std::move(what.mailbox));
      return acknowledge(from, true);
    }
    discard(what.name, what.mailbox);
  }
  const auto better = better_owner(what.name);
  if (better && better->link != link && received.hops < hops_max) {
    return send_handoff(std::move(what), *better, received.contested, received.hops + 1, from);
  }
  install_here(std::move(what), link, received.id);
}

void core::impl::install_here(process::handoff what, link_id from, wire::correlation id) {
  const process_name name = what.name;
  std::vector<reply_token> callers;
  for (const auto& each : what.mailbox) {
    if (each.token) callers.push_back(*each.token);
  }
  const auto* owner = placement_.owner(name);
  const auto taken = [&]() -> result<void> {
    if (owner != nullptr && draining_) return fail(errc::draining, settings_.self.name.value + " drains");
    // We may have told it already that we hold nothing. It hears before this answer why we take it for the owner.
    if (const auto better = better_owner(name); better && better->link == from)
      return fail(errc::unavailable, settings_.self.name.value + " takes it for one of " + better->node.name.value);
    return runtime_.install(now_, std::move(what), ran_);
  };
  auto done = taken();
  if (done) {
    acknowledge(move::upstream{from, id}, false);
    return release_parked(name);
  }
  // Nothing of it ran here: the sender keeps it, and the callers may try again.
  takeover_.holds_too(from, name);
  for (const reply_token token : callers)
    complete(token, fail(errc::unavailable, "not taken over: " + done.error().context));
  transmit_to(from, wire::handoff_ack{id, done.error(), false});
}

void core::impl::on_handoff_ack(link_id link, const wire::handoff_ack& received) {
  auto arrived = moves_.arrived(received.id, link);
  if (!arrived) return;
  if (received.refused) return keep_after_all(std::move(*arrived), received.refused);
  acknowledge(arrived->acknowledge, received.superseded);
  release_parked(arrived->what.name);
}

void core::impl::on_handoff_done(link_id link, const wire::handoff_done& received) {
  for (std::size_t i = 0; i < received.nodes.size(); ++i) {
    const auto& node = received.nodes[i];
    if (node.name == settings_.self.name) continue;
    const auto peer = members_.find(node);
    const auto word = i < received.words.size() ? received.words[i] : 0;
    if (!peer) {
      takeover_.rumoured(now_, node);
    } else if (word > members_.unhosted_of(peer->link).number) {
      takeover_.unheard(now_, peer->link, node, word);
    }
  }
  takeover_.done(link, received.heard);
  takeover_.holds(link, {received.held.begin(), received.held.end()});
  release_parked();
}

std::optional<membership::live_peer> core::impl::better_owner(const process_name& name) const {
  const node_id* owner = placement_.owner(name);
  return owner == nullptr || *owner == settings_.self ? std::nullopt : members_.find(*owner);
}

/// A process that left and did not arrive: goes to whoever owns it now, or on here, or back to whoever sent it.
void core::impl::keep_after_all(move what, const std::optional<error>& refused) {
  const process_name name = what.what.name;
  if (!refused) {  // whether its casts ran is not known; they run at most once
    counted_.casts_dropped += std::erase_if(what.what.mailbox, [](const auto& each) { return !each.is_timer(); });
  }
  const auto better = better_owner(name);
  if (better && !(refused && better->link == what.to)) {
    return send_handoff(std::move(what.what), *better, what.contested, 1, what.acknowledge);
  }
  work_left_ = true;
  if (refused) moves_.owe_done(what.to);  // it takes us for the holder: it hears whether we are
  const auto kept = runtime_.install(now_, std::move(what.what), ran_);
  if (!kept && kept.error().code != errc::already_exists) {
    if (what.acknowledge) {
      if (members_.find(what.acknowledge->link))
        transmit_to(what.acknowledge->link, wire::handoff_ack{what.acknowledge->id, kept.error(), false});
    } else {
      emit("process_lost", {{"class", name.klass.value}, {"key", name.key.value}, {"reason", to_string(kept.error())}});
    }
    return release_parked(name);
  }
  if (better && kept) hold(name, *refused);
  acknowledge(what.acknowledge, !kept);
  release_parked(name);
}

void core::impl::queue_mailbox(const process_name& name, std::vector<process::handoff::waiting> mailbox) {
  for (auto& each : mailbox) {
    if (each.token) {
      runtime_.call(now_, {name, std::move(each.method), std::move(each.argument), each.deadline, *each.token}, ran_);
    } else if (each.plain) {
      runtime_.inform(now_, name, each.method, std::move(each.argument), ran_);
    } else if (!each.is_timer()) {
      (void)runtime_.cast(now_, name, std::move(each.method), std::move(each.argument), ran_);
    }
  }
  work_left_ = true;
}

void core::impl::acknowledge(const std::optional<move::upstream>& to, bool superseded) {
  if (to && members_.find(to->link)) transmit_to(to->link, wire::handoff_ack{to->id, {}, superseded});
}

/// Ends a process here because the mesh runs it elsewhere; what waits for it goes there too.
void core::impl::discard(const process_name& name, std::vector<process::handoff::waiting>& mailbox) {
  auto taken = runtime_.take(now_, name, ran_);
  if (!taken) {  // its state cannot be encoded, and is not wanted
    (void)runtime_.stop(now_, name, ran_);
    return;
  }
  for (auto& each : taken->mailbox) {
    if (!each.is_timer()) mailbox.push_back(std::move(each));
  }
}

}  // namespace orrery::node
