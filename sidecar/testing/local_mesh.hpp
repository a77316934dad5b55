#pragma once
// A mesh of real sidecar processes on loopback, with certificates and a static list of peers: for tests and benchmarks.
#include "mesh/base/result.hpp"
#include "mesh/pki/authority.hpp"

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace orrery::sidecar::fixtures {

struct local_mesh_options {
  std::string binary;  ///< orrery-sidecar
  std::size_t nodes = 3;
  std::string classes;  ///< the `classes:` list of config.yaml, its lines indented by two
  std::string settings = "failureDetection: {heartbeatInterval: 100ms, downAfter: 1s}\ndrainTimeout: 5s\n";
};

struct reply {
  int status = 0;
  std::string body;
  std::string head;
};

/// Owns its processes and a temporary directory; destroying kills and removes. Each node has a loopback address of its
/// own (127.x.y.z), on which all its ports are the documented ones. Methods throw std::runtime_error when the
/// environment fails them: this is no shipped code.
class local_mesh {
 public:
  explicit local_mesh(local_mesh_options options);
  ~local_mesh();
  local_mesh(const local_mesh&) = delete;
  local_mesh& operator=(const local_mesh&) = delete;

  [[nodiscard]] std::size_t size() const { return nodes_.size(); }
  [[nodiscard]] std::string name(std::size_t node) const { return nodes_[node].name; }
  [[nodiscard]] std::string ip(std::size_t node) const { return nodes_[node].ip; }
  [[nodiscard]] pid_t pid(std::size_t node) const { return nodes_[node].pid; }
  [[nodiscard]] std::string sdk_url(std::size_t node) const { return "http://" + ip(node) + ":3600"; }
  /// Where the SDK protocol is served: a path, and an address.
  [[nodiscard]] std::string sdk_socket(std::size_t node) const { return (directory(node) / "sdk.sock").string(); }
  [[nodiscard]] std::string sdk_stream(std::size_t node) const { return ip(node) + ":3603"; }
  [[nodiscard]] std::filesystem::path directory(std::size_t node) const { return root_ / name(node); }
  /// What it has logged so far.
  [[nodiscard]] std::string log(std::size_t node) const;
  /// What its latest life left in its termination log.
  [[nodiscard]] std::string last_word(std::size_t node) const;

  void start(std::size_t node);
  void signal(std::size_t node, int number) const;
  /// Waits until it has ended; its exit code, or 128 + signal. Nothing after `timeout`.
  std::optional<int> wait_exit(std::size_t node, std::chrono::milliseconds timeout);
  /// Waits until /readyz of every running node says 200.
  [[nodiscard]] bool wait_ready(std::chrono::milliseconds timeout) const;

  /// One HTTP exchange on a connection of its own; status 0 if that fails or takes over `timeout`.
  [[nodiscard]] reply ask(std::size_t node, const std::string& method, const std::string& target,
                          const std::string& body = {},
                          std::chrono::milliseconds timeout = std::chrono::seconds{5}) const;
  [[nodiscard]] reply ask_admin(std::size_t node, const std::string& target) const;
  /// The bytes as they are; what came back until the server closed, or `timeout`.
  [[nodiscard]] std::string send_raw(std::size_t node, const std::string& bytes, std::chrono::milliseconds timeout,
                                     std::uint16_t port = 3600) const;

  /// Rewrites every node's config.yaml; they notice within a second or two.
  void write_config(const std::string& classes);
  /// Replaces a node's certificate by a new one of this authority (by default the mesh's).
  void issue_certificate(std::size_t node, std::chrono::seconds valid_for);

  static bool eventually(std::chrono::milliseconds timeout, const std::function<bool()>& condition);

 private:
  struct member {
    std::string name;
    std::string ip;
    pid_t pid = 0;
  };

  local_mesh_options options_;
  std::filesystem::path root_;
  pki::credentials authority_;
  std::vector<member> nodes_;
};

}  // namespace orrery::sidecar::fixtures
