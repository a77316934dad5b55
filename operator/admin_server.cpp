#include "operator/admin_server.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <optional>
#include <thread>
#include <utility>  // before Asio: Boost 1.74 forgets it

namespace orrery::op {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;

constexpr std::size_t connections_max = 64;
constexpr std::size_t body_bytes_max = 4096;
constexpr std::uint32_t header_bytes_max = 16U << 10U;
constexpr std::chrono::seconds request_timeout{10};

result<tcp::endpoint> parse_address(const std::string& address) {
  const auto wrong = [&] {
    return fail(errc::invalid_argument,
                fmt::format("`{}` is no address: ADDRESS:PORT is accepted, as in 0.0.0.0:8080 or [::1]:0", address));
  };
  const auto colon = address.rfind(':');
  if (colon == std::string::npos) return wrong();
  std::string host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  std::uint16_t port = 0;
  const auto* end = address.data() + address.size();
  if (const auto [at, bad] = std::from_chars(address.data() + colon + 1, end, port); bad != std::errc{} || at != end) {
    return wrong();
  }
  boost::system::error_code bad;
  const auto parsed = asio::ip::make_address(host, bad);
  if (bad) return wrong();
  return tcp::endpoint{parsed, port};
}

http::response<http::string_body> answer(const http::request<http::string_body>& request,
                                         const admin_handlers& handlers) {
  http::response<http::string_body> out{http::status::ok, request.version()};
  out.set(http::field::content_type, "text/plain; charset=utf-8");
  const auto judge = [&](const result<void>& verdict) {
    out.body() = verdict ? "ok\n" : to_string(verdict.error()) + "\n";
    if (!verdict) out.result(http::status::service_unavailable);
  };
  const auto target = std::string_view(request.target().data(), request.target().size());
  const auto path = target.substr(0, target.find('?'));
  if (request.method() != http::verb::get && request.method() != http::verb::head) {
    out.result(http::status::method_not_allowed);
    out.body() = "only GET and HEAD are accepted\n";
  } else if (path == "/metrics") {
    out.set(http::field::content_type, "text/plain; version=0.0.4; charset=utf-8");
    out.body() = handlers.metrics();
  } else if (path == "/healthz") {
    judge(handlers.healthy());
  } else if (path == "/readyz") {
    judge(handlers.ready());
  } else {
    out.result(http::status::not_found);
    out.body() = "there are /healthz, /readyz and /metrics\n";
  }
  out.keep_alive(request.keep_alive());
  out.content_length(out.body().size());
  if (request.method() == http::verb::head) out.body().clear();
  return out;
}

/// One connection; kept alive by its own handlers.
class session : public std::enable_shared_from_this<session> {
 public:
  session(tcp::socket socket, const admin_handlers& handlers, std::size_t& open)
      : stream_(std::move(socket)), handlers_(handlers), open_(open) {
    ++open_;
  }
  ~session() { --open_; }
  session(const session&) = delete;
  session& operator=(const session&) = delete;

  void read() {
    parser_.emplace();
    parser_->body_limit(body_bytes_max);
    parser_->header_limit(header_bytes_max);
    stream_.expires_after(request_timeout);
    http::async_read(stream_, buffer_, *parser_, [self = shared_from_this()](beast::error_code bad, std::size_t) {
      if (!bad) self->write();
    });
  }

 private:
  void write() {
    response_ = answer(parser_->get(), handlers_);
    http::async_write(stream_, response_, [self = shared_from_this()](beast::error_code bad, std::size_t) {
      if (!bad && self->response_.keep_alive()) self->read();
    });
  }

  beast::tcp_stream stream_;
  beast::flat_buffer buffer_{header_bytes_max + body_bytes_max};
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;
  const admin_handlers& handlers_;
  std::size_t& open_;
};

}  // namespace

struct admin_server::state {
  explicit state(admin_handlers given) : handlers(std::move(given)) {}

  void accept() {
    acceptor.async_accept([this](beast::error_code bad, tcp::socket socket) {
      if (bad == asio::error::operation_aborted) return;
      if (!bad && open < connections_max) std::make_shared<session>(std::move(socket), handlers, open)->read();
      accept();
    });
  }

  admin_handlers handlers;
  std::size_t open = 0;
  asio::io_context io{1};
  tcp::acceptor acceptor{io};
  std::thread thread;
};

admin_server::admin_server(std::unique_ptr<state> made) : state_(std::move(made)) {}

result<std::unique_ptr<admin_server>> admin_server::start(const std::string& address, admin_handlers handlers) {
  const auto endpoint = parse_address(address);
  if (!endpoint) return fail(endpoint.error());
  auto made = std::make_unique<state>(std::move(handlers));
  boost::system::error_code bad;
  auto& acceptor = made->acceptor;
  acceptor.open(endpoint->protocol(), bad);
  if (!bad) acceptor.set_option(tcp::acceptor::reuse_address(true), bad);
  if (!bad) acceptor.bind(*endpoint, bad);
  if (!bad) acceptor.listen(asio::socket_base::max_listen_connections, bad);
  if (bad) return fail(errc::io, fmt::format("cannot listen on {}: {}", address, bad.message()));
  made->accept();
  made->thread = std::thread([&io = made->io] { io.run(); });
  return std::unique_ptr<admin_server>(new admin_server(std::move(made)));
}

admin_server::~admin_server() {
  state_->io.stop();
  state_->thread.join();
}

std::uint16_t admin_server::port() const {
  boost::system::error_code bad;
  return state_->acceptor.local_endpoint(bad).port();
}

}  // namespace orrery::op
