#pragma once
#include "kube/config.hpp"
#include "mesh/base/result.hpp"

#include <chrono>
#include <memory>
#include <string>

namespace orrery::kube {

/// PEM texts for one TLS connection; empty where not given.
struct tls_material {
  std::string ca;
  std::string certificate;
  std::string key;
};

/// The secrets of a cluster_config, kept fresh: token files are re-read at most every `token_max_age`, exec plugins are
/// run again when their credential expires, certificate files are read for each new connection. Thread-safe; calls may
/// block on files or on an exec plugin (at most `exec_timeout`).
class credentials {
 public:
  static constexpr std::chrono::seconds token_max_age{50};
  static constexpr std::chrono::seconds exec_timeout{60};

  explicit credentials(cluster_config config);
  ~credentials();
  credentials(const credentials&) = delete;
  credentials& operator=(const credentials&) = delete;

  [[nodiscard]] const cluster_config& config() const noexcept;
  /// The bearer token to send, or "" if there is none. A token file that cannot be read any more yields the last token
  /// read, if any.
  [[nodiscard]] result<std::string> token();
  /// What a new connection needs. Errors: io, invalid_argument: which file, and why.
  [[nodiscard]] result<tls_material> tls();
  /// The server refused us (401): forget what is cached, so that the next call reads it again.
  void invalidate();

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace orrery::kube
