#include "sidecar/sdk_stream.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>

namespace orrery::sidecar {

namespace {
using boost::system::error_code;
}

void sdk_stream::begin_read() {
  socket_.async_read_some(asio::buffer(chunk_), [this, self = shared_from_this()](error_code ec, std::size_t count) {
    if (ec) return lost(ec == asio::error::eof ? "closed by the client" : ec.message());
    has_read(
        [&](sdk::session& to, time_point now, sdk::outputs&) { to.received(now, byte_view{chunk_}.first(count)); });
  });
}

void sdk_stream::begin_write() {
  std::vector<asio::const_buffer> buffers;
  buffers.reserve(writing().size());
  for (const auto& each : writing())
    buffers.push_back(asio::buffer(each));
  auto more = [this](error_code ec, std::size_t) -> std::size_t {
    progressed();
    return ec ? 0 : 65536;
  };
  asio::async_write(socket_, buffers, std::move(more), [this, self = shared_from_this()](error_code ec, std::size_t) {
    if (ec) return lost(ec.message());
    has_written();
  });
}

void sdk_stream::close_socket() {
  error_code ignored;
  socket_.shutdown(asio::socket_base::shutdown_both, ignored);
  socket_.close(ignored);
}

}  // namespace orrery::sidecar
