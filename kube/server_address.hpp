#pragma once
#include "mesh/base/result.hpp"

#include <string>
#include <string_view>

namespace orrery::kube {

/// The parts of cluster_config::server.
struct server_address {
  bool tls = true;
  std::string host;  ///< without the brackets of an IPv6 address
  std::string port;
  std::string prefix;  ///< of all paths; "" or "/k8s/clusters/c1"
};

/// "https://[::1]:6443/prefix". Errors: invalid_argument.
[[nodiscard]] result<server_address> parse_server(std::string_view server);

}  // namespace orrery::kube
