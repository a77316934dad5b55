#pragma once
#include "kube/resource.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace orrery::kube {

class client;

enum class event_type : std::uint8_t { normal, warning };

struct event_recorder_options {
  std::string component;              ///< source.component and reportingComponent: "orrery-operator"
  std::string instance{};             ///< source.host and reportingInstance: the pod's name
  std::size_t queue_max = 1000;       ///< waiting events; more are dropped and counted
  std::size_t remembered_max = 4096;  ///< distinct events whose repetitions are counted
  std::size_t burst = 25;             ///< of one object; then one each:
  std::chrono::seconds refill{30};
};

struct event_recorder_stats {
  std::uint64_t written = 0;
  std::uint64_t dropped_queue = 0;
  std::uint64_t dropped_rate = 0;
  std::uint64_t failed = 0;
};

/// Writes core/v1 Events about objects, so that `kubectl describe` tells what happened. Never blocks and never fails
/// its caller: events are hints. The same object, reason and message again bumps the count of the event there is. Owns
/// one thread. Thread-safe.
class event_recorder {
 public:
  event_recorder(client& api, event_recorder_options options);
  ~event_recorder();  ///< gives what is queued two seconds to be written
  event_recorder(const event_recorder&) = delete;
  event_recorder& operator=(const event_recorder&) = delete;

  /// `reason` is CamelCase and from a closed set; `message` is for people (cut at 1024 bytes).
  void record(const resource& kind, const json& object, event_type type, std::string_view reason,
              std::string_view message);
  /// Waits until all that was recorded is written or given up; false after `timeout`.
  bool flush(std::chrono::milliseconds timeout);
  [[nodiscard]] event_recorder_stats stats() const;

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace orrery::kube
