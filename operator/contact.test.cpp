#include "operator/contact.hpp"

#include <gtest/gtest.h>

namespace orrery::op {
namespace {

using namespace std::chrono_literals;

TEST(contact, counts_from_its_last_break_and_not_at_all_before_it_begins) {
  const plan::wall_time start{1h};
  contact heard;
  heard.breaks(start);
  EXPECT_FALSE(heard.since()) << "it does not lead";
  heard.begins(start + 1s);
  EXPECT_EQ(heard.since(), start + 1s);
  heard.breaks(start + 5s);
  EXPECT_EQ(heard.since(), start + 5s);
  heard.ends();
  heard.breaks(start + 6s);
  EXPECT_FALSE(heard.since());
}

}  // namespace
}  // namespace orrery::op
