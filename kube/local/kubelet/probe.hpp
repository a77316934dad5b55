#pragma once
#include "kube/local/json.hpp"
#include "kube/local/kubelet/process.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace orrery::local {

/// What a probe or a hook is run against.
struct probe_target {
  std::string address;  ///< of the pod
  json container;       ///< its spec: named ports are looked up here
  process_spec exec;    ///< environment and directory for exec; the arguments are rewritten by `rewrite`
  std::function<std::string(const std::string&)> rewrite;
};

struct probe_outcome {
  bool good = false;
  std::string message;
};

/// Runs httpGet, tcpSocket or exec once, for at most `timeout`; `cancelled` is looked at a few times per second.
/// Anything else (grpc; httpGet with scheme HTTPS) is checked by connecting.
[[nodiscard]] probe_outcome run_action(const json& action, const probe_target& target,
                                       std::chrono::milliseconds timeout, const std::function<bool()>& cancelled);

/// Repeats a probe on a thread of its own and reports when its thresholds are passed: first outcome, then each change.
class prober {
 public:
  using report = std::function<void(bool good, const std::string& message)>;
  prober(json probe, probe_target target, report on_change);
  ~prober();
  prober(const prober&) = delete;
  prober& operator=(const prober&) = delete;

 private:
  void run();
  bool pause(std::chrono::milliseconds time);

  json probe_;
  probe_target target_;
  report report_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace orrery::local
