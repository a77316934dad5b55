#pragma once
// The inside of node::core. One file for each concern: core.cpp (the step), peers.cpp (membership's actions, frames),
// routing.cpp (requests about one name), unhosted.cpp (classes that some node has no app for), cancelling.cpp,
// handoff.cpp (processes on their way), drain.cpp, gather.cpp (lists of the whole mesh), introspect.cpp (what may be
// seen of a process, and done to it), looking.cpp (the census of all processes), tracing.cpp, classes.cpp,
// declared.cpp, isolated.cpp, signals.cpp (what processes of different nodes have to do with each other), claiming.cpp
// (unique keys), shared.cpp (what clients ask of groups and the registry).
#include "mesh/membership/membership.hpp"
#include "mesh/membership/placement.hpp"
#include "mesh/node/documents.hpp"
#include "mesh/node/isolation.hpp"
#include "mesh/node/keys.hpp"
#include "mesh/node/looks.hpp"
#include "mesh/node/moves.hpp"
#include "mesh/node/node.hpp"
#include "mesh/node/pending.hpp"
#include "mesh/node/reports.hpp"
#include "mesh/node/takeover.hpp"
#include "mesh/node/trace_flows.hpp"
#include "mesh/process/runtime.hpp"
#include "mesh/wire/messages.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace orrery::node {

inline constexpr duration call_timeout_default = std::chrono::seconds{5};
inline constexpr duration call_timeout_max = std::chrono::hours{1};
inline constexpr duration control_timeout = std::chrono::seconds{5};
/// A parked cast is dropped after this.
inline constexpr duration cast_parked_max = std::chrono::seconds{5};
/// Until the mesh has formed, names are not started here for at most this long.
inline constexpr duration forming_max = std::chrono::seconds{2};
/// A last node that drains and still runs processes waits this long for discovery to tell of a newcomer.
inline constexpr duration newcomer_grace = std::chrono::seconds{1};
inline constexpr duration gather_max_time = std::chrono::seconds{1};
inline constexpr std::size_t gathers_max = 256;
inline constexpr std::uint32_t run_budget = 256;   ///< messages handled at a time
inline constexpr std::uint32_t turn_budget = 512;  ///< messages handled from one wake-up to the next
/// A declared child that could not be started is tried again after this.
inline constexpr duration declared_retry = std::chrono::seconds{1};
/// While this node has not joined, it looks again this often.
inline constexpr duration joining_poll = std::chrono::milliseconds{100};

/// A question to every node, answered when all have or after gather_max_time.
struct gather {
  request_id client;
  node_question asked{};
  std::map<link_id, std::string> waiting{};
  bool own_awaited = false;  ///< this node's part comes later
  std::vector<std::string> unreachable{};
  std::vector<value> parts{};
  time_point deadline{};
};

/// Errors: invalid_argument.
[[nodiscard]] result<void> check_method(std::string_view method);

/// Where a name belongs, as far as this node can say now.
struct route {
  enum class to : std::uint8_t { here, there, wait, nowhere };
  to where = to::nowhere;
  std::optional<membership::live_peer> peer;
  error why;
};

struct core::impl {
  explicit impl(settings chosen);

  // ---- core.cpp ----
  void step(time_point now, event happened, effects& out);
  [[nodiscard]] time_point wake_at() const;
  [[nodiscard]] status current() const;
  void take(const members_changed& seen);
  void take(const control_plane_checked& seen);
  void take(const connection_opened& seen);
  void take(const connection_closed& seen);
  void take(const frame_received& seen);
  void take(const classes_changed& seen);
  void take(const clock_read& seen);
  void take(const drain_requested& seen);
  void take(const woken& seen);
  void take(client_request& seen);
  void take(const client_cancelled& seen);
  void take(const client_gone& seen);
  void take(from_app& seen);
  void settle();  ///< everything that follows from the event and from the time
  void refresh_placement();
  void see_whether_joined();
  [[nodiscard]] std::string why_not_joined() const;
  void run_processes();
  void perform_process_effects();
  void emit(const char* type, std::vector<field> fields);

  // ---- peers.cpp ----
  void apply_membership();
  void apply(const membership::dial& todo);
  void apply(const membership::hang_up& todo);
  void apply(const membership::send& todo);
  void apply(const membership::peer_up& seen);
  void apply(const membership::peer_down& seen);
  void apply(const membership::peer_refused& seen);
  void apply(const membership::peer_draining& seen);
  void apply(const membership::peer_unhosted& seen);
  void apply(const membership::peer_heard& seen);
  void transmit_to(link_id link, const wire::message& what);
  void from_peer_frame(link_id link, wire::message& received);
  void refuse_frame(link_id link, error why);

  // ---- routing.cpp ----
  [[nodiscard]] route where(const process_name& name);
  [[nodiscard]] bool must_wait(const process_name& name);
  [[nodiscard]] const membership::placement& placement_with_leavers();
  [[nodiscard]] bool runs(const process_name& name) const { return runtime_.find(name).has_value(); }
  void begin(pending entry);  ///< a new request: opens and dispatches, or refuses
  void dispatch(reply_token token);
  void run_here(reply_token token);
  void send_there(reply_token token, const membership::live_peer& peer);
  void park(reply_token token, time_point retry_at = never);
  /// `waited`: an error is the last word, as what is missing was waited for.
  void complete(reply_token token, result<value> outcome, bool waited = false);
  void complete_or_retry(reply_token token, result<value> outcome);
  void complete_here(reply_token token, result<value> outcome);
  void answer(const origin& to, result<value> outcome, bool waited = false);
  /// An error: it is dropped, and counted, for what is known here and now. It may still be dropped later.
  result<void> route_cast(process_name name, std::string method, value argument, std::uint64_t hops);
  void on_reply(link_id link, wire::reply& received);
  void release_parked();
  void release_parked(const process_name& name);
  void expire_requests();
  void fail_forwarded(link_id link, const std::string& why);
  [[nodiscard]] result<value> control_here(const process_name& name, const ask_control& asked);
  [[nodiscard]] error not_here(const process_name& name) const;
  void ask_client(request_id id, operation& asked);
  void on_process_effect(process::effect& happened);
  void tell(const process::process_event& seen);

  // ---- unhosted.cpp ----
  [[nodiscard]] bool see_apps();  ///< true if a class' apps have come or gone
  [[nodiscard]] membership::placement placement_among(std::vector<node_id> nodes) const;
  void classes_placed_anew(const membership::placement& before);
  void still_drains_without(link_id link);
  /// What each of them said last of its classes, as far as is known here.
  [[nodiscard]] std::vector<std::uint64_t> words_of(const std::vector<node_id>& nodes) const;
  /// A class of apps, some word on which is still to come.
  [[nodiscard]] bool waits_for_a_word(const class_name& klass) const;
  /// What the peer's word must have heard of ours: those that know nothing of it never will.
  [[nodiscard]] std::uint64_t to_be_heard(const membership::live_peer& peer) const {
    return (peer.features & wire::feature_unhosted) != 0 ? members_.own_unhosted().number : 0;
  }

  // ---- cancelling.cpp ----
  void cancel(reply_token token);
  void on_cancel(link_id link, const wire::cancel& received);

  // ---- looking.cpp ----
  /// Answered once all processes have been looked at.
  void take_a_look(look asked);
  void advance_census();
  void answer_look(const look& asked);
  [[nodiscard]] time_point census_wake_at() const;

  // ---- tracing.cpp ----
  void trace_here(reply_token token);
  void trace_answered(reply_token token, pending asked, result<value> outcome);
  void collect_traced();
  void tell_trace(trace_flow& flow, std::string type, value document);
  void flush_traces();
  void flush_trace(trace_flow& flow, std::string over);
  template <class Matches>
  [[nodiscard]] std::vector<std::uint64_t> traces_that(Matches&& matches) const;
  [[nodiscard]] time_point traces_wake_at() const;
  void trace_over(std::uint64_t token, const std::string& why);
  void drop_trace(std::uint64_t token);
  void on_traced(link_id link, wire::traced& received);
  void on_untrace(link_id link, const wire::untrace& received);
  void lose_traces(link_id link);
  void trace_client_gone(request_id id);
  void trace_moved(const process_name& name);
  void end_traces();
  void expire_traces();

  // ---- introspect.cpp ----
  void tell_crash(std::uint64_t number);
  [[nodiscard]] result<value> introspect_here(const process_name& name, const ask_control& asked);

  // ---- handoff.cpp ----
  void hand_over_some();
  void hand_over(const process::process_info& info, const membership::live_peer& to);
  void hand_over_late(const process_name& name);
  void hold(const process_name& name, const error& why);
  void tell_what_is_held();
  [[nodiscard]] std::optional<membership::live_peer> better_owner(const process_name& name) const;
  void send_handoff(process::handoff what, const membership::live_peer& to, bool contested, std::uint64_t hops,
                    std::optional<move::upstream> acknowledge);
  void on_handoff(link_id link, wire::handoff& received);
  void on_handoff_ack(link_id link, const wire::handoff_ack& received);
  void on_handoff_done(link_id link, const wire::handoff_done& received);
  void keep_after_all(move what, const std::optional<error>& refused);
  void install_here(process::handoff what, link_id from, wire::correlation id);
  void queue_mailbox(const process_name& name, std::vector<process::handoff::waiting> mailbox);
  void acknowledge(const std::optional<move::upstream>& to, bool superseded);
  void discard(const process_name& name, std::vector<process::handoff::waiting>& mailbox);
  [[nodiscard]] bool contested(const process::process_info& info) const { return info.started_at < contested_before_; }

  // ---- drain.cpp ----
  void announce_drain();
  void finish_drain();
  [[nodiscard]] bool handed_over() const { return moves_.nothing_left() && drain_unheard_.empty(); }
  [[nodiscard]] bool may_leave() const;
  void leave();

  // ---- isolated.cpp ----
  void watch_majority();
  void apply(const isolation::change& change);
  void end_if_lost(const process_name& name);

  // ---- gather.cpp ----
  [[nodiscard]] report_context report_here() const;
  void ask_all(request_id client, node_question asked, bool local);
  void begin_gather(gather asked);
  [[nodiscard]] value local_part(const node_question& asked) const;
  [[nodiscard]] value tree_here(const std::optional<class_name>& only, std::size_t processes) const;
  void answer_for_node(const from_peer& to, node_question asked);
  void on_own_part(std::uint64_t id, value part);
  void finish_if_whole(std::uint64_t id);
  void on_gather_reply(std::uint64_t id, link_id link, result<value>& outcome);
  void lose_gathers(link_id link);
  void expire_gathers();
  void finish_gather(std::uint64_t id);

  // ---- signals.cpp ----
  /// Both nodes know signals, groups and the registry.
  [[nodiscard]] bool speaks(const membership::live_peer& peer) const { return told_.contains(peer.link); }
  [[nodiscard]] std::chrono::microseconds remaining(time_point deadline) const;
  void begin_signals(const membership::peer_up& seen);
  void end_signals(const membership::peer_down& seen);
  void from_peers_processes(link_id link, wire::message& received);
  void on_announce(link_id link, const node_id& from, const wire::announce& received);
  void send_signal(process::signal_sent& sent);
  void send_published(process::published& sent);
  void announce_to(link_id link, std::vector<wire::fact> facts);
  void flush_facts();
  void tell_placement();
  void call_for_process(process::name_called& asked);
  void seek_for_process(process::name_sought& asked);
  void answer_process(const origin& to, result<value> outcome);

  // ---- claiming.cpp ----
  void begin_claim(process::key_claimed& asked);
  void send_claim(wire::correlation id);
  void end_claim(wire::correlation id, const result<value>& outcome);
  [[nodiscard]] bool on_claim_reply(link_id link, const wire::reply& received);
  void claim_refused(wire::correlation id, const error& why);
  void expire_claims();
  void lose_claims(link_id link);
  [[nodiscard]] bool may_grant() const;
  void take_claim(key_grants::claim asked);
  void answer_claim(const key_grants::claim& asked, result<value> outcome);

  // ---- shared.cpp ----
  [[nodiscard]] result<value> groups_here(const list_groups_op& asked) const;
  [[nodiscard]] result<value> group_here(const group_op& asked) const;
  [[nodiscard]] result<value> publish_here(const publish_op& asked);
  [[nodiscard]] result<value> registry_here(const list_registry_op& asked) const;

  // ---- declared.cpp ----
  void keep_declared();

  // ---- classes.cpp ----
  void define_classes(const std::vector<process::class_spec>& classes);
  void define_class(const process::class_spec& spec, const std::string& fault);
  [[nodiscard]] duration call_timeout(const class_name& klass) const;

  settings settings_;
  time_point now_{};
  time_point started_at_ = never;
  effects* out_ = nullptr;
  membership::table members_;
  membership::actions todo_;
  membership::placement placement_;
  std::optional<membership::placement> with_leavers_;  ///< made when asked for; valid for this version
  std::uint64_t with_leavers_version_ = 0;
  process::runtime runtime_;
  process::effects ran_;
  pending_table pending_;
  takeover takeover_;
  moves moves_;
  std::vector<move> lost_moves_;
  isolation isolation_;
  /// Since this node is no longer isolated, until every name has been looked at: who owned what then.
  struct lost_names {
    membership::placement placed;
    time_point before;
  };
  std::optional<lost_names> lost_;
  std::map<std::uint64_t, gather> gathers_;
  std::map<link_id, std::uint64_t> told_;  ///< announcements sent to each peer that knows of them
  std::vector<wire::fact> facts_out_;      ///< that peers are still to be told
  key_grants key_grants_;
  key_claims key_claims_;
  std::vector<look> looks_;
  bool census_walks_ = false;
  time_point census_at_ = never;  ///< when its next slice, or the next walk, is due
  time_point forget_baseline_at_ = never;
  std::map<std::uint64_t, trace_flow> traces_;  ///< by the token of the request
  std::map<class_name, declared_class> classes_;
  status::counters counted_;
  time_point members_wake_{};
  time_point forming_until_ = never;  ///< never: has not begun
  time_point contested_before_{};     ///< processes older than this ran while the majority was lost
  bool contest_open_ = false;         ///< peers have not yet said which of our names they ran meanwhile
  time_point rescan_at_ = never;
  time_point drain_until_ = never;
  time_point newcomer_until_{};
  std::set<link_id> drain_unheard_;  ///< peers that have not acknowledged that we drain
  time_point declared_at_ = never;   ///< when to look at the declared children again, although nothing changed
  bool declared_stale_ = false;      ///< something changed
  bool placement_stale_ = true;
  bool joined_ = false;       ///< was, at least once
  std::string last_refusal_;  ///< of a peer, by it or by us
  bool draining_ = false;
  bool drain_wanted_ = false;
  bool left_ = false;
  bool work_left_ = false;
  std::uint32_t turn_left_ = turn_budget;
};

}  // namespace orrery::node
