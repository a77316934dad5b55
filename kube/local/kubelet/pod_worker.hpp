#pragma once
#include "kube/local/kubelet/container.hpp"
#include "kube/local/kubelet/environment.hpp"
#include "kube/local/registry.hpp"

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace orrery::local {

/// What a pod needs of its kubelet. Outlives every worker; functions are thread-safe.
struct pod_services {
  registry& objects;
  std::string directory;  ///< DIRECTORY/pods/UID is the pod's
  std::chrono::milliseconds backoff_base;
  std::chrono::milliseconds backoff_max;
  std::uint16_t api_port = 0;
  std::function<std::string(const std::string& image)> program_of;  ///< "" when the image is not mapped
  std::function<std::string(const std::string& base_name)>
      program_by_name;  ///< a mapped program of that file name, or ""
  std::function<std::string(const std::string& space, const std::string& account)> token;
  std::function<std::string(const std::string& space, const std::string& account)> kubeconfig;
  std::string authority;
};

/// One pod on a thread of its own: volumes, containers in their order, probes, restarts, termination, status. Runs
/// until the pod has ended for good (and, if it was deleted, is removed from the API).
class pod_worker {
 public:
  pod_worker(pod_services& services, object_ptr pod, std::string address);
  ~pod_worker();  ///< as shut_down(), and waits
  pod_worker(const pod_worker&) = delete;
  pod_worker& operator=(const pod_worker&) = delete;

  void update(object_ptr pod);  ///< the pod as the API has it now
  void refresh();               ///< config maps or secrets may have changed
  void removed();               ///< the API no longer has it: end at once
  void shut_down();             ///< the cluster stops: end soon
  [[nodiscard]] bool done() const { return done_; }

 private:
  using steady = std::chrono::steady_clock;

  void run();
  void post(std::function<void()> task);
  void wait();
  void step();

  [[nodiscard]] json object(const std::string& bucket, const std::string& name) const;
  bool prepare_volumes();
  /// Where this machine has what the container finds at a path: its mounts, and its termination log.
  [[nodiscard]] std::map<std::string, std::string> mounts_of(const container& one) const;
  [[nodiscard]] std::string termination_log_of(const container& one) const;
  [[nodiscard]] std::string log_of(const container& one) const;  ///< of its present life
  [[nodiscard]] std::string last_words_of(const container& one, const process_exit& exit) const;

  void adopt(const json& pod);
  void advance();
  void try_start(container& one);
  [[nodiscard]] result<process_spec> command_of(container& one);
  [[nodiscard]] result<std::vector<std::string>> environment_of(const container& one, const rewriter& rewrite) const;
  void start_probes(container& one, const process_spec& spec, const rewriter& rewrite);
  void after_startup(container& one);
  void probe_reported(const std::string& name, const std::string& life, const char* kind, bool good,
                      const std::string& message);
  void reap(container& one);
  void ended(container& one, ended_life life);
  [[nodiscard]] bool wants_restart(const container& one) const;

  void stop(container& one, std::chrono::milliseconds grace);
  void begin_termination(std::chrono::milliseconds grace);
  void continue_termination();
  void finish();

  void publish();
  [[nodiscard]] json status() const;
  [[nodiscard]] std::string phase() const;
  void event(const char* type, const char* reason, const std::string& message) const;
  [[nodiscard]] container* find_container(const std::string& name);
  [[nodiscard]] steady::time_point next_deadline() const;

  pod_services& services_;
  json pod_;
  const std::string uid_;
  const std::string address_;
  const std::string folder_;
  std::vector<std::unique_ptr<container>> containers_;  ///< init and sidecars in their order, then the others
  std::map<std::string, std::map<std::string, std::string>> written_;  ///< volume -> what it holds, to see changes
  bool volumes_ready_ = false;
  bool initialized_ = false;
  bool failed_init_ = false;
  bool terminating_ = false;
  bool gone_ = false;       ///< removed from the API
  bool stopping_ = false;   ///< the cluster stops
  bool completed_ = false;  ///< nothing will run any more
  steady::time_point deadline_;
  steady::time_point retry_at_;
  std::string last_trouble_;
  wall_time started_at_;
  std::map<std::string, std::pair<bool, std::string>> conditions_;  ///< type -> value, since
  std::string last_status_;

  int wake_ = -1;
  std::mutex mutex_;
  std::vector<std::function<void()>> inbox_;
  std::atomic<bool> done_ = false;
  std::thread thread_;
};

}  // namespace orrery::local
