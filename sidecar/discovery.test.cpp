#include "sidecar/discovery.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace orrery::sidecar {
namespace {

kube::json pod(const char* phase, const char* ip) {
  return {{"metadata", {{"name", "demo-1"}, {"uid", "u1"}}}, {"status", {{"phase", phase}, {"podIP", ip}}}};
}

TEST(discovery, a_running_pod_is_a_member_at_its_address) {
  const auto member = member_of(pod("Running", "10.0.0.7"), 3601);
  ASSERT_TRUE(member);
  EXPECT_EQ(member->name.value, "demo-1");
  EXPECT_EQ(member->uid, "u1");
  EXPECT_EQ(member->address, "10.0.0.7:3601");
  EXPECT_FALSE(member->terminating);
  EXPECT_EQ(member_of(pod("Running", "fd00::7"), 3601)->address, "[fd00::7]:3601");
}

TEST(discovery, a_pod_without_an_address_is_a_member_that_cannot_be_dialled_yet) {
  auto pending = pod("Pending", "");
  pending["status"].erase("podIP");
  EXPECT_EQ(member_of(pending, 3601)->address, "");
}

TEST(discovery, a_pod_that_is_being_deleted_is_terminating_and_not_gone) {
  auto leaving = pod("Running", "10.0.0.7");
  leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z";
  EXPECT_TRUE(member_of(leaving, 3601)->terminating);
}

TEST(discovery, pods_that_have_ended_are_no_members) {
  EXPECT_FALSE(member_of(pod("Failed", "10.0.0.7"), 3601));
  EXPECT_FALSE(member_of(pod("Succeeded", "10.0.0.7"), 3601));
  EXPECT_FALSE(member_of(kube::json::object(), 3601));
  EXPECT_FALSE(member_of(kube::json("text"), 3601));
}

TEST(discovery, a_static_list_gets_this_node_if_it_does_not_name_it) {
  const node::expected_member self{.name = node_name{"me"}, .uid = "u", .address = "127.0.0.1:1"};
  EXPECT_EQ(with_self({}, self), std::vector{self});
  const node::expected_member listed{.name = node_name{"me"}, .uid = "v", .address = "127.0.0.2:1"};
  EXPECT_EQ(with_self({listed}, self), std::vector{listed});
}

}  // namespace
}  // namespace orrery::sidecar
