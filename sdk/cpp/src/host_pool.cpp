#include "host_pool.hpp"

#include <utility>

namespace orrery::app {

host_pool::host_pool(unsigned size) {
  for (unsigned i = 0; i < size; ++i)
    threads_.emplace_back([this] { run(); });
}

void host_pool::submit(const process_class& what, json work, std::shared_ptr<wire> answer_to) {
  auto flag = std::make_shared<std::atomic<bool>>(false);
  {
    const std::lock_guard lock(mutex_);
    flags_[work.value("work", std::uint64_t{0})] = flag;
    waiting_.push_back({&what, std::move(work), std::move(answer_to), std::move(flag)});
  }
  changed_.notify_one();
}

void host_pool::abandon(std::uint64_t work) {
  const std::lock_guard lock(mutex_);
  const auto found = flags_.find(work);
  if (found != flags_.end()) found->second->store(true);
}

void host_pool::abandon_all() {
  const std::lock_guard lock(mutex_);
  for (auto& [work, flag] : flags_)
    flag->store(true);
}

void host_pool::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    waiting_.clear();
  }
  changed_.notify_all();
  for (auto& each : threads_) {
    if (each.joinable()) each.join();
  }
}

void host_pool::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (stopping_) return;
    auto next = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    const auto number = next.work.value("work", std::uint64_t{0});
    // What nobody waits for is not begun; the sidecar counts its place as taken until it hears of it.
    auto done = next.abandoned->load() ? json{{"type", "done"}, {"work", number}}
                                       : next.what->handle(next.work, next.abandoned.get());
    auto frame = wire::encode(done);
    if (frame.size() > wire::frame_bytes_max) {
      const auto text = "its answer has " + std::to_string(frame.size()) + " bytes, more than a frame may";
      frame = wire::encode({{"type", "done"}, {"work", number}, {"crash", {{"text", text}}}});
    }
    if (const auto to = next.answer_to.lock()) to->send(frame);
    lock.lock();
    flags_.erase(number);
  }
}

}  // namespace orrery::app
