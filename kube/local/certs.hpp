#pragma once
#include "mesh/base/result.hpp"

#include <string>
#include <vector>

namespace orrery::local {

/// A certificate and its private key, PEM.
struct key_pair {
  std::string certificate;
  std::string key;
};

/// The cluster's own certificate authority, made afresh for each life of the cluster. ECDSA P-256.
class authority {
 public:
  [[nodiscard]] static result<authority> make();

  [[nodiscard]] const std::string& certificate() const { return own_.certificate; }
  /// For the API server: names are DNS names or IP addresses.
  [[nodiscard]] result<key_pair> issue_server(const std::vector<std::string>& names) const;
  /// For a client: user is the CN, groups are O's, as Kubernetes reads them.
  [[nodiscard]] result<key_pair> issue_client(const std::string& user, const std::vector<std::string>& groups) const;

 private:
  key_pair own_;
};

}  // namespace orrery::local
