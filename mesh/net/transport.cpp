#include "mesh/net/transport.hpp"

#include "mesh/base/assert.hpp"
#include "mesh/base/endpoint.hpp"
#include "mesh/net/connection.hpp"
#include "mesh/net/credentials.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <map>
#include <optional>
#include <set>

namespace orrery::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr int listen_backlog = 512;
constexpr std::chrono::milliseconds accept_retry_after{100};  // out of descriptors: no busy loop

result<tcp::endpoint> read_endpoint(const std::string& address) {
  const auto at = parse_endpoint(address);
  if (!at) return fail(at.error());
  return tcp::endpoint{asio::ip::make_address(at->ip), at->port};
}

error at(const std::string& remote, error why) {
  why.context = remote + ": " + why.context;
  return why;
}

}  // namespace

struct transport::impl final : connection_owner, std::enable_shared_from_this<impl> {
  impl(asio::io_context& context, transport_options given, transport_handlers told)
      : io(context), options(std::move(given)), handlers(std::move(told)), acceptor(context), retry(context) {}

  asio::io_context& io;
  transport_options options;
  transport_handlers handlers;
  tcp::acceptor acceptor;
  asio::steady_timer retry;
  tls_credentials credentials;
  scratch shared{};
  std::map<std::uint64_t, std::shared_ptr<connection>> connections;  // those that the owner may still hear of
  std::map<std::uint64_t, std::shared_ptr<connection>> closing;      // those that it closed
  std::set<std::uint64_t> handshaking;                               // accepted, not opened; the smallest is the oldest
  std::size_t accepted = 0;                                          // accepted and opened
  std::uint64_t next_accepted_id = 1;                                // odd; diallers choose even ones
  bool stopped = false;

  result<void> listen();
  void accept();
  void on_accepted(tcp::socket socket);
  void make_room_for_a_handshake();
  [[nodiscard]] connection_limits limits() const {
    return {options.send_queue_bytes_max, options.handshake_timeout, options.close_timeout};
  }
  result<std::unique_ptr<session>> make_session(side which, std::optional<mesh_identity> expected);
  void fail_dial(std::uint64_t id, error why);
  void stop();

  result<void> handshaken(connection& from) override;
  void opened(connection& from) override;
  void received(connection& from, wire::frame frame) override;
  void gone(connection& from, error why) override;
};

result<void> transport::impl::listen() {
  const auto endpoint = read_endpoint(options.listen_address);
  if (!endpoint) return fail(endpoint.error());
  error_code failure;
  const auto step = [&](auto&& action) {
    if (!failure) action();
  };
  acceptor.open(endpoint->protocol(), failure);
  step([&] { acceptor.set_option(tcp::acceptor::reuse_address(true), failure); });
  step([&] { acceptor.bind(*endpoint, failure); });
  step([&] { acceptor.listen(listen_backlog, failure); });
  if (failure) return fail(errc::io, "cannot listen on " + options.listen_address + ": " + failure.message());
  return {};
}

void transport::impl::accept() {
  acceptor.async_accept([self = shared_from_this()](const error_code& failure, tcp::socket socket) {
    if (self->stopped || failure == asio::error::operation_aborted) return;
    if (!failure) {
      self->on_accepted(std::move(socket));
      if (!self->stopped) self->accept();
      return;
    }
    self->handlers.refused({errc::io, "cannot accept connections: " + failure.message()});
    if (self->stopped) return;
    self->retry.expires_after(accept_retry_after);
    self->retry.async_wait([self](const error_code& cancelled) {
      if (!cancelled && !self->stopped) self->accept();
    });
  });
}

void transport::impl::on_accepted(tcp::socket socket) {
  error_code failure;
  const auto remote = socket.remote_endpoint(failure);
  if (failure) return;  // gone before we looked
  auto secured = make_session(side::acceptor, std::nullopt);
  if (!secured) return handlers.refused(std::move(secured.error()));
  make_room_for_a_handshake();
  const std::uint64_t id = next_accepted_id;
  next_accepted_id += 2;
  const auto made = std::make_shared<connection>(id, side::acceptor, std::move(socket), remote, std::move(*secured),
                                                 *this, shared, limits());
  connections.emplace(id, made);
  handshaking.insert(id);
  made->start();
}

/// The oldest goes, not the newest: whoever holds all places with connections that say nothing must not keep peers out.
void transport::impl::make_room_for_a_handshake() {
  if (handshaking.size() < options.handshaking_max) return;
  const auto oldest = handshaking.begin();
  connections.at(*oldest)->give_up({errc::overloaded, "the oldest of " + std::to_string(options.handshaking_max) +
                                                          " unfinished handshakes made room for a new connection"});
  handshaking.erase(oldest);
}

result<std::unique_ptr<session>> transport::impl::make_session(side which, std::optional<mesh_identity> expected) {
  if (const auto valid = pki::check_valid_at(credentials.own, std::chrono::system_clock::now()); !valid) {
    return fail(errc::unauthenticated, "our own certificate: " + valid.error().context);
  }
  return session::make(*credentials.context, which, {options.self, std::move(expected)});
}

result<void> transport::impl::handshaken(connection& from) {
  if (from.which() == side::dialler || accepted < options.accepted_max) return {};
  return fail(errc::overloaded, "this node has " + std::to_string(accepted) + " accepted connections, at most " +
                                    std::to_string(options.accepted_max) + " are allowed");
}

void transport::impl::opened(connection& from) {
  const auto keep = shared_from_this();
  const bool dialled = from.which() == side::dialler;
  if (!dialled) {
    handshaking.erase(from.id());
    ++accepted;
  }
  handlers.opened(from.id(), from.peer(), dialled);
}

void transport::impl::received(connection& from, wire::frame frame) {
  const auto keep = shared_from_this();
  handlers.received(from.id(), std::move(frame));
}

void transport::impl::gone(connection& from, error why) {
  const auto keep = shared_from_this();
  const std::uint64_t id = from.id();
  if (closing.erase(id) > 0) return;
  if (connections.erase(id) == 0) return;
  why = at(from.remote(), std::move(why));
  if (from.which() == side::acceptor) {
    handshaking.erase(id);
    if (!from.was_open()) return handlers.refused(std::move(why));
    --accepted;
  }
  handlers.closed(id, std::move(why));
}

void transport::impl::fail_dial(std::uint64_t id, error why) {
  // An entry without a connection holds the place, so that close() before the report silences it.
  connections.emplace(id, nullptr);
  asio::post(io, [self = shared_from_this(), id, why = std::move(why)]() mutable {
    const auto found = self->connections.find(id);
    if (self->stopped || found == self->connections.end() || found->second != nullptr) return;
    self->connections.erase(found);
    self->handlers.closed(id, std::move(why));
  });
}

void transport::impl::stop() {
  stopped = true;
  error_code ignored;
  acceptor.close(ignored);
  retry.cancel();
  for (const auto* all : {&connections, &closing}) {
    for (const auto& [id, each] : *all) {
      if (each) each->abandon();
    }
  }
  connections.clear();
  closing.clear();
}

transport::transport(std::shared_ptr<impl> made) : impl_(std::move(made)) {}

transport::~transport() { impl_->stop(); }

result<std::unique_ptr<transport>> transport::open(asio::io_context& io, transport_options options,
                                                   transport_handlers handlers) {
  ORRERY_ASSERT(handlers.opened && handlers.closed && handlers.received && handlers.refused);
  const auto made = std::make_shared<impl>(io, std::move(options), std::move(handlers));
  auto opened = std::make_unique<transport>(made);
  if (const auto loaded = opened->reload_credentials(); !loaded) return fail(loaded.error());
  if (const auto listening = made->listen(); !listening) return fail(listening.error());
  made->accept();
  return opened;
}

void transport::dial(std::uint64_t id, const std::string& address, const mesh_identity& expected) {
  ORRERY_ASSERT(!impl_->connections.contains(id));
  const auto endpoint = read_endpoint(address);
  if (!endpoint) return impl_->fail_dial(id, endpoint.error());
  auto secured = impl_->make_session(side::dialler, expected);
  if (!secured) return impl_->fail_dial(id, std::move(secured.error()));
  const auto made = std::make_shared<connection>(id, side::dialler, tcp::socket{impl_->io}, *endpoint,
                                                 std::move(*secured), *impl_, impl_->shared, impl_->limits());
  impl_->connections.emplace(id, made);
  made->start();
}

void transport::send(std::uint64_t id, bytes encoded) {
  const auto found = impl_->connections.find(id);
  if (found != impl_->connections.end() && found->second) found->second->send(std::move(encoded));
}

void transport::close(std::uint64_t id) {
  const auto found = impl_->connections.find(id);
  if (found == impl_->connections.end()) return;
  const auto connection = std::move(found->second);
  impl_->connections.erase(found);
  if (!connection) return;
  if (connection->which() == side::acceptor && connection->was_open()) --impl_->accepted;
  impl_->closing.emplace(id, connection);
  connection->close();
}

result<void> transport::reload_credentials() {
  auto loaded = load_credentials(impl_->options.tls_directory, impl_->options.self, std::chrono::system_clock::now());
  if (!loaded) return fail(loaded.error());
  impl_->credentials = std::move(*loaded);
  return {};
}

std::int64_t transport::certificate_expires_at() const {
  return std::chrono::duration_cast<std::chrono::seconds>(impl_->credentials.own.not_after.time_since_epoch()).count();
}

std::size_t transport::closing() const { return impl_->closing.size(); }

std::uint16_t transport::port() const {
  error_code ignored;
  return impl_->acceptor.local_endpoint(ignored).port();
}

}  // namespace orrery::net
