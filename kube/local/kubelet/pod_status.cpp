#include "kube/local/kubelet/pod_worker.hpp"

#include <algorithm>

namespace orrery::local {

std::string pod_worker::phase() const {
  if (failed_init_) return "Failed";
  if (!initialized_) return "Pending";
  if (completed_) {
    const bool bad = std::any_of(containers_.begin(), containers_.end(), [](const auto& one) {
      return one->kind == container::role::main && (!one->last || one->last->code != 0);
    });
    return bad ? "Failed" : "Succeeded";
  }
  const bool any = std::any_of(containers_.begin(), containers_.end(),
                               [](const auto& one) { return one->kind == container::role::main && one->ever_started; });
  return any ? "Running" : "Pending";
}

json pod_worker::status() const {
  json out = {{"phase", phase()},  {"hostIP", "127.0.0.1"},          {"hostIPs", {{{"ip", "127.0.0.1"}}}},
              {"podIP", address_}, {"podIPs", {{{"ip", address_}}}}, {"startTime", rfc3339(started_at_)}};
  json init = json::array();
  json main = json::array();
  for (const auto& one : containers_)
    (one->kind == container::role::main ? main : init).push_back(one->status());
  if (!init.empty()) out["initContainerStatuses"] = std::move(init);
  out["containerStatuses"] = std::move(main);
  return out;
}

void pod_worker::publish() {
  if (gone_) return;
  const bool ready =
      initialized_ && !completed_ && std::all_of(containers_.begin(), containers_.end(), [](const auto& one) {
        return one->kind == container::role::init || (one->running && one->ready);
      });
  const bool gates = std::all_of(list_at(pod_, {"spec", "readinessGates"}).begin(),
                                 list_at(pod_, {"spec", "readinessGates"}).end(), [&](const json& gate) {
                                   const auto& all = list_at(pod_, {"status", "conditions"});
                                   return std::any_of(all.begin(), all.end(), [&](const json& each) {
                                     return text_at(each, {"type"}) == text_at(gate, {"conditionType"}) &&
                                            text_at(each, {"status"}) == "True";
                                   });
                                 });
  const auto now = rfc3339(services_.objects.now());
  for (const auto& [type, value] : {std::pair("Initialized", initialized_), std::pair("ContainersReady", ready),
                                    std::pair("Ready", ready && gates)}) {
    const auto it = conditions_.find(type);
    if (it == conditions_.end() || it->second.first != value) conditions_[type] = {value, now};
  }
  std::vector<std::string> unready;
  for (const auto& one : containers_) {
    if (one->kind != container::role::init && !one->ready) unready.push_back(one->name);
  }
  auto fresh = status();
  json conditions = json::array();
  for (const auto& [type, value] : conditions_) {
    json one = {{"type", type},
                {"status", value.first ? "True" : "False"},
                {"lastProbeTime", nullptr},
                {"lastTransitionTime", value.second}};
    if (!value.first && type != "Initialized") {
      one["reason"] = completed_ ? "PodCompleted" : "ContainersNotReady";
      if (!completed_) one["message"] = "containers with unready status: [" + join(unready, " ") + "]";
    }
    if (!value.first && type == "Initialized") one["reason"] = "ContainersNotInitialized";
    conditions.push_back(std::move(one));
  }
  fresh["conditions"] = std::move(conditions);
  auto text = fresh.dump();
  if (text == last_status_) return;
  last_status_ = std::move(text);
  const auto uid = uid_;
  services_.objects.edit({"pods", namespace_of(pod_), name_of(pod_)}, [&](json& o) {
    if (uid_of(o) != uid) return;
    auto& status = o["status"];
    for (const auto& [field, value] : fresh.items()) {
      if (field != "conditions") status[field] = value;
    }
    // Conditions of others (PodScheduled, readiness gates) stay.
    json kept = json::array();
    for (const auto& each : list_at(status, {"conditions"})) {
      const auto& ours = fresh["conditions"];
      if (std::none_of(ours.begin(), ours.end(), [&](const json& own) { return own["type"] == each["type"]; }))
        kept.push_back(each);
    }
    for (const auto& each : fresh["conditions"])
      kept.push_back(each);
    status["conditions"] = std::move(kept);
  });
}

}  // namespace orrery::local
