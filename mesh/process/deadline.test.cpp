#include "mesh/process/testing.hpp"

#include <gmock/gmock.h>

namespace orrery::process {
namespace {

using namespace testing;

TEST(deadline, that_has_passed_on_arrival_is_answered_and_starts_no_process) {
  world w;
  ASSERT_TRUE(w.rt.define(counter_class()));
  const auto token = w.send("counter/a", "add", {}, w.now);
  EXPECT_EQ(w.reply_to(token).error().code, errc::deadline_exceeded);
  EXPECT_EQ(w.reply_to(token).error().effect, took_effect::not_executed);
  EXPECT_EQ(w.rt.count(), 0U);
}

TEST(deadline, of_a_waiting_call_is_answered_and_the_call_never_runs) {
  world w;
  ASSERT_TRUE(w.rt.define(counter_class()));
  const auto late = w.send("counter/a", "add", json("1"), w.now + 100ms);
  const auto patient = w.send("counter/a", "add", json("10"), w.now + 200ms);
  EXPECT_LE(w.rt.next_deadline(), w.now + 100ms);
  EXPECT_GT(w.rt.next_deadline(), w.now);
  w.now += 100ms;
  w.run();
  EXPECT_EQ(w.reply_to(late).error().code, errc::deadline_exceeded);
  EXPECT_EQ(w.reply_to(late).error().effect, took_effect::not_executed);
  EXPECT_EQ(w.reply_to(patient)->json_text(), "10");
  EXPECT_EQ(w.rt.counted().calls_expired, 1U);
}

TEST(deadline, of_an_answered_call_is_pending_no_more) {
  world w;
  ASSERT_TRUE(w.rt.define(counter_class()));
  static_cast<void>(w.send("counter/a", "add", {}, w.now + 1s));
  EXPECT_LE(w.rt.next_deadline(), w.now + 1s);
  w.run();
  EXPECT_EQ(w.rt.next_deadline(), never);
}

TEST(deadline, of_a_call_that_died_with_its_process_is_pending_no_more) {
  world w;
  ASSERT_TRUE(w.rt.define(counter_class()));
  const auto token = w.send("counter/a", "add", {}, w.now + 1s);
  EXPECT_TRUE(w.kill("counter/a"));
  EXPECT_EQ(w.reply_to(token).error().code, errc::process_exited);
  EXPECT_EQ(w.rt.next_deadline(), never);
  w.now += 2s;
  w.run();
}

}  // namespace
}  // namespace orrery::process
