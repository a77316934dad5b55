#pragma once
// Serves the SDK protocol (docs/sdk-protocol.md) on a Unix socket, on TCP, and as WebSockets that come by HTTP.
#include "mesh/sdk/messages.hpp"
#include "sidecar/handlers.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace boost::asio {
class io_context;
}

namespace orrery::sidecar {

struct sdk_server_options {
  std::string socket;  ///< path of the Unix socket; empty: none
  std::string stream;  ///< IP:PORT of the TCP listener; empty: none
  sdk::greeting greeting;
};

/// Lives on one io_context; every method is called on its thread. Destroying closes all connections.
class sdk_server {
 public:
  static constexpr std::size_t connections_max = 256;
  /// Waiting to be written to all together: the connection with most of it ends.
  static constexpr std::size_t unwritten_in_all_max = 128U << 20U;

  /// Takes the place of a socket that nobody serves any more. Errors: io, with the address; invalid_argument for a path
  /// that is too long for a socket.
  [[nodiscard]] static result<std::unique_ptr<sdk_server>> open(boost::asio::io_context& io, sdk_server_options options,
                                                                const serving& with);
  ~sdk_server();
  sdk_server(const sdk_server&) = delete;
  sdk_server& operator=(const sdk_server&) = delete;

  /// A request for a WebSocket: takes its connection, or answers what is wrong with it.
  void serve_websocket(const shell::http_request& request, const std::shared_ptr<shell::http_exchange>& exchange);
  /// For the connection that it names; nothing where that has gone.
  void told(const process::app_effect& what);
  /// `document` is a map; "at" and "node" are put in.
  void happened(std::string_view type, const value& document);
  /// Says goodbye to all.
  void end(const error& why);

  [[nodiscard]] std::uint16_t port() const;  ///< of the TCP listener
  [[nodiscard]] sdk_stats stats() const;

 private:
  struct impl;
  explicit sdk_server(std::shared_ptr<impl> made);
  std::shared_ptr<impl> impl_;
};

}  // namespace orrery::sidecar
