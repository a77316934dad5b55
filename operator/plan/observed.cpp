#include "operator/plan/observed.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <charconv>
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
  out.created = parse_time(kube::text_at(pod, {"metadata", "creationTimestamp"}));
  if (kube::is_deleting(pod)) out.delete_by = parse_time(kube::text_at(pod, {"metadata", "deletionTimestamp"}));
  if (const auto* sidecar = container_status(pod, sidecar_container); sidecar != nullptr) {
    out.sidecar_ready = is_true(kube::find(*sidecar, {"ready"})) && out.phase == "Running";
    out.restarts = kube::integer_at(*sidecar, {"restartCount"});
  }
  read_waiting(pod, out);
  // When a host is lost, Kubernetes takes back the pod's Ready, and leaves what its kubelet said of the containers.
  const auto* ready = condition(pod, "Ready");
  const auto* containers = condition(pod, "ContainersReady");
  const auto* gates = kube::find(pod, {"spec", "readinessGates"});
  if (ready != nullptr && containers != nullptr && kube::text_at(*ready, {"status"}) == "False" &&
      kube::text_at(*containers, {"status"}) == "True" && (gates == nullptr || gates->empty())) {
    out.status_is_stale = true;
    out.stale_since = parse_time(kube::text_at(*ready, {"lastTransitionTime"}));
  }
  return out;
}

host_view read_host(const json& node) {
  const auto* ready = condition(node, "Ready");
  if (ready == nullptr) return {false, parse_time(kube::text_at(node, {"metadata", "creationTimestamp"}))};
  return {kube::text_at(*ready, {"status"}) == "True", parse_time(kube::text_at(*ready, {"lastTransitionTime"}))};
}

const json* find_object(const std::vector<object_ptr>& among, std::string_view name) {
  for (const auto& one : among) {
    if (kube::name_of(*one) == name) return one.get();
  }
  return nullptr;
}

wall_time parse_time(std::string_view text) {  // "2026-01-31T09:00:00Z", perhaps with fractions of a second
  const auto number = [&](std::size_t at, std::size_t length) {
    int out = -1;
    if (text.size() < at + length) return out;
    const auto [end, bad] = std::from_chars(text.data() + at, text.data() + at + length, out);
    return bad == std::errc{} && end == text.data() + at + length ? out : -1;
  };
  const auto year = number(0, 4);
  const auto month = number(5, 2);
  const auto day = number(8, 2);
  const auto hour = number(11, 2);
  const auto minute = number(14, 2);
  const auto second = number(17, 2);
  if (std::min({year, month, day, hour, minute, second}) < 0) return wall_time{};
  const auto date = std::chrono::year{year} / month / day;
  if (!date.ok()) return wall_time{};
  return std::chrono::sys_days{date} + std::chrono::hours{hour} + std::chrono::minutes{minute} +
         std::chrono::seconds{second};
}

namespace {

constexpr std::string_view base64_letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

std::string base64_encode(std::string_view bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t word = 0;
    const auto count = std::min<std::size_t>(3, bytes.size() - i);
    for (std::size_t j = 0; j < 3; ++j) {
      word = (word << 8U) | (j < count ? static_cast<unsigned char>(bytes[i + j]) : 0U);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      out += j <= count ? base64_letters[(word >> (18U - 6U * j)) & 63U] : '=';
    }
  }
  return out;
}

std::string base64_decode(std::string_view text) {
  std::string out;
  std::uint32_t word = 0;
  unsigned bits = 0;
  for (const char c : text) {
    if (c == '=' || c == '\n' || c == '\r') continue;
    const auto value = base64_letters.find(c);
    if (value == std::string_view::npos) return {};
    word = ((word << 6U) | static_cast<std::uint32_t>(value)) & 0xffffffU;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    out += static_cast<char>((word >> bits) & 0xffU);
  }
  return out;
}

std::string secret_value(const json& secret, std::string_view key) {
  return base64_decode(kube::text_at(secret, {"data", key}));
}

}  // namespace orrery::plan
