#include "operator/plan/concerns.hpp"

#include <nlohmann/json.hpp>

namespace orrery::plan {

json build_service_account(const situation& now) {
  json out = owned_object(kube::resources::service_accounts, now.mesh, now.names.account(), "account");
  out["automountServiceAccountToken"] = false;
  return out;
}

/// Sidecars find each other by watching pods; they need nothing else.
json build_role(const situation& now) {
  json out = owned_object(kube::resources::roles, now.mesh, now.names.account(), "account");
  out["rules"] = json::array({{{"apiGroups", json::array({""})},
                               {"resources", json::array({"pods"})},
                               {"verbs", json::array({"get", "list", "watch"})}}});
  return out;
}

json build_role_binding(const situation& now) {
  json out = owned_object(kube::resources::role_bindings, now.mesh, now.names.account(), "account");
  out["roleRef"] = {{"apiGroup", "rbac.authorization.k8s.io"}, {"kind", "Role"}, {"name", now.names.account()}};
  // The account that the pods run as: ours, or the one that the template names.
  out["subjects"] = json::array(
      {{{"kind", "ServiceAccount"}, {"name", now.wanted.account}, {"namespace", kube::namespace_of(now.mesh)}}});
  return out;
}

}  // namespace orrery::plan
