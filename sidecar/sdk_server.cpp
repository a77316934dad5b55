#include "sidecar/sdk_server.hpp"

#include "mesh/base/endpoint.hpp"
#include "mesh/base/overloaded.hpp"
#include "sidecar/sdk_stream.hpp"
#include "sidecar/sdk_websocket.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "shell/http_handover.hpp"
#include "shell/log.hpp"
#include "shell/problem.hpp"
#include <map>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace orrery::sidecar {

namespace {

using asio::ip::tcp;
using unix_stream = asio::local::stream_protocol;

constexpr std::chrono::milliseconds sdk_tick_interval{500};
constexpr std::chrono::milliseconds accept_pause{250};
constexpr std::chrono::seconds refusal_log_interval{1};
constexpr std::chrono::seconds drop_log_interval{5};
constexpr int everyone_may_connect = 0666;  // in the pod: whoever can mount the volume may, as with localhost

/// Why a request becomes no WebSocket of ours.
std::optional<shell::http_response> refuse_websocket(const shell::http_request& request) {
  if (!request.upgrade) {
    const error why{
        errc::invalid_argument,
        fmt::format("here the SDK protocol is spoken over a WebSocket: GET with Connection: Upgrade, Upgrade: "
                    "websocket and Sec-WebSocket-Protocol: {}",
                    websocket_protocol),
        took_effect::not_executed};
    auto answer = shell::problem(why, 426);
    answer.headers.emplace_back("Upgrade", "websocket");
    return answer;
  }
  const boost::beast::http::token_list offered(
      boost::beast::string_view(request.protocols.data(), request.protocols.size()));
  if (std::any_of(offered.begin(), offered.end(),
                  [](const auto& each) { return std::string_view(each.data(), each.size()) == websocket_protocol; })) {
    return std::nullopt;
  }
  return shell::problem({errc::invalid_argument,
                         fmt::format("header Sec-WebSocket-Protocol: '{}' must offer {}",
                                     request.protocols.substr(0, 80), websocket_protocol),
                         took_effect::not_executed});
}

/// A socket in the file system that nobody serves any more.
bool is_left_over(asio::io_context& io, const std::string& path) {
  struct stat about {};
  if (::lstat(path.c_str(), &about) != 0 || !S_ISSOCK(about.st_mode)) return false;
  unix_stream::socket probe(io);
  boost::system::error_code ec;
  probe.connect(unix_stream::endpoint(path), ec);
  return ec == asio::error::connection_refused;
}

}  // namespace

struct sdk_server::impl : sdk_owner, std::enable_shared_from_this<impl> {
  impl(asio::io_context& context, sdk_server_options chosen, const serving& whom)
      : io(context), options(std::move(chosen)), with(whom), files(io), streams(io), ticker(io) {}

  asio::io_context& io;
  sdk_server_options options;
  const serving& with;
  unix_stream::acceptor files;
  tcp::acceptor streams;
  asio::steady_timer ticker;
  std::map<process::app_id, std::shared_ptr<sdk_connection>> connections;
  std::shared_ptr<sdk_turns> line = std::make_shared<sdk_turns>(io);
  std::uint64_t last = 0;
  sdk_stats counted;
  std::chrono::steady_clock::time_point ended_logged{};
  std::chrono::steady_clock::time_point drop_logged{};
  std::uint64_t dropped = 0;  ///< of which the log tells
  bool file_missing = false;
  bool closed = false;

  // ---- listening ----

  result<void> listen_on_file() {
    const auto& path = options.socket;
    if (path.size() >= sizeof(sockaddr_un::sun_path)) {
      return fail(errc::invalid_argument, fmt::format("the path of a Unix socket has at most {} bytes, '{}' has {}",
                                                      sizeof(sockaddr_un::sun_path) - 1, path, path.size()));
    }
    if (is_left_over(io, path)) ::unlink(path.c_str());
    boost::system::error_code ec;
    files.open(unix_stream(), ec);
    if (!ec) files.bind(unix_stream::endpoint(path), ec);
    if (!ec && ::chmod(path.c_str(), everyone_may_connect) != 0) ec = {errno, boost::system::system_category()};
    if (!ec) files.listen(asio::socket_base::max_listen_connections, ec);
    if (ec) return fail(errc::io, fmt::format("cannot listen on {}: {}", path, ec.message()));
    accept(files);
    return {};
  }

  /// Where somebody took the socket's file away, nobody could connect any more.
  void keep_the_file() {
    struct stat about {};
    if (options.socket.empty() || ::lstat(options.socket.c_str(), &about) == 0) return;
    boost::system::error_code ignored;
    files.close(ignored);
    const auto done = listen_on_file();
    if (done) shell::log::warn("the SDK's socket was gone; it is there again", {{"socket", options.socket}});
    if (!done && !file_missing) shell::log::error("the SDK's socket is gone", {{"reason", done.error().context}});
    file_missing = !done;
  }

  result<void> listen_on_stream() {
    const auto at = parse_endpoint(options.stream);
    if (!at) return fail(at.error());
    boost::system::error_code ec;
    const tcp::endpoint endpoint(asio::ip::make_address(at->ip, ec), at->port);
    if (!ec) streams.open(endpoint.protocol(), ec);
    if (!ec) streams.set_option(asio::socket_base::reuse_address(true), ec);
    if (!ec) streams.bind(endpoint, ec);
    if (!ec) streams.listen(asio::socket_base::max_listen_connections, ec);
    if (ec) return fail(errc::io, fmt::format("cannot listen on {}: {}", options.stream, ec.message()));
    accept(streams);
    return {};
  }

  template <class Acceptor>
  void accept(Acceptor& from) {
    using socket = typename Acceptor::protocol_type::socket;
    from.async_accept([self = shared_from_this(), &from](boost::system::error_code ec, socket accepted) {
      if (self->closed || ec == asio::error::operation_aborted) return;
      if (ec) {  // out of descriptors: wait for one instead of spinning
        auto pause = std::make_shared<asio::steady_timer>(self->io, accept_pause);
        pause->async_wait([self, &from, pause](boost::system::error_code) {
          if (!self->closed) self->accept(from);
        });
        return;
      }
      if constexpr (std::is_same_v<socket, tcp::socket>) {
        boost::system::error_code ignored;
        accepted.set_option(tcp::no_delay(true), ignored);
      }
      self->welcome(sdk_stream::socket_type(std::move(accepted)));
      self->accept(from);
    });
  }

  [[nodiscard]] std::optional<error> why_full() {
    if (connections.size() < connections_max) return std::nullopt;
    ++counted.refused_full;
    return error{errc::overloaded, fmt::format("{} connections are open, no more are accepted", connections.size()),
                 took_effect::not_executed};
  }

  void welcome(sdk_stream::socket_type socket) {
    if (const auto full = why_full()) {
      boost::system::error_code ignored;
      socket.non_blocking(true, ignored);
      socket.write_some(asio::buffer(sdk::encode_goodbye(sdk::encoding::cbor, *full)), ignored);
      return;
    }
    auto at = next_place();
    keep(at.id, std::make_shared<sdk_stream>(std::move(socket), at));
  }

  void welcome(const shell::http_request& request, const std::shared_ptr<shell::http_exchange>& exchange) {
    if (auto refused = refuse_websocket(request)) return exchange->answer(*std::move(refused));
    if (const auto full = why_full()) return exchange->answer(shell::problem(*full));
    auto from = exchange->hand_over();
    if (!from) {
      return exchange->answer(
          shell::problem({errc::invalid_argument, "bytes came before the WebSocket was accepted; wait for status 101",
                          took_effect::not_executed}));
    }
    auto at = next_place();
    keep(at.id, make_sdk_websocket(std::move(*from), at));
  }

  [[nodiscard]] sdk_place next_place() {
    return {*this, with.node, with.counted, options.greeting, process::app_id{++last}};
  }

  void keep(process::app_id id, const std::shared_ptr<sdk_connection>& made) {
    ++counted.accepted;
    connections.emplace(id, made);
    made->start();
  }

  // ---- connections ----

  void closing(process::app_id which) override { connections.erase(which); }

  sdk_turns& turns() override { return *line; }
  void ended_it(const error& why) override {
    ++counted.ended;
    const auto now = std::chrono::steady_clock::now();
    if (now - ended_logged < refusal_log_interval) return;
    ended_logged = now;
    shell::log::warn("ended a connection of an SDK client",
                     {{"reason", to_string(why)}, {"endedInAll", static_cast<std::int64_t>(counted.ended)}});
  }

  // Messages for client processes leave room for all else; what is unreported of all connections keeps none shut.
  static_assert(process::client_window_bytes < sdk_connection::unread_max);
  static_assert(process::client_window_bytes_in_all <= sdk_server::unwritten_in_all_max / 2);
  static_assert(connections_max * sdk_connection::reported_at < process::client_window_bytes_in_all / 2);
  static_assert(connections_max * sdk_connection::watched_from <= sdk_server::unwritten_in_all_max);
  static_assert(sdk_connection::reported_at <= process::client_floor_bytes / 2);

  void bound_unwritten() override {
    while (true) {
      std::size_t sum = 0;
      std::shared_ptr<sdk_connection> worst;
      for (const auto& [id, each] : connections) {
        sum += each->unwritten();
        if (!worst || each->unwritten() > worst->unwritten()) worst = each;
      }
      if (sum <= unwritten_in_all_max) return;
      worst->give_up({errc::overloaded, fmt::format("{} bytes wait for clients to read, {} of them for this one", sum,
                                                    worst->unwritten())});
    }
  }

  void tick() {
    ticker.expires_after(sdk_tick_interval);
    ticker.async_wait([self = shared_from_this()](boost::system::error_code ec) {
      if (ec || self->closed) return;
      for (const auto& each : self->all())
        each->tick();
      self->keep_the_file();
      self->say_what_was_dropped();
      self->tick();
    });
  }

  void say_what_was_dropped() {
    const auto now = std::chrono::steady_clock::now();
    if (connections.empty() || now - drop_logged < drop_log_interval) return;
    const auto in_all = with.node.current().clients.dropped;
    if (in_all == dropped) return;
    shell::log::warn("messages for processes of SDK clients were dropped: their clients do not read them",
                     {{"dropped", static_cast<std::int64_t>(in_all - std::exchange(dropped, in_all))},
                      {"droppedInAll", static_cast<std::int64_t>(in_all)}});
    drop_logged = now;
  }

  /// They may end while they are looked at.
  [[nodiscard]] std::vector<std::shared_ptr<sdk_connection>> all() const {
    std::vector<std::shared_ptr<sdk_connection>> out;
    for (const auto& [id, each] : connections)
      out.push_back(each);
    return out;
  }

  void close() {
    closed = true;
    boost::system::error_code ignored;
    if (files.is_open()) {
      files.close(ignored);
      ::unlink(options.socket.c_str());
    }
    streams.close(ignored);
    ticker.cancel();
    for (const auto& each : all())
      each->abandon();
    connections.clear();
  }
};

result<std::unique_ptr<sdk_server>> sdk_server::open(asio::io_context& io, sdk_server_options options,
                                                     const serving& with) {
  auto made = std::make_shared<impl>(io, std::move(options), with);
  if (!made->options.socket.empty()) {
    if (auto done = made->listen_on_file(); !done) return fail(done.error());
  }
  if (!made->options.stream.empty()) {
    if (auto done = made->listen_on_stream(); !done) {
      made->close();
      return fail(done.error());
    }
  }
  made->tick();
  return std::unique_ptr<sdk_server>(new sdk_server(std::move(made)));  // NOLINT: the constructor is private
}

sdk_server::sdk_server(std::shared_ptr<impl> made) : impl_(std::move(made)) {}
sdk_server::~sdk_server() { impl_->close(); }

void sdk_server::serve_websocket(const shell::http_request& request,
                                 const std::shared_ptr<shell::http_exchange>& exchange) {
  impl_->welcome(request, exchange);
}

void sdk_server::told(const process::app_effect& what) {
  const auto to = std::visit([](const auto& each) { return each.app; }, what);
  const auto found = impl_->connections.find(to);
  if (found != impl_->connections.end()) std::shared_ptr(found->second)->told(what);
}

void sdk_server::happened(std::string_view type, const value& document) {
  const auto all = impl_->all();
  if (std::none_of(all.begin(), all.end(), [](const auto& each) { return each->follows_events(); })) return;
  const auto text = event_text(document, shell::log::now_rfc3339(), impl_->options.greeting.node);
  const auto data = value::from_json(text);
  if (!data) return;
  for (const auto& each : all)
    each->happened(type, *data);
}

void sdk_server::end(const error& why) {
  for (const auto& each : impl_->all())
    each->end(why);
}

std::uint16_t sdk_server::port() const {
  boost::system::error_code ignored;
  return impl_->streams.local_endpoint(ignored).port();
}

sdk_stats sdk_server::stats() const {
  auto out = impl_->counted;
  out.connections = impl_->connections.size();
  return out;
}

}  // namespace orrery::sidecar
