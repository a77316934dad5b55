#include "kube/work_queue.hpp"

#include <algorithm>

namespace orrery::kube {

using clock = work_queue_core::clock;

void work_queue_core::add(const object_key& key) {
  if (!dirty_.insert(key).second) return;  // waits already
  ++adds_;
  if (!processing_.contains(key)) ready_.push_back(key);  // else when done
}

void work_queue_core::add_at(const object_key& key, clock::time_point due) {
  const auto set = due_.find(key);
  if (set != due_.end()) {
    if (set->second <= due) return;
    by_time_.erase({set->second, key});
  }
  due_[key] = due;
  by_time_.emplace(due, key);
}

void work_queue_core::add_rate_limited(const object_key& key, clock::time_point now) {
  const auto failures = failures_[key]++;
  ++retries_;
  auto delay = options_.retry_min;
  for (std::size_t i = 0; i < failures && delay < options_.retry_max; ++i) {
    delay *= 2;
  }
  add_at(key, now + std::min(delay, options_.retry_max));
}

void work_queue_core::forget(const object_key& key) { failures_.erase(key); }

std::size_t work_queue_core::retries(const object_key& key) const {
  const auto found = failures_.find(key);
  return found == failures_.end() ? 0 : found->second;
}

std::optional<object_key> work_queue_core::take(clock::time_point now) {
  release(now);
  if (ready_.empty()) return std::nullopt;
  auto key = std::move(ready_.front());
  ready_.pop_front();
  dirty_.erase(key);
  processing_.insert(key);
  return key;
}

void work_queue_core::done(const object_key& key) {
  if (processing_.erase(key) == 0) return;
  if (dirty_.contains(key)) ready_.push_back(key);
}

std::optional<clock::time_point> work_queue_core::next_due() const {
  if (by_time_.empty()) return std::nullopt;
  return by_time_.begin()->first;
}

work_queue_stats work_queue_core::stats() const {
  return {.ready = ready_.size(),
          .delayed = due_.size(),
          .processing = processing_.size(),
          .adds = adds_,
          .retries = retries_};
}

void work_queue_core::release(clock::time_point now) {
  while (!by_time_.empty() && by_time_.begin()->first <= now) {
    const auto key = by_time_.begin()->second;
    by_time_.erase(by_time_.begin());
    due_.erase(key);
    add(key);
  }
}

void work_queue::add(const object_key& key) {
  const std::lock_guard lock{mutex_};
  if (shut_down_) return;
  core_.add(key);
  wakeup_.notify_one();
}

void work_queue::add_after(const object_key& key, std::chrono::milliseconds delay) {
  const std::lock_guard lock{mutex_};
  if (shut_down_) return;
  core_.add_at(key, clock::now() + delay);
  wakeup_.notify_one();
}

void work_queue::add_rate_limited(const object_key& key) {
  const std::lock_guard lock{mutex_};
  if (shut_down_) return;
  core_.add_rate_limited(key, clock::now());
  wakeup_.notify_one();
}

void work_queue::forget(const object_key& key) {
  const std::lock_guard lock{mutex_};
  core_.forget(key);
}

std::size_t work_queue::retries(const object_key& key) const {
  const std::lock_guard lock{mutex_};
  return core_.retries(key);
}

std::optional<object_key> work_queue::get() { return get_until(std::nullopt); }

std::optional<object_key> work_queue::get_for(std::chrono::milliseconds timeout) {
  return get_until(clock::now() + timeout);
}

std::optional<object_key> work_queue::get_until(std::optional<clock::time_point> deadline) {
  std::unique_lock lock{mutex_};
  for (;;) {
    if (shut_down_) return std::nullopt;
    const auto now = clock::now();
    if (auto key = core_.take(now)) return key;
    if (deadline && *deadline <= now) return std::nullopt;
    auto until = core_.next_due();
    if (deadline && (!until || *deadline < *until)) until = deadline;
    if (until) {
      wakeup_.wait_until(lock, *until);
    } else {
      wakeup_.wait(lock);
    }
  }
}

void work_queue::done(const object_key& key) {
  const std::lock_guard lock{mutex_};
  core_.done(key);
  wakeup_.notify_one();
}

void work_queue::shutdown() {
  const std::lock_guard lock{mutex_};
  shut_down_ = true;
  wakeup_.notify_all();
}

bool work_queue::is_shut_down() const {
  const std::lock_guard lock{mutex_};
  return shut_down_;
}

work_queue_stats work_queue::stats() const {
  const std::lock_guard lock{mutex_};
  return core_.stats();
}

}  // namespace orrery::kube
