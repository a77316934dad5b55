#include "sidecar/busy_poll.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>
#include <functional>
#include <thread>

namespace orrery::sidecar {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

/// In how many of so many waits it looks, where each look ends like this.
unsigned looks(busy_poll& of, unsigned waits, bool found) {
  unsigned count = 0;
  for (unsigned i = 0; i < waits; ++i) {
    if (of.next() == 0us) continue;
    ++count;
    of.ended({.found = found});
  }
  return count;
}

TEST(busy_poll, goes_on_while_it_finds_work) {
  busy_poll one(50us);
  EXPECT_EQ(looks(one, 1000, true), 1000U);
}

TEST(busy_poll, stops_soon_where_there_is_none_and_tries_now_and_then) {
  busy_poll one(50us);
  looks(one, 1000, true);
  EXPECT_LE(looks(one, busy_poll::one_in_least - 1, false), 4U);
  EXPECT_EQ(looks(one, 10 * busy_poll::one_in_least, false), 10U);
}

TEST(busy_poll, sleeps_where_work_comes_too_late_as_often_as_in_time) {
  busy_poll one(50us);
  looks(one, 1000, true);
  unsigned count = 0;
  for (int i = 0; i < 1000; ++i) {
    if (one.next() == 0us) continue;
    ++count;
    one.ended({.found = count % 2 == 0});
  }
  EXPECT_LT(count, 50U);
}

TEST(busy_poll, tries_less_and_less_where_others_want_the_processor) {
  busy_poll one(50us);
  looks(one, 1000, true);
  unsigned tries = 0;
  for (unsigned i = 0; i < 20 * busy_poll::one_in_max; ++i) {
    if (one.next() == 0us) continue;
    ++tries;
    one.ended({.crowded = true});
  }
  EXPECT_GT(tries, 15U);
  EXPECT_LT(tries, 30U);
  while (one.next() == 0us) {
  }
  one.ended({.found = true});  // it is there again
  EXPECT_EQ(looks(one, 1000, true), 1000U);
}

TEST(busy_poll, of_no_length_never_looks) {
  busy_poll none(0us);
  EXPECT_EQ(looks(none, 1000, true), 0U);
}

TEST(busy_poll, runs_a_loop_and_looks_when_nothing_is_left) {
  boost::asio::io_context io{1};
  const auto stays = boost::asio::make_work_guard(io);
  int done = 0;
  int looked = 0;
  boost::asio::post(io, [&] { ++done; });
  run(io, busy_poll{50us}, [&](boost::asio::io_context& of, duration length) {
    EXPECT_EQ(length, 50us);
    ++looked;
    boost::asio::post(of, [&] { ++done; });
    if (looked == 100) boost::asio::post(of, [&] { of.stop(); });
    return look(of, length);
  });
  EXPECT_EQ(looked, 100);
  EXPECT_EQ(done, 101);
}

TEST(busy_poll, finds_what_another_thread_posts_meanwhile) {
  boost::asio::io_context io{1};
  const auto stays = boost::asio::make_work_guard(io);
  std::thread other([&] {
    std::this_thread::sleep_for(5ms);
    boost::asio::post(io, [] {});
  });
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_TRUE(look(io, 10s).found);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 5s);
  other.join();
  EXPECT_FALSE(look(io, 100us).found);
}

TEST(busy_poll, sleeps_in_a_loop_that_has_little_to_do) {
  boost::asio::io_context io{1};
  boost::asio::steady_timer often{io};
  int ticks = 0;
  std::function<void()> tick = [&] {
    if (++ticks == 100) return io.stop();
    often.expires_after(2ms);
    often.async_wait([&](boost::system::error_code) { tick(); });
  };
  tick();
  timespec spent{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
  const auto before = std::chrono::seconds{spent.tv_sec} + std::chrono::nanoseconds{spent.tv_nsec};
  run(io, busy_poll{1ms});
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
  const auto took = std::chrono::seconds{spent.tv_sec} + std::chrono::nanoseconds{spent.tv_nsec} - before;
  EXPECT_LT(took, 60ms);  // of 200 and more; 100 and more if it always looked
}

TEST(busy_poll, is_chosen_by_hand_or_by_the_processors) {
  EXPECT_EQ(*parse_busy_poll("auto"), std::nullopt);
  EXPECT_EQ(**parse_busy_poll("off"), 0us);
  EXPECT_EQ(**parse_busy_poll("20us"), 20us);
  for (const auto* bad : {"", "on", "2ms", "-1us", "5"}) {
    const auto refused = parse_busy_poll(bad);
    ASSERT_FALSE(refused) << bad;
    EXPECT_THAT(refused.error().context, HasSubstr("neither auto, nor off, nor a duration up to 1ms"));
  }
  EXPECT_EQ(busy_poll_length(2, {}), busy_poll::usual_length);
  EXPECT_EQ(busy_poll_length(8, 2.0), busy_poll::usual_length);
  EXPECT_EQ(busy_poll_length(8, 1.5), 0us);
  EXPECT_EQ(busy_poll_length(1, {}), 0us);
}

}  // namespace
}  // namespace orrery::sidecar
