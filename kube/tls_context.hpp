#pragma once
#include "kube/credentials.hpp"
#include "mesh/base/result.hpp"

#include <mutex>
#include <string>

struct ssl_ctx_st;  // OpenSSL's SSL_CTX

namespace orrery::kube {

/// Why the last handshake did not verify, in words; libraries above OpenSSL drop it. Thread-safe.
class tls_report {
 public:
  void set(std::string why);
  [[nodiscard]] std::string take();

 private:
  std::mutex mutex_;
  std::string why_;
};

/// Makes `context` trust exactly `material.ca` (as Go does: any certificate in it is a root; if empty, the system's
/// roots and nothing else), present the client certificate if there is one, and refuse TLS before 1.2. `report` must
/// outlive all connections made with the context. Errors: invalid_argument, what is wrong with which PEM.
[[nodiscard]] result<void> configure_tls(ssl_ctx_st* context, const tls_material& material, tls_report& report);

}  // namespace orrery::kube
