#pragma once
#include "kube/resource.hpp"
#include "mesh/base/result.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::plan {

using kube::json;

/// "1m30s", "500ms": any duration of whole milliseconds. Errors: invalid_argument.
[[nodiscard]] result<std::chrono::milliseconds> parse_milliseconds(std::string_view text);
/// The shortest single number and unit that says it exactly: "500ms", "90s", "24h".
[[nodiscard]] std::string to_text(std::chrono::milliseconds duration);

/// What is wrong with one field: for a condition that says where, what, and what would be accepted.
struct spec_problem {
  std::string field;  ///< "spec.failureDetection.downAfter"
  std::string why;
  friend bool operator==(const spec_problem&, const spec_problem&) = default;
};
[[nodiscard]] std::string to_text(const std::vector<spec_problem>& problems);

/// A ProcessMesh's spec with the schema's defaults, typed.
struct mesh_spec {
  std::int64_t replicas = 3;
  std::string image;
  std::string image_pull_policy = "IfNotPresent";
  std::string log_level = "info";
  std::int64_t sdk_port = 3600;
  std::int64_t mesh_port = 3601;
  std::int64_t admin_port = 3602;
  std::int64_t stream_port = 3603;
  std::chrono::milliseconds heartbeat_interval{500};
  std::chrono::milliseconds down_after{2000};
  std::chrono::milliseconds certificate_ttl{std::chrono::hours{24}};
  std::chrono::milliseconds ca_ttl{std::chrono::hours{2160}};
  std::int64_t update_max_unavailable = 1;
  bool update_paused = false;
  std::int64_t disruption_max_unavailable = 1;
  std::chrono::milliseconds node_lost_after{30'000};
  std::chrono::milliseconds drain_timeout{20'000};
};

struct parsed_spec {
  mesh_spec spec;
  /// What the schema cannot refuse. Fields that are named here hold their defaults.
  std::vector<spec_problem> problems;
};

/// Reads a ProcessMesh. Accepts any JSON: the schema has been checked by the API server, and what it cannot express is
/// checked here. `default_image` is the sidecar's image where the spec names none.
[[nodiscard]] parsed_spec parse_mesh(const json& mesh, std::string_view default_image);

}  // namespace orrery::plan
