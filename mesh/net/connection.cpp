#include "mesh/net/connection.hpp"

#include "mesh/base/assert.hpp"
#include "mesh/net/preface.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace orrery::net {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr int reads_per_turn_max = 4;                        // then others have their turn
constexpr std::size_t encrypted_bytes_max = 256U << 10U;     // encrypted ahead of the socket
constexpr std::size_t kept_capacity_bytes_max = 64U << 10U;  // larger buffers are given back when empty
constexpr int keepalive_idle_seconds = 15;
constexpr int keepalive_interval_seconds = 5;
constexpr int keepalive_probes = 3;

void tune(boost::asio::ip::tcp::socket& socket) {
  error_code ignored;  // a socket that died meanwhile fails at its next use, with a better message
  socket.non_blocking(true, ignored);
  socket.set_option(boost::asio::ip::tcp::no_delay(true), ignored);
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
  const int handle = socket.native_handle();
  ::setsockopt(handle, IPPROTO_TCP, TCP_KEEPIDLE, &keepalive_idle_seconds, sizeof keepalive_idle_seconds);
  ::setsockopt(handle, IPPROTO_TCP, TCP_KEEPINTVL, &keepalive_interval_seconds, sizeof keepalive_interval_seconds);
  ::setsockopt(handle, IPPROTO_TCP, TCP_KEEPCNT, &keepalive_probes, sizeof keepalive_probes);
}

error lost(const std::string& what, const error_code& why) {
  return {errc::unavailable, what + ": " + why.message(), took_effect::unknown};
}

}  // namespace

connection::connection(std::uint64_t id, side which, tcp::socket socket, tcp::endpoint remote,
                       std::unique_ptr<session> secured, connection_owner& owner, scratch& shared,
                       connection_limits limits)
    : id_(id),
      side_(which),
      state_(which == side::dialler ? state::connecting : state::handshaking),
      socket_(std::move(socket)),
      remote_(std::move(remote)),
      timer_(socket_.get_executor()),
      session_(std::move(secured)),
      owner_(&owner),
      scratch_(shared),
      limits_(limits) {}

std::string connection::remote() const {
  const auto address = remote_.address();
  const std::string host = address.is_v6() ? "[" + address.to_string() + "]" : address.to_string();
  return host + ":" + std::to_string(remote_.port());
}

void connection::start() {
  arm(limits_.handshake_timeout);
  if (side_ == side::acceptor) {
    tune(socket_);
    wait_readable();
    return;
  }
  socket_.async_connect(remote_, [self = shared_from_this()](const error_code& failure) {
    if (self->state_ == state::connecting) self->on_connected(failure);
  });
}

void connection::arm(std::chrono::milliseconds after) {
  timer_.expires_after(after);
  timer_.async_wait([self = shared_from_this()](const error_code& cancelled) {
    if (!cancelled && self->state_ != state::dead) self->on_timer();
  });
}

void connection::on_timer() {
  const std::string after = " within " + std::to_string(limits_.handshake_timeout.count()) + " ms";
  switch (state_) {
    case state::connecting:
      return give_up({errc::deadline_exceeded, "not connected" + after});
    case state::handshaking:
      return give_up({errc::deadline_exceeded, "the TLS handshake was not finished" + after});
    case state::awaiting_preface:
      return give_up({errc::deadline_exceeded, "the peer did not accept the connection" + after});
    case state::refusing:
      return give_up(*refusal_);
    case state::closing:
      return give_up({errc::cancelled, "closed by this node"});
    case state::open:
    case state::dead:
      return;
  }
}

void connection::on_connected(const error_code& failure) {
  if (failure) return give_up(lost("cannot connect", failure));
  tune(socket_);
  state_ = state::handshaking;
  go_on_handshaking();
  if (state_ != state::dead) wait_readable();
}

void connection::wait_readable() {
  socket_.async_wait(tcp::socket::wait_read, [self = shared_from_this()](const error_code& failure) {
    if (!failure && self->state_ != state::dead) self->on_readable();
  });
}

void connection::on_readable() {
  for (int i = 0; i < reads_per_turn_max; ++i) {
    error_code failure;
    const std::size_t count = socket_.read_some(asio::buffer(scratch_.arrived), failure);
    if (failure == asio::error::would_block) break;
    if (failure && state_ == state::refusing) return give_up(*refusal_);
    if (failure && state_ == state::closing) return give_up({errc::cancelled, "closed by this node"});
    if (failure == asio::error::eof) {
      return give_up({errc::unavailable,
                      state_ == state::handshaking        ? "the peer closed the connection during the TLS handshake"
                      : state_ == state::awaiting_preface ? "the peer closed the connection before accepting it"
                                                          : "the connection ended without a goodbye",
                      took_effect::unknown});
    }
    if (failure) return give_up(lost("the connection broke", failure));
    consume(byte_view(scratch_.arrived).first(count));
    if (state_ == state::dead) return;
    if (count < scratch_.arrived.size()) break;
  }
  wait_readable();
}

void connection::consume(byte_view arrived) {
  if (state_ == state::closing || state_ == state::refusing) return;  // only the end of the stream matters now
  if (auto fed = session_->feed(arrived); !fed) return give_up(std::move(fed.error()));
  if (state_ == state::handshaking) go_on_handshaking();
  if (reads_frames()) read_frames();
}

void connection::go_on_handshaking() {
  auto done = session_->handshake();
  if (!done) {
    write_last_words();
    return give_up(std::move(done.error()));
  }
  if (*done) on_handshaken();
  if (state_ != state::dead) flush();
}

void connection::on_handshaken() {
  auto welcome = owner_->handshaken(*this);
  if (state_ == state::dead) return;
  if (side_ == side::dialler) {
    state_ = state::awaiting_preface;
    return;
  }
  if (!welcome) {
    refusal_ = std::move(welcome.error());
    state_ = state::refusing;
    queue_.push_back(refusing_preface(*refusal_));
    queued_bytes_ = queue_.back().size();
    arm(limits_.close_timeout);
    return;
  }
  queue_.push_back(accepting_preface());
  queued_bytes_ = queue_.back().size();
  open_up();
}

void connection::open_up() {
  timer_.cancel();
  state_ = state::open;
  was_open_ = true;
  owner_->opened(*this);
}

void connection::read_frames() {
  while (reads_frames()) {
    auto count = session_->read(scratch_.plain);
    if (!count) {
      write_last_words();
      return give_up(std::move(count.error()));
    }
    if (*count == 0) break;
    decoder_.feed(byte_view(scratch_.plain).first(*count));
    wire::frame next;
    while (reads_frames()) {
      const auto whole = decoder_.next(next);
      if (!whole) return give_up(whole.error());
      if (!*whole) break;
      large_frame_bytes_ = std::max(large_frame_bytes_, next.payload.size());
      take(std::exchange(next, {}));
    }
  }
  if (!reads_frames()) return;
  if (large_frame_bytes_ > kept_capacity_bytes_max && decoder_.buffered() == 0) {
    decoder_ = {};
    large_frame_bytes_ = 0;
  }
  if (session_->ended()) return give_up({errc::unavailable, "the peer closed the connection", took_effect::unknown});
  schedule_flush();  // a key update of the peer's may ask for an answer
}

void connection::take(wire::frame frame) {
  if (state_ == state::open) {
    if (frame.type == preface_type) {
      return give_up({errc::protocol, "a frame of the reserved type 65535 in the middle of the connection"});
    }
    return owner_->received(*this, std::move(frame));
  }
  if (auto accepted = check_preface(frame); !accepted) return give_up(std::move(accepted.error()));
  open_up();
}

void connection::send(bytes encoded) {
  if (state_ != state::open || encoded.empty()) return;
  queued_bytes_ += encoded.size();
  const std::size_t waiting = queued_bytes_ + encrypted_.size() - encrypted_offset_;
  if (waiting > limits_.send_queue_bytes_max) {
    return give_up({errc::overloaded,
                    "the send queue is full: " + std::to_string(waiting) + " bytes wait, at most " +
                        std::to_string(limits_.send_queue_bytes_max) + " may; the peer reads too slowly",
                    took_effect::unknown});
  }
  queue_.push_back(std::move(encoded));
  schedule_flush();
}

void connection::schedule_flush() {
  if (flush_scheduled_ || waiting_writable_) return;
  flush_scheduled_ = true;
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    self->flush_scheduled_ = false;
    self->flush();
  });
}

/// Moves at most one record of the queue into encrypted_; false when there is nothing to move.
bool connection::encrypt_some() {
  std::size_t filled = 0;
  auto& record = scratch_.plain;
  while (!queue_.empty() && filled < record.size()) {
    const bytes& front = queue_.front();
    const std::size_t count = std::min(front.size() - queue_offset_, record.size() - filled);
    std::memcpy(record.data() + filled, front.data() + queue_offset_, count);
    filled += count;
    queue_offset_ += count;
    if (queue_offset_ == front.size()) {
      queue_.pop_front();
      queue_offset_ = 0;
    }
  }
  if (filled == 0) return false;
  queued_bytes_ -= filled;
  if (auto written = session_->write(byte_view(record).first(filled)); !written) {
    give_up(std::move(written.error()));
    return false;
  }
  return true;
}

void connection::flush() {
  if (state_ == state::dead || waiting_writable_) return;
  while (true) {
    while (encrypted_.size() - encrypted_offset_ < encrypted_bytes_max && encrypt_some()) {
      session_->take_output(encrypted_);
    }
    if (state_ == state::dead) return;
    session_->take_output(encrypted_);
    if (encrypted_offset_ == encrypted_.size()) break;
    error_code failure;
    encrypted_offset_ += socket_.write_some(asio::buffer(encrypted_) + encrypted_offset_, failure);
    if (failure == asio::error::would_block) {
      waiting_writable_ = true;
      socket_.async_wait(tcp::socket::wait_write, [self = shared_from_this()](const error_code& aborted) {
        self->waiting_writable_ = false;
        if (!aborted) self->flush();
      });
      return;
    }
    if (failure) return give_up(refusal_ ? *refusal_ : lost("the connection broke", failure));
    if (encrypted_offset_ < encrypted_.size()) continue;
    encrypted_offset_ = 0;
    encrypted_.clear();
    if (encrypted_.capacity() > kept_capacity_bytes_max) encrypted_ = {};
  }
  if (state_ == state::closing || state_ == state::refusing) say_goodbye();
}

void connection::say_goodbye() {
  if (said_goodbye_) return;
  said_goodbye_ = true;
  session_->finish();
  write_last_words();  // the socket has just taken everything: so few bytes more fit
  error_code ignored;
  // Not closed yet: closing with bytes unread would reset the connection, and the peer lose what we sent last.
  socket_.shutdown(tcp::socket::shutdown_send, ignored);
}

void connection::close() {
  if (state_ == state::dead || state_ == state::closing) return;
  if (state_ != state::open) return give_up({errc::cancelled, "closed by this node"});
  state_ = state::closing;
  arm(limits_.close_timeout);
  schedule_flush();
}

/// The alert that tells the peer what is wrong, as far as it leaves at once.
void connection::write_last_words() {
  session_->take_output(encrypted_);
  error_code ignored;
  socket_.write_some(asio::buffer(encrypted_) + encrypted_offset_, ignored);
}

void connection::shut_socket() {
  state_ = state::dead;
  queue_.clear();
  timer_.cancel();
  error_code ignored;
  socket_.close(ignored);
}

void connection::abandon() {
  owner_ = nullptr;
  if (state_ != state::dead) shut_socket();
}

void connection::give_up(error why) {
  if (state_ == state::dead) return;
  shut_socket();
  // Posted: the owner may be in the middle of send() or of another connection's report.
  asio::post(socket_.get_executor(), [self = shared_from_this(), why = std::move(why)]() mutable {
    if (self->owner_ != nullptr) self->owner_->gone(*self, std::move(why));
  });
}

}  // namespace orrery::net
