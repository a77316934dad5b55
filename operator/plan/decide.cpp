#include "operator/plan/concerns.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace orrery::plan {

namespace {

/// Ports are agreed on by all nodes of a mesh: pods with the old ones and pods with the new would not find each other.
void check_ports_unchanged(situation& now) {
  for (const auto& pod : now.pods) {
    if (pod.delete_by || pod.mesh_port == 0 || pod.mesh_port == now.spec.mesh_port) continue;
    now.problems.push_back({"spec.network.meshPort",
                            fmt::format("cannot change from {} to {} while the mesh has pods: scale it to 0 first",
                                        pod.mesh_port, now.spec.mesh_port)});
    return;
  }
}

situation look(const observed& seen, const settings& chosen, wall_time now) {
  const auto& mesh = *seen.mesh;
  auto parsed = parse_mesh(mesh, chosen.sidecar_image);
  situation out{.seen = seen,
                .mesh = mesh,
                .names = {std::string(kube::name_of(mesh))},
                .spec = std::move(parsed.spec),
                .problems = std::move(parsed.problems),
                .wanted = {},
                .pods = {},
                .now = now};
  out.wanted = build_template(mesh, out.spec, seen.server);
  for (const auto& pod : seen.pods)
    out.pods.push_back(read_pod(*pod));
  check_ports_unchanged(out);
  return out;
}

void ensure(const std::vector<object_ptr>& present, const kube::resource& kind, json wanted, decision& out) {
  const auto* found = find_object(present, kube::name_of(wanted));
  json fields = wanted;
  for (const char* said_by_the_kind : {"apiVersion", "kind"})
    fields.erase(said_by_the_kind);  // not in items of lists
  if (found != nullptr && covers(*found, fields)) return;
  out.actions.emplace_back(apply_object{kind, std::move(wanted)});
}

const std::vector<object_ptr>& others(const observed& seen, const kube::resource& kind) {
  static const std::vector<object_ptr> none;
  const auto found = seen.others.find(std::string(kind.kind));
  return found == seen.others.end() ? none : found->second;
}

void ensure_surroundings(const situation& now, decision& out) {
  using namespace kube;
  const auto& seen = now.seen;
  ensure(others(seen, resources::service_accounts), resources::service_accounts, build_service_account(now), out);
  ensure(others(seen, resources::roles), resources::roles, build_role(now), out);
  ensure(others(seen, resources::role_bindings), resources::role_bindings, build_role_binding(now), out);
  ensure(others(seen, resources::services), resources::services, build_service(now), out);
  const auto budget_kind = disruption_budget_kind(seen.server);
  const auto& budgets = others(seen, budget_kind);
  if (auto budget = build_disruption_budget(now)) {
    ensure(budgets, budget_kind, std::move(*budget), out);
  } else if (const auto* found = find_object(budgets, now.names.disruption_budget()); found != nullptr) {
    out.actions.emplace_back(delete_object{budget_kind, key_of(*found), std::string(uid_of(*found))});
  }
}

/// The mesh's identity: given once, and never another one, whatever is deleted. Empty until genesis was seen.
std::string known_mesh_id(const situation& now) {
  if (const auto* genesis = find_object(now.seen.config_maps, now.names.genesis()); genesis != nullptr) {
    if (auto id = mesh_id_of(*genesis); !id.empty()) return id;
  }
  const auto reported = kube::text_at(now.mesh, {"status", "meshID"});
  return is_mesh_id(reported) ? std::string(reported) : std::string{};
}

/// Writes genesis before the first pods, with their names in it. Returns the names that are still to be given to pods:
/// only while no pod of the mesh was ever reported, so that a name is never given twice.
std::vector<std::string> ensure_genesis(const situation& now, const std::string& known_id, seeded_random& random,
                                        decision& out) {
  if (const auto* genesis = find_object(now.seen.config_maps, now.names.genesis()); genesis != nullptr) {
    const auto* members = kube::find(now.mesh, {"status", "members"});
    const bool formed = members != nullptr && !members->empty();
    return formed ? std::vector<std::string>{} : members_of(*genesis);
  }
  if (now.spec.replicas == 0 && now.pods.empty()) return {};
  std::vector<std::string> names;
  for (const auto& pod : now.pods)
    names.push_back(pod.name);
  // A genesis that was deleted is written again, for the mesh that there is.
  const bool lost = !known_id.empty() && !names.empty();
  while (!lost && static_cast<std::int64_t>(names.size()) < now.spec.replicas) {
    auto name = now.names.pod(random);
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(std::move(name));
  }
  const auto id = known_id.empty() ? new_mesh_id(random) : known_id;
  out.actions.emplace_back(create_once{kube::resources::config_maps, build_genesis(now, names, id)});
  return names;
}

void refresh_files(const situation& now, const std::string& config, decision& out) {
  for (const auto& pod : now.pods) {
    const auto* secret = find_object(now.seen.secrets, certificate_secret(pod.name));
    if (pod.delete_by || secret == nullptr) continue;
    auto hash = hash_of_files(config, *secret);
    if (hash != pod.config_hash) out.actions.emplace_back(touch_pod{pod.name, pod.uid, std::move(hash)});
  }
}

}  // namespace

decision decide(const observed& seen, const settings& chosen, wall_time at, seeded_random& random) {
  decision out;
  out.decided_at = at;
  const auto now = look(seen, chosen, at);
  const auto classes = judge_classes(seen, at);
  out.class_statuses = classes.statuses;
  findings found;
  found.classes = &classes;
  found.mesh_id = known_mesh_id(now);

  if (now.problems.empty()) {
    found.certificates = plan_certificates(now, out);  // first: what is in force must not run out
    ensure_surroundings(now, out);
    const auto config = render_config(now, classes.accepted);
    ensure(seen.config_maps, kube::resources::config_maps, build_config_map(now, config, classes.accepted), out);
    const auto first_names = ensure_genesis(now, found.mesh_id, random, out);
    found.pods = plan_pods(now, found.certificates.authority.usable, config, first_names, random, out);
    refresh_files(now, config, out);
  } else {
    // The spec cannot be followed, so nothing follows from it: pods are only kept able to talk to each other.
    if (!found.mesh_id.empty()) found.certificates = plan_certificates(now, out);
    found.pods = count_pods(now);
  }
  build_status(now, found, out);
  return out;
}

}  // namespace orrery::plan
