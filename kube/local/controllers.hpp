#pragma once
#include "kube/local/registry.hpp"

#include <thread>

namespace orrery::local {

// The controllers of a cluster, each a level-based pass over the store: look at what is, do the next step. Every pass
// may run at any time and any number of times.

void collect_garbage(registry& objects);        ///< owner references, foreground and orphan deletion
void reconcile_namespaces(registry& objects);   ///< default service account, kube-root-ca.crt; content of a deleted one
void reconcile_definitions(registry& objects);  ///< instances of a deleted CustomResourceDefinition
void reconcile_deployments(registry& objects);  ///< replica sets, rolling or recreated; status
void reconcile_replica_sets(registry& objects);  ///< pods; status
void reconcile_endpoints(registry& objects);     ///< Endpoints and EndpointSlices of services
void reconcile_budgets(registry& objects);       ///< status of PodDisruptionBudgets
void schedule_pods(registry& objects);           ///< spec.nodeName: the node with the fewest pods

void expire_events(registry& objects);  ///< the oldest, when there are too many

/// Runs them all in one thread, soon after anything changed, until destroyed.
class controller_manager {
 public:
  explicit controller_manager(registry& objects, std::string authority_certificate);
  ~controller_manager();
  controller_manager(const controller_manager&) = delete;
  controller_manager& operator=(const controller_manager&) = delete;

 private:
  void run();
  registry& registry_;
  std::string authority_;
  std::thread thread_;
};

}  // namespace orrery::local
