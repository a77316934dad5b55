#include "sidecar/sdk_stream.hpp"

#include <boost/asio/buffer.hpp>

#include <vector>

namespace orrery::sidecar {

namespace {
using boost::system::error_code;
}

void sdk_stream::begin_read() { read_some(); }

void sdk_stream::read_some() {
  under_way_ = true;
  socket_.async_read_some(asio::buffer(chunk_), [this, self = shared_from_this()](error_code ec, std::size_t count) {
    under_way_ = false;
    if (leaving_) return ec ? shut() : read_some();
    if (ec) return lost(ec == asio::error::eof ? "closed by the client" : ec.message());
    has_read(
        [&](sdk::session& to, time_point now, sdk::outputs&) { to.received(now, byte_view{chunk_}.first(count)); });
  });
}

/// A socket that is closed while something of the client's is unread resets the connection, and what the client has not
/// read by then is lost to it, the goodbye first.
void sdk_stream::begin_farewell(errc) {
  leaving_ = true;
  error_code ignored;
  socket_.shutdown(asio::socket_base::shutdown_send, ignored);
  if (!under_way_) read_some();
}

void sdk_stream::begin_write() {
  constexpr std::size_t at_once = 64;  // what one system call takes
  std::vector<asio::const_buffer> buffers;
  for (const auto& each : to_write().several(at_once))
    buffers.emplace_back(each.data(), each.size());
  socket_.async_write_some(buffers, [this, self = shared_from_this()](error_code ec, std::size_t count) {
    if (ec) return lost(ec.message());
    has_written(count);
  });
}

void sdk_stream::close_socket() {
  error_code ignored;
  socket_.shutdown(asio::socket_base::shutdown_both, ignored);
  socket_.close(ignored);
}

}  // namespace orrery::sidecar
