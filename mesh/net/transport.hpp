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
  std::string listen_address;                     ///< ip:port; port 0 chooses one
  std::string tls_directory;                      ///< holds tls.crt, tls.key, ca.crt (PEM)
  mesh_identity self;                             ///< what our own certificate must say
  std::size_t send_queue_bytes_max = 64U << 20U;  ///< per connection; over it the connection is closed (overloaded)
  std::size_t accepted_max = 1024;                ///< connections at once; more are refused
  std::chrono::milliseconds handshake_timeout{3000};
};

/// What the transport tells its owner, on the io_context's thread.
struct transport_handlers {
  std::function<void(std::uint64_t id, mesh_identity peer, bool dialled)> opened;
  std::function<void(std::uint64_t id, error why)> closed;  ///< once per dial or opened connection, never after close()
  std::function<void(std::uint64_t id, wire::frame received)> received;
  std::function<void(error why)>
      refused;  ///< an inbound connection that never got as far as `opened`: garbage, wrong certificate
};

/// Lives on one io_context; every method is called on its thread. Destroying it closes everything without callbacks.
class transport {
 public:
  /// Binds, listens and loads the credentials. Errors: io (address in use, with the address), invalid_argument (which
  /// file, what is wrong with it: missing, not PEM, expired, key of another certificate, identity is not ours).
  static result<std::unique_ptr<transport>> open(boost::asio::io_context& io, transport_options options,
                                                 transport_handlers handlers);
  ~transport();

  /// Connects to ip:port and requires the peer's certificate to carry exactly `expected`. Ends in opened or closed.
  void dial(std::uint64_t id, const std::string& address, const mesh_identity& expected);
  /// Queues an encoded frame; dropped if the connection is gone.
  void send(std::uint64_t id, bytes encoded);
  /// Sends what is queued (at most 1 s), then closes. No `closed` follows.
  void close(std::uint64_t id);
  /// Reads the files again; new connections use them, open ones go on. On an error the old ones stay in use.
  result<void> reload_credentials();
  /// When our certificate expires, seconds since the epoch.
  [[nodiscard]] std::int64_t certificate_expires_at() const;
  [[nodiscard]] std::uint16_t port() const;

 private:
  struct impl;
  explicit transport(std::shared_ptr<impl> made);
  std::shared_ptr<impl> impl_;
};

}  // namespace orrery::net
