#include "sidecar/config.hpp"

#include "mesh/base/endpoint.hpp"
#include "mesh/base/ids.hpp"
#include "sidecar/class_config.hpp"

#include <fmt/format.h>

#include <array>

namespace orrery::sidecar {

namespace {

using namespace std::chrono_literals;
using yaml::mapping;

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
