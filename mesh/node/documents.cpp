#include "mesh/node/documents.hpp"

#include "mesh/base/assert.hpp"
#include "mesh/wire/cbor.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace orrery::node {
namespace {

using nlohmann::json;

double seconds_of(duration span) { return std::chrono::duration<double>(span).count(); }

/// Our own documents are small and shallow; those that may be large are cut to list_bytes_max first.
value encode_small(const json& document) {
  auto encoded = value::from_document(document);
  if (encoded) return *encoded;
  auto lost = value::from_document(json{{"error", encoded.error().context}});
  ORRERY_ASSERT(lost.has_value());
  return *lost;
}

json process_json(time_point now, const node_name& node, const process::process_info& info) {
  json last;
  if (info.last) {
    last = {{"reason", process::to_string(info.last->reason)}, {"agoSeconds", seconds_of(now - info.last->at)}};
  }
  return {{"class", info.name.klass.value},
          {"key", info.name.key.value},
          {"node", node.value},
          {"pid", to_string(info.id)},
          {"state", state_name(info.state)},
          {"mailbox", info.mailbox},
          {"mailboxBytes", info.mailbox_bytes},
          {"oldestSeconds", info.oldest ? json(seconds_of(now - *info.oldest)) : json()},
          {"handled", info.handled},
          {"reductions", info.reductions},
          {"memoryBytes", info.memory_bytes},
          {"timers", info.timers},
          {"restarts", info.restarts},
          {"classVersion", info.class_version},
          {"supervisor", info.supervisor},
          {"ageSeconds", seconds_of(now - info.started_at)},
          {"lastExit", last}};
}

/// Keeps what fits, by count and by size. A process document is at most its encoded size plus a comma.
json cut(std::vector<json> all, std::size_t limit, bool& truncated) {
  json kept = json::array();
  std::size_t bytes_left = list_bytes_max;
  for (auto& each : all) {
    const std::size_t size = json::to_cbor(each).size();
    if (kept.size() >= limit || size > bytes_left) {
      truncated = true;
      break;
    }
    bytes_left -= size;
    kept.push_back(std::move(each));
  }
  return kept;
}

/// Of what a peer sent: an object that has texts of these names.
bool has_texts(const json& document, std::initializer_list<const char*> names) {
  return document.is_object() && std::all_of(names.begin(), names.end(), [&](const char* name) {
           const auto found = document.find(name);
           return found != document.end() && found->is_string();
         });
}

json process_list_json(json processes, const std::vector<std::string>& unreachable, bool truncated) {
  return {{"processes", std::move(processes)}, {"unreachable", unreachable}, {"truncated", truncated}};
}

}  // namespace

const char* state_name(process::process_state state) {
  switch (state) {
    case process::process_state::running:
      return "running";
    case process::process_state::suspended:
      return "suspended";
    case process::process_state::restarting:
      return "restarting";
  }
  return "running";
}

value flat(const std::vector<field>& fields) {
  json document = json::object();
  for (const auto& [name, held] : fields)
    std::visit([&, key = name](const auto& plain) { document[key] = plain; }, held);
  return encode_small(document);
}

value process_document(time_point now, const node_name& node, const process::process_info& info,
                       const process::process_ties& ties) {
  auto document = process_json(now, node, info);
  document["links"] = ties.links;
  document["monitors"] = ties.monitors;
  document["monitoredBy"] = ties.monitored_by;
  document["tiesTruncated"] = !ties.whole;
  return encode_small(document);
}

result<value> state_document(const process::state_copy& read) {
  bytes encoded;
  encoded.reserve(read.state.cbor().size() + read.version.size() + 32);
  cbor::put_head(encoded, cbor::major::map, 2);
  cbor::put_text(encoded, "version");
  cbor::put_text(encoded, read.version);
  cbor::put_text(encoded, "state");
  cbor::put(encoded, read.state.cbor());
  if (encoded.size() > value_bytes_max) {
    return fail(errc::too_large, "the state has " + std::to_string(read.state.cbor().size()) +
                                     " bytes: with its version that is more than the " +
                                     std::to_string(value_bytes_max) + " that travel");
  }
  return value::adopt(encoded);
}

value process_list(time_point now, const node_name& node, const std::vector<process::process_info>& infos,
                   std::size_t limit) {
  std::vector<json> all;
  for (const auto& info : infos)
    all.push_back(process_json(now, node, info));
  bool truncated = false;
  json kept = cut(std::move(all), limit, truncated);
  return encode_small(process_list_json(std::move(kept), {}, truncated));
}

result<value> merge_process_lists(const std::vector<value>& parts, const std::vector<std::string>& unreachable,
                                  std::size_t limit) {
  std::vector<json> all;
  bool truncated = false;
  for (const auto& part : parts) {
    json document = part.document();
    if (!document.is_object() || !document.contains("processes") || !document["processes"].is_array()) continue;
    truncated |= document.contains("truncated") && document["truncated"] == true;
    for (auto& each : document["processes"]) {
      if (has_texts(each, {"class", "key", "node"})) all.push_back(std::move(each));
    }
  }
  std::sort(all.begin(), all.end(), [](const json& a, const json& b) {
    return std::tie(a["class"], a["key"], a["node"]) < std::tie(b["class"], b["key"], b["node"]);
  });
  json kept = cut(std::move(all), limit, truncated);
  return value::from_document(process_list_json(std::move(kept), unreachable, truncated));
}

result<value> merge_trees(const std::vector<value>& parts, const std::vector<std::string>& unreachable) {
  std::vector<json> nodes;
  for (const auto& part : parts) {
    json document = part.document();
    if (has_texts(document, {"node"})) nodes.push_back(std::move(document));
  }
  std::sort(nodes.begin(), nodes.end(), [](const json& a, const json& b) { return a["node"] < b["node"]; });
  bool truncated = false;
  const auto limit = nodes.size();
  json kept = cut(std::move(nodes), limit, truncated);
  return value::from_document({{"nodes", std::move(kept)}, {"unreachable", unreachable}, {"truncated", truncated}});
}

result<value> node_list(const std::vector<membership::peer_view>& peers, bool draining) {
  std::vector<json> all;
  for (const auto& each : peers) {
    const bool leaving = draining && each.state == membership::peer_state::self;
    all.push_back({{"name", each.name.value},
                   {"uid", each.uid},
                   {"boot", each.boot.value},
                   {"address", each.address},
                   {"state", leaving ? "draining" : membership::to_string(each.state)},
                   {"processes", each.processes},
                   {"rttSeconds", each.rtt ? json(seconds_of(*each.rtt)) : json()},
                   {"version", each.software}});
  }
  return value::from_document({{"nodes", std::move(all)}});
}

result<value> group_list(const std::vector<process::runtime::group_info>& groups, std::size_t limit) {
  std::vector<json> all;
  for (const auto& each : groups)
    all.push_back({{"name", each.name}, {"members", each.members}, {"here", each.here}});
  bool truncated = false;
  json kept = cut(std::move(all), limit, truncated);
  return value::from_document({{"groups", std::move(kept)}, {"truncated", truncated}});
}

result<value> group_document(const std::string& name, const std::vector<pid>& members) {
  std::vector<json> all;
  for (const auto& each : members)
    all.push_back({{"pid", to_string(each)}, {"node", each.node.name.value}});
  bool truncated = false;
  json kept = cut(std::move(all), members.size(), truncated);
  return value::from_document({{"group", name}, {"members", std::move(kept)}, {"truncated", truncated}});
}

result<value> registry_list(const std::vector<listed_key>& keys, std::size_t limit) {
  std::vector<json> all;
  for (const auto& [key, unique] : keys) {
    all.push_back({{"key", key.key},
                   {"unique", unique},
                   {"pid", to_string(key.holder)},
                   {"node", key.holder.node.name.value},
                   {"value", key.held.document()}});
  }
  bool truncated = false;
  json kept = cut(std::move(all), limit, truncated);
  return value::from_document({{"entries", std::move(kept)}, {"truncated", truncated}});
}

}  // namespace orrery::node
