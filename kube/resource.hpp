#pragma once
#include <nlohmann/json_fwd.hpp>

#include <compare>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace orrery::kube {

using json = nlohmann::json;

/// A kind of object and where the API server serves it. The views must have static lifetime.
struct resource {
  std::string_view group;  ///< "" for the core group
  std::string_view version;
  std::string_view plural;
  std::string_view kind;
  bool namespaced = true;

  friend bool operator==(const resource&, const resource&) = default;
};

/// "v1" or "apps/v1", as in an object's apiVersion.
[[nodiscard]] std::string api_version(const resource& kind);

/// What Orrery uses.
namespace resources {
inline constexpr resource pods{"", "v1", "pods", "Pod"};
inline constexpr resource secrets{"", "v1", "secrets", "Secret"};
inline constexpr resource config_maps{"", "v1", "configmaps", "ConfigMap"};
inline constexpr resource services{"", "v1", "services", "Service"};
inline constexpr resource service_accounts{"", "v1", "serviceaccounts", "ServiceAccount"};
inline constexpr resource events{"", "v1", "events", "Event"};
inline constexpr resource endpoints{"", "v1", "endpoints", "Endpoints"};
inline constexpr resource persistent_volume_claims{"", "v1", "persistentvolumeclaims", "PersistentVolumeClaim"};
inline constexpr resource namespaces{"", "v1", "namespaces", "Namespace", false};
inline constexpr resource nodes{"", "v1", "nodes", "Node", false};
inline constexpr resource roles{"rbac.authorization.k8s.io", "v1", "roles", "Role"};
inline constexpr resource role_bindings{"rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding"};
inline constexpr resource leases{"coordination.k8s.io", "v1", "leases", "Lease"};
inline constexpr resource pod_disruption_budgets{"policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget"};
inline constexpr resource pod_disruption_budgets_v1beta1{"policy", "v1beta1", "poddisruptionbudgets",
                                                         "PodDisruptionBudget"};
inline constexpr resource endpoint_slices{"discovery.k8s.io", "v1", "endpointslices", "EndpointSlice"};
inline constexpr resource endpoint_slices_v1beta1{"discovery.k8s.io", "v1beta1", "endpointslices", "EndpointSlice"};
inline constexpr resource network_policies{"networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy"};
inline constexpr resource custom_resource_definitions{"apiextensions.k8s.io", "v1", "customresourcedefinitions",
                                                      "CustomResourceDefinition", false};
inline constexpr resource process_meshes{"orrery.dev", "v1alpha1", "processmeshes", "ProcessMesh"};
inline constexpr resource process_classes{"orrery.dev", "v1alpha1", "processclasses", "ProcessClass"};
}  // namespace resources

/// Names one object of a kind. `ns` is empty for objects that belong to no namespace.
struct object_key {
  std::string ns;
  std::string name;

  friend auto operator<=>(const object_key&, const object_key&) = default;
};

/// "namespace/name", or "name" where there is no namespace.
[[nodiscard]] std::string to_string(const object_key& key);

/// Readers that accept any JSON: what is missing or of another type reads as empty, never as an exception. The views
/// live as long as the object.
[[nodiscard]] const json* find(const json& object, std::initializer_list<std::string_view> path) noexcept;
[[nodiscard]] std::string_view text_at(const json& object, std::initializer_list<std::string_view> path) noexcept;
[[nodiscard]] std::int64_t integer_at(const json& object, std::initializer_list<std::string_view> path,
                                      std::int64_t otherwise = 0) noexcept;

[[nodiscard]] std::string_view name_of(const json& object) noexcept;
[[nodiscard]] std::string_view namespace_of(const json& object) noexcept;
[[nodiscard]] object_key key_of(const json& object);
[[nodiscard]] std::string_view uid_of(const json& object) noexcept;
[[nodiscard]] std::string_view resource_version_of(const json& object) noexcept;
[[nodiscard]] std::int64_t generation_of(const json& object) noexcept;
[[nodiscard]] std::string_view label_of(const json& object, std::string_view label) noexcept;
[[nodiscard]] std::string_view annotation_of(const json& object, std::string_view annotation) noexcept;
/// True once deletion was asked for: metadata.deletionTimestamp is set.
[[nodiscard]] bool is_deleting(const json& object) noexcept;

/// The controlling owner (ownerReferences[].controller = true).
struct owner {
  std::string_view api_version;
  std::string_view kind;
  std::string_view name;
  std::string_view uid;
};
[[nodiscard]] std::optional<owner> controller_of(const json& object) noexcept;

/// An ownerReference entry that makes `object` the controlling owner. REQUIRES: it has a name and a uid.
[[nodiscard]] json controller_reference(const resource& kind, const json& object);

/// {apiVersion, kind, metadata: {name, namespace}}: where building an object starts.
[[nodiscard]] json make_object(const resource& kind, const object_key& key);

}  // namespace orrery::kube
