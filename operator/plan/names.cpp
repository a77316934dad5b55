#include "operator/plan/names.hpp"

#include "mesh/base/hash.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <array>

namespace orrery::plan {

namespace {

constexpr std::string_view pod_suffix_letters = "bcdfghjklmnpqrstvwxz2456789";  // no vowels: no words by accident
constexpr std::size_t pod_suffix_length = 5;

}  // namespace

std::string object_names::pod(seeded_random& random) const {
  std::string name = mesh + "-";
  for (std::size_t i = 0; i < pod_suffix_length; ++i)
    name += pod_suffix_letters[random.below(pod_suffix_letters.size())];
  return name;
}

std::string certificate_secret(std::string_view pod) { return std::string(pod) + "-tls"; }

std::string pod_selector(std::string_view mesh) {
  return fmt::format("{}={},{}=node", labels::mesh, mesh, labels::role);
}

std::string_view owned_selector() { return "app.kubernetes.io/managed-by=orrery-operator"; }

json common_labels(std::string_view mesh, std::string_view component) {
  json out{{std::string(labels::mesh), mesh},
           {std::string(labels::app_name), "orrery"},
           {std::string(labels::app_instance), mesh},
           {std::string(labels::app_component), component},
           {std::string(labels::app_managed_by), field_manager}};
  if (component == "node") out[std::string(labels::role)] = "node";
  return out;
}

json owned_object(const kube::resource& kind, const json& mesh, const std::string& name, std::string_view component) {
  json out = kube::make_object(kind, {std::string(kube::namespace_of(mesh)), name});
  out["metadata"]["labels"] = common_labels(kube::name_of(mesh), component);
  out["metadata"]["ownerReferences"] = json::array({kube::controller_reference(kube::resources::process_meshes, mesh)});
  return out;
}

bool covers(const json& actual, const json& wanted) {
  if (wanted.is_object()) {
    if (!actual.is_object()) return wanted.empty() && actual.is_null();
    for (const auto& [key, value] : wanted.items()) {
      const auto found = actual.find(key);
      if (found == actual.end()) {
        if (value.is_null() || (value.is_structured() && value.empty())) continue;  // the server drops empty fields
        return false;
      }
      if (!covers(*found, value)) return false;
    }
    return true;
  }
  if (wanted.is_array()) {
    if (!actual.is_array() || actual.size() != wanted.size()) return false;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      if (!covers(actual[i], wanted[i])) return false;
    }
    return true;
  }
  return actual == wanted;
}

std::string short_hash(std::string_view text) { return fmt::format("{:016x}", stable_hash(text)); }

}  // namespace orrery::plan
