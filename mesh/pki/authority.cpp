#include "mesh/pki/authority.hpp"

#include "mesh/pki/openssl.hpp"

#include <openssl/err.h>

#include <algorithm>
#include <array>
#include <set>

namespace orrery::pki {
namespace {

constexpr std::size_t common_name_bytes_max = 64;  // X.520's upper bound; OpenSSL refuses more
constexpr int serial_bits = 159;                   // RFC 5280: at most 20 bytes, positive

tl::unexpected<error> failed(std::string_view what) {
  return fail(errc::internal, std::string{what} + ": " + take_openssl_error());
}

result<void> check_validity(std::chrono::seconds valid_for) {
  if (valid_for <= std::chrono::seconds::zero() || valid_for > valid_for_max) {
    return fail(errc::invalid_argument, "a validity of " + std::to_string(valid_for.count()) +
                                            " seconds; accepted are 1 to " +
                                            std::to_string(std::chrono::seconds{valid_for_max}.count()));
  }
  return {};
}

/// Names end up in extension syntax: nothing but DNS names may pass.
result<void> check_names(const mesh_identity& names) {
  const auto parsed = parse_identity(to_uri(names));
  if (!parsed) return fail(parsed.error());
  return {};
}

bool set_time(ASN1_TIME* field, wall_time at) {
  return ASN1_TIME_set(field, std::chrono::system_clock::to_time_t(at)) != nullptr;
}

bool set_random_serial(X509& certificate) {
  const owned<BIGNUM> number{BN_new()};
  return number && BN_rand(number.get(), serial_bits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
         BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(&certificate)) != nullptr;
}

bool set_common_name(X509& certificate, std::string_view name) {
  const std::string_view cut = name.substr(0, common_name_bytes_max);
  return X509_NAME_add_entry_by_NID(X509_get_subject_name(&certificate), NID_commonName, MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(cut.data()), static_cast<int>(cut.size()),
                                    -1, 0) == 1;
}

bool add_extension(X509& certificate, X509& issuer, int id, const std::string& text) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, &issuer, &certificate, nullptr, nullptr, 0);
  const owned<X509_EXTENSION> extension{X509V3_EXT_nconf_nid(nullptr, &context, id, text.c_str())};
  return extension && X509_add_ext(&certificate, extension.get(), -1) == 1;
}

struct draft {
  owned<X509> certificate;
  owned<EVP_PKEY> key;
};

/// A certificate with a new key, everything but issuer, extensions and signature.
result<draft> begin(std::string_view common_name, wall_time not_before, wall_time not_after) {
  draft made{owned<X509>{X509_new()}, owned<EVP_PKEY>{EVP_EC_gen("P-256")}};
  if (!made.certificate || !made.key) return failed("cannot make a P-256 key");
  X509& certificate = *made.certificate;
  const bool filled = X509_set_version(&certificate, X509_VERSION_3) == 1 && set_random_serial(certificate) &&
                      set_time(X509_getm_notBefore(&certificate), not_before) &&
                      set_time(X509_getm_notAfter(&certificate), not_after) &&
                      set_common_name(certificate, common_name) && X509_set_pubkey(&certificate, made.key.get()) == 1;
  if (!filled) return failed("cannot fill in a certificate");
  return made;
}

result<std::string> certificate_to_pem(X509& certificate) {
  const owned<BIO> writer{BIO_new(BIO_s_mem())};
  if (!writer || PEM_write_bio_X509(writer.get(), &certificate) != 1) return failed("cannot write a certificate");
  char* data = nullptr;
  const long size = BIO_get_mem_data(writer.get(), &data);
  return std::string{data, static_cast<std::size_t>(size)};
}

result<std::string> key_to_pem(EVP_PKEY& key) {
  // Secure memory: OpenSSL wipes this copy when it is freed.
  const owned<BIO> writer{BIO_new(BIO_s_secmem())};
  if (!writer || PEM_write_bio_PKCS8PrivateKey(writer.get(), &key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return failed("cannot write a key");
  }
  char* data = nullptr;
  const long size = BIO_get_mem_data(writer.get(), &data);
  return std::string{data, static_cast<std::size_t>(size)};
}

result<credentials> sign(const draft& made, EVP_PKEY& issuer_key) {
  if (X509_sign(made.certificate.get(), &issuer_key, EVP_sha256()) == 0) return failed("cannot sign a certificate");
  auto certificate_pem = certificate_to_pem(*made.certificate);
  if (!certificate_pem) return fail(certificate_pem.error());
  auto key_pem = key_to_pem(*made.key);
  if (!key_pem) return fail(key_pem.error());
  return credentials{std::move(*certificate_pem), std::move(*key_pem)};
}

/// Errors: the authority cannot issue at `now`, and why.
result<certificate_facts> check_authority(const credentials& authority, wall_time now) {
  const auto named = [](error why) {
    why.context = "the mesh's authority: " + why.context;
    return fail(std::move(why));
  };
  auto facts = read_certificate(authority.certificate_pem);
  if (!facts) return named(facts.error());
  if (!facts->is_authority) {
    return fail(errc::invalid_argument,
                "the mesh's authority: the certificate of '" + facts->subject + "' may not sign others (no CA:TRUE)");
  }
  if (const auto valid = check_valid_at(*facts, now); !valid) return named(valid.error());
  if (const auto own = check_key(authority.certificate_pem, authority.key_pem); !own) return named(own.error());
  return facts;
}

}  // namespace

result<credentials> make_authority(std::string_view name_space, std::string_view mesh, wall_time now,
                                   std::chrono::seconds valid_for) {
  if (const auto valid = check_validity(valid_for); !valid) return fail(valid.error());
  const mesh_identity names{std::string{name_space}, std::string{mesh}, "pod"};
  if (const auto valid = check_names(names); !valid) return fail(valid.error());
  const std::string common_name = "orrery mesh " + names.name_space + "/" + names.mesh;
  auto made = begin(common_name, now - backdated_by, now + valid_for);
  if (!made) return fail(made.error());
  X509& certificate = *made->certificate;
  const bool extended = X509_set_issuer_name(&certificate, X509_get_subject_name(&certificate)) == 1 &&
                        add_extension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
                        add_extension(certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign") &&
                        add_extension(certificate, certificate, NID_subject_key_identifier, "hash") &&
                        add_extension(certificate, certificate, NID_authority_key_identifier, "keyid:always");
  if (!extended) return failed("cannot extend the authority's certificate");
  return sign(*made, *made->key);
}

result<credentials> issue(const credentials& authority, const mesh_identity& node, wall_time now,
                          std::chrono::seconds valid_for) {
  if (const auto valid = check_validity(valid_for); !valid) return fail(valid.error());
  if (const auto valid = check_names(node); !valid) return fail(valid.error());
  const auto issuer_facts = check_authority(authority, now);
  if (!issuer_facts) return fail(issuer_facts.error());
  const auto issuers = parse_certificates(authority.certificate_pem, "the mesh's authority");
  if (!issuers) return fail(issuers.error());
  const auto issuer_key = parse_key(authority.key_pem, "the mesh's authority's key");
  if (!issuer_key) return fail(issuer_key.error());
  X509& issuer = *issuers->front();

  auto made = begin(node.pod, now - backdated_by, std::min(now + valid_for, issuer_facts->not_after));
  if (!made) return fail(made.error());
  X509& certificate = *made->certificate;
  const std::string names = "URI:" + to_uri(node) + ",DNS:" + node.pod;
  const bool extended = X509_set_issuer_name(&certificate, X509_get_subject_name(&issuer)) == 1 &&
                        add_extension(certificate, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
                        add_extension(certificate, issuer, NID_key_usage, "critical,digitalSignature") &&
                        add_extension(certificate, issuer, NID_ext_key_usage, "serverAuth,clientAuth") &&
                        add_extension(certificate, issuer, NID_subject_alt_name, names) &&
                        add_extension(certificate, issuer, NID_subject_key_identifier, "hash") &&
                        add_extension(certificate, issuer, NID_authority_key_identifier, "keyid:always");
  if (!extended) return failed("cannot extend the certificate of '" + node.pod + "'");
  return sign(*made, **issuer_key);
}

result<std::string> combine_bundles(std::string_view current, std::string_view previous, wall_time now) {
  std::string combined;
  std::set<std::string> held;
  const auto add = [&](std::string_view bundle, std::string_view what, bool drop_expired) -> result<void> {
    const auto facts = read_bundle(bundle);
    if (!facts) return fail(facts.error());
    const auto certificates = parse_certificates(bundle, what);
    if (!certificates) return fail(certificates.error());
    for (std::size_t i = 0; i < facts->size(); ++i) {
      const auto& fact = (*facts)[i];
      if (!fact.is_authority) {
        return fail(errc::invalid_argument,
                    std::string{what} + " holds a certificate that is no authority: '" + fact.subject + "'");
      }
      if ((drop_expired && fact.not_after < now) || !held.insert(fact.fingerprint).second) continue;
      auto pem = certificate_to_pem(*(*certificates)[i]);
      if (!pem) return fail(pem.error());
      combined += *pem;
    }
    return {};
  };
  if (const auto added = add(current, "the current bundle", false); !added) return fail(added.error());
  if (!previous.empty()) {
    if (const auto added = add(previous, "the previous bundle", true); !added) return fail(added.error());
  }
  if (held.size() > bundle_certificates_max) {
    return fail(errc::invalid_argument, "the combined bundle holds " + std::to_string(held.size()) +
                                            " authorities; at most " + std::to_string(bundle_certificates_max) +
                                            " are accepted");
  }
  return combined;
}

}  // namespace orrery::pki
