#include "mesh/process/supervision/supervision.hpp"

#include "mesh/process/testing.hpp"

#include <gmock/gmock.h>

namespace orrery::process {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using what = process_event::kind;
using why = exit_reason::kind;

TEST(restart_types, follow_the_otp_table) {
  struct row {
    why reason;
    bool permanent, transient, temporary;
  };
  for (const auto& [reason, permanent, transient, temporary] : {row{why::normal, true, false, false},
                                                                {why::shutdown, true, false, false},
                                                                {why::moved, true, false, false},
                                                                {why::killed, true, true, false},
                                                                {why::error, true, true, false},
                                                                {why::limit, true, true, false}}) {
    const exit_reason ended{reason, {}};
    EXPECT_EQ(wants_restart(restart_type::permanent, ended), permanent) << to_string(ended);
    EXPECT_EQ(wants_restart(restart_type::transient, ended), transient) << to_string(ended);
    EXPECT_EQ(wants_restart(restart_type::temporary, ended), temporary) << to_string(ended);
  }
}

TEST(restart_window, admits_exactly_intensity_restarts_within_the_period) {
  restart_window window;
  const time_point start{10s};
  EXPECT_TRUE(window.admit(start, 3, 5s));
  EXPECT_TRUE(window.admit(start, 3, 5s));
  EXPECT_TRUE(window.admit(start, 3, 5s));
  EXPECT_FALSE(window.admit(start, 3, 5s));
}

TEST(restart_window, tells_how_many_restarts_are_left) {
  restart_window window;
  EXPECT_EQ(window.left(time_point{10s}, 3, 5s), 3U);
  EXPECT_TRUE(window.admit(time_point{10s}, 3, 5s));
  EXPECT_TRUE(window.admit(time_point{12s}, 3, 5s));
  EXPECT_EQ(window.left(time_point{15s}, 3, 5s), 1U);
  EXPECT_EQ(window.left(time_point{16s}, 3, 5s), 2U);
  EXPECT_EQ(window.left(time_point{16s}, 0, 5s), 0U) << "fewer are allowed than there were";
}

TEST(restart_window, a_restart_exactly_one_period_ago_still_counts) {
  restart_window window;
  EXPECT_TRUE(window.admit(time_point{10s}, 1, 5s));
  EXPECT_FALSE(window.admit(time_point{15s}, 1, 5s));
}

TEST(restart_window, a_restart_more_than_one_period_ago_is_forgotten) {
  restart_window window;
  EXPECT_TRUE(window.admit(time_point{10s}, 1, 5s));
  EXPECT_TRUE(window.admit(time_point{15s + 1ns}, 1, 5s));
  EXPECT_EQ(window.size(), 1U);
}

TEST(restart_window, intensity_zero_admits_none) {
  restart_window window;
  EXPECT_FALSE(window.admit(time_point{1s}, 0, 5s));
}

TEST(restart_window, never_holds_more_than_intensity_and_one) {
  restart_window window;
  for (int i = 0; i < 1000; ++i) {
    if (!window.admit(time_point{1s * i}, 4, 3s)) window.clear();
    EXPECT_LE(window.size(), 5U);
  }
}

TEST(supervisor, restarts_a_killed_process_at_once_with_a_new_pid_and_fresh_state) {
  world w;
  ASSERT_TRUE(w.rt.define(counter_class()));
  EXPECT_EQ(w.ask("counter/a", "add", "5"), "5");
  const auto before = w.rt.find(named("counter/a"));
  ASSERT_TRUE(before);
  EXPECT_TRUE(w.kill("counter/a", "by hand"));
  const auto after = w.rt.find(named("counter/a"));
  ASSERT_TRUE(after);
  EXPECT_NE(before->id, after->id);
  EXPECT_EQ(after->restarts, 1U);
  ASSERT_TRUE(after->last);
  EXPECT_EQ(to_string(after->last->reason), "killed: by hand");
  EXPECT_EQ(w.ask("counter/a", "get"), "0");
  EXPECT_THAT(w.kinds_of("counter/a"), ElementsAre(what::started, what::exited, what::restarted));
  EXPECT_EQ(w.events[1].id, before->id);
  EXPECT_EQ(w.events[2].id, after->id);
}

TEST(supervisor, siblings_of_a_crashed_process_never_notice) {
  world w;
  ASSERT_TRUE(w.rt.define(counter_class()));
  EXPECT_EQ(w.ask("counter/a", "add", "1"), "1");
  EXPECT_EQ(w.ask("counter/b", "add", "2"), "2");
  const auto waiting = w.send("counter/b", "add", json("3"));
  EXPECT_TRUE(w.kill("counter/a"));
  w.run();
  EXPECT_EQ(w.reply_to(waiting)->json_text(), "5");
}

TEST(supervisor, a_temporary_process_is_gone_after_a_crash_and_starts_on_the_next_call) {
  world w;
  auto spec = counter_class();
  spec.supervision.restart = restart_type::temporary;
  ASSERT_TRUE(w.rt.define(spec));
  EXPECT_EQ(w.ask("counter/a", "add", "5"), "5");
  EXPECT_TRUE(w.kill("counter/a"));
  EXPECT_FALSE(w.rt.find(named("counter/a")));
  EXPECT_EQ(w.ask("counter/a", "get"), "0");
  EXPECT_THAT(w.kinds_of("counter/a"), ElementsAre(what::started, what::exited, what::started));
}

TEST(supervisor, a_stopped_process_is_not_restarted_even_if_permanent) {
  world w;
  ASSERT_TRUE(w.rt.define(counter_class()));
  EXPECT_EQ(w.ask("counter/a", "add", "5"), "5");
  EXPECT_TRUE(w.stop("counter/a"));
  EXPECT_FALSE(w.stop("counter/a"));
  EXPECT_FALSE(w.kill("counter/a"));
  EXPECT_EQ(w.rt.count(), 0U);
  EXPECT_EQ(w.events.back().reason, (exit_reason{why::normal, {}}));
}

TEST(supervisor, gives_up_beyond_its_intensity_stops_all_children_in_reverse_order_and_escalates) {
  world w;
  auto spec = counter_class();
  spec.supervision = {.intensity = 2, .period = 5s, .escalate = escalation::pod};
  ASSERT_TRUE(w.rt.define(spec));
  for (const auto* name : {"counter/a", "counter/b", "counter/c"})
    EXPECT_EQ(w.ask(name, "add", "1"), "1");
  const auto waiting = w.send("counter/c", "get");
  EXPECT_TRUE(w.kill("counter/b"));
  EXPECT_TRUE(w.kill("counter/b"));
  EXPECT_EQ(w.rt.count(), 3U);
  EXPECT_TRUE(w.escalations.empty());
  w.events.clear();
  EXPECT_TRUE(w.kill("counter/b"));
  EXPECT_EQ(w.rt.count(), 0U);
  ASSERT_EQ(w.escalations.size(), 1U);
  EXPECT_EQ(w.escalations[0].to, escalation::pod);
  EXPECT_THAT(w.escalations[0].why, HasSubstr("more than 2 restarts within 5000 ms"));
  EXPECT_THAT(w.escalations[0].why, HasSubstr("counter/b"));
  ASSERT_EQ(w.events.size(), 3U);
  EXPECT_EQ(w.events[0].name, named("counter/b"));
  EXPECT_EQ(w.events[0].reason.why, why::killed);
  EXPECT_EQ(w.events[1].name, named("counter/c"));
  EXPECT_EQ(w.events[1].reason.why, why::shutdown);
  EXPECT_EQ(w.events[2].name, named("counter/a"));
  EXPECT_EQ(w.reply_to(waiting).error().code, errc::process_exited);
  EXPECT_EQ(w.reply_to(waiting).error().effect, took_effect::not_executed);
  EXPECT_EQ(w.rt.supervisors()[0].gave_up, 1U);
  EXPECT_EQ(w.rt.supervisors()[0].restarts, 2U);
}

TEST(supervisor, that_gave_up_comes_back_empty_and_with_a_fresh_window) {
  world w;
  auto spec = counter_class();
  spec.supervision.intensity = 1;
  ASSERT_TRUE(w.rt.define(spec));
  EXPECT_EQ(w.ask("counter/a", "add", "1"), "1");
  EXPECT_TRUE(w.kill("counter/a"));
  EXPECT_TRUE(w.kill("counter/a"));
  ASSERT_EQ(w.escalations.size(), 1U);
  EXPECT_EQ(w.escalations[0].to, escalation::parent);
  EXPECT_EQ(w.ask("counter/a", "get"), "0");
  EXPECT_TRUE(w.kill("counter/a"));
  EXPECT_EQ(w.rt.count(), 1U);
}

TEST(supervisor, restarts_spread_wider_than_the_period_never_give_up) {
  world w;
  ASSERT_TRUE(w.rt.define(counter_class()));
  EXPECT_EQ(w.ask("counter/a", "get"), "0");
  for (int i = 0; i < 100; ++i) {
    w.now += 2s;
    EXPECT_TRUE(w.kill("counter/a"));
  }
  EXPECT_TRUE(w.escalations.empty());
  EXPECT_EQ(w.rt.find(named("counter/a"))->restarts, 100U);
}

TEST(root_supervisor, escalates_to_the_node_after_more_than_ten_restarts_of_supervisors_in_ten_seconds) {
  world w;
  auto spec = counter_class();
  spec.supervision.intensity = 0;
  ASSERT_TRUE(w.rt.define(spec));
  const auto exhaust = [&] {
    EXPECT_EQ(w.ask("counter/a", "get"), "0");
    EXPECT_TRUE(w.kill("counter/a"));
  };
  for (int i = 0; i < 10; ++i)
    exhaust();
  EXPECT_EQ(w.escalations.size(), 10U);
  EXPECT_TRUE(std::all_of(w.escalations.begin(), w.escalations.end(),
                          [](const auto& each) { return each.to == escalation::parent; }));
  exhaust();
  ASSERT_EQ(w.escalations.size(), 12U);
  EXPECT_EQ(w.escalations[11].to, escalation::node);
}

TEST(root_supervisor, forgets_restarts_of_supervisors_after_ten_seconds) {
  world w;
  auto spec = counter_class();
  spec.supervision.intensity = 0;
  ASSERT_TRUE(w.rt.define(spec));
  for (int i = 0; i < 40; ++i) {
    EXPECT_EQ(w.ask("counter/a", "get"), "0");
    EXPECT_TRUE(w.kill("counter/a"));
    w.now += 1100ms;
  }
  EXPECT_TRUE(std::all_of(w.escalations.begin(), w.escalations.end(),
                          [](const auto& each) { return each.to == escalation::parent; }));
}

TEST(class_spec, is_refused_with_the_field_and_what_would_be_accepted) {
  const auto refusal = [](auto change) {
    auto spec = counter_class();
    change(spec);
    const auto verdict = validate(spec);
    return verdict ? std::string{"accepted"} : verdict.error().context;
  };
  EXPECT_EQ(refusal([](class_spec&) {}), "accepted");
  EXPECT_THAT(refusal([](class_spec& s) { s.name.value = "No Label"; }), HasSubstr("is not a name"));
  EXPECT_THAT(refusal([](class_spec& s) { s.supervision.period = 0s; }), HasSubstr("supervision.period"));
  EXPECT_THAT(refusal([](class_spec& s) { s.supervision.intensity = 2'000'000; }), HasSubstr("0 to 100000"));
  EXPECT_THAT(refusal([](class_spec& s) { s.limits.mailbox_max = 0; }), HasSubstr("limits.mailbox"));
  EXPECT_THAT(refusal([](class_spec& s) { s.limits.instructions_max = 0; }), HasSubstr("limits.instructions"));
  EXPECT_THAT(refusal([](class_spec& s) { s.limits.memory_bytes_max = 0; }), HasSubstr("limits.memoryBytes"));
  EXPECT_THAT(refusal([](class_spec& s) { s.limits.state_bytes_max = 2U << 20U; }), HasSubstr("1 to 1048576"));
  EXPECT_THAT(refusal([](class_spec& s) { s.call_timeout = -1s; }), HasSubstr("callTimeout"));
}

}  // namespace
}  // namespace orrery::process
