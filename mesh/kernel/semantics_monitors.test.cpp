// Monitors, aliases, registered names, and the order of signals.
#include "mesh/kernel/semantics.hpp"

namespace orrery::kernel {
namespace {

using namespace std::chrono_literals;
using namespace testing;

class monitors : public between {};
ORRERY_ON_ONE_NODE_AND_TWO(monitors);

TEST_P(monitors, tell_every_kind_of_end) {
  for (const auto& why : {normal, quiet_shutdown, killed, boom}) {
    auto& a = near();
    auto& b = far();
    static_cast<void>(monitor(a, b)), run();
    stop(b, why), run();
    EXPECT_EQ(a.seen, log{"down " + to_string(why)});
  }
}

TEST_P(monitors, tell_killed_of_a_process_that_was_sent_kill) {
  auto& a = near();
  auto& b = far({.trap_exits = true});
  static_cast<void>(monitor(a, b));
  exit(a, b, kill), run();
  EXPECT_EQ(a.seen, log{"down killed"});
}

TEST_P(monitors, are_one_way) {
  auto& a = near();
  auto& b = far();
  static_cast<void>(monitor(a, b)), run();
  stop(a, boom), run();
  EXPECT_TRUE(alive(b));
  EXPECT_TRUE(b.seen.empty());
  EXPECT_EQ(look(b).monitored, 0U);
}

TEST_P(monitors, stack_and_each_tells_once) {
  auto& b = far();
  std::vector<reference> told;
  auto& a = near({}, [&](context&, message& arrived) { told.push_back(arrived.ref); });
  const auto first = monitor(a, b);
  const auto second = monitor(a, b);
  run();
  EXPECT_NE(first, second);
  EXPECT_EQ(look(b).monitored, 2U);
  stop(b), run();
  EXPECT_EQ(a.seen, (log{"down normal", "down normal"}));
  EXPECT_THAT(told, ::testing::UnorderedElementsAre(first, second));
}

TEST_P(monitors, name_the_one_that_ended) {
  auto& b = far();
  handle who;
  auto& a = near({}, [&](context&, message& arrived) { who = arrived.from; });
  static_cast<void>(monitor(a, b)), run();
  stop(b), run();
  EXPECT_EQ(who, pid(a, b));
}

TEST_P(monitors, of_a_dead_process_tell_noproc) {
  auto& a = near();
  auto& b = far();
  stop(b, boom), run();
  const auto made = monitor(a, b);
  run();
  EXPECT_NE(made, no_reference);
  EXPECT_EQ(a.seen, log{"down noproc"});
}

TEST_P(monitors, of_a_process_that_was_told_to_die_before_tell_noproc) {
  auto& a = near();
  auto& b = far();
  as(a, [&](context& self) {
    self.exit(pid(a, b), kill);
    static_cast<void>(self.monitor(pid(a, b)));
  });
  run();
  EXPECT_EQ(a.seen, log{"down noproc"});
}

TEST_P(monitors, that_are_given_up_tell_nothing) {
  auto& a = near();
  auto& b = far();
  const auto made = monitor(a, b);
  run(), demonitor(a, made), run();
  EXPECT_EQ(look(b).monitored, 0U);
  stop(b), run();
  EXPECT_TRUE(a.seen.empty());
}

TEST_P(monitors, that_are_given_up_leave_the_others) {
  auto& a = near();
  auto& b = far();
  const auto first = monitor(a, b);
  static_cast<void>(monitor(a, b)), run();
  demonitor(a, first), run();
  EXPECT_EQ(look(b).monitored, 1U);
  stop(b), run();
  EXPECT_EQ(a.seen, log{"down normal"});
}

TEST_P(monitors, given_up_at_once_leave_nothing) {
  auto& a = near();
  auto& b = far();
  as(a, [&](context& self) { self.demonitor(self.monitor(pid(a, b))); });
  run();
  EXPECT_EQ(look(a).monitors, 0U);
  EXPECT_EQ(look(b).monitored, 0U);
}

TEST_P(monitors, flush_takes_back_a_down_that_waits) {
  for (const bool flush : {true, false}) {
    auto& a = near();
    auto& b = far();
    const auto made = monitor(a, b);
    run();
    EXPECT_TRUE(world_of(a).of.suspend(a.who));
    stop(b), run();
    demonitor(a, made, flush);
    EXPECT_TRUE(world_of(a).of.resume(a.who));
    run();
    EXPECT_EQ(a.seen, flush ? log{} : log{"down normal"});
  }
}

TEST_P(monitors, flush_leaves_the_downs_of_others) {
  auto& a = near();
  auto& b = far();
  const auto made = monitor(a, b);
  static_cast<void>(monitor(a, b)), run();
  EXPECT_TRUE(world_of(a).of.suspend(a.who));
  send(b, a, "hello"), stop(b), run();
  demonitor(a, made);
  EXPECT_TRUE(world_of(a).of.resume(a.who));
  run();
  EXPECT_EQ(a.seen, (log{"hello", "down normal"}));
}

TEST_P(monitors, cannot_be_given_up_by_another) {
  auto& a = near();
  auto& b = far();
  auto& c = near();
  const auto made = monitor(a, b);
  run(), demonitor(c, made), run();
  stop(b), run();
  EXPECT_EQ(a.seen, log{"down normal"});
}

TEST_P(monitors, can_be_given_up_twice) {
  auto& a = near();
  auto& b = far();
  const auto made = monitor(a, b);
  run(), demonitor(a, made), demonitor(a, made), run();
  EXPECT_TRUE(alive(a));
}

TEST_P(monitors, do_not_mind_traps) {
  auto& a = near({.trap_exits = true});
  auto& b = far();
  link(a, b), static_cast<void>(monitor(a, b)), run();
  stop(b, boom), run();
  EXPECT_THAT(a.seen, ::testing::UnorderedElementsAre("exit error: boom", "down error: boom"));
}

TEST(monitors_of_one_node, of_itself_tell_nothing) {
  stage s{1};
  auto& a = s.near();
  EXPECT_NE(s.monitor(a, a), no_reference);
  s.stop(a, boom);
  EXPECT_EQ(s.end_of(a), "error: boom");
  EXPECT_EQ(s.world_of(a).of.counted().dropped, 1U);
}

TEST(monitors_between_nodes, tell_noconnection_when_the_node_is_lost) {
  stage s{2};
  auto& a = s.near();
  auto& b = s.far();
  static_cast<void>(s.monitor(a, b)), s.run();
  s.mesh.cut(0, 1), s.run();
  EXPECT_EQ(a.seen, log{"down noconnection"});
  EXPECT_TRUE(s.alive(b));
  EXPECT_EQ(s.look(b).monitored, 0U);
  s.mesh.mend(0, 1), s.stop(b), s.run();
  EXPECT_EQ(a.seen.size(), 1U);
}

TEST(monitors_between_nodes, of_a_lost_node_tell_noconnection_at_once) {
  stage s{2};
  auto& a = s.near();
  auto& b = s.far();
  s.mesh.cut(0, 1);
  static_cast<void>(s.monitor(a, b)), s.run();
  EXPECT_EQ(a.seen, log{"down noconnection"});
}

TEST(monitors_between_nodes, given_up_while_the_down_is_under_way_tell_nothing) {
  stage s{2};
  auto& a = s.near();
  auto& b = s.far();
  const auto made = s.monitor(a, b);
  s.run(), s.stop(b), s.demonitor(a, made), s.run();
  EXPECT_TRUE(a.seen.empty());
}

TEST(monitors_between_nodes, that_a_full_node_cannot_hold_are_refused_with_a_limit) {
  stage s{2, {.relations_max = 1}};
  auto& a = s.near();
  auto& b = s.far({}, {}, [](context& self) { EXPECT_NE(self.alias(), no_reference); });
  static_cast<void>(s.monitor(a, b)), s.run();
  ASSERT_EQ(a.seen.size(), 1U);
  EXPECT_TRUE(a.seen[0].starts_with("down system_limit")) << a.seen[0];
  EXPECT_TRUE(s.alive(b));
}

// ---- the order of signals from one process to another ----

class order : public between {};
ORRERY_ON_ONE_NODE_AND_TWO(order);

TEST_P(order, messages_arrive_as_sent) {
  auto& a = near();
  auto& b = far();
  for (int i = 0; i < 100; ++i)
    send(a, b, "n", cbor::integer_value(i));
  run();
  ASSERT_EQ(b.seen.size(), 100U);
  for (std::size_t i = 0; i < 100; ++i)
    EXPECT_EQ(b.seen[i], "n " + std::to_string(i));
}

TEST_P(order, every_kind_of_message_keeps_its_place) {
  auto& a = near();
  auto& b = far({.trap_exits = true});
  reference given;
  as(b, [&](context& self) { given = self.alias(); });
  as(a, [&](context& self) {
    auto& w = world_of(a);
    const auto to = pid(a, b);
    self.send(to, w.word("one"));
    self.exit(to, boom);
    self.cast(to, w.word("two"));
    self.call(to, w.word("three"), {}, 1s);
    self.send_alias(to, given, w.word("four"));
    self.exit(to, normal);
    self.send(to, w.word("five"));
  });
  run();
  EXPECT_EQ(b.seen, (log{"one", "exit error: boom", "cast two", "call three", "four", "exit normal", "five"}));
}

TEST_P(order, a_down_comes_after_what_was_sent_before) {
  auto& b = near();
  auto& a = far();
  static_cast<void>(monitor(b, a)), run();
  as(a, [&](context& self) {
    self.send(pid(a, b), world_of(a).word("one"));
    self.send(pid(a, b), world_of(a).word("two"));
    self.stop(boom);
  });
  run();
  EXPECT_EQ(b.seen, (log{"one", "two", "down error: boom"}));
}

TEST_P(order, an_exit_message_comes_after_what_was_sent_before) {
  auto& b = near({.trap_exits = true});
  auto& a = far();
  link(b, a), run();
  as(a, [&](context& self) {
    self.send(pid(a, b), world_of(a).word("one"));
    self.stop(boom);
  });
  run();
  EXPECT_EQ(b.seen, (log{"one", "exit error: boom"}));
}

TEST_P(order, a_reply_comes_after_what_the_server_sent_before) {
  auto& client = near();
  party* server = nullptr;
  server = &far({}, [&](context& self, message& asked) {
    self.send(asked.from, world_of(*server).word("note"));
    self.reply(caller_of(asked), cbor::integer_value(1));
    self.send(caller_of(asked).from, world_of(*server).word("after"));
  });
  call(client, *server, "get"), run();
  EXPECT_EQ(client.seen, (log{"note", "reply 1", "after"}));
}

TEST_P(order, a_monitor_made_after_an_exit_signal_sees_its_effect) {
  auto& a = near();
  auto& b = far({.trap_exits = true});
  as(a, [&](context& self) {
    self.exit(pid(a, b), boom);
    static_cast<void>(self.monitor(pid(a, b)));
  });
  run();
  EXPECT_TRUE(a.seen.empty());
  EXPECT_EQ(b.seen, log{"exit error: boom"});
}

TEST_P(order, an_unlink_holds_before_a_later_exit_signal) {
  auto& a = near({.trap_exits = true});
  auto& b = far();
  link(a, b), run();
  as(a, [&](context& self) {
    self.unlink(pid(a, b));
    self.exit(pid(a, b), boom);
  });
  run();
  EXPECT_EQ(end_of(b), "error: boom");
  EXPECT_TRUE(a.seen.empty());
}

TEST_P(order, messages_to_the_dead_are_dropped) {
  auto& a = near();
  auto& b = far();
  stop(b), run();
  send(a, b, "hello");
  as(a, [&](context& self) { self.cast(pid(a, b), world_of(a).word("hello")); });
  run();
  EXPECT_TRUE(alive(a));
  EXPECT_TRUE(a.seen.empty());
  EXPECT_EQ(world_of(b).of.counted().dropped, 2U);
}

TEST(order_between_nodes, messages_to_a_lost_node_are_dropped_and_later_ones_arrive) {
  stage s{2};
  auto& a = s.near();
  auto& b = s.far();
  s.send(a, b, "one"), s.run();
  s.send(a, b, "two");
  s.mesh.cut(0, 1);
  s.send(a, b, "three");
  s.mesh.mend(0, 1);
  s.send(a, b, "four"), s.run();
  EXPECT_EQ(b.seen, (log{"one", "four"}));
}

}  // namespace
}  // namespace orrery::kernel
