#include "mesh/pki/openssl.hpp"

#include "mesh/pki/certificate.hpp"

#include <openssl/err.h>

#include <optional>

namespace orrery::pki {
namespace {

/// OpenSSL's default asks on the terminal; a pod has none.
int no_password(char*, int, int, void*) { return -1; }

result<owned<BIO>> reader_of(std::string_view pem, std::string_view what) {
  const std::string name{what};
  if (pem.empty()) return fail(errc::invalid_argument, name + " is empty; expected PEM");
  if (pem.size() > pem_bytes_max) {
    return fail(errc::invalid_argument, name + " has " + std::to_string(pem.size()) + " bytes; at most " +
                                            std::to_string(pem_bytes_max) + " are accepted");
  }
  owned<BIO> reader{BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))};
  if (!reader) return fail(errc::internal, "out of memory reading " + name);
  return reader;
}

}  // namespace

std::string take_openssl_error() {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  if (code == 0) return "no reason given";
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : "error " + std::to_string(code);
}

result<std::vector<owned<X509>>> parse_certificates(std::string_view pem, std::string_view what) {
  auto reader = reader_of(pem, what);
  if (!reader) return fail(reader.error());
  std::vector<owned<X509>> found;
  while (true) {
    owned<X509> next{PEM_read_bio_X509(reader->get(), nullptr, no_password, nullptr)};
    if (!next) break;
    if (found.size() == bundle_certificates_max) {
      ERR_clear_error();
      return fail(errc::invalid_argument,
                  std::string{what} + " holds more than " + std::to_string(bundle_certificates_max) + " certificates");
    }
    found.push_back(std::move(next));
  }
  // The end of the text is "no start line"; anything else means that a certificate after it would be lost.
  const unsigned long stopped = ERR_peek_last_error();
  const bool ended = ERR_GET_LIB(stopped) == ERR_LIB_PEM && ERR_GET_REASON(stopped) == PEM_R_NO_START_LINE;
  const std::string reason = take_openssl_error();
  if (!ended) {
    return fail(errc::invalid_argument, std::string{what} + ": certificate " + std::to_string(found.size() + 1) +
                                            " is not valid PEM: " + reason);
  }
  if (found.empty()) {
    return fail(errc::invalid_argument,
                std::string{what} + " holds no certificate; expected PEM with BEGIN CERTIFICATE");
  }
  return found;
}

result<owned<EVP_PKEY>> parse_key(std::string_view pem, std::string_view what) {
  auto reader = reader_of(pem, what);
  if (!reader) return fail(reader.error());
  owned<EVP_PKEY> key{PEM_read_bio_PrivateKey(reader->get(), nullptr, no_password, nullptr)};
  if (!key) {
    return fail(errc::invalid_argument,
                std::string{what} + " is not an unencrypted PEM private key: " + take_openssl_error());
  }
  ERR_clear_error();
  return key;
}

std::string common_name_of(X509& certificate) {
  const X509_NAME* subject = X509_get_subject_name(&certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at < 0) return {};
  const ASN1_STRING* name = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
  std::string text{reinterpret_cast<const char*>(ASN1_STRING_get0_data(name)),
                   static_cast<std::size_t>(ASN1_STRING_length(name))};
  for (char& c : text) {
    if (c < ' ' || c > '~') c = '?';
  }
  return text;
}

result<mesh_identity> identity_of(X509& certificate) {
  const owned<GENERAL_NAMES> names{
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr))};
  ERR_clear_error();
  std::optional<mesh_identity> found;
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_URI) continue;
    const ASN1_IA5STRING* text = name->d.uniformResourceIdentifier;
    const std::string_view uri{reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                               static_cast<std::size_t>(ASN1_STRING_length(text))};
    if (!uri.starts_with("orrery:")) continue;
    if (found) return fail(errc::unauthenticated, "the certificate names more than one orrery:// identity");
    auto parsed = parse_identity(uri);
    if (!parsed) return fail(errc::unauthenticated, "the certificate's URI " + parsed.error().context);
    found = std::move(*parsed);
  }
  if (!found) {
    return fail(errc::unauthenticated, "the certificate names no identity; expected URI:orrery://NAMESPACE/MESH/POD");
  }
  return *found;
}

}  // namespace orrery::pki
