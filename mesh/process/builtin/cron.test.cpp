#include "mesh/process/builtin/cron.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orrery::process {
namespace {

using ::testing::HasSubstr;

wall_time at(std::string_view text) { return parse_rfc3339(text).value(); }

/// The next times after one, as text.
std::string next(std::string_view schedule, std::string_view after, int count = 1) {
  const auto parsed = cron_schedule::parse(schedule);
  if (!parsed) return to_string(parsed.error());
  std::string out;
  auto moment = at(after);
  for (int i = 0; i < count; ++i) {
    moment = parsed->next_after(moment).value();
    out += (out.empty() ? "" : " ") + to_rfc3339(moment).substr(0, 16);
  }
  return out;
}

TEST(cron, names_the_minutes_of_each_field) {
  EXPECT_EQ(next("* * * * *", "2026-01-31T09:00:30Z", 2), "2026-01-31T09:01 2026-01-31T09:02");
  EXPECT_EQ(next("30 9 * * *", "2026-01-31T09:00:00Z", 2), "2026-01-31T09:30 2026-02-01T09:30");
  EXPECT_EQ(next("0 0 1 * *", "2026-01-31T09:00:00Z", 2), "2026-02-01T00:00 2026-03-01T00:00");
  EXPECT_EQ(next("0 12 * 6 *", "2026-01-31T09:00:00Z"), "2026-06-01T12:00");
  EXPECT_EQ(next("0 0 * * 1", "2026-01-31T09:00:00Z"), "2026-02-02T00:00");
}

TEST(cron, never_names_the_moment_that_it_is_asked_from) {
  EXPECT_EQ(next("0 9 * * *", "2026-01-31T09:00:00Z"), "2026-02-01T09:00");
  EXPECT_EQ(next("0 9 * * *", "2026-01-31T08:59:59.999Z"), "2026-01-31T09:00");
}

TEST(cron, reads_steps_ranges_and_lists) {
  EXPECT_EQ(next("*/20 * * * *", "2026-01-31T09:00:00Z", 3), "2026-01-31T09:20 2026-01-31T09:40 2026-01-31T10:00");
  EXPECT_EQ(next("10-30/10 * * * *", "2026-01-31T09:00:00Z", 4),
            "2026-01-31T09:10 2026-01-31T09:20 2026-01-31T09:30 2026-01-31T10:10");
  EXPECT_EQ(next("50/5 * * * *", "2026-01-31T09:00:00Z", 3), "2026-01-31T09:50 2026-01-31T09:55 2026-01-31T10:50");
  EXPECT_EQ(next("0 8,18-19 * * *", "2026-01-31T09:00:00Z", 3), "2026-01-31T18:00 2026-01-31T19:00 2026-02-01T08:00");
  EXPECT_EQ(next("0  9   1 1  *", "2026-01-31T09:00:00Z"), "2027-01-01T09:00") << "more spaces than one";
}

TEST(cron, knows_names_and_that_sunday_is_0_and_7) {
  EXPECT_EQ(next("0 0 * MAR-apr *", "2026-01-31T09:00:00Z"), "2026-03-01T00:00");
  EXPECT_EQ(next("0 0 * * mon-FRI", "2026-01-31T09:00:00Z"), "2026-02-02T00:00");
  EXPECT_EQ(next("0 0 * * 0", "2026-01-31T09:00:00Z"), "2026-02-01T00:00");
  EXPECT_EQ(next("0 0 * * 7", "2026-01-31T09:00:00Z"), "2026-02-01T00:00");
}

TEST(cron, takes_either_day_where_both_are_restricted_and_both_where_one_is_a_star) {
  EXPECT_EQ(next("0 0 13 * 5", "2026-01-31T09:00:00Z", 3), "2026-02-06T00:00 2026-02-13T00:00 2026-02-20T00:00");
  EXPECT_EQ(next("0 0 */2 * 1", "2026-01-31T09:00:00Z", 2), "2026-02-09T00:00 2026-02-23T00:00") << "odd Mondays";
}

TEST(cron, finds_leap_days_and_crosses_a_century_without_one) {
  EXPECT_EQ(next("0 0 29 2 *", "2026-01-31T09:00:00Z", 2), "2028-02-29T00:00 2032-02-29T00:00");
  EXPECT_EQ(next("0 0 29 2 *", "2096-03-01T00:00:00Z"), "2104-02-29T00:00");
  EXPECT_EQ(next("59 23 31 12 *", "2026-12-31T23:59:00Z"), "2027-12-31T23:59");
}

TEST(cron, knows_the_usual_nicknames) {
  EXPECT_EQ(next("@hourly", "2026-01-31T09:10:00Z"), "2026-01-31T10:00");
  EXPECT_EQ(next("@daily", "2026-01-31T09:10:00Z"), "2026-02-01T00:00");
  EXPECT_EQ(next("@weekly", "2026-01-31T09:10:00Z"), "2026-02-01T00:00");
  EXPECT_EQ(next("@monthly", "2026-01-31T09:10:00Z"), "2026-02-01T00:00");
  EXPECT_EQ(next("@yearly", "2026-01-31T09:10:00Z"), "2027-01-01T00:00");
}

TEST(cron, refuses_what_is_no_schedule_and_names_the_field) {
  const auto refused = [](std::string_view text) { return next(text, "2026-01-31T09:00:00Z"); };
  EXPECT_THAT(refused(""), HasSubstr("is no schedule: give five fields"));
  EXPECT_THAT(refused("* * * *"), HasSubstr("is no schedule: give five fields"));
  EXPECT_THAT(refused("* * * * * *"), HasSubstr("is no schedule: give five fields"));
  EXPECT_THAT(refused("@never"), HasSubstr("is no schedule: give five fields"));
  EXPECT_EQ(refused("60 * * * *"),
            "invalid_argument: field 1: '60' is no minute; accepted: 0-59, *, ranges (a-b), steps (*/n, a-b/n) and "
            "lists of them");
  EXPECT_THAT(refused("* 24 * * *"), HasSubstr("field 2: '24' is no hour; accepted: 0-23"));
  EXPECT_THAT(refused("* * 0 * *"), HasSubstr("field 3: '0' is no day of the month; accepted: 1-31"));
  EXPECT_THAT(refused("* * * foo *"), HasSubstr("field 4: 'foo' is no month; accepted: 1-12, jan-dec"));
  EXPECT_THAT(refused("* * * * 8"), HasSubstr("field 5: '8' is no day of the week; accepted: 0-7, sun-sat"));
  for (const auto* bad : {"5-1 * * * *", "*/0 * * * *", "*/ * * * *", "1,,2 * * * *", "-1 * * * *", "1- * * * *",
                          "+1 * * * *", "1.5 * * * *", "* * * * 1#2", "* * L * *", "*/99999999999 * * * *"}) {
    EXPECT_THAT(refused(bad), HasSubstr("invalid_argument")) << bad;
  }
  EXPECT_THAT(refused("0 0 30 2 *"), HasSubstr("never comes: no month has such a day"));
}

TEST(dates, are_read_with_any_offset_and_written_in_utc) {
  EXPECT_EQ(to_rfc3339(at("2026-01-31T09:00:00Z")), "2026-01-31T09:00:00Z");
  EXPECT_EQ(to_rfc3339(at("2026-01-31T09:00:00.25+02:30")), "2026-01-31T06:30:00.250Z");
  EXPECT_EQ(to_rfc3339(at("2026-01-01t00:30:00-01:00")), "2026-01-01T01:30:00Z");
  EXPECT_EQ(at("1970-01-01T00:00:01Z"), wall_time{std::chrono::seconds{1}});
  for (const auto* bad :
       {"", "2026", "2026-01-31", "2026-02-30T00:00:00Z", "2026-01-31T24:00:00Z", "2026-01-31T09:00:00",
        "2026-01-31T09:00Z", "2026-01-31T09:00:00ZZ", "2026-01-31T09:00:00.Z", "1969-12-31T23:59:59Z",
        "9999-01-01T00:00:00Z", "2026-01-31T09:00:00+99:00", "2026-1-31T09:00:00Z", "2026-01-31T-9:00:00Z"}) {
    EXPECT_FALSE(parse_rfc3339(bad)) << bad;
  }
}

}  // namespace
}  // namespace orrery::process
