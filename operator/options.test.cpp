#include "operator/options.hpp"

#include "operator/metrics.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace orrery::op {

namespace {

parsed_options parse(std::vector<const char*> words) {
  words.insert(words.begin(), "orrery-operator");
  return parse_options(static_cast<int>(words.size()), words.data());
}

}  // namespace

TEST(options, have_defaults_that_run_in_a_pod) {
  const auto parsed = parse({});
  EXPECT_EQ(parsed.exit_code, -1);
  EXPECT_TRUE(parsed.chosen.leader_election);
  EXPECT_TRUE(parsed.chosen.namespaces.empty());
  EXPECT_EQ(parsed.chosen.metrics_address, "0.0.0.0:8080");
}

TEST(options, take_namespaces_repeatedly_and_no_leader_election) {
  const auto parsed = parse({"--namespace", "a", "-n", "b", "--no-leader-election", "--log-level", "debug"});
  EXPECT_EQ(parsed.exit_code, -1);
  EXPECT_EQ(parsed.chosen.namespaces, (std::vector<std::string>{"a", "b"}));
  EXPECT_FALSE(parsed.chosen.leader_election);
  EXPECT_EQ(parsed.chosen.log_level, "debug");
}

TEST(options, take_a_pods_address_of_either_kind_as_it_comes) {
  EXPECT_EQ(parse({"--metrics-address", "10.0.0.7:8080"}).chosen.metrics_address, "10.0.0.7:8080");
  EXPECT_EQ(parse({"--metrics-address", "fd00::7:8080"}).chosen.metrics_address, "[fd00::7]:8080");
  EXPECT_EQ(parse({"--metrics-address", "[fd00::7]:8080"}).chosen.metrics_address, "[fd00::7]:8080");
  EXPECT_EQ(parse({"--metrics-address", "off"}).chosen.metrics_address, "off");
}

TEST(options, refuse_what_they_do_not_know) {
  EXPECT_EQ(parse({"--namespace", "Not_A_Name"}).exit_code, 2);
  EXPECT_EQ(parse({"--log-level", "loud"}).exit_code, 2);
  EXPECT_EQ(parse({"--what"}).exit_code, 2);
  EXPECT_EQ(parse({"--help"}).exit_code, 0);
  EXPECT_EQ(parse({"--version"}).exit_code, 0);
}

TEST(operator_metrics, tell_of_meshes_while_they_exist) {
  metrics numbers;
  numbers.on_mesh({"default", "demo"}, 3, 2, false);
  numbers.on_request(kube::verb::create, "pods", 201, std::chrono::milliseconds{3});
  numbers.on_reconcile(true, std::chrono::milliseconds{7});
  auto text = numbers.text();
  EXPECT_NE(text.find(R"(orrery_operator_mesh_pods{mesh="demo",namespace="default",state="joined"} 2)"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find(R"(orrery_operator_kube_requests_total{code="201",resource="pods",verb="create"} 1)"),
            std::string::npos);
  EXPECT_NE(text.find(R"(orrery_operator_reconcile_total{result="success"} 1)"), std::string::npos);
  numbers.on_mesh_gone({"default", "demo"});
  EXPECT_EQ(numbers.text().find("mesh=\"demo\""), std::string::npos);
}

}  // namespace orrery::op
