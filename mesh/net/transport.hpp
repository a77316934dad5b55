#pragma once
// mesh/net: mesh connections over TCP and TLS 1.3, both sides authenticated. Carries frames; decides nothing.
#include "mesh/base/bytes.hpp"
#include "mesh/base/identity.hpp"
#include "mesh/base/result.hpp"
#include "mesh/wire/frame.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace boost::asio {
class io_context;
}

namespace orrery::net {

struct transport_options {
  std::string listen_address;                         ///< ip:port; port 0 chooses one
  std::string tls_directory;                          ///< holds tls.crt, tls.key, ca.crt (PEM)
  mesh_identity self;                                 ///< what our own certificate must say
  std::size_t send_queue_bytes_max = 64U << 20U;      ///< per connection; over it the connection is closed (overloaded)
  std::size_t accepted_max = 1024;                    ///< connections at once; more are refused
  std::chrono::milliseconds handshake_timeout{3000};  ///< from the first packet until `opened`, dialled or accepted
  std::size_t handshaking_max = 256;  ///< accepted, not yet opened; a new one beyond it displaces the oldest
  std::chrono::milliseconds close_timeout{1000};  ///< for what is queued when close() is called
};

/// What the transport tells its owner, on the io_context's thread; never from within a call of the owner's. All four
/// are required. A handler may call any method, and may destroy the transport.
struct transport_handlers {
  /// Both sides have accepted each other: certificates, identities and limits. On the dialler's side the acceptor has
  /// said so (mesh/net/preface.hpp): the TLS 1.3 handshake alone would not tell it.
  std::function<void(std::uint64_t id, mesh_identity peer, bool dialled)> opened;
  /// Once per dial or opened connection, never after close(). The context begins with the peer's ip:port. Codes:
  /// unauthenticated (a certificate or identity was refused, by us or by the peer; ours has expired), unavailable
  /// (cannot connect, connection lost or closed by the peer), deadline_exceeded (handshake_timeout), overloaded (our
  /// send queue or the peer's accepted_max is full), protocol (not TLS 1.3, bad frame), too_large (frame),
  /// invalid_argument (address).
  std::function<void(std::uint64_t id, error why)> closed;
  std::function<void(std::uint64_t id, wire::frame received)> received;
  std::function<void(error why)>
      refused;  ///< an inbound connection that never got as far as `opened`: garbage, wrong certificate
};

/// Lives on one io_context; every method is called on its thread. Destroying it closes everything without callbacks.
class transport {
 public:
  /// Binds, listens and loads the credentials. Errors: io (address in use, with the address), invalid_argument (which
  /// file, what is wrong with it: missing, not PEM, expired, key of another certificate, identity is not ours).
  [[nodiscard]] static result<std::unique_ptr<transport>> open(boost::asio::io_context& io, transport_options options,
                                                               transport_handlers handlers);
  ~transport();
  transport(const transport&) = delete;
  transport& operator=(const transport&) = delete;

  /// Connects to ip:port ([ip]:port for IPv6) and requires the peer's certificate to carry exactly `expected`. Ends in
  /// opened or closed. REQUIRES: id is even (accepted connections get odd ones) and was never used.
  void dial(std::uint64_t id, const std::string& address, const mesh_identity& expected);
  /// Queues an encoded frame (wire::encode; type 0xffff is the transport's own); dropped if the connection is not open.
  /// Frames sent in one turn of the io_context share TLS records and one write.
  void send(std::uint64_t id, bytes encoded);
  /// Sends what is queued (at most 1 s), then closes. No `closed` follows.
  void close(std::uint64_t id);
  /// Reads the files again; new connections use them, open ones go on. On an error the old ones stay in use; files that
  /// are being replaced may not match each other yet, so try again later.
  result<void> reload_credentials();
  /// When our certificate expires, seconds since the epoch.
  [[nodiscard]] std::int64_t certificate_expires_at() const;
  [[nodiscard]] std::uint16_t port() const;
  /// Connections that close() has left sending their last bytes; 0 means that leaving now loses nothing.
  [[nodiscard]] std::size_t closing() const;

 private:
  struct impl;

 public:
  explicit transport(std::shared_ptr<impl> made);  ///< use open()

 private:
  std::shared_ptr<impl> impl_;
};

}  // namespace orrery::net
