#include "sidecar/write_queue.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <random>

namespace orrery::sidecar {
namespace {

std::vector<bytes> copied(const std::vector<byte_view>& views) {
  std::vector<bytes> all;
  for (const auto& each : views)
    all.emplace_back(each.begin(), each.end());
  return all;
}

TEST(a_write_queue, has_what_has_not_left_in_its_order) {
  write_queue queue;
  EXPECT_TRUE(queue.empty());
  queue.add({1, 2, 3});
  queue.add({4});
  queue.add({5, 6});
  EXPECT_TRUE(queue.at_start());
  EXPECT_EQ(copied(queue.several(2)), (std::vector<bytes>{{1, 2, 3}, {4}}));
  queue.left(2);
  EXPECT_FALSE(queue.at_start());
  EXPECT_EQ(queue.unwritten(), 4U);
  EXPECT_EQ(copied(queue.several(9)), (std::vector<bytes>{{3}, {4}, {5, 6}}));
  queue.left(3);
  EXPECT_EQ(copied({queue.first()}), (std::vector<bytes>{{6}}));
  queue.left(1);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.unwritten(), 0U);
}

TEST(a_write_queue, reports_bytes_of_messages_as_they_leave) {
  write_queue queue;
  queue.add(bytes(10));
  queue.add(bytes(80), 100);  // a few more than it has
  EXPECT_EQ(queue.report(1), 0U);
  queue.left(15);
  EXPECT_EQ(queue.report(6), 0U);
  EXPECT_EQ(queue.report(5), 5U);
  EXPECT_EQ(queue.report(1), 0U);
  queue.left(75);
  EXPECT_EQ(queue.report(1), 95U);
}

TEST(a_write_queue, forgets_no_byte_whatever_the_order) {
  std::mt19937 random{7};  // NOLINT: the same in each run
  const auto below = [&](std::size_t many) { return std::uniform_int_distribution<std::size_t>{0, many - 1}(random); };
  write_queue queue;
  std::size_t added = 0;
  std::size_t counted = 0;
  std::size_t reported = 0;
  std::uint8_t next_in = 0;
  std::uint8_t next_out = 0;
  for (int step = 0; step < 20'000; ++step) {
    if (below(3) == 0) {
      bytes frame(1 + below(300));
      for (auto& each : frame)
        each = next_in++;
      added += frame.size();
      const auto messages = below(2) * below(400);  // none, fewer or more than its bytes
      counted += messages;
      queue.add(std::move(frame), messages);
    }
    if (below(2) == 0) reported += queue.report(below(2000) + 1);
    if (queue.empty()) continue;
    auto leaves = below(queue.unwritten() + 1);
    for (const auto& piece : queue.several(1 + below(5))) {
      const auto part = std::min(leaves, piece.size());
      for (const auto each : piece.first(part))
        ASSERT_EQ(each, next_out++);
      queue.left(part);  // the pieces after it stay where they are
      leaves -= part;
      added -= part;
    }
    ASSERT_EQ(queue.unwritten(), added);
    ASSERT_LE(reported, counted);
  }
  queue.left(queue.unwritten());
  EXPECT_EQ(reported + queue.report(1), counted);
}

}  // namespace
}  // namespace orrery::sidecar
