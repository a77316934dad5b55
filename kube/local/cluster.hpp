#pragma once
// kube/local: a Kubernetes cluster small enough to embed: an API server over an in-memory store, the few controllers
// that a mesh needs, and a kubelet that runs each container as a local process. README.md tells what it does not do.
#include "mesh/base/result.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace orrery::local {

struct cluster_options {
  std::string directory;                           ///< for the kubeconfig and the pods; made if absent
  std::uint16_t port = 0;                          ///< of the API server on 127.0.0.1; 0: any
  int nodes = 1;                                   ///< pods are spread over so many node names; all are this machine
  bool kubelet = true;                             ///< false: pods stay Pending
  bool authorize = true;                           ///< enforce RBAC for service accounts
  std::map<std::string, std::string> images;       ///< image name -> path of the program to run for it
  std::chrono::milliseconds backoff_base{10'000};  ///< first CrashLoopBackOff; doubles up to backoff_max
  std::chrono::milliseconds backoff_max{300'000};
  std::size_t history_max = 4096;  ///< changes kept per resource: a watch from before them gets 410
};

/// A running cluster. Thread-safe. Its state lives in memory and ends with it; its destructor terminates every pod
/// (within two seconds, by SIGKILL if need be) and joins every thread. Pods do not outlive this process even if it is
/// killed.
class cluster {
 public:
  /// `io` when the directory or the port cannot be used.
  [[nodiscard]] static result<std::unique_ptr<cluster>> start(cluster_options chosen);
  ~cluster();
  cluster(const cluster&) = delete;
  cluster& operator=(const cluster&) = delete;

  /// "https://127.0.0.1:PORT"
  [[nodiscard]] std::string url() const;
  /// An administrator's kubeconfig with embedded certificates; the namespace is "default".
  [[nodiscard]] std::string kubeconfig_path() const;
  [[nodiscard]] std::string admin_token() const;
  /// A kubeconfig with the token of a service account, as pods get it.
  [[nodiscard]] std::string service_account_kubeconfig(const std::string& space, const std::string& name) const;
  [[nodiscard]] std::string authority_certificate() const;

  /// As POST /orrery/faults: a JSON object with latency_ms, error_rate, error_code, conflict_rate, gone_rate,
  /// drop_rate, drop_watches, outage, user_agent, path. `invalid_argument` names what is wrong.
  result<void> inject(const std::string& faults_json);
  void clear_faults();
  /// Every watch from before now gets 410 Gone.
  void compact();
  /// Adds or replaces an image.
  void map_image(const std::string& name, const std::string& program);

 private:
  class impl;
  explicit cluster(std::unique_ptr<impl> inner);
  std::unique_ptr<impl> impl_;
};

}  // namespace orrery::local
