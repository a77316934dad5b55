#include "cli/http_client.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <utility>

namespace orrery::cli {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

/// A server closes idle connections after a minute: one that is older is not trusted with a request.
constexpr std::chrono::seconds reuse_max{20};
/// How often a silent stream looks at `stop`.
constexpr milliseconds stop_poll{200};

}  // namespace

result<http_url> parse_url(std::string_view text) {
  const auto refuse = [&] {
    return fail(
        errc::invalid_argument,
        fmt::format("'{}' is not a sidecar's URL; accepted are http://HOST:PORT, as http://127.0.0.1:3600", text));
  };
  auto rest = text;
  if (!rest.starts_with("http://")) return refuse();
  rest.remove_prefix(7);
  if (rest.ends_with('/')) rest.remove_suffix(1);
  if (rest.empty() || rest.find_first_of("/?#@ ") != std::string_view::npos) return refuse();
  http_url out;
  const auto colon = rest.rfind(':');
  const auto bracket = rest.rfind(']');
  const bool has_port = colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
  auto host = has_port ? rest.substr(0, colon) : rest;
  if (has_port) {
    const auto port = rest.substr(colon + 1);
    const auto [end, ec] = std::from_chars(port.data(), port.data() + port.size(), out.port);
    if (ec != std::errc{} || end != port.data() + port.size() || out.port == 0) return refuse();
  }
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host.empty()) return refuse();
  out.host = host;
  return out;
}

std::string to_string(const http_url& url) {
  return url.host.find(':') == std::string::npos ? fmt::format("http://{}:{}", url.host, url.port)
                                                 : fmt::format("http://[{}]:{}", url.host, url.port);
}

struct http_client::impl {
  explicit impl(http_url to) : server(std::move(to)) {}

  http_url server;
  asio::io_context io{1};
  std::optional<beast::tcp_stream> stream;
  beast::flat_buffer buffer;
  steady_clock::time_point used{};

  /// Runs one asynchronous operation to its end.
  template <class Start>
  beast::error_code wait(Start start) {
    beast::error_code out;
    start([&out](beast::error_code ec, auto...) { out = ec; });
    io.restart();
    io.run();
    return out;
  }

  [[nodiscard]] error broken(const beast::error_code& ec, std::string_view what, took_effect effect) {
    stream.reset();
    const bool late = ec == beast::error::timeout;
    return error{late ? errc::deadline_exceeded : errc::unavailable,
                 late ? fmt::format("no answer from {} in time", to_string(server))
                      : fmt::format("{} {}: {}", what, to_string(server), ec.message()),
                 effect};
  }

  result<void> connect(milliseconds timeout) {
    if (stream && steady_clock::now() - used < reuse_max) return {};
    stream.emplace(io);
    buffer.clear();
    beast::error_code ec;
    tcp::resolver resolver(io);
    const auto found = resolver.resolve(server.host, std::to_string(server.port), ec);
    if (ec) return fail(broken(ec, "cannot find", took_effect::not_executed));
    stream->expires_after(timeout);
    ec = wait([&](auto told) { stream->async_connect(found, std::move(told)); });
    if (ec == beast::error::timeout) {
      stream.reset();
      return fail(errc::unavailable,
                  fmt::format("cannot reach {}: no answer to the connection attempt", to_string(server)));
    }
    if (ec) return fail(broken(ec, "cannot reach", took_effect::not_executed));
    stream->socket().set_option(tcp::no_delay(true), ec);
    return {};
  }

  result<void> write(const http_question& asked, milliseconds timeout) {
    http::request<http::string_body> request;
    request.version(11);
    request.method_string(asked.method);
    request.target(asked.target);
    request.set(http::field::host, fmt::format("{}:{}", server.host, server.port));
    request.set(http::field::user_agent, "orrery/" ORRERY_VERSION);
    for (const auto& [name, content] : asked.headers)
      request.set(name, content);
    if (!asked.body.empty()) request.set(http::field::content_type, "application/json");
    request.body() = asked.body;
    request.prepare_payload();
    stream->expires_after(timeout);
    const auto ec = wait([&](auto told) { http::async_write(*stream, request, std::move(told)); });
    if (ec) return fail(broken(ec, "lost the connection to", effect_of(asked)));
    return {};
  }

  static took_effect effect_of(const http_question& asked) {
    return asked.method == "GET" ? took_effect::not_executed : took_effect::unknown;
  }
};

http_client::http_client(http_url server) : impl_(std::make_unique<impl>(std::move(server))) {}
http_client::~http_client() = default;

result<http_reply> http_client::send(const http_question& asked, milliseconds timeout) {
  auto& self = *impl_;
  if (auto done = self.connect(timeout); !done) return fail(done.error());
  if (auto done = self.write(asked, timeout); !done) return fail(done.error());
  http::response_parser<http::string_body> parser;
  parser.body_limit(reply_bytes_max);
  self.stream->expires_after(timeout);
  const auto ec = self.wait([&](auto told) { http::async_read(*self.stream, self.buffer, parser, std::move(told)); });
  if (ec == http::error::body_limit) {
    self.stream.reset();
    return fail(errc::too_large, fmt::format("the answer is over {} bytes", reply_bytes_max), impl::effect_of(asked));
  }
  if (ec) return fail(self.broken(ec, "lost the connection to", impl::effect_of(asked)));
  auto& got = parser.get();
  if (!got.keep_alive()) self.stream.reset();
  self.used = steady_clock::now();
  return http_reply{.status = static_cast<int>(got.result_int()),
                    .content_type = std::string(got[http::field::content_type]),
                    .body = std::move(got.body()),
                    .etag = std::string(got[http::field::etag])};
}

result<http_reply> http_client::stream(const http_question& asked, milliseconds idle, const std::atomic<bool>& stop,
                                       const std::function<bool(std::string_view)>& on_bytes) {
  auto& self = *impl_;
  self.stream.reset();
  if (auto done = self.connect(idle); !done) return fail(done.error());
  if (auto done = self.write(asked, idle); !done) return fail(done.error());
  http::response_parser<http::buffer_body> parser;
  parser.body_limit(std::numeric_limits<std::uint64_t>::max());  // Beast 1.74 takes none for 0
  self.stream->expires_after(idle);
  auto ec = self.wait([&](auto told) { http::async_read_header(*self.stream, self.buffer, parser, std::move(told)); });
  if (ec) return fail(self.broken(ec, "lost the connection to", took_effect::not_executed));
  http_reply reply{.status = static_cast<int>(parser.get().result_int()),
                   .content_type = std::string(parser.get()[http::field::content_type]),
                   .body = {}};
  std::array<char, 16384> chunk{};
  self.stream->expires_after(idle);
  while (!parser.is_done() && !stop) {
    parser.get().body().data = chunk.data();
    parser.get().body().size = chunk.size();
    bool finished = false;
    http::async_read_some(*self.stream, self.buffer, parser, [&](beast::error_code failed, std::size_t) {
      ec = failed;
      finished = true;
    });
    self.io.restart();
    while (!finished && !stop)
      self.io.run_for(stop_poll);
    if (!finished) {
      self.stream->cancel();
      self.io.restart();
      self.io.run();
      break;
    }
    if (ec && ec != http::error::need_buffer) {
      return fail(self.broken(ec, "lost the connection to", took_effect::not_executed));
    }
    const std::string_view got(chunk.data(), chunk.size() - parser.get().body().size);
    self.stream->expires_after(idle);
    if (reply.status != 200) {
      reply.body += got;
      if (reply.body.size() > reply_bytes_max) break;
    } else if (!got.empty() && !on_bytes(got)) {
      break;
    }
  }
  self.stream.reset();
  return reply;
}

}  // namespace orrery::cli
