// What processes of different nodes have to do with each other, on whole nodes.
#include "mesh/sim/actors_mesh.hpp"

#include <gmock/gmock.h>

namespace orrery::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::actors_mesh;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class processes : public actors_mesh {
 protected:
  void form_with_two_actors(int pods = 2) {
    form(pods);
    all = world.pods();
    near = actor_on(all[0]);
    far = actor_on(all[1]);
  }
  std::vector<std::string> all;
  std::string near;
  std::string far;
};

TEST_F(processes, hear_why_one_that_they_monitor_on_another_node_ended) {
  form_with_two_actors();
  ASSERT_TRUE(tell(near, "monitor", pid_of(far)));
  pass(milliseconds{100});
  ASSERT_TRUE(tell(far, "boom"));
  pass(milliseconds{100});
  EXPECT_THAT(seen(near), ElementsAre("down error: boom"));
}

TEST_F(processes, are_linked_across_nodes_and_die_with_each_other_unless_they_trap) {
  form_with_two_actors();
  ASSERT_TRUE(tell(near, "trap"));
  ASSERT_TRUE(tell(near, "link", pid_of(far)));
  pass(milliseconds{100});
  ASSERT_TRUE(tell(far, "boom"));
  pass(milliseconds{100});
  EXPECT_THAT(seen(near), ElementsAre("exit error: boom"));
  const auto before = pid_of(far);
  ASSERT_TRUE(tell(near, "link", before));
  pass(milliseconds{100});
  ASSERT_TRUE(tell(near, "boom"));
  pass(milliseconds{100});
  EXPECT_NE(pid_of(far), before) << "it does not trap: it started afresh";
}

TEST_F(processes, that_unlink_are_spared) {
  form_with_two_actors();
  const auto before = pid_of(far);
  ASSERT_TRUE(tell(near, "link", before));
  ASSERT_TRUE(tell(near, "unlink", before));
  pass(milliseconds{100});
  ASSERT_TRUE(tell(near, "boom"));
  pass(milliseconds{100});
  EXPECT_EQ(pid_of(far), before);
}

TEST_F(processes, end_on_an_exit_signal_from_another_node) {
  form_with_two_actors();
  const auto before = pid_of(far);
  ASSERT_TRUE(tell(near, "exit", before));
  pass(milliseconds{100});
  EXPECT_NE(pid_of(far), before);
}

TEST_F(processes, call_each_other_by_pid_and_by_name) {
  form_with_two_actors();
  ASSERT_TRUE(tell(near, "ask", {{"to", pid_of(far)}, {"word", "echo"}, {"payload", 7}}));
  pass(milliseconds{100});
  const auto absent = to_string(owned_by(all[1], "actor", 1));
  ASSERT_TRUE(tell(near, "ask", {{"to", absent}, {"word", "echo"}, {"payload", 8}}));
  pass(milliseconds{100});
  EXPECT_THAT(seen(near), ElementsAre("reply 7", "reply 8"));
  const auto found = ask(all[0], node::inspect_op{parse_process_name(absent).value()});
  ASSERT_TRUE(found) << "the call started it";
  EXPECT_EQ(found->document()["node"], all[1]);
}

TEST_F(processes, hear_of_a_call_to_a_process_that_ends_without_an_answer) {
  form_with_two_actors();
  const auto before = pid_of(far);
  ASSERT_TRUE(tell(far, "boom"));
  ASSERT_TRUE(tell(near, "ask", {{"to", before}, {"word", "echo"}}));
  pass(milliseconds{100});
  EXPECT_THAT(seen(near), ElementsAre(HasSubstr("process_exited: noproc")));
}

TEST_F(processes, get_messages_from_one_another_in_the_order_in_which_they_were_sent) {
  form_with_two_actors();
  const auto target = pid_of(far);
  std::vector<std::string> expected;
  for (int i = 0; i < 50; ++i) {
    const auto number = std::to_string(i);
    ASSERT_TRUE(tell(near, "send", {{"to", target}, {"word", "plain"}, {"payload", i}}));
    ASSERT_TRUE(tell(near, "cast", {{"to", far}, {"word", "named"}, {"payload", i}}));
    expected.push_back("plain " + number);
    expected.push_back("cast named " + number);
  }
  pass(milliseconds{200});
  EXPECT_EQ(seen(far), expected);
}

TEST_F(processes, monitor_a_name_wherever_it_runs_and_hear_noproc_where_it_does_not) {
  form_with_two_actors();
  const auto absent = to_string(owned_by(all[1], "actor", 1));
  ASSERT_TRUE(tell(near, "monitor", absent));
  ASSERT_TRUE(tell(near, "monitor", far));
  pass(milliseconds{100});
  EXPECT_THAT(seen(near), ElementsAre("down noproc"));
  ASSERT_TRUE(ask(all[0], node::kill_op{parse_process_name(far).value(), "by hand"}));
  pass(milliseconds{100});
  EXPECT_THAT(seen(near), ElementsAre("down noproc", "down killed: by hand"));
}

TEST_F(processes, are_noconnection_to_each_other_when_a_node_dies_and_again_under_their_old_pids) {
  form_with_two_actors(3);
  ASSERT_TRUE(tell(near, "trap"));
  const auto before = pid_of(far);
  ASSERT_TRUE(tell(near, "monitor", before));
  ASSERT_TRUE(tell(near, "monitor", far));
  ASSERT_TRUE(tell(near, "link", before));
  ASSERT_TRUE(tell(near, "ask", {{"to", before}, {"word", "echo"}}));
  pass(milliseconds{100});
  world.crash(all[1], false);
  pass(milliseconds{100});
  EXPECT_THAT(seen(near),
              ::testing::UnorderedElementsAre("reply", "down noconnection", "down noconnection", "exit noconnection"));
  world.start(all[1]);
  pass(seconds{5});
  ASSERT_TRUE(tell(near, "monitor", before));
  ASSERT_TRUE(tell(near, "ask", {{"to", before}, {"word", "echo"}}));
  pass(milliseconds{100});
  const auto after = seen(near);
  ASSERT_EQ(after.size(), 6U);
  EXPECT_EQ(after[4], "down noconnection");
  EXPECT_THAT(after[5], HasSubstr("unavailable: noconnection"));
}

TEST_F(processes, are_noconnection_while_nodes_are_cut_from_each_other_and_reach_each_other_when_that_ends) {
  form_with_two_actors(3);
  const auto target = pid_of(far);
  ASSERT_TRUE(tell(near, "monitor", target));
  pass(milliseconds{100});
  world.net.cut(all[0], all[1]);
  pass(seconds{4});
  EXPECT_THAT(seen(near), ElementsAre("down noconnection"));
  world.net.heal_all();
  pass(seconds{8});
  // The name may have been handed over and back; its process tells where it is.
  ASSERT_TRUE(tell(near, "monitor", pid_of(far)));
  pass(milliseconds{100});
  EXPECT_EQ(seen(near).size(), 1U);
  ASSERT_TRUE(tell(far, "boom"));
  pass(milliseconds{100});
  EXPECT_THAT(seen(near), ElementsAre("down noconnection", "down error: boom"));
}

TEST_F(processes, hear_that_one_moved_and_find_it_again_under_its_name) {
  form_with_two_actors(3);
  ASSERT_TRUE(tell(near, "monitor", far));
  ASSERT_TRUE(tell(far, "join", "room"));
  ASSERT_TRUE(tell(far, "claim", "k"));
  pass(milliseconds{100});
  const auto before = pid_of(far);
  world.drain(all[1], milliseconds{0});
  pass(seconds{2});
  ASSERT_FALSE(world.alive(all[1]));
  EXPECT_THAT(seen(near), ElementsAre("down moved"));
  const auto moved_to = pid_of(far);
  EXPECT_NE(moved_to, before);
  EXPECT_THAT(seen(far), ElementsAre("reply true")) << "its state came with it";
  for (const auto& pod : world.pods()) {
    EXPECT_EQ(groups(pod, "room").size(), 1U) << pod;
    EXPECT_EQ(groups(pod, "room")[0]["pid"], moved_to) << pod;
    EXPECT_EQ(unique_keys(pod), (json{{"k", {moved_to}}})) << pod;
  }
  ASSERT_TRUE(tell(near, "monitor", far));
  pass(milliseconds{100});
  ASSERT_TRUE(tell(far, "boom"));
  pass(milliseconds{100});
  EXPECT_THAT(seen(near), ElementsAre("down moved", "down error: boom"));
}

TEST_F(processes, wait_for_a_name_that_is_on_its_way_and_then_monitor_it_where_it_arrived) {
  form_with_two_actors(2);
  // A newcomer takes names over; whoever monitors one meanwhile is told of the process, not of a gap.
  std::vector<std::string> names;
  for (int i = 0; i < 40; ++i) {
    names.push_back("actor/moving" + std::to_string(i));
    ASSERT_TRUE(tell(names.back(), "pid"));
  }
  world.add_pod();
  pass(milliseconds{600});
  for (const auto& name : names)
    ASSERT_TRUE(tell(near, "monitor", name));
  pass(seconds{5});
  for (const auto& line : seen(near))
    EXPECT_EQ(line, "down moved");
}

TEST_F(processes, do_not_keep_a_node_from_draining_by_what_they_wait_for) {
  form_with_two_actors(3);
  // Nobody answers: the far node is cut off, and the call has an hour.
  ASSERT_TRUE(tell(near, "ask", {{"to", to_string(owned_by(all[1], "actor", 1))}, {"word", "echo"}}));
  world.net.cut(all[0], all[1]);
  pass(seconds{4});
  world.drain(all[0], milliseconds{0});
  pass(seconds{4});
  EXPECT_FALSE(world.alive(all[0]));
}

}  // namespace
}  // namespace orrery::sim
