// Scenarios on a small mesh: what an SRE would try.
#include "mesh/sim/small_mesh.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace orrery::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using testing::small_mesh;

TEST_F(small_mesh, forms_within_a_second_of_the_last_start_and_every_node_sees_every_other) {
  for (int i = 0; i < 3; ++i)
    world.add_pod();
  const auto every = [&](auto holds) {
    const auto pods = world.pods();
    return std::all_of(pods.begin(), pods.end(), holds);
  };
  while (!every([&](const auto& pod) { return world.alive(pod); }))
    pass(milliseconds{1});
  const auto last_start = world.time.now();
  while (!every([&](const auto& pod) { return world.core_of(pod).current().joined; })) {
    ASSERT_LT(world.time.now() - last_start, seconds{1});
    pass(milliseconds{1});
  }
  for (const auto& pod : world.pods()) {
    EXPECT_EQ(world.core_of(pod).current().connected, 2U);
    EXPECT_EQ(world.core_of(pod).current().expected, 3U);
    const auto nodes = ask(pod, node::list_nodes_op{}).value().document()["nodes"];
    ASSERT_EQ(nodes.size(), 3U);
    for (const auto& each : nodes) {
      EXPECT_THAT((std::vector<std::string>{"self", "up"}), ::testing::Contains(each["state"].get<std::string>()));
      EXPECT_EQ(each["state"] == "self", each["rttSeconds"].is_null());
    }
  }
}

TEST_F(small_mesh, a_call_answers_the_same_from_every_node) {
  form(3);
  const auto pods = world.pods();
  const auto name = owned_by(pods[1]);
  std::int64_t expected = 0;
  for (const auto& pod : pods)
    EXPECT_EQ(answer_of(call(pod, name, "add")).value().document(), ++expected);
}

TEST_F(small_mesh, refusals_of_the_owner_come_back_with_their_code) {
  form(2);
  const auto pods = world.pods();
  const auto refused = answer_of(call(pods[0], owned_by(pods[1]), "fly"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::not_found);
  EXPECT_THAT(refused.error().context, HasSubstr("fly"));
  EXPECT_EQ(answer_of(call(pods[0], {class_name{"unknown"}, process_key{"a"}}, "get")).error().code, errc::not_found);
}

TEST_F(small_mesh, after_a_crash_the_calls_answer_from_another_node_at_once) {
  form(3);
  const auto pods = world.pods();
  const auto name = owned_by(pods[1]);
  ASSERT_TRUE(answer_of(call(pods[0], name, "add")));
  world.crash(pods[1], false);
  pass(milliseconds{5});
  const auto began = world.time.now();
  EXPECT_EQ(answer_of(call(pods[0], name, "add")).value().document(), 1);  // state is lost in this form
  EXPECT_LT(world.time.now() - began, milliseconds{100});
}

TEST_F(small_mesh, after_a_silent_death_calls_answer_within_two_seconds_and_those_that_waited_see_no_error) {
  form(3);
  const auto pods = world.pods();
  const auto name = owned_by(pods[1]);
  world.crash(pods[1], true);
  const auto lost = call(pods[0], name, "add");
  pass(milliseconds{1600});  // silent for two heartbeats: nothing more is sent to it
  const auto waited = call(pods[0], name, "add");
  const auto early = answer_of(lost);
  ASSERT_FALSE(early);
  EXPECT_EQ(early.error().code, errc::unavailable);
  EXPECT_EQ(early.error().effect, took_effect::unknown);
  EXPECT_EQ(answer_of(waited).value().document(), 1);
}

TEST_F(small_mesh, a_drain_keeps_the_state_and_ends_soon) {
  form(3);
  const auto pods = world.pods();
  std::vector<process_name> names;
  for (int i = 0; i < 300; ++i) {
    names.push_back({class_name{"counter"}, process_key{std::to_string(i)}});
    ASSERT_TRUE(answer_of(call(pods[0], names.back(), "add")));
  }
  const auto began = world.time.now();
  world.drain(pods[1], milliseconds{0});
  while (world.alive(pods[1]) && world.time.now() - began < seconds{10})
    pass(milliseconds{1});
  EXPECT_LT(world.time.now() - began, seconds{1});
  for (const auto& name : names)
    EXPECT_EQ(answer_of(call(pods[0], name, "get")).value().document(), 1) << to_string(name);
}

TEST_F(small_mesh, a_drain_waits_for_a_link_that_stalls_and_loses_nothing) {
  form(3);
  const auto pods = world.pods();
  std::vector<process_name> names;
  for (int i = 0; i < 60; ++i) {
    names.push_back({class_name{"counter"}, process_key{std::to_string(i)}});
    ASSERT_TRUE(answer_of(call(pods[0], names.back(), "add")));
  }
  world.net.cut(pods[1], pods[2]);
  pass(milliseconds{1100});
  world.drain(pods[1], milliseconds{0});
  pass(milliseconds{400});
  EXPECT_TRUE(world.alive(pods[1]));
  world.net.heal_all();
  pass(seconds{2});
  EXPECT_FALSE(world.alive(pods[1]));
  for (const auto& name : names)
    EXPECT_EQ(answer_of(call(pods[0], name, "get")).value().document(), 1) << to_string(name);
}

TEST_F(small_mesh, pods_that_never_reach_each_other_have_not_joined_and_say_how_few_they_reach) {
  for (int i = 0; i < 3; ++i)
    world.add_pod();
  const auto pods = world.pods();
  for (const auto& pod : pods) {
    for (const auto& other : pods)
      world.net.cut(pod, other);
  }
  pass(seconds{30});
  for (const auto& pod : pods) {
    EXPECT_FALSE(world.core_of(pod).current().joined);
    EXPECT_THAT(world.core_of(pod).current().reason, HasSubstr("connected to 0 of 2 peers"));
  }
  world.net.heal_all();
  pass(seconds{15});
  for (const auto& pod : pods)
    EXPECT_TRUE(world.core_of(pod).current().joined) << world.core_of(pod).current().reason;
}

TEST_F(small_mesh, a_node_cut_from_all_that_it_knew_is_not_ready_until_it_is_back) {
  form(3);
  const auto pods = world.pods();
  for (const auto& pod : pods)
    world.net.cut(pods[0], pod);
  pass(seconds{8});
  EXPECT_FALSE(world.core_of(pods[0]).current().joined);
  EXPECT_TRUE(world.core_of(pods[1]).current().joined);
  world.net.heal_all();
  pass(seconds{8});
  EXPECT_TRUE(world.core_of(pods[0]).current().joined);
}

TEST_F(small_mesh, of_two_nodes_the_survivor_is_ready_again_when_discovery_drops_the_dead_one) {
  form(2);
  const auto pods = world.pods();
  world.crash(pods[0], true);
  pass(seconds{8});
  EXPECT_FALSE(world.core_of(pods[1]).current().joined);
  EXPECT_THAT(world.core_of(pods[1]).current().reason, HasSubstr("connected to 0 of 1 peer"));
  world.delete_now(pods[0]);
  pass(seconds{1});
  EXPECT_TRUE(world.core_of(pods[1]).current().joined);
}

TEST_F(small_mesh, under_a_static_list_those_that_stay_are_ready_when_one_has_drained_and_still_know_a_minority) {
  form(3);
  const auto pods = world.pods();
  world.discovery_lag_max = std::chrono::hours{10'000};  // nobody hears that a pod is gone
  world.drain(pods[0], milliseconds{1});
  pass(seconds{8});
  for (const auto& pod : {pods[1], pods[2]}) {
    EXPECT_TRUE(world.core_of(pod).current().joined) << world.core_of(pod).current().reason;
    EXPECT_EQ(world.core_of(pod).current().expected, 2U);
  }
  world.set_control_plane(false);
  world.crash(pods[1], false);
  pass(seconds{3});
  EXPECT_FALSE(world.core_of(pods[2]).current().joined);
  EXPECT_TRUE(world.core_of(pods[2]).current().isolated);
}

TEST_F(small_mesh, a_node_that_comes_back_with_a_clock_set_back_is_taken_in_again) {
  world.set_clock(1'000'000);
  form(3);
  const auto pods = world.pods();
  for (const bool silently : {false, true}) {
    world.set_clock(silently ? 0 : 1'000);
    world.crash(pods[1], silently);
    world.start(pods[1]);
    pass(seconds{8});
    for (const auto& pod : pods) {
      EXPECT_TRUE(world.core_of(pod).current().joined) << world.core_of(pod).current().reason;
      EXPECT_EQ(world.core_of(pod).current().connected, 2U);
    }
    EXPECT_TRUE(answer_of(call(pods[0], owned_by(pods[1]), "add")));
  }
}

TEST_F(small_mesh, a_node_stays_ready_while_newcomers_have_not_come_up) {
  form(1);
  const auto first = world.pods()[0];
  world.add_pod();
  world.add_pod();
  for (const auto& pod : world.pods())
    world.net.cut(first, pod);
  for (int i = 0; i < 100; ++i) {
    pass(milliseconds{100});
    ASSERT_TRUE(world.core_of(first).current().joined) << world.core_of(first).current().reason;
  }
}

TEST_F(small_mesh, a_node_that_is_alone_drains_at_once_if_nothing_runs_there_and_else_lets_a_newcomer_show_up) {
  form(1);
  const auto idle = world.pods()[0];
  world.drain(idle, milliseconds{0});
  pass(milliseconds{301});
  EXPECT_FALSE(world.alive(idle));

  form(1);
  const auto busy = world.living().at(0);
  ASSERT_TRUE(answer_of(call(busy, owned_by(busy), "add")));
  world.drain(busy, milliseconds{0});
  pass(milliseconds{301});
  EXPECT_TRUE(world.alive(busy));
  pass(milliseconds{1200});
  EXPECT_FALSE(world.alive(busy));
}

TEST_F(small_mesh, a_node_cut_from_all_and_from_the_api_server_is_isolated_and_says_so) {
  form(3);
  const auto pods = world.pods();
  world.set_control_plane(false);
  for (const auto& pod : pods)
    world.net.cut(pods[0], pod);
  pass(seconds{7});
  EXPECT_TRUE(world.core_of(pods[0]).current().isolated);
  EXPECT_FALSE(world.core_of(pods[1]).current().isolated);
  const auto refused = answer_of(call(pods[0], owned_by(pods[0]), "get"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::isolated);
  EXPECT_EQ(refused.error().effect, took_effect::not_executed);
  EXPECT_TRUE(answer_of(call(pods[1], owned_by(pods[0]), "add")));
}

TEST_F(small_mesh, without_the_api_server_a_whole_mesh_goes_on) {
  form(3);
  world.set_control_plane(false);
  pass(seconds{20});
  for (const auto& pod : world.pods()) {
    EXPECT_FALSE(world.core_of(pod).current().isolated);
    EXPECT_TRUE(answer_of(call(pod, owned_by(pod), "add")));
  }
}

TEST_F(small_mesh, what_others_started_while_a_node_was_isolated_wins_over_its_own) {
  form(3);
  const auto pods = world.pods();
  const auto name = owned_by(pods[0]);
  ASSERT_EQ(answer_of(call(pods[0], name, "add")).value().document(), 1);
  world.set_control_plane(false);
  for (const auto& pod : pods)
    world.net.cut(pods[0], pod);
  pass(seconds{6});
  for (int i = 1; i <= 5; ++i)
    EXPECT_EQ(answer_of(call(pods[1], name, "add")).value().document(), i);
  world.net.heal_all();
  pass(seconds{8});
  EXPECT_FALSE(world.core_of(pods[0]).current().isolated);
  for (const auto& pod : pods)
    EXPECT_EQ(answer_of(call(pod, name, "get")).value().document(), 5) << pod;
}

TEST_F(small_mesh, lists_name_the_nodes_that_do_not_answer) {
  form(3);
  const auto pods = world.pods();
  for (const auto& pod : pods)
    ASSERT_TRUE(answer_of(call(pod, owned_by(pod), "add")));
  auto all = ask(pods[0], node::list_processes_op{}).value().document();
  EXPECT_EQ(all["processes"].size(), 3U);
  EXPECT_TRUE(all["unreachable"].empty());
  EXPECT_EQ(ask(pods[0], node::tree_op{}).value().document()["nodes"].size(), 3U);
  world.net.cut(pods[0], pods[2]);
  const auto began = world.time.now();
  all = ask(pods[0], node::list_processes_op{}).value().document();
  EXPECT_LE(world.time.now() - began, milliseconds{1010});
  EXPECT_EQ(all["processes"].size(), 2U);
  EXPECT_EQ(all["unreachable"], nlohmann::json::array({pods[2]}));
}

TEST_F(small_mesh, processes_are_inspected_killed_and_stopped_from_any_node) {
  form(2);
  const auto pods = world.pods();
  const auto name = owned_by(pods[1]);
  const auto missing = ask(pods[0], node::inspect_op{name});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, errc::not_found);
  EXPECT_THAT(missing.error().context, HasSubstr(pods[1]));
  ASSERT_TRUE(answer_of(call(pods[0], name, "add")));
  EXPECT_EQ(ask(pods[0], node::inspect_op{name}).value().document()["node"], pods[1]);
  EXPECT_EQ(ask(pods[0], node::kill_op{name, "test"}).value().document()["killed"], true);
  EXPECT_EQ(ask(pods[0], node::inspect_op{name}).value().document()["restarts"], 1);
  EXPECT_EQ(ask(pods[0], node::stop_op{name}).value().document()["stopped"], true);
  EXPECT_FALSE(ask(pods[0], node::inspect_op{name}));
}

TEST_F(small_mesh, a_call_that_nobody_answers_ends_at_its_deadline) {
  form(2);
  const auto pods = world.pods();
  const auto name = owned_by(pods[1]);
  world.net.cut(pods[0], pods[1]);
  const auto began = world.time.now();
  const auto ended = answer_of(call(pods[0], name, "get", milliseconds{300}));
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().code, errc::deadline_exceeded);
  EXPECT_EQ(ended.error().effect, took_effect::unknown);
  EXPECT_LE(world.time.now() - began, milliseconds{302});
}

TEST_F(small_mesh, wrong_requests_are_refused_with_what_would_be_accepted) {
  form(1);
  const auto pod = world.pods()[0];
  const auto name = owned_by(pod);
  EXPECT_EQ(answer_of(call(pod, name, "")).error().code, errc::invalid_argument);
  EXPECT_EQ(answer_of(call(pod, name, std::string(256, 'x'))).error().code, errc::invalid_argument);
  EXPECT_THAT(answer_of(call(pod, name, "get", seconds{0})).error().context, HasSubstr("at most 1 h"));
}

}  // namespace
}  // namespace orrery::sim
