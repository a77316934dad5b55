// Lists of the whole mesh: every node is asked, and those that do not answer in time are named.
#include "mesh/node/impl.hpp"

#include <algorithm>

namespace orrery::node {

report_context core::impl::report_here() const {
  return {now_, settings_.self.name, wall_clock(settings_.self.boot, started_at_)};
}

value core::impl::local_part(const node_question& asked) const {
  if (asked.asked == wire::verb::tree) return tree_here(asked.only, asked.limit);
  if (asked.asked == wire::verb::crashes) {
    const process::crash_log::filter only{asked.only, asked.key, asked.limit};
    return crash_list(report_here(), runtime_.crashes().crashes(only), runtime_.crashes().give_ups(only), asked.limit);
  }
  // One more than asked for, so that a list that was cut says so.
  return process_list(now_, settings_.self.name, runtime_.list(asked.only, {}, asked.limit + 1), asked.limit);
}

/// Of the supervisors of all classes, or of one, with up to so many of the processes of each.
value core::impl::tree_here(const std::optional<class_name>& only, std::size_t processes) const {
  std::vector<tree_branch> branches;
  for (auto& each : runtime_.supervisors()) {
    if (only && *only != each.klass) continue;
    auto& added = branches.emplace_back(tree_branch{std::move(each)});
    if (processes == 0) continue;
    added.processes = runtime_.list(added.supervisor.klass, {}, processes);
    // What was spawned without a name is nobody's child here.
    std::erase_if(added.processes, [](const auto& one) { return one.name.key.value == to_string(one.id); });
  }
  return tree_document(now_, settings_.self.name, branches);
}

/// A question of a client to every node, or to this one.
void core::impl::ask_all(request_id client, node_question asked, bool local) {
  if (!local) return begin_gather({.client = client, .asked = std::move(asked)});
  if (asked.asked == wire::verb::top) return take_a_look({.to = from_client{client}, .top = std::move(asked)});
  const value here = local_part(asked);
  answer(from_client{client}, merge_parts(asked, {here}, {}));
}

/// A question of a peer, or why it is none.
void core::impl::answer_for_node(const from_peer& to, node_question asked) {
  if (asked.asked == wire::verb::top) return take_a_look({.to = to, .top = std::move(asked)});
  answer(to, local_part(asked));
}

void core::impl::begin_gather(gather asked) {
  if (gathers_.size() >= gathers_max) {
    return answer(from_client{asked.client}, fail(errc::overloaded, "too many lists are being gathered; retry later"));
  }
  const std::uint64_t id = pending_.next_number();
  const bool slow = asked.asked.asked == wire::verb::top;
  const duration length = slow ? top_max_time : gather_max_time;
  asked.deadline = now_ + length;
  asked.own_awaited = slow;
  if (!slow) asked.parts.push_back(local_part(asked.asked));
  for (const auto& peer : members_.live()) {
    asked.waiting.emplace(peer.link, peer.node.name.value);
    transmit_to(peer.link, to_control(asked.asked, id, length));
  }
  for (const auto& peer : members_.view()) {
    using membership::peer_state;
    if (peer.state == peer_state::connecting || peer.state == peer_state::down) {
      asked.unreachable.push_back(peer.name.value);
    }
  }
  const auto question = asked.asked;
  gathers_.emplace(id, std::move(asked));
  if (slow) take_a_look({.gather = id, .top = question});
  finish_if_whole(id);
}

void core::impl::finish_if_whole(std::uint64_t id) {
  const auto found = gathers_.find(id);
  if (found != gathers_.end() && found->second.waiting.empty() && !found->second.own_awaited) finish_gather(id);
}

void core::impl::on_own_part(std::uint64_t id, value part) {
  const auto found = gathers_.find(id);
  if (found == gathers_.end()) return;
  found->second.parts.push_back(std::move(part));
  found->second.own_awaited = false;
  finish_if_whole(id);
}

void core::impl::on_gather_reply(std::uint64_t id, link_id link, result<value>& outcome) {
  gather& asked = gathers_.at(id);
  const auto waited = asked.waiting.find(link);
  if (waited == asked.waiting.end()) return;
  if (outcome) {
    asked.parts.push_back(std::move(*outcome));
  } else {
    asked.unreachable.push_back(waited->second);
  }
  asked.waiting.erase(waited);
  finish_if_whole(id);
}

void core::impl::lose_gathers(link_id link) {
  std::vector<std::uint64_t> touched;
  for (auto& [id, asked] : gathers_) {
    const auto waited = asked.waiting.find(link);
    if (waited == asked.waiting.end()) continue;
    asked.unreachable.push_back(waited->second);
    asked.waiting.erase(waited);
    touched.push_back(id);
  }
  for (const auto id : touched)
    finish_if_whole(id);
}

void core::impl::expire_gathers() {
  std::vector<std::uint64_t> due;
  for (const auto& [id, asked] : gathers_) {
    if (asked.deadline <= now_) due.push_back(id);
  }
  for (const auto id : due)
    finish_gather(id);
}

void core::impl::finish_gather(std::uint64_t id) {
  gather done = std::move(gathers_.at(id));
  gathers_.erase(id);
  for (const auto& [link, name] : done.waiting)
    done.unreachable.push_back(name);
  if (done.own_awaited) done.unreachable.push_back(settings_.self.name.value);
  std::sort(done.unreachable.begin(), done.unreachable.end());
  answer(from_client{done.client}, merge_parts(done.asked, done.parts, done.unreachable));
}

}  // namespace orrery::node
