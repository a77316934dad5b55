#pragma once
#include "kube/local/json.hpp"
#include "kube/local/status.hpp"

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

namespace orrery::local {

/// What may go wrong on purpose. Rates are probabilities in [0, 1]. All off by default.
struct fault_plan {
  std::chrono::milliseconds latency{0};  ///< before every answer
  double error_rate = 0;                 ///< requests answered with error_code
  int error_code = 500;                  ///< 429 and 503 carry Retry-After: 1
  double conflict_rate = 0;              ///< PUT and PATCH answered with 409
  double gone_rate = 0;    ///< watches that begin with 410 Gone, half as a status, half inside of the stream
  double drop_rate = 0;    ///< watches that are cut, per second
  bool outage = false;     ///< every connection is closed at once
  std::string user_agent;  ///< only requests whose User-Agent contains this
  std::string path;        ///< only requests whose path contains this
};

/// The faults in force. Thread-safe.
class faults {
 public:
  [[nodiscard]] fault_plan plan() const;
  void set(fault_plan plan);
  /// Merges the fields of {"latency_ms", "error_rate", "error_code", "conflict_rate", "gone_rate", "drop_rate",
  /// "drop_watches", "outage", "user_agent", "path"} into the plan. 400 names an unknown or mistyped field.
  reply<void> merge(const json& wanted);
  void clear();
  [[nodiscard]] json describe() const;

  /// Cuts every watch that is open now.
  void drop_watches();
  /// Changes whenever open watches are to be cut.
  [[nodiscard]] std::uint64_t drop_epoch() const;

 private:
  mutable std::mutex mutex_;
  fault_plan plan_;
  std::uint64_t drop_epoch_ = 0;
};

}  // namespace orrery::local
