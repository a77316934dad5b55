#pragma once
#include "kube/resource.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace orrery::kube {

class client;

struct lease_options {
  object_key lease;
  std::string identity;                              ///< unique among candidates: the pod's name
  std::chrono::milliseconds duration{15'000};        ///< others may take over when it was not renewed for this long
  std::chrono::milliseconds renew_deadline{10'000};  ///< give up leadership when not renewed for this long
  std::chrono::milliseconds retry{2'000};
  std::uint64_t seed = 0;  ///< of the jitter; 0: from the operating system
};

/// Called on the elector's thread.
struct lease_handlers {
  /// We lead. `term` grows with each change of leader (leaseTransitions): name it in what you write where a stale
  /// leader could hurt.
  std::function<void(std::uint64_t term)> on_acquired{};
  /// We lead no more, or cannot know: stop writing at once. Called exactly once for each on_acquired.
  std::function<void(const std::string& why)> on_lost{};
};

/// Elects one leader among processes, by a Lease (coordination.k8s.io/v1), as client-go does.
///
/// Judges by its own monotonic clock only: another's lease counts as expired when it was not seen to change for
/// `duration`; our own is lost when not renewed for `renew_deadline`, measured from before the last renewal that
/// succeeded was sent. A Lease does not fence: writes of a leader that hangs can still arrive late, so side effects
/// should carry preconditions (uid, resourceVersion). Thread-safe.
class leader_elector {
 public:
  leader_elector(client& api, lease_options options, lease_handlers handlers = {});
  ~leader_elector();  ///< stops
  leader_elector(const leader_elector&) = delete;
  leader_elector& operator=(const leader_elector&) = delete;

  void start();
  /// Calls on_lost if we lead, then releases the lease, so that another need not wait. Returns when the thread ended.
  void stop();
  /// True only while the last renewal is younger than renew_deadline, also when the elector's thread is held up.
  [[nodiscard]] bool is_leader() const;
  [[nodiscard]] std::string leader() const;  ///< who held it when last seen; empty if nobody

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace orrery::kube
