#include "kube/local/controllers.hpp"

#include "kube/local/selector.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace orrery::local {
namespace {

/// Changes that come together are handled together.
constexpr auto settle = std::chrono::milliseconds(2);
/// Passes also run this often without a change.
constexpr auto resync = std::chrono::seconds(10);

resource_ptr info_of(registry& objects, const std::string& bucket) { return objects.kinds().find_bucket(bucket); }

std::vector<std::string> buckets(registry& objects) {
  std::set<std::string> out;
  for (const auto& each : objects.kinds().all()) {
    if (!each->review) out.insert(each->bucket());
  }
  return {out.begin(), out.end()};
}

bool has_finalizer(const json& object, const char* name) {
  const auto& list = list_at(object, {"metadata", "finalizers"});
  return std::find(list.begin(), list.end(), json(name)) != list.end();
}

void drop_finalizer(json& object, const char* name) {
  auto* list = find(object, {"metadata", "finalizers"});
  if (list == nullptr) return;
  json kept = json::array();
  for (const auto& each : *list) {
    if (each != name) kept.push_back(each);
  }
  *list = std::move(kept);
}

object_key key_of(const std::string& bucket, const json& object) {
  return {bucket, namespace_of(object), name_of(object)};
}

struct owned {
  std::string bucket;
  object_ptr object;
};

void delete_by_owner(registry& objects, const owned& each, const char* propagation) {
  const auto info = info_of(objects, each.bucket);
  delete_options options;
  options.uid = uid_of(*each.object);
  options.propagation = propagation;
  if (info) (void)objects.remove(*info, namespace_of(*each.object), name_of(*each.object), options);
}

}  // namespace

void collect_garbage(registry& objects) {
  std::set<std::string> alive;
  std::multimap<std::string, owned> dependents;  // by uid of an owner
  std::vector<owned> all;
  for (const auto& bucket : buckets(objects)) {
    if (bucket == "events" || bucket == "leases.coordination.k8s.io") continue;
    for (auto& each : objects.objects().list(bucket).objects) {
      alive.insert(uid_of(*each));
      for (const auto& owner : list_at(*each, {"metadata", "ownerReferences"}))
        dependents.emplace(text_at(owner, {"uid"}), owned{bucket, each});
      all.push_back({bucket, std::move(each)});
    }
  }
  for (const auto& each : all) {
    if (is_deleting(*each.object)) {
      const auto [first, last] = dependents.equal_range(uid_of(*each.object));
      if (has_finalizer(*each.object, "orphan")) {
        for (auto it = first; it != last; ++it) {
          objects.edit(key_of(it->second.bucket, *it->second.object), [&](json& dependent) {
            auto& owners = dependent["metadata"]["ownerReferences"];
            json kept = json::array();
            for (const auto& owner : owners) {
              if (text_at(owner, {"uid"}) != uid_of(*each.object)) kept.push_back(owner);
            }
            owners = std::move(kept);
          });
        }
        objects.edit(key_of(each.bucket, *each.object), [](json& o) { drop_finalizer(o, "orphan"); });
      }
      if (has_finalizer(*each.object, "foregroundDeletion")) {
        bool blocked = false;
        for (auto it = first; it != last; ++it) {
          const auto& owners = list_at(*it->second.object, {"metadata", "ownerReferences"});
          blocked = blocked || std::any_of(owners.begin(), owners.end(), [&](const json& o) {
                      return text_at(o, {"uid"}) == uid_of(*each.object) && flag_at(o, {"blockOwnerDeletion"});
                    });
          if (!is_deleting(*it->second.object)) delete_by_owner(objects, it->second, "Foreground");
        }
        if (!blocked)
          objects.edit(key_of(each.bucket, *each.object), [](json& o) { drop_finalizer(o, "foregroundDeletion"); });
      }
      continue;
    }
    const auto& owners = list_at(*each.object, {"metadata", "ownerReferences"});
    if (owners.empty()) continue;
    // `alive` may be older than an owner made since: look once more before anything is deleted.
    const bool orphaned = std::none_of(owners.begin(), owners.end(), [&](const json& owner) {
      if (alive.contains(text_at(owner, {"uid"}))) return true;
      const auto kind = objects.kinds().find_kind(text_at(owner, {"apiVersion"}), text_at(owner, {"kind"}));
      if (!kind) return false;
      const auto found = objects.objects().get(
          {kind->bucket(), kind->namespaced ? namespace_of(*each.object) : "", text_at(owner, {"name"})});
      return found && uid_of(*found) == text_at(owner, {"uid"});
    });
    if (orphaned) delete_by_owner(objects, each, "Background");
  }
}

void reconcile_namespaces(registry& objects) {
  for (const auto& space : objects.objects().list("namespaces").objects) {
    const auto name = name_of(*space);
    if (!is_deleting(*space)) {
      objects.ensure("serviceaccounts", name, {{"metadata", {{"name", "default"}}}});
      continue;
    }
    bool empty = true;
    for (const auto& bucket : buckets(objects)) {
      const auto info = info_of(objects, bucket);
      if (!info || !info->namespaced) continue;
      for (const auto& each : objects.objects().list(bucket, name).objects) {
        empty = false;
        if (!is_deleting(*each)) (void)objects.remove(*info, name, name_of(*each), {});
      }
    }
    if (empty) objects.edit({"namespaces", "", name}, [](json& o) { o["spec"]["finalizers"] = json::array(); });
  }
}

void reconcile_definitions(registry& objects) {
  const std::string bucket = "customresourcedefinitions.apiextensions.k8s.io";
  for (const auto& definition : objects.objects().list(bucket).objects) {
    if (!is_deleting(*definition)) continue;
    const auto instances = name_of(*definition);
    const auto info = info_of(objects, instances);
    bool empty = true;
    for (const auto& each : objects.objects().list(instances).objects) {
      empty = false;
      if (info && !is_deleting(*each)) (void)objects.remove(*info, namespace_of(*each), name_of(*each), {});
    }
    if (empty)
      objects.edit({bucket, "", instances},
                   [](json& o) { drop_finalizer(o, "customresourcecleanup.apiextensions.k8s.io"); });
  }
}

/// Node -> how many pods it has that this one wants to be spread among, by its topologySpreadConstraints over host
/// names.
std::map<std::string, int> pods_alike(const json& pod, const std::vector<object_ptr>& pods) {
  std::map<std::string, int> out;
  for (const auto& rule : list_at(pod, {"spec", "topologySpreadConstraints"})) {
    const auto* wanted = find(rule, {"labelSelector"});
    if (wanted == nullptr || text_at(rule, {"topologyKey"}) != "kubernetes.io/hostname") continue;
    const auto chosen = selector::from_object(*wanted);
    for (const auto& each : pods) {
      if (namespace_of(*each) == namespace_of(pod) && !is_deleting(*each) && chosen.matches(*each))
        ++out[text_at(*each, {"spec", "nodeName"})];
    }
  }
  return out;
}

void schedule_pods(registry& objects) {
  std::map<std::string, int> load;
  for (const auto& node : objects.objects().list("nodes").objects) {
    if (!flag_at(*node, {"spec", "unschedulable"}) && !is_deleting(*node)) load[name_of(*node)] = 0;
  }
  if (load.empty()) return;
  const auto pods = objects.objects().list("pods").objects;
  for (const auto& pod : pods) {
    if (const auto it = load.find(text_at(*pod, {"spec", "nodeName"})); it != load.end()) ++it->second;
  }
  for (const auto& pod : pods) {
    if (!text_at(*pod, {"spec", "nodeName"}).empty() || is_deleting(*pod)) continue;
    const auto alike = pods_alike(*pod, objects.objects().list("pods").objects);
    const auto cost = [&](const auto& node) {
      const auto it = alike.find(node.first);
      return std::pair(it == alike.end() ? 0 : it->second, node.second);
    };
    const auto least =
        std::min_element(load.begin(), load.end(), [&](const auto& a, const auto& b) { return cost(a) < cost(b); });
    ++least->second;
    const auto now = rfc3339(objects.now());
    objects.edit(key_of("pods", *pod), [&](json& o) {
      o["spec"]["nodeName"] = least->first;
      o["status"]["conditions"] = json::array(
          {{{"type", "PodScheduled"}, {"status", "True"}, {"lastProbeTime", nullptr}, {"lastTransitionTime", now}}});
    });
  }
}

void expire_events(registry& objects) {
  constexpr std::size_t events_max = 1000;
  auto all = objects.objects().list("events").objects;
  if (all.size() <= events_max) return;
  const auto age = [](const object_ptr& each) {
    return text_at(*each, {"lastTimestamp"}, text_at(*each, {"metadata", "creationTimestamp"}));
  };
  std::stable_sort(all.begin(), all.end(), [&](const object_ptr& a, const object_ptr& b) { return age(a) < age(b); });
  const auto info = info_of(objects, "events");
  for (std::size_t at = 0; at < all.size() - events_max / 2; ++at) {
    (void)objects.remove(*info, namespace_of(*all[at]), name_of(*all[at]), {});
  }
}

controller_manager::controller_manager(registry& objects, std::string authority_certificate)
    : registry_(objects), authority_(std::move(authority_certificate)), thread_([this] { run(); }) {}

controller_manager::~controller_manager() {
  registry_.objects().stop();
  thread_.join();
}

void controller_manager::run() {
  static const std::vector<std::string> quiet = {"events", "leases.coordination.k8s.io"};
  std::uint64_t seen = 0;
  while (!registry_.objects().stopped()) {
    seen = registry_.objects().wait_any(seen, quiet, std::chrono::steady_clock::now() + resync);
    std::this_thread::sleep_for(settle);
    if (registry_.objects().stopped()) return;
    reconcile_namespaces(registry_);
    for (const auto& space : registry_.objects().list("namespaces").objects) {
      if (!is_deleting(*space))
        registry_.ensure("configmaps", name_of(*space),
                         {{"metadata", {{"name", "kube-root-ca.crt"}}}, {"data", {{"ca.crt", authority_}}}});
    }
    reconcile_definitions(registry_);
    reconcile_deployments(registry_);
    reconcile_replica_sets(registry_);
    schedule_pods(registry_);
    reconcile_endpoints(registry_);
    reconcile_budgets(registry_);
    collect_garbage(registry_);
    expire_events(registry_);
  }
}

}  // namespace orrery::local
