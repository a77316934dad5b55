#pragma once
// operator/plan: what to do about a mesh, decided without doing it: (desired, observed, now) -> actions. Pure: no
// requests, no clocks, no entropy of its own.
#include "kube/resource.hpp"
#include "mesh/base/random.hpp"

#include <string>
#include <string_view>

namespace orrery::plan {

using kube::json;

inline constexpr std::string_view field_manager = "orrery-operator";

namespace labels {
inline constexpr std::string_view mesh = "orrery.dev/mesh";
inline constexpr std::string_view role = "orrery.dev/role";
inline constexpr std::string_view app_name = "app.kubernetes.io/name";
inline constexpr std::string_view app_instance = "app.kubernetes.io/instance";
inline constexpr std::string_view app_component = "app.kubernetes.io/component";
inline constexpr std::string_view app_managed_by = "app.kubernetes.io/managed-by";
}  // namespace labels

namespace annotations {
inline constexpr std::string_view template_hash = "orrery.dev/template-hash";
inline constexpr std::string_view config_hash = "orrery.dev/config-hash";
inline constexpr std::string_view starts_with = "orrery.dev/starts-with";  ///< what a sidecar reads when it starts only
inline constexpr std::string_view pod = "orrery.dev/pod";                  ///< of a certificate's Secret: whose it is
inline constexpr std::string_view bundle_since =
    "orrery.dev/bundle-since";  ///< of the CA: when `next` joined the bundle; of a pod's Secret: when it was written
}  // namespace annotations

inline constexpr std::string_view sidecar_container = "orrery";
inline constexpr std::size_t mesh_name_bytes_max = 50;

/// Names of a mesh's objects. All but pods are functions of the mesh's name, so that they are made once only.
struct object_names {
  std::string mesh;

  [[nodiscard]] std::string service() const { return mesh; }
  [[nodiscard]] std::string disruption_budget() const { return mesh; }
  [[nodiscard]] std::string account() const { return mesh + "-orrery"; }  // ServiceAccount, Role and RoleBinding
  [[nodiscard]] std::string config() const { return mesh + "-config"; }
  [[nodiscard]] std::string genesis() const { return mesh + "-genesis"; }
  [[nodiscard]] std::string authority() const { return mesh + "-ca"; }
  [[nodiscard]] std::string pod(seeded_random& random) const;
};
[[nodiscard]] std::string certificate_secret(std::string_view pod);

/// The selector of a mesh's pods, as in config.yaml and status.selector.
[[nodiscard]] std::string pod_selector(std::string_view mesh);
/// The selector of everything that the operator made for any mesh.
[[nodiscard]] std::string_view owned_selector();

/// The labels of everything of a mesh: component is "node" for pods, else what the object is for.
[[nodiscard]] json common_labels(std::string_view mesh, std::string_view component);

/// An object of the mesh: named, labelled, and owned by the mesh, so that it goes when the mesh goes.
[[nodiscard]] json owned_object(const kube::resource& kind, const json& mesh, const std::string& name,
                                std::string_view component);

/// True if every field of `wanted` is in `actual` with an equal value: the server's defaults and other writers'
/// additions do not count as a difference. Lists must be of equal length.
[[nodiscard]] bool covers(const json& actual, const json& wanted);

/// Sixteen hexadecimal digits that change when the text does.
[[nodiscard]] std::string short_hash(std::string_view text);

}  // namespace orrery::plan
