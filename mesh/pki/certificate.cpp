#include "mesh/pki/certificate.hpp"

#include "mesh/pki/openssl.hpp"

#include <openssl/err.h>

#include <array>
#include <ctime>

namespace orrery::pki {
namespace {

std::string hex(const unsigned char* data, std::size_t size) {
  static constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * size);
  for (std::size_t i = 0; i < size; ++i) {
    text.push_back(digits[data[i] >> 4U]);
    text.push_back(digits[data[i] & 15U]);
  }
  return text;
}

std::string hex(const ASN1_STRING* text) {
  if (text == nullptr) return {};
  return hex(ASN1_STRING_get0_data(text), static_cast<std::size_t>(ASN1_STRING_length(text)));
}

result<wall_time> time_of(const ASN1_TIME* at) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(at, &parts) != 1) {
    ERR_clear_error();
    return fail(errc::invalid_argument, "the certificate's validity is not a time");
  }
  // system_clock counts nanoseconds and ends in 2262; certificates may say 9999.
  constexpr std::time_t latest = 9'000'000'000;
  return std::chrono::system_clock::from_time_t(std::min<std::time_t>(timegm(&parts), latest));
}

result<certificate_facts> facts_of(X509& certificate) {
  certificate_facts facts;
  const auto not_before = time_of(X509_get0_notBefore(&certificate));
  const auto not_after = time_of(X509_get0_notAfter(&certificate));
  if (!not_before) return fail(not_before.error());
  if (!not_after) return fail(not_after.error());
  facts.not_before = *not_before;
  facts.not_after = *not_after;
  facts.subject = common_name_of(certificate);
  facts.serial = hex(X509_get0_serialNumber(&certificate));
  facts.key_id = hex(X509_get0_subject_key_id(&certificate));
  facts.issuer_key_id = hex(X509_get0_authority_key_id(&certificate));
  facts.is_authority = X509_check_ca(&certificate) == 1;
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int digest_bytes = 0;
  if (X509_digest(&certificate, EVP_sha256(), digest.data(), &digest_bytes) != 1) {
    return fail(errc::internal, "no SHA-256: " + take_openssl_error());
  }
  facts.fingerprint = hex(digest.data(), digest_bytes);
  if (auto identity = identity_of(certificate)) facts.identity = std::move(*identity);
  ERR_clear_error();
  return facts;
}

}  // namespace

result<std::vector<certificate_facts>> read_bundle(std::string_view bundle_pem) {
  const auto certificates = parse_certificates(bundle_pem, "the bundle");
  if (!certificates) return fail(certificates.error());
  std::vector<certificate_facts> all;
  for (const auto& certificate : *certificates) {
    auto facts = facts_of(*certificate);
    if (!facts) return fail(facts.error());
    all.push_back(std::move(*facts));
  }
  return all;
}

result<certificate_facts> read_certificate(std::string_view certificate_pem) {
  const auto certificates = parse_certificates(certificate_pem, "the certificate");
  if (!certificates) return fail(certificates.error());
  return facts_of(*certificates->front());
}

result<void> check_valid_at(const certificate_facts& certificate, wall_time now) {
  if (now < certificate.not_before) {
    return fail(errc::invalid_argument, "the certificate of '" + certificate.subject + "' is not valid before " +
                                            to_text(certificate.not_before) + "; it is " + to_text(now));
  }
  if (now > certificate.not_after) {
    return fail(errc::invalid_argument, "the certificate of '" + certificate.subject + "' expired at " +
                                            to_text(certificate.not_after) + "; it is " + to_text(now));
  }
  return {};
}

result<void> check_key(std::string_view certificate_pem, std::string_view key_pem) {
  const auto certificates = parse_certificates(certificate_pem, "the certificate");
  if (!certificates) return fail(certificates.error());
  const auto key = parse_key(key_pem, "the key");
  if (!key) return fail(key.error());
  const bool matches = X509_check_private_key(certificates->front().get(), key->get()) == 1;
  ERR_clear_error();
  if (!matches) {
    return fail(errc::invalid_argument,
                "the key belongs to another certificate than that of '" + common_name_of(*certificates->front()) + "'");
  }
  return {};
}

result<void> check_signed_by(std::string_view certificate_pem, std::string_view bundle_pem) {
  const auto certificates = parse_certificates(certificate_pem, "the certificate");
  if (!certificates) return fail(certificates.error());
  const auto authorities = parse_certificates(bundle_pem, "the bundle");
  if (!authorities) return fail(authorities.error());
  X509& certificate = *certificates->front();
  std::string tried;
  for (const auto& authority : *authorities) {
    const bool issued = X509_check_issued(authority.get(), &certificate) == X509_V_OK &&
                        X509_verify(&certificate, X509_get0_pubkey(authority.get())) == 1;
    ERR_clear_error();
    if (issued) return {};
    tried += (tried.empty() ? "'" : ", '") + common_name_of(*authority) + "'";
  }
  return fail(errc::invalid_argument, "the certificate of '" + common_name_of(certificate) +
                                          "' is signed by none of the bundle's authorities: " + tried);
}

std::string to_text(wall_time at) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(at);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  const std::size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return {text.data(), length};
}

}  // namespace orrery::pki
