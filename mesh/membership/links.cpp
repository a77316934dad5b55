// The life of one connection: hello, checks, welcome, heartbeats, end.
#include "mesh/membership/membership.hpp"

#include <algorithm>

namespace orrery::membership {
namespace {

std::uint64_t ticks_of(time_point at) { return static_cast<std::uint64_t>(at.time_since_epoch().count()); }

std::string in_ms(duration span) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(span).count()) + " ms";
}

}  // namespace

wire::hello table::our_hello(std::uint64_t attempt) const {
  return {.protocol = settings_.protocol,
          .features = settings_.features,
          .mesh_id = settings_.mesh_id,
          .node = settings_.self,
          .uid = settings_.uid,
          .address = settings_.address,
          .software = ORRERY_VERSION,
          .attempt = attempt,
          .draining = draining_,
          .unhosted = unhosted_.classes};
}

void table::opened(time_point now, link_id id, const mesh_identity& identity, bool dialled, actions& out) {
  const auto known = links_.find(id);
  if (dialled && known == links_.end()) {  // given up meanwhile
    out.push_back(hang_up{id, {errc::cancelled, "the dial was given up"}});
    return;
  }
  if (!dialled && left_) {
    out.push_back(hang_up{id, {errc::draining, "this node has left the mesh"}});
    return;
  }
  if (dialled && known->second.knock)
    return drop(now, id, {errc::unavailable, "a knock is over when it is heard"}, true, out);
  connection& link = dialled ? known->second : links_[id];
  const std::string wanted = dialled ? link.pod : identity.pod;
  link.pod = wanted;
  link.dialled = dialled;
  link.open = true;
  link.opened_at = now;
  link.last_heard = now;
  if (identity.name_space != settings_.name_space || identity.mesh != settings_.mesh || identity.pod != wanted ||
      identity.pod == settings_.self.name.value) {
    const std::string expected = to_uri({settings_.name_space, settings_.mesh, dialled ? wanted : "ANOTHER-POD"});
    return refuse(now, id, {errc::forbidden, "the certificate says " + to_uri(identity) + "; expected " + expected},
                  out);
  }
  if (!dialled && we_dial(node_name{wanted})) return knocked(now, id, node_name{wanted}, out);
  peers_[node_name{wanted}];  // known from here on, expected or not
  out.push_back(send{id, our_hello(id.value)});
}

/// A peer that this node dials is there: it may just have begun to listen.
void table::knocked(time_point now, link_id id, const node_name& name, actions& out) {
  out.push_back(hang_up{id, {errc::unavailable, "a knock: this node dials"}});
  links_.erase(id);
  const auto found = peers_.find(name);
  if (found == peers_.end()) return;
  peer& known = found->second;
  if (known.current) {
    const connection& dialling = links_.at(*known.current);
    if (dialling.open || now - dialling.opened_at < knock_delay) return;
    drop(now, *known.current, {errc::unavailable, "dialled before the peer listened"}, true, out);
  }
  known.redial_at = now;
  dial_missing(now, out);
}

void table::closed(time_point now, link_id id, const error& why, actions& out) {
  if (links_.contains(id)) drop(now, id, why, false, out);
  forget_strangers();
  dial_missing(now, out);
}

bool table::heard(time_point now, link_id id, actions& out) {
  const auto found = links_.find(id);
  if (found == links_.end()) return false;
  if (found->second.up && (found->second.quiet || quiet(now, id))) out.push_back(peer_heard{id});
  found->second.quiet = false;
  found->second.last_heard = now;
  return true;
}

void table::received(time_point now, link_id id, const wire::message& message, actions& out) {
  const auto found = links_.find(id);
  if (found == links_.end()) return;
  connection& link = found->second;
  if (const auto* said = std::get_if<wire::hello>(&message)) {
    if (link.said) return refuse(now, id, {errc::protocol, "a second hello on one connection"}, out);
    link.said = *said;
    judge(now, id, link, out);
  } else if (std::holds_alternative<wire::welcome>(message)) {
    link.welcomed = true;
    if (link.accepted && !link.up) come_up(now, id, link, out);
  } else if (const auto* bye = std::get_if<wire::goodbye>(&message)) {
    const error why{bye->refused ? bye->code : errc::draining,
                    bye->refused ? "refused by the peer: " + bye->why : bye->why};
    if (bye->refused) out.push_back(peer_refused{link.pod, why});
    peer& known = peers_[node_name{link.pod}];
    known.refused = true;  // it will not be back at once
    if (!bye->refused && link.up) known.departed = true;
    out.push_back(hang_up{id, why});
    drop(now, id, why, false, out);
  } else if (const auto* beat = std::get_if<wire::heartbeat>(&message)) {
    peers_[node_name{link.pod}].processes = beat->processes;
    out.push_back(send{id, wire::heartbeat_ack{beat->sent_at}});
  } else if (const auto* ack = std::get_if<wire::heartbeat_ack>(&message)) {
    if (ack->sent_at > ticks_of(now))
      return refuse(now, id, {errc::protocol, "acknowledges a heartbeat of the future"}, out);
    peers_[node_name{link.pod}].rtt = duration{static_cast<std::int64_t>(ticks_of(now) - ack->sent_at)};
  } else if (std::holds_alternative<wire::draining>(message) && link.up) {
    peers_[node_name{link.pod}].draining = true;
    out.push_back(send{id, wire::draining_ack{}});
    out.push_back(peer_draining{id, link.said->node});
  } else if (const auto* without = std::get_if<wire::unhosted>(&message); without != nullptr && link.up) {
    if (without->number <= link.unhosted.number)
      return refuse(now, id, {errc::protocol, "says again, or late, which classes it has no app for"}, out);
    link.unhosted = *without;
    out.push_back(peer_unhosted{id});
  }
}

void table::set_unhosted(std::vector<class_name> classes, actions& out) {
  ++unhosted_.number;
  unhosted_.classes = std::move(classes);
  for (const auto& [id, link] : links_) {
    if (link.up) out.push_back(send{id, unhosted_});
  }
}

bool table::is_expected(const connection& link) const {
  const auto known = peers_.find(node_name{link.pod});
  if (known == peers_.end() || !known->second.expected) return false;
  const auto& uid = known->second.expected->uid;
  return uid.empty() || !link.said || uid == link.said->uid;
}

bool table::last_life_alive(time_point now, link_id id, const peer& known) const {
  return known.current && *known.current != id && links_.at(*known.current).up && !quiet(now, *known.current);
}

/// True: accept. False: not yet, discovery may lag. An error: never.
result<bool> table::acceptable(time_point now, link_id id, const connection& link) const {
  const auto& said = *link.said;
  const auto apart = std::max(said.protocol, settings_.protocol) - std::min(said.protocol, settings_.protocol);
  if (apart > 1) {
    return fail(errc::protocol, "protocol version " + std::to_string(said.protocol) + " is too far from " +
                                    std::to_string(settings_.protocol) + " (at most one apart)");
  }
  if (said.mesh_id != settings_.mesh_id) {
    return fail(errc::forbidden, "mesh id '" + said.mesh_id + "' is not ours, '" + settings_.mesh_id + "'");
  }
  if (said.node.name.value != link.pod) {
    return fail(errc::forbidden, "the hello says '" + said.node.name.value + "', the certificate '" + link.pod + "'");
  }
  const auto& known = peers_.at(node_name{link.pod});
  // Boot numbers come from a wall clock, which may have been set back: an older one is a new life all the same where
  // the last life is gone or silent, as only one life of a pod can hold its certificate and answer.
  if (said.node.boot < known.last_boot && last_life_alive(now, id, known)) {
    return fail(errc::conflict, "boot " + std::to_string(said.node.boot.value) + " is older than " +
                                    std::to_string(known.last_boot.value) + ", which answers still");
  }
  // Of several connections of one life the latest that the dialler made counts; hellos may arrive out of order.
  if (!link.dialled && said.node.boot == known.last_boot && said.attempt <= known.last_attempt) {
    return fail(errc::conflict, "a later connection of this node has been accepted");
  }
  return is_expected(link);
}

void table::judge(time_point now, link_id id, connection& link, actions& out) {
  if (!link.said) return;
  if (link.accepted) {
    if (is_expected(link)) {
      link.unexpected_since = never;
      return;
    }
  } else {
    const auto verdict = acceptable(now, id, link);
    if (!verdict) return refuse(now, id, verdict.error(), out);
    if (*verdict) return accept(now, id, link, out);
  }
  if (link.unexpected_since == never) link.unexpected_since = now;
  if (now - link.unexpected_since < provisional_max) return;
  const auto known = peers_.find(node_name{link.pod});
  const bool other = known != peers_.end() && known->second.expected;
  refuse(now, id,
         {errc::forbidden, other ? "discovery expects '" + link.pod + "' with UID " + known->second.expected->uid +
                                       ", not " + link.said->uid
                                 : "discovery does not expect '" + link.pod + "'"},
         out);
}

void table::accept(time_point now, link_id id, connection& link, actions& out) {
  const node_name name{link.pod};
  if (const auto old = peers_[name].current; old && *old != id) {
    const bool newer_life = links_.at(*old).said && links_.at(*old).said->node != link.said->node;
    const error why{errc::unavailable, newer_life ? "a newer life of '" + name.value + "' connected"
                                                  : "a newer connection of '" + name.value + "' replaced this one"};
    drop(now, *old, why, true, out);
  }
  peer& known = peers_[name];
  link.accepted = true;
  link.unexpected_since = never;
  known.current = id;
  known.last_boot = link.said->node.boot;
  known.last_attempt = link.dialled ? 0 : link.said->attempt;
  known.draining = link.said->draining;
  known.software = link.said->software;
  link.unhosted.classes = link.said->unhosted;
  out.push_back(send{id, wire::welcome{}});
  if (link.welcomed) come_up(now, id, link, out);
}

void table::come_up(time_point now, link_id id, connection& link, actions& out) {
  peer& known = peers_[node_name{link.pod}];
  link.up = true;
  link.next_heartbeat = now;
  known.met = true;
  known.departed = false;
  known.failures = 0;
  known.refused = false;
  known.rtt.reset();
  out.push_back(peer_up{id, link.said->node, known.draining});
  if (unhosted_.number > 0) out.push_back(send{id, unhosted_});
  beat(now, id, link, out);
}

void table::beat(time_point now, link_id id, connection& link, actions& out) {
  if (now - link.last_heard >= settings_.down_after) {
    return drop(now, id, {errc::unavailable, "nothing heard for " + in_ms(now - link.last_heard)}, true, out);
  }
  if (link.unexpected_since != never && now - link.unexpected_since >= provisional_max) {
    return judge(now, id, link, out);
  }
  link.quiet = now - link.last_heard >= 2 * settings_.heartbeat_interval;
  if (now < link.next_heartbeat) return;
  link.next_heartbeat = now + settings_.heartbeat_interval;
  out.push_back(send{id, wire::heartbeat{ticks_of(now), processes_, moving_}});
}

void table::refuse(time_point now, link_id id, error why, actions& out) {
  const auto found = links_.find(id);
  if (found == links_.end()) return;
  out.push_back(peer_refused{found->second.pod, why});
  if (found->second.open) out.push_back(send{id, wire::goodbye{true, why.code, why.context}});
  if (const auto known = peers_.find(node_name{found->second.pod}); known != peers_.end()) known->second.refused = true;
  drop(now, id, why, true, out);
}

/// Forgets a connection. `tell`: the transport still has it.
void table::drop(time_point now, link_id id, const error& why, bool tell, actions& out) {
  const connection gone = std::move(links_.at(id));
  links_.erase(id);
  if (tell) out.push_back(hang_up{id, why});
  if (gone.knock) return;
  const auto found = peers_.find(node_name{gone.pod});
  if (found == peers_.end()) return;
  peer& known = found->second;
  if (known.current != id && (known.current || !gone.dialled)) return;
  known.current.reset();
  if (gone.up) {
    known.unreached_since = now;
    known.draining = false;
    known.redial_at = now;
    known.failures = known.refused ? failures_of_the_refused : 0;
    out.push_back(peer_down{id, gone.said->node, why});
  }
  if (known.refused) known.failures = failures_of_the_refused;
  if (!gone.up || known.refused) back_off(now, known);
}

void table::leave(time_point now, actions& out) {
  left_ = true;
  std::vector<link_id> ids;
  for (const auto& [id, link] : links_)
    ids.push_back(id);
  for (const link_id id : ids) {
    const auto found = links_.find(id);
    if (found == links_.end()) continue;
    if (found->second.open) out.push_back(send{id, wire::goodbye{false, errc::draining, "drained"}});
    drop(now, id, {errc::draining, "this node leaves"}, true, out);
  }
}

}  // namespace orrery::membership
