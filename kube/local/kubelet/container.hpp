#pragma once
#include "kube/local/json.hpp"
#include "kube/local/kubelet/probe.hpp"
#include "kube/local/kubelet/process.hpp"
#include "kube/local/util.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string>

namespace orrery::local {

/// How a life of a container ended.
struct ended_life {
  int code = 0;
  int signal = 0;
  std::string reason;
  std::string message;
  wall_time started;
  wall_time finished;
  std::string id;
};

/// Appends a process' output to a log file, each line with its time. Lines longer than a bound are cut.
class log_writer {
 public:
  explicit log_writer(std::string path);
  ~log_writer();
  log_writer(const log_writer&) = delete;
  log_writer& operator=(const log_writer&) = delete;
  /// Reads what there is; false at its end.
  bool pump(int descriptor);
  /// Writes an unfinished last line.
  void finish();

 private:
  void line(std::string_view text);
  int file_ = -1;
  std::string partial_;
};

/// A container of a pod: what it is, its process if it has one, and what is known of it. Belongs to the pod's thread.
struct container {
  enum class role { init, sidecar, main };
  json spec;
  role kind = role::main;
  std::string name;

  std::optional<process> running;
  std::unique_ptr<log_writer> log;
  wall_time started_at;
  std::string id;
  std::int64_t restarts = 0;
  bool ever_started = false;
  std::optional<ended_life> last;      ///< of the present state if nothing runs
  std::optional<ended_life> previous;  ///< lastState
  std::string waiting_reason = "ContainerCreating";
  std::string waiting_message;

  bool startup_passed = false;
  bool ready = false;
  std::string kill_reason;  ///< why a restart was asked for; empty: none was
  std::unique_ptr<prober> startup;
  std::unique_ptr<prober> liveness;
  std::unique_ptr<prober> readiness;

  std::chrono::milliseconds backoff{0};
  std::chrono::steady_clock::time_point not_before;  ///< no start earlier
  bool stopping = false;                             ///< SIGTERM was sent or the hook runs
  std::chrono::steady_clock::time_point kill_at;
  std::thread hook;  ///< runs preStop, then sends SIGTERM through the pod's inbox

  /// The entry of containerStatuses.
  [[nodiscard]] json status() const;
  [[nodiscard]] bool succeeded() const { return !running && last && last->code == 0; }
  void stop_probes();
};

}  // namespace orrery::local
