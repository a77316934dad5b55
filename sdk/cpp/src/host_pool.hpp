#pragma once
// The threads that run handlers of hosted classes.
#include "orrery/app/process_class.hpp"
#include "wire.hpp"
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace orrery::app {

/// The sidecar hands out no more than `size` pieces of work at a time, so what waits here is bounded by it.
class host_pool {
 public:
  explicit host_pool(unsigned size);
  ~host_pool() { stop(); }
  host_pool(const host_pool&) = delete;
  host_pool& operator=(const host_pool&) = delete;

  [[nodiscard]] unsigned size() const { return static_cast<unsigned>(threads_.size()); }
  void submit(const process_class& what, json work, std::shared_ptr<wire> answer_to);
  void abandon(std::uint64_t work);
  void abandon_all();
  /// Waits for handlers that run.
  void stop();

 private:
  struct job {
    const process_class* what;
    json work;
    std::weak_ptr<wire> answer_to;
    std::shared_ptr<std::atomic<bool>> abandoned;
  };
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<job> waiting_;
  std::map<std::uint64_t, std::shared_ptr<std::atomic<bool>>> flags_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace orrery::app
