#include "mesh/kernel/timer_wheel.hpp"

#include "mesh/base/random.hpp"

#include <gtest/gtest.h>

#include <map>
#include <vector>

namespace orrery::kernel {
namespace {

using namespace std::chrono_literals;

constexpr time_point at(duration since) { return time_point{since}; }

std::vector<int> fired(timer_wheel<int>& wheel, time_point now) {
  std::vector<int> all;
  wheel.expire(now, [&](int which) { all.push_back(which); });
  return all;
}

TEST(timer_wheel, fires_when_due_and_not_before) {
  timer_wheel<int> wheel;
  wheel.add(at(10ms), 1);
  EXPECT_TRUE(fired(wheel, at(9ms)).empty());
  EXPECT_EQ(fired(wheel, at(10ms)), std::vector{1});
  EXPECT_TRUE(fired(wheel, at(10h)).empty());
}

TEST(timer_wheel, rounds_up_to_a_tick) {
  timer_wheel<int> wheel;
  wheel.add(at(10ms + 1ns), 1);
  EXPECT_TRUE(fired(wheel, at(10ms + 2ns)).empty());
  EXPECT_EQ(fired(wheel, at(11ms)), std::vector{1});
}

TEST(timer_wheel, what_is_due_already_fires_at_the_next_look) {
  timer_wheel<int> wheel;
  EXPECT_TRUE(fired(wheel, at(1h)).empty());
  wheel.add(at(1min), 1);
  EXPECT_LE(wheel.next(), at(1h));
  EXPECT_EQ(fired(wheel, at(1h)), std::vector{1});
}

TEST(timer_wheel, a_timer_that_sets_itself_again_at_once_does_not_hold_up_the_rest) {
  timer_wheel<int> wheel;
  wheel.add(at(1ms), 0);
  int times = 0;
  const auto again = [&](int which) {
    ++times;
    wheel.add(at(0ms), which);
  };
  wheel.expire(at(1ms), again);
  EXPECT_LE(times, 2);
  EXPECT_EQ(wheel.size(), 1U);
}

TEST(timer_wheel, a_cancelled_timer_does_not_fire_and_tells_when_it_was_due) {
  timer_wheel<int> wheel;
  const auto timer = wheel.add(at(70s), 1);
  const auto held = wheel.cancel(timer);
  ASSERT_TRUE(held);
  EXPECT_EQ(held->first, 1);
  EXPECT_EQ(held->second, at(70s));
  EXPECT_FALSE(wheel.cancel(timer));
  EXPECT_EQ(wheel.next(), never);
  EXPECT_TRUE(fired(wheel, at(80s)).empty());
}

TEST(timer_wheel, one_that_is_cancelled_while_its_tick_fires_does_not) {
  timer_wheel<int> wheel;
  wheel.add(at(5ms), 1);
  const auto second = wheel.add(at(5ms), 2);
  std::vector<int> all;
  wheel.expire(at(5ms), [&](int which) {
    all.push_back(which);
    wheel.cancel(second);
  });
  EXPECT_EQ(all, std::vector{1});
}

TEST(timer_wheel, waits_for_centuries_too) {
  timer_wheel<int> wheel;
  wheel.add(at(24h * 365 * 200), 1);
  EXPECT_TRUE(fired(wheel, at(24h * 365 * 100)).empty());
  EXPECT_EQ(fired(wheel, at(24h * 365 * 201)), std::vector{1});
}

// Beside a sorted map, over times from a millisecond to weeks.
TEST(timer_wheel, does_what_a_sorted_list_would) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    seeded_random random(seed);
    timer_wheel<int> wheel;
    std::multimap<time_point, int> expected;
    std::vector<std::pair<timer_wheel<int>::id, std::multimap<time_point, int>::iterator>> set;
    time_point now = at(std::chrono::milliseconds{random.below(1U << 20U)});
    fired(wheel, now);
    for (int step = 0; step < 600; ++step) {
      const auto reach = std::uint64_t{1} << random.below(32);
      if (random.below(3) != 0) {
        const auto due = now + std::chrono::milliseconds{1 + random.below(reach)};
        set.emplace_back(wheel.add(due, step), expected.emplace(due, step));
      } else if (!set.empty() && random.below(2) == 0) {
        const auto which = random.below(set.size());
        if (wheel.cancel(set[which].first)) expected.erase(set[which].second);
        set.erase(set.begin() + static_cast<std::ptrdiff_t>(which));
      }
      const auto earliest = expected.empty() ? never : expected.begin()->first;
      ASSERT_LE(wheel.next(), earliest) << "seed " << seed;
      now += std::chrono::milliseconds{random.below(reach)};
      std::multimap<time_point, int> got;
      time_point before{};
      wheel.expire(now, [&](int one) {
        for (const auto& [due, which] : expected) {
          if (which != one) continue;
          EXPECT_LE(due, now);
          EXPECT_LE(before, due) << "out of order";
          before = due;
          got.emplace(due, which);
        }
      });
      std::multimap<time_point, int> due(expected.begin(), expected.upper_bound(now));
      ASSERT_EQ(got, due) << "seed " << seed << " step " << step;
      expected.erase(expected.begin(), expected.upper_bound(now));
      std::erase_if(set, [&](const auto& each) { return !wheel.pending(each.first); });
    }
  }
}

}  // namespace
}  // namespace orrery::kernel
