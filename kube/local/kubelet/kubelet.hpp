#pragma once
#include "kube/local/registry.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

namespace orrery::local {

/// Runs the pods of all nodes as local processes and reports their status. One thread follows the store; each pod has a
/// thread of its own. Its destructor ends every pod.
class kubelet {
 public:
  struct options {
    std::string directory;                      ///< pods live in DIRECTORY/pods/UID/{volumes,logs}
    std::map<std::string, std::string> images;  ///< image -> program
    std::chrono::milliseconds backoff_base{10'000};
    std::chrono::milliseconds backoff_max{300'000};
    std::uint16_t api_port = 0;
    std::function<std::string(const std::string& space, const std::string& account)> token;
    std::function<std::string(const std::string& space, const std::string& account)> kubeconfig;
    std::string authority;  ///< PEM
  };
  kubelet(registry& objects, options chosen);
  ~kubelet();
  kubelet(const kubelet&) = delete;
  kubelet& operator=(const kubelet&) = delete;

  void map_image(const std::string& name, const std::string& program);

 private:
  class impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace orrery::local
