#include "kube/cpprest_transport.hpp"

#include "kube/client.hpp"
#include "kube/cpprest_exchange.hpp"
#include "kube/credentials.hpp"
#include "kube/tls_context.hpp"
#include "kube/tls_environment.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <cpprest/producerconsumerstream.h>
#include <openssl/ssl.h>
#include <pplx/threadpool.h>

#include <charconv>
#include <mutex>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <utility>  // before Asio: Boost 1.74 forgets it
#include <vector>

// What cpprestsdk 2.10 gets wrong for a client like this one, and what is done about it:
//
// clang-format off: a table
//  40 threads at first use             initialize() asks for four before anything else can
//  reads the system's trust store for  initialize() points OpenSSL's defaults to nothing (tls_environment.hpp); each
//    each connection (87 ms)             connection gets its own store (tls_context.hpp), so nothing else is trusted
//  buffers a stream without bound      responses go to an exchange_sink, whose put completes when the caller has taken
//                                        its bytes
//  slow, blocking stream reads         none: bytes are pushed to the sink as chunks arrive
//  one timeout per client, 30 s, and   set to a day; deadlines are kept by the caller's wait, which cancels the request
//    it is an idle timeout
//  resends any request, POST too, if   requests that must be sent once go by clients of their own with
//    a kept connection turns out dead    "Connection: close", and their body cannot be rewound, at which the library
//                                        gives up instead
//  cancel and close race with the      a caller that gives up does not wait for the library: the exchange outlives both
//    completion of requests
//  exceptions nobody looked at end     every task ends in a continuation that catches everything; no task is dropped
//    the process
//  .get() in a continuation starves    only the caller's own thread waits, on a condition variable
//  crashes when a client is destroyed  clients are parked for good (parked_clients)
//  follows redirects with credentials  off
//  no keep-alive probes                asked for on the socket where the server is an IP address, as it is in a pod
//  its threads use OpenSSL after       initialize() has OpenSSL register its end before the library's threads' end: what
//    exit() has taken that down          comes later ends first
//  drops OpenSSL's reason              tls_report keeps it
//  resolves "[::1]", brackets and all  IPv6 addresses are refused with a remedy; in pods the service's name is used
//                                        instead
// clang-format on

namespace orrery::kube {
namespace {

namespace http = web::http;
using clock = std::chrono::steady_clock;

constexpr std::size_t library_threads = 4;
constexpr auto library_timeout = std::chrono::hours{24};

/// The library's client for one set of credentials, with what its connections point to.
struct http_clients {
  tls_report report;
  std::unique_ptr<http::client::http_client> kept_alive;
  std::unique_ptr<http::client::http_client> one_shot;
};

/// Keeps clients until the process ends, and beyond: neither is this list destroyed.
void park(std::shared_ptr<http_clients> clients) {
  static auto* const mutex = new std::mutex;
  static auto* const parked = new std::vector<std::shared_ptr<http_clients>>;
  const std::lock_guard lock{*mutex};
  parked->push_back(std::move(clients));
}

/// Whether the request can have reached the server, by the library's words for where it failed.
bool never_sent(std::string_view failure) {
  for (const std::string_view before : {"Failed to connect", "Error resolving", "Failed to resolve",
                                        "Error in SSL handshake", "proxy", "Request canceled by user"}) {
    if (failure.find(before) != std::string_view::npos) return true;
  }
  return false;
}

std::optional<std::chrono::seconds> parse_retry_after(std::string_view text) {
  unsigned seconds = 0;
  const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (wrong != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return std::chrono::seconds{seconds};
}

// Notices a peer that has vanished within a minute, on a connection that may be silent for five.
void probe_liveness(int socket) {
  const auto set = [socket](int level, int option, int value) {
    ::setsockopt(socket, level, option, &value, sizeof value);
  };
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 30);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 10);
  set(IPPROTO_TCP, TCP_KEEPCNT, 3);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, 60'000);
}

// The library shows us the socket before it is opened. Where the server is an IP address we know how to open it.
void prepare_socket(http::client::native_handle handle, bool tls, const std::string& host) {
  using tcp = boost::asio::ip::tcp;
  auto* socket = tls ? &static_cast<boost::asio::ssl::stream<tcp::socket&>*>(handle)->next_layer()
                     : static_cast<tcp::socket*>(handle);
  boost::system::error_code failed;
  if (!socket->is_open()) {
    const auto address = boost::asio::ip::make_address(host, failed);
    if (failed) return;
    socket->open(address.is_v4() ? tcp::v4() : tcp::v6(), failed);
    if (failed) return;
  }
  probe_liveness(socket->native_handle());
}

class cpprest_transport final : public transport {
 public:
  cpprest_transport(const cluster_config& config, std::string user_agent)
      : credentials_(std::make_shared<credentials>(config)),
        user_agent_(std::move(user_agent)),
        clients_(make_clients()) {}
  ~cpprest_transport() override { park(std::move(clients_)); }
  cpprest_transport(const cpprest_transport&) = delete;
  cpprest_transport& operator=(const cpprest_transport&) = delete;

  result<response> send(const request& what, const call_options& options) override {
    const auto deadline = clock::now() + options.timeout;
    auto begun = begin(what);
    if (!begun) return fail(begun.error());
    if (const auto news = begun->state->wait_head(deadline, options.stop); news != exchange::news::head) {
      return fail(give_up(*begun, what, news, "no answer within " + std::to_string(options.timeout.count()) + " ms"));
    }
    return read_whole(*begun, what, deadline, options.stop);
  }

  result<response> stream(const request& what, const stream_options& options, const chunk_handler& on_chunk) override {
    const auto deadline = clock::now() + options.answer_timeout;
    auto begun = begin(what);
    if (!begun) return fail(begun.error());
    if (const auto news = begun->state->wait_head(deadline, options.stop); news != exchange::news::head) {
      return fail(
          give_up(*begun, what, news, "no answer within " + std::to_string(options.answer_timeout.count()) + " ms"));
    }
    if (begun->state->head().status != 200) return read_whole(*begun, what, deadline, options.stop);
    if (!on_chunk({})) {
      end(*begun);
      return response{.status = 200};
    }
    for (;;) {
      const auto news = begun->state->wait_bytes(clock::now() + options.idle_timeout, options.stop);
      if (news == exchange::news::end) return response{.status = 200};
      if (news != exchange::news::bytes) {
        return fail(give_up(*begun, what, news, "silent for " + std::to_string(options.idle_timeout.count()) + " ms"));
      }
      if (!on_chunk(begun->state->take_bytes())) {
        end(*begun);
        return response{.status = 200};
      }
    }
  }

  void refresh_credentials() override {
    credentials_->invalidate();
    const auto& config = credentials_->config();
    if (!config.client_certificate.given() && !config.exec) return;
    const auto material = credentials_->tls();
    const std::lock_guard lock{mutex_};
    if (!material || material->certificate == certificate_) return;
    // Kept connections were made with the old certificate, so new clients, with new connections, take over.
    certificate_ = material->certificate;
    park(std::exchange(clients_, make_clients()));
  }

 private:
  struct running {
    std::shared_ptr<exchange> state;
    pplx::cancellation_token_source cancel;
    std::shared_ptr<http_clients> clients;
  };

  std::shared_ptr<http_clients> make_clients() const {
    auto made = std::make_shared<http_clients>();
    made->kept_alive = make_client_for(*made);
    made->one_shot = make_client_for(*made);
    return made;
  }

  std::unique_ptr<http::client::http_client> make_client_for(http_clients& owner) const {
    const auto& config = credentials_->config();
    const web::uri server{config.server};
    http::client::http_client_config settings;
    settings.set_timeout(library_timeout);
    settings.set_max_redirects(0);
    settings.set_validate_certificates(!config.insecure);
    if (!config.proxy_url.empty()) settings.set_proxy(web::web_proxy{config.proxy_url});
    const bool tls = server.scheme() == "https";
    if (config.proxy_url.empty()) {
      settings.set_nativehandle_options(
          [tls, host = server.host()](http::client::native_handle handle) { prepare_socket(handle, tls, host); });
    }
    settings.set_ssl_context_callback([keys = credentials_, &owner](boost::asio::ssl::context& context) {
      auto material = keys->tls();
      auto done = material ? configure_tls(context.native_handle(), *material, owner.report) : fail(material.error());
      if (done) return;
      throw std::runtime_error{"TLS configuration: " + done.error().context};
    });
    return std::make_unique<http::client::http_client>(server, settings);
  }

  http::http_request make_request(const request& what, const std::string& token,
                                  const std::shared_ptr<exchange>& state) const {
    http::http_request made{what.method};
    made.set_request_uri(web::uri{what.path});
    auto& headers = made.headers();
    headers.add("Accept", "application/json, */*;q=0.5");
    headers.add("User-Agent", user_agent_);
    if (!token.empty()) headers.add("Authorization", "Bearer " + token);
    if (const auto& name = credentials_->config().tls_server_name; !name.empty()) headers.add("Host", name);
    if (what.send_once) {
      headers.add("Connection", "close");
      Concurrency::streams::producer_consumer_buffer<std::uint8_t> body;  // cannot be rewound, so not sent again
      body.putn_nocopy(reinterpret_cast<const std::uint8_t*>(what.body.data()), what.body.size()).wait();  // NOLINT
      body.close(std::ios_base::out).wait();
      made.set_body(body.create_istream(), what.body.size(), what.content_type);
    } else if (!what.body.empty()) {
      made.set_body(what.body, what.content_type);
    }
    made.set_response_stream(exchange_streambuf{std::make_shared<exchange_sink>(state)}.create_ostream());
    return made;
  }

  result<running> begin(const request& what) {
    auto token = credentials_->token();
    if (!token) return fail(token.error());
    running begun{std::make_shared<exchange>(), {}, current()};
    try {
      auto made = make_request(what, *token, begun.state);
      auto& by = what.send_once ? *begun.clients->one_shot : *begun.clients->kept_alive;
      by.request(made, begun.cancel.get_token())
          .then([state = begun.state](const pplx::task<http::http_response>& task) { observe(task, state); });
      return begun;
    } catch (const std::exception& wrong) {
      return fail(errc::unavailable, describe(what, *begun.clients, wrong.what()));
    }
  }

  // On a thread of the library. Nothing may escape.
  static void observe(const pplx::task<http::http_response>& task, const std::shared_ptr<exchange>& state) {
    try {
      const auto answer = task.get();
      answer_head head{.status = answer.status_code(), .retry_after = {}};
      if (const auto found = answer.headers().find("Retry-After"); found != answer.headers().end()) {
        head.retry_after = found->second;
      }
      answer.content_ready().then([state](const pplx::task<http::http_response>& body) {
        try {
          body.get();
          state->on_end();
        } catch (const std::exception& failed) {
          state->on_failure(failed.what());
        } catch (...) {
          state->on_failure("failed");
        }
      });
      state->on_head(std::move(head));
    } catch (const std::exception& failed) {
      state->on_failure(failed.what());
    } catch (...) {
      state->on_failure("failed");
    }
  }

  result<response> read_whole(running& begun, const request& what, clock::time_point deadline,
                              const std::stop_token& stop) {
    const auto head = begun.state->head();
    response answer{.status = head.status, .retry_after = parse_retry_after(head.retry_after)};
    for (;;) {
      const auto news = begun.state->wait_bytes(deadline, stop);
      if (news == exchange::news::end) return answer;
      if (news != exchange::news::bytes) return fail(give_up(begun, what, news, "the answer took too long"));
      answer.body += begun.state->take_bytes();
      if (answer.body.size() > body_bytes_max) {
        end(begun);
        return fail(errc::too_large, describe(what, *begun.clients, "the answer is over 64 MiB"),
                    what.mutates() ? took_effect::executed : took_effect::not_executed);
      }
    }
  }

  error give_up(running& begun, const request& what, exchange::news news, const std::string& timeout_text) {
    const auto effect = what.mutates() ? took_effect::unknown : took_effect::not_executed;
    if (news == exchange::news::failed) {
      const auto failure = begun.state->failure();
      return {errc::unavailable, describe(what, *begun.clients, failure),
              never_sent(failure) ? took_effect::not_executed : effect};
    }
    end(begun);
    if (news == exchange::news::stopped) return {errc::cancelled, describe(what, *begun.clients, "given up"), effect};
    return {errc::deadline_exceeded, describe(what, *begun.clients, timeout_text), effect};
  }

  static void end(running& begun) {
    begun.state->abandon();
    begun.cancel.cancel();
  }

  std::string describe(const request& what, http_clients& clients, std::string why) const {
    if (why.find("SSL handshake") != std::string::npos) {
      if (const auto reason = clients.report.take(); !reason.empty()) why += ": " + reason;
    }
    return std::string{to_string(what.what)} + " " + what.path.substr(0, what.path.find('?')) + " at " +
           credentials_->config().server + ": " + why;
  }

  std::shared_ptr<http_clients> current() {
    const std::lock_guard lock{mutex_};
    return clients_;
  }

  std::shared_ptr<credentials> credentials_;
  std::string user_agent_;
  std::mutex mutex_;
  std::string certificate_;  // of clients_' latest connections, as far as we were told to look
  std::shared_ptr<http_clients> clients_;
};

}  // namespace

void initialize() {
  static std::once_flag once;
  std::call_once(once, [] {
    point_openssl_defaults_to_nothing();
    OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS, nullptr);  // before the threads, so that exit() ends them first
    try {
      crossplat::threadpool::initialize_with_threads(library_threads);
    } catch (const std::exception&) {
      // Somebody used the library before us: it works, with more threads.
    }
  });
}

result<std::unique_ptr<transport>> make_cpprest_transport(const cluster_config& config, const std::string& user_agent) {
  initialize();
  if (!config.server.starts_with("https://") && !config.server.starts_with("http://")) {
    return fail(errc::invalid_argument, "server '" + config.server + "' is no https:// or http:// address");
  }
  if (config.server.find("://[") != std::string::npos) {
    return fail(errc::invalid_argument, "server '" + config.server +
                                            "': an IPv6 address is not supported; a name that resolves to it is " +
                                            "(with tls-server-name, if the certificate is for another name)");
  }
  try {
    return std::make_unique<cpprest_transport>(config, user_agent);
  } catch (const std::exception& wrong) {
    return fail(errc::invalid_argument, "server '" + config.server + "': " + wrong.what());
  }
}

}  // namespace orrery::kube
