#pragma once
#include "kube/events.hpp"

#include <chrono>
#include <cstddef>
#include <deque>
#include <map>
#include <string>

namespace orrery::kube {

/// Decides what becomes of an event: a new one, one more of one that is there, or nothing because its object has had
/// too many. Pure: the time comes as an argument. Not thread-safe.
class event_correlator {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  explicit event_correlator(const event_recorder_options& options) : options_(options) {}

  struct decision {
    enum class kind : std::uint8_t { create, bump, drop };
    kind what = kind::create;
    std::string name{};  ///< of the event to bump
    std::uint64_t count = 1;
  };
  /// `object` identifies the object, `identity` the object, reason, type and message.
  [[nodiscard]] decision decide(const std::string& object, const std::string& identity, time_point now);
  /// The event was created under that name: its repetitions bump it.
  void created(const std::string& identity, std::string name);
  /// It is there no more (events expire): the next is a new one.
  void forget(const std::string& identity);

 private:
  struct bucket {
    double tokens;
    time_point filled;
  };
  struct known {
    std::string name;  // empty: not created yet
    std::uint64_t count = 0;
  };

  bool allowed(const std::string& object, time_point now);

  event_recorder_options options_;
  std::map<std::string, bucket> buckets_;
  std::map<std::string, known> known_;
  std::deque<std::string> order_;  // of known_, oldest first
};

}  // namespace orrery::kube
