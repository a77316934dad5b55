#pragma once
#include "kube/local/certs.hpp"

#include <string>

namespace orrery::local {

/// What a client needs to reach the cluster as one user: a certificate or, if that is empty, a token.
struct kubeconfig_parts {
  std::string server;
  std::string authority;  ///< PEM
  std::string user;
  std::string space = "default";
  std::string token;
  key_pair certificate;
};

[[nodiscard]] std::string to_kubeconfig(const kubeconfig_parts& parts);

}  // namespace orrery::local
