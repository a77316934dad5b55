#include "kube/status.hpp"

#include <nlohmann/json.hpp>

namespace orrery::kube {
namespace {

constexpr std::size_t message_bytes_max = 2048;

std::string_view default_reason(int code) {
  switch (code) {
    case 400:
      return "BadRequest";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "NotFound";
    case 409:
      return "Conflict";
    case 410:
      return "Expired";
    case 413:
      return "RequestEntityTooLarge";
    case 422:
      return "Invalid";
    case 429:
      return "TooManyRequests";
    case 503:
      return "ServiceUnavailable";
    case 504:
      return "Timeout";
    default:
      return "";
  }
}

errc code_of(const api_status& status) {
  switch (status.code) {
    case 400:
    case 405:
    case 406:
    case 415:
    case 422:
      return errc::invalid_argument;
    case 401:
      return errc::unauthenticated;
    case 403:
      return errc::forbidden;
    case 404:
      return errc::not_found;
    case 409:
      return status.reason == "AlreadyExists" ? errc::already_exists : errc::conflict;
    case 410:
      return errc::gone;
    case 413:
      return errc::too_large;
    case 429:
      return errc::unavailable;
    default:
      break;
  }
  if (status.code >= 500) return errc::unavailable;
  return status.code >= 400 ? errc::invalid_argument : errc::protocol;
}

}  // namespace

bool api_status::expired() const noexcept { return code == 410 || reason == "Expired" || reason == "Gone"; }
bool api_status::retriable() const noexcept { return code == 429 || code >= 500; }

api_status parse_status(const json& status_object) {
  api_status status{.code = static_cast<int>(integer_at(status_object, {"code"}, 0)),
                    .reason = std::string{text_at(status_object, {"reason"})},
                    .message = std::string{text_at(status_object, {"message"})},
                    .retry_after = std::nullopt};
  if (const auto wait = integer_at(status_object, {"details", "retryAfterSeconds"}); wait > 0) {
    status.retry_after = std::chrono::seconds{wait};
  }
  return status;
}

api_status parse_status(const response& answer) {
  api_status status;
  const auto parsed = json::parse(answer.body, nullptr, false);
  if (text_at(parsed, {"kind"}) == "Status") {
    status = parse_status(parsed);
  } else {
    status.message = answer.body.substr(0, message_bytes_max);
    while (!status.message.empty() && (status.message.back() == '\n' || status.message.back() == ' ')) {
      status.message.pop_back();
    }
  }
  status.code = answer.status;  // the HTTP status rules; the body's copy may be missing
  if (status.reason.empty()) status.reason = default_reason(answer.status);
  if (status.message.size() > message_bytes_max) status.message.resize(message_bytes_max);
  if (answer.retry_after) status.retry_after = answer.retry_after;
  return status;
}

error to_error(const api_status& status, const request& what) {
  std::string context{to_string(what.what)};
  context += " ";
  context += what.path.substr(0, what.path.find('?'));
  context += ": HTTP " + std::to_string(status.code);
  if (!status.reason.empty()) context += " " + status.reason;
  if (!status.message.empty()) context += ": " + status.message;
  if (status.retry_after) context += " (retry after " + std::to_string(status.retry_after->count()) + " s)";
  // A refusal was not executed. A 5xx may come from a proxy in front of a server that did execute it; 429 never does.
  const bool unsure = what.mutates() && status.code >= 500;
  return {code_of(status), std::move(context), unsure ? took_effect::unknown : took_effect::not_executed};
}

}  // namespace orrery::kube
