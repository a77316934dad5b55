#pragma once
#include "kube/client.hpp"
#include "kube/events.hpp"
#include "operator/cluster_view.hpp"
#include "operator/contact.hpp"
#include "operator/executor.hpp"
#include "operator/metrics.hpp"
#include "operator/plan/plan.hpp"

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>

namespace orrery::op {

/// One mesh: look, decide, act, report. Thread-safe for different meshes at a time.
class reconciler {
 public:
  struct parts {
    kube::client& api;
    cluster_view& view;
    kube::event_recorder& events;
    metrics& numbers;
    plan::settings settings;
    std::function<bool()> may_act;
    const contact& heard;
  };
  explicit reconciler(parts given);

  /// When to look again even if nothing happens, if ever. Errors: what stopped it; it should be tried again.
  [[nodiscard]] result<std::optional<pki::wall_time>> reconcile(const kube::object_key& mesh);

 private:
  plan::observed with_memory(plan::observed seen);
  void forget_classes_that_are_gone(const kube::object_key& mesh, const plan::observed& seen);
  result<plan::decision> decide(const kube::object_key& mesh, bool afresh);
  struct outcome {
    bool again = false;                          ///< what was done, or met, calls for another decision at once
    result<void> done;                           ///< the first failure of several
    std::set<std::string, std::less<>> deleted;  ///< pods
  };
  /// Does what can be done: a failure stops only what needs the failed action.
  outcome act(const plan::json& mesh, const plan::decision& what);
  /// What it says of itself; empty if there is none.
  std::string obstacle_of(const plan::json& mesh);
  std::string forget_obstacle(const plan::json& mesh);
  result<void> do_one(const plan::json& mesh, const plan::action& what);
  result<void> report_mesh(const kube::object_key& key, const plan::json& mesh, const plan::decision& what);
  result<void> report_classes(const plan::decision& what);
  result<void> report_class(const plan::class_status& one);
  void tell(const plan::json& mesh, bool warning, std::string_view reason, const std::string& message);

  parts parts_;
  executor executor_;
  std::mutex mutex_;  // guards all below
  seeded_random random_;
  std::map<std::string, plan::template_check> checks_;                           // by uid of the mesh
  std::map<std::string, plan::obstacle> obstacles_;                              // by uid of the mesh
  std::map<std::string, std::pair<std::int64_t, std::string>> script_verdicts_;  // by uid of the class
  std::map<kube::object_key, plan::object_ptr> meshes_;                          // as last decided upon
  // What we wrote ourselves and the watch has not brought yet, so that nothing is reported twice.
  struct own_write {
    std::set<std::string> stale_versions;  ///< of the copy, from before the write
    plan::object_ptr object;
  };
  std::map<kube::object_key, own_write> mesh_writes_;
  std::map<kube::object_key, own_write> class_writes_;
  static plan::object_ptr newest(std::map<kube::object_key, own_write>& writes, plan::object_ptr copy);
  static void remember(std::map<kube::object_key, own_write>& writes, const plan::json& before, plan::json written);
};

}  // namespace orrery::op
