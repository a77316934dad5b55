#include "shell/http_server.hpp"

#include "mesh/base/endpoint.hpp"

#include <fmt/format.h>

#include "shell/http_connection.hpp"

namespace orrery::shell {

namespace {
constexpr std::chrono::milliseconds tick_interval{250};
}

struct http_server::impl : http_owner, std::enable_shared_from_this<impl> {
  impl(asio::io_context& io, http_server_options chosen, handler to_serve)
      : options(std::move(chosen)), serve(std::move(to_serve)), acceptor(io), ticker(io) {}

  http_server_options options;
  handler serve;
  tcp::acceptor acceptor;
  asio::steady_timer ticker;
  std::unordered_set<http_connection*> connections;
  http_server_stats counted;
  std::size_t held = 0;  ///< bytes of requests
  bool closed = false;

  // One coarse timer for all connections, so that a request costs no timer of its own.
  void tick() {
    ticker.expires_after(tick_interval);
    ticker.async_wait([self = shared_from_this()](boost::system::error_code ec) {
      if (ec || self->closed) return;
      const auto now = std::chrono::steady_clock::now();
      const std::vector<http_connection*> all(self->connections.begin(), self->connections.end());
      for (auto* each : all) {
        if (self->connections.contains(each)) each->shared_from_this()->tick(now);
      }
      self->tick();
    });
  }

  void accept() {
    acceptor.async_accept([self = shared_from_this()](boost::system::error_code ec, tcp::socket socket) {
      if (self->closed || ec == asio::error::operation_aborted) return;
      if (ec) {  // out of descriptors: wait for one instead of spinning
        auto pause = std::make_shared<asio::steady_timer>(self->acceptor.get_executor(), tick_interval);
        pause->async_wait([self, pause](boost::system::error_code) {
          if (!self->closed) self->accept();
        });
        return;
      }
      self->welcome(std::move(socket));
      self->accept();
    });
  }

  void welcome(tcp::socket socket) {
    boost::system::error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    if (connections.size() >= options.connections_max && !make_room()) {
      ++counted.refused_full;
      socket.non_blocking(true, ignored);
      const auto text = http_refusal(
          error{errc::overloaded, fmt::format("{} connections are open, no more are accepted", connections.size()),
                took_effect::not_executed},
          503);
      socket.write_some(asio::buffer(text), ignored);
      return;
    }
    ++counted.accepted;
    auto made = std::make_shared<http_connection>(std::move(socket), *this, options);
    connections.insert(made.get());
    made->start();
  }

  /// Whoever holds all places with connections that ask for nothing must not keep others out: the quietest goes.
  bool make_room() {
    std::optional<http_connection::sparable> least;
    http_connection* goes = nullptr;
    for (auto* each : connections) {
      const auto spare = each->spare();
      if (!spare || (least && *least <= *spare)) continue;
      least = spare;
      goes = each;
    }
    if (goes == nullptr) return false;
    ++counted.made_room;
    goes->shared_from_this()->make_room();
    return true;
  }

  void handle(const http_request& request, const std::shared_ptr<http_exchange>& exchange) override {
    serve(request, exchange);
  }
  void closing(http_connection* which) override { connections.erase(which); }
  void malformed() override { ++counted.malformed; }
  bool hold(std::size_t bytes) override { return (held += bytes) <= options.requests_bytes_max; }
  void let_go(std::size_t bytes) override { held -= bytes; }

  void close() {
    closed = true;
    boost::system::error_code ignored;
    acceptor.close(ignored);
    ticker.cancel();
    const std::vector<http_connection*> all(connections.begin(), connections.end());
    for (auto* each : all) {
      if (connections.contains(each)) each->shared_from_this()->abandon();
    }
    serve = nullptr;
  }
};

result<std::unique_ptr<http_server>> http_server::open(asio::io_context& io, http_server_options options,
                                                       handler serve) {
  const auto at = parse_endpoint(options.listen_address);
  if (!at) return fail(at.error());
  auto made = std::make_shared<impl>(io, std::move(options), std::move(serve));
  boost::system::error_code ec;
  const tcp::endpoint endpoint(asio::ip::make_address(at->ip, ec), at->port);
  if (!ec) made->acceptor.open(endpoint.protocol(), ec);
  if (!ec) made->acceptor.set_option(asio::socket_base::reuse_address(true), ec);
  if (!ec) made->acceptor.bind(endpoint, ec);
  if (!ec) made->acceptor.listen(asio::socket_base::max_listen_connections, ec);
  if (ec) {
    return fail(errc::io, fmt::format("cannot listen on {}: {}", made->options.listen_address, ec.message()));
  }
  made->accept();
  made->tick();
  return std::unique_ptr<http_server>(new http_server(std::move(made)));  // NOLINT: the constructor is private
}

http_server::http_server(std::shared_ptr<impl> made) : impl_(std::move(made)) {}
http_server::~http_server() { impl_->close(); }

std::uint16_t http_server::port() const {
  boost::system::error_code ignored;
  return impl_->acceptor.local_endpoint(ignored).port();
}

http_server_stats http_server::stats() const {
  auto out = impl_->counted;
  out.connections = impl_->connections.size();
  return out;
}

}  // namespace orrery::shell
