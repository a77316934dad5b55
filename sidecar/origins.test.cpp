#include "sidecar/origins.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orrery::sidecar {
namespace {

using ::testing::HasSubstr;

origins allowing(const std::vector<std::string>& allowed) {
  auto made = origins::parse(allowed);
  EXPECT_TRUE(made) << to_string(made.error());
  return made ? *std::move(made) : origins{};
}
std::string refusal(const origins& by, std::string_view host, std::string_view origin = {}) {
  const auto verdict = by.judge(host, origin);
  return verdict ? std::string("accepted") : to_string(verdict.error());
}

TEST(origins_test, programs_that_dial_an_address_or_localhost_are_accepted) {
  const origins none;
  for (const auto* host :
       {"127.0.0.1:3600", "127.0.0.1", "[::1]:3600", "[::1]", "localhost:3600", "LocalHost", "10.0.0.7:1", ""})
    EXPECT_EQ(refusal(none, host), "accepted") << host;
}

TEST(origins_test, names_that_a_page_could_point_here_are_refused) {
  const origins none;
  for (const auto* host : {"evil.example:3600", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example",
                           "127.0.0.1@evil.example", "127.0.0.1evil", "[::1].evil.example", "[evil.example]", "[",
                           ":3600", "localhost.", "2130706433"})
    EXPECT_THAT(refusal(none, host), HasSubstr("header Host: ")) << host;
}

TEST(origins_test, no_page_is_allowed_unless_it_is_named) {
  const origins none;
  for (const auto* origin : {"https://evil.example", "http://localhost:5173", "http://127.0.0.1:3600", "null"})
    EXPECT_THAT(refusal(none, "127.0.0.1:3600", origin), HasSubstr("no origin is allowed")) << origin;
}

TEST(origins_test, an_allowed_page_is_the_one_that_was_named_to_the_letter) {
  const auto some = allowing({"https://Shop.example", "http://localhost:5173"});
  EXPECT_EQ(refusal(some, "127.0.0.1:3600", "https://shop.example"), "accepted");
  EXPECT_EQ(refusal(some, "localhost:3600", "http://localhost:5173"), "accepted");
  EXPECT_EQ(refusal(some, "shop.example", "https://shop.example"), "accepted") << "through a proxy of the app";
  for (const auto* origin : {"http://shop.example", "https://shop.example:8443", "https://shop.example.evil.example",
                             "https://evil.example", "http://localhost", "https://shop.example/", "null"})
    EXPECT_THAT(refusal(some, "127.0.0.1:3600", origin), HasSubstr("none of the allowed origins")) << origin;
  EXPECT_THAT(refusal(some, "evil.example", "https://shop.example"), HasSubstr("header Host: "));
}

TEST(origins_test, a_setting_that_no_browser_would_send_is_refused) {
  for (const auto* wrong : {"shop.example", "*", "https://", "ftp://shop.example", "https://shop.example/",
                            "https://*.shop.example", "null", "", "https://a b", "https://:80"}) {
    const auto made = origins::parse({wrong});
    ASSERT_FALSE(made) << wrong;
    EXPECT_EQ(made.error().code, errc::invalid_argument);
    EXPECT_THAT(made.error().context, HasSubstr("accepted are http://HOST")) << wrong;
  }
  EXPECT_FALSE(origins::parse(std::vector<std::string>(origins::most + 1, "http://a")));
}

}  // namespace
}  // namespace orrery::sidecar
