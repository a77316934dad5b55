// What classes and supervisors look like to people.
#include "mesh/base/assert.hpp"
#include "mesh/node/documents.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <string_view>

namespace orrery::node {
namespace {

using nlohmann::json;

double seconds_of(duration span) { return std::chrono::duration<double>(span).count(); }

template <class Enum, std::size_t Count>
const char* name_in(const std::array<const char*, Count>& names, Enum which) {
  return names.at(static_cast<std::size_t>(which));
}

const char* strategy_name(process::strategy kind) {
  static constexpr std::array names{"OneForOne", "OneForAll", "RestForOne", "SimpleOneForOne"};
  return name_in(names, kind);
}

const char* restart_name(process::restart_type restart) {
  static constexpr std::array names{"Permanent", "Transient", "Temporary"};
  return name_in(names, restart);
}

const char* auto_shutdown_name(process::auto_shutdown when) {
  static constexpr std::array names{"Never", "AnySignificant", "AllSignificant"};
  return name_in(names, when);
}

const char* shutdown_name(process::shutdown_spec::kind how) {
  static constexpr std::array names{"Timeout", "BrutalKill", "Infinity"};
  return name_in(names, how);
}

const char* policy_name(kernel::overflow what) {
  static constexpr std::array names{"Reject", "DropOldest", "Block"};
  return name_in(names, what);
}

const char* child_state_name(process::declared_info::state what) {
  static constexpr std::array names{"absent", "running", "restarting", "ended", "given up"};
  return name_in(names, what);
}

std::string_view behaviour_name(const process::class_spec& spec) {
  if (std::holds_alternative<process::app_hosted>(spec.behaviour)) return "app";
  const auto* builtin = std::get_if<process::builtin_kind>(&spec.behaviour);
  return builtin == nullptr ? "lua" : to_string(*builtin);
}

json or_null(const std::optional<std::uint32_t>& number) { return number ? json(*number) : json(); }
json or_null(const std::optional<class_name>& name) { return name ? json(name->value) : json(); }

/// Cut between characters.
std::string shortened(const std::string& text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  auto end = bytes_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U)
    --end;
  return text.substr(0, end) + "...";
}

json supervision_json(const process::supervision_spec& of) {
  const bool timed = of.shutdown.how == process::shutdown_spec::kind::timeout;
  const bool paused = of.backoff.initial > duration::zero();
  return {{"strategy", strategy_name(of.kind)},
          {"restart", restart_name(of.restart)},
          {"intensity", of.intensity},
          {"periodSeconds", seconds_of(of.period)},
          {"escalate", escalation_name(of.escalate)},
          {"parent", or_null(of.parent)},
          {"shutdown", shutdown_name(of.shutdown.how)},
          {"shutdownSeconds", timed ? json(seconds_of(of.shutdown.length)) : json()},
          {"backoff", paused ? json{{"initialSeconds", seconds_of(of.backoff.initial)},
                                    {"maxSeconds", seconds_of(of.backoff.maximum)}}
                             : json()},
          {"childIntensity", or_null(of.child_intensity)},
          {"childCooldownSeconds", seconds_of(of.child_cooldown)},
          {"autoShutdown", auto_shutdown_name(of.when_significant)}};
}

json given_up_json(time_point now, const process::given_up_info& info) {
  return {{"key", info.name.key.value},
          {"reason", shortened(info.why, tree_reason_bytes_max)},
          {"secondsLeft", std::max(0.0, seconds_of(info.until - now))}};
}

json supervisor_json(time_point now, const tree_branch& branch, std::size_t& may_show) {
  const auto& info = branch.supervisor;
  json out = supervision_json(info.supervision);
  json declared = json::array();
  for (const auto& each : info.declared) {
    if (may_show == 0) break;
    --may_show;
    declared.push_back({{"key", each.name.key.value}, {"state", child_state_name(each.what)}});
  }
  json given_up = json::array();
  for (const auto& each : info.given_up) {
    if (may_show == 0) break;
    --may_show;
    given_up.push_back(given_up_json(now, each));
  }
  if (!branch.processes.empty()) {
    json processes = json::array();
    for (const auto& each : branch.processes) {
      if (may_show == 0) break;
      --may_show;
      processes.push_back({{"key", each.name.key.value},
                           {"state", state_name(each.state)},
                           {"mailbox", each.mailbox},
                           {"restarts", each.restarts},
                           {"pid", to_string(each.id)}});
    }
    out["processes"] = std::move(processes);
  }
  out.update({{"class", info.klass.value},
              {"classVersion", info.class_version},
              {"path", info.path},
              {"finished", info.finished},
              {"children", info.children},
              {"maxProcesses", or_null(info.processes_max)},
              {"restarts", info.restarts},
              {"gaveUp", info.gave_up},
              {"budgetLeft", info.budget_left},
              {"childrenGivenUp", info.children_given_up},
              {"givenUpNow", info.given_up_now},
              {"givenUp", std::move(given_up)},
              {"declaredCount", info.declared.size()},
              {"declared", std::move(declared)},
              {"mailboxes",
               {{"refused", info.mailboxes.refused},
                {"displaced", info.mailboxes.displaced},
                {"waited", info.mailboxes.waited}}}});
  return out;
}

json class_json(const declared_class& declared) {
  const auto& spec = declared.spec;
  json children = json::array();
  for (const auto& each : spec.children) {
    children.push_back({{"key", each.key.value},
                        {"restart", restart_name(each.restart.value_or(spec.supervision.restart))},
                        {"significant", each.significant}});
  }
  return {{"name", spec.name.value},
          {"version", spec.version},
          {"behaviour", behaviour_name(spec)},
          {"options", spec.options.document()},
          {"supervision", supervision_json(spec.supervision)},
          {"children", std::move(children)},
          {"limits",
           {{"mailbox", spec.limits.mailbox_max},
            {"mailboxPolicy", policy_name(spec.limits.mailbox_policy)},
            {"maxProcesses", or_null(spec.limits.processes_max)},
            {"instructions", spec.limits.instructions_max},
            {"memoryBytes", spec.limits.memory_bytes_max},
            {"stateBytes", spec.limits.state_bytes_max}}},
          {"callTimeoutSeconds", seconds_of(spec.call_timeout)},
          {"error", declared.refused.empty() ? json() : json(declared.refused)}};
}

/// These documents are small, or say what they leave out.
value encode(const json& document) {
  auto encoded = value::from_document(document);
  if (encoded) return *encoded;
  auto lost = value::from_document(json{{"error", encoded.error().context}});
  ORRERY_ASSERT(lost.has_value());
  return *lost;
}

}  // namespace

const char* escalation_name(process::escalation to) {
  static constexpr std::array names{"Parent", "Node", "Pod"};
  return name_in(names, to);
}

value given_up_document(time_point now, const node_name& node, const process::given_up_info& info) {
  return encode({{"class", info.name.klass.value},
                 {"key", info.name.key.value},
                 {"node", node.value},
                 {"state", "given up"},
                 {"reason", info.why},
                 {"secondsLeft", std::max(0.0, seconds_of(info.until - now))}});
}

value tree_document(time_point now, const node_name& node, const std::vector<tree_branch>& branches) {
  json listed = json::array();
  std::size_t may_show = tree_children_shown;
  for (const auto& each : branches)
    listed.push_back(supervisor_json(now, each, may_show));
  return encode({{"node", node.value}, {"supervisors", std::move(listed)}});
}

result<value> class_list(const std::vector<declared_class>& classes) {
  std::vector<json> all;
  for (const auto& each : classes)
    all.push_back(class_json(each));
  return value::from_document({{"classes", std::move(all)}});
}

}  // namespace orrery::node
