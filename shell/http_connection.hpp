#pragma once
// One connection of http_server. Heavy: include in http_server.cpp and http_connection.cpp only.
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "shell/http_server.hpp"
#include <compare>
#include <deque>
#include <optional>
#include <unordered_set>
#include <utility>  // before Asio: Boost 1.74 forgets it

namespace orrery::shell {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;

class http_connection;

/// What a connection needs of its server, which outlives it or abandons it.
class http_owner {
 public:
  virtual ~http_owner() = default;
  virtual void handle(const http_request& request, const std::shared_ptr<http_exchange>& exchange) = 0;
  virtual void closing(http_connection* which) = 0;
  virtual void malformed() = 0;
  /// Bytes of requests that are being read or answered, of all connections. False: there is no room for them.
  [[nodiscard]] virtual bool hold(std::size_t bytes) = 0;
  virtual void let_go(std::size_t bytes) = 0;
};

/// A whole answer that closes the connection.
[[nodiscard]] std::string http_refusal(const error& why, int status);

/// Phases: idle -> reading -> working -> writing -> idle ..., or working -> streaming, or writing -> lingering;
/// closed at the end, also where it was handed over.
class http_connection final : public http_exchange, public std::enable_shared_from_this<http_connection> {
 public:
  http_connection(tcp::socket socket, http_owner& owner, const http_server_options& options)
      : socket_(std::move(socket)), owner_(&owner), options_(options) {}
  /// A handler that forgot its exchange must not leave the server with a dangling connection.
  ~http_connection() override {
    if (phase_ != phase::closed && owner_ != nullptr) owner_->closing(this);
  }
  http_connection(const http_connection&) = delete;
  http_connection& operator=(const http_connection&) = delete;

  void start() { await_request(); }
  /// Closes what is overdue.
  void tick(std::chrono::steady_clock::time_point now);
  /// The server goes: close, and never call it again.
  void abandon();
  /// How well it could be spared, the least first: it asks for nothing, or not yet. Nothing while it is answered.
  struct sparable {
    bool asking = false;  ///< a part of a request is there
    std::chrono::steady_clock::time_point until;
    friend auto operator<=>(const sparable&, const sparable&) = default;
  };
  [[nodiscard]] std::optional<sparable> spare() const;
  /// Closes it for another one's sake.
  void make_room() { close(); }

  void answer(http_response response) override;
  void on_gone(std::function<void()> told) override { gone_ = std::move(told); }
  void stream() override;
  void push(std::string_view type, std::string_view data) override;
  void finish() override;
  std::unique_ptr<http_handover> hand_over() override;

 private:
  enum class phase : std::uint8_t { idle, reading, working, writing, streaming, lingering, closed };
  using error_code = boost::system::error_code;

  void await_request();
  void read_more();
  void on_bytes();
  /// What is wrong with the header, which has arrived; nothing if it is in order.
  [[nodiscard]] std::optional<std::pair<error, int>> judge_header() const;
  void let_go_of_request();
  void on_read_error(const error_code& ec);
  void dispatch();
  void refuse(const error& why, int status);
  void watch_for_close();
  void send(std::string text, bool keep_alive);
  void linger();
  void discard();
  void write_stream();
  void enqueue(std::string text);
  void close();
  void leave();
  void set_deadline(std::chrono::milliseconds in) { deadline_ = std::chrono::steady_clock::now() + in; }

  tcp::socket socket_;
  http_owner* owner_;
  const http_server_options options_;
  boost::beast::flat_buffer buffer_;
  std::optional<boost::beast::http::request_parser<boost::beast::http::string_body>> parser_;
  phase phase_ = phase::idle;
  std::chrono::steady_clock::time_point deadline_{};
  std::function<void()> gone_;
  std::string out_;
  bool keep_alive_ = true;
  bool timed_out_ = false;
  bool continued_ = false;
  std::size_t held_ = 0;  ///< of the request, as the owner was told
  bool watching_ = false;
  std::size_t lingered_ = 0;

  std::deque<std::string> queue_;
  std::size_t queued_bytes_ = 0;
  std::uint64_t dropped_ = 0;
  bool stream_writing_ = false;
  bool finishing_ = false;
  std::chrono::steady_clock::time_point next_keepalive_{};
};

}  // namespace orrery::shell
