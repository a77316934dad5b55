#include "kube/local/discovery.hpp"

#include "kube/local/builtin_types.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <set>

namespace orrery::local {
namespace {

/// The versions of each group, in the order of first appearance; newest API first is left to the definitions.
std::map<std::string, std::vector<std::string>> groups(const catalog& all) {
  std::map<std::string, std::vector<std::string>> out;
  for (const auto& each : all.all()) {
    auto& versions = out[each->group];
    if (std::find(versions.begin(), versions.end(), each->version) == versions.end()) versions.push_back(each->version);
  }
  return out;
}

json group_body(const std::string& group, const std::vector<std::string>& versions) {
  json list = json::array();
  for (const auto& each : versions)
    list.push_back({{"groupVersion", group + "/" + each}, {"version", each}});
  return {{"name", group}, {"versions", list}, {"preferredVersion", list.at(0)}};
}

json entry(const std::string& name, const std::string& singular, const std::string& kind, bool namespaced,
           std::vector<std::string> verbs) {
  return {{"name", name},
          {"singularName", singular},
          {"namespaced", namespaced},
          {"kind", kind},
          {"verbs", std::move(verbs)}};
}

const std::vector<std::string> all_verbs = {"create", "delete", "deletecollection", "get",
                                            "list",   "patch",  "update",           "watch"};
const std::vector<std::string> sub_verbs = {"get", "patch", "update"};

json gvk_of(const resource_info& info) {
  return {{"group", info.group}, {"version", info.version}, {"kind", info.kind}};
}

json parameter(const char* name, const char* type) {
  return {{"name", name}, {"in", "query"}, {"schema", {{"type", type}}}};
}

std::string schema_name(const resource_info& info) {
  if (!info.custom) return info.kind;
  return info.group + "." + info.version + "." + info.kind;
}

/// Schemas that `schema` refers to, and those that they refer to.
void include_references(const json& schema, json& schemas) {
  if (schema.is_object()) {
    if (const auto it = schema.find("$ref"); it != schema.end() && it->is_string()) {
      const auto name = it->get<std::string>().substr(std::string_view("#/components/schemas/").size());
      if (!schemas.contains(name)) {
        schemas[name] = builtin_schemas().at(name);
        include_references(builtin_schemas().at(name), schemas);
      }
      return;
    }
  }
  if (schema.is_structured()) {
    for (const auto& sub : schema)
      include_references(sub, schemas);
  }
}

}  // namespace

json version_info() {
  return {{"major", "1"},        {"minor", "30"},           {"gitVersion", "v1.30.0+orrery"},
          {"gitCommit", ""},     {"gitTreeState", "clean"}, {"buildDate", "2026-01-01T00:00:00Z"},
          {"goVersion", "none"}, {"compiler", "g++"},       {"platform", "linux/amd64"}};
}

json core_versions() {
  return {{"kind", "APIVersions"}, {"versions", {"v1"}}, {"serverAddressByClientCIDRs", json::array()}};
}

json group_list(const catalog& all) {
  json list = json::array();
  for (const auto& [group, versions] : groups(all)) {
    if (!group.empty()) list.push_back(group_body(group, versions));
  }
  return {{"kind", "APIGroupList"}, {"apiVersion", "v1"}, {"groups", std::move(list)}};
}

json group_info(const catalog& all, const std::string& group) {
  const auto known = groups(all);
  const auto it = known.find(group);
  if (it == known.end() || group.empty()) return nullptr;
  auto body = group_body(group, it->second);
  body["kind"] = "APIGroup";
  body["apiVersion"] = "v1";
  return body;
}

json resource_list(const catalog& all, const std::string& group, const std::string& version) {
  json list = json::array();
  for (const auto& each : all.all()) {
    if (each->group != group || each->version != version) continue;
    auto one = entry(each->plural, each->singular, each->kind, each->namespaced,
                     each->review ? std::vector<std::string>{"create"} : all_verbs);
    if (!each->short_names.empty()) one["shortNames"] = each->short_names;
    if (!each->categories.empty()) one["categories"] = each->categories;
    if (!each->review) one["storageVersionHash"] = std::to_string(std::hash<std::string>{}(each->bucket()));
    list.push_back(std::move(one));
    if (each->has_status) list.push_back(entry(each->plural + "/status", "", each->kind, each->namespaced, sub_verbs));
    if (each->scale) {
      auto scale = entry(each->plural + "/scale", "", "Scale", each->namespaced, sub_verbs);
      scale["group"] = "autoscaling";
      scale["version"] = "v1";
      list.push_back(std::move(scale));
    }
    if (each->bucket() == "pods") {
      list.push_back(entry("pods/log", "", "Pod", true, {"get"}));
      list.push_back(entry("pods/portforward", "", "PodPortForwardOptions", true, {"create", "get"}));
      auto eviction = entry("pods/eviction", "", "Eviction", true, {"create"});
      eviction["group"] = "policy";
      eviction["version"] = "v1";
      list.push_back(std::move(eviction));
    }
    if (each->bucket() == "serviceaccounts") {
      auto token = entry("serviceaccounts/token", "", "TokenRequest", true, {"create"});
      token["group"] = "authentication.k8s.io";
      token["version"] = "v1";
      list.push_back(std::move(token));
    }
  }
  if (list.empty()) return nullptr;
  return {{"kind", "APIResourceList"},
          {"apiVersion", "v1"},
          {"groupVersion", group.empty() ? version : group + "/" + version},
          {"resources", std::move(list)}};
}

json openapi_index(const catalog& all) {
  json paths = json::object();
  for (const auto& [group, versions] : groups(all)) {
    for (const auto& version : versions) {
      const auto path = group.empty() ? "api/" + version : "apis/" + group + "/" + version;
      paths[path] = {{"serverRelativeURL", "/openapi/v3/" + path}};
    }
  }
  return {{"paths", std::move(paths)}};
}

json openapi_document(const catalog& all, const std::string& group, const std::string& version) {
  json paths = json::object();
  json schemas = json::object();
  for (const auto& each : all.all()) {
    if (each->group != group || each->version != version) continue;
    const auto gvk = gvk_of(*each);
    const auto name = schema_name(*each);
    auto schema = each->custom ? each->schema : builtin_schemas().at(name);
    schema["x-kubernetes-group-version-kind"] = json::array({gvk});
    include_references(schema, schemas);
    schemas[name] = std::move(schema);
    const json body = {
        {"200",
         {{"description", "OK"},
          {"content", {{"application/json", {{"schema", {{"$ref", "#/components/schemas/" + name}}}}}}}}}};
    const auto operation = [&](const char* action, json parameters) {
      return json{{"responses", body},
                  {"parameters", std::move(parameters)},
                  {"x-kubernetes-action", action},
                  {"x-kubernetes-group-version-kind", gvk}};
    };
    const json write = json::array(
        {parameter("dryRun", "string"), parameter("fieldManager", "string"), parameter("fieldValidation", "string")});
    const auto root = (group.empty() ? "/api/" + version : "/apis/" + group + "/" + version) +
                      (each->namespaced ? "/namespaces/{namespace}/" : "/") + each->plural;
    paths[root] = {{"get", operation("list", json::array())}, {"post", operation("post", write)}};
    if (each->review) continue;
    auto patch = operation("patch", write);
    patch["requestBody"]["content"] = {{"application/json-patch+json", json::object()},
                                       {"application/merge-patch+json", json::object()},
                                       {"application/apply-patch+yaml", json::object()}};
    if (!each->custom) patch["requestBody"]["content"]["application/strategic-merge-patch+json"] = json::object();
    paths[root + "/{name}"] = {{"get", operation("get", json::array())},
                               {"put", operation("put", write)},
                               {"patch", std::move(patch)},
                               {"delete", operation("delete", json::array({parameter("dryRun", "string")}))}};
  }
  if (paths.empty()) return nullptr;
  return {{"openapi", "3.0.0"},
          {"info", {{"title", "Kubernetes"}, {"version", "v1.30.0+orrery"}}},
          {"paths", std::move(paths)},
          {"components", {{"schemas", std::move(schemas)}}}};
}

}  // namespace orrery::local
