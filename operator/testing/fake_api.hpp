#pragma once
// An API server in memory, for tests of what talks to one: objects by their paths, and refusals on request. Its watches
// stay silent, so that copies grow old.
#include "kube/client.hpp"

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace orrery::op::testing {

using kube::json;

/// Thread-safe. A client owns its transport: give it a carrier_to() this, which must outlive the client.
class fake_api {
 public:
  void put(const kube::resource& kind, json object);
  void remove(const kube::resource& kind, const std::string& name);
  /// Null if there is none.
  [[nodiscard]] json get(const kube::resource& kind, const std::string& name) const;
  [[nodiscard]] std::vector<json> all(const kube::resource& kind) const;
  /// Answers writes of a kind with 403 from now on, with these words or its own.
  void refuse_writes(const kube::resource& kind, std::string words = {});
  void accept_all();
  /// Called for each write but of events, before it is done. Set before anything else is asked of this.
  std::function<void(const kube::request& what)> on_write;
  [[nodiscard]] std::unique_ptr<kube::transport> carrier();

 private:
  class wire;
  struct place {
    std::string collection;  // "/api/v1/pods": without the namespace
    std::string name;
    std::string part;
  };
  static place read(std::string path);
  static std::string key(const kube::resource& kind, const std::string& name);
  kube::response answer(const kube::request& what);
  kube::response list(const std::string& collection) const;
  kube::response write(const kube::request& what, const place& at);
  void stamp(json& object);

  mutable std::mutex mutex_;
  std::map<std::string, json> objects_;         // by "collection/name"
  std::map<std::string, std::string> refused_;  // collections, and what is said
  int versions_ = 0;
};

}  // namespace orrery::op::testing
