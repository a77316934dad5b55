#include "kube/tls_environment.hpp"

#include <openssl/x509.h>

#include <cstdlib>
#include <mutex>

namespace orrery::kube {
namespace {

std::once_flag pointed;
bool ours = false;

const char* user_value(const char* name) {
  return std::getenv(name);  // NOLINT(concurrency-mt-unsafe): called once, first thing in main
}

}  // namespace

void point_openssl_defaults_to_nothing() {
  std::call_once(pointed, [] {
    if (user_value("SSL_CERT_FILE") || user_value("SSL_CERT_DIR")) return;
    ::setenv("SSL_CERT_FILE", "/dev/null", 0);    // NOLINT(concurrency-mt-unsafe)
    ::setenv("SSL_CERT_DIR", "/nonexistent", 0);  // NOLINT(concurrency-mt-unsafe)
    ours = true;
  });
}

system_roots system_trust() {
  const auto value = [](const char* name, const char* otherwise) -> std::string {
    const char* set = ours ? nullptr : user_value(name);
    return set ? set : otherwise;
  };
  return {value("SSL_CERT_FILE", X509_get_default_cert_file()), value("SSL_CERT_DIR", X509_get_default_cert_dir())};
}

bool is_our_tls_variable(std::string_view name) { return ours && (name == "SSL_CERT_FILE" || name == "SSL_CERT_DIR"); }

}  // namespace orrery::kube
