#include "operator/plan/concerns.hpp"

#include <nlohmann/json.hpp>

namespace orrery::plan {

/// Headless: it gives pods their DNS names and endpoints to those who look for the mesh, joined or not.
json build_service(const situation& now) {
  json out = owned_object(kube::resources::services, now.mesh, now.names.service(), "service");
  const auto port = [](std::string_view name, std::int64_t number) {
    return json{{"name", name}, {"port", number}, {"targetPort", number}, {"protocol", "TCP"}};
  };
  out["spec"] = {{"clusterIP", "None"},
                 {"publishNotReadyAddresses", true},
                 {"selector", {{std::string(labels::mesh), now.names.mesh}, {std::string(labels::role), "node"}}},
                 {"ports", json::array({port("mesh", now.spec.mesh_port), port("admin", now.spec.admin_port)})}};
  return out;
}

}  // namespace orrery::plan
