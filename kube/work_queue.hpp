#pragma once
#include "kube/resource.hpp"

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>

namespace orrery::kube {

struct work_queue_options {
  std::chrono::milliseconds retry_min{5};  ///< delay of add_rate_limited: doubles per call for one key, up to:
  std::chrono::milliseconds retry_max{300'000};
};

struct work_queue_stats {
  std::size_t ready = 0;
  std::size_t delayed = 0;
  std::size_t processing = 0;
  std::uint64_t adds = 0;
  std::uint64_t retries = 0;
};

/// The decisions of a work queue, with the time as an argument: which key is worked on next. Not thread-safe.
/// After client-go's util/workqueue: a key is in the queue at most once; a key that is being worked on is not handed
/// out again, and an add meanwhile queues it when that work is done.
class work_queue_core {
 public:
  using clock = std::chrono::steady_clock;

  explicit work_queue_core(work_queue_options options = {}) : options_(options) {}

  void add(const object_key& key);
  /// Due then. An earlier time that is already set stays.
  void add_at(const object_key& key, clock::time_point due);
  void add_rate_limited(const object_key& key, clock::time_point now);
  void forget(const object_key& key);  ///< succeeded: the next retry delay is the smallest again
  [[nodiscard]] std::size_t retries(const object_key& key) const;
  [[nodiscard]] std::optional<object_key> take(clock::time_point now);
  void done(const object_key& key);
  /// When the next delayed key is due, if there is one.
  [[nodiscard]] std::optional<clock::time_point> next_due() const;
  [[nodiscard]] work_queue_stats stats() const;

 private:
  void release(clock::time_point now);

  work_queue_options options_;
  std::deque<object_key> ready_;
  std::set<object_key> dirty_;  // waiting: in ready_, or to be put there when processing ends
  std::set<object_key> processing_;
  std::map<object_key, clock::time_point> due_;
  std::set<std::pair<clock::time_point, object_key>> by_time_;
  std::map<object_key, std::size_t> failures_;
  std::uint64_t adds_ = 0;
  std::uint64_t retries_ = 0;
};

/// The same, shared by threads that wait. Thread-safe.
///
///   while (auto key = queue.get()) {
///     if (reconcile(*key)) queue.forget(*key); else queue.add_rate_limited(*key);
///     queue.done(*key);
///   }
class work_queue {
 public:
  explicit work_queue(work_queue_options options = {}) : core_(options) {}

  void add(const object_key& key);
  void add_after(const object_key& key, std::chrono::milliseconds delay);
  void add_rate_limited(const object_key& key);
  void forget(const object_key& key);
  [[nodiscard]] std::size_t retries(const object_key& key) const;
  /// Waits for a key. Nothing once shut down.
  [[nodiscard]] std::optional<object_key> get();
  /// Waits at most that long.
  [[nodiscard]] std::optional<object_key> get_for(std::chrono::milliseconds timeout);
  void done(const object_key& key);
  /// Wakes all who wait; nothing is handed out any more, and adds are dropped.
  void shutdown();
  [[nodiscard]] bool is_shut_down() const;
  [[nodiscard]] work_queue_stats stats() const;

 private:
  std::optional<object_key> get_until(std::optional<work_queue_core::clock::time_point> deadline);

  mutable std::mutex mutex_;
  std::condition_variable wakeup_;
  work_queue_core core_;
  bool shut_down_ = false;
};

}  // namespace orrery::kube
