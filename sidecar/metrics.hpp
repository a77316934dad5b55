#pragma once
// What Prometheus scrapes. Label sets are closed: classes of the configuration, codes, kinds; never keys or pods.
#include "mesh/base/result.hpp"
#include "mesh/node/node.hpp"

#include "shell/http_server.hpp"
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::sidecar {

/// Of the SDK protocol's server.
struct sdk_stats {
  std::size_t connections = 0;
  std::uint64_t accepted = 0;
  std::uint64_t refused_full = 0;  ///< over the maximum
  std::uint64_t ended = 0;         ///< they broke the rules, or did not read or answer
};

/// Numbers that are read when somebody scrapes.
struct observed {
  node::status node;
  std::optional<value> nodes;  ///< GET /v1/nodes
  std::optional<value> tree;   ///< GET /v1/tree?node=local
  std::optional<value> load;   ///< node::load_op
  shell::http_server_stats sdk;
  sdk_stats streams;
  std::int64_t certificate_expires_at = 0;
  std::uint64_t inbound_refused = 0;
  bool discovery_connected = true;
  std::uint64_t discovery_failures = 0;
  std::string discovery_error;  ///< of the latest failure; empty after a success
  std::size_t event_subscribers = 0;
};

/// Used on the io_context's thread.
class metrics {
 public:
  metrics();
  ~metrics();
  metrics(const metrics&) = delete;
  metrics& operator=(const metrics&) = delete;

  /// Classes that are not in the list are counted as "unknown".
  void set_classes(const std::vector<process::class_spec>& classes);
  /// A call of an SDK client was answered; nothing for `code`: it succeeded.
  void count_call(const class_name& klass, std::optional<errc> code, std::chrono::nanoseconds took);
  /// Counts restarts, exits and what else an event tells.
  void count_event(const node::notify& told);
  /// One step of the node's core took so long: the bound of what any one message waited for another.
  void count_step(std::chrono::nanoseconds took);
  /// The node had its turn so long after it was due.
  void count_turn(std::chrono::nanoseconds late);
  void count_config(bool accepted);
  void count_certificate(bool accepted);

  /// The text format, version 0.0.4.
  [[nodiscard]] std::string text(const observed& now) const;

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

/// The kind in an exit reason's text, from a closed set: "error: line 3: ..." -> "error".
[[nodiscard]] std::string_view reason_label(std::string_view reason) noexcept;

}  // namespace orrery::sidecar
