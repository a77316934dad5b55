// Requests about one name: where they belong, their way there, and their answer.
//
// A request runs where its name's owner is, as the node that holds it sees the mesh; else it is forwarded. A node that
// still runs a name that it no longer owns serves it until it has handed it over. Forwarding ends: rendezvous hashing
// makes the owner's hash grow with every hop between views that disagree, as a view that lacks the better node passes
// the request to one that knows it. A draining node passes requests down instead, but its peers heard that it drains
// before anything that it forwards; so does one that has no app for a class. hops_max is the belt to these braces.
#include "mesh/node/impl.hpp"

#include <algorithm>

namespace orrery::node {
namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;

bool worth_a_retry(const error& why) {
  return why.effect == took_effect::not_executed && (why.code == errc::unavailable || why.code == errc::draining);
}

error forwarded_too_often() {
  return {errc::unavailable,
          "forwarded " + std::to_string(hops_max) + " times: the nodes do not agree on the owner yet"};
}

error too_many_parked() {
  return {errc::overloaded, std::to_string(parked_max) + " requests wait for a change of the mesh; retry later"};
}

}  // namespace

bool core::impl::must_wait(const process_name& name) {
  if (moves_.in_flight(name)) return true;
  if (takeover_.empty() && forming_until_ == never) return false;
  if (const auto info = runtime_.find(name)) return contest_open_ && contested(*info);
  if (forming_until_ != never || takeover_.any_name() || takeover_.any_name_of(name.klass)) return true;
  if (waits_for_a_word(name.klass)) return true;
  const auto leavers = takeover_.draining();
  return std::find(leavers.begin(), leavers.end(), *placement_with_leavers().owner(name)) != leavers.end();
}

/// The placement that counts in those that still hand over. Kept, as every parked request asks for it.
const membership::placement& core::impl::placement_with_leavers() {
  if (!with_leavers_ || with_leavers_version_ != takeover_.version()) {
    std::vector<node_id> nodes = takeover_.draining();
    nodes.insert(nodes.end(), placement_.nodes().begin(), placement_.nodes().end());
    with_leavers_ = placement_among(std::move(nodes));
    with_leavers_version_ = takeover_.version();
  }
  return *with_leavers_;
}

route core::impl::where(const process_name& name) {
  if (isolation_.isolated()) {
    return {route::to::nowhere,
            {},
            {errc::isolated, "this node reaches neither a majority of the mesh nor the API server"}};
  }
  end_if_lost(name);
  const node_id* owner = placement_.owner(name);
  if (owner != nullptr && *owner == settings_.self) {
    // A peer that could not hand it over serves it.
    const auto holder = runs(name) ? std::nullopt : takeover_.holder(name);
    if (const auto peer = holder ? members_.find(*holder) : std::nullopt) {
      return {members_.quiet(now_, peer->link) ? route::to::wait : route::to::there, peer, {}};
    }
    return {must_wait(name) ? route::to::wait : route::to::here, {}, {}};
  }
  if (const auto info = runtime_.find(name); info && !(contest_open_ && contested(*info))) {
    return {route::to::here, {}, {}};
  }
  if (owner == nullptr && members_.waiting_for(now_)) return {route::to::wait, {}, {}};
  if (owner == nullptr) return {route::to::nowhere, {}, {errc::draining, "every node of the mesh is draining"}};
  const auto peer = members_.find(*owner);
  if (!peer || members_.quiet(now_, peer->link)) return {route::to::wait, {}, {}};
  return {route::to::there, peer, {}};
}

void core::impl::begin(pending entry) {
  if (pending_.full()) {
    return answer(entry.from, fail(pending_.overload()));
  }
  dispatch(pending_.open(std::move(entry)));
}

void core::impl::dispatch(reply_token token) {
  const pending* entry = pending_.find(token);
  if (entry == nullptr) return;
  auto way = where(entry->name);
  const auto most = std::holds_alternative<ask_cast>(entry->what) ? cast_hops_max : hops_max;
  if (way.where == route::to::there && entry->hops >= most) {
    way = {route::to::nowhere, {}, forwarded_too_often()};
  }
  switch (way.where) {
    case route::to::here:
      return run_here(token);
    case route::to::there:
      return send_there(token, *way.peer);
    case route::to::wait:
      return park(token);
    case route::to::nowhere:
      return complete(token, fail(std::move(way.why)));
  }
}

void core::impl::run_here(reply_token token) {
  pending_.set_here(token);
  pending& entry = *pending_.find(token);
  if (const auto* call = std::get_if<ask_call>(&entry.what)) {
    if (std::holds_alternative<from_client>(entry.from)) ++counted_.calls_local;
    entry.asked = runtime_.call(now_, {entry.name, call->method, call->argument, entry.deadline, token}, ran_);
    work_left_ = true;
  } else if (const auto* cast = std::get_if<ask_cast>(&entry.what)) {
    (void)runtime_.cast(now_, entry.name, cast->method, cast->argument, ran_);
    work_left_ = true;
    (void)pending_.close(token);
  } else if (std::get<ask_control>(entry.what).asked == wire::verb::trace) {
    trace_here(token);
  } else {
    auto outcome = control_here(entry.name, std::get<ask_control>(entry.what));
    complete(token, std::move(outcome));
  }
}

void core::impl::send_there(reply_token token, const membership::live_peer& peer) {
  pending& entry = *pending_.find(token);
  if (const auto* cast = std::get_if<ask_cast>(&entry.what)) {
    transmit_to(peer.link, wire::cast{entry.name, cast->method, cast->argument, entry.hops + 1});
    (void)pending_.close(token);
    return;
  }
  if (!pending_.set_forwarded(token, peer.link)) {
    return complete(token, fail(errc::overloaded, std::to_string(forwarded_max) + " requests wait for " +
                                                      peer.node.name.value + "; retry later"));
  }
  const auto remaining = duration_cast<microseconds>(time_there(entry.deadline - now_));
  const auto* seeks = std::get_if<ask_control>(&entry.what);
  if (seeks != nullptr && seeks->asked == wire::verb::whereis && !speaks(peer)) {
    return complete(token, fail(errc::unavailable, peer.node.name.value + " has a version that knows no signals"));
  }
  if (const auto* call = std::get_if<ask_call>(&entry.what)) {
    if (std::holds_alternative<from_client>(entry.from)) ++counted_.calls_forwarded;
    transmit_to(peer.link,
                wire::call{token.value, entry.name, call->method, call->argument, remaining, entry.hops + 1});
  } else {
    const auto& control = std::get<ask_control>(entry.what);
    transmit_to(peer.link, wire::control{.id = token.value,
                                         .asked = control.asked,
                                         .name = entry.name,
                                         .reason = control.reason,
                                         .only = {},
                                         .remaining = remaining,
                                         .hops = entry.hops + 1,
                                         .argument = control.argument});
  }
}

void core::impl::park(reply_token token, time_point retry_at) {
  if (pending_.set_parked(token, retry_at)) return;
  if (std::holds_alternative<ask_cast>(pending_.find(token)->what)) {
    ++counted_.casts_dropped;
    (void)pending_.close(token);
    return;
  }
  complete(token, fail(too_many_parked()));
}

void core::impl::complete(reply_token token, result<value> outcome, bool waited) {
  auto entry = pending_.close(token);
  if (!entry) return;
  if (const auto* control = std::get_if<ask_control>(&entry->what); control && control->asked == wire::verb::trace) {
    return trace_answered(token, std::move(*entry), std::move(outcome));
  }
  if (std::holds_alternative<ask_cast>(entry->what)) {
    if (!outcome) ++counted_.casts_dropped;
    return;
  }
  if (!outcome && std::holds_alternative<from_client>(entry->from)) ++counted_.calls_failed;
  answer(entry->from, std::move(outcome), waited);
}

/// What was refused, here or elsewhere, as it is not to be had now: a process that is about to start again is waited
/// for.
void core::impl::complete_or_retry(reply_token token, result<value> outcome) {
  pending* entry = pending_.find(token);
  if (entry != nullptr && !entry->cancelled && !outcome && worth_a_retry(outcome.error()) &&
      !std::holds_alternative<from_peer>(entry->from) && now_ + retry_delay < entry->deadline) {
    entry->refused = outcome.error().context;
    return park(token, now_ + retry_delay);
  }
  complete(token, std::move(outcome));
}

/// What ran here. Where it is an app's that is missed, it has waited as long as its class says.
void core::impl::complete_here(reply_token token, result<value> outcome) {
  const pending* entry = outcome ? nullptr : pending_.find(token);
  const auto* spec = entry == nullptr ? nullptr : runtime_.find_class(entry->name.klass);
  if (spec != nullptr && std::holds_alternative<process::app_hosted>(spec->behaviour)) {
    auto& why = outcome.error();
    const bool in_vain = why.code == errc::deadline_exceeded && why.effect == took_effect::not_executed;
    if (in_vain && !runtime_.has_app(spec->name))
      why.context +=
          "; no app that hosts class '" + spec->name.value + "' is connected to node " + settings_.self.name.value;
    const auto info = runtime_.find(entry->name);
    if (!info || info->state != process::process_state::restarting) return complete(token, std::move(outcome), true);
  }
  complete_or_retry(token, std::move(outcome));
}

void core::impl::answer(const origin& to, result<value> outcome, bool waited) {
  if (const auto* client = std::get_if<from_client>(&to)) {
    out_->push_back(respond{client->id, std::move(outcome)});
  } else if (const auto* peer = std::get_if<from_peer>(&to)) {
    if (members_.find(peer->link)) transmit_to(peer->link, wire::reply{peer->id, std::move(outcome), waited});
  } else {
    answer_process(to, std::move(outcome));
  }
}

result<void> core::impl::route_cast(process_name name, std::string method, value argument, std::uint64_t hops) {
  const auto dropped = [&](error why) -> result<void> {
    ++counted_.casts_dropped;
    return fail(std::move(why));
  };
  auto way = where(name);
  switch (way.where) {
    case route::to::here:
      work_left_ = true;
      return runtime_.cast(now_, name, std::move(method), std::move(argument), ran_);
    case route::to::there:
      if (hops >= cast_hops_max) return dropped(forwarded_too_often());
      if (hops >= hops_max) break;
      transmit_to(way.peer->link, wire::cast{std::move(name), std::move(method), std::move(argument), hops + 1});
      return {};
    case route::to::nowhere:
      return dropped(std::move(way.why));
    case route::to::wait:
      break;
  }
  if (pending_.full()) return dropped(pending_.overload());
  const reply_token token = pending_.open({.from = nobody{},
                                           .name = std::move(name),
                                           .what = ask_cast{std::move(method), std::move(argument)},
                                           .deadline = after(now_, cast_parked_max),
                                           .hops = hops});
  if (pending_.set_parked(token, hops >= hops_max ? now_ + retry_delay : never)) return {};
  (void)pending_.close(token);
  return dropped(too_many_parked());
}

void core::impl::on_reply(link_id link, wire::reply& received) {
  if (gathers_.contains(received.id)) return on_gather_reply(received.id, link, received.outcome);
  if (on_claim_reply(link, received)) return;
  const reply_token token{received.id};
  const pending* entry = pending_.find(token);
  // A late reply, or one of a peer that was not asked: the deadline has answered already.
  if (entry == nullptr || entry->where != pending::place::forwarded || entry->peer != link) return;
  if (received.waited) return complete(token, std::move(received.outcome), true);
  complete_or_retry(token, std::move(received.outcome));
}

void core::impl::release_parked() {
  declared_stale_ = true;
  for (const reply_token token : pending_.parked()) {
    const pending* entry = pending_.find(token);
    if (entry != nullptr && entry->retry_at == never) dispatch(token);
  }
}

void core::impl::release_parked(const process_name& name) {
  declared_stale_ = true;
  for (const reply_token token : pending_.parked_for(name))
    dispatch(token);
}

void core::impl::expire_requests() {
  for (const reply_token token : pending_.expired(now_)) {
    const pending& entry = *pending_.find(token);
    const bool sent = entry.where == pending::place::forwarded;
    complete(token, fail(errc::deadline_exceeded,
                         sent ? "no reply of " + to_string(entry.name) + " before the deadline"
                         : entry.refused.empty()
                             ? to_string(entry.name) + " had no node to run on before the deadline"
                             : to_string(entry.name) + " was not to be had before the deadline: " + entry.refused,
                         sent ? took_effect::unknown : took_effect::not_executed));
  }
  for (const reply_token token : pending_.due_retries(now_))
    dispatch(token);
}

void core::impl::fail_forwarded(link_id link, const std::string& why) {
  for (const reply_token token : pending_.forwarded_to(link))
    complete(token, fail(errc::unavailable, why, took_effect::unknown));
}

}  // namespace orrery::node
