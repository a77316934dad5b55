#pragma once
// The concerns that decide() puts together, one file each.
#include "operator/plan/plan.hpp"

#include <optional>
#include <string>
#include <vector>

namespace orrery::plan {

/// What all concerns look at.
struct situation {
  const observed& seen;
  const json& mesh;
  object_names names;
  mesh_spec spec;
  std::vector<spec_problem> problems;
  pod_template wanted;
  std::vector<pod_view> pods;
  wall_time now;
};

// ---- classes.cpp ----
struct judged_classes {
  json accepted;  ///< entries of config.yaml, by name; of a class that is broken, its last accepted version
  std::vector<class_status> statuses;
  std::size_t total = 0;
  std::size_t refused = 0;
  std::string refusals;  ///< "cart: line 3: ..."
};
/// Of all classes as the ConfigMap has them, twice: a ConfigMap holds 1 MiB.
inline constexpr std::size_t classes_bytes_max = 900U << 10U;
[[nodiscard]] judged_classes judge_classes(const observed& seen, wall_time now);

// ---- config.cpp ----
[[nodiscard]] std::string render_config(const situation& now, const json& classes);
[[nodiscard]] json build_config_map(const situation& now, const std::string& config, const json& classes);
/// What one class takes of the ConfigMap.
[[nodiscard]] std::size_t config_map_bytes(const json& klass);
/// The class entries that were delivered before; an empty list if none were.
[[nodiscard]] json delivered_classes(const observed& seen);
/// Of all that a pod's sidecar reads from files.
[[nodiscard]] std::string hash_of_files(std::string_view config, const json& certificate_secret);

// ---- genesis.cpp ----
[[nodiscard]] std::string new_mesh_id(seeded_random& random);
[[nodiscard]] bool is_mesh_id(std::string_view text);
[[nodiscard]] json build_genesis(const situation& now, const std::vector<std::string>& members,
                                 const std::string& mesh_id);
[[nodiscard]] std::string mesh_id_of(const json& genesis);
[[nodiscard]] std::vector<std::string> members_of(const json& genesis);

// ---- rbac.cpp, service.cpp, budget.cpp ----
[[nodiscard]] json build_service_account(const situation& now);
[[nodiscard]] json build_role(const situation& now);
[[nodiscard]] json build_role_binding(const situation& now);
[[nodiscard]] json build_service(const situation& now);
/// Nothing for a mesh of one pod or none: it would only block drains.
[[nodiscard]] std::optional<json> build_disruption_budget(const situation& now);
[[nodiscard]] kube::resource disruption_budget_kind(const server_features& server);

// ---- certificates.cpp ----
struct authority_state {
  bool usable = false;  ///< certificates can be issued
  std::string problem;  ///< of the Secret, for a condition
  std::string bundle;
  wall_time not_after{};
};
struct certificates_state {
  authority_state authority;
  std::size_t valid = 0;
  std::size_t pods = 0;
  std::string problem;
  std::optional<wall_time> first_expiry;
};
/// Keeps the authority and the certificates of live pods fresh, and removes those of pods that are gone.
certificates_state plan_certificates(const situation& now, decision& out);

// ---- pods.cpp ----
struct pods_state {
  std::int64_t present = 0;      ///< not being deleted, failed or lost
  std::int64_t joined = 0;       ///< of these
  std::int64_t updated = 0;      ///< of these
  std::int64_t terminating = 0;  ///< being deleted
  std::int64_t leaving = 0;      ///< of these, whose containers may still run
  std::int64_t crash_looping = 0;
  std::int64_t unreachable = 0;  ///< on hosts that do not answer
  std::int64_t escalated = 0;    ///< a supervisor asked for their replacement
  bool rolling = false;          ///< outdated pods are to be replaced
  bool held_back = false;        ///< they would be, but updates are paused
  std::string overdue;           ///< a pod that is being deleted, and should have gone
  std::string trouble;           ///< of the first pod that has any
  std::string replaced_pod;      ///< deleted by this decision, with
  std::string replaced_why;
};
/// Since when a pod's host has not answered, if so.
[[nodiscard]] std::optional<wall_time> unreachable_since(const situation& now, const pod_view& pod);
pods_state plan_pods(const situation& now, bool may_create, const std::string& config,
                     const std::vector<std::string>& first_names, seeded_random& random, decision& out);
[[nodiscard]] pods_state count_pods(const situation& now);

// ---- status.cpp ----
struct findings {
  pods_state pods;
  certificates_state certificates;
  const judged_classes* classes = nullptr;
  std::string mesh_id;
};
void build_status(const situation& now, const findings& found, decision& out);
/// Adds a condition; its transition time is kept from `before` unless its status changed.
void add_condition(json& conditions, const json* before, std::string_view type, std::string_view status,
                   std::string_view reason, const std::string& message, std::int64_t generation, wall_time now);

}  // namespace orrery::plan
