#include "kube/port_forward.hpp"

#include "kube/credentials.hpp"
#include "kube/request.hpp"
#include "kube/server_address.hpp"
#include "kube/status.hpp"
#include "kube/tls_context.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>

#include <array>
#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>  // before Asio: Boost 1.74 forgets it

namespace orrery::kube {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using tcp = asio::ip::tcp;
using boost::system::error_code;

constexpr std::size_t sessions_max = 256;
constexpr std::size_t relay_bytes = std::size_t{32} << 10;
constexpr std::size_t frame_bytes_max = std::size_t{4} << 20;
constexpr std::chrono::seconds setup_timeout{30};
constexpr std::chrono::milliseconds settle_time{200};  // of a connection to an earlier pod, after each answer
constexpr char data_channel = 0;
constexpr char error_channel = 1;
constexpr std::size_t port_announcement = 3;  // the first message of a channel: its number and the port, two bytes

/// A connection that is being relayed.
struct relayed {
  std::string target;
  std::function<void()> close;
  std::function<void()> redirected;
  std::uint64_t parted = 0;  ///< since when its client sends no more, as a count; 0: it does
};

/// What all sessions of one forwarding share. Used on its one thread, but for last_error.
struct shared_parts {
  server_address server;
  std::string target;  ///< of connections to come
  std::map<const void*, relayed> relayed_now;
  std::string verified_host;
  std::shared_ptr<credentials> keys;
  std::chrono::milliseconds linger{};
  bool insecure = false;
  tls_report report;
  std::size_t sessions = 0;
  std::uint64_t partings = 0;

  /// Makes room for one more: ends the connection whose client may have left first. False if none may have.
  bool let_one_go() {
    relayed* first = nullptr;
    for (auto& [session, each] : relayed_now) {
      if (each.parted != 0 && (first == nullptr || each.parted < first->parted)) first = &each;
    }
    if (first == nullptr) return false;
    first->parted = 0;
    first->close();
    return true;
  }

  std::mutex mutex;
  std::string last_error;

  void failed(std::string why) {
    const std::lock_guard lock{mutex};
    last_error = std::move(why);
  }
};

/// Told once how setting a WebSocket up went.
using established = std::function<void(std::optional<error>)>;

/// One connection through the API server. Layer is the stream under the WebSocket: TLS, or plain for http:// servers.
template <class Layer>
class session : public std::enable_shared_from_this<session<Layer>> {
 public:
  template <class... LayerArguments>
  session(std::shared_ptr<shared_parts> shared, std::optional<tcp::socket> local, LayerArguments&&... arguments)
      : shared_(std::move(shared)),
        target_(shared_->target),
        socket_(std::forward<LayerArguments>(arguments)...),
        resolver_(socket_.get_executor()),
        parting_(socket_.get_executor()),
        local_(std::move(local)) {
    ++shared_->sessions;
  }
  ~session() {
    --shared_->sessions;
    shared_->relayed_now.erase(this);
  }
  session(const session&) = delete;
  session& operator=(const session&) = delete;

  void start(established then) {
    then_ = std::move(then);
    resolver_.async_resolve(
        shared_->server.host, shared_->server.port,
        [self = this->shared_from_this()](error_code wrong, const tcp::resolver::results_type& found) {
          if (wrong) return self->refuse("cannot be resolved: " + wrong.message());
          self->connect(found);
        });
  }

  void relay() {
    shared_->relayed_now.emplace(this, relayed{target_, [this] { close(); }, [this] { leave_in_time(); }});
    socket_.binary(true);
    socket_.read_message_max(frame_bytes_max);
    read_local();
    read_remote();
  }

 private:
  void connect(const tcp::resolver::results_type& found) {
    beast::get_lowest_layer(socket_).expires_after(setup_timeout);
    beast::get_lowest_layer(socket_).async_connect(
        found, [self = this->shared_from_this()](error_code wrong, const tcp::endpoint&) {
          if (wrong) return self->refuse("cannot be reached: " + wrong.message());
          // Whoever waits for an answer to a few bytes should not wait for the next few.
          beast::get_lowest_layer(self->socket_).socket().set_option(tcp::no_delay{true}, wrong);
          if (self->local_) self->local_->set_option(tcp::no_delay{true}, wrong);
          self->secure();
        });
  }

  void secure() {
    if constexpr (std::is_same_v<Layer, beast::tcp_stream>) {
      upgrade();
    } else {
      auto& tls = socket_.next_layer();
      const auto& host = shared_->verified_host;
      error_code no_address;
      asio::ip::make_address(host, no_address);
      if (no_address) {  // an address is no server name (RFC 6066)
        SSL_ctrl(tls.native_handle(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                 const_cast<char*>(host.c_str()));  // NOLINT: OpenSSL does not change it
      }
      if (!shared_->insecure) {
        tls.set_verify_mode(asio::ssl::verify_peer);
        tls.set_verify_callback(asio::ssl::host_name_verification(host));
      }
      tls.async_handshake(asio::ssl::stream_base::client, [self = this->shared_from_this()](error_code wrong) {
        if (wrong) {
          const auto reason = self->shared_->report.take();
          return self->refuse("TLS: " + (reason.empty() ? wrong.message() : reason));
        }
        self->upgrade();
      });
    }
  }

  void upgrade() {
    auto token = shared_->keys->token();
    if (!token) return finish_setup(token.error());
    beast::get_lowest_layer(socket_).expires_never();  // the WebSocket has its own timeouts
    websocket::stream_base::timeout timeouts{
        .handshake_timeout = setup_timeout, .idle_timeout = std::chrono::seconds{60}, .keep_alive_pings = true};
    socket_.set_option(timeouts);
    socket_.set_option(websocket::stream_base::decorator([token = *token](websocket::request_type& asked) {
      asked.set(http::field::sec_websocket_protocol, "v4.channel.k8s.io");
      asked.set(http::field::user_agent, "orrery");
      if (!token.empty()) asked.set(http::field::authorization, "Bearer " + token);
    }));
    const auto bracketed = shared_->server.host.find(':') != std::string::npos;
    host_ = (bracketed ? "[" + shared_->server.host + "]" : shared_->server.host) + ":" + shared_->server.port;
    socket_.async_handshake(answer_, host_, target_, [self = this->shared_from_this()](error_code wrong) {
      if (wrong == websocket::error::upgrade_declined) return self->declined();
      if (wrong) return self->refuse("no WebSocket: " + wrong.message());
      self->finish_setup(std::nullopt);
    });
  }

  void declined() {
    const response answer{.status = static_cast<int>(answer_.result_int()), .retry_after = {}, .body = answer_.body()};
    const request what{.what = verb::get, .method = "GET", .path = target_, .plural = "pods"};
    finish_setup(to_error(parse_status(answer), what));
  }

  void refuse(const std::string& why) {
    finish_setup(error{errc::unavailable, "port forwarding: the API server " + shared_->server.host + ":" +
                                              shared_->server.port + " " + why});
  }

  void finish_setup(std::optional<error> failure) {
    if (auto then = std::exchange(then_, nullptr)) then(std::move(failure));
  }

  void read_local() {
    local_->async_read_some(asio::buffer(outgoing_.data() + 1, outgoing_.size() - 1),
                            [self = this->shared_from_this()](error_code wrong, std::size_t count) {
                              if (wrong == asio::error::eof) return self->part();
                              if (wrong) return self->close();
                              self->write_remote(count);
                            });
  }

  // There is no half-close in this protocol: what the pod still sends is passed on, while it does.
  void part() {
    parts_ = true;
    shared_->relayed_now.at(this).parted = ++shared_->partings;
    leave_in_time();
  }

  // Closes what may have come to its end, if nothing happens for a while: the client sends no more, or new ones go to
  // another pod and this one's last word was the pod's.
  void leave_in_time() {
    const bool settles = answered_ && target_ != shared_->target;
    if (!settles && !parts_) return;
    parting_.expires_after(settles ? settle_time : shared_->linger);
    parting_.async_wait([self = this->shared_from_this()](error_code wrong) {
      if (!wrong) self->close();
    });
  }

  void write_remote(std::size_t count) {
    answered_ = false;
    parting_.cancel();
    outgoing_[0] = data_channel;
    socket_.async_write(asio::buffer(outgoing_.data(), count + 1),
                        [self = this->shared_from_this()](error_code wrong, std::size_t) {
                          if (wrong) return self->close();
                          self->read_local();
                        });
  }

  void read_remote() {
    incoming_.consume(incoming_.size());
    socket_.async_read(incoming_, [self = this->shared_from_this()](error_code wrong, std::size_t) {
      if (wrong) return self->close();
      self->on_message();
    });
  }

  void on_message() {
    const auto bytes = incoming_.cdata();
    const std::string_view message{static_cast<const char*>(bytes.data()), bytes.size()};
    if (message.empty()) return read_remote();
    const char channel = message.front();
    if (channel != data_channel && channel != error_channel) return close();
    if (auto& announced = announced_[static_cast<std::size_t>(channel)]; !announced) {
      announced = true;
      return message.size() == port_announcement ? read_remote() : close();
    }
    if (channel == error_channel) {
      shared_->failed(std::string{message.substr(1)});
      return close();
    }
    asio::async_write(*local_, asio::buffer(message.data() + 1, message.size() - 1),
                      [self = this->shared_from_this()](error_code wrong, std::size_t) {
                        if (wrong) return self->close();
                        self->answered_ = true;
                        self->leave_in_time();
                        self->read_remote();
                      });
  }

  void close() {
    error_code ignored;
    parting_.cancel();
    local_->shutdown(tcp::socket::shutdown_both, ignored);
    local_->close(ignored);
    beast::get_lowest_layer(socket_).close();
  }

  std::shared_ptr<shared_parts> shared_;
  const std::string target_;
  websocket::stream<Layer, false> socket_;  // without permessage-deflate: nobody asks for it
  tcp::resolver resolver_;
  asio::steady_timer parting_;
  bool parts_ = false;    ///< the local client sends no more
  bool answered_ = true;  ///< it waits for nothing that is known
  std::optional<tcp::socket> local_;
  established then_;
  websocket::response_type answer_;
  std::string host_;
  std::array<char, relay_bytes + 1> outgoing_{};
  beast::flat_buffer incoming_;
  std::array<bool, 2> announced_{};
};

}  // namespace

struct port_forward::state {
  asio::io_context io{1};
  tcp::acceptor acceptor{io};
  asio::steady_timer pause{io};
  std::shared_ptr<shared_parts> shared = std::make_shared<shared_parts>();
  std::uint16_t port = 0;
  std::thread thread;

  ~state() {
    io.stop();
    if (thread.joinable()) thread.join();
  }

  [[nodiscard]] std::string target_of(const object_key& pod, std::uint16_t pod_port) const {
    return shared->server.prefix + requests::get(resources::pods, pod).path +
           "/portforward?ports=" + std::to_string(pod_port);
  }

  // Sets a WebSocket up; relays between it and `local` if that is given and all went well.
  void begin(std::optional<tcp::socket> local, const established& then) {
    const auto run = [&then](const auto& made, bool relayed) {
      made->start([made = std::weak_ptr{made}, then, relayed](std::optional<error> failure) {
        const auto self = made.lock();
        const bool good = !failure;
        then(std::move(failure));
        if (good && relayed && self) self->relay();
      });
    };
    const bool relayed = local.has_value();
    if (!shared->server.tls) {
      run(std::make_shared<session<beast::tcp_stream>>(shared, std::move(local), io), relayed);
      return;
    }
    asio::ssl::context context{asio::ssl::context::tls_client};
    const auto material = shared->keys->tls();
    const auto done =
        material ? configure_tls(context.native_handle(), *material, shared->report) : fail(material.error());
    if (!done) return then(done.error());
    run(std::make_shared<session<beast::ssl_stream<beast::tcp_stream>>>(shared, std::move(local), io, context),
        relayed);
  }

  void accept() {
    acceptor.async_accept([this](error_code wrong, tcp::socket local) {
      if (wrong == asio::error::operation_aborted) return;
      if (wrong) {  // out of descriptors: wait for one instead of spinning
        pause.expires_after(std::chrono::milliseconds{250});
        pause.async_wait([this](error_code ended) {
          if (!ended) accept();
        });
        return;
      }
      if (shared->sessions < sessions_max || shared->let_one_go()) {
        begin(std::move(local), [this](const std::optional<error>& failure) {
          if (failure) shared->failed(failure->context);
        });
      } else {
        shared->failed("over " + std::to_string(sessions_max) + " connections at a time");
      }
      accept();
    });
  }

  result<void> listen(std::uint16_t wanted) {
    error_code wrong;
    const tcp::endpoint endpoint{asio::ip::address_v4::loopback(), wanted};
    acceptor.open(endpoint.protocol(), wrong);
    if (!wrong) acceptor.set_option(tcp::acceptor::reuse_address{true}, wrong);
    if (!wrong) acceptor.bind(endpoint, wrong);
    if (!wrong) acceptor.listen(asio::socket_base::max_listen_connections, wrong);
    if (wrong) return fail(errc::io, "127.0.0.1:" + std::to_string(wanted) + ": " + wrong.message());
    port = acceptor.local_endpoint().port();
    return {};
  }
};

port_forward::port_forward(std::unique_ptr<state> made) : state_(std::move(made)) {}
port_forward::~port_forward() = default;

std::uint16_t port_forward::local_port() const noexcept { return state_->port; }

void port_forward::redirect(const object_key& pod, std::uint16_t pod_port) {
  asio::post(state_->io, [shared = state_->shared, target = state_->target_of(pod, pod_port)]() mutable {
    shared->target = std::move(target);
    for (const auto& [session, each] : shared->relayed_now)
      each.redirected();
  });
}

void port_forward::drop_earlier() {
  asio::post(state_->io, [shared = state_->shared] {
    for (const auto& [session, each] : shared->relayed_now) {
      if (each.target != shared->target) each.close();
    }
  });
}

std::string port_forward::last_error() const {
  const std::lock_guard lock{state_->shared->mutex};
  return state_->shared->last_error;
}

result<std::unique_ptr<port_forward>> port_forward::open(const cluster_config& config,
                                                         const port_forward_options& options) {
  auto made = std::make_unique<state>();
  auto server = parse_server(config.server);
  if (!server) return fail(server.error());
  if (!config.proxy_url.empty()) return fail(errc::invalid_argument, "port forwarding by a proxy is not supported");
  auto& shared = *made->shared;
  shared.server = std::move(*server);
  shared.keys = std::make_shared<credentials>(config);
  shared.linger = options.linger;
  shared.insecure = config.insecure;
  shared.verified_host = config.tls_server_name.empty() ? shared.server.host : config.tls_server_name;
  shared.target = made->target_of(options.pod, options.pod_port);
  if (auto listening = made->listen(options.local_port); !listening) return fail(listening.error());

  std::optional<error> failure = error{errc::unavailable, "port forwarding: no answer"};
  made->begin(std::nullopt, [&failure](std::optional<error> outcome) { failure = std::move(outcome); });
  made->io.run();  // only the probe: ends when it does
  if (failure) return fail(*failure);
  made->io.restart();
  made->accept();
  made->thread = std::thread{[&io = made->io] { io.run(); }};
  return std::unique_ptr<port_forward>{new port_forward{std::move(made)}};
}

}  // namespace orrery::kube
