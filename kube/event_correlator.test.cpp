#include "kube/event_correlator.hpp"

#include <gtest/gtest.h>

namespace orrery::kube {
namespace {

using kind = event_correlator::decision::kind;
using std::chrono::seconds;

const event_correlator::time_point start{seconds{1000}};

TEST(event_correlator, the_same_again_bumps_the_count) {
  event_correlator events{{.component = "test"}};
  EXPECT_EQ(events.decide("pod", "pod/Reason/text", start).what, kind::create);
  events.created("pod/Reason/text", "pod.1");
  for (std::uint64_t count = 2; count < 5; ++count) {
    const auto again = events.decide("pod", "pod/Reason/text", start);
    EXPECT_EQ(again.what, kind::bump);
    EXPECT_EQ(again.name, "pod.1");
    EXPECT_EQ(again.count, count);
  }
  EXPECT_EQ(events.decide("pod", "pod/Reason/other text", start).what, kind::create);
}

TEST(event_correlator, an_event_that_expired_is_created_again) {
  event_correlator events{{.component = "test"}};
  events.created("x", "pod.1");
  events.forget("x");
  EXPECT_EQ(events.decide("pod", "x", start).what, kind::create);
}

TEST(event_correlator, an_object_has_a_burst_and_then_a_rate) {
  event_correlator events{{.component = "test", .burst = 3, .refill = seconds{10}}};
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(events.decide("pod", std::to_string(i), start).what, kind::create);
  }
  EXPECT_EQ(events.decide("pod", "4", start).what, kind::drop);
  EXPECT_EQ(events.decide("other pod", "5", start).what, kind::create) << "the budget is each object's own";
  EXPECT_EQ(events.decide("pod", "6", start + seconds{11}).what, kind::create);
  EXPECT_EQ(events.decide("pod", "7", start + seconds{11}).what, kind::drop);
}

TEST(event_correlator, remembers_a_bounded_number) {
  event_correlator events{{.component = "test", .remembered_max = 2}};
  for (const char* each : {"a", "b", "c"}) {
    events.created(each, std::string{each} + ".1");
  }
  EXPECT_EQ(events.decide("1", "a", start).what, kind::create) << "the oldest is forgotten";
  EXPECT_EQ(events.decide("2", "c", start).what, kind::bump);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(events.decide("object " + std::to_string(i), "x", start).what, kind::create);
  }
}

}  // namespace
}  // namespace orrery::kube
