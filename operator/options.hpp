#pragma once
#include <string>
#include <vector>

namespace orrery::op {

struct options {
  std::string kubeconfig;
  std::string context;
  std::vector<std::string> namespaces;  ///< to watch; empty: all
  bool leader_election = true;
  std::string leader_election_namespace;  ///< empty: the operator's own
  std::string metrics_address = "0.0.0.0:8080";
  std::string log_level = "info";
  std::string sidecar_image = "localhost/orrery-sidecar:dev";
};

/// What the command line says. Prints help, version or what is wrong; then `exit_code` is not negative.
struct parsed_options {
  options chosen;
  int exit_code = -1;
};
[[nodiscard]] parsed_options parse_options(int argc, const char* const* argv);

}  // namespace orrery::op
