#include "kube/local/http_server.hpp"

#include "kube/local/json.hpp"
#include "kube/local/port_forward.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <openssl/x509.h>

#include <array>
#include <atomic>
#include <list>
#include <mutex>
#include <poll.h>
#include <sys/socket.h>
#include <thread>
#include <utility>  // before Asio: Boost 1.74 forgets it

namespace orrery::local {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace bhttp = boost::beast::http;
using tcp = asio::ip::tcp;

constexpr std::size_t connections_max = 2048;
constexpr std::uint64_t body_bytes_max = 3 * 1024 * 1024;
constexpr std::uint32_t header_bytes_max = 64 * 1024;
constexpr auto idle_max = std::chrono::seconds(120);
constexpr auto io_max = std::chrono::seconds(30);

std::string percent_decoded(std::string_view text, bool plus_is_space) {
  std::string out;
  const auto digit = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
  };
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '%' && at + 2 < text.size() && digit(text[at + 1]) >= 0 && digit(text[at + 2]) >= 0) {
      out += static_cast<char>(digit(text[at + 1]) * 16 + digit(text[at + 2]));
      at += 2;
    } else {
      out += plus_is_space && text[at] == '+' ? ' ' : text[at];
    }
  }
  return out;
}

using parsed = bhttp::request<bhttp::string_body>;

http_request translate(parsed& from) {
  http_request out;
  out.method = std::string(from.method_string());
  const std::string_view target(from.target().data(), from.target().size());
  const auto question = target.find('?');
  out.path = percent_decoded(target.substr(0, question), false);
  if (question != std::string_view::npos) {
    for (const auto& pair : split(target.substr(question + 1), '&')) {
      const auto equal = pair.find('=');
      out.query[percent_decoded(pair.substr(0, equal), true)] =
          equal == std::string::npos ? "" : percent_decoded(std::string_view(pair).substr(equal + 1), true);
    }
  }
  for (const auto& field : from) {
    std::string name(field.name_string());
    for (auto& each : name)
      each = static_cast<char>(std::tolower(static_cast<unsigned char>(each)));
    auto& value = out.headers[name];
    if (!value.empty()) value += ",";
    value += std::string(field.value());
  }
  out.body = std::move(from.body());
  return out;
}

/// One connection, served by one thread. `cut` may be called from another.
class connection final : public http_stream {
 public:
  connection(tcp::socket accepted, asio::ssl::context& tls, const http_server::options& options,
             const std::atomic<bool>& stopping)
      : stream_(tcp::socket(io_, tcp::v4(), accepted.release()), tls),
        options_(options),
        stopping_(stopping),
        descriptor_(beast::get_lowest_layer(stream_).socket().native_handle()) {}

  void start() {
    thread_ = std::thread([this] { serve(); });
  }
  void cut() {
    const std::lock_guard lock(mutex_);
    if (!done_) ::shutdown(descriptor_, SHUT_RDWR);
  }
  [[nodiscard]] bool done() {
    const std::lock_guard lock(mutex_);
    return done_;
  }
  void join() { thread_.join(); }

  bool write(std::string_view chunk) override {
    if (chunk.empty()) return open();
    std::array<char, 20> size{};
    const auto length = std::snprintf(size.data(), size.size(), "%zx\r\n", chunk.size());
    std::string out(size.data(), static_cast<std::size_t>(length));
    out += chunk;
    out += "\r\n";
    return send(out);
  }
  bool open() override {
    if (stopping_ || aborted_) return false;
    pollfd look{.fd = descriptor_, .events = POLLRDHUP, .revents = 0};
    return ::poll(&look, 1, 0) == 0;
  }
  void abort() override { aborted_ = true; }

 private:
  /// Runs one asynchronous operation to its end, so that its deadline holds.
  template <class Begin>
  beast::error_code run(std::chrono::steady_clock::duration limit, Begin begin) {
    beast::error_code outcome = asio::error::operation_aborted;
    beast::get_lowest_layer(stream_).expires_after(limit);
    begin([&outcome](beast::error_code failure, auto&&...) { outcome = failure; });
    io_.restart();
    io_.run();
    beast::get_lowest_layer(stream_).expires_never();
    return outcome;
  }

  bool send(const std::string& text) {
    return !run(io_max, [&](auto handler) { asio::async_write(stream_, asio::buffer(text), handler); });
  }

  void serve() {
    try {
      const auto failure =
          run(io_max, [&](auto handler) { stream_.async_handshake(asio::ssl::stream_base::server, handler); });
      if (!failure) {
        read_certificate();
        while (!stopping_ && serve_one())
          continue;
      }
    } catch (const std::exception&) {
      // A peer that breaks off in a way Beast throws about: the connection ends, the server does not.
    }
    const std::lock_guard lock(mutex_);
    done_ = true;
    beast::error_code ignored;
    beast::get_lowest_layer(stream_).socket().close(ignored);
  }

  void read_certificate() {
    const std::unique_ptr<X509, decltype(&X509_free)> peer(SSL_get1_peer_certificate(stream_.native_handle()),
                                                           &X509_free);
    if (!peer) return;
    auto* subject = X509_get_subject_name(peer.get());
    for (int at = 0; at < X509_NAME_entry_count(subject); ++at) {
      auto* entry = X509_NAME_get_entry(subject, at);
      auto* data = X509_NAME_ENTRY_get_data(entry);
      std::string value(reinterpret_cast<const char*>(ASN1_STRING_get0_data(data)),
                        static_cast<std::size_t>(ASN1_STRING_length(data)));
      const auto field = OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry));
      if (field == NID_commonName)
        user_ = std::move(value);
      else if (field == NID_organizationName)
        groups_.push_back(std::move(value));
    }
  }

  bool serve_one() {
    bhttp::request_parser<bhttp::string_body> parser;
    parser.body_limit(body_bytes_max);
    parser.header_limit(header_bytes_max);
    auto failure = run(idle_max, [&](auto handler) { bhttp::async_read_header(stream_, buffer_, parser, handler); });
    if (!failure && parser.get()[bhttp::field::expect] == "100-continue" && !send("HTTP/1.1 100 Continue\r\n\r\n"))
      return false;
    if (!failure) failure = run(io_max, [&](auto handler) { bhttp::async_read(stream_, buffer_, parser, handler); });
    if (failure == bhttp::error::body_limit) {
      http_response large;
      large.status = 413;
      large.body =
          R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"the body is larger than 3145728 bytes","reason":"RequestEntityTooLarge","code":413})";
      reply(large, false);
      return false;
    }
    if (failure) return false;
    auto raw = parser.release();
    const bool keep = raw.keep_alive();
    auto request = translate(raw);
    request.certificate_user = user_;
    request.certificate_groups = groups_;
    const auto response = options_.handler(request);
    if (response.drop) return false;
    if (response.forward) {
      relay_port_forward(stream_, io_, raw, *response.forward, [this] { return stopping_.load(); });
      return false;
    }
    return reply(response, keep);
  }

  bool reply(const http_response& response, bool keep) {
    std::string head = "HTTP/1.1 " + std::to_string(response.status) + " " +
                       std::string(bhttp::obsolete_reason(static_cast<bhttp::status>(response.status))) + "\r\n";
    head += "Content-Type: " + response.content_type + "\r\nCache-Control: no-cache, private\r\n";
    for (const auto& [name, value] : response.headers)
      head += name + ": " + value + "\r\n";
    if (!keep) head += "Connection: close\r\n";
    if (!response.stream) {
      head += "Content-Length: " + std::to_string(response.body.size()) + "\r\n\r\n";
      return send(head + response.body) && keep;
    }
    head += "Transfer-Encoding: chunked\r\n\r\n";
    if (!send(head)) return false;
    response.stream(*this);
    if (aborted_ || stopping_) return false;
    return send("0\r\n\r\n") && keep;
  }

  asio::io_context io_{1};
  beast::ssl_stream<beast::tcp_stream> stream_;
  beast::flat_buffer buffer_;
  const http_server::options& options_;
  const std::atomic<bool>& stopping_;
  std::string user_;
  std::vector<std::string> groups_;
  bool aborted_ = false;
  const int descriptor_;
  std::mutex mutex_;
  bool done_ = false;
  std::thread thread_;
};

}  // namespace

class http_server::impl {
 public:
  explicit impl(options chosen) : options_(std::move(chosen)) {}

  result<void> start() {
    try {
      tls_.set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_sslv2 |
                       asio::ssl::context::no_sslv3 | asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1);
      tls_.use_certificate(asio::buffer(options_.certificate.certificate), asio::ssl::context::pem);
      tls_.use_private_key(asio::buffer(options_.certificate.key), asio::ssl::context::pem);
      tls_.add_certificate_authority(asio::buffer(options_.client_authority));
      tls_.set_verify_mode(asio::ssl::verify_peer);
      SSL_CTX_set_session_cache_mode(tls_.native_handle(), SSL_SESS_CACHE_OFF);
      static constexpr std::array<unsigned char, 6> session_context = {'o', 'r', 'r', 'e', 'r', 'y'};
      SSL_CTX_set_session_id_context(tls_.native_handle(), session_context.data(), session_context.size());
      const tcp::endpoint at(asio::ip::make_address_v4("127.0.0.1"), options_.port);
      acceptor_.open(at.protocol());
      acceptor_.set_option(asio::socket_base::reuse_address(true));
      acceptor_.bind(at);
      acceptor_.listen();
    } catch (const std::exception& wrong) {
      return fail(errc::io, "cannot serve on 127.0.0.1:" + std::to_string(options_.port) + ": " + wrong.what());
    }
    thread_ = std::thread([this] { accept(); });
    return {};
  }

  ~impl() {
    stopping_ = true;
    if (acceptor_.is_open()) ::shutdown(acceptor_.native_handle(), SHUT_RDWR);
    if (thread_.joinable()) thread_.join();
    for (auto& each : connections_)
      each.cut();
    for (auto& each : connections_)
      each.join();
  }

  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

 private:
  void accept() {
    while (!stopping_) {
      beast::error_code failure;
      tcp::socket socket(io_);
      acceptor_.accept(socket, failure);
      if (stopping_) return;
      if (failure) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));  // out of descriptors: not a busy loop
        continue;
      }
      for (auto it = connections_.begin(); it != connections_.end();) {
        if (it->done()) {
          it->join();
          it = connections_.erase(it);
        } else {
          ++it;
        }
      }
      if (connections_.size() >= connections_max || (options_.refuse && options_.refuse())) continue;  // closes it
      socket.set_option(tcp::no_delay(true), failure);
      connections_.emplace_back(std::move(socket), tls_, options_, stopping_).start();
    }
  }

  options options_;
  asio::io_context io_{1};
  asio::ssl::context tls_{asio::ssl::context::tls_server};
  tcp::acceptor acceptor_{io_};
  std::atomic<bool> stopping_ = false;
  std::list<connection> connections_;
  std::thread thread_;
};

http_server::http_server(std::unique_ptr<impl> inner) : impl_(std::move(inner)) {}
http_server::~http_server() = default;
std::uint16_t http_server::port() const { return impl_->port(); }

result<std::unique_ptr<http_server>> http_server::start(options chosen) {
  auto inner = std::make_unique<impl>(std::move(chosen));
  if (auto started = inner->start(); !started) return fail(started.error());
  return std::unique_ptr<http_server>(new http_server(std::move(inner)));
}

}  // namespace orrery::local
