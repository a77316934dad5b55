#include "shell/log.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace orrery::shell {
namespace {

using nlohmann::json;

/// What `write` puts on stderr.
template <class Write>
std::string said(Write write) {
  testing::internal::CaptureStderr();
  write();
  return testing::internal::GetCapturedStderr();
}

TEST(log, a_line_is_one_object_with_time_level_message_and_fields) {
  log::set_common({{"node", "a\"b"}, {"mesh", "demo"}});
  const auto line = said([] {
    log::warn("two\nlines \xff", {{"count", std::int64_t{7}},
                                  {"good", true},
                                  {"half", 0.5},
                                  {.key = "raw", .content = "[1]", .raw_json = true}});
  });
  log::set_common({});
  ASSERT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  const auto read = json::parse(line);
  EXPECT_THAT(read["time"].get<std::string>(), testing::MatchesRegex("2...-..-..T..:..:..\\.......Z"));
  EXPECT_EQ(read["level"], "warn");
  EXPECT_EQ(read["message"], "two\nlines \xef\xbf\xbd");
  EXPECT_EQ(read["node"], "a\"b");
  EXPECT_EQ(read["mesh"], "demo");
  EXPECT_EQ(read["count"], 7);
  EXPECT_EQ(read["good"], true);
  EXPECT_EQ(read["half"], 0.5);
  EXPECT_EQ(read["raw"], json::array({1}));
}

TEST(log, lines_below_the_level_are_dropped_and_levels_have_names) {
  EXPECT_EQ(said([] { log::debug("quiet"); }), "");
  EXPECT_TRUE(log::set_level("debug"));
  EXPECT_NE(said([] { log::debug("loud"); }), "");
  EXPECT_TRUE(log::set_level("error"));
  EXPECT_FALSE(log::set_level("shouting"));
  EXPECT_EQ(said([] { log::warn("quiet"); }), "");
  log::set_level(log_level::info);
}

}  // namespace
}  // namespace orrery::shell
