#include "mesh/net/session.hpp"

#include "mesh/base/assert.hpp"
#include "mesh/pki/certificate.hpp"

#include <openssl/err.h>

namespace orrery::net {
namespace {

constexpr int alert_reason_base = SSL_AD_REASON_OFFSET;  // OpenSSL: reason = 1000 + number of the alert
constexpr int alerts_max = 256;

int session_index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

std::string chain_problem(X509_STORE_CTX& store) {
  const int problem = X509_STORE_CTX_get_error(&store);
  const std::string authority = X509_STORE_CTX_get_error_depth(&store) > 0 ? "its authority: " : "";
  switch (problem) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return authority + "it has expired";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return authority + "it is not valid yet";
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return "no authority in our ca.crt signed it";
    default:
      return authority + X509_verify_cert_error_string(problem);
  }
}

error explain_alert(int alert, bool handshaken) {
  const std::string name = SSL_alert_desc_string_long(alert);
  switch (alert) {
    case SSL_AD_UNKNOWN_CA:
      return {errc::unauthenticated, "the peer refused our certificate: none of its authorities signed it"};
    case SSL_AD_CERTIFICATE_EXPIRED:
      return {errc::unauthenticated, "the peer refused our certificate: it has expired"};
    case TLS13_AD_CERTIFICATE_REQUIRED:
      return {errc::unauthenticated, "the peer requires a certificate; none was shown"};
    case SSL_AD_HANDSHAKE_FAILURE:
    case SSL_AD_ACCESS_DENIED:
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
      return {errc::unauthenticated, "the peer refused our certificate's identity (TLS alert: " + name + ")"};
    case SSL_AD_PROTOCOL_VERSION:
      return {errc::protocol, "the peer speaks no TLS 1.3, or does not speak TLS"};
    default:
      return {errc::protocol, std::string{"the peer ended the TLS "} + (handshaken ? "session" : "handshake") +
                                  " (TLS alert: " + name + ")"};
  }
}

error explain_reason(unsigned long code, bool handshaken) {
  const int reason = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
  if (reason > alert_reason_base && reason < alert_reason_base + alerts_max) {
    return explain_alert(reason - alert_reason_base, handshaken);
  }
  switch (reason) {
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
      return {errc::protocol, "plaintext HTTP on the mesh port; it speaks TLS 1.3 with certificates only"};
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
      return {errc::protocol, "the peer offers no TLS 1.3, and nothing older is accepted"};
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      return {errc::unauthenticated, "the peer showed no certificate; the mesh's own is required"};
    default:
      break;
  }
  const char* text = ERR_reason_error_string(code);
  return {errc::protocol, std::string{handshaken ? "the TLS session broke" : "not a TLS 1.3 handshake"} + " (" +
                              (text != nullptr ? text : "no reason given") + ")"};
}

}  // namespace

session::session(passkey, side which, peer_rule rule, std::uint64_t records_per_key)
    : side_(which), rule_(std::move(rule)), records_per_key_(records_per_key) {}

result<std::unique_ptr<session>> session::make(SSL_CTX& context, side which, peer_rule rule,
                                               std::uint64_t records_per_key) {
  auto made = std::make_unique<session>(passkey{}, which, std::move(rule), records_per_key);
  made->ssl_.reset(SSL_new(&context));
  pki::owned<BIO> arrived{BIO_new(BIO_s_mem())};
  pki::owned<BIO> outgoing{BIO_new(BIO_s_mem())};
  if (!made->ssl_ || !arrived || !outgoing || SSL_set_ex_data(made->ssl_.get(), session_index(), made.get()) != 1) {
    return fail(errc::internal, "cannot make a TLS session: " + pki::take_openssl_error());
  }
  made->arrived_ = arrived.get();
  made->outgoing_ = outgoing.get();
  SSL_set_bio(made->ssl_.get(), arrived.release(), outgoing.release());
  SSL_set_verify(made->ssl_.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, &session::verify);
  if (which == side::dialler) {
    SSL_set_connect_state(made->ssl_.get());
  } else {
    SSL_set_accept_state(made->ssl_.get());
  }
  return made;
}

int session::verify(int chain_ok, X509_STORE_CTX* store) {
  const auto* ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* self = static_cast<session*>(SSL_get_ex_data(ssl, session_index()));
  return self->check_peer(chain_ok == 1, *store);
}

int session::check_peer(bool chain_ok, X509_STORE_CTX& store) {
  X509* certificate = X509_STORE_CTX_get0_cert(&store);
  if (!chain_ok || certificate == nullptr) {
    const std::string subject = certificate != nullptr ? pki::common_name_of(*certificate) : "?";
    refusal_ =
        error{errc::unauthenticated, "the peer's certificate ('" + subject + "') is refused: " + chain_problem(store)};
    return 0;
  }
  if (X509_STORE_CTX_get_error_depth(&store) != 0) return 1;
  const auto refuse = [&](std::string why) {
    refusal_ = error{errc::unauthenticated, std::move(why)};
    X509_STORE_CTX_set_error(&store, X509_V_ERR_APPLICATION_VERIFICATION);
    return 0;
  };
  auto identity = pki::identity_of(*certificate);
  if (!identity) return refuse("the peer ('" + pki::common_name_of(*certificate) + "'): " + identity.error().context);
  if (rule_.expected && *identity != *rule_.expected) {
    return refuse("the peer is " + to_uri(*identity) + "; expected " + to_uri(*rule_.expected));
  }
  if (identity->name_space != rule_.self.name_space || identity->mesh != rule_.self.mesh) {
    return refuse("the peer is " + to_uri(*identity) + "; accepted are pods of orrery://" + rule_.self.name_space +
                  "/" + rule_.self.mesh);
  }
  peer_ = std::move(*identity);
  return 1;
}

error session::explain(int ssl_error) {
  if (refusal_) {
    ERR_clear_error();
    return *refusal_;
  }
  const unsigned long code = ERR_peek_error();  // the oldest is the cause; later ones are its consequences
  ERR_clear_error();
  if (ssl_error == SSL_ERROR_SSL) return explain_reason(code, handshaken_);
  return {errc::internal, "TLS error " + std::to_string(ssl_error)};
}

result<void> session::feed(byte_view arrived) {
  if (arrived.empty()) return {};
  if (BIO_write(arrived_, arrived.data(), static_cast<int>(arrived.size())) != static_cast<int>(arrived.size())) {
    return fail(errc::internal, "out of memory");
  }
  return {};
}

result<bool> session::handshake() {
  if (handshaken_) return true;
  ERR_clear_error();
  const int done = SSL_do_handshake(ssl_.get());
  if (done == 1) {
    ORRERY_ASSERT(peer_.has_value());  // OpenSSL called check_peer, or we would trust a stranger
    handshaken_ = true;
    return true;
  }
  const int why = SSL_get_error(ssl_.get(), done);
  if (why == SSL_ERROR_WANT_READ) return false;
  return fail(explain(why));
}

result<std::size_t> session::read(std::span<std::uint8_t> into) {
  ERR_clear_error();
  std::size_t count = 0;
  const int done = SSL_read_ex(ssl_.get(), into.data(), into.size(), &count);
  if (done == 1) return count;
  const int why = SSL_get_error(ssl_.get(), done);
  if (why == SSL_ERROR_WANT_READ) return std::size_t{0};
  if (why == SSL_ERROR_ZERO_RETURN) {
    ended_ = true;
    return std::size_t{0};
  }
  return fail(explain(why));
}

result<void> session::write(byte_view plain) {
  ERR_clear_error();
  if (++records_ >= records_per_key_) {
    records_ = 0;
    if (SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_NOT_REQUESTED) != 1) return fail(explain(SSL_ERROR_SSL));
  }
  std::size_t count = 0;
  const int done = SSL_write_ex(ssl_.get(), plain.data(), plain.size(), &count);
  if (done != 1) return fail(explain(SSL_get_error(ssl_.get(), done)));
  ORRERY_ASSERT(count == plain.size());  // a memory BIO takes everything
  return {};
}

void session::finish() {
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
  ERR_clear_error();
}

void session::take_output(bytes& wire) {
  const std::size_t pending = BIO_ctrl_pending(outgoing_);
  if (pending == 0) return;
  const std::size_t before = wire.size();
  wire.resize(before + pending);
  const int taken = BIO_read(outgoing_, wire.data() + before, static_cast<int>(pending));
  ORRERY_ASSERT(taken == static_cast<int>(pending));
}

const mesh_identity& session::peer() const {
  ORRERY_ASSERT(handshaken_ && peer_.has_value());
  return *peer_;
}

}  // namespace orrery::net
