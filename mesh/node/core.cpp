// The step: one event in, everything that follows from it and from the time out.
#include "mesh/base/assert.hpp"
#include "mesh/node/impl.hpp"

#include <algorithm>

namespace orrery::node {
namespace {

membership::settings membership_settings(const settings& chosen) {
  return {.name_space = chosen.name_space,
          .mesh = chosen.mesh,
          .mesh_id = chosen.mesh_id,
          .self = chosen.self,
          .uid = chosen.uid,
          .address = chosen.address,
          .heartbeat_interval = chosen.heartbeat_interval,
          .down_after = chosen.down_after,
          .seed = chosen.seed};
}

}  // namespace

core::core(settings chosen) : impl_(std::make_unique<impl>(std::move(chosen))) {}
core::~core() = default;
core::core(core&&) noexcept = default;
core& core::operator=(core&&) noexcept = default;
void core::step(time_point now, event happened, effects& out) { impl_->step(now, std::move(happened), out); }
time_point core::wake_at() const { return impl_->wake_at(); }
status core::current() const { return impl_->current(); }

core::impl::impl(settings chosen)
    : settings_(std::move(chosen)),
      members_(membership_settings(settings_)),
      runtime_(process::runtime::options{.node = settings_.self,
                                         .seed = settings_.seed,
                                         .make = settings_.make,
                                         .stopwatch = settings_.stopwatch,
                                         .processor_time = settings_.processor_time}),
      takeover_(settings_.heartbeat_interval) {
  runtime_.set_wall_offset(settings_.wall_offset);
}

void core::impl::step(time_point now, event happened, effects& out) {
  ORRERY_ASSERT(now >= now_);
  now_ = now;
  out_ = &out;
  if (started_at_ == never) {
    started_at_ = now;
    forming_until_ = now + forming_max;
  }
  // What frames and requests make processes do is done with them as long as it is little, and else when the node wakes
  // for it: a full socket would keep heartbeats waiting for as long as all its messages take.
  if (std::holds_alternative<woken>(happened)) turn_left_ = turn_budget;
  if (!left_ && see_apps()) {  // what they wait for no longer is not refused, but goes where it is to be had
    apply_membership();
    refresh_placement();
  }
  std::visit([&](auto& seen) { take(seen); }, happened);
  settle();
  out_ = nullptr;
}

void core::impl::settle() {
  work_left_ = false;
  if (left_) return;
  if (now_ >= members_wake_) members_.tick(now_, todo_);
  (void)see_apps();
  apply_membership();
  watch_majority();
  refresh_placement();
  if (takeover_.expire(now_)) release_parked();
  if (now_ >= forming_until_) {
    forming_until_ = never;
    release_parked();
  }
  see_whether_joined();
  expire_requests();
  expire_claims();
  expire_gathers();
  advance_census();
  run_processes();
  if (now_ >= rescan_at_) {
    rescan_at_ = never;
    moves_.rescan();
  }
  hand_over_some();
  keep_declared();
  run_processes();
  expire_traces();
  flush_traces();
  finish_drain();
  members_.set_processes(runtime_.count());
  members_.set_moving(!moves_.settled());
  members_wake_ = members_.wake_at();
}

void core::impl::run_processes() {
  // Effects of processes may be casts to other processes here: those run in the next step, so that one step is bounded.
  const auto before = runtime_.spent();
  if (runtime_.run(now_, std::min(run_budget, turn_left_), ran_)) work_left_ = true;
  turn_left_ -= static_cast<std::uint32_t>(std::min<std::uint64_t>(turn_left_, runtime_.spent() - before));
  perform_process_effects();
}

void core::impl::perform_process_effects() {
  while (!ran_.empty()) {
    process::effects batch;
    batch.swap(ran_);
    for (auto& each : batch)
      on_process_effect(each);
    if (runtime_.next_deadline() <= now_) work_left_ = true;
  }
  flush_facts();
}

void core::impl::refresh_placement() {
  if (members_.self_terminating() && !draining_) announce_drain();
  if (!placement_stale_) return;
  placement_stale_ = false;
  std::vector<node_id> nodes;
  if (!draining_) nodes.push_back(settings_.self);
  for (const auto& peer : members_.live()) {
    if (!peer.draining) nodes.push_back(peer.node);
  }
  auto before = placement_among(std::move(nodes));
  if (!(before == placement_)) {
    std::swap(before, placement_);
    with_leavers_.reset();
    moves_.rescan();
    if (before.nodes() != placement_.nodes()) tell_placement();
    if (before.restricted() != placement_.restricted()) classes_placed_anew(before);
  }
  release_parked();
}

void core::impl::see_whether_joined() {
  if (contest_open_ && takeover_.empty()) {
    contest_open_ = false;
    release_parked();
  }
  const bool formed = members_.discovery_known() && !members_.waiting_for(now_) && !members_.unreached_leaver();
  if (forming_until_ != never && formed) {
    forming_until_ = never;
    release_parked();
  }
  if (joined_ || !members_.discovery_known() || members_.waiting_for(now_) || !takeover_.empty()) return;
  if (!members_.reachable(false).majority()) return;
  joined_ = true;
  emit("node_joined", {{"peers", static_cast<std::uint64_t>(members_.live().size())},
                       {"seconds", std::chrono::duration<double>(now_ - started_at_).count()}});
  release_parked();
}

time_point core::impl::wake_at() const {
  if (left_) return never;
  if (work_left_ || declared_stale_ || (moves_.scanning() && moves_.may_send())) return now_;
  time_point next =
      std::min({members_wake_, takeover_.next_deadline(), isolation_.wake_at(), pending_.next_deadline(),
                runtime_.next_deadline(), forming_until_, rescan_at_, drain_until_, key_claims_.next_deadline(),
                key_grants_.next_deadline(now_), census_wake_at(), traces_wake_at(), declared_at_});
  for (const auto& [id, each] : gathers_)
    next = std::min(next, each.deadline);
  if (!joined_ || drain_wanted_) next = std::min(next, after(now_, joining_poll));
  return next;
}

status core::impl::current() const {
  const auto count = members_.count();
  status out;
  out.joined = joined_ && members_.reachable(true).majority();
  out.isolated = isolation_.isolated();
  out.draining = draining_;
  out.expected = count.expected;
  out.connected = members_.live().size();
  out.processes = runtime_.count();
  out.counted = counted_;
  const auto ran = runtime_.counted();
  out.counted.casts_dropped += ran.casts_dropped;
  out.counted.calls_expired = ran.calls_expired;
  out.counted.app_works = ran.app_works;
  out.counted.app_crashes = ran.app_crashes;
  out.counted.app_losses = ran.app_losses;
  out.counted.app_overdue = ran.app_overdue;
  out.app_registrations = runtime_.apps().registrations;
  out.app_at_work = runtime_.apps().at_work;
  out.clients = runtime_.clients();
  out.classes_unhosted = members_.own_unhosted().classes.size();
  if (!out.joined) out.reason = why_not_joined();
  return out;
}

std::string core::impl::why_not_joined() const {
  if (!members_.discovery_known()) return "waiting for discovery";
  if (const auto awaited = members_.waiting_for(now_)) return "waiting for " + *awaited;
  if (const auto reached = members_.reachable(joined_); !reached.majority()) {
    const std::size_t peers = reached.expected - 1;
    return "connected to " + std::to_string(reached.live - 1) + " of " + std::to_string(peers) +
           (peers == 1 ? " peer" : " peers") + (last_refusal_.empty() ? "" : "; refused: " + last_refusal_);
  }
  if (const auto handing = takeover_.first()) return "waiting for " + handing->value + " to hand over its processes";
  return "joining";
}

void core::impl::emit(const char* type, std::vector<field> fields) {
  fields.emplace_back("node", settings_.self.name.value);
  out_->push_back(notify{type, flat(fields)});
}

// ---- events ----

void core::impl::take(const members_changed& seen) {
  std::vector<membership::member> members;
  for (const auto& each : seen.members)
    members.push_back({each.name, each.uid, each.address, each.terminating});
  members_.expect(now_, members, todo_);
  placement_stale_ = true;
}

void core::impl::take(const control_plane_checked& seen) { apply(isolation_.control_plane(now_, seen.reachable)); }

void core::impl::take(const connection_opened& seen) {
  members_.opened(now_, link_id{seen.id.value}, seen.peer, seen.dialled, todo_);
}

void core::impl::take(const connection_closed& seen) { members_.closed(now_, link_id{seen.id.value}, seen.why, todo_); }

void core::impl::take(const frame_received& seen) {
  const link_id link{seen.id.value};
  if (!members_.heard(now_, link, todo_)) return;
  auto decoded = wire::decode(seen.received);
  if (!decoded) return refuse_frame(link, std::move(decoded.error()));
  from_peer_frame(link, *decoded);
}

void core::impl::take(const classes_changed& seen) { define_classes(seen.classes); }

void core::impl::take(const clock_read& seen) { runtime_.set_wall_offset(seen.wall_offset); }

void core::impl::take(const drain_requested&) {
  if (left_ || drain_wanted_) return;
  drain_wanted_ = true;
  drain_until_ = after(now_, settings_.drain_timeout);
  newcomer_until_ = after(now_, newcomer_grace);
  announce_drain();
}

void core::impl::take(const woken&) {}

void core::impl::take(client_request& seen) {
  if (left_) return answer(from_client{seen.id}, fail(errc::draining, "this node has left the mesh"));
  if (drain_wanted_ && handed_over()) {  // else a busy client would keep it from leaving
    return answer(from_client{seen.id}, fail(errc::draining, "this node has handed over and is about to leave"));
  }
  ask_client(seen.id, seen.asked);
}

void core::impl::take(from_app& seen) {
  if (left_) return;
  runtime_.from_app(now_, std::move(seen.said), ran_);
  perform_process_effects();  // a process that was waited for can go before its next message, and only now
}

}  // namespace orrery::node
