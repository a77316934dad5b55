#include "sidecar/config.hpp"

#include "mesh/base/endpoint.hpp"
#include "mesh/base/ids.hpp"
#include "sidecar/yaml.hpp"

#include <fmt/format.h>

#include <array>
#include <set>

namespace orrery::sidecar {

namespace {

using namespace std::chrono_literals;
using yaml::mapping;

constexpr std::uint64_t lots = 1ULL << 40U;

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

process::supervision_spec read_supervision(mapping& klass) {
  static constexpr std::array<std::string_view, 1> strategies{"OneForOne"};
  static constexpr std::array<std::string_view, 3> restarts{"Permanent", "Transient", "Temporary"};
  static constexpr std::array<std::string_view, 3> escalations{"Parent", "Node", "Pod"};
  process::supervision_spec spec;
  mapping at(klass.reporting(), klass.child("supervision"), klass.path_of("supervision"));
  static_cast<void>(at.choice("strategy", strategies, 0));
  spec.restart = static_cast<process::restart_type>(at.choice("restart", restarts, 0));
  spec.intensity = static_cast<std::uint32_t>(at.number("intensity", spec.intensity, 0, 1'000'000));
  spec.period = at.span("period", spec.period, 1ms, 24h);
  spec.escalate = static_cast<process::escalation>(at.choice("escalate", escalations, 0));
  return spec;
}

process::limits_spec read_limits(mapping& klass) {
  process::limits_spec spec;
  mapping at(klass.reporting(), klass.child("limits"), klass.path_of("limits"));
  spec.mailbox_max = static_cast<std::uint32_t>(at.number("mailbox", spec.mailbox_max, 1, 10'000'000));
  spec.instructions_max = at.number("instructions", spec.instructions_max, 1000, lots);
  spec.memory_bytes_max = at.number("memoryBytes", spec.memory_bytes_max, 4096, lots);
  spec.state_bytes_max = at.number("stateBytes", spec.state_bytes_max, 16, value_bytes_max);
  return spec;
}

void read_classes(mapping& root, config& out) {
  std::set<std::string> seen;
  std::size_t index = 0;
  for (const auto& element : root.elements("classes", classes_max)) {
    mapping klass(root.reporting(), element, fmt::format("classes[{}]", index++));
    process::class_spec spec;
    spec.name = class_name{klass.text("name")};
    if (!is_dns_label(spec.name.value)) {
      klass.fault("name", fmt::format("'{}' is not a class name; accepted are lower-case letters, digits and '-'",
                                      spec.name.value));
    } else if (!seen.insert(spec.name.value).second) {
      klass.fault("name", fmt::format("class '{}' is defined twice", spec.name.value));
    }
    spec.version = klass.number("version", 1, 0, ~0ULL);
    spec.behaviour = read_behaviour(klass, spec.options);
    spec.supervision = read_supervision(klass);
    spec.limits = read_limits(klass);
    spec.call_timeout = klass.span("callTimeout", spec.call_timeout, 1ms, 1h);
    out.classes.push_back(std::move(spec));
  }
}

void read_discovery(mapping& root, config& out) {
  static constexpr std::array<std::string_view, 2> modes{"kubernetes", "static"};
  mapping at(root.reporting(), root.child("discovery", true), "discovery");
  out.discovery = at.choice("mode", modes, std::nullopt) == 1 ? discovery_mode::fixed : discovery_mode::kubernetes;
  if (out.discovery == discovery_mode::kubernetes) {
    out.selector = at.text("selector");
    static_cast<void>(at.child("peers"));
    return;
  }
  static_cast<void>(at.child("selector"));
  std::size_t index = 0;
  for (const auto& element : at.elements("peers", peers_max)) {
    mapping peer(root.reporting(), element, fmt::format("discovery.peers[{}]", index++));
    node::expected_member member;
    member.name = node_name{peer.text("name")};
    member.uid = peer.text("uid");
    member.address = peer.text("address");
    if (!parse_endpoint(member.address)) {
      peer.fault("address", fmt::format("'{}' must be ip:port, as 10.0.0.7:3601", member.address));
    }
    out.peers.push_back(std::move(member));
  }
}

}  // namespace

result<config> parse_config(std::string_view text, const std::string& origin) {
  static constexpr std::array<std::string_view, 4> levels{"debug", "info", "warn", "error"};
  const auto parsed = yaml::parse(text, origin);
  if (!parsed) return fail(parsed.error());
  yaml::report report{origin, {}, {}};
  config out;
  {
    mapping root(report, *parsed, "");
    {
      mapping mesh(report, root.child("mesh", true), "mesh");
      out.mesh = mesh.text("name");
      out.name_space = mesh.text("namespace");
      if (mesh.has("name") && !is_dns_label(out.mesh)) mesh.fault("name", "must be a DNS label");
      if (mesh.has("namespace") && !is_dns_label(out.name_space)) mesh.fault("namespace", "must be a DNS label");
    }
    read_discovery(root, out);
    {
      mapping network(report, root.child("network"), "network");
      out.mesh_port = static_cast<std::uint16_t>(network.number("meshPort", out.mesh_port, 0, 65535));
      out.admin_port = static_cast<std::uint16_t>(network.number("adminPort", out.admin_port, 0, 65535));
    }
    {
      mapping detection(report, root.child("failureDetection"), "failureDetection");
      out.heartbeat_interval = detection.span("heartbeatInterval", out.heartbeat_interval, 10ms, 1min);
      out.down_after = detection.span("downAfter", out.down_after, 50ms, 10min);
      if (out.down_after < 2 * out.heartbeat_interval) {
        detection.fault("downAfter", "must be at least twice failureDetection.heartbeatInterval");
      }
    }
    out.drain_timeout = root.span("drainTimeout", out.drain_timeout, 0ms, 1h);
    out.level = static_cast<shell::log_level>(root.choice("logLevel", levels, 1));
    read_classes(root, out);
  }
  if (!report.faults.empty()) return fail(report.as_error());
  out.warnings = std::move(report.warnings);
  return out;
}

result<genesis> parse_genesis(std::string_view text, const std::string& origin) {
  const auto parsed = yaml::parse(text, origin);
  if (!parsed) return fail(parsed.error());
  yaml::report report{origin, {}, {}};
  genesis out;
  {
    mapping root(report, *parsed, "");
    out.mesh_id = root.text("meshID");
    if (root.has("meshID") && (out.mesh_id.empty() || out.mesh_id.size() > 64)) {
      root.fault("meshID", "must be a UUID of 1 to 64 characters");
    }
    static_cast<void>(root.text("createdAt", ""));
    for (const auto& member : root.elements("members", peers_max)) {
      if (member.IsScalar()) out.members.push_back(member.Scalar());
    }
  }
  if (!report.faults.empty()) return fail(report.as_error());
  return out;
}

result<config> load_config(const std::string& path) {
  const auto text = read_file(path, config_bytes_max);
  if (!text) return fail(text.error());
  return parse_config(*text, path);
}

result<genesis> load_genesis(const std::string& path) {
  const auto text = read_file(path, config_bytes_max);
  if (!text) return fail(text.error());
  return parse_genesis(*text, path);
}

}  // namespace orrery::sidecar
