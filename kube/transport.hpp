#pragma once
#include "kube/request.hpp"
#include "mesh/base/result.hpp"

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

namespace orrery::kube {

inline constexpr std::size_t body_bytes_max = std::size_t{64} << 20;  ///< of one response that is read whole

/// How long a call may take in all, and how to give it up from another thread.
struct call_options {
  std::chrono::milliseconds timeout{10'000};
  std::stop_token stop{};
};

/// How long a stream may take to answer, how long it may be silent then, and how to end it from another thread.
struct stream_options {
  std::chrono::milliseconds answer_timeout{30'000};
  std::chrono::milliseconds idle_timeout{315'000};
  std::stop_token stop{};
};

struct response {
  int status = 0;
  std::optional<std::chrono::seconds> retry_after{};
  std::string body{};  ///< empty for a stream that was delivered in chunks
};

/// Carries requests to one API server. Implementations are thread-safe; calls block the calling thread, never longer
/// than their options say, and return at once when stopped (cancelled).
///
/// A response of any status is a success here. Errors: unavailable (cannot be reached, or the connection broke),
/// deadline_exceeded, cancelled, unauthenticated (no credentials could be had), too_large (body over body_bytes_max).
/// `effect` is not_executed if the request only reads or cannot have reached the server, else unknown.
class transport {
 public:
  virtual ~transport() = default;

  [[nodiscard]] virtual result<response> send(const request& what, const call_options& options) = 0;

  /// Sees the bytes of a 200 response as they come, on the calling thread; false ends the stream. Called first with no
  /// bytes, when the response begins.
  using chunk_handler = std::function<bool(std::string_view bytes)>;
  /// Returns when the server ended the stream, or the handler did. Any other status comes back whole, as from send().
  [[nodiscard]] virtual result<response> stream(const request& what, const stream_options& options,
                                                const chunk_handler& on_chunk) = 0;

  /// The server answered 401: read tokens and certificates again before the next request.
  virtual void refresh_credentials() = 0;
};

}  // namespace orrery::kube
