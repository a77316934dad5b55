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
  void begin_farewell(errc why) override;
  void close_socket() override;
  void read_some();

  socket_type socket_;
  bool under_way_ = false;  ///< a read
  bool leaving_ = false;    ///< what comes is read to its end, and not taken
  std::array<std::uint8_t, 64U << 10U> chunk_;
};

}  // namespace orrery::sidecar
