#include "kube/testing/test_pki.hpp"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <atomic>

namespace orrery::kube::testing {
namespace {

using x509_ptr = std::unique_ptr<X509, decltype(&X509_free)>;
using key_ptr = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using bio_ptr = std::unique_ptr<BIO, decltype(&BIO_free)>;

key_ptr new_key() { return {EVP_EC_gen("P-256"), &EVP_PKEY_free}; }

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const auto size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

std::string pem(X509* certificate) {
  const bio_ptr bio{BIO_new(BIO_s_mem()), &BIO_free};
  PEM_write_bio_X509(bio.get(), certificate);
  return text_of(bio.get());
}

std::string pem(EVP_PKEY* key) {
  const bio_ptr bio{BIO_new(BIO_s_mem()), &BIO_free};
  PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
  return text_of(bio.get());
}

void extend(X509* certificate, int what, const std::string& value) {
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, what, value.c_str());
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

x509_ptr make(const std::string& common_name, EVP_PKEY* key) {
  static std::atomic<long> serial{1};
  x509_ptr made{X509_new(), &X509_free};
  X509_set_version(made.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(made.get()), serial++);
  X509_gmtime_adj(X509_getm_notBefore(made.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(made.get()), 3600);
  X509_set_pubkey(made.get(), key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(made.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1, 0);  // NOLINT
  return made;
}

}  // namespace

struct test_ca::state {
  key_ptr key{nullptr, &EVP_PKEY_free};
  x509_ptr certificate{nullptr, &X509_free};
};

test_ca::test_ca() : state_(std::make_unique<state>()) {
  state_->key = new_key();
  state_->certificate = make("test CA", state_->key.get());
  X509_set_issuer_name(state_->certificate.get(), X509_get_subject_name(state_->certificate.get()));
  extend(state_->certificate.get(), NID_basic_constraints, "critical,CA:TRUE");
  X509_sign(state_->certificate.get(), state_->key.get(), EVP_sha256());
  certificate_ = pem(state_->certificate.get());
}

test_ca::~test_ca() = default;

test_certificate test_ca::issue(const std::string& common_name, const std::string& names) const {
  const auto key = new_key();
  const auto made = make(common_name, key.get());
  X509_set_issuer_name(made.get(), X509_get_subject_name(state_->certificate.get()));
  if (!names.empty()) extend(made.get(), NID_subject_alt_name, names);
  X509_sign(made.get(), state_->key.get(), EVP_sha256());
  return {pem(made.get()), pem(key.get())};
}

}  // namespace orrery::kube::testing
