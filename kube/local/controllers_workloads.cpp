#include "kube/local/controllers.hpp"
#include "kube/local/selector.hpp"

#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace orrery::local {
namespace {

constexpr const char* hash_label = "pod-template-hash";

bool is_owned_by(const json& object, const json& owner) {
  const auto& owners = list_at(object, {"metadata", "ownerReferences"});
  return std::any_of(owners.begin(), owners.end(),
                     [&](const json& each) { return text_at(each, {"uid"}) == uid_of(owner); });
}

bool is_ready(const json& pod) {
  for (const auto& each : list_at(pod, {"status", "conditions"})) {
    if (text_at(each, {"type"}) == "Ready") return text_at(each, {"status"}) == "True";
  }
  return false;
}

bool is_finished(const json& pod) {
  const auto phase = text_at(pod, {"status", "phase"});
  return phase == "Succeeded" || phase == "Failed";
}

json owner_reference(const json& owner) {
  return {{"apiVersion", text_at(owner, {"apiVersion"})},
          {"kind", text_at(owner, {"kind"})},
          {"name", name_of(owner)},
          {"uid", uid_of(owner)},
          {"controller", true},
          {"blockOwnerDeletion", true}};
}

std::string hash_of(const json& value) {
  static constexpr std::string_view letters = "bcdfghjklmnpqrstvwxz2456789";
  const auto text = value.dump();
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  std::string out;
  for (std::size_t at = 0; at < 10; ++at)
    out += letters[digest[at] % letters.size()];
  return out;
}

write_options by_server() {
  write_options out;
  out.manager.clear();
  return out;
}

/// "25%" of `total`, or the number itself.
std::int64_t amount(const json& object, const char* field, std::int64_t total, bool up) {
  const auto* value = find(object, {"spec", "strategy", "rollingUpdate", field});
  if (value == nullptr) return 0;
  if (value->is_number()) return value->get<std::int64_t>();
  const auto part = static_cast<double>(total) * std::atof(value->get<std::string>().c_str()) / 100;
  return static_cast<std::int64_t>(up ? std::ceil(part) : std::floor(part));
}

void set_condition(json& status, const char* type, bool good, const char* reason, const std::string& message,
                   const std::string& now) {
  auto& list = status["conditions"];
  if (!list.is_array()) list = json::array();
  const json fresh = {{"type", type},       {"status", good ? "True" : "False"}, {"reason", reason},
                      {"message", message}, {"lastTransitionTime", now},         {"lastUpdateTime", now}};
  for (auto& each : list) {
    if (text_at(each, {"type"}) != type) continue;
    if (text_at(each, {"status"}) != fresh["status"] || text_at(each, {"reason"}) != reason) each = fresh;
    return;
  }
  list.push_back(fresh);
}

/// The replica sets of one deployment: the one of its template, and the older ones.
struct generations {
  object_ptr current;
  std::vector<object_ptr> old;
};

void scale_set(registry& objects, const json& set, std::int64_t replicas) {
  objects.edit({"replicasets.apps", namespace_of(set), name_of(set)},
               [&](json& o) { o["spec"]["replicas"] = replicas; });
}

object_ptr make_set(registry& objects, const json& deployment, const std::string& hash, std::int64_t replicas) {
  json set = {
      {"metadata", {{"name", name_of(deployment) + "-" + hash}, {"ownerReferences", {owner_reference(deployment)}}}},
      {"spec", {{"replicas", replicas}}}};
  set["spec"]["template"] = deployment["spec"]["template"];
  set["spec"]["template"]["metadata"]["labels"][hash_label] = hash;
  set["metadata"]["labels"] = set["spec"]["template"]["metadata"]["labels"];
  set["spec"]["selector"] = deployment["spec"]["selector"];
  set["spec"]["selector"]["matchLabels"][hash_label] = hash;
  const auto info = objects.kinds().find_bucket("replicasets.apps");
  const auto made = objects.create(*info, namespace_of(deployment), set, by_server());
  return made ? *made : nullptr;
}

void roll(registry& objects, const json& deployment, const generations& sets) {
  const auto desired = number_at(deployment, {"spec", "replicas"}, 1);
  if (text_at(deployment, {"spec", "strategy", "type"}) == "Recreate") {
    std::int64_t left = 0;
    for (const auto& each : sets.old) {
      left += number_at(*each, {"status", "replicas"});
      scale_set(objects, *each, 0);
    }
    scale_set(objects, *sets.current, left == 0 ? desired : 0);
    return;
  }
  std::int64_t total = number_at(*sets.current, {"spec", "replicas"});
  std::int64_t ready = number_at(*sets.current, {"status", "readyReplicas"});
  for (const auto& each : sets.old) {
    total += number_at(*each, {"spec", "replicas"});
    ready += number_at(*each, {"status", "readyReplicas"});
  }
  const auto surge = amount(deployment, "maxSurge", desired, true);
  auto unavailable = amount(deployment, "maxUnavailable", desired, false);
  if (surge == 0 && unavailable == 0) unavailable = 1;
  const auto own = number_at(*sets.current, {"spec", "replicas"});
  const auto room = std::max<std::int64_t>(0, desired + surge - total);
  scale_set(objects, *sets.current, own > desired ? desired : std::min(desired, own + room));
  auto spare = ready - (desired - unavailable);
  for (const auto& each : sets.old) {
    const auto has = number_at(*each, {"spec", "replicas"});
    // Pods that are not ready are given up first: they cost nothing.
    const auto idle = has - std::min(has, number_at(*each, {"status", "readyReplicas"}));
    const auto less = std::min(has, idle + std::max<std::int64_t>(0, std::min(has - idle, spare)));
    spare -= std::max<std::int64_t>(0, less - idle);
    if (less > 0) scale_set(objects, *each, has - less);
  }
}

void report(registry& objects, const json& deployment, const generations& sets) {
  const auto now = rfc3339(objects.now());
  objects.edit({"deployments.apps", namespace_of(deployment), name_of(deployment)}, [&](json& o) {
    std::int64_t total = number_at(*sets.current, {"status", "replicas"});
    std::int64_t ready = number_at(*sets.current, {"status", "readyReplicas"});
    const auto updated = total;
    for (const auto& each : sets.old) {
      total += number_at(*each, {"status", "replicas"});
      ready += number_at(*each, {"status", "readyReplicas"});
    }
    const auto desired = number_at(o, {"spec", "replicas"}, 1);
    auto& status = o["status"];
    status["observedGeneration"] = number_at(o, {"metadata", "generation"});
    status["replicas"] = total;
    status["updatedReplicas"] = updated;
    status["readyReplicas"] = ready;
    status["availableReplicas"] = ready;
    status["unavailableReplicas"] = std::max<std::int64_t>(0, desired - ready);
    const bool available = ready >= desired - amount(o, "maxUnavailable", desired, false);
    set_condition(status, "Available", available, available ? "MinimumReplicasAvailable" : "MinimumReplicasUnavailable",
                  available ? "Deployment has minimum availability." : "Deployment does not have minimum availability.",
                  now);
    const bool complete = updated == desired && ready == desired && total == desired;
    set_condition(status, "Progressing", true, complete ? "NewReplicaSetAvailable" : "ReplicaSetUpdated",
                  "ReplicaSet \"" + name_of(*sets.current) +
                      (complete ? "\" has successfully progressed." : "\" is progressing."),
                  now);
  });
}

json pod_of(const json& set) {
  json pod = set["spec"]["template"];
  pod["metadata"]["generateName"] = name_of(set) + "-";
  pod["metadata"]["ownerReferences"] = json::array({owner_reference(set)});
  pod["metadata"].erase("name");
  return pod;
}

}  // namespace

void reconcile_deployments(registry& objects) {
  const auto all_sets = objects.objects().list("replicasets.apps").objects;
  for (const auto& deployment : objects.objects().list("deployments.apps").objects) {
    if (is_deleting(*deployment)) continue;
    const auto hash = hash_of(deployment->at("spec").at("template"));
    generations sets;
    for (const auto& each : all_sets) {
      if (!is_owned_by(*each, *deployment) || is_deleting(*each)) continue;
      if (text_at(*each, {"metadata", "labels", hash_label}) == hash) {
        sets.current = each;
      } else {
        sets.old.push_back(each);
      }
    }
    if (!sets.current)
      sets.current =
          make_set(objects, *deployment, hash, sets.old.empty() ? number_at(*deployment, {"spec", "replicas"}, 1) : 0);
    if (!sets.current) continue;
    if (!flag_at(*deployment, {"spec", "paused"})) roll(objects, *deployment, sets);
    report(objects, *deployment, sets);
  }
}

void reconcile_replica_sets(registry& objects) {
  const auto info = objects.kinds().find_bucket("pods");
  const auto pods = objects.objects().list("pods").objects;
  for (const auto& set : objects.objects().list("replicasets.apps").objects) {
    if (is_deleting(*set)) continue;
    std::vector<object_ptr> own;
    for (const auto& each : pods) {
      if (is_owned_by(*each, *set) && !is_deleting(*each) && !is_finished(*each)) own.push_back(each);
    }
    const auto desired = static_cast<std::size_t>(std::max<std::int64_t>(0, number_at(*set, {"spec", "replicas"}, 1)));
    std::string trouble;
    for (auto count = own.size(); count < desired; ++count) {
      if (const auto made = objects.create(*info, namespace_of(*set), pod_of(*set), by_server()); !made)
        trouble = made.error().message;
    }
    // Not ready ones go first, then the youngest.
    std::stable_sort(own.begin(), own.end(), [](const object_ptr& a, const object_ptr& b) {
      if (is_ready(*a) != is_ready(*b)) return !is_ready(*a);
      return text_at(*a, {"metadata", "creationTimestamp"}) > text_at(*b, {"metadata", "creationTimestamp"});
    });
    for (std::size_t at = 0; at + desired < own.size(); ++at)
      (void)objects.remove(*info, namespace_of(*own[at]), name_of(*own[at]), {});
    const auto ready = std::count_if(own.begin(), own.end(), [](const object_ptr& each) { return is_ready(*each); });
    const auto now = rfc3339(objects.now());
    objects.edit({"replicasets.apps", namespace_of(*set), name_of(*set)}, [&](json& o) {
      o["status"]["replicas"] = own.size();
      o["status"]["fullyLabeledReplicas"] = own.size();
      o["status"]["readyReplicas"] = ready;
      o["status"]["availableReplicas"] = ready;
      o["status"]["observedGeneration"] = number_at(o, {"metadata", "generation"});
      if (trouble.empty()) {
        o["status"].erase("conditions");
      } else {
        set_condition(o["status"], "ReplicaFailure", true, "FailedCreate", trouble, now);
      }
    });
  }
}

void reconcile_endpoints(registry& objects) {
  const auto pods = objects.objects().list("pods").objects;
  for (const auto& service : objects.objects().list("services").objects) {
    const auto& labels = map_at(*service, {"spec", "selector"});
    const auto space = namespace_of(*service);
    const auto name = name_of(*service);
    if (labels.empty() || is_deleting(*service)) continue;
    const auto wanted = selector::from_object({{"matchLabels", labels}});
    const bool unready_too = flag_at(*service, {"spec", "publishNotReadyAddresses"});
    json ready = json::array();
    json unready = json::array();
    json slice_ends = json::array();
    for (const auto& pod : pods) {
      const auto address = text_at(*pod, {"status", "podIP"});
      if (namespace_of(*pod) != space || address.empty() || is_finished(*pod) || !wanted.matches(*pod)) continue;
      const bool serving = is_ready(*pod);
      const bool good = (serving && !is_deleting(*pod)) || unready_too;
      const json target = {{"kind", "Pod"}, {"namespace", space}, {"name", name_of(*pod)}, {"uid", uid_of(*pod)}};
      const auto node = text_at(*pod, {"spec", "nodeName"});
      slice_ends.push_back({{"addresses", {address}},
                            {"conditions", {{"ready", good}, {"serving", serving}, {"terminating", is_deleting(*pod)}}},
                            {"targetRef", target},
                            {"nodeName", node}});
      if (!is_deleting(*pod))
        (good ? ready : unready).push_back({{"ip", address}, {"nodeName", node}, {"targetRef", target}});
    }
    json ports = json::array();
    for (const auto& port : list_at(*service, {"spec", "ports"})) {
      const auto* target = find(port, {"targetPort"});
      const auto number =
          target != nullptr && target->is_number() ? target->get<std::int64_t>() : number_at(port, {"port"});
      ports.push_back(
          {{"name", text_at(port, {"name"})}, {"port", number}, {"protocol", text_at(port, {"protocol"}, "TCP")}});
    }
    json subset = {{"ports", ports}};
    if (!ready.empty()) subset["addresses"] = ready;
    if (!unready.empty()) subset["notReadyAddresses"] = unready;
    const json subsets = ready.empty() && unready.empty() ? json::array() : json::array({subset});
    const json owner = json::array({owner_reference(*service)});
    objects.ensure(
        "endpoints", space,
        {{"metadata", {{"name", name}, {"labels", map_at(*service, {"metadata", "labels"})}}}, {"subsets", subsets}});
    objects.edit({"endpoints", space, name}, [&](json& o) {
      o["subsets"] = subsets;
      o["metadata"]["ownerReferences"] = owner;
    });
    const auto slice = name + "-" + hash_of(uid_of(*service)).substr(0, 5);
    objects.ensure("endpointslices.discovery.k8s.io", space,
                   {{"metadata",
                     {{"name", slice},
                      {"labels",
                       {{"kubernetes.io/service-name", name},
                        {"endpointslice.kubernetes.io/managed-by", "endpointslice-controller.k8s.io"}}},
                      {"ownerReferences", owner}}},
                    {"addressType", "IPv4"},
                    {"endpoints", slice_ends},
                    {"ports", ports}});
    objects.edit({"endpointslices.discovery.k8s.io", space, slice}, [&](json& o) {
      o["endpoints"] = slice_ends;
      o["ports"] = ports;
    });
  }
}

void reconcile_budgets(registry& objects) {
  const auto pods = objects.objects().list("pods").objects;
  for (const auto& budget : objects.objects().list("poddisruptionbudgets.policy").objects) {
    const auto* chosen = find(*budget, {"spec", "selector"});
    if (chosen == nullptr || is_deleting(*budget)) continue;
    const auto wanted = selector::from_object(*chosen);
    std::int64_t expected = 0;
    std::int64_t healthy = 0;
    for (const auto& pod : pods) {
      if (namespace_of(*pod) != namespace_of(*budget) || is_deleting(*pod) || is_finished(*pod) ||
          !wanted.matches(*pod))
        continue;
      ++expected;
      if (is_ready(*pod)) ++healthy;
    }
    const auto count = [&](const json& value) {
      return value.is_number()
                 ? value.get<std::int64_t>()
                 : static_cast<std::int64_t>(
                       std::ceil(static_cast<double>(expected) * std::atof(value.get<std::string>().c_str()) / 100));
    };
    std::int64_t desired = 0;
    if (const auto* low = find(*budget, {"spec", "minAvailable"})) desired = count(*low);
    if (const auto* high = find(*budget, {"spec", "maxUnavailable"}))
      desired = std::max<std::int64_t>(0, expected - count(*high));
    const auto room = std::max<std::int64_t>(0, healthy - desired);
    const auto now = rfc3339(objects.now());
    objects.edit({"poddisruptionbudgets.policy", namespace_of(*budget), name_of(*budget)}, [&](json& o) {
      auto& status = o["status"];
      status["expectedPods"] = expected;
      status["currentHealthy"] = healthy;
      status["desiredHealthy"] = desired;
      status["disruptionsAllowed"] = room;
      status["observedGeneration"] = number_at(o, {"metadata", "generation"});
      auto& list = status["conditions"];
      const char* reason = room > 0 ? "SufficientPods" : "InsufficientPods";
      if (list.is_array() && !list.empty() && text_at(list[0], {"reason"}) == reason) return;
      list = json::array({{{"type", "DisruptionAllowed"},
                           {"status", room > 0 ? "True" : "False"},
                           {"reason", reason},
                           {"message", ""},
                           {"lastTransitionTime", now}}});
    });
  }
}

}  // namespace orrery::local
