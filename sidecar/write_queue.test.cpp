#include "sidecar/write_queue.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <random>

namespace orrery::sidecar {
namespace {

TEST(a_write_queue, writes_in_batches_what_came_while_the_one_before_was_written) {
  write_queue queue;
  EXPECT_TRUE(queue.empty());
  EXPECT_FALSE(queue.begin());
  queue.add({1});
  ASSERT_TRUE(queue.begin());
  queue.add({2, 2});
  queue.add({3});
  EXPECT_FALSE(queue.begin());
  EXPECT_EQ(queue.batch(), (std::vector<bytes>{{1}}));
  EXPECT_EQ(queue.unwritten(), 4U);
  queue.written();
  EXPECT_EQ(queue.unwritten(), 3U);
  EXPECT_FALSE(queue.is_writing());
  ASSERT_TRUE(queue.begin());
  EXPECT_EQ(queue.batch(), (std::vector<bytes>{{2, 2}, {3}}));
  queue.written();
  EXPECT_TRUE(queue.empty());
}

TEST(a_write_queue, reports_bytes_of_messages_once_they_have_left) {
  write_queue queue;
  queue.add_messages(100);
  queue.add({1});
  EXPECT_EQ(queue.report(1), 0U);
  ASSERT_TRUE(queue.begin());
  EXPECT_EQ(queue.report(1), 0U);
  queue.written();
  EXPECT_EQ(queue.report(101), 0U);
  EXPECT_EQ(queue.report(100), 100U);
  EXPECT_EQ(queue.report(1), 0U);
}

TEST(a_write_queue, forgets_no_byte_whatever_the_order) {
  std::mt19937 random{7};  // NOLINT: the same in each run
  const auto below = [&](unsigned many) { return std::uniform_int_distribution<unsigned>{0, many - 1}(random); };
  write_queue queue;
  std::deque<std::size_t> waiting;  // messages of each frame; 0: it has none
  std::size_t in_batch = 0;
  std::size_t left = 0;
  std::size_t reported = 0;
  for (int step = 0; step < 20'000; ++step) {
    switch (below(4)) {
      case 0: {
        const auto messages = below(2) * below(500);
        queue.add_messages(messages);
        queue.add(bytes(1 + below(300)));
        waiting.push_back(messages);
        break;
      }
      case 1:
        if (!queue.begin()) break;
        ASSERT_EQ(queue.batch().size(), waiting.size());
        for (; !waiting.empty(); waiting.pop_front())
          in_batch += waiting.front();
        break;
      case 2:
        if (!queue.is_writing()) break;
        queue.written();
        left += std::exchange(in_batch, 0);
        break;
      default:
        reported += queue.report(below(2000) + 1);
    }
    ASSERT_LE(reported, left);
  }
  EXPECT_EQ(reported + queue.report(1), left);
}

}  // namespace
}  // namespace orrery::sidecar
