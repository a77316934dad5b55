#pragma once
#include "kube/client.hpp"
#include "kube/informer.hpp"
#include "kube/work_queue.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace orrery::op {

/// The operator's metrics (prefix orrery_operator_). Thread-safe. Label sets are closed: kinds, verbs, codes, results,
/// and the names of meshes.
class metrics final : public kube::request_observer {
 public:
  metrics();
  ~metrics() override;

  void on_request(kube::verb what, std::string_view plural, int code, std::chrono::duration<double> took) override;
  void on_reconcile(bool good, std::chrono::duration<double> took);
  void on_action(std::string_view kind, bool good);
  void on_mesh(const kube::object_key& mesh, std::int64_t wanted, std::int64_t joined, bool ready);
  void on_mesh_gone(const kube::object_key& mesh);
  void on_event(std::string_view reason);
  void set_leader(bool leads);
  void on_queue(const kube::work_queue_stats& stats);
  void on_informer(std::string_view plural, const kube::informer_health& health);

  /// The text exposition format.
  [[nodiscard]] std::string text() const;

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace orrery::op
