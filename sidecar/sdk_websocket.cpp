#include "sidecar/sdk_websocket.hpp"

#include <boost/beast/core/stream_traits.hpp>
#include <boost/beast/websocket/stream.hpp>

#include "shell/http_handover.hpp"
#include <algorithm>
#include <array>
#include <utility>

namespace orrery::sidecar {

namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
namespace websocket = boost::beast::websocket;
using boost::system::error_code;

constexpr std::size_t piece_bytes_max = 64U << 10U;  ///< of a message in one write: a slow reader shows progress

/// RFC 6455, 7.4.1, and what IANA has added.
websocket::close_code close_code_of(errc why) {
  using enum websocket::close_code;
  if (why == errc::cancelled) return normal;
  if (why == errc::draining) return going_away;
  if (why == errc::protocol) return protocol_error;
  if (why == errc::too_large) return too_big;
  if (why == errc::overloaded) return try_again_later;
  return policy_error;
}

class sdk_websocket final : public sdk_connection {
 public:
  sdk_websocket(shell::http_handover from, sdk_place at)
      : sdk_connection(std::move(at)), socket_(std::move(from.socket)), request_(std::move(from.request)) {
    see_progress(boost::beast::get_lowest_layer(socket_).native_handle());
    socket_.auto_fragment(false);
    socket_.read_message_max(0);  // the session bounds frames, and says so in its words
    socket_.set_option(websocket::stream_base::decorator([](websocket::response_type& answer) {
      answer.set(http::field::sec_websocket_protocol,
                 boost::beast::string_view(websocket_protocol.data(), websocket_protocol.size()));
    }));
    socket_.control_callback([this](websocket::frame_type, boost::beast::string_view) { heard_from(); });
  }

  void start() override {
    socket_.async_accept(request_, [this, self = shared_from_this()](error_code ec) {
      request_ = {};
      if (ec) return lost(ec.message(), true);
      opened();
    });
  }

 private:
  void begin_read() override {
    socket_.async_read_some(asio::buffer(chunk_), [this, self = shared_from_this()](error_code ec, std::size_t count) {
      if (ec == websocket::error::closed) return lost("closed by the client");
      if (ec) return lost(ec.message(), ec == websocket::condition::protocol_violation);
      has_read([&](sdk::session& to, time_point now, sdk::outputs& todo) {
        const auto how = socket_.got_text() ? sdk::encoding::json : sdk::encoding::cbor;
        to.received_piece(now, byte_view{chunk_}.first(count), socket_.is_message_done(), how, todo);
      });
    });
  }

  void begin_write() override {
    if (to_write().at_start()) to_write().left(sdk::length_bytes);  // messages have a length of their own
    const auto rest = to_write().first();
    const auto piece = rest.first(std::min(rest.size(), piece_bytes_max));
    socket_.text(speaks() == sdk::encoding::json);
    socket_.async_write_some(piece.size() == rest.size(), asio::buffer(piece.data(), piece.size()),
                             [this, self = shared_from_this()](error_code ec, std::size_t count) {
                               if (ec) return lost(ec.message());
                               has_written(count);
                             });
  }

  void begin_farewell(errc why) override {
    socket_.async_close(close_code_of(why), [this, self = shared_from_this()](error_code) { shut(); });
  }

  void close_socket() override {
    error_code ignored;
    boost::beast::get_lowest_layer(socket_).close(ignored);
  }

  websocket::stream<asio::ip::tcp::socket, false> socket_;
  http::request<http::string_body> request_;  ///< until it is answered
  std::array<std::uint8_t, piece_bytes_max> chunk_;
};

}  // namespace

std::shared_ptr<sdk_connection> make_sdk_websocket(shell::http_handover from, sdk_place at) {
  return std::make_shared<sdk_websocket>(std::move(from), std::move(at));
}

}  // namespace orrery::sidecar
