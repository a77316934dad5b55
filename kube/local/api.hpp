#pragma once
#include "kube/local/faults.hpp"
#include "kube/local/http.hpp"
#include "kube/local/identity.hpp"
#include "kube/local/registry.hpp"

#include <memory>
#include <string>

namespace orrery::local {

/// The Kubernetes API over a registry: who may ask, routes, content types, subresources, watches. No sockets: an
/// http_request comes in, an http_response goes out. Thread-safe.
class api {
 public:
  struct options {
    std::string directory;  ///< of the kubelet, for logs: DIRECTORY/pods/UID/logs
    bool authorize = true;  ///< enforce RBAC; otherwise everybody who is known may do everything
  };
  api(registry& objects, token_issuer& tokens, faults& broken, options chosen);

  [[nodiscard]] http_response handle(const http_request& request);

 private:
  struct target;
  [[nodiscard]] http_response route(const http_request& request);
  [[nodiscard]] http_response resources(const http_request& request, const identity& who);
  [[nodiscard]] http_response dispatch(const http_request& request, const identity& who, const target& at);
  [[nodiscard]] http_response list(const http_request& request, const target& at);
  [[nodiscard]] http_response watch(const http_request& request, const target& at);
  [[nodiscard]] http_response write(const http_request& request, const identity& who, const target& at);
  [[nodiscard]] http_response remove(const http_request& request, const target& at);
  [[nodiscard]] http_response remove_all(const http_request& request, const target& at);
  [[nodiscard]] http_response scale(const http_request& request, const target& at);
  [[nodiscard]] http_response log(const http_request& request, const target& at);
  [[nodiscard]] http_response forward(const http_request& request, const target& at);
  [[nodiscard]] http_response evict(const http_request& request, const target& at);
  [[nodiscard]] http_response issue_token(const http_request& request, const target& at);
  [[nodiscard]] http_response review(const http_request& request, const identity& who, const target& at);
  [[nodiscard]] http_response fault_interface(const http_request& request, const identity& who);
  [[nodiscard]] std::optional<identity> who_is(const http_request& request) const;
  [[nodiscard]] std::optional<http_response> inject(const http_request& request);

  registry& registry_;
  token_issuer& tokens_;
  faults& faults_;
  options options_;
};

}  // namespace orrery::local
