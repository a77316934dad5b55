#include "kube/local/builtin_rules.hpp"

#include "kube/local/pattern.hpp"
#include "kube/local/selector.hpp"
#include "kube/local/util.hpp"
#include "mesh/base/base64.hpp"

#include <algorithm>
#include <set>

namespace orrery::local {
namespace {

void fill(json& object, const char* field, json value) {
  if (!object.contains(field) || object[field].is_null()) object[field] = std::move(value);
}

void default_probe(json& container, const char* field) {
  auto* probe = find(container, {field});
  if (probe == nullptr) return;
  fill(*probe, "timeoutSeconds", 1);
  fill(*probe, "periodSeconds", 10);
  fill(*probe, "successThreshold", 1);
  fill(*probe, "failureThreshold", 3);
  if (auto* get = find(*probe, {"httpGet"})) {
    fill(*get, "path", "/");
    fill(*get, "scheme", "HTTP");
  }
}

void default_container(json& container) {
  const auto image = text_at(container, {"image"});
  const auto tag = image.substr(image.rfind('/') == std::string::npos ? 0 : image.rfind('/'));
  const bool latest = tag.find(':') == std::string::npos || tag.ends_with(":latest");
  fill(container, "imagePullPolicy", latest ? "Always" : "IfNotPresent");
  fill(container, "terminationMessagePath", "/dev/termination-log");
  fill(container, "terminationMessagePolicy", "File");
  fill(container, "resources", json::object());
  if (auto* resources = find(container, {"resources"});
      resources->contains("limits") && !resources->contains("requests")) {
    (*resources)["requests"] = (*resources)["limits"];
  }
  if (auto* ports = find(container, {"ports"})) {
    for (auto& port : *ports)
      fill(port, "protocol", "TCP");
  }
  for (const char* probe : {"livenessProbe", "readinessProbe", "startupProbe"})
    default_probe(container, probe);
  if (auto* env = find(container, {"env"})) {
    for (auto& each : *env) {
      if (auto* ref = find(each, {"valueFrom", "fieldRef"})) fill(*ref, "apiVersion", "v1");
    }
  }
}

void default_volume(json& volume) {
  for (const char* kind : {"configMap", "secret", "projected", "downwardAPI"}) {
    if (auto* source = find(volume, {kind})) fill(*source, "defaultMode", 420);
  }
  for (const char* kind : {"projected", "downwardAPI"}) {
    auto* source = find(volume, {kind});
    if (source == nullptr) continue;
    auto* items = find(*source, {"items"});
    for (auto& item : items == nullptr ? *source : *items) {
      if (auto* ref = item.is_object() ? find(item, {"fieldRef"}) : nullptr) fill(*ref, "apiVersion", "v1");
    }
  }
}

void default_pod_spec(json& spec) {
  fill(spec, "restartPolicy", "Always");
  fill(spec, "terminationGracePeriodSeconds", 30);
  fill(spec, "dnsPolicy", "ClusterFirst");
  fill(spec, "securityContext", json::object());
  fill(spec, "schedulerName", "default-scheduler");
  if (spec.contains("serviceAccountName")) fill(spec, "serviceAccount", spec["serviceAccountName"]);
  for (const char* field : {"containers", "initContainers"}) {
    auto* list = find(spec, {field});
    if (list == nullptr || !list->is_array()) continue;
    for (auto& each : *list) {
      if (each.is_object()) default_container(each);
    }
  }
  if (auto* volumes = find(spec, {"volumes"}); volumes != nullptr && volumes->is_array()) {
    for (auto& each : *volumes)
      default_volume(each);
  }
}

void default_pod(json& pod) {
  auto* spec = find(pod, {"spec"});
  if (spec == nullptr) return;
  fill(*spec, "enableServiceLinks", true);
  fill(*spec, "serviceAccountName", "default");
  fill(*spec, "serviceAccount", (*spec)["serviceAccountName"]);
  fill(*spec, "preemptionPolicy", "PreemptLowerPriority");
  fill(*spec, "priority", 0);
  default_pod_spec(*spec);
  auto& tolerations = (*spec)["tolerations"];
  if (tolerations.is_null()) tolerations = json::array();
  for (const char* taint : {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"}) {
    const bool known = std::any_of(tolerations.begin(), tolerations.end(),
                                   [&](const json& each) { return text_at(each, {"key"}) == taint; });
    if (!known)
      tolerations.push_back(
          {{"key", taint}, {"operator", "Exists"}, {"effect", "NoExecute"}, {"tolerationSeconds", 300}});
  }
  fill(pod, "status", json::object());
  auto& status = pod["status"];
  fill(status, "phase", "Pending");
  if (!status.contains("qosClass")) {
    bool any = false;
    for (const auto& each : list_at(*spec, {"containers"}))
      any = any || !map_at(each, {"resources", "requests"}).empty();
    status["qosClass"] = any ? "Burstable" : "BestEffort";
  }
}

void default_secret(json& secret) {
  fill(secret, "type", "Opaque");
  const auto* text = find(secret, {"stringData"});
  if (text == nullptr) return;
  for (const auto& [key, value] : text->items()) {
    if (value.is_string()) secret["data"][key] = base64_encode(value.get_ref<const std::string&>());
  }
  secret.erase("stringData");
}

void default_service(json& service) {
  auto* spec = find(service, {"spec"});
  if (spec == nullptr) return;
  fill(*spec, "type", "ClusterIP");
  fill(*spec, "sessionAffinity", "None");
  if (auto* ports = find(*spec, {"ports"}); ports != nullptr && ports->is_array()) {
    for (auto& port : *ports) {
      fill(port, "protocol", "TCP");
      if (port.contains("port")) fill(port, "targetPort", port["port"]);
    }
  }
  if (text_at(*spec, {"type"}) != "ExternalName") {
    fill(*spec, "clusterIP",
         "10.96." + std::to_string(1 + static_cast<int>(random_unit() * 250)) + "." +
             std::to_string(1 + static_cast<int>(random_unit() * 250)));
    fill(*spec, "clusterIPs", json::array({(*spec)["clusterIP"]}));
    fill(*spec, "ipFamilies", json::array({"IPv4"}));
    fill(*spec, "ipFamilyPolicy", "SingleStack");
    fill(*spec, "internalTrafficPolicy", "Cluster");
  }
  fill(service, "status", {{"loadBalancer", json::object()}});
}

void default_workload(const resource_info& info, json& object) {
  auto* spec = find(object, {"spec"});
  if (spec == nullptr) return;
  fill(*spec, "replicas", 1);
  if (info.kind == "Deployment") {
    fill(*spec, "strategy", {{"type", "RollingUpdate"}});
    if (text_at(*spec, {"strategy", "type"}) == "RollingUpdate") {
      fill((*spec)["strategy"], "rollingUpdate", json::object());
      fill((*spec)["strategy"]["rollingUpdate"], "maxSurge", "25%");
      fill((*spec)["strategy"]["rollingUpdate"], "maxUnavailable", "25%");
    }
    fill(*spec, "revisionHistoryLimit", 10);
    fill(*spec, "progressDeadlineSeconds", 600);
  }
  if (auto* pod = find(*spec, {"template", "spec"})) default_pod_spec(*pod);
}

using causes = std::vector<cause>;

void required(causes& out, const std::string& field, const std::string& why = "") {
  out.push_back({field, "FieldValueRequired", why.empty() ? "Required value" : "Required value: " + why});
}

bool is_label_name(const std::string& text) {
  static constexpr const char* dns_label = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
  return text.size() <= 63 && matches_pattern(text, dns_label);
}

void check_containers(const json& spec, const char* field, const std::string& path, std::set<std::string>& names,
                      const std::set<std::string>& volumes, causes& out) {
  const auto& list = list_at(spec, {field});
  for (std::size_t at = 0; at < list.size(); ++at) {
    const auto here = path + "." + field + "[" + std::to_string(at) + "]";
    const auto name = text_at(list[at], {"name"});
    if (name.empty()) {
      required(out, here + ".name");
    } else if (!is_label_name(name)) {
      out.push_back(
          {here + ".name", "FieldValueInvalid",
           "Invalid value: \"" + name +
               "\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
               "must start and end with an alphanumeric character"});
    } else if (!names.insert(name).second) {
      out.push_back({here + ".name", "FieldValueDuplicate", "Duplicate value: \"" + name + "\""});
    }
    if (text_at(list[at], {"image"}).empty()) required(out, here + ".image");
    const auto& mounts = list_at(list[at], {"volumeMounts"});
    std::set<std::string> paths;
    for (std::size_t mount = 0; mount < mounts.size(); ++mount) {
      const auto place = here + ".volumeMounts[" + std::to_string(mount) + "]";
      const auto volume = text_at(mounts[mount], {"name"});
      if (!volumes.contains(volume))
        out.push_back({place + ".name", "FieldValueNotFound", "Not found: \"" + volume + "\""});
      const auto mount_path = text_at(mounts[mount], {"mountPath"});
      if (mount_path.empty()) required(out, place + ".mountPath");
      if (!paths.insert(mount_path).second) {
        out.push_back(
            {place + ".mountPath", "FieldValueInvalid", "Invalid value: \"" + mount_path + "\": must be unique"});
      }
    }
  }
}

void check_pod_spec(const json& spec, const std::string& path, causes& out) {
  if (list_at(spec, {"containers"}).empty()) required(out, path + ".containers");
  std::set<std::string> volumes;
  const auto& volume_list = list_at(spec, {"volumes"});
  for (std::size_t at = 0; at < volume_list.size(); ++at) {
    const auto name = text_at(volume_list[at], {"name"});
    const auto here = path + ".volumes[" + std::to_string(at) + "].name";
    if (name.empty()) required(out, here);
    if (!volumes.insert(name).second) out.push_back({here, "FieldValueDuplicate", "Duplicate value: \"" + name + "\""});
  }
  std::set<std::string> names;
  check_containers(spec, "containers", path, names, volumes, out);
  check_containers(spec, "initContainers", path, names, volumes, out);
  const auto policy = text_at(spec, {"restartPolicy"}, "Always");
  if (policy != "Always" && policy != "OnFailure" && policy != "Never") {
    out.push_back({path + ".restartPolicy", "FieldValueNotSupported",
                   "Unsupported value: \"" + policy + "\": supported values: \"Always\", \"OnFailure\", \"Never\""});
  }
}

/// A pod's spec with what may change after it was made blanked out.
json frozen_part(json spec) {
  for (const char* field : {"containers", "initContainers"}) {
    if (auto* list = find(spec, {field}); list != nullptr && list->is_array()) {
      for (auto& each : *list)
        each.erase("image");
    }
  }
  for (const char* field : {"activeDeadlineSeconds", "terminationGracePeriodSeconds", "tolerations", "nodeName"})
    spec.erase(field);
  return spec;
}

void check_pod(const json& before, const json& after, causes& out) {
  const auto* spec = find(after, {"spec"});
  if (spec == nullptr) return required(out, "spec");
  check_pod_spec(*spec, "spec", out);
  if (before.is_null() || frozen_part(before.at("spec")) == frozen_part(*spec)) return;
  out.push_back({"spec", "FieldValueForbidden",
                 "Forbidden: pod updates may not change fields other than `spec.containers[*].image`, "
                 "`spec.initContainers[*].image`, "
                 "`spec.activeDeadlineSeconds`, `spec.tolerations` (only additions to existing tolerations), "
                 "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"});
}

void check_workload(const json& before, const json& after, causes& out) {
  const auto* selected = find(after, {"spec", "selector"});
  const auto* pod = find(after, {"spec", "template", "spec"});
  if (selected == nullptr || selected->empty()) return required(out, "spec.selector");
  if (number_at(after, {"spec", "replicas"}) < 0) {
    out.push_back({"spec.replicas", "FieldValueInvalid",
                   "Invalid value: " + std::to_string(number_at(after, {"spec", "replicas"})) +
                       ": must be greater than or equal to 0"});
  }
  if (!selector::from_object(*selected).matches_labels(map_at(after, {"spec", "template", "metadata", "labels"}))) {
    out.push_back({"spec.template.metadata.labels", "FieldValueInvalid",
                   "Invalid value: " + map_at(after, {"spec", "template", "metadata", "labels"}).dump() +
                       ": `selector` does not match template `labels`"});
  }
  if (pod == nullptr) return required(out, "spec.template.spec.containers");
  check_pod_spec(*pod, "spec.template.spec", out);
  if (!before.is_null() && map_at(before, {"spec", "selector"}) != *selected) {
    out.push_back(
        {"spec.selector", "FieldValueInvalid", "Invalid value: " + selected->dump() + ": field is immutable"});
  }
}

void check_config(const json& before, const json& after, causes& out) {
  for (const char* field : {"data", "binaryData"}) {
    for (const auto& [key, value] : map_at(after, {field}).items()) {
      static constexpr const char* key_form = "^[-._a-zA-Z0-9]+$";
      if (!matches_pattern(key, key_form) || key == "." || key == "..") {
        out.push_back({std::string(field) + "[" + key + "]", "FieldValueInvalid",
                       "Invalid value: \"" + key +
                           "\": a valid config key must consist of alphanumeric characters, '-', '_' or '.'"});
      }
    }
    if (!before.is_null() && flag_at(before, {"immutable"}) && map_at(before, {field}) != map_at(after, {field})) {
      out.push_back({field, "FieldValueForbidden", "Forbidden: field is immutable when `immutable` is set"});
    }
  }
}

void check_secret(const json& before, const json& after, causes& out) {
  check_config(before, after, out);
  if (!before.is_null() && text_at(before, {"type"}) != text_at(after, {"type"})) {
    out.push_back(
        {"type", "FieldValueInvalid", "Invalid value: \"" + text_at(after, {"type"}) + "\": field is immutable"});
  }
  if (text_at(after, {"type"}) == "kubernetes.io/tls") {
    for (const char* key : {"tls.crt", "tls.key"}) {
      if (!map_at(after, {"data"}).contains(key)) required(out, std::string("data[") + key + "]");
    }
  }
}

void check_service(const json& before, const json& after, causes& out) {
  const auto headless = text_at(after, {"spec", "clusterIP"}) == "None";
  const auto& ports = list_at(after, {"spec", "ports"});
  if (ports.empty() && !headless && text_at(after, {"spec", "type"}) != "ExternalName") required(out, "spec.ports");
  for (std::size_t at = 0; at < ports.size(); ++at) {
    const auto here = "spec.ports[" + std::to_string(at) + "]";
    if (ports.size() > 1 && text_at(ports[at], {"name"}).empty()) required(out, here + ".name");
    const auto number = number_at(ports[at], {"port"});
    if (number < 1 || number > 65535) {
      out.push_back({here + ".port", "FieldValueInvalid",
                     "Invalid value: " + std::to_string(number) + ": must be between 1 and 65535, inclusive"});
    }
  }
  if (before.is_null()) return;
  const auto was = text_at(before, {"spec", "clusterIP"});
  if (!was.empty() && text_at(after, {"spec", "clusterIP"}) != was) {
    out.push_back({"spec.clusterIPs[0]", "FieldValueInvalid",
                   "Invalid value: " + list_at(after, {"spec", "clusterIPs"}).dump() + ": may not change once set"});
  }
}

void check_binding(const json& before, const json& after, causes& out) {
  if (!before.is_null() && map_at(before, {"roleRef"}) != map_at(after, {"roleRef"})) {
    out.push_back({"roleRef", "FieldValueInvalid",
                   "Invalid value: " + map_at(after, {"roleRef"}).dump() + ": cannot change roleRef"});
  }
}

}  // namespace

std::string name_error(std::string_view name) {
  static constexpr const char* dns_subdomain = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
  if (name.size() > 253) return "must be no more than 253 characters";
  if (matches_pattern(std::string(name), dns_subdomain)) return "";
  return "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
         "start and end with an "
         "alphanumeric character (e.g. 'example.com', regex used for validation is "
         "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
}

void default_builtin(const resource_info& info, json& object) {
  if (info.kind == "Pod") default_pod(object);
  if (info.kind == "Secret") default_secret(object);
  if (info.kind == "Service") default_service(object);
  if (info.group == "apps") default_workload(info, object);
  if (info.kind == "Namespace") {
    fill(object, "spec", {{"finalizers", {"kubernetes"}}});
    fill(object, "status", {{"phase", "Active"}});
    object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name_of(object);
  }
  if (info.group == "rbac.authorization.k8s.io" && object.contains("subjects") && object["subjects"].is_array()) {
    for (auto& each : object["subjects"]) {
      if (text_at(each, {"kind"}) != "ServiceAccount") fill(each, "apiGroup", "rbac.authorization.k8s.io");
    }
  }
}

std::vector<cause> validate_builtin(const resource_info& info, const json& before, const json& after) {
  causes out;
  if (info.kind == "Pod") check_pod(before, after, out);
  if (info.group == "apps") check_workload(before, after, out);
  if (info.kind == "ConfigMap") check_config(before, after, out);
  if (info.kind == "Secret") check_secret(before, after, out);
  if (info.kind == "Service") check_service(before, after, out);
  if (info.kind.ends_with("RoleBinding")) check_binding(before, after, out);
  if (info.kind == "CustomResourceDefinition") out = check_definition(after);
  return out;
}

}  // namespace orrery::local
