#pragma once
#include "kube/client.hpp"
#include "kube/config.hpp"
#include "operator/metrics.hpp"
#include "operator/options.hpp"

#include <memory>
#include <string>

namespace orrery::op {

/// The whole operator: watches, queue, workers, election, and its HTTP endpoints. start() returns when everything runs;
/// the API server need not be reachable by then.
class controller {
 public:
  controller(options chosen, kube::cluster_config cluster);
  ~controller();
  controller(const controller&) = delete;
  controller& operator=(const controller&) = delete;

  /// Errors: invalid_argument, io: what is wrong with the options or the configuration.
  [[nodiscard]] result<void> start();
  /// Stops acting, gives the lease back, and ends all threads.
  void stop();

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace orrery::op
