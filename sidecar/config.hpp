#pragma once
// sidecar: config.yaml and genesis.yaml as the operator (or a person) writes them; see docs/architecture.md.
#include "mesh/base/result.hpp"
#include "mesh/base/time.hpp"
#include "mesh/node/node.hpp"
#include "mesh/process/spec.hpp"

#include "shell/log.hpp"
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::sidecar {

enum class discovery_mode : std::uint8_t { kubernetes, fixed };

struct config {
  std::string mesh;
  std::string name_space;
  discovery_mode discovery = discovery_mode::kubernetes;
  std::string selector;                      ///< of pods; kubernetes mode
  std::vector<node::expected_member> peers;  ///< static mode; may or may not name this node
  std::uint16_t mesh_port = 3601;
  std::uint16_t admin_port = 3602;
  duration heartbeat_interval = std::chrono::milliseconds{500};
  duration down_after = std::chrono::seconds{2};
  duration drain_timeout = std::chrono::seconds{20};
  shell::log_level level = shell::log_level::info;
  std::vector<process::class_spec> classes;
  std::vector<std::string> warnings;  ///< fields that are not known; ignored
};

struct genesis {
  std::string mesh_id;
  std::vector<std::string> members;
};

inline constexpr std::size_t config_bytes_max = 4U << 20U;
inline constexpr std::size_t classes_max = 1000;
inline constexpr std::size_t peers_max = 1000;

/// Errors: invalid_argument, each as "ORIGIN: line 7: classes[0].supervision.period: ..." with what would be accepted;
/// several faults in one message (at most ten).
[[nodiscard]] result<config> parse_config(std::string_view yaml, const std::string& origin);
[[nodiscard]] result<genesis> parse_genesis(std::string_view yaml, const std::string& origin);

/// The same from a file. Errors also: io (with the path and the system's reason), too_large.
[[nodiscard]] result<config> load_config(const std::string& path);
[[nodiscard]] result<genesis> load_genesis(const std::string& path);

/// Reads a whole file. Errors: io, too_large.
[[nodiscard]] result<std::string> read_file(const std::string& path, std::size_t bytes_max);

}  // namespace orrery::sidecar
