#include "kube/work_queue.hpp"

#include "kube/testing/waiting.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace orrery::kube {
namespace {

using clock = work_queue_core::clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

const object_key a{"ns", "a"};
const object_key b{"ns", "b"};
const clock::time_point start{seconds{1000}};

TEST(work_queue_core, a_key_waits_once_however_often_it_is_added) {
  work_queue_core queue;
  queue.add(a);
  queue.add(b);
  queue.add(a);
  EXPECT_EQ(queue.take(start), a);
  EXPECT_EQ(queue.take(start), b);
  EXPECT_EQ(queue.take(start), std::nullopt);
}

TEST(work_queue_core, a_key_being_worked_on_is_not_handed_out_again_but_remembered) {
  work_queue_core queue;
  queue.add(a);
  ASSERT_EQ(queue.take(start), a);
  queue.add(a);
  queue.add(a);
  EXPECT_EQ(queue.take(start), std::nullopt);
  queue.done(a);
  EXPECT_EQ(queue.take(start), a);
  queue.done(a);
  EXPECT_EQ(queue.take(start), std::nullopt);
}

TEST(work_queue_core, delayed_keys_come_when_due_and_the_earliest_time_counts) {
  work_queue_core queue;
  queue.add_at(a, start + seconds{5});
  queue.add_at(a, start + seconds{2});
  queue.add_at(a, start + seconds{9});
  EXPECT_EQ(queue.next_due(), start + seconds{2});
  EXPECT_EQ(queue.take(start + seconds{1}), std::nullopt);
  EXPECT_EQ(queue.take(start + seconds{2}), a);
  queue.done(a);
  EXPECT_EQ(queue.take(start + seconds{20}), std::nullopt) << "once, not thrice";
}

TEST(work_queue_core, retries_double_up_to_a_maximum_until_forgotten) {
  work_queue_core queue{{.retry_min = milliseconds{5}, .retry_max = milliseconds{1000}}};
  for (const int delay : {5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000}) {
    queue.add_rate_limited(a, start);
    ASSERT_EQ(queue.next_due(), start + milliseconds{delay});
    ASSERT_EQ(queue.take(start + milliseconds{delay}), a);
    queue.done(a);
  }
  EXPECT_EQ(queue.retries(a), 10U);
  queue.forget(a);
  EXPECT_EQ(queue.retries(a), 0U);
  queue.add_rate_limited(a, start);
  EXPECT_EQ(queue.next_due(), start + milliseconds{5});
}

TEST(work_queue, many_workers_never_hold_the_same_key_together) {
  work_queue queue;
  std::atomic<int> holding{0};
  std::atomic<int> most{0};
  std::atomic<int> handled{0};
  std::vector<std::jthread> workers;
  for (int i = 0; i < 4; ++i) {
    workers.emplace_back([&] {
      while (const auto key = queue.get()) {
        most = std::max(most.load(), ++holding);
        std::this_thread::yield();
        --holding;
        ++handled;
        queue.done(*key);
      }
    });
  }
  for (int i = 0; i < 2000; ++i) {
    queue.add(a);
  }
  EXPECT_TRUE(testing::eventually([&] { return queue.stats().ready == 0 && queue.stats().processing == 0; }));
  queue.shutdown();
  workers.clear();
  EXPECT_EQ(most, 1);
  EXPECT_GE(handled, 1);
}

TEST(work_queue, shutdown_wakes_those_who_wait) {
  work_queue queue;
  std::optional<object_key> got{a};
  std::jthread waiter{[&] { got = queue.get(); }};
  queue.shutdown();
  waiter.join();
  EXPECT_EQ(got, std::nullopt);
  queue.add(a);
  EXPECT_EQ(queue.get_for(seconds{1}), std::nullopt);
}

TEST(work_queue, a_delayed_key_wakes_who_waits) {
  work_queue queue;
  queue.add_after(a, milliseconds{20});
  EXPECT_EQ(queue.get_for(seconds{10}), a);
  EXPECT_EQ(queue.get_for(milliseconds{1}), std::nullopt);
}

}  // namespace
}  // namespace orrery::kube
