#include "kube/status.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace orrery::kube {
namespace {

using std::chrono::seconds;

const request read{.what = verb::get, .method = "GET", .path = "/api/v1/pods?limit=1"};
const request write{.what = verb::create, .method = "POST", .path = "/api/v1/pods"};

errc code_for(int http, const std::string& reason = "") {
  return to_error({.code = http, .reason = reason, .message = {}, .retry_after = {}}, read).code;
}

TEST(status, http_codes_become_ours) {
  EXPECT_EQ(code_for(400), errc::invalid_argument);
  EXPECT_EQ(code_for(401), errc::unauthenticated);
  EXPECT_EQ(code_for(403), errc::forbidden);
  EXPECT_EQ(code_for(404), errc::not_found);
  EXPECT_EQ(code_for(409, "AlreadyExists"), errc::already_exists);
  EXPECT_EQ(code_for(409, "Conflict"), errc::conflict);
  EXPECT_EQ(code_for(410), errc::gone);
  EXPECT_EQ(code_for(413), errc::too_large);
  EXPECT_EQ(code_for(422), errc::invalid_argument);
  EXPECT_EQ(code_for(429), errc::unavailable);
  EXPECT_EQ(code_for(500), errc::unavailable);
  EXPECT_EQ(code_for(503), errc::unavailable);
  EXPECT_EQ(code_for(302), errc::protocol) << "redirects are not followed";
}

TEST(status, keeps_the_servers_message_reason_and_wait) {
  const response answer{
      .status = 429,
      .retry_after = seconds{3},
      .body = R"({"kind": "Status", "reason": "TooManyRequests", "message": "slow down", "code": 429})"};
  const auto parsed = parse_status(answer);
  EXPECT_TRUE(parsed.retriable());
  EXPECT_EQ(to_error(parsed, read).context, "get /api/v1/pods: HTTP 429 TooManyRequests: slow down (retry after 3 s)");
}

TEST(status, a_body_that_is_no_status_is_shown_and_bounded) {
  const auto parsed = parse_status(response{.status = 502, .retry_after = {}, .body = std::string(100'000, 'x')});
  EXPECT_EQ(parsed.message.size(), 2048U);
  EXPECT_EQ(parse_status(response{.status = 404, .retry_after = {}, .body = "404 page not found\n"}).message,
            "404 page not found");
}

TEST(status, a_write_answered_by_5xx_may_have_happened) {
  EXPECT_EQ(to_error({.code = 504, .reason = {}, .message = {}, .retry_after = {}}, write).effect,
            took_effect::unknown);
  EXPECT_EQ(to_error({.code = 429, .reason = {}, .message = {}, .retry_after = {}}, write).effect,
            took_effect::not_executed);
  EXPECT_EQ(to_error({.code = 504, .reason = {}, .message = {}, .retry_after = {}}, read).effect,
            took_effect::not_executed);
}

TEST(status, expired_is_told_by_code_or_reason) {
  EXPECT_TRUE(parse_status(json::parse(R"({"kind": "Status", "code": 410, "reason": "Expired"})")).expired());
  EXPECT_TRUE(parse_status(json::parse(R"({"reason": "Gone"})")).expired());
  EXPECT_FALSE(parse_status(json::parse(R"({"code": 500})")).expired());
}

}  // namespace
}  // namespace orrery::kube
