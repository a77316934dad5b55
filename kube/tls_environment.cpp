#include "kube/tls_environment.hpp"

#include <openssl/x509.h>

#include <cstdlib>
#include <mutex>
#include <optional>

namespace orrery::kube {
namespace {

constexpr const char* file_variable = "SSL_CERT_FILE";
constexpr const char* directory_variable = "SSL_CERT_DIR";

struct users_values {
  std::optional<std::string> file;
  std::optional<std::string> directory;
};

std::once_flag pointed;
std::optional<users_values> saved;  // set once, by the call below

std::optional<std::string> value_of(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): first thing in main
  return value ? std::optional<std::string>{value} : std::nullopt;
}

users_values users() { return saved ? *saved : users_values{value_of(file_variable), value_of(directory_variable)}; }

}  // namespace

void point_openssl_defaults_to_nothing() {
  std::call_once(pointed, [] {
    saved = users_values{value_of(file_variable), value_of(directory_variable)};
    ::setenv(file_variable, "/dev/null", 1);          // NOLINT(concurrency-mt-unsafe)
    ::setenv(directory_variable, "/nonexistent", 1);  // NOLINT(concurrency-mt-unsafe)
  });
}

system_roots system_trust() {
  const auto set = users();
  return {set.file.value_or(X509_get_default_cert_file()), set.directory.value_or(X509_get_default_cert_dir())};
}

bool is_our_tls_variable(std::string_view name) {
  return saved && (name == file_variable || name == directory_variable);
}

std::vector<std::string> users_tls_variables() {
  std::vector<std::string> entries;
  if (!saved) return entries;
  if (saved->file) entries.push_back(std::string{file_variable} + "=" + *saved->file);
  if (saved->directory) entries.push_back(std::string{directory_variable} + "=" + *saved->directory);
  return entries;
}

}  // namespace orrery::kube
