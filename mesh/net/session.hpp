#pragma once
#include "mesh/base/bytes.hpp"
#include "mesh/base/identity.hpp"
#include "mesh/base/result.hpp"
#include "mesh/pki/openssl.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace orrery::net {

enum class side : std::uint8_t { dialler, acceptor };

/// Who the peer may be: of our namespace and mesh; and exactly `expected`, where we know whom we dialled.
struct peer_rule {
  mesh_identity self;
  std::optional<mesh_identity> expected;
};

/// One TLS 1.3 session without a socket: bytes of the wire in, bytes of the wire out. The peer's identity is checked
/// inside the handshake, so a peer that is refused learns it by a TLS alert and never sees a byte of ours.
/// After an error the session is unusable; what `take_output` still gives is the alert for the peer.
class session {
  struct passkey {};

 public:
  /// AES-GCM keys wear out after some 24 million records (RFC 8446, section 5.5).
  static constexpr std::uint64_t records_per_key_max = 1U << 22U;
  static constexpr std::size_t record_bytes_max = 16384;

  /// `context` is kept alive by the session. Errors: internal (out of memory).
  static result<std::unique_ptr<session>> make(SSL_CTX& context, side which, peer_rule rule,
                                               std::uint64_t records_per_key = records_per_key_max);
  session(passkey, side which, peer_rule rule, std::uint64_t records_per_key);  ///< use make()
  session(const session&) = delete;
  session& operator=(const session&) = delete;
  ~session() = default;

  /// Bytes that arrived; follow with handshake() or read() until they want more.
  [[nodiscard]] result<void> feed(byte_view arrived);
  /// Goes on with the handshake: true when it is done and the peer is who it must be, false when more bytes are needed.
  /// A dialler that is done does not know yet whether the acceptor takes *its* certificate: a read may still fail.
  /// Errors: unauthenticated (certificates, on either side), protocol (not TLS, not TLS 1.3).
  [[nodiscard]] result<bool> handshake();
  /// Decrypts into `into`; 0 when more bytes are needed or the peer has ended the session.
  [[nodiscard]] result<std::size_t> read(std::span<std::uint8_t> into);
  /// Encrypts. REQUIRES: the handshake is done, plain is not empty.
  [[nodiscard]] result<void> write(byte_view plain);
  /// Tells the peer that nothing follows (close_notify).
  void finish();
  /// Appends what must go to the wire.
  void take_output(bytes& wire);

  /// The peer has said that nothing follows.
  [[nodiscard]] bool ended() const noexcept { return ended_; }
  /// REQUIRES: the handshake is done.
  [[nodiscard]] const mesh_identity& peer() const;

 private:
  static int verify(int chain_ok, X509_STORE_CTX* store);
  int check_peer(bool chain_ok, X509_STORE_CTX& store);
  [[nodiscard]] error explain(int ssl_error);

  side side_;
  peer_rule rule_;
  std::uint64_t records_per_key_;
  std::uint64_t records_ = 0;
  pki::owned<SSL> ssl_;
  BIO* arrived_ = nullptr;   // owned by ssl_
  BIO* outgoing_ = nullptr;  // owned by ssl_
  std::optional<mesh_identity> peer_;
  std::optional<error> refusal_;  // why check_peer said no
  bool handshaken_ = false;
  bool ended_ = false;
};

}  // namespace orrery::net
