#pragma once
// cli: a small blocking HTTP/1.1 client with true timeouts. One connection, reused.
#include "mesh/base/result.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orrery::cli {

struct http_url {
  std::string host;
  std::uint16_t port = 80;
};
/// "http://127.0.0.1:3600", also without a port or with a slash at the end. Errors: invalid_argument.
[[nodiscard]] result<http_url> parse_url(std::string_view text);
[[nodiscard]] std::string to_string(const http_url& url);

struct http_reply {
  int status = 0;
  std::string content_type;
  std::string body;
  std::string etag{};
};

struct http_question {
  std::string method = "GET";
  std::string target;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
};

inline constexpr std::size_t reply_bytes_max = 64U << 20U;

/// Not thread-safe. Errors: unavailable (cannot connect, or the connection broke), deadline_exceeded, too_large;
/// `effect` is unknown once a request that writes may have been received. Nothing is ever sent twice.
class http_client {
 public:
  explicit http_client(http_url server);
  ~http_client();
  http_client(const http_client&) = delete;
  http_client& operator=(const http_client&) = delete;

  [[nodiscard]] result<http_reply> send(const http_question& asked, std::chrono::milliseconds timeout);

  /// Reads an endless answer; `on_bytes` sees its decoded body until it says false, `stop` is set, or the server ends
  /// it. `idle` is how long it may be silent. A status other than 200 comes back whole.
  [[nodiscard]] result<http_reply> stream(const http_question& asked, std::chrono::milliseconds idle,
                                          const std::atomic<bool>& stop,
                                          const std::function<bool(std::string_view)>& on_bytes);

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace orrery::cli
