#include "kube/pause.hpp"

#include <condition_variable>
#include <mutex>

namespace orrery::kube {

bool pause_until(std::chrono::steady_clock::time_point until, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any wakeup;
  std::unique_lock lock{mutex};
  wakeup.wait_until(lock, stop, until, [] { return false; });
  return !stop.stop_requested();
}

}  // namespace orrery::kube
