#include "kube/lease_machine.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace orrery::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const lease_machine::time_point start{seconds{1000}};
const wall_time noon{std::chrono::sys_days{std::chrono::year{2026} / 1 / 1}};

lease_machine machine() { return lease_machine{{.lease = {"ns", "l"}, .identity = "me"}}; }

lease_record held_by(const std::string& who, const std::string& renewed = "t1", std::uint64_t transitions = 3) {
  return {.holder = who,
          .duration = seconds{15},
          .renew_time = renewed,
          .acquire_time = "t0",
          .transitions = transitions,
          .version = "v-" + renewed};
}

TEST(lease_machine, takes_a_lease_that_is_not_there_or_is_released) {
  auto fresh = machine();
  EXPECT_TRUE(fresh.may_write(std::nullopt, start));
  EXPECT_EQ(fresh.record(noon).version, "") << "create";
  EXPECT_EQ(fresh.record(noon).transitions, 0U);
  auto released = machine();
  EXPECT_TRUE(released.may_write(held_by(""), start));
  EXPECT_EQ(released.record(noon).transitions, 4U);
  EXPECT_EQ(released.record(noon).version, "v-t1") << "only if unchanged";
}

TEST(lease_machine, waits_for_anothers_lease_by_its_own_clock_from_when_it_saw_it) {
  auto waiting = machine();
  EXPECT_FALSE(waiting.may_write(held_by("other", "1999-01-01T00:00:00Z"), start)) << "their clock does not count";
  EXPECT_FALSE(waiting.may_write(held_by("other", "1999-01-01T00:00:00Z"), start + seconds{14}));
  EXPECT_TRUE(waiting.may_write(held_by("other", "1999-01-01T00:00:00Z"), start + seconds{15}));
}

TEST(lease_machine, a_renewal_by_another_starts_the_wait_again) {
  auto waiting = machine();
  EXPECT_FALSE(waiting.may_write(held_by("other", "t1"), start));
  EXPECT_FALSE(waiting.may_write(held_by("other", "t2"), start + seconds{14}));
  EXPECT_FALSE(waiting.may_write(held_by("other", "t2"), start + seconds{28}));
  EXPECT_TRUE(waiting.may_write(held_by("other", "t2"), start + seconds{29}));
}

TEST(lease_machine, leads_only_while_renewed_counted_from_before_the_renewal_was_sent) {
  auto leader = machine();
  ASSERT_TRUE(leader.may_write(std::nullopt, start));
  EXPECT_FALSE(leader.leads(start));
  EXPECT_TRUE(leader.written(held_by("me"), start)) << "acquired";
  EXPECT_TRUE(leader.leads(start + milliseconds{9'999}));
  EXPECT_FALSE(leader.leads(start + seconds{10}));
  ASSERT_TRUE(leader.may_write(held_by("me"), start + seconds{2}));
  EXPECT_FALSE(leader.written(held_by("me", "t2"), start + seconds{2})) << "renewed, not acquired again";
  EXPECT_TRUE(leader.leads(start + seconds{11}));
}

TEST(lease_machine, renewals_keep_the_term_and_takeovers_raise_it) {
  auto leader = machine();
  ASSERT_TRUE(leader.may_write(held_by("me"), start)) << "of our former life";
  EXPECT_EQ(leader.record(noon).transitions, 4U) << "a restarted leader is a new leader";
  ASSERT_TRUE(leader.written(held_by("me", "t2", 4), start));
  EXPECT_EQ(leader.record(noon).transitions, 4U);
  EXPECT_EQ(leader.record(noon).acquire_time, "t0");
}

TEST(lease_machine, sees_that_another_took_over) {
  auto leader = machine();
  ASSERT_TRUE(leader.may_write(std::nullopt, start));
  ASSERT_TRUE(leader.written(held_by("me"), start));
  EXPECT_FALSE(leader.may_write(held_by("other", "t9"), start + seconds{1}));
  EXPECT_EQ(leader.holder(), "other");
}

TEST(lease_machine, writes_what_kubernetes_reads) {
  auto writer = machine();
  ASSERT_TRUE(writer.may_write(std::nullopt, start));
  const auto lease = writer.lease_object(writer.record(noon));
  EXPECT_EQ(lease, json::parse(R"({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
    "metadata": {"name": "l", "namespace": "ns"},
    "spec": {"holderIdentity": "me", "leaseDurationSeconds": 15, "leaseTransitions": 0,
             "acquireTime": "2026-01-01T00:00:00.000000Z", "renewTime": "2026-01-01T00:00:00.000000Z"}})"));
  EXPECT_EQ(read_lease(lease).holder, "me");
  EXPECT_EQ(read_lease(json::parse(R"({"spec": {"leaseDurationSeconds": -5, "leaseTransitions": -1}})")).transitions,
            0U);
}

TEST(timestamp, formats_and_parses_what_kubernetes_writes) {
  const auto when = noon + seconds{3723} + std::chrono::microseconds{42};
  EXPECT_EQ(to_time(when), "2026-01-01T01:02:03Z");
  EXPECT_EQ(to_micro_time(when), "2026-01-01T01:02:03.000042Z");
  EXPECT_EQ(parse_time("2026-01-01T01:02:03.000042Z"), when);
  EXPECT_EQ(parse_time("2026-01-01T02:02:03.000042999+01:00"), when);
  for (const char* wrong :
       {"", "2026", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-01 00:00:00", "2026-01-01T00:00:00",
        "2026-01-01T25:00:00Z", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00Zx"}) {
    EXPECT_EQ(parse_time(wrong), std::nullopt) << wrong;
  }
}

}  // namespace
}  // namespace orrery::kube
