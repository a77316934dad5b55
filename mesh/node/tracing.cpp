// Traces on their way: from the node that records one, perhaps over others, to the client that reads it. Each node on
// the way knows whom to tell and who tells it, by the number of the request that asked for it.
//
// A trace follows its process: where it moved, or where its node was lost, the reader's node asks for it anew.
#include "mesh/node/impl.hpp"

#include <algorithm>
#include <utility>

namespace orrery::node {
namespace {

error no_room() {
  return {errc::overloaded,
          std::to_string(trace_flows_max) + " traces pass through this node, as many as may; end one"};
}

bool wants_no_more(const std::string& why) { return why != "moved" && why != "lost"; }

}  // namespace

/// This node is where the process belongs: it records the trace.
void core::impl::trace_here(reply_token token) {
  const auto asked = *pending_.close(token);
  const auto refuse = [&](error why) { answer(asked.from, fail(std::move(why))); };
  const auto wanted = read_trace_request(std::get<ask_control>(asked.what).argument);
  if (!wanted) return refuse(wanted.error());
  if (traces_.size() >= trace_flows_max) {
    return refuse(no_room());
  }
  if (auto begun = runtime_.begin_trace(process::trace_id{token.value}, asked.name, wanted->limit); !begun) {
    return refuse(begun.error());
  }
  auto& flow = traces_[token.value];
  flow = {.to = asked.from, .name = asked.name, .left = wanted->limit, .until = now_ + wanted->length};
  const value begun =
      flat({{"node", settings_.self.name.value}, {"class", asked.name.klass.value}, {"key", asked.name.key.value}});
  if (std::holds_alternative<from_client>(flow.to)) return tell_trace(flow, "tracing", begun);
  answer(flow.to, begun);
}

/// A peer says whether it records the trace, or knows who does.
void core::impl::trace_answered(reply_token token, pending asked, result<value> outcome) {
  if (!outcome) return answer(asked.from, std::move(outcome));
  const auto wanted = read_trace_request(std::get<ask_control>(asked.what).argument);
  const bool room = wanted && traces_.size() < trace_flows_max;
  if (!room || std::holds_alternative<nobody>(asked.from)) {
    transmit_to(asked.peer, wire::untrace{token.value});
    return answer(asked.from, fail(no_room()));
  }
  auto& flow = traces_[token.value];
  flow = {.to = asked.from,
          .name = asked.name,
          .source = asked.peer,
          .left = wanted->limit,
          .until = now_ + wanted->length};
  if (std::holds_alternative<from_client>(flow.to)) return tell_trace(flow, "tracing", std::move(*outcome));
  answer(flow.to, std::move(outcome));
}

void core::impl::collect_traced() {
  for (auto& each : runtime_.take_traced()) {
    const auto found = traces_.find(each.of.value);
    if (found == traces_.end()) continue;
    auto& flow = found->second;
    if (each.dropped > 0) tell_trace(flow, "dropped", flat({{"count", each.dropped}}));
    const bool of_message = each.what.waited.has_value();
    tell_trace(flow, of_message ? "message" : "process", trace_document(report_here(), flow.name, each.what));
    if (each.last) trace_over(each.of.value, "limit");
  }
}

void core::impl::tell_trace(trace_flow& flow, std::string type, value document) {
  if (type == "message" || type == "process") flow.left -= std::min<std::size_t>(flow.left, 1);
  if (const auto* client = std::get_if<from_client>(&flow.to)) {
    out_->push_back(streamed{client->id, std::move(type), std::move(document)});
    return;
  }
  flow.batch_bytes += document.cbor().size();
  flow.batch.push_back({std::move(type), std::move(document)});
  if (flow.batch_bytes >= trace_batch_bytes_max || flow.batch.size() >= wire::trace_entries_max) flush_trace(flow, {});
}

void core::impl::flush_trace(trace_flow& flow, std::string over) {
  const auto& peer = std::get<from_peer>(flow.to);
  transmit_to(peer.link, wire::traced{peer.id, std::exchange(flow.batch, {}), std::move(over)});
  flow.batch_bytes = 0;
}

void core::impl::flush_traces() {
  for (auto& [token, flow] : traces_) {
    if (!flow.batch.empty()) flush_trace(flow, {});
  }
}

/// There will be no more of it from where it came.
void core::impl::trace_over(std::uint64_t token, const std::string& why) {
  auto flow = std::move(traces_.at(token));
  traces_.erase(token);
  if (!flow.source) {
    const auto dropped = runtime_.end_trace(process::trace_id{token});
    if (dropped.value_or(0) > 0) tell_trace(flow, "dropped", flat({{"count", *dropped}}));
  }
  const auto* client = std::get_if<from_client>(&flow.to);
  if (client == nullptr) return flush_trace(flow, why);
  if (wants_no_more(why) || flow.left == 0 || now_ >= flow.until || left_) {
    out_->push_back(streamed{client->id, "ended", flat({{"reason", why}}), true});
    return;
  }
  begin({.from = flow.to,
         .name = std::move(flow.name),
         .what = ask_control{wire::verb::trace, {}, trace_request(flow.left, flow.until - now_)},
         .deadline = after(now_, control_timeout)});
}

/// Nobody reads it any more.
void core::impl::drop_trace(std::uint64_t token) {
  const auto flow = std::move(traces_.at(token));
  traces_.erase(token);
  if (!flow.source) {
    static_cast<void>(runtime_.end_trace(process::trace_id{token}));
  } else if (members_.find(*flow.source)) {
    transmit_to(*flow.source, wire::untrace{token});
  }
}

void core::impl::on_traced(link_id link, wire::traced& received) {
  const auto found = traces_.find(received.id);
  if (found == traces_.end() || found->second.source != link) {
    // Whoever read it is gone. What was under way when this was said comes to nothing.
    if (received.over.empty()) transmit_to(link, wire::untrace{received.id});
    return;
  }
  for (auto& each : received.entries)
    tell_trace(found->second, std::move(each.type), std::move(each.document));
  if (!received.over.empty()) trace_over(received.id, received.over);
}

template <class Matches>
std::vector<std::uint64_t> core::impl::traces_that(Matches&& matches) const {
  std::vector<std::uint64_t> tokens;
  for (const auto& [token, flow] : traces_) {
    if (matches(flow)) tokens.push_back(token);
  }
  return tokens;
}

void core::impl::on_untrace(link_id link, const wire::untrace& received) {
  for (const auto token : traces_that([&](const trace_flow& flow) {
         const auto* peer = std::get_if<from_peer>(&flow.to);
         return peer != nullptr && peer->link == link && peer->id == received.id;
       }))
    drop_trace(token);
}

void core::impl::lose_traces(link_id link) {
  for (const auto token : traces_that([&](const trace_flow& flow) {
         const auto* peer = std::get_if<from_peer>(&flow.to);
         return peer != nullptr && peer->link == link;
       }))
    drop_trace(token);
  for (const auto token : traces_that([&](const trace_flow& flow) { return flow.source == link; }))
    trace_over(token, "lost");
}

void core::impl::trace_client_gone(request_id id) {
  for (const auto token : traces_that([&](const trace_flow& flow) {
         const auto* client = std::get_if<from_client>(&flow.to);
         return client != nullptr && client->id == id;
       }))
    drop_trace(token);
}

/// A process of this node goes elsewhere, and its traces with it.
void core::impl::trace_moved(const process_name& name) {
  if (traces_.empty()) return;
  collect_traced();
  for (const auto token : traces_that([&](const trace_flow& flow) { return !flow.source && flow.name == name; }))
    trace_over(token, "moved");
}

void core::impl::expire_traces() {
  if (traces_.empty()) return;
  collect_traced();
  for (const auto token : traces_that(
           [&](const trace_flow& flow) { return now_ >= (flow.source ? after(flow.until, trace_slack) : flow.until); }))
    trace_over(token, "time");
}

time_point core::impl::traces_wake_at() const {
  time_point next = never;
  for (const auto& [token, flow] : traces_)
    next = std::min(next, flow.source ? after(flow.until, trace_slack) : flow.until);
  return next;
}

/// This node leaves.
void core::impl::end_traces() {
  collect_traced();
  for (const auto token : traces_that([](const trace_flow&) { return true; }))
    trace_over(token, "left");
}

}  // namespace orrery::node
