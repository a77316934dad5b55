#include "mesh/process/deadline_queue.hpp"
#include "mesh/process/testing.hpp"

#include <gmock/gmock.h>

#include <set>

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
  EXPECT_EQ(w.rt.next_deadline(), w.now + 100ms);
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
  EXPECT_EQ(w.rt.next_deadline(), w.now + 1s);
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

TEST(deadline_queue, gives_the_living_in_order_and_stays_small) {
  deadline_queue queue;
  std::set<std::uint32_t> living;
  const auto alive = [&](std::uint32_t slot, std::uint32_t) { return living.contains(slot); };
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    queue.add({time_point{std::chrono::nanoseconds{1'000'000 - i}}, i, 0});
    if (i % 1000 == 0) {
      living.insert(i);
    } else {
      queue.forget();
    }
    static_cast<void>(queue.earliest(alive));
    EXPECT_LE(queue.size(), 2 * living.size() + 1026);
  }
  std::uint32_t expected = 99'000;
  while (const auto* next = queue.earliest(alive)) {
    EXPECT_EQ(next->slot, expected);
    expected -= 1000;
    living.erase(next->slot);
    queue.forget();
  }
  EXPECT_TRUE(living.empty());
}

}  // namespace
}  // namespace orrery::process
