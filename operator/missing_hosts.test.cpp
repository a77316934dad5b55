#include "operator/missing_hosts.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace orrery::op {
namespace {

using namespace std::chrono_literals;

std::vector<plan::object_ptr> pod_on(const std::string& host) {
  return {std::make_shared<const plan::json>(plan::json{{"spec", {{"nodeName", host}}}})};
}

const std::map<std::string, plan::host_view> one_host{{"node1", {true, {}}}};
const std::map<std::string, plan::host_view> both_hosts{{"node1", {true, {}}}, {"node9", {true, {}}}};
const plan::wall_time start{1h};

TEST(missing_hosts, count_from_when_the_api_server_first_lacked_them) {
  missing_hosts hosts;
  hosts.copied(one_host);
  EXPECT_TRUE(hosts.since().empty());
  hosts.listed(one_host, pod_on("node9"), start);
  hosts.listed(one_host, pod_on("node9"), start + 1min);
  ASSERT_TRUE(hosts.since().contains("node9"));
  EXPECT_EQ(hosts.since().at("node9"), start);
}

TEST(missing_hosts, that_came_back_are_forgotten) {
  missing_hosts hosts;
  hosts.listed(one_host, pod_on("node9"), start);
  hosts.copied(both_hosts);
  hosts.listed(one_host, pod_on("node9"), start + 1h);
  EXPECT_EQ(hosts.since().at("node9"), start + 1h);
}

TEST(missing_hosts, are_not_those_that_no_pod_runs_on) {
  missing_hosts hosts;
  hosts.listed(one_host, pod_on(""), start);
  hosts.listed(one_host, pod_on("node1"), start);
  EXPECT_TRUE(hosts.since().empty());
  EXPECT_FALSE(has_strange_host(one_host, pod_on("")));
  EXPECT_FALSE(has_strange_host(one_host, pod_on("node1")));
  EXPECT_TRUE(has_strange_host(one_host, pod_on("node9")));
}

TEST(hosts, are_known_while_their_watch_speaks) {
  const std::chrono::steady_clock::time_point now{1h};
  EXPECT_TRUE(are_hosts_known({.synced = true, .last_contact = now - 1min}, now));
  EXPECT_FALSE(are_hosts_known({.synced = true, .last_contact = now - 3min}, now));
  EXPECT_FALSE(are_hosts_known({.synced = false, .last_contact = now}, now));
}

}  // namespace
}  // namespace orrery::op
