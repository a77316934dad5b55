// What a process of an app may have at once, and what counts towards it.
#include "mesh/process/app_testing.hpp"

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

}  // namespace
}  // namespace orrery::process
