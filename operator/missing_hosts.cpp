#include "operator/missing_hosts.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace orrery::op {

namespace {

std::string host_of(const plan::json& pod) { return std::string(kube::text_at(pod, {"spec", "nodeName"})); }

}  // namespace

void missing_hosts::listed(const std::map<std::string, plan::host_view>& hosts,
                           const std::vector<plan::object_ptr>& pods, plan::wall_time now) {
  copied(hosts);
  for (const auto& pod : pods) {
    auto host = host_of(*pod);
    if (host.empty() || hosts.contains(host)) continue;
    if (since_.size() >= remembered_max) since_.clear();  // they wait longer, which harms nobody
    since_.try_emplace(std::move(host), now);
  }
}

void missing_hosts::copied(const std::map<std::string, plan::host_view>& hosts) {
  std::erase_if(since_, [&](const auto& one) { return hosts.contains(one.first); });
}

bool are_hosts_known(const kube::informer_health& watch, std::chrono::steady_clock::time_point now) {
  return watch.synced && now - watch.last_contact < hosts_silent_max;
}

bool has_strange_host(const std::map<std::string, plan::host_view>& hosts, const std::vector<plan::object_ptr>& pods) {
  return std::any_of(pods.begin(), pods.end(), [&](const auto& pod) {
    const auto host = host_of(*pod);
    return !host.empty() && !hosts.contains(host);
  });
}

}  // namespace orrery::op
