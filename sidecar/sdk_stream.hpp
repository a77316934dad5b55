#pragma once
// A connection of an SDK client over a byte stream: TCP, or a Unix socket.
#include "sidecar/sdk_connection.hpp"

#include <boost/asio/generic/stream_protocol.hpp>

#include <array>

namespace orrery::sidecar {

namespace asio = boost::asio;

class sdk_stream final : public sdk_connection {
 public:
  using socket_type = asio::generic::stream_protocol::socket;

  sdk_stream(socket_type socket, sdk_place at) : sdk_connection(std::move(at)), socket_(std::move(socket)) {
    see_progress(socket_.native_handle());
  }

 private:
  void begin_read() override;
  void begin_write() override;
  void begin_farewell(errc) override { shut(); }
  void close_socket() override;

  socket_type socket_;
  std::array<std::uint8_t, 64U << 10U> chunk_;
};

}  // namespace orrery::sidecar
