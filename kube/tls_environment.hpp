#pragma once
#include <string>
#include <string_view>

namespace orrery::kube {

/// Where the system keeps the certificates that it trusts: the user's SSL_CERT_FILE and SSL_CERT_DIR, or OpenSSL's own.
struct system_roots {
  std::string file;
  std::string directory;
};

/// cpprestsdk makes OpenSSL read the system's whole trust store for each new connection (87 ms; 5.5 ms without), with
/// no way to ask it not to. This points OpenSSL's default paths to nothing, once per process; connections get their
/// certificates by system_trust() or from the cluster's CA instead. Changes the environment: see initialize().
/// Leaves alone what the user has set.
void point_openssl_defaults_to_nothing();

/// As they were before point_openssl_defaults_to_nothing().
[[nodiscard]] system_roots system_trust();

/// True for a variable that point_openssl_defaults_to_nothing() has set: not to be inherited by programs that we start.
[[nodiscard]] bool is_our_tls_variable(std::string_view name);

}  // namespace orrery::kube
