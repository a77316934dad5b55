#include "operator/plan/spec.hpp"

#include "mesh/base/duration_text.hpp"
#include "operator/plan/names.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <array>
#include <set>
#include <utility>

namespace orrery::plan {

namespace {

using std::chrono::milliseconds;

struct unit {
  std::string_view name;
  std::int64_t in_ms;
};
constexpr std::array units{unit{"ms", 1}, unit{"s", 1000}, unit{"m", 60'000}, unit{"h", 3'600'000}};

class reader {
 public:
  reader(const json& mesh, std::vector<spec_problem>& problems) : mesh_(mesh), problems_(problems) {}

  void duration(milliseconds& into, std::string_view group, std::string_view field, milliseconds least,
                milliseconds most) {
    const auto* found = group.empty() ? kube::find(mesh_, {"spec", field}) : kube::find(mesh_, {"spec", group, field});
    if (found == nullptr) return;
    const auto path = group.empty() ? fmt::format("spec.{}", field) : fmt::format("spec.{}.{}", group, field);
    auto parsed = parse_milliseconds(found->is_string() ? found->get_ref<const std::string&>() : found->dump());
    if (!parsed) {
      problems_.push_back({path, parsed.error().context});
    } else if (*parsed < least || *parsed > most) {
      problems_.push_back({path, fmt::format("{} is out of range: {} to {} are accepted", to_text(*parsed),
                                             to_text(least), to_text(most))});
    } else {
      into = *parsed;
    }
  }

 private:
  const json& mesh_;
  std::vector<spec_problem>& problems_;
};

void check_containers(const json& pod, std::string_view list, const mesh_spec& spec,
                      std::vector<spec_problem>& problems) {
  const auto* containers = kube::find(pod, {list});
  if (containers == nullptr || !containers->is_array()) return;
  for (std::size_t i = 0; i < containers->size(); ++i) {
    const auto& one = (*containers)[i];
    const auto path = fmt::format("spec.template.spec.{}[{}]", list, i);
    if (kube::text_at(one, {"name"}) == sidecar_container) {
      problems.push_back({path + ".name", "`orrery` is the sidecar's name, which the operator adds: choose another"});
    }
    const auto* ports = kube::find(one, {"ports"});
    if (ports == nullptr || !ports->is_array()) continue;
    for (std::size_t p = 0; p < ports->size(); ++p) {
      const auto port = kube::integer_at((*ports)[p], {"containerPort"});
      if (!std::set{spec.sdk_port, spec.mesh_port, spec.admin_port, spec.stream_port}.contains(port)) continue;
      problems.push_back({fmt::format("{}.ports[{}].containerPort", path, p),
                          fmt::format("{} is one of the sidecar's ports ({}, {}, {} and {}): choose another, or move "
                                      "the sidecar's by spec.sdk and spec.network",
                                      port, spec.sdk_port, spec.mesh_port, spec.admin_port, spec.stream_port)});
    }
  }
}

void check_pod_template(const json& mesh, const mesh_spec& spec, std::vector<spec_problem>& problems) {
  const auto* pod = kube::find(mesh, {"spec", "template", "spec"});
  if (pod == nullptr) return;
  for (const std::string_view list : {"containers", "initContainers"}) {
    const auto* found = kube::find(*pod, {list});
    if (found != nullptr && !found->is_array()) {
      problems.push_back({fmt::format("spec.template.spec.{}", list), "must be a list of containers"});
    }
    check_containers(*pod, list, spec, problems);
  }
  const auto restart = kube::text_at(*pod, {"restartPolicy"});
  if (!restart.empty() && restart != "Always") {
    problems.push_back({"spec.template.spec.restartPolicy",
                        fmt::format("{} would end pods for good: only Always is accepted", restart)});
  }
  if (const auto* volumes = kube::find(*pod, {"volumes"}); volumes != nullptr && volumes->is_array()) {
    for (std::size_t i = 0; i < volumes->size(); ++i) {
      if (!kube::text_at((*volumes)[i], {"name"}).starts_with("orrery-")) continue;
      problems.push_back({fmt::format("spec.template.spec.volumes[{}].name", i),
                          "names that begin with orrery- are the operator's: choose another"});
    }
  }
}

}  // namespace

result<milliseconds> parse_milliseconds(std::string_view text) {
  const auto parsed = orrery::parse_duration(text);
  if (!parsed) return fail(parsed.error());
  const auto whole = std::chrono::duration_cast<milliseconds>(*parsed);
  if (whole != *parsed) {
    return fail(errc::invalid_argument, fmt::format("'{}' is not whole milliseconds, as 500ms or 1m30s are", text));
  }
  return whole;
}

std::string to_text(milliseconds duration) {
  const auto count = duration.count();
  for (const auto& one : {units[3], units[2], units[1]}) {
    if (count != 0 && count % one.in_ms == 0) return fmt::format("{}{}", count / one.in_ms, one.name);
  }
  return count == 0 ? "0s" : fmt::format("{}ms", count);
}

std::string to_text(const std::vector<spec_problem>& problems) {
  std::string out;
  for (const auto& one : problems)
    out += fmt::format("{}{}: {}", out.empty() ? "" : "; ", one.field, one.why);
  return out;
}

parsed_spec parse_mesh(const json& mesh, std::string_view default_image) {
  using namespace std::chrono_literals;
  parsed_spec out;
  auto& spec = out.spec;
  const auto text = [&](std::string_view group, std::string_view field, std::string otherwise) {
    const auto found = kube::text_at(mesh, {"spec", group, field});
    return found.empty() ? std::move(otherwise) : std::string(found);
  };
  spec.replicas = kube::integer_at(mesh, {"spec", "replicas"}, spec.replicas);
  spec.image = text("sidecar", "image", std::string(default_image));
  spec.image_pull_policy = text("sidecar", "imagePullPolicy", spec.image_pull_policy);
  spec.log_level = text("sidecar", "logLevel", spec.log_level);
  spec.sdk_port = kube::integer_at(mesh, {"spec", "sdk", "port"}, spec.sdk_port);
  spec.stream_port = kube::integer_at(mesh, {"spec", "sdk", "streamPort"}, spec.stream_port);
  spec.mesh_port = kube::integer_at(mesh, {"spec", "network", "meshPort"}, spec.mesh_port);
  spec.admin_port = kube::integer_at(mesh, {"spec", "network", "adminPort"}, spec.admin_port);
  spec.update_max_unavailable =
      kube::integer_at(mesh, {"spec", "update", "maxUnavailable"}, spec.update_max_unavailable);
  const auto* paused = kube::find(mesh, {"spec", "update", "paused"});
  spec.update_paused = paused != nullptr && paused->is_boolean() && paused->get<bool>();
  spec.disruption_max_unavailable =
      kube::integer_at(mesh, {"spec", "disruption", "maxUnavailable"}, spec.disruption_max_unavailable);

  reader read(mesh, out.problems);
  read.duration(spec.heartbeat_interval, "failureDetection", "heartbeatInterval", 50ms, 30s);
  read.duration(spec.down_after, "failureDetection", "downAfter", 100ms, 5min);
  read.duration(spec.certificate_ttl, "security", "certificateTTL", 10min, 2160h);
  read.duration(spec.ca_ttl, "security", "caTTL", 30min, 87600h);
  read.duration(spec.node_lost_after, "disruption", "nodeLostAfter", 5s, 1h);
  read.duration(spec.drain_timeout, "", "drainTimeout", 0s, 1h);
  if (out.problems.empty() && spec.down_after < 2 * spec.heartbeat_interval) {
    out.problems.push_back(
        {"spec.failureDetection.downAfter",
         fmt::format("{} is less than two heartbeat intervals of {}: one late heartbeat would take a "
                     "node down",
                     to_text(spec.down_after), to_text(spec.heartbeat_interval))});
  }
  if (out.problems.empty() && spec.ca_ttl < 3 * spec.certificate_ttl) {
    out.problems.push_back({"spec.security.caTTL",
                            fmt::format("{} is less than three times certificateTTL ({}): certificates would end with "
                                        "their authority",
                                        to_text(spec.ca_ttl), to_text(spec.certificate_ttl))});
  }
  if (const std::set ports{spec.sdk_port, spec.mesh_port, spec.admin_port, spec.stream_port}; ports.size() != 4) {
    out.problems.push_back(
        {"spec.network", fmt::format("the ports {} (sdk), {} (mesh), {} (admin) and {} (sdk stream) must differ",
                                     spec.sdk_port, spec.mesh_port, spec.admin_port, spec.stream_port)});
  }
  if (kube::name_of(mesh).size() > mesh_name_bytes_max) {
    out.problems.push_back({"metadata.name", fmt::format("is longer than {} characters", mesh_name_bytes_max)});
  }
  check_pod_template(mesh, spec, out.problems);
  return out;
}

}  // namespace orrery::plan
