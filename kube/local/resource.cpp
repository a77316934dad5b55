#include "kube/local/resource.hpp"

#include "kube/local/builtin_types.hpp"
#include "kube/local/schema.hpp"

#include <algorithm>

namespace orrery::local {
namespace {

json ref(const std::string& name) { return {{"$ref", "#/components/schemas/" + name}}; }

struct builtin {
  const char* group;
  const char* version;
  const char* plural;
  const char* kind;
  const char* short_names;
  bool namespaced;
  bool has_status;
  bool has_generation;
};

constexpr builtin builtins[] = {
    {"", "v1", "configmaps", "ConfigMap", "cm", true, false, false},
    {"", "v1", "endpoints", "Endpoints", "ep", true, false, false},
    {"", "v1", "events", "Event", "ev", true, false, false},
    {"", "v1", "namespaces", "Namespace", "ns", false, true, false},
    {"", "v1", "nodes", "Node", "no", false, true, false},
    {"", "v1", "pods", "Pod", "po", true, true, false},
    {"", "v1", "secrets", "Secret", "", true, false, false},
    {"", "v1", "serviceaccounts", "ServiceAccount", "sa", true, false, false},
    {"", "v1", "services", "Service", "svc", true, true, false},
    {"apps", "v1", "deployments", "Deployment", "deploy", true, true, true},
    {"apps", "v1", "replicasets", "ReplicaSet", "rs", true, true, true},
    {"coordination.k8s.io", "v1", "leases", "Lease", "", true, false, false},
    {"discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", "", true, false, true},
    {"policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", "pdb", true, true, true},
    {"rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", "", false, false, false},
    {"rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", "", false, false, false},
    {"rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding", "", true, false, false},
    {"rbac.authorization.k8s.io", "v1", "roles", "Role", "", true, false, false},
    {"apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", "crd,crds", false, true,
     true},
    {"authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", "", false, false, false},
    {"authorization.k8s.io", "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", "", false, false, false},
    {"authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", "", false, false, false},
    {"authentication.k8s.io", "v1", "tokenreviews", "TokenReview", "", false, false, false},
};

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

resource_ptr make_builtin(const builtin& from) {
  auto info = std::make_shared<resource_info>();
  info->group = from.group;
  info->version = from.version;
  info->plural = from.plural;
  info->kind = from.kind;
  info->singular = lower(from.kind);
  if (*from.short_names != 0) info->short_names = split(from.short_names, ',');
  info->namespaced = from.namespaced;
  info->has_status = from.has_status;
  info->has_generation = from.has_generation;
  info->review = std::string_view(from.plural).ends_with("reviews");
  info->schema = ref(from.kind);
  const auto bucket = info->bucket();
  if (bucket == "pods" || bucket == "services" || info->group == "apps") info->categories = {"all"};
  if (info->group == "apps") info->scale = scale_paths{".spec.replicas", ".status.replicas", ".spec.selector"};
  if (info->group == "apiextensions.k8s.io") info->categories = {"api-extensions"};
  return info;
}

/// The schema of a custom kind with what every object has.
json whole_schema(json schema) {
  if (!schema.is_object()) schema = {{"type", "object"}, {"x-kubernetes-preserve-unknown-fields", true}};
  auto& properties = schema["properties"];
  properties["apiVersion"] = {{"type", "string"}};
  properties["kind"] = {{"type", "string"}};
  properties["metadata"] = ref("ObjectMeta");
  return schema;
}

std::vector<std::string> strings(const json& list) {
  std::vector<std::string> out;
  for (const auto& each : list) {
    if (each.is_string()) out.push_back(each.get<std::string>());
  }
  return out;
}

}  // namespace

catalog::catalog() {
  for (const auto& each : builtins)
    entries_.push_back(make_builtin(each));
}

resource_ptr catalog::find(std::string_view group, std::string_view version, std::string_view plural) const {
  const std::lock_guard lock(mutex_);
  for (const auto& each : entries_) {
    if (each->plural == plural && each->group == group && each->version == version) return each;
  }
  return nullptr;
}

resource_ptr catalog::find_bucket(std::string_view bucket) const {
  const std::lock_guard lock(mutex_);
  for (const auto& each : entries_) {
    if (each->bucket() == bucket) return each;
  }
  return nullptr;
}

resource_ptr catalog::find_kind(std::string_view api_version, std::string_view kind) const {
  const std::lock_guard lock(mutex_);
  for (const auto& each : entries_) {
    if (each->kind == kind && each->api_version() == api_version) return each;
  }
  return nullptr;
}

std::vector<resource_ptr> catalog::all() const {
  const std::lock_guard lock(mutex_);
  return entries_;
}

void catalog::define(const json& definition) {
  std::vector<resource_ptr> fresh;
  const auto& names = map_at(definition, {"spec", "names"});
  for (const auto& version : list_at(definition, {"spec", "versions"})) {
    if (!flag_at(version, {"served"})) continue;
    auto info = std::make_shared<resource_info>();
    info->custom = true;
    info->group = text_at(definition, {"spec", "group"});
    info->version = text_at(version, {"name"});
    info->plural = text_at(names, {"plural"});
    info->kind = text_at(names, {"kind"});
    info->singular = text_at(names, {"singular"}, lower(info->kind));
    info->short_names = strings(list_at(names, {"shortNames"}));
    info->categories = strings(list_at(names, {"categories"}));
    info->namespaced = text_at(definition, {"spec", "scope"}) == "Namespaced";
    info->has_status = local::find(version, {"subresources", "status"}) != nullptr;
    if (const auto* scale = local::find(version, {"subresources", "scale"})) {
      info->scale = scale_paths{text_at(*scale, {"specReplicasPath"}), text_at(*scale, {"statusReplicasPath"}),
                                text_at(*scale, {"labelSelectorPath"})};
    }
    const auto* schema = local::find(version, {"schema", "openAPIV3Schema"});
    info->schema = whole_schema(schema == nullptr ? json(nullptr) : *schema);
    info->columns = list_at(version, {"additionalPrinterColumns"});
    fresh.push_back(std::move(info));
  }
  forget(qualified(text_at(names, {"plural"}), text_at(definition, {"spec", "group"})));
  const std::lock_guard lock(mutex_);
  entries_.insert(entries_.end(), fresh.begin(), fresh.end());
}

void catalog::forget(std::string_view bucket) {
  const std::lock_guard lock(mutex_);
  std::erase_if(entries_, [&](const resource_ptr& each) { return each->custom && each->bucket() == bucket; });
}

std::vector<cause> check_definition(const json& definition) {
  std::vector<cause> causes;
  const auto group = text_at(definition, {"spec", "group"});
  const auto plural = text_at(definition, {"spec", "names", "plural"});
  const auto require = [&](std::initializer_list<std::string_view> path, const std::string& name) {
    if (text_at(definition, path).empty()) causes.push_back({name, "FieldValueRequired", "Required value"});
  };
  require({"spec", "group"}, "spec.group");
  require({"spec", "names", "plural"}, "spec.names.plural");
  require({"spec", "names", "kind"}, "spec.names.kind");
  if (name_of(definition) != plural + "." + group) {
    causes.push_back({"metadata.name", "FieldValueInvalid",
                      "Invalid value: \"" + name_of(definition) + "\": must be spec.names.plural+\".\"+spec.group"});
  }
  const auto scope = text_at(definition, {"spec", "scope"});
  if (scope != "Namespaced" && scope != "Cluster") {
    causes.push_back({"spec.scope", "FieldValueNotSupported",
                      "Unsupported value: \"" + scope + "\": supported values: \"Cluster\", \"Namespaced\""});
  }
  int stored = 0;
  const auto& versions = list_at(definition, {"spec", "versions"});
  for (std::size_t at = 0; at < versions.size(); ++at) {
    const auto path = "spec.versions[" + std::to_string(at) + "]";
    if (flag_at(versions[at], {"storage"})) ++stored;
    const auto* schema = find(versions[at], {"schema", "openAPIV3Schema"});
    if (schema == nullptr) {
      causes.push_back(
          {path + ".schema.openAPIV3Schema", "FieldValueRequired", "Required value: schemas are required"});
      continue;
    }
    auto wrong = check_structural(*schema, path + ".schema.openAPIV3Schema");
    causes.insert(causes.end(), wrong.begin(), wrong.end());
  }
  if (stored != 1) {
    causes.push_back(
        {"spec.versions", "FieldValueInvalid",
         "Invalid value: " + std::to_string(stored) + ": must have exactly one version marked as storage version"});
  }
  return causes;
}

}  // namespace orrery::local
