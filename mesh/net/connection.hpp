#pragma once
// One connection: a socket, a TLS session and a frame decoder. Heavy (Asio): include from .cpp files of this room only.
#include "mesh/base/bytes.hpp"
#include "mesh/base/result.hpp"
#include "mesh/net/session.hpp"
#include "mesh/wire/frame.hpp"

#include <utility>  // before Asio, which forgets it
//
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>

namespace orrery::net {

class connection;

/// Buffers that all connections of one thread share: an idle connection holds none.
struct scratch {
  std::array<std::uint8_t, 64U << 10U> arrived;
  std::array<std::uint8_t, session::record_bytes_max> plain;
};

/// Who a connection reports to. Calls come from the io_context, never from within a call of the owner's.
class connection_owner {
 public:
  /// The handshake is done: says whether the peer may come in (acceptor's side), or just takes note (dialler's).
  virtual result<void> handshaken(connection& from) = 0;
  virtual void opened(connection& from) = 0;
  virtual void received(connection& from, wire::frame frame) = 0;
  /// The last call about this connection: it failed, or what was left to send after close() is sent or given up.
  virtual void gone(connection& from, error why) = 0;

 protected:
  ~connection_owner() = default;
};

struct connection_limits {
  std::size_t send_queue_bytes_max;
  std::chrono::milliseconds handshake_timeout;
  std::chrono::milliseconds close_timeout;
};

class connection : public std::enable_shared_from_this<connection> {
 public:
  using tcp = boost::asio::ip::tcp;

  /// `owner` and `shared` must live until gone() or abandon().
  connection(std::uint64_t id, side which, tcp::socket socket, tcp::endpoint remote, std::unique_ptr<session> secured,
             connection_owner& owner, scratch& shared, connection_limits limits);

  /// Starts: a dialler connects, an acceptor waits for the handshake.
  void start();
  /// Queues an encoded frame. What is queued in one turn of the io_context leaves in as few TLS records as it fits.
  void send(bytes encoded);
  /// Sends what is queued, says goodbye, and waits for the peer to close (at most close_timeout); then gone().
  void close();
  /// Closes at once; gone() will not be called.
  void abandon();
  /// As a failure of the connection's own would: closes now, gone(why) follows.
  void give_up(error why);

  [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
  [[nodiscard]] side which() const noexcept { return side_; }
  /// `opened` was reported.
  [[nodiscard]] bool was_open() const noexcept { return was_open_; }
  [[nodiscard]] const mesh_identity& peer() const { return session_->peer(); }
  [[nodiscard]] std::string remote() const;

 private:
  enum class state : std::uint8_t { connecting, handshaking, awaiting_preface, open, refusing, closing, dead };

  void arm(std::chrono::milliseconds after);
  void on_timer();
  void on_connected(const boost::system::error_code& failure);
  void wait_readable();
  void on_readable();
  void consume(byte_view arrived);
  void go_on_handshaking();
  void on_handshaken();
  void open_up();
  void read_frames();
  void take(wire::frame frame);
  void schedule_flush();
  void flush();
  [[nodiscard]] bool encrypt_some();
  void say_goodbye();
  void shut_socket();
  void write_last_words();
  [[nodiscard]] bool reads_frames() const noexcept {
    return state_ == state::open || state_ == state::awaiting_preface;
  }

  std::uint64_t id_;
  side side_;
  state state_;
  tcp::socket socket_;
  tcp::endpoint remote_;
  boost::asio::steady_timer timer_;
  std::unique_ptr<session> session_;
  connection_owner* owner_;
  scratch& scratch_;
  connection_limits limits_;
  wire::frame_decoder decoder_;
  std::deque<bytes> queue_;       // encoded frames, not encrypted yet
  std::size_t queue_offset_ = 0;  // how much of the first is encrypted
  std::size_t queued_bytes_ = 0;  // of queue_, without queue_offset_
  bytes encrypted_;               // for the socket
  std::size_t encrypted_offset_ = 0;
  std::size_t large_frame_bytes_ = 0;
  bool was_open_ = false;
  bool flush_scheduled_ = false;
  bool waiting_writable_ = false;
  bool said_goodbye_ = false;
  std::optional<error> refusal_;  // why we are refusing
};

}  // namespace orrery::net
