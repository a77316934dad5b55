#pragma once
#include "kube/config.hpp"
#include "kube/timestamp.hpp"
#include "mesh/base/result.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace orrery::kube {

/// What an exec plugin answered (ExecCredential.status).
struct exec_credential {
  std::string token;
  std::string certificate;  ///< PEM
  std::string key;          ///< PEM
  std::optional<wall_time> expires;
};

/// Runs the plugin of `config` and waits for it, at most `timeout`; it is killed then.
/// Errors: unauthenticated, with what the plugin wrote to stderr and its install hint.
[[nodiscard]] result<exec_credential> run_exec_plugin(const cluster_config& config, std::chrono::milliseconds timeout);

/// The answer of a plugin as text. Errors: unauthenticated, what is wrong with it.
[[nodiscard]] result<exec_credential> parse_exec_credential(std::string_view text, std::string_view api_version);

}  // namespace orrery::kube
