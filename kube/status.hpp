#pragma once
#include "kube/transport.hpp"
#include "mesh/base/result.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace orrery::kube {

/// The API server's account of a failure (metav1.Status), or what can be told from the HTTP status alone.
struct api_status {
  int code = 0;         ///< HTTP status
  std::string reason;   ///< "NotFound", "AlreadyExists", "Conflict", "Expired", ...
  std::string message;  ///< for people
  std::optional<std::chrono::seconds> retry_after;

  /// The history that was asked for is no longer held: list again.
  [[nodiscard]] bool expired() const noexcept;
  /// 429 and 5xx: the same request may succeed later.
  [[nodiscard]] bool retriable() const noexcept;
};

[[nodiscard]] api_status parse_status(const response& answer);
[[nodiscard]] api_status parse_status(const json& status_object);

/// 400, 422 invalid_argument; 401 unauthenticated; 403 forbidden; 404 not_found; 409 already_exists or conflict by
/// reason; 410 gone; 413 too_large; 429, 5xx unavailable. The context is the server's message, preceded by `what`,
/// and says after how long to retry where the server did.
[[nodiscard]] error to_error(const api_status& status, const request& what);

}  // namespace orrery::kube
