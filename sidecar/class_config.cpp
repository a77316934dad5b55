#include "sidecar/class_config.hpp"

#include "mesh/base/duration_text.hpp"
#include "mesh/base/ids.hpp"
#include "mesh/process/supervision/supervision.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

namespace orrery::sidecar {

namespace {

using namespace std::chrono_literals;
using yaml::mapping;

constexpr std::uint64_t lots = 1ULL << 40U;
constexpr std::uint64_t mailbox_most = 10'000'000;
constexpr std::uint64_t processes_most = 2'000'000;  ///< as many as a node runs
constexpr std::array<std::string_view, 3> restarts{"Permanent", "Transient", "Temporary"};

process::app_hosted read_app(mapping& behaviour) {
  process::app_hosted spec;
  mapping at(behaviour.reporting(), behaviour.child("app"), behaviour.path_of("app"));
  spec.handler_timeout = at.span("handlerTimeout", spec.handler_timeout, 1ms, 1h);
  spec.wait_for_app = at.span("waitForApp", spec.wait_for_app, 0ms, 1h);
  return spec;
}

/// `options`: of a built-in behaviour; whether it takes them is for the behaviour to say.
process::behaviour_spec read_behaviour(mapping& klass, value& options) {
  const auto node = klass.child("behaviour", true);
  mapping behaviour(klass.reporting(), node, klass.path_of("behaviour"));
  if (behaviour.has("builtin") + behaviour.has("lua") + behaviour.has("app") != 1) {
    if (node.IsDefined()) klass.fault("behaviour", "must have exactly one of builtin, lua, app");
    for (const char* kind : {"builtin", "lua", "app", "options"})
      static_cast<void>(behaviour.child(kind));
    return process::builtin_kind::counter;
  }
  if (behaviour.has("app")) return read_app(behaviour);
  if (behaviour.has("builtin")) {
    options = behaviour.plain("options");
    return static_cast<process::builtin_kind>(behaviour.choice("builtin", process::builtin_names, std::nullopt));
  }
  mapping lua(klass.reporting(), behaviour.child("lua"), behaviour.path_of("lua"));
  return process::lua_source{lua.text("script")};
}

process::shutdown_spec read_shutdown(mapping& at, process::shutdown_spec otherwise) {
  if (!at.has("shutdown")) return otherwise;
  const auto text = at.text("shutdown");
  if (text == "BrutalKill") return {process::shutdown_spec::kind::brutal_kill};
  if (text == "Infinity") return {process::shutdown_spec::kind::infinity};
  const auto length = parse_duration(text);
  if (!length || *length > 24h) {
    at.fault("shutdown", fmt::format("'{}' must be a duration up to 24h as 5s, BrutalKill or Infinity", text));
    return otherwise;
  }
  return {process::shutdown_spec::kind::timeout, *length};
}

process::backoff_spec read_backoff(mapping& supervision) {
  process::backoff_spec spec;
  mapping at(supervision.reporting(), supervision.child("backoff"), supervision.path_of("backoff"));
  spec.initial = at.span("initial", spec.initial, 0ms, 1h);
  spec.maximum = at.span("max", std::max(spec.maximum, spec.initial), 1ms, 24h);
  if (spec.maximum < spec.initial) at.fault("max", "must be at least as long as initial");
  return spec;
}

process::supervision_spec read_supervision(mapping& klass) {
  static constexpr std::array<std::string_view, 3> strategies{"OneForOne", "OneForAll", "RestForOne"};
  static constexpr std::array<std::string_view, 3> escalations{"Parent", "Node", "Pod"};
  static constexpr std::array<std::string_view, 3> shutdowns{"Never", "AnySignificant", "AllSignificant"};
  process::supervision_spec spec;
  mapping at(klass.reporting(), klass.child("supervision"), klass.path_of("supervision"));
  spec.kind = static_cast<process::strategy>(at.choice("strategy", strategies, 0));
  spec.restart = static_cast<process::restart_type>(at.choice("restart", restarts, 0));
  spec.intensity = static_cast<std::uint32_t>(at.number("intensity", spec.intensity, 0, process::intensity_max));
  spec.period = at.span("period", spec.period, 1ms, 24h);
  spec.escalate = static_cast<process::escalation>(at.choice("escalate", escalations, 0));
  if (const auto parent = at.text("parent", ""); !parent.empty()) spec.parent = class_name{parent};
  spec.shutdown = read_shutdown(at, spec.shutdown);
  static_cast<void>(at.child("shutdown"));
  spec.backoff = read_backoff(at);
  if (at.has("childIntensity")) {
    spec.child_intensity = static_cast<std::uint32_t>(at.number("childIntensity", 0, 0, process::intensity_max));
  }
  static_cast<void>(at.child("childIntensity"));
  spec.child_cooldown = at.span("childCooldown", spec.child_cooldown, 1ms, 24h);
  spec.when_significant = static_cast<process::auto_shutdown>(at.choice("autoShutdown", shutdowns, 0));
  return spec;
}

process::limits_spec read_limits(mapping& klass) {
  static constexpr std::array<std::string_view, 3> policies{"Reject", "DropOldest", "Block"};
  process::limits_spec spec;
  mapping at(klass.reporting(), klass.child("limits"), klass.path_of("limits"));
  spec.mailbox_max = static_cast<std::uint32_t>(at.number("mailbox", spec.mailbox_max, 1, mailbox_most));
  spec.mailbox_policy = static_cast<kernel::overflow>(at.choice("mailboxPolicy", policies, 0));
  if (at.has("maxProcesses")) {
    spec.processes_max = static_cast<std::uint32_t>(at.number("maxProcesses", processes_most, 1, processes_most));
  }
  static_cast<void>(at.child("maxProcesses"));
  spec.instructions_max = at.number("instructions", spec.instructions_max, 1000, lots);
  spec.memory_bytes_max = at.number("memoryBytes", spec.memory_bytes_max, 4096, lots);
  spec.state_bytes_max = at.number("stateBytes", spec.state_bytes_max, 16, value_bytes_max);
  return spec;
}

process::declared_child read_child(mapping& at) {
  static constexpr std::array<std::string_view, 2> truth{"false", "true"};
  process::declared_child child;
  child.key = process_key{at.text("key")};
  if (at.has("restart")) child.restart = static_cast<process::restart_type>(at.choice("restart", restarts, 0));
  static_cast<void>(at.child("restart"));
  child.significant = at.choice("significant", truth, 0) == 1;
  if (!at.has("argument")) return child;
  auto argument = value::from_json(at.text("argument"));
  if (argument) {
    child.argument = std::move(*argument);
  } else {
    at.fault("argument", "must be JSON as one text: " + argument.error().context);
  }
  return child;
}

process::class_spec read_class(mapping& klass) {
  process::class_spec spec;
  spec.name = class_name{klass.text("name")};
  spec.version = klass.number("version", 1, 0, ~0ULL);
  spec.behaviour = read_behaviour(klass, spec.options);
  spec.supervision = read_supervision(klass);
  std::size_t index = 0;
  for (const auto& element : klass.elements("children", process::declared_children_max)) {
    mapping child(klass.reporting(), element, fmt::format("{}[{}]", klass.path_of("children"), index++));
    spec.children.push_back(read_child(child));
    static_cast<void>(child.child("argument"));
  }
  spec.limits = read_limits(klass);
  spec.call_timeout = klass.span("callTimeout", spec.call_timeout, 1ms, 1h);
  return spec;
}

}  // namespace

// What is wrong between classes, as a parent that is not there, the node says of that class alone: the others go on.
void read_classes(mapping& root, config& out) {
  std::set<std::string> seen;
  std::size_t index = 0;
  for (const auto& element : root.elements("classes", classes_max)) {
    mapping klass(root.reporting(), element, fmt::format("classes[{}]", index++));
    auto spec = read_class(klass);
    if (!is_dns_label(spec.name.value)) {
      klass.fault("name", fmt::format("'{}' is not a class name; accepted are lower-case letters, digits and '-'",
                                      spec.name.value));
    } else if (!seen.insert(spec.name.value).second) {
      klass.fault("name", fmt::format("class '{}' is defined twice", spec.name.value));
    }
    out.classes.push_back(std::move(spec));
  }
}

}  // namespace orrery::sidecar
