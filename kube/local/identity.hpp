#pragma once
#include "kube/local/registry.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::local {

/// Who asks.
struct identity {
  std::string user;
  std::vector<std::string> groups;
};

/// Makes and checks bearer tokens. A token names its service account and is sealed with a key of this cluster's life.
class token_issuer {
 public:
  token_issuer();

  [[nodiscard]] std::string service_account_token(const std::string& space, const std::string& name) const;
  [[nodiscard]] const std::string& admin_token() const { return admin_; }
  /// Nothing for a token that is not ours, or whose service account no longer exists.
  [[nodiscard]] std::optional<identity> check(std::string_view token, store& objects) const;

 private:
  [[nodiscard]] std::string seal(std::string_view text) const;
  std::string key_;
  std::string admin_;
};

/// What a request does, in RBAC's terms.
struct action {
  std::string verb;
  std::string group;
  std::string resource;  ///< with subresource: "pods/log"
  std::string space;     ///< "" for cluster-wide
  std::string name;
};

/// Whether Roles and ClusterRoles bound to the identity allow the action. system:masters may do everything.
[[nodiscard]] bool allowed(const identity& who, const action& what, store& objects);

/// 403 in Kubernetes' words.
[[nodiscard]] tl::unexpected<api_error> forbidden(const identity& who, const action& what);

}  // namespace orrery::local
