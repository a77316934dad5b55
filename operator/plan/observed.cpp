#include "operator/plan/observed.hpp"

#include "kube/timestamp.hpp"
#include "mesh/base/base64.hpp"
#include "mesh/base/ids.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <chrono>

namespace orrery::plan {

namespace {

const json* container_status(const json& pod, std::string_view name) {
  for (const std::string_view list : {"containerStatuses", "initContainerStatuses"}) {
    const auto* found = kube::find(pod, {"status", list});
    if (found == nullptr || !found->is_array()) continue;
    for (const auto& one : *found) {
      if (kube::text_at(one, {"name"}) == name) return &one;
    }
  }
  return nullptr;
}

const json* condition(const json& object, std::string_view type) {
  const auto* found = kube::find(object, {"status", "conditions"});
  if (found == nullptr || !found->is_array()) return nullptr;
  for (const auto& one : *found) {
    if (kube::text_at(one, {"type"}) == type) return &one;
  }
  return nullptr;
}

bool is_true(const json* found) { return found != nullptr && found->is_boolean() && found->get<bool>(); }

constexpr std::array quiet_waits{std::string_view{"ContainerCreating"}, std::string_view{"PodInitializing"}};

/// What a container left when it ended, for people; empty if nothing.
std::string_view last_words(const json& ended) {
  constexpr std::size_t bytes_max = 500;
  auto message = cut_text(kube::text_at(ended, {"message"}), bytes_max);
  while (!message.empty() && (message.back() == '\n' || message.back() == ' '))
    message.remove_suffix(1);
  return message;
}

void read_waiting(const json& pod, pod_view& out) {
  for (const std::string_view list : {"initContainerStatuses", "containerStatuses"}) {
    const auto* found = kube::find(pod, {"status", list});
    if (found == nullptr || !found->is_array()) continue;
    for (const auto& one : *found) {
      const auto reason = kube::text_at(one, {"state", "waiting", "reason"});
      if (reason.empty() || std::find(quiet_waits.begin(), quiet_waits.end(), reason) != quiet_waits.end()) continue;
      if (reason == "CrashLoopBackOff") out.crash_looping = true;
      if (out.trouble.empty()) {
        out.trouble = fmt::format("container {}: {}", kube::text_at(one, {"name"}), reason);
        const auto* ended = kube::find(one, {"lastState", "terminated"});
        if (const auto words = ended == nullptr ? std::string_view{} : last_words(*ended); !words.empty())
          out.trouble += fmt::format(" (it ended with: {})", words);
      }
    }
  }
  if (const auto* scheduled = condition(pod, "PodScheduled");
      out.trouble.empty() && scheduled != nullptr && kube::text_at(*scheduled, {"status"}) == "False") {
    out.trouble = fmt::format("{}: {}", kube::text_at(*scheduled, {"reason"}), kube::text_at(*scheduled, {"message"}));
  }
}

std::int64_t port_of_sidecar(const json& pod) {
  for (const std::string_view list : {"containers", "initContainers"}) {
    const auto* found = kube::find(pod, {"spec", list});
    if (found == nullptr || !found->is_array()) continue;
    for (const auto& one : *found) {
      if (kube::text_at(one, {"name"}) != sidecar_container) continue;
      const auto* ports = kube::find(one, {"ports"});
      if (ports == nullptr || !ports->is_array()) continue;
      for (const auto& port : *ports) {
        if (kube::text_at(port, {"name"}) == "mesh") return kube::integer_at(port, {"containerPort"});
      }
    }
  }
  return 0;
}

/// The sidecar ends with this code when a supervisor escalates to the pod.
constexpr std::int64_t pod_escalation_code = 71;

std::optional<std::string> read_escalation(const json& sidecar, wall_time created) {
  for (const std::string_view when : {"state", "lastState"}) {
    const auto* ended = kube::find(sidecar, {when, "terminated"});
    if (ended == nullptr || kube::integer_at(*ended, {"exitCode"}) != pod_escalation_code) continue;
    const auto at = time_or_far_away(kube::text_at(*ended, {"finishedAt"}));
    if (at == far_away || at < created) continue;
    const auto message = last_words(*ended);
    return std::string(message.empty() ? "it did not say why" : message);
  }
  return std::nullopt;
}

/// A kubelet that lost sight of a container while the pod was deleted says so as "waiting", with how it ended last.
bool has_ended(const json& container) {
  return kube::find(container, {"state", "terminated"}) != nullptr ||
         (kube::find(container, {"state", "waiting"}) != nullptr &&
          kube::find(container, {"lastState", "terminated"}) != nullptr);
}

bool all_have_ended(const json& pod) {
  bool any = false;
  for (const std::string_view list : {"containerStatuses", "initContainerStatuses"}) {
    const auto* found = kube::find(pod, {"status", list});
    if (found == nullptr || !found->is_array()) continue;
    any = any || !found->empty();
    if (!std::all_of(found->begin(), found->end(), has_ended)) return false;
  }
  return any;
}

void read_ends(const json& pod, pod_view& out) {
  const auto* statuses = kube::find(pod, {"status", "containerStatuses"});
  out.containers_ready = statuses != nullptr && statuses->is_array() && !statuses->empty();
  if (!out.containers_ready) return;
  for (const auto& one : *statuses) {
    out.containers_ready = out.containers_ready && is_true(kube::find(one, {"ready"}));
    for (const std::string_view when : {"state", "lastState"}) {
      const auto at = time_or_far_away(kube::text_at(one, {when, "terminated", "finishedAt"}));
      if (at != far_away) out.last_end = std::max(out.last_end, at);
    }
  }
}

}  // namespace

pod_view read_pod(const json& pod) {
  pod_view out;
  out.name = kube::name_of(pod);
  out.uid = kube::uid_of(pod);
  out.host = kube::text_at(pod, {"spec", "nodeName"});
  out.phase = kube::text_at(pod, {"status", "phase"});
  out.template_hash = kube::annotation_of(pod, annotations::template_hash);
  out.config_hash = kube::annotation_of(pod, annotations::config_hash);
  out.mesh_port = port_of_sidecar(pod);
  out.created = time_or_far_away(kube::text_at(pod, {"metadata", "creationTimestamp"}));
  if (kube::is_deleting(pod)) out.delete_by = time_or_far_away(kube::text_at(pod, {"metadata", "deletionTimestamp"}));
  if (const auto* sidecar = container_status(pod, sidecar_container); sidecar != nullptr) {
    out.sidecar_ready = is_true(kube::find(*sidecar, {"ready"})) && out.phase == "Running";
    out.restarts = kube::integer_at(*sidecar, {"restartCount"});
    out.escalation = read_escalation(*sidecar, out.created);
  }
  read_waiting(pod, out);
  read_ends(pod, out);
  out.containers_ended = all_have_ended(pod);
  // When a host is lost, Kubernetes takes back the pod's Ready, and leaves what its kubelet said of the containers.
  const auto* ready = condition(pod, "Ready");
  const auto* containers = condition(pod, "ContainersReady");
  const auto* gates = kube::find(pod, {"spec", "readinessGates"});
  if (ready != nullptr && containers != nullptr && kube::text_at(*ready, {"status"}) == "False" &&
      kube::text_at(*containers, {"status"}) == "True" && (gates == nullptr || gates->empty())) {
    out.status_is_stale = true;
    out.stale_since = time_or_far_away(kube::text_at(*ready, {"lastTransitionTime"}));
  }
  return out;
}

host_view read_host(const json& node) {
  const auto* ready = condition(node, "Ready");
  if (ready == nullptr) return {false, time_or_far_away(kube::text_at(node, {"metadata", "creationTimestamp"}))};
  return {kube::text_at(*ready, {"status"}) == "True", time_or_far_away(kube::text_at(*ready, {"lastTransitionTime"}))};
}

const json* find_object(const std::vector<object_ptr>& among, std::string_view name) {
  for (const auto& one : among) {
    if (kube::name_of(*one) == name) return one.get();
  }
  return nullptr;
}

wall_time time_or_far_away(std::string_view text) {
  const auto read = kube::parse_time(text);
  // Years far from ours do not fit into a wall_time.
  constexpr std::chrono::sys_days first{};
  constexpr auto last = std::chrono::floor<std::chrono::days>(far_away);
  return read && *read >= first && *read < last ? wall_time{*read} : far_away;
}

std::string secret_value(const json& secret, std::string_view key) {
  return base64_decode(kube::text_at(secret, {"data", key})).value_or("");
}

}  // namespace orrery::plan
