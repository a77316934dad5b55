#include "sdk/cpp/src/adaptive_spin.hpp"

#include <gtest/gtest.h>

namespace orrery::app {
namespace {

using namespace std::chrono_literals;

/// After how many of so many answers it spins, where each time ends like this.
unsigned spins(adaptive_spin& of, unsigned answers, bool in_time, std::size_t at_once = 1) {
  unsigned all = 0;
  for (unsigned i = 0; i < answers; ++i) {
    of.answered(at_once);
    if (of.next() == 0us) continue;
    ++all;
    of.came_in_time(in_time);
  }
  return all;
}

TEST(adaptive_spin, goes_on_while_answers_come_in_time) {
  adaptive_spin one(50us);
  EXPECT_EQ(spins(one, adaptive_spin::tried_one_in, true), 1U);
  EXPECT_EQ(spins(one, 1000, true), 1000U);
  one.answered(1);
  EXPECT_EQ(one.next(), 50us);
  EXPECT_EQ(one.next(), 0us) << "nothing was answered meanwhile";
}

TEST(adaptive_spin, stops_soon_where_they_do_not_and_is_tried_now_and_then) {
  adaptive_spin one(50us);
  static_cast<void>(spins(one, 1000, true));
  EXPECT_LE(spins(one, adaptive_spin::tried_one_in - 1, false), 5U);
  EXPECT_EQ(spins(one, 10 * adaptive_spin::tried_one_in, false), 10U);
}

TEST(adaptive_spin, outlives_an_answer_that_is_late_now_and_then) {
  adaptive_spin one(50us);
  static_cast<void>(spins(one, 1000, true));
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(spins(one, 1, false), 1U);
    EXPECT_EQ(spins(one, 9, true), 9U);
  }
}

TEST(adaptive_spin, leaves_the_processor_to_callers_of_several_threads) {
  adaptive_spin one(50us);
  static_cast<void>(spins(one, 1000, true));
  EXPECT_EQ(spins(one, 1000, true, 2), 0U);
  EXPECT_EQ(spins(one, adaptive_spin::crowd_remembered - 1, true), 0U);
  EXPECT_EQ(spins(one, 1000, true), 1000U);
}

TEST(adaptive_spin, of_no_length_never_is) {
  adaptive_spin none(0us);
  EXPECT_EQ(spins(none, 1000, true), 0U);
}

}  // namespace
}  // namespace orrery::app
