#include "cli/target.hpp"

#include "cli/follow.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <utility>

namespace orrery::cli {

namespace {

/// The sidecar in one of a pod's lists of containers, or of their statuses: of the ordinary ones, or, where it is a
/// native sidecar, of the init containers. Null if it is in neither.
const kube::json* sidecar_in(const kube::json& pod, std::string_view part,
                             std::initializer_list<std::string_view> lists) {
  for (const auto list : lists) {
    const auto* containers = kube::find(pod, {part, list});
    if (containers == nullptr || !containers->is_array()) continue;
    for (const auto& each : *containers) {
      if (kube::text_at(each, {"name"}) == "orrery") return &each;
    }
  }
  return nullptr;
}

/// A refusal for want of rights, with what a Role would have to say.
error with_rule(error why, std::string_view resource, std::string_view verbs, const std::string& name_space) {
  if (why.code == errc::forbidden) {
    why.context += fmt::format(
        R"(; what is missing is a Role in namespace '{}' with the rule {{apiGroups: [""], resources: [{}], )"
        "verbs: [{}]}}",
        name_space, resource, verbs);
  }
  return why;
}

}  // namespace

bool is_ready(const kube::json& pod) {
  if (kube::is_deleting(pod)) return false;
  const auto* sidecar = sidecar_in(pod, "status", {"containerStatuses", "initContainerStatuses"});
  const auto* ready = sidecar == nullptr ? nullptr : kube::find(*sidecar, {"ready"});
  return ready != nullptr && *ready == true;
}

const kube::json* ready_pod(const std::vector<kube::json>& pods) {
  const auto found = std::find_if(pods.begin(), pods.end(), is_ready);
  return found == pods.end() ? nullptr : &*found;
}

std::uint16_t sdk_port_of(const kube::json& pod) {
  const auto* sidecar = sidecar_in(pod, "spec", {"containers", "initContainers"});
  const auto* arguments = sidecar == nullptr ? nullptr : kube::find(*sidecar, {"args"});
  if (arguments == nullptr || !arguments->is_array()) return default_sdk_port;
  bool next = false;
  for (const auto& each : *arguments) {
    if (!each.is_string()) continue;
    const auto& text = each.get_ref<const std::string&>();
    if (std::exchange(next, text == "--sdk")) {
      std::uint16_t port = 0;
      const auto* end = text.data() + text.size();
      const auto [stopped, fault] = std::from_chars(text.data() + text.rfind(':') + 1, end, port);
      if (fault == std::errc{} && stopped == end && port != 0) return port;
    }
  }
  return default_sdk_port;
}

bool sidecar_runs(const kube::json& pod) {
  const auto* sidecar = sidecar_in(pod, "status", {"containerStatuses", "initContainerStatuses"});
  return sidecar != nullptr && kube::find(*sidecar, {"state", "running"}) != nullptr;
}

result<mesh_pods> open_mesh(const target_options& options) {
  kube::initialize();
  auto config = kube::load_default(options.kubeconfig, options.context);
  if (!config) return fail(config.error());
  auto api = kube::make_client(*config, {.retries_max = 1, .user_agent = "orrery/" ORRERY_VERSION});
  if (!api) return fail(api.error());
  mesh_pods out{.config = *std::move(config),
                .api = *std::move(api),
                .mesh = options.mesh,
                .name_space = options.name_space,
                .selector = fmt::format("orrery.dev/mesh={},orrery.dev/role=node", options.mesh),
                .pods = {}};
  if (out.name_space.empty()) out.name_space = out.config.default_namespace;
  auto pods =
      out.api->list_all(kube::resources::pods, out.name_space, {.label_selector = out.selector, .field_selector = {}});
  if (!pods) return fail(with_rule(pods.error(), "pods", "list, watch", out.name_space));
  out.pods = std::move(pods->items);
  return out;
}

error no_such_mesh(const mesh_pods& seen) {
  return {errc::not_found,
          fmt::format("no pods of a mesh '{}' in namespace '{}', or none yet; 'kubectl get pmesh -A' lists the meshes",
                      seen.mesh, seen.name_space)};
}

result<target> reach(const mesh_pods& seen, std::uint16_t local_port) {
  if (seen.pods.empty()) return fail(no_such_mesh(seen));
  const auto* chosen = ready_pod(seen.pods);
  if (chosen == nullptr) {
    return fail(errc::not_found, fmt::format("no pod of mesh '{0}' in namespace '{1}' has a ready sidecar; 'kubectl -n "
                                             "{1} describe pmesh {0}' tells why",
                                             seen.mesh, seen.name_space));
  }
  std::string pod(kube::name_of(*chosen));
  auto forward = kube::port_forward::open(
      seen.config, {.pod = {seen.name_space, pod}, .pod_port = sdk_port_of(*chosen), .local_port = local_port});
  // Which of the two verbs is asked for depends on the age of the cluster.
  if (!forward) return fail(with_rule(forward.error(), "pods/portforward", "get, create", seen.name_space));
  const http_url url{"127.0.0.1", (*forward)->local_port()};
  return target{url, std::move(pod), std::string(kube::uid_of(*chosen)), *std::move(forward)};
}

result<target> open_target(const target_options& options) {
  if (!options.mesh.empty()) {
    const auto seen = open_mesh(options);
    return seen ? reach(*seen, 0) : fail(seen.error());
  }
  const auto url = parse_url(options.sidecar);
  if (!url) return fail(url.error());
  return target{*url, {}, {}, nullptr};
}

}  // namespace orrery::cli
