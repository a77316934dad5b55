#pragma once
#include "mesh/base/time.hpp"
#include "sidecar/origins.hpp"

#include <optional>
#include <string>

namespace orrery::sidecar {

/// The command line, with what the environment of the pod fills in.
struct options {
  std::string config_path;
  std::string genesis_path;
  std::string tls_directory;
  std::string sdk_address = "127.0.0.1:3600";
  std::string sdk_socket;  ///< path of the SDK protocol's Unix socket; empty: none
  std::string sdk_stream;  ///< IP:PORT of the SDK protocol on TCP; empty: none
  origins pages;           ///< of browsers that may use the SDK's HTTP interface
  std::string listen_ip;   ///< of the mesh and admin ports, and what peers are told
  std::string pod_name;
  std::string pod_namespace;
  std::string pod_uid;
  std::string kubeconfig;  ///< empty: $KUBECONFIG, in-cluster, ~/.kube/config
  std::string context;
  std::string member_cache;           ///< the file in which the members are kept for the next start; empty: not kept
  std::optional<duration> busy_poll;  ///< how long to look for work before sleeping; none: busy_poll_length()
  std::string termination_log = "/dev/termination-log";  ///< where the reason of codes 1, 70, 71 and 78 is left
};

/// What the process ends with; --help lists them.
enum class exit_code : int {
  drained = 0,
  cannot_start = 1,
  usage = 2,
  node_escalation = 70,
  pod_escalation = 71,
  bad_configuration = 78,
  forced = 143,
};

struct parsed_options {
  std::optional<options> run;
  exit_code otherwise = exit_code::drained;  ///< if there is nothing to run: help was asked for, or the usage is wrong
};
/// Prints help, the version, or what is wrong.
[[nodiscard]] parsed_options parse_options(int argc, char** argv);

}  // namespace orrery::sidecar
