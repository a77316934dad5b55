#include "mesh/process/builtin/timer.hpp"

#include "mesh/process/testing.hpp"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace orrery::process {
namespace {

using namespace testing;
using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct timers : ::testing::Test {
  timers() {
    define(w);
    set_date(w, "2026-01-31T09:00:00Z");
  }
  static void define(world& in, std::string_view options = "null") {
    ASSERT_TRUE(in.rt.define(builtin_class(builtin_kind::timer, options)));
  }
  static void set_date(world& in, std::string_view text) {
    in.rt.set_wall_offset(parse_rfc3339(text).value().time_since_epoch() - in.now.time_since_epoch());
  }
  std::string set(const char* method, const std::string& name, const std::string& when) {
    return w.ask("timer/t", method,
                 R"({"name":")" + name + R"(",)" + when + R"(,"to":"counter/a","method":"add","argument":2})");
  }
  json get(std::string_view name) { return json::parse(w.ask("timer/t", "get", json(name).dump())); }
  /// How often it has fired since this was last asked.
  static std::size_t fired(world& in) { return std::exchange(in.casts, {}).size(); }
  std::size_t fired() { return fired(w); }
  world w;
};

TEST_F(timers, cast_what_they_were_given_when_their_time_has_come) {
  const auto told = json::parse(set("after", "once", R"("seconds":1.5)"));
  EXPECT_EQ(told["next"], "2026-01-31T09:00:01.500Z");
  EXPECT_EQ(told["inSeconds"], 1.5);
  w.pass(1499ms);
  EXPECT_EQ(fired(), 0U);
  w.pass(1ms);
  ASSERT_EQ(w.casts.size(), 1U);
  EXPECT_EQ(w.casts[0].to, named("counter/a"));
  EXPECT_EQ(w.casts[0].method, "add");
  EXPECT_EQ(w.casts[0].argument.json_text(), "2");
  EXPECT_EQ(w.ask("timer/t", "get", R"("once")"), "null");
  EXPECT_EQ(w.rt.next_deadline(), never);
}

TEST_F(timers, fire_at_a_date) {
  set("at", "meeting", R"("time":"2026-01-31T10:00:30+01:00")");
  w.pass(29999ms);
  EXPECT_EQ(fired(), 0U);
  w.pass(1ms);
  EXPECT_EQ(fired(), 1U);
  EXPECT_THAT(set("at", "past", R"("time":"2026-01-31T09:00:00Z")"),
              HasSubstr("time 2026-01-31T09:00:00Z has passed: it is 2026-01-31T09:00:30Z"));
}

TEST_F(timers, fire_again_and_again_in_their_phase) {
  set("every", "tick", R"("seconds":10,"firstSeconds":1)");
  w.pass(1s);
  EXPECT_EQ(fired(), 1U);
  for (int i = 0; i < 3; ++i) {
    w.pass(9999ms);
    EXPECT_EQ(fired(), 0U);
    w.pass(1ms);
    EXPECT_EQ(fired(), 1U);
  }
  EXPECT_EQ(get("tick")["fired"], 4);
  EXPECT_EQ(get("tick")["everySeconds"], 10);
}

TEST_F(timers, follow_a_schedule_in_utc) {
  const auto told = json::parse(set("cron", "report", R"("schedule":"*/5 9 * * *")"));
  EXPECT_EQ(told["next"], "2026-01-31T09:05:00Z");
  EXPECT_EQ(told["schedule"], "*/5 9 * * *");
  for (int i = 0; i < 11; ++i)
    w.pass(5min);
  EXPECT_EQ(fired(), 11U);
  EXPECT_EQ(get("report")["next"], "2026-02-01T09:00:00Z");
  w.pass(5min);
  EXPECT_EQ(fired(), 0U);
  EXPECT_THAT(set("cron", "bad", R"("schedule":"* 25 * * *")"), HasSubstr("schedule field 2: '25' is no hour"));
}

TEST_F(timers, are_replaced_by_name_cancelled_and_listed) {
  set("after", "b", R"("seconds":5)");
  set("after", "a", R"("seconds":9)");
  set("every", "b", R"("seconds":7)");
  const auto all = json::parse(w.ask("timer/t", "list"));
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0]["name"], "a");
  EXPECT_EQ(all[1]["kind"], "every");
  EXPECT_EQ(json::parse(w.ask("timer/t", "list", R"({"prefix":"b"})")).size(), 1U);
  EXPECT_EQ(json::parse(w.ask("timer/t", "list", R"({"after":"a","limit":5})"))[0]["name"], "b");
  EXPECT_EQ(get("b")["argument"], 2);
  w.pass(5s);
  EXPECT_EQ(fired(), 0U) << "the one that was replaced";
  EXPECT_EQ(w.ask("timer/t", "cancel", R"("b")"), "true");
  EXPECT_EQ(w.ask("timer/t", "cancel", R"("b")"), "false");
  w.pass(10s);
  EXPECT_EQ(fired(), 1U);
}

TEST_F(timers, that_are_due_together_fire_together_in_the_order_of_their_times_and_names) {
  const auto to = [&](const std::string& name, const char* seconds) {
    w.ask("timer/t", "after",
          R"({"name":")" + name + R"(","seconds":)" + seconds + R"(,"to":"counter/)" + name + R"(","method":"add"})");
  };
  to("z", "1");
  to("b", "2");
  to("a", "2");
  w.pass(2s);
  ASSERT_EQ(w.casts.size(), 3U);
  EXPECT_EQ(w.casts[0].to, named("counter/z"));
  EXPECT_EQ(w.casts[1].to, named("counter/a"));
  EXPECT_EQ(w.casts[2].to, named("counter/b"));
  EXPECT_TRUE(w.casts[0].argument == value{});
}

TEST_F(timers, fire_a_bounded_number_in_one_turn_and_the_rest_right_after_it) {
  for (int i = 0; i < 600; ++i)
    set("after", std::to_string(i), R"("seconds":1)");
  w.now += 1s;
  static_cast<void>(w.rt.run(w.now, 1, w.out));
  w.collect();
  EXPECT_LE(fired(), 256U);
  w.run();
  EXPECT_EQ(json::parse(w.ask("timer/t", "list")).size(), 0U);
}

// ---- what was missed ----

TEST_F(timers, fire_once_for_all_that_they_missed_while_the_process_did_not_run) {
  set("after", "after", R"("seconds":10)");
  set("at", "at", R"("time":"2026-01-31T09:00:10Z")");
  set("every", "every", R"("seconds":10)");
  set("cron", "cron", R"("schedule":"* * * * *")");
  w.pass(3605s);
  EXPECT_EQ(fired(), 4U);
  EXPECT_EQ(get("every")["inSeconds"], 5) << "in its phase";
  EXPECT_EQ(get("cron")["next"], "2026-01-31T10:01:00Z");
}

TEST_F(timers, fire_once_for_all_that_they_missed_on_the_way_to_another_node) {
  set("after", "after", R"("seconds":10)");
  set("every", "every", R"("seconds":10)");
  set("at", "at", R"("time":"2026-01-31T09:00:05Z")");
  set("cron", "cron", R"("schedule":"* * * * *")");
  w.pass(4s);
  world other;
  define(other);
  other.now = w.now;
  set_date(other, "2026-01-31T09:30:04Z");  // it was away for half an hour
  w.move("timer/t", other);
  EXPECT_EQ(fired(other), 2U) << "at and cron, whose dates have passed";
  const auto left = json::parse(other.ask("timer/t", "list"));
  ASSERT_EQ(left.size(), 3U);
  EXPECT_EQ(left[0]["inSeconds"], 6) << "after: what was left of it";
  EXPECT_EQ(left[1]["next"], "2026-01-31T09:31:00Z");
  EXPECT_EQ(left[1]["fired"], 1);
  EXPECT_EQ(left[2]["inSeconds"], 6);
  other.pass(6s);
  EXPECT_EQ(fired(other), 2U);
  EXPECT_EQ(w.rt.next_deadline(), never);
}

TEST_F(timers, keep_their_time_over_a_move_between_nodes_whose_own_clocks_differ) {
  set("cron", "cron", R"("schedule":"*/5 * * * *")");
  auto packed = w.rt.take(w.now, named("timer/t"), w.out);
  ASSERT_TRUE(packed);
  world other;
  define(other);
  other.now = time_point{std::chrono::hours{1000}};
  set_date(other, "2026-01-31T09:00:01Z");
  ASSERT_TRUE(other.rt.install(other.now, std::move(*packed), other.out));
  other.pass(298s);
  EXPECT_EQ(fired(other), 0U);
  other.pass(1s);
  EXPECT_EQ(fired(other), 1U);
}

TEST_F(timers, are_lost_with_a_crash) {
  set("every", "tick", R"("seconds":1)");
  EXPECT_TRUE(w.kill("timer/t"));
  w.pass(5s);
  EXPECT_EQ(fired(), 0U);
  EXPECT_EQ(w.ask("timer/t", "list"), "[]");
}

// ---- a clock that is set ----

TEST_F(timers, notice_within_a_minute_that_the_clock_was_put_forward) {
  set("at", "at", R"("time":"2026-01-31T12:00:00Z")");
  w.pass(30s);
  set_date(w, "2026-01-31T12:30:00Z");
  w.pass(29s);
  EXPECT_EQ(fired(), 0U);
  w.pass(1s);
  EXPECT_EQ(fired(), 1U);
}

TEST_F(timers, do_not_fire_twice_for_one_moment_when_the_clock_is_set_back) {
  set("cron", "cron", R"("schedule":"5 * * * *")");
  w.pass(5min);
  EXPECT_EQ(fired(), 1U);
  set_date(w, "2026-01-31T09:04:00Z");
  w.pass(10min);
  EXPECT_EQ(fired(), 0U);
  EXPECT_EQ(get("cron")["next"], "2026-01-31T10:05:00Z");
}

TEST_F(timers, begin_schedules_anew_when_a_clock_that_was_wrong_is_corrected) {
  set_date(w, "2030-01-01T00:00:00Z");
  set("cron", "cron", R"("schedule":"0 0 * * *")");
  EXPECT_EQ(get("cron")["next"], "2030-01-02T00:00:00Z");
  set_date(w, "2026-01-31T09:00:00Z");
  EXPECT_EQ(get("cron")["next"], "2026-02-01T00:00:00Z");
}

TEST_F(timers, without_dates_sleep_until_they_are_due) {
  set("after", "far", R"("seconds":86400)");
  w.pass(1s);
  // The kernel's wheel may look earlier, but nothing is handled: the process has no alarm before.
  const auto handled = w.rt.find(named("timer/t"))->handled;
  w.pass(std::chrono::hours{23});
  EXPECT_EQ(w.rt.find(named("timer/t"))->handled, handled);
}

// ---- bounds and shapes ----

TEST_F(timers, are_bounded_in_number_and_size) {
  define(w, R"({"maxTimers":2})");
  set("after", "a", R"("seconds":5)");
  set("after", "b", R"("seconds":5)");
  EXPECT_EQ(set("after", "c", R"("seconds":5)"),
            "overloaded: timer.after: this process has 2 timers, as many as options.maxTimers allows");
  EXPECT_THAT(set("every", "b", R"("seconds":5)"), HasSubstr(R"("name":"b")")) << "one more of a name is none more";
  auto spec = builtin_class(builtin_kind::timer);
  spec.limits.state_bytes_max = 500;
  ASSERT_TRUE(w.rt.define(spec));
  EXPECT_THAT(set("after", std::string(200, 'x'), R"("seconds":5)"),
              HasSubstr("limit_exceeded: timer.after: the state"));
}

TEST_F(timers, refuse_arguments_of_another_shape_and_say_what_they_take) {
  EXPECT_THAT(w.ask("timer/t", "after", "5"),
              HasSubstr(R"(invalid_argument: timer.after takes {"name": "...", "seconds": N, "to": "class/key")"));
  EXPECT_THAT(set("after", "a", R"("seconds":"5")"), HasSubstr("not a seconds that is a string"));
  EXPECT_THAT(set("every", "a", R"("seconds":0.001)"), HasSubstr("seconds is 0.001, and has to be 0.01 to"));
  EXPECT_THAT(set("at", "a", R"("time":"tomorrow")"), HasSubstr("time 'tomorrow' is no date; give RFC 3339"));
  EXPECT_THAT(set("cron", "a", R"("schedule":"daily")"), HasSubstr("schedule 'daily' is no schedule"));
  EXPECT_THAT(w.ask("timer/t", "after", R"({"name":"a","seconds":1,"to":"nowhere","method":"m"})"),
              HasSubstr("timer.after takes"));
  EXPECT_THAT(w.ask("timer/t", "after", R"({"name":"a","seconds":1,"to":"c/k"})"), HasSubstr("without a method"));
  EXPECT_EQ(w.ask("timer/t", "list"), "[]");
}

TEST_F(timers, refuse_a_state_that_is_none_of_theirs) {
  const std::vector<std::string> wrong{"1",
                                       "[]",
                                       "[1,[1]]",
                                       R"([2,[]])",
                                       R"([1,[["a",9,"c/k","m",null,"",0,0,5,null]]])",
                                       R"([1,[["a",0,"ck","m",null,"",0,0,5,null]]])",
                                       R"([1,[["a",2,"c/k","m",null,"",0,0,5,null]]])",
                                       R"([1,[["a",3,"c/k","m",null,"nonsense",0,0,null,5]]])",
                                       R"([1,[["a",0,"c/k","m",null,"",0,0,null,5]]])"};
  for (const auto& each : wrong) {
    EXPECT_EQ(w.rt.install(w.now, {named("timer/t"), 1, 0, testing::json(each), {}}, w.out).error().code,
              errc::invalid_argument)
        << each;
  }
}

}  // namespace
}  // namespace orrery::process
