#pragma once
// What pki and net share of OpenSSL. Heavy: include from .cpp files only.
#include "mesh/base/identity.hpp"
#include "mesh/base/result.hpp"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::pki {

struct openssl_free {
  void operator()(BIO* owned) const noexcept { BIO_free_all(owned); }
  void operator()(EVP_PKEY* owned) const noexcept { EVP_PKEY_free(owned); }
  void operator()(X509* owned) const noexcept { X509_free(owned); }
  void operator()(X509_EXTENSION* owned) const noexcept { X509_EXTENSION_free(owned); }
  void operator()(ASN1_TIME* owned) const noexcept { ASN1_TIME_free(owned); }
  void operator()(BIGNUM* owned) const noexcept { BN_free(owned); }
  void operator()(GENERAL_NAMES* owned) const noexcept { GENERAL_NAMES_free(owned); }
  void operator()(SSL_CTX* owned) const noexcept { SSL_CTX_free(owned); }
  void operator()(SSL* owned) const noexcept { SSL_free(owned); }
};
template <class T>
using owned = std::unique_ptr<T, openssl_free>;

/// The newest reason in OpenSSL's per-thread error queue, which is emptied: stale entries confuse later TLS calls.
[[nodiscard]] std::string take_openssl_error();

/// All certificates of a PEM text, at least one. `what` names the text in errors: "ca.crt", "the certificate".
[[nodiscard]] result<std::vector<owned<X509>>> parse_certificates(std::string_view pem, std::string_view what);
/// A private key; a password is refused, not asked for.
[[nodiscard]] result<owned<EVP_PKEY>> parse_key(std::string_view pem, std::string_view what);

/// The subject's common name, "" where there is none; bytes that do not print are shown as '?', for it goes to logs.
[[nodiscard]] std::string common_name_of(X509& certificate);

/// The only orrery:// URI among the subject alternative names.
/// Errors: unauthenticated where there is none, more than one, or it does not parse.
[[nodiscard]] result<mesh_identity> identity_of(X509& certificate);

}  // namespace orrery::pki
