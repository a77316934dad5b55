#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace orrery::kube {

/// Where the system keeps the certificates that it trusts: the user's SSL_CERT_FILE and SSL_CERT_DIR, or OpenSSL's own.
struct system_roots {
  std::string file;
  std::string directory;
};

/// cpprestsdk makes OpenSSL read the system's whole trust store for each new connection (tens of milliseconds), with no
/// way to ask it not to. This points OpenSSL's default paths to nothing, once per process; connections get what they
/// trust from the cluster's CA, or from system_trust(). Changes the environment: see initialize().
void point_openssl_defaults_to_nothing();

/// As they were before point_openssl_defaults_to_nothing().
[[nodiscard]] system_roots system_trust();

/// For programs that we start: true for a variable that they must not inherit from us,
[[nodiscard]] bool is_our_tls_variable(std::string_view name);
/// and the "NAME=value" entries that the user had set instead.
[[nodiscard]] std::vector<std::string> users_tls_variables();

}  // namespace orrery::kube
