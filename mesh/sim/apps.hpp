#pragma once
#include "mesh/sim/cluster.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace orrery::sim {

/// One app beside each node, which hosts counters: it comes some time after its node, and goes and comes back when
/// told.
class apps {
 public:
  /// `wait`: the class' waitForApp.
  apps(cluster& world, class_name hosted, duration wait);

  /// Connects one, if the node lives and has none.
  void come(const std::string& pod);
  /// The app takes no new work, ends what it has, and goes.
  void leave(const std::string& pod);
  /// Those that live and that every node takes for a place of the class, whatever happens to others.
  [[nodiscard]] std::vector<std::string> settled() const;
  [[nodiscard]] bool there(const std::string& pod) const;

 private:
  struct app {
    process::app_id id{};
    std::uint64_t boot = 0;
    time_point since{};
    bool leaves = false;
  };
  void told(const std::string& pod, std::uint64_t boot, process::app_effect& what);
  void work(const std::string& pod, const process::app_work& asked);
  [[nodiscard]] process::app_answer answer_to(const process::app_work& asked) const;
  [[nodiscard]] const app* app_of(const std::string& pod) const;

  cluster& world_;
  class_name hosted_;
  duration wait_;
  std::map<std::string, app> apps_;
  std::uint64_t last_ = 0;
};

}  // namespace orrery::sim
