#include "kube/resource.hpp"

#include <nlohmann/json.hpp>

namespace orrery::kube {

std::string api_version(const resource& kind) {
  return kind.group.empty() ? std::string{kind.version} : std::string{kind.group} + "/" + std::string{kind.version};
}

std::string to_string(const object_key& key) { return key.ns.empty() ? key.name : key.ns + "/" + key.name; }

const json* find(const json& object, std::initializer_list<std::string_view> path) noexcept {
  const json* at = &object;
  for (const auto step : path) {
    if (!at->is_object()) return nullptr;
    const auto found = at->find(step);
    if (found == at->end()) return nullptr;
    at = &*found;
  }
  return at;
}

std::string_view text_at(const json& object, std::initializer_list<std::string_view> path) noexcept {
  const json* at = find(object, path);
  const auto* text = at ? at->get_ptr<const std::string*>() : nullptr;
  return text ? std::string_view{*text} : std::string_view{};
}

std::int64_t integer_at(const json& object, std::initializer_list<std::string_view> path,
                        std::int64_t otherwise) noexcept {
  const json* at = find(object, path);
  if (!at || !at->is_number_integer()) return otherwise;
  if (at->is_number_unsigned() && *at->get_ptr<const std::uint64_t*>() > INT64_MAX) return otherwise;
  return *at->get_ptr<const std::int64_t*>();
}

std::string_view name_of(const json& object) noexcept { return text_at(object, {"metadata", "name"}); }
std::string_view namespace_of(const json& object) noexcept { return text_at(object, {"metadata", "namespace"}); }
object_key key_of(const json& object) { return {std::string{namespace_of(object)}, std::string{name_of(object)}}; }
std::string_view uid_of(const json& object) noexcept { return text_at(object, {"metadata", "uid"}); }
std::string_view resource_version_of(const json& object) noexcept {
  return text_at(object, {"metadata", "resourceVersion"});
}
std::int64_t generation_of(const json& object) noexcept { return integer_at(object, {"metadata", "generation"}); }
std::string_view label_of(const json& object, std::string_view label) noexcept {
  return text_at(object, {"metadata", "labels", label});
}
std::string_view annotation_of(const json& object, std::string_view annotation) noexcept {
  return text_at(object, {"metadata", "annotations", annotation});
}
bool is_deleting(const json& object) noexcept { return !text_at(object, {"metadata", "deletionTimestamp"}).empty(); }

std::optional<owner> controller_of(const json& object) noexcept {
  const json* owners = find(object, {"metadata", "ownerReferences"});
  if (!owners || !owners->is_array()) return std::nullopt;
  for (const auto& each : *owners) {
    const json* controls = find(each, {"controller"});
    if (!controls || !controls->is_boolean() || !*controls->get_ptr<const bool*>()) continue;
    return owner{text_at(each, {"apiVersion"}), text_at(each, {"kind"}), text_at(each, {"name"}),
                 text_at(each, {"uid"})};
  }
  return std::nullopt;
}

json controller_reference(const resource& kind, const json& object) {
  return {{"apiVersion", api_version(kind)}, {"kind", kind.kind},  {"name", name_of(object)},
          {"uid", uid_of(object)},           {"controller", true}, {"blockOwnerDeletion", true}};
}

json make_object(const resource& kind, const object_key& key) {
  json object = {{"apiVersion", api_version(kind)}, {"kind", kind.kind}, {"metadata", {{"name", key.name}}}};
  if (kind.namespaced) object["metadata"]["namespace"] = key.ns;
  return object;
}

}  // namespace orrery::kube
