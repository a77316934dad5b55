#pragma once
// What was asked of the sidecar and has no answer yet: waiting for a connection or for its turn, or sent.
#include "wire.hpp"
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>

namespace orrery::app {

/// The result of request `number`, as the sidecar says it: {"ok": ...} or {"error": {"code", "text", "effect"}}.
using on_result = std::function<void(std::uint64_t number, nlohmann::json result)>;

/// When a request is sent. `in_turn`: when the connection has room for it. `ahead`: before those in turn, and however
/// many of them are under way. `at_once`: as ahead, or where there is no connection not at all.
enum class turn { in_turn, ahead, at_once };

struct request {
  nlohmann::json message;  ///< without `id`
  on_result done;          ///< runs once, without locks, on any thread; inside `begin` only where it may not wait
  const char* effect_if_lost = "unknown";
  std::chrono::milliseconds timeout{0};  ///< 0: none of its own, once it is sent
  turn when = turn::in_turn;
  std::shared_ptr<wire> on = nullptr;  ///< of this connection only: refused, not executed, where it has ended
};

/// Any thread may use it. Requests that are sent before others arrive before them. It keeps deadlines with a thread of
/// its own; the sidecar keeps those of calls, starts and claims too, so theirs are `grace` later here.
class requests {
 public:
  explicit requests(std::chrono::milliseconds connect_timeout);
  ~requests();
  requests(const requests&) = delete;
  requests& operator=(const requests&) = delete;

  /// Its number. Throws `error` after `stop`.
  std::uint64_t begin(request what);
  /// Gives it up. Its result says whether it was carried out; there is none for what has one.
  void cancel(std::uint64_t number);
  /// From who receives: an answer, a connection, that it has room for so many requests in turn, its end.
  void answered(nlohmann::json& result);
  void opened(std::shared_ptr<wire> to);
  void admit(std::size_t room);
  void lost(const std::string& why);
  /// There will be no connection: what waits for one ends with `forbidden`, not executed, and so does what comes, until
  /// one is opened or `why` is empty.
  void deny(const std::string& why);
  /// How many were under way at once since the last time.
  [[nodiscard]] std::size_t take_peak() noexcept { return peak_.exchange(0); }
  /// The connection, where there is one.
  [[nodiscard]] std::shared_ptr<wire> line() const;
  /// Ends what is under way. Returns when the timekeeper has run each `done` of that, and has ended.
  void stop();

  static constexpr std::chrono::seconds grace{2};

 private:
  using clock = std::chrono::steady_clock;
  struct entry {
    request what;
    bool sent = false;
    clock::time_point wait_until{};    ///< for a connection and a turn
    clock::time_point answer_until{};  ///< none: for ever
    clock::time_point due{};           ///< whichever of the two counts now
  };
  using entries = std::map<std::uint64_t, entry>;

  /// False: the connection has ended, and it was not sent.
  bool send(entry& what, std::uint64_t number);
  void wait(entry& what, std::uint64_t number);
  [[nodiscard]] bool may_wait(const request& what) const;
  /// Sends what waits and goes ahead, then what has its turn.
  void admit();
  /// The timekeeper runs its `done`.
  void end_later(entry what, std::uint64_t number, nlohmann::json why);
  void set_due(entry& what, std::uint64_t number, clock::time_point when);
  entry take(entries::iterator which);
  void keep_time();
  /// What is over its time, and why.
  std::pair<entry, nlohmann::json> overdue(std::uint64_t number);

  std::chrono::milliseconds connect_timeout_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<wire> line_;
  std::string trouble_;
  std::string denied_;
  std::size_t room_ = 0;
  std::size_t sent_ = 0;
  std::atomic<std::size_t> peak_ = 0;
  std::uint64_t last_ = 0;
  entries open_;
  std::deque<std::uint64_t> ahead_;
  std::deque<std::uint64_t> waiting_;
  struct end {
    on_result done;
    std::uint64_t number;
    nlohmann::json why;
  };
  std::deque<end> ends_;  ///< of the timekeeper
  std::set<std::pair<clock::time_point, std::uint64_t>> due_;
  clock::time_point looks_at_ = clock::time_point::max();  ///< when the timekeeper wakes by itself
  bool stopping_ = false;
  std::thread timekeeper_;
};

[[nodiscard]] nlohmann::json failed(const char* code, const std::string& text, const char* effect);

}  // namespace orrery::app
