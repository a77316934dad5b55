// What is read from text: base64, durations, addresses.
#include "mesh/base/base64.hpp"
#include "mesh/base/duration_text.hpp"
#include "mesh/base/endpoint.hpp"
#include "mesh/base/ids.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orrery {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST(base64, goes_both_ways) {
  for (const auto& text : {""s, "a"s, "ab"s, "abc"s, "abcd"s, "\0\xff\x7f"s, "\xfb\xff\xfe"s}) {
    EXPECT_EQ(*base64_decode(base64_encode(text)), text);
  }
  EXPECT_EQ(base64_encode("hello"), "aGVsbG8=");
  EXPECT_EQ(base64_encode("\xfb\xff\xfe"), "+//+");
}

TEST(base64, skips_line_breaks_only) {
  EXPECT_EQ(*base64_decode("aGVs\r\nbG8=\n"), "hello");
  EXPECT_FALSE(base64_decode("aGVs bG8="));
}

TEST(base64, garbage_is_an_error_that_says_where_and_does_not_repeat_it) {
  for (const auto* bad : {"no base64!", "a", "aG", "aGV", "aG=", "=", "====", "aGVsbG8==", "aGVs=", "aG=V",
                          "aGVsbG8=aGVs", "aGVsbG9=", "aH==", "aGVsbG8\xff"}) {
    const auto read = base64_decode(bad);
    ASSERT_FALSE(read) << bad;
    EXPECT_EQ(read.error().code, errc::invalid_argument) << bad;
  }
  const auto why = base64_decode("aGVs!G8=").error().context;
  EXPECT_THAT(why, AllOf(HasSubstr("byte 4"), Not(HasSubstr("aGVs"))));
}

TEST(durations, are_numbers_with_units) {
  EXPECT_EQ(*parse_duration("500ms"), 500ms);
  EXPECT_EQ(*parse_duration("1m30s"), 90s);
  EXPECT_EQ(*parse_duration("0.5s"), 500ms);
  EXPECT_EQ(*parse_duration("20us"), 20us);
  EXPECT_EQ(*parse_duration("87600h"), 87600h);
  EXPECT_EQ(*parse_duration("0"), 0s);
  for (const auto* bad : {"", "5", "s", "-1s", "1x", "1s2", "nan s", "nans", "infs", "1e9s", "99999999999h", " 1s",
                          "1h 2m", "1.5.5s", "99999999999999999999h", "1s1s1s1s1s1s1s1s1s1s1s1s1s1s1s1s1s1s1s1s1s"}) {
    const auto read = parse_duration(bad);
    ASSERT_FALSE(read) << bad;
    EXPECT_THAT(read.error().context, HasSubstr("accepted are")) << bad;
  }
}

TEST(endpoints, are_an_address_in_numbers_and_a_port) {
  EXPECT_EQ(*parse_endpoint("127.0.0.1:3600"), (ip_endpoint{"127.0.0.1", 3600}));
  EXPECT_EQ(*parse_endpoint("[::1]:0"), (ip_endpoint{"::1", 0}));
  EXPECT_EQ(to_string(*parse_endpoint("[fd00::7]:3601")), "[fd00::7]:3601");
  EXPECT_EQ(join_endpoint("10.0.0.7", 80), "10.0.0.7:80");
  for (const auto* bad :
       {"", ":", "8080", "localhost:8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:99999", "127.0.0.1:-1",
        "127.0.0.1:80 ", "[::1]", "::1:80", "[127.0.0.1]:80", "[]:80", "1.2.3:80", "256.0.0.1:80"}) {
    const auto read = parse_endpoint(bad);
    ASSERT_FALSE(read) << bad;
    EXPECT_THAT(read.error().context, HasSubstr("accepted are IP:PORT")) << bad;
  }
  EXPECT_FALSE(parse_endpoint({"127.0.0.1\0:80", 13})) << "what follows a NUL is not passed over";
}

TEST(pids, read_back_as_they_are_written) {
  const pid id{{node_name{"demo-x7k2p"}, boot_number{1732150000000000}}, 12, 3};
  EXPECT_EQ(parse_pid(to_string(id)), id);
}

TEST(pids, that_are_none_are_refused_with_the_form_that_would_be_accepted) {
  for (const char* text :
       {"", "a", "@1.2.3", "a@1.2", "a@1.2.3.4", "a@1.2.", "a@x.2.3", "a@1.2.3 ", "a@1.99999999999.3"}) {
    const auto parsed = parse_pid(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_NE(parsed.error().context.find("NODE@BOOT.SLOT.GENERATION"), std::string::npos);
  }
}

}  // namespace
}  // namespace orrery
