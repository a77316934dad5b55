// What membership decides, carried out; and what peers say, handed to whom it concerns.
#include "mesh/node/impl.hpp"

namespace orrery::node {

void core::impl::apply_membership() {
  // Carrying out an action may ask membership for more: the list grows while it is walked.
  for (std::size_t i = 0; i < todo_.size(); ++i) {
    const membership::action each = std::move(todo_[i]);
    std::visit([&](const auto& todo) { apply(todo); }, each);
  }
  todo_.clear();
  if (lost_moves_.empty()) return;
  watch_majority();
  refresh_placement();  // what comes back is placed without the lost peer
  std::vector<move> lost;
  lost.swap(lost_moves_);
  for (auto& each : lost)
    keep_after_all(std::move(each), {});
}

void core::impl::apply(const membership::dial& todo) {
  out_->push_back(dial{connection_id{todo.link.value}, todo.address,
                       mesh_identity{settings_.name_space, settings_.mesh, todo.peer.value}});
}

void core::impl::apply(const membership::hang_up& todo) {
  out_->push_back(hang_up{connection_id{todo.link.value}, todo.why});
}

void core::impl::apply(const membership::send& todo) { transmit_to(todo.link, todo.what); }

void core::impl::transmit_to(link_id link, const wire::message& what) {
  out_->push_back(transmit{connection_id{link.value}, wire::encode(what)});
}

void core::impl::apply(const membership::peer_up& seen) {
  emit("node_up", {{"peer", seen.node.name.value}, {"boot", seen.node.boot.value}});
  const auto peer = members_.find(seen.link);
  takeover_.came_up(now_, seen.link, seen.node, seen.draining, peer ? to_be_heard(*peer) : 0);
  moves_.owe_done(seen.link);
  if (draining_) {
    drain_unheard_.insert(seen.link);
    transmit_to(seen.link, wire::draining{});
  }
  placement_stale_ = true;
  begin_signals(seen);
}

void core::impl::apply(const membership::peer_down& seen) {
  emit("node_down", {{"peer", seen.node.name.value}, {"boot", seen.node.boot.value}, {"reason", to_string(seen.why)}});
  takeover_.lose(seen.link);
  moves_.stop_owing(seen.link);
  drain_unheard_.erase(seen.link);
  placement_stale_ = true;
  fail_forwarded(seen.link, "lost " + seen.node.name.value + ": " + seen.why.context);
  lose_gathers(seen.link);
  end_signals(seen);
  lose_traces(seen.link);
  // Decided when all actions are carried out: a new connection of the same peer may be among them.
  for (auto& lost : moves_.lost(seen.link))
    lost_moves_.push_back(std::move(lost));
}

void core::impl::apply(const membership::peer_refused& seen) {
  ++counted_.peers_refused;
  last_refusal_ = seen.who + ": " + seen.why.context;
  emit("peer_refused", {{"peer", seen.who}, {"reason", to_string(seen.why)}});
}

void core::impl::apply(const membership::peer_draining& seen) {
  emit("node_draining", {{"peer", seen.node.name.value}});
  takeover_.drains(now_, seen.link, seen.node);
  placement_stale_ = true;
}

void core::impl::apply(const membership::peer_unhosted& seen) {
  placement_stale_ = true;
  takeover_.heard(seen.link, members_.unhosted_of(seen.link).number);
  still_drains_without(seen.link);
  moves_.owe_done(seen.link);  // it may wait to hear that we place by it
}

void core::impl::apply(const membership::peer_heard&) {
  if (moves_.passed_over()) moves_.rescan();
  release_parked();
}

void core::impl::refuse_frame(link_id link, error why) {
  ++counted_.frames_refused;
  members_.refuse(now_, link, std::move(why), todo_);
}

void core::impl::from_peer_frame(link_id link, wire::message& received) {
  if (const auto* beat = std::get_if<wire::heartbeat>(&received); beat != nullptr && beat->moving) {
    takeover_.progress(now_, link);
  }
  const bool about_the_link =
      std::holds_alternative<wire::hello>(received) || std::holds_alternative<wire::welcome>(received) ||
      std::holds_alternative<wire::goodbye>(received) || std::holds_alternative<wire::heartbeat>(received) ||
      std::holds_alternative<wire::heartbeat_ack>(received) || std::holds_alternative<wire::draining>(received) ||
      std::holds_alternative<wire::unhosted>(received);
  if (about_the_link) return members_.received(now_, link, received, todo_);
  if (std::holds_alternative<wire::unknown_message>(received)) return;
  if (!members_.find(link)) return refuse_frame(link, {errc::protocol, "a request before the handshake ended"});

  if (auto* call = std::get_if<wire::call>(&received)) {
    begin({.from = from_peer{link, call->id},
           .name = std::move(call->name),
           .what = ask_call{std::move(call->method), std::move(call->argument)},
           .deadline = after(now_, call->remaining),
           .hops = call->hops});
  } else if (auto* cast = std::get_if<wire::cast>(&received)) {
    (void)route_cast(std::move(cast->name), std::move(cast->method), std::move(cast->argument), cast->hops);
  } else if (auto* control = std::get_if<wire::control>(&received)) {
    if (control->name) {
      begin({.from = from_peer{link, control->id},
             .name = std::move(*control->name),
             .what = ask_control{control->asked, std::move(control->reason), std::move(control->argument)},
             .deadline = after(now_, control->remaining),
             .hops = control->hops});
    } else if (control->asked == wire::verb::unknown) {
      transmit_to(link, wire::reply{control->id, fail(errc::invalid_argument,
                                                      settings_.self.name.value + " is too old for this question")});
    } else if (auto question = question_of(*control); question) {
      answer_for_node(from_peer{link, control->id}, std::move(*question));
    } else {
      transmit_to(link, wire::reply{control->id, fail(std::move(question.error()))});
    }
  } else if (auto* reply = std::get_if<wire::reply>(&received)) {
    on_reply(link, *reply);
  } else if (auto* handoff = std::get_if<wire::handoff>(&received)) {
    on_handoff(link, *handoff);
  } else if (const auto* ack = std::get_if<wire::handoff_ack>(&received)) {
    on_handoff_ack(link, *ack);
  } else if (const auto* done = std::get_if<wire::handoff_done>(&received)) {
    on_handoff_done(link, *done);
  } else if (auto* traced = std::get_if<wire::traced>(&received)) {
    on_traced(link, *traced);
  } else if (const auto* cancel = std::get_if<wire::cancel>(&received)) {
    on_cancel(link, *cancel);
  } else if (const auto* untrace = std::get_if<wire::untrace>(&received)) {
    on_untrace(link, *untrace);
  } else if (std::holds_alternative<wire::draining_ack>(received)) {
    drain_unheard_.erase(link);
  } else {
    from_peers_processes(link, received);
  }
}

}  // namespace orrery::node
