#pragma once
#include "kube/informer.hpp"
#include "operator/plan/observed.hpp"

#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <vector>

namespace orrery::op {

/// Since when hosts that pods run on have been missing from the API server's own list of hosts. A host that comes back
/// is forgotten, so that its next absence counts from its own beginning. Not thread-safe.
class missing_hosts {
 public:
  static constexpr std::size_t remembered_max = 10'000;

  /// `hosts` is the list as the API server has it now: what it lacks is missing.
  void listed(const std::map<std::string, plan::host_view>& hosts, const std::vector<plan::object_ptr>& pods,
              plan::wall_time now);
  /// `hosts` is a copy that may be old: what it lacks may just not have been heard of.
  void copied(const std::map<std::string, plan::host_view>& hosts);
  [[nodiscard]] const std::map<std::string, plan::wall_time>& since() const { return since_; }

 private:
  std::map<std::string, plan::wall_time> since_;
};

/// A watch of hosts that was silent for so long is no ground for giving up pods. Bookmarks come every minute.
inline constexpr std::chrono::minutes hosts_silent_max{2};
[[nodiscard]] bool are_hosts_known(const kube::informer_health& watch, std::chrono::steady_clock::time_point now);

/// A pod runs on a host that is not among these.
[[nodiscard]] bool has_strange_host(const std::map<std::string, plan::host_view>& hosts,
                                    const std::vector<plan::object_ptr>& pods);

}  // namespace orrery::op
