#include "operator/plan/concerns.hpp"

#include <nlohmann/json.hpp>

namespace orrery::plan {

kube::resource disruption_budget_kind(const server_features& server) {
  return server.policy_v1 ? kube::resources::pod_disruption_budgets : kube::resources::pod_disruption_budgets_v1beta1;
}

std::optional<json> build_disruption_budget(const situation& now) {
  if (now.spec.replicas <= 1) return std::nullopt;
  json out = owned_object(disruption_budget_kind(now.seen.server), now.mesh, now.names.disruption_budget(), "budget");
  out["spec"] = {
      {"maxUnavailable", now.spec.disruption_max_unavailable},
      {"selector",
       {{"matchLabels", {{std::string(labels::mesh), now.names.mesh}, {std::string(labels::role), "node"}}}}}};
  return out;
}

}  // namespace orrery::plan
