#include "cli/target.hpp"

#include "kube/client.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace orrery::cli {

std::string ready_pod(const std::vector<kube::json>& pods) {
  for (const auto& pod : pods) {
    const auto* conditions = kube::find(pod, {"status", "conditions"});
    if (conditions == nullptr || !conditions->is_array() || kube::is_deleting(pod)) continue;
    for (const auto& condition : *conditions) {
      if (kube::text_at(condition, {"type"}) == "Ready" && kube::text_at(condition, {"status"}) == "True") {
        return std::string(kube::name_of(pod));
      }
    }
  }
  return {};
}

result<target> open_target(const target_options& options) {
  if (options.mesh.empty()) {
    const auto url = parse_url(options.sidecar);
    if (!url) return fail(url.error());
    return target{*url, {}, nullptr};
  }
  kube::initialize();
  const auto config = kube::load_default(options.kubeconfig, options.context);
  if (!config) return fail(config.error());
  const auto api = kube::make_client(*config, {.retries_max = 1, .user_agent = "orrery/" ORRERY_VERSION});
  if (!api) return fail(api.error());
  const auto ns = options.name_space.empty() ? config->default_namespace : options.name_space;
  const auto pods = (*api)->list_all(
      kube::resources::pods, ns,
      {.label_selector = fmt::format("orrery.dev/mesh={},orrery.dev/role=node", options.mesh), .field_selector = {}});
  if (!pods) return fail(pods.error());
  auto pod = ready_pod(pods->items);
  if (pod.empty()) {
    return fail(errc::not_found,
                pods->items.empty()
                    ? fmt::format("no pods of a mesh '{}' in namespace '{}'; 'kubectl get pmesh -A' lists the meshes",
                                  options.mesh, ns)
                    : fmt::format("none of the {} pods of mesh '{}' in namespace '{}' is ready", pods->items.size(),
                                  options.mesh, ns));
  }
  auto forward = kube::port_forward::open(*config, {.pod = {ns, pod}, .pod_port = sdk_port});
  if (!forward) return fail(forward.error());
  const http_url url{"127.0.0.1", (*forward)->local_port()};
  return target{url, std::move(pod), *std::move(forward)};
}

}  // namespace orrery::cli
