#pragma once
// The threads that run handlers of hosted classes.
#include "counting.hpp"
#include "orrery/app/process_class.hpp"
#include "wire.hpp"
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace orrery::app {

/// The sidecar hands out no more work than was registered for, so what waits here is bounded by it. A thread starts
/// when there is work and none is idle, up to `size`, and one more for each handler that waits for another process:
/// the one that it waits for may be handled here too.
class host_pool {
 public:
  /// `call` asks another process on behalf of the work of this number.
  using ask = std::function<json(std::uint64_t work, std::string_view name, std::string_view method, json argument,
                                 const call_options&)>;

  host_pool(unsigned size, ask call) : size_(size), ask_(std::move(call)) {}
  ~host_pool() { stop(); }
  host_pool(const host_pool&) = delete;
  host_pool& operator=(const host_pool&) = delete;

  [[nodiscard]] unsigned size() const { return size_; }
  /// Who is told of crashes, from the pool's threads. Before the first work.
  void log_with(std::function<void(const std::string&)> log) { log_ = std::move(log); }
  /// Who is told of what was handled, likewise; null: nobody.
  void count_with(std::shared_ptr<metrics> counts) { counts_ = std::move(counts); }
  /// `what` outlives the pool.
  void submit(const process_class& what, json work, std::shared_ptr<wire> answer_to);
  void abandon(std::uint64_t work);
  void abandon_all();
  /// Work waits or is handled, if only for nobody any more.
  [[nodiscard]] bool is_busy();
  /// Of work whose `done` was sent not long ago: "cart/ada did in call add".
  [[nodiscard]] std::string what_did(std::uint64_t work);
  /// Abandons handlers that run, and waits for them.
  void stop();

 private:
  struct job {
    const process_class* what;
    json work;
    std::uint64_t number;
    std::weak_ptr<wire> answer_to;
    std::stop_source abandoned;
  };
  void run();
  void do_one(const job& next);
  void remember(const job& done);
  json call_while_waiting(std::uint64_t work, std::string_view name, std::string_view method, json argument,
                          const call_options& how);
  void start_thread_if_wanted();

  unsigned size_;
  ask ask_;
  std::function<void(const std::string&)> log_ = [](const std::string&) {};
  std::shared_ptr<metrics> counts_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<job> waiting_;
  std::map<std::uint64_t, std::stop_source> at_work_;
  static constexpr std::size_t done_kept = 1024;
  std::deque<std::pair<std::uint64_t, std::string>> done_;  ///< the last: the sidecar may refuse one
  std::size_t idle_ = 0;
  std::size_t asking_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace orrery::app
