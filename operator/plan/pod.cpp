#include "operator/plan/pod.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace orrery::plan {

namespace {

using std::chrono::duration_cast;
using std::chrono::seconds;

constexpr std::string_view config_path = "/etc/orrery/config";
constexpr std::string_view genesis_path = "/etc/orrery/genesis";
constexpr std::string_view tls_path = "/etc/orrery/tls";
constexpr std::string_view token_path = "/var/run/secrets/kubernetes.io/serviceaccount";
constexpr std::string_view state_path = "/var/lib/orrery";  // outlives the container, not the pod
constexpr std::string_view state_size_max = "16Mi";
constexpr std::string_view sdk_path = "/run/orrery";  // shared with the app: the sidecar's socket
constexpr std::string_view sdk_socket = "/run/orrery/sdk.sock";
constexpr std::string_view sdk_size_max = "1Mi";
constexpr std::string_view termination_log = "/dev/termination-log";  // Kubernetes' own default, said in full
constexpr std::int64_t grace_beyond_drain_s = 10;
constexpr std::int64_t grace_default_s = 30;
constexpr std::int64_t token_lifetime_s = 3600;
constexpr int read_only_for_all = 0444;  // the volumes are mounted into the sidecar alone
constexpr std::string_view name_to_come = "";

json object_or_empty(const json* found) { return found != nullptr && found->is_object() ? *found : json::object(); }
json array_or_empty(const json* found) { return found != nullptr && found->is_array() ? *found : json::array(); }

json downward(std::string_view name, std::string_view path) {
  return {{"name", name}, {"valueFrom", {{"fieldRef", {{"apiVersion", "v1"}, {"fieldPath", path}}}}}};
}

json probe(std::string_view path, std::int64_t port, int period_s, int failures, int timeout_s) {
  return {{"httpGet", {{"path", path}, {"port", port}, {"scheme", "HTTP"}}},
          {"periodSeconds", period_s},
          {"failureThreshold", failures},
          {"timeoutSeconds", timeout_s}};
}

json mount(std::string_view volume, std::string_view path) {
  return {{"name", volume}, {"mountPath", path}, {"readOnly", true}};
}

json build_sidecar(const json& mesh, const mesh_spec& spec, bool native) {
  json out{{"name", sidecar_container},
           {"image", spec.image},
           {"imagePullPolicy", spec.image_pull_policy},
           {"command", json::array({"orrery-sidecar"})},
           {"args", json::array({"--config", fmt::format("{}/config.yaml", config_path), "--genesis",
                                 fmt::format("{}/genesis.yaml", genesis_path), "--tls", tls_path, "--sdk",
                                 fmt::format("127.0.0.1:{}", spec.sdk_port), "--sdk-socket", sdk_socket, "--sdk-stream",
                                 fmt::format("127.0.0.1:{}", spec.stream_port), "--member-cache",
                                 fmt::format("{}/members.json", state_path), "--termination-log", termination_log})},
           {"terminationMessagePath", termination_log},
           {"terminationMessagePolicy", "File"}};
  auto env = json::array({downward("POD_NAME", "metadata.name"), downward("POD_NAMESPACE", "metadata.namespace"),
                          downward("POD_UID", "metadata.uid"), downward("POD_IP", "status.podIP")});
  for (const auto& one : array_or_empty(kube::find(mesh, {"spec", "sidecar", "env"}))) {
    if (!kube::text_at(one, {"name"}).starts_with("POD_")) env.push_back(one);
  }
  out["env"] = std::move(env);
  out["ports"] = json::array({{{"name", "mesh"}, {"containerPort", spec.mesh_port}, {"protocol", "TCP"}},
                              {{"name", "admin"}, {"containerPort", spec.admin_port}, {"protocol", "TCP"}}});
  out["resources"] = object_or_empty(kube::find(mesh, {"spec", "sidecar", "resources"}));
  out["volumeMounts"] = json::array({mount("orrery-config", config_path),
                                     mount("orrery-genesis", genesis_path),
                                     mount("orrery-tls", tls_path),
                                     mount("orrery-token", token_path),
                                     {{"name", "orrery-state"}, {"mountPath", state_path}},
                                     {{"name", "orrery-sdk"}, {"mountPath", sdk_path}}});
  // Ready means joined, so it is asked often; alive means that the event loop turns, so it is given time.
  out["startupProbe"] = probe("/healthz", spec.admin_port, 1, 60, 2);
  out["readinessProbe"] = probe("/readyz", spec.admin_port, 1, 3, 2);
  out["livenessProbe"] = probe("/healthz", spec.admin_port, 5, 6, 3);
  out["securityContext"] = {{"runAsNonRoot", true},
                            {"allowPrivilegeEscalation", false},
                            {"readOnlyRootFilesystem", true},
                            {"capabilities", {{"drop", json::array({"ALL"})}}},
                            {"seccompProfile", {{"type", "RuntimeDefault"}}}};
  if (native) out["restartPolicy"] = "Always";
  return out;
}

void tell_where_the_sidecar_is(json& containers, const mesh_spec& spec) {
  for (auto& one : containers) {
    if (!one.is_object()) continue;
    auto env = array_or_empty(kube::find(one, {"env"}));
    const auto tell = [&](std::string_view name, std::string value) {
      const bool set = std::any_of(env.begin(), env.end(),
                                   [&](const json& entry) { return kube::text_at(entry, {"name"}) == name; });
      if (!set) env.push_back({{"name", name}, {"value", std::move(value)}});
    };
    tell("ORRERY_SIDECAR", fmt::format("http://127.0.0.1:{}", spec.sdk_port));
    tell("ORRERY_SOCKET", std::string(sdk_socket));
    tell("ORRERY_TCP", fmt::format("127.0.0.1:{}", spec.stream_port));
    one["env"] = std::move(env);
    auto mounts = array_or_empty(kube::find(one, {"volumeMounts"}));
    const bool taken = std::any_of(mounts.begin(), mounts.end(),
                                   [](const json& entry) { return kube::text_at(entry, {"mountPath"}) == sdk_path; });
    // Connecting to a socket is no write; replacing it would be.
    if (!taken) mounts.push_back(mount("orrery-sdk", sdk_path));
    one["volumeMounts"] = std::move(mounts);
  }
}

void add_volumes(json& pod, const object_names& names) {
  auto volumes = array_or_empty(kube::find(pod, {"volumes"}));
  volumes.push_back({{"name", "orrery-config"},
                     {"configMap",
                      {{"name", names.config()},
                       {"defaultMode", read_only_for_all},
                       {"items", json::array({{{"key", "config.yaml"}, {"path", "config.yaml"}}})}}}});
  volumes.push_back(
      {{"name", "orrery-genesis"}, {"configMap", {{"name", names.genesis()}, {"defaultMode", read_only_for_all}}}});
  volumes.push_back(
      {{"name", "orrery-tls"}, {"secret", {{"secretName", name_to_come}, {"defaultMode", read_only_for_all}}}});
  volumes.push_back({{"name", "orrery-state"}, {"emptyDir", {{"sizeLimit", state_size_max}}}});
  volumes.push_back({{"name", "orrery-sdk"}, {"emptyDir", {{"sizeLimit", sdk_size_max}}}});
  // The sidecar's own token: the app does not get one unless its template asks for it.
  volumes.push_back(
      {{"name", "orrery-token"},
       {"projected",
        {{"defaultMode", read_only_for_all},
         {"sources",
          json::array(
              {{{"serviceAccountToken", {{"path", "token"}, {"expirationSeconds", token_lifetime_s}}}},
               {{"configMap",
                 {{"name", "kube-root-ca.crt"}, {"items", json::array({{{"key", "ca.crt"}, {"path", "ca.crt"}}})}}}},
               {{"downwardAPI",
                 {{"items", json::array({{{"path", "namespace"},
                                          {"fieldRef",
                                           {{"apiVersion", "v1"}, {"fieldPath", "metadata.namespace"}}}}})}}}}})}}}});
  pod["volumes"] = std::move(volumes);
}

/// A host that does not answer is given up after node_lost_after, not after the five minutes of Kubernetes.
void add_tolerations(json& pod, const mesh_spec& spec) {
  auto tolerations = array_or_empty(kube::find(pod, {"tolerations"}));
  for (const std::string_view key : {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"}) {
    const bool set = std::any_of(tolerations.begin(), tolerations.end(),
                                 [&](const json& one) { return kube::text_at(one, {"key"}) == key; });
    if (set) continue;
    tolerations.push_back({{"key", key},
                           {"operator", "Exists"},
                           {"effect", "NoExecute"},
                           {"tolerationSeconds", duration_cast<seconds>(spec.node_lost_after).count()}});
  }
  pod["tolerations"] = std::move(tolerations);
}

void set_if_missing(json& object, std::string_view field, json value) {
  if (!object.contains(field)) object[std::string(field)] = std::move(value);
}

json build_pod_spec(const json& mesh, const mesh_spec& spec, const server_features& server) {
  const object_names names{std::string(kube::name_of(mesh))};
  json pod = object_or_empty(kube::find(mesh, {"spec", "template", "spec"}));
  auto containers = array_or_empty(kube::find(pod, {"containers"}));
  auto init_containers = array_or_empty(kube::find(pod, {"initContainers"}));
  // A native sidecar starts before the app and outlives it, but a pod needs one plain container.
  const bool native = server.native_sidecars && !containers.empty();
  tell_where_the_sidecar_is(containers, spec);
  tell_where_the_sidecar_is(init_containers, spec);
  auto& list = native ? init_containers : containers;
  list.insert(list.begin(), build_sidecar(mesh, spec, native));
  pod["containers"] = std::move(containers);
  if (!init_containers.empty()) pod["initContainers"] = std::move(init_containers);

  add_volumes(pod, names);
  add_tolerations(pod, spec);
  set_if_missing(pod, "serviceAccountName", names.account());
  set_if_missing(pod, "automountServiceAccountToken", false);
  set_if_missing(pod, "enableServiceLinks", false);
  set_if_missing(pod, "subdomain", names.service());
  pod["restartPolicy"] = "Always";
  const auto drain_s = duration_cast<seconds>(spec.drain_timeout).count() + grace_beyond_drain_s;
  pod["terminationGracePeriodSeconds"] =
      std::max(kube::integer_at(pod, {"terminationGracePeriodSeconds"}, grace_default_s), drain_s);
  set_if_missing(pod, "topologySpreadConstraints",
                 json::array({{{"maxSkew", 1},
                               {"topologyKey", "kubernetes.io/hostname"},
                               {"whenUnsatisfiable", "ScheduleAnyway"},
                               {"labelSelector", {{"matchLabels", {{std::string(labels::mesh), names.mesh}}}}}}}));
  return pod;
}

}  // namespace

pod_template build_template(const json& mesh, const mesh_spec& spec, const server_features& server) {
  pod_template out;
  out.pod = owned_object(kube::resources::pods, mesh, std::string(name_to_come), "node");
  auto& metadata = out.pod["metadata"];
  json merged = object_or_empty(kube::find(mesh, {"spec", "template", "metadata", "labels"}));
  merged.update(metadata["labels"]);
  metadata["labels"] = std::move(merged);
  metadata["annotations"] = object_or_empty(kube::find(mesh, {"spec", "template", "metadata", "annotations"}));
  out.pod["spec"] = build_pod_spec(mesh, spec, server);
  // So that kubectl logs and exec mean the user's container, which may stand after the sidecar.
  if (const auto* own = kube::find(mesh, {"spec", "template", "spec", "containers"});
      own != nullptr && own->is_array() && !own->empty() && !kube::text_at(own->front(), {"name"}).empty() &&
      !metadata["annotations"].contains("kubectl.kubernetes.io/default-container")) {
    metadata["annotations"]["kubectl.kubernetes.io/default-container"] = kube::text_at(own->front(), {"name"});
  }
  // In the template, so that a change of them replaces the pods, one at a time, as any other does.
  metadata["annotations"][std::string(annotations::starts_with)] =
      fmt::format("heartbeatInterval={} downAfter={} drainTimeout={}", to_text(spec.heartbeat_interval),
                  to_text(spec.down_after), to_text(spec.drain_timeout));
  out.account = out.pod["spec"].value("serviceAccountName", std::string{});
  out.hash = short_hash(metadata["labels"].dump() + metadata["annotations"].dump() + out.pod["spec"].dump());
  metadata["annotations"][std::string(annotations::template_hash)] = out.hash;
  return out;
}

json build_pod(const pod_template& from, const std::string& name, const std::string& config_hash) {
  json out = from.pod;
  out["metadata"]["name"] = name;
  out["metadata"]["annotations"][std::string(annotations::config_hash)] = config_hash;
  for (auto& volume : out["spec"]["volumes"]) {
    if (kube::text_at(volume, {"name"}) == "orrery-tls") volume["secret"]["secretName"] = certificate_secret(name);
  }
  return out;
}

}  // namespace orrery::plan
