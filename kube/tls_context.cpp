#include "kube/tls_context.hpp"

#include "kube/tls_environment.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include <array>
#include <memory>
#include <utility>

namespace orrery::kube {
namespace {

using bio_ptr = std::unique_ptr<BIO, decltype(&BIO_free)>;
using x509_ptr = std::unique_ptr<X509, decltype(&X509_free)>;
using key_ptr = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using store_ptr = std::unique_ptr<X509_STORE, decltype(&X509_STORE_free)>;

std::string openssl_error() {
  std::array<char, 256> text{};
  ERR_error_string_n(ERR_peek_last_error(), text.data(), text.size());
  ERR_clear_error();
  return text.data();
}

bio_ptr reader(const std::string& pem) {
  return {BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free};
}

x509_ptr next_certificate(BIO* from) { return {PEM_read_bio_X509(from, nullptr, nullptr, nullptr), &X509_free}; }

result<store_ptr> trust(const std::string& ca) {
  store_ptr store{X509_STORE_new(), &X509_STORE_free};
  if (ca.empty()) {
    const auto roots = system_trust();
    // Either may be missing; a server then does not verify, which says so.
    X509_STORE_load_locations(store.get(), roots.file.c_str(), nullptr);
    X509_STORE_load_locations(store.get(), nullptr, roots.directory.c_str());
    ERR_clear_error();
    return store;
  }
  const auto bio = reader(ca);
  int count = 0;
  for (auto root = next_certificate(bio.get()); root; root = next_certificate(bio.get())) {
    X509_STORE_add_cert(store.get(), root.get());
    ++count;
  }
  ERR_clear_error();
  if (count == 0) return fail(errc::invalid_argument, "the cluster's CA holds no certificate that can be read");
  X509_STORE_set_flags(store.get(), X509_V_FLAG_PARTIAL_CHAIN);
  return store;
}

result<void> present(SSL_CTX* context, const tls_material& material) {
  const auto bio = reader(material.certificate);
  const auto leaf = next_certificate(bio.get());
  if (!leaf || SSL_CTX_use_certificate(context, leaf.get()) != 1) {
    return fail(errc::invalid_argument, "the client certificate cannot be read: " + openssl_error());
  }
  SSL_CTX_clear_chain_certs(context);
  for (auto issuer = next_certificate(bio.get()); issuer; issuer = next_certificate(bio.get())) {
    SSL_CTX_add1_chain_cert(context, issuer.get());
  }
  ERR_clear_error();
  const auto key_bio = reader(material.key);
  const key_ptr key{PEM_read_bio_PrivateKey(key_bio.get(), nullptr, nullptr, nullptr), &EVP_PKEY_free};
  if (!key || SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1) {
    return fail(errc::invalid_argument,
                "the client key cannot be read or is not the certificate's: " + openssl_error());
  }
  return {};
}

// Verifies as OpenSSL does (the caller's own callback, which checks the name, included) and keeps the reason.
int verify(X509_STORE_CTX* chain, void* report) {
  const int verified = X509_verify_cert(chain);
  if (verified == 1) return 1;
  const int reason = X509_STORE_CTX_get_error(chain);
  // The callback that checks the name gives no reason.
  const bool wrong_name = reason == X509_V_OK || reason == X509_V_ERR_UNSPECIFIED;
  static_cast<tls_report*>(report)->set(
      wrong_name ? "the server's certificate is for another name than the one it was called by"
                 : std::string{"the server's certificate does not verify: "} + X509_verify_cert_error_string(reason));
  if (wrong_name) X509_STORE_CTX_set_error(chain, X509_V_ERR_HOSTNAME_MISMATCH);
  return verified;
}

}  // namespace

void tls_report::set(std::string why) {
  const std::lock_guard lock{mutex_};
  why_ = std::move(why);
}

std::string tls_report::take() {
  const std::lock_guard lock{mutex_};
  return std::exchange(why_, {});
}

result<void> configure_tls(ssl_ctx_st* context, const tls_material& material, tls_report& report) {
  auto store = trust(material.ca);
  if (!store) return fail(store.error());
  SSL_CTX_set_cert_store(context, store->release());
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_cert_verify_callback(context, &verify, &report);
  if (material.certificate.empty()) return {};
  return present(context, material);
}

}  // namespace orrery::kube
