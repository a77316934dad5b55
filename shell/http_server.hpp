#pragma once
// A bounded HTTP/1.1 server for small requests, on one io_context. Knows nothing of what it serves.
#include "mesh/base/result.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace boost::asio {
class io_context;
}

namespace orrery::shell {

/// Views are valid while the handler runs.
struct http_request {
  std::string_view method;
  std::string_view target;  ///< as sent: percent-encoded, with the query
  std::string_view body;
  std::string_view orrery_timeout;  ///< the header Orrery-Timeout; empty if there is none
  std::string_view if_match{};      ///< the header If-Match, likewise
  std::string_view traceparent{};   ///< likewise (W3C Trace Context)
  std::string_view host{};          ///< likewise, as all that follow
  std::string_view origin{};
  std::string_view protocols{};  ///< Sec-WebSocket-Protocol
  bool upgrade = false;          ///< it asks for a WebSocket (RFC 6455, 4.1)
};

struct http_response {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
};

struct http_handover;  // shell/http_handover.hpp

/// One request that waits for its answer. Used on the io_context's thread only. After the client has gone, everything
/// here does nothing.
class http_exchange {
 public:
  virtual ~http_exchange() = default;
  /// Exactly once, now or later; unless stream() was called.
  virtual void answer(http_response response) = 0;
  /// Called once if the client goes away before the answer, or at all in a stream.
  virtual void on_gone(std::function<void()> told) = 0;
  /// Answers with a text/event-stream, which goes on until the client goes, or finish(). Comments keep it open.
  virtual void stream() = 0;
  /// Adds an event to the stream. If the client reads too slowly, the event is dropped, and the client is told how
  /// many were in an event of type `dropped`: {"count": N}.
  virtual void push(std::string_view type, std::string_view data) = 0;
  /// Ends a stream after what was pushed. The client is not told about as gone any more.
  virtual void finish() = 0;
  /// Instead of an answer: the server lets the connection go, counts it no more, and the request with it.
  /// REQUIRES: the handler is still running. Null where the client has sent more than the request already.
  virtual std::unique_ptr<http_handover> hand_over() = 0;
};

struct http_server_options {
  std::string listen_address;          ///< ip:port or [ip6]:port; port 0 chooses one
  std::size_t connections_max = 1024;  ///< over it, one that asks for nothing is closed for the next
  std::size_t header_bytes_max = 16U << 10U;
  std::size_t body_bytes_max = 4U << 20U;
  std::size_t requests_bytes_max = 64U << 20U;           ///< being read or answered, of all connections
  std::chrono::milliseconds idle_timeout{60'000};        ///< between requests
  std::chrono::milliseconds read_timeout{10'000};        ///< of a whole request from its first byte
  std::chrono::milliseconds write_timeout{10'000};       ///< of a response; of one event in a stream
  std::chrono::milliseconds keepalive_interval{15'000};  ///< of comments in a stream
  std::size_t stream_bytes_max = 256U << 10U;            ///< waiting in one stream
};

struct http_server_stats {
  std::size_t connections = 0;
  std::uint64_t accepted = 0;
  std::uint64_t refused_full = 0;  ///< over connections_max, with every one of them being answered
  std::uint64_t made_room = 0;     ///< closed for others' sake
  std::uint64_t malformed = 0;     ///< garbage, too large, too slow
};

/// Must be destroyed on the io_context's thread, or when it does not run. Destroying closes every connection.
class http_server {
 public:
  using handler = std::function<void(const http_request&, const std::shared_ptr<http_exchange>&)>;

  /// Binds and listens. Errors: invalid_argument (not an address), io (in use, not ours).
  [[nodiscard]] static result<std::unique_ptr<http_server>> open(boost::asio::io_context& io,
                                                                 http_server_options options, handler serve);
  ~http_server();
  http_server(const http_server&) = delete;
  http_server& operator=(const http_server&) = delete;

  [[nodiscard]] std::uint16_t port() const;
  [[nodiscard]] http_server_stats stats() const;

 private:
  struct impl;
  explicit http_server(std::shared_ptr<impl> made);
  std::shared_ptr<impl> impl_;
};

}  // namespace orrery::shell
