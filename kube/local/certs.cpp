#include "kube/local/certs.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <memory>

namespace orrery::local {
namespace {

template <auto Free>
struct freer {
  template <class T>
  void operator()(T* value) const {
    Free(value);
  }
};
using key_ptr = std::unique_ptr<EVP_PKEY, freer<EVP_PKEY_free>>;
using cert_ptr = std::unique_ptr<X509, freer<X509_free>>;
using bio_ptr = std::unique_ptr<BIO, freer<BIO_free_all>>;

constexpr long valid_seconds = 365L * 24 * 3600;

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const auto size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

bool extend(X509* cert, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, cert, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  if (extension == nullptr) return false;
  const bool good = X509_add_ext(cert, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return good;
}

struct wanted_certificate {
  std::string common_name;
  std::vector<std::string> organizations;
  std::vector<std::pair<int, std::string>> extensions;
};

/// Signs with `issuer` or, for an authority, with its own key.
result<key_pair> make_certificate(const wanted_certificate& wanted, const key_pair* issuer) {
  const auto broken = [&](const char* step) {
    return fail(errc::internal, "OpenSSL could not " + std::string(step) + " for " + wanted.common_name);
  };
  key_ptr key(EVP_EC_gen("P-256"));
  cert_ptr cert(X509_new());
  if (!key || !cert) return broken("make a key");
  X509_set_version(cert.get(), 2);
  std::uint32_t serial = 0;
  RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert.get()), serial);
  X509_gmtime_adj(X509_getm_notBefore(cert.get()), -60);
  X509_gmtime_adj(X509_getm_notAfter(cert.get()), valid_seconds);
  X509_set_pubkey(cert.get(), key.get());
  auto* subject = X509_get_subject_name(cert.get());
  const auto name = [&](const char* field, const std::string& value) {
    X509_NAME_add_entry_by_txt(subject, field, MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(value.c_str()), -1,
                               -1, 0);
  };
  for (const auto& each : wanted.organizations)
    name("O", each);
  name("CN", wanted.common_name);

  cert_ptr parent;
  key_ptr parent_key;
  if (issuer != nullptr) {
    const bio_ptr cert_bio(BIO_new_mem_buf(issuer->certificate.data(), static_cast<int>(issuer->certificate.size())));
    const bio_ptr key_bio(BIO_new_mem_buf(issuer->key.data(), static_cast<int>(issuer->key.size())));
    parent.reset(PEM_read_bio_X509(cert_bio.get(), nullptr, nullptr, nullptr));
    parent_key.reset(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, nullptr, nullptr));
    if (!parent || !parent_key) return broken("read the authority");
  }
  X509* signer = parent ? parent.get() : cert.get();
  X509_set_issuer_name(cert.get(), X509_get_subject_name(signer));
  for (const auto& [nid, value] : wanted.extensions) {
    if (!extend(cert.get(), signer, nid, value)) return broken("add an extension");
  }
  if (X509_sign(cert.get(), parent_key ? parent_key.get() : key.get(), EVP_sha256()) == 0)
    return broken("sign the certificate");

  const bio_ptr cert_out(BIO_new(BIO_s_mem()));
  const bio_ptr key_out(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(cert_out.get(), cert.get()) != 1 ||
      PEM_write_bio_PrivateKey(key_out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return broken("write PEM");
  }
  return key_pair{.certificate = text_of(cert_out.get()), .key = text_of(key_out.get())};
}

bool is_address(const std::string& name) {
  return std::all_of(name.begin(), name.end(), [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
}

}  // namespace

result<authority> authority::make() {
  auto made = make_certificate({.common_name = "orrery-local-ca",
                                .organizations = {},
                                .extensions = {{NID_basic_constraints, "critical,CA:TRUE"},
                                               {NID_key_usage, "critical,keyCertSign,cRLSign,digitalSignature"},
                                               {NID_subject_key_identifier, "hash"}}},
                               nullptr);
  if (!made) return fail(made.error());
  authority out;
  out.own_ = std::move(*made);
  return out;
}

result<key_pair> authority::issue_server(const std::vector<std::string>& names) const {
  std::string alternatives;
  for (const auto& each : names)
    alternatives += (alternatives.empty() ? "" : ",") + std::string(is_address(each) ? "IP:" : "DNS:") + each;
  return make_certificate({.common_name = "kube-apiserver",
                           .organizations = {},
                           .extensions = {{NID_key_usage, "critical,digitalSignature"},
                                          {NID_ext_key_usage, "serverAuth"},
                                          {NID_subject_alt_name, alternatives}}},
                          &own_);
}

result<key_pair> authority::issue_client(const std::string& user, const std::vector<std::string>& groups) const {
  return make_certificate(
      {.common_name = user,
       .organizations = groups,
       .extensions = {{NID_key_usage, "critical,digitalSignature"}, {NID_ext_key_usage, "clientAuth"}}},
      &own_);
}

}  // namespace orrery::local
