#include "kube/local/port_forward.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>

#include <array>
#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace orrery::local {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = boost::beast::websocket;
using tcp = asio::ip::tcp;

constexpr std::size_t frame_bytes_max = 1024 * 1024;
constexpr std::size_t read_bytes = 16 * 1024;
constexpr auto look_interval = std::chrono::milliseconds(200);

/// One port-forward connection; lives on the io_context of its connection's thread. Every TCP side has at most one read
/// that is not yet written to the WebSocket, and the WebSocket is read only when the last message is written: bounded.
class relay {
 public:
  using stream = beast::ssl_stream<beast::tcp_stream>;
  relay(stream& below, asio::io_context& io, const port_forward& wanted, const std::function<bool()>& stopping)
      : socket_(below), io_(io), timer_(io), stopping_(stopping) {
    for (const auto port : wanted.ports)
      sides_.push_back(std::make_unique<side>(io, wanted.address, port));
  }

  void run(const beast::http::request<beast::http::string_body>& request) {
    beast::get_lowest_layer(socket_).expires_never();
    socket_.set_option(websocket::stream_base::decorator([](websocket::response_type& response) {
      response.set(beast::http::field::sec_websocket_protocol, "v4.channel.k8s.io");
    }));
    socket_.set_option(websocket::stream_base::timeout::suggested(beast::role_type::server));
    socket_.read_message_max(frame_bytes_max);
    socket_.async_accept(request, [this](beast::error_code failure) {
      if (failure) return finish();
      socket_.binary(true);
      for (std::size_t at = 0; at < sides_.size(); ++at)
        begin(at);
      read_socket();
    });
    look();
    io_.restart();
    io_.run();
  }

 private:
  struct side {
    side(asio::io_context& io, const std::string& address, std::uint16_t number)
        : tcp_side(io), port(number), host(address) {}
    tcp::socket tcp_side;
    std::uint16_t port;
    std::string host;
    std::array<char, read_bytes> buffer{};
  };

  std::string framed(std::size_t channel, std::string_view data) {
    return std::string(1, static_cast<char>(channel)) + std::string(data);
  }

  void begin(std::size_t at) {
    auto& one = *sides_[at];
    const std::array<char, 2> number = {static_cast<char>(one.port & 0xFFU), static_cast<char>(one.port >> 8U)};
    for (const auto channel : {2 * at, 2 * at + 1})
      queue(framed(channel, {number.data(), 2}), {});
    one.tcp_side.async_connect({asio::ip::make_address(one.host), one.port}, [this, at](beast::error_code failure) {
      if (!failure) return read_side(at);
      auto& broken = *sides_[at];
      const auto text =
          "cannot connect to " + broken.host + ":" + std::to_string(broken.port) + ": " + failure.message();
      queue(framed(2 * at + 1, text), [this] { close_gently(); });
    });
  }

  void read_side(std::size_t at) {
    auto& one = *sides_[at];
    one.tcp_side.async_read_some(asio::buffer(one.buffer), [this, at](beast::error_code failure, std::size_t size) {
      if (failure) return close_gently();
      queue(framed(2 * at, {sides_[at]->buffer.data(), size}), [this, at] { read_side(at); });
    });
  }

  void read_socket() {
    socket_.async_read(incoming_, [this](beast::error_code failure, std::size_t) {
      if (failure) return finish();
      auto text = std::make_shared<std::string>(beast::buffers_to_string(incoming_.data()));
      incoming_.consume(incoming_.size());
      const auto channel = text->empty() ? 1U : static_cast<unsigned char>(text->front());
      if (channel % 2 != 0 || channel / 2 >= sides_.size() || text->size() < 2) return read_socket();
      auto& one = *sides_[channel / 2];
      asio::async_write(one.tcp_side, asio::buffer(text->data() + 1, text->size() - 1),
                        [this, text](beast::error_code broken, std::size_t) {
                          if (broken) return close_gently();
                          read_socket();
                        });
    });
  }

  void queue(std::string message, std::function<void()> then) {
    outgoing_.emplace_back(std::move(message), std::move(then));
    if (outgoing_.size() == 1) write_next();
  }

  void write_next() {
    socket_.async_write(asio::buffer(outgoing_.front().first), [this](beast::error_code failure, std::size_t) {
      if (failure) return finish();
      auto then = std::move(outgoing_.front().second);
      outgoing_.pop_front();
      if (!outgoing_.empty()) write_next();
      if (then) then();
    });
  }

  /// After what is queued: the pod's side has ended.
  void close_gently() {
    if (closing_) return;
    closing_ = true;
    queue_close();
  }
  void queue_close() {
    if (!outgoing_.empty()) {
      auto& last = outgoing_.back().second;
      last = [this, before = std::move(last)] {
        if (before) before();
        queue_close();
      };
      return;
    }
    socket_.async_close(websocket::close_code::normal, [this](beast::error_code) { finish(); });
  }

  void finish() { io_.stop(); }

  void look() {
    timer_.expires_after(look_interval);
    timer_.async_wait([this](beast::error_code failure) {
      if (failure || stopping_()) return finish();
      look();
    });
  }

  websocket::stream<stream&, false> socket_;  // without permessage-deflate: nobody asks for it
  asio::io_context& io_;
  asio::steady_timer timer_;
  const std::function<bool()>& stopping_;
  std::vector<std::unique_ptr<side>> sides_;
  beast::flat_buffer incoming_;
  std::deque<std::pair<std::string, std::function<void()>>> outgoing_;
  bool closing_ = false;
};

}  // namespace

void relay_port_forward(beast::ssl_stream<beast::tcp_stream>& stream, asio::io_context& io,
                        const beast::http::request<beast::http::string_body>& request, const port_forward& wanted,
                        const std::function<bool()>& stopping) {
  relay(stream, io, wanted, stopping).run(request);
}

}  // namespace orrery::local
