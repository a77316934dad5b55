#include "mesh/net/credentials.hpp"

#include <openssl/err.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <system_error>

namespace orrery::net {
namespace {

constexpr long peer_chain_bytes_max = 32L << 10;
constexpr const char* cipher_suites = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

/// The text of a file that is wiped when it goes: one of them is a key.
struct file_text {
  std::string text;
  file_text() = default;
  file_text(file_text&&) = default;
  file_text& operator=(file_text&&) = default;
  ~file_text() { OPENSSL_cleanse(text.data(), text.size()); }
};

result<file_text> read_file(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return fail(errc::invalid_argument, path + ": " + std::generic_category().message(errno != 0 ? errno : EIO));
  }
  file_text read;
  read.text.resize(pki::pem_bytes_max + 1);
  file.read(read.text.data(), static_cast<std::streamsize>(read.text.size()));
  if (file.bad() || (file.fail() && !file.eof())) return fail(errc::invalid_argument, path + ": cannot be read");
  read.text.resize(static_cast<std::size_t>(file.gcount()));
  return read;
}

result<pki::owned<SSL_CTX>> make_context() {
  pki::owned<SSL_CTX> context{SSL_CTX_new(TLS_method())};
  const bool made = context && SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION) == 1 &&
                    SSL_CTX_set_max_proto_version(context.get(), TLS1_3_VERSION) == 1 &&
                    SSL_CTX_set_ciphersuites(context.get(), cipher_suites) == 1 &&
                    SSL_CTX_set_num_tickets(context.get(), 0) == 1;
  if (!made) return fail(errc::internal, "cannot make a TLS context: " + pki::take_openssl_error());
  // A resumed session would skip the certificate, and with it every check of who the peer is.
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);  // an idle connection keeps no record buffers
  SSL_CTX_set_max_cert_list(context.get(), peer_chain_bytes_max);
  return context;
}

}  // namespace

result<tls_credentials> load_credentials(const std::string& directory, const mesh_identity& self, pki::wall_time now) {
  const std::string certificate_path = directory + "/tls.crt";
  const std::string key_path = directory + "/tls.key";
  const std::string bundle_path = directory + "/ca.crt";
  const auto certificate_file = read_file(certificate_path);
  if (!certificate_file) return fail(certificate_file.error());
  const auto key_file = read_file(key_path);
  if (!key_file) return fail(key_file.error());
  const auto bundle_file = read_file(bundle_path);
  if (!bundle_file) return fail(bundle_file.error());

  const auto certificates = pki::parse_certificates(certificate_file->text, certificate_path);
  if (!certificates) return fail(certificates.error());
  const auto key = pki::parse_key(key_file->text, key_path);
  if (!key) return fail(key.error());
  const auto authorities = pki::parse_certificates(bundle_file->text, bundle_path);
  if (!authorities) return fail(authorities.error());

  const auto in = [](const std::string& path, const error& why) {
    return fail(errc::invalid_argument, path + ": " + why.context);
  };
  auto facts = pki::read_certificate(certificate_file->text);
  if (!facts) return in(certificate_path, facts.error());
  if (const auto valid = pki::check_valid_at(*facts, now); !valid) return in(certificate_path, valid.error());
  if (const auto own = pki::check_key(certificate_file->text, key_file->text); !own) return in(key_path, own.error());
  const auto identity = pki::identity_of(*certificates->front());
  if (!identity) return in(certificate_path, identity.error());
  if (*identity != self) {
    return fail(errc::invalid_argument, certificate_path + ": the certificate is that of " + to_uri(*identity) +
                                            "; this node is " + to_uri(self));
  }
  // A chain of intermediates ends in the bundle; its last certificate is what the bundle must have signed.
  const auto chain = pki::read_bundle(certificate_file->text);
  if (chain && chain->size() == 1) {
    const auto signed_by = pki::check_signed_by(certificate_file->text, bundle_file->text);
    if (!signed_by) return in(bundle_path, signed_by.error());
  }

  auto context = make_context();
  if (!context) return fail(context.error());
  SSL_CTX* raw = context->get();
  bool filled =
      SSL_CTX_use_certificate(raw, certificates->front().get()) == 1 && SSL_CTX_use_PrivateKey(raw, key->get()) == 1;
  for (std::size_t i = 1; filled && i < certificates->size(); ++i)
    filled = SSL_CTX_add1_chain_cert(raw, (*certificates)[i].get()) == 1;
  for (const auto& authority : *authorities)
    filled = filled && X509_STORE_add_cert(SSL_CTX_get_cert_store(raw), authority.get()) == 1;
  if (!filled) return fail(errc::invalid_argument, directory + ": " + pki::take_openssl_error());
  ERR_clear_error();
  return tls_credentials{std::move(*context), std::move(*facts)};
}

}  // namespace orrery::net
