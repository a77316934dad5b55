// What a process of an app may have at once, and what counts towards it.
#include "mesh/process/apps/testing.hpp"

namespace orrery::process {
namespace {

using namespace testing;
using kind = process_event::kind;

app_answer setting(std::size_t timers, const std::string& prefix = "t") {
  app_answer out;
  for (std::size_t i = 0; i < timers; ++i)
    out.deeds.emplace_back(app_timer{prefix + std::to_string(i), 1s, {}});
  return out;
}

TEST(app_timers, are_bounded_and_going_over_the_bound_ends_the_process) {
  app_world w;
  w.come(app_world::offer(1, 1, {app_callback::info}));
  w.cast("cart/a", "note");
  w.answer(w.work(), setting(app_timers_max + 1));
  const auto refused = w.take<app_refused>();
  ASSERT_EQ(refused.size(), 1U);
  EXPECT_EQ(refused[0].why.code, errc::limit_exceeded);
  EXPECT_EQ(refused[0].why.context, "it would have 1001 timers; 1000 are allowed");
  EXPECT_EQ(w.kinds_of("cart/a").back(), kind::restarted);
}

TEST(app_timers, that_are_set_anew_or_cancelled_are_not_one_more) {
  app_world w;
  w.come(app_world::offer(1, 1, {app_callback::info}));
  w.cast("cart/a", "note");
  w.answer(w.work(), setting(app_timers_max));
  w.cast("cart/a", "note");
  w.answer(w.work(), setting(app_timers_max));
  w.cast("cart/a", "note");
  app_answer moved;
  moved.deeds.emplace_back(app_cancel_timer{"t7"});
  moved.deeds.emplace_back(app_timer{"other", 1s, {}});
  w.answer(w.work(), std::move(moved));
  EXPECT_TRUE(w.take<app_refused>().empty());
  w.cast("cart/a", "note");
  w.answer(w.work(), setting(1, "one more "));
  EXPECT_EQ(w.take<app_refused>().size(), 1U);
}

TEST(callers_kept_for_later, whose_deadlines_have_passed_are_not_counted) {
  app_world w;
  w.come(app_world::offer(1, 1, {}));
  const auto ask = [&] {
    const auto token = w.send("cart/a", "get", {}, w.now + 1s);
    w.run();
    w.answer(w.work(), {.later = true});
    return token;
  };
  for (std::size_t i = 0; i < app_kept_callers_max; ++i)
    (void)ask();
  w.pass(2s);
  const auto token = w.send("cart/a", "get", {}, w.now + 1s);
  w.run();
  const auto last = w.work();
  w.answer(last, {.later = true});
  EXPECT_TRUE(w.take<app_refused>().empty());
  w.cast("cart/a", "note");
  app_answer answer;
  answer.deeds.emplace_back(app_late_reply{last.caller, json("5")});
  w.answer(w.work(), std::move(answer));
  EXPECT_EQ(w.reply_to(token), json("5"));
}

TEST(callers_kept_for_later, are_bounded_and_one_more_ends_the_process) {
  app_world w;
  w.come(app_world::offer(1, 1, {}));
  for (std::size_t i = 0; i <= app_kept_callers_max; ++i) {
    (void)w.send("cart/a", "get");
    w.run();
    w.answer(w.work(), {.later = true});
  }
  const auto refused = w.take<app_refused>();
  ASSERT_EQ(refused.size(), 1U);
  EXPECT_EQ(refused[0].why.context, "1000 callers wait for a later answer");
}

app_answer with(std::vector<app_deed> deeds) {
  app_answer out;
  out.deeds = std::move(deeds);
  return out;
}

value nested(int depth) {
  return json(std::string(static_cast<std::size_t>(depth), '[') + std::string(static_cast<std::size_t>(depth), ']'));
}

TEST(app_states, and_timers_that_are_taken_can_be_handed_over) {
  app_world w;
  w.come(app_world::offer(1, 1, {app_callback::info}));
  const auto refusal = [&](app_answer what) {
    w.cast("cart/a", "note");
    w.answer(w.work(), std::move(what));
    const auto refused = w.take<app_refused>();
    return refused.empty() ? "" : refused.front().why.context;
  };
  EXPECT_EQ(refusal({.state = nested(value_depth_max)}), "its state would nest deeper than 63 levels");
  EXPECT_EQ(refusal(with({app_timer{"t", 5s, nested(value_depth_max)}})),
            "the argument of timer 't' would nest deeper than 63 levels");
  EXPECT_EQ(refusal(with({app_timer{"t", 5s, json('"' + std::string(value_bytes_max - 200, 'x') + '"')}})),
            "the argument of timer 't' has 1048381 bytes; 1048320 are allowed");
  app_answer most = with({app_timer{"t", 5s, nested(value_depth_max - 1)}});
  most.state = nested(value_depth_max - 1);
  EXPECT_EQ(refusal(std::move(most)), "");
  const auto leaving = w.rt.take(w.now, named("cart/a"), w.out);
  ASSERT_TRUE(leaving);
  EXPECT_TRUE(value::from_cbor(leaving->state.cbor()));
  ASSERT_EQ(leaving->mailbox.size(), 1U);
  EXPECT_TRUE(value::from_cbor(leaving->mailbox[0].argument.cbor()));
}

TEST(app_monitors, that_are_given_up_or_take_another_s_place_are_not_one_more) {
  app_world w;
  ASSERT_TRUE(w.rt.define(counter_class()));
  w.come(app_world::offer(1, 1, {app_callback::info}));
  ASSERT_EQ(w.ask("counter/c", "get"), "0");
  const auto refusal = [&](std::vector<app_deed> deeds) {
    w.cast("cart/a", "note");
    w.answer(w.work(), with(std::move(deeds)));
    const auto refused = w.take<app_refused>();
    return refused.empty() ? "" : refused.front().why.context;
  };
  std::vector<app_deed> all;
  for (std::size_t i = 0; i < app_asked_max; ++i)
    all.emplace_back(app_monitor{"m" + std::to_string(i), "counter/c"});
  EXPECT_EQ(refusal(all), "");
  EXPECT_EQ(refusal({app_demonitor{"m7"}, app_monitor{"other", "counter/c"}}), "");
  EXPECT_EQ(refusal({app_demonitor{"m8"}, app_monitor{"new", "counter/c"}, app_monitor{"new", "counter/c"}}), "");
  EXPECT_EQ(refusal({app_monitor{"one more", "counter/c"}}),
            "it would wait for 1001 answers and ends; 1000 are allowed");
}

TEST(app_requests, whose_place_another_takes_are_given_up) {
  app_world w;
  ASSERT_TRUE(w.rt.define(counter_class()));
  w.come(app_world::offer(1, 1, {app_callback::info}));
  ASSERT_EQ(w.ask("counter/c", "get"), "0");
  ASSERT_TRUE(w.rt.suspend(named("counter/c")));
  w.cast("cart/a", "note");
  w.answer(w.work(), with(std::vector<app_deed>(500, app_request{"sum", "counter/c", "get", {}, 5s})));
  EXPECT_EQ(w.rt.find(named("counter/c"))->mailbox, 1U);
}

}  // namespace
}  // namespace orrery::process
