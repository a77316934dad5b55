// Calls: gen_server's, with a word for how far the work got.
#include "mesh/kernel/semantics.hpp"

namespace orrery::kernel {
namespace {

using namespace std::chrono_literals;
using namespace testing;

class calls : public between {
 protected:
  /// A server that answers 1.
  party& answering(const spawn_options& how = {}) {
    return far(how, [](context& self, message& asked) {
      if (asked.what == message::kind::call) self.reply(caller_of(asked), cbor::integer_value(1));
    });
  }
  static void expect_failed(const party& client, std::string_view code, std::string_view effect) {
    ASSERT_EQ(client.seen.size(), 1U);
    EXPECT_TRUE(client.seen[0].starts_with("failed " + std::string{code})) << client.seen[0];
    EXPECT_TRUE(client.seen[0].ends_with("(" + std::string{effect} + ")")) << client.seen[0];
  }
};
ORRERY_ON_ONE_NODE_AND_TWO(calls);

TEST_P(calls, are_answered) {
  auto& server = answering();
  auto& client = near();
  call(client, server, "get"), run();
  EXPECT_EQ(server.seen, log{"call get"});
  EXPECT_EQ(client.seen, log{"reply 1"});
}

TEST_P(calls, bring_the_reference_of_their_question) {
  auto& server = answering();
  std::vector<reference> answered;
  auto& client = near({}, [&](context&, message& reply) { answered.push_back(reply.ref); });
  const auto first = call(client, server, "get");
  const auto second = call(client, server, "get");
  run();
  EXPECT_EQ(answered, (std::vector{first, second}));
}

TEST_P(calls, to_a_dead_process_fail_with_noproc) {
  auto& server = answering();
  auto& client = near();
  stop(server), run();
  call(client, server, "get"), run();
  expect_failed(client, "process_exited: noproc", "not_executed");
}

TEST_P(calls, to_a_process_that_was_told_to_die_before_fail_with_noproc) {
  auto& server = answering();
  auto& client = near();
  as(client, [&](context& self) {
    self.exit(pid(client, server), testing::kill);
    self.call(pid(client, server), world_of(client).word("get"), {}, 1s);
  });
  run();
  expect_failed(client, "process_exited: noproc", "not_executed");
}

TEST_P(calls, whose_server_dies_before_it_got_to_them_were_not_executed) {
  auto& server = answering();
  auto& client = near();
  EXPECT_TRUE(world_of(server).of.suspend(server.who));
  call(client, server, "get"), run();
  exit(client, server, boom), run();
  if (apart()) return expect_failed(client, "process_exited", "not_executed");
  expect_failed(client, "process_exited: the process exited, error: boom", "not_executed");
}

TEST_P(calls, whose_server_dies_while_it_handles_them_may_have_had_effect) {
  auto& server = far({}, [](context& self, message&) { self.stop(boom); });
  auto& client = near();
  call(client, server, "get"), run();
  expect_failed(client, "process_exited", "unknown");
}

TEST_P(calls, whose_server_stops_normally_without_an_answer_fail) {
  auto& server = far({}, [](context& self, message&) { self.stop(); });
  auto& client = near();
  call(client, server, "get"), run();
  expect_failed(client, "process_exited", "unknown");
}

TEST_P(calls, answered_before_their_server_stops_are_answered) {
  auto& server = far({}, [](context& self, message& asked) {
    self.reply(caller_of(asked), cbor::integer_value(1));
    self.stop(boom);
  });
  auto& client = near();
  call(client, server, "get"), run();
  EXPECT_EQ(client.seen, log{"reply 1"});
}

TEST_P(calls, fail_at_their_deadline) {
  auto& server = far();  // never answers
  auto& client = near();
  call(client, server, "get", 100ms), run();
  pass(99ms);
  EXPECT_TRUE(client.seen.empty());
  pass(2ms);
  expect_failed(client, "deadline_exceeded", "unknown");
  EXPECT_TRUE(alive(server));
}

TEST_P(calls, that_were_not_begun_at_their_deadline_never_are) {
  auto& server = answering();
  auto& client = near();
  EXPECT_TRUE(world_of(server).of.suspend(server.who));
  call(client, server, "get", 100ms), run();
  pass(101ms);
  ASSERT_EQ(client.seen.size(), 1U);
  EXPECT_TRUE(client.seen[0].starts_with("failed deadline_exceeded")) << client.seen[0];
  EXPECT_TRUE(world_of(server).of.resume(server.who));
  run();
  EXPECT_TRUE(server.seen.empty());
  EXPECT_EQ(client.seen.size(), 1U);
}

TEST_P(calls, that_are_cancelled_before_they_begin_never_do) {
  auto& server = near();
  auto& of = world_of(server).of;
  EXPECT_TRUE(of.suspend(server.who));
  const auto word = of.atoms().intern("get").value();
  const auto first = of.call(world_of(server).now, server.who, word, {}, never, call_token{1});
  const auto second = of.call(world_of(server).now, server.who, word, {}, never, call_token{2});
  EXPECT_FALSE(of.cancel(first, call_token{2})) << "another one's";
  EXPECT_TRUE(of.cancel(first, call_token{1}));
  EXPECT_FALSE(of.cancel(first, call_token{1}));
  EXPECT_TRUE(of.resume(server.who));
  run();
  EXPECT_EQ(server.seen, log{"call get"});
  EXPECT_FALSE(of.cancel(second, call_token{2})) << "it has begun";
  EXPECT_FALSE(of.cancel(no_reference, call_token{1}));
}

TEST_P(calls, drop_an_answer_after_the_deadline) {
  caller asked_by;
  auto& server = far({}, [&](context&, message& asked) { asked_by = caller_of(asked); });
  auto& client = near();
  call(client, server, "get", 100ms), run();
  pass(200ms);
  as(server, [&](context& self) { self.reply(asked_by, cbor::integer_value(1)); });
  run();
  expect_failed(client, "deadline_exceeded", "unknown");
  EXPECT_EQ(world_of(server).of.counted().late, 1U);
}

TEST_P(calls, drop_an_answer_that_is_under_way_at_the_deadline) {
  if (!apart()) return;
  caller asked_by;
  auto& server = far({}, [&](context&, message& asked) { asked_by = caller_of(asked); });
  auto& client = near();
  call(client, server, "get", 100ms), run();
  as(server, [&](context& self) { self.reply(asked_by, cbor::integer_value(1)); });
  world_of(client).pass(200ms);  // alone: the answer is still under way
  run();
  expect_failed(client, "deadline_exceeded", "unknown");
  EXPECT_EQ(world_of(client).of.counted().late, 1U);
}

TEST_P(calls, take_the_first_of_two_answers) {
  auto& server = far({}, [](context& self, message& asked) {
    self.reply(caller_of(asked), cbor::integer_value(1));
    self.reply(caller_of(asked), cbor::integer_value(2));
  });
  auto& client = near();
  call(client, server, "get"), run();
  EXPECT_EQ(client.seen, log{"reply 1"});
  EXPECT_EQ(world_of(server).of.counted().late, 1U);
}

TEST_P(calls, may_be_answered_later) {
  caller asked_by;
  auto& server = far({}, [&](context&, message& asked) {
    if (asked.what == message::kind::call) asked_by = caller_of(asked);
  });
  auto& client = near();
  call(client, server, "get", 1s), run();
  pass(500ms);
  send(client, server, "other"), run();
  as(server, [&](context& self) { self.reply(asked_by, cbor::integer_value(1)); });
  run();
  EXPECT_EQ(client.seen, log{"reply 1"});
}

TEST_P(calls, may_be_answered_by_another_process) {
  caller asked_by;
  auto& server = far({}, [&](context&, message& asked) { asked_by = caller_of(asked); });
  auto& helper = far();
  auto& client = near();
  call(client, server, "get"), run();
  as(helper, [&](context& self) { self.reply(asked_by, cbor::integer_value(1)); });
  run();
  EXPECT_EQ(client.seen, log{"reply 1"});
}

TEST_P(calls, may_be_answered_out_of_turn) {
  std::vector<caller> asked_by;
  auto& server = far({}, [&](context&, message& asked) { asked_by.push_back(caller_of(asked)); });
  auto& client = near();
  call(client, server, "one"), call(client, server, "two"), run();
  as(server, [&](context& self) {
    self.reply(asked_by[1], cbor::integer_value(2));
    self.reply(asked_by[0], cbor::integer_value(1));
  });
  run();
  EXPECT_EQ(client.seen, (log{"reply 2", "reply 1"}));
}

TEST_P(calls, may_be_answered_with_a_failure) {
  auto& server = far({}, [](context& self, message& asked) {
    self.reply(caller_of(asked), fail(errc::forbidden, "not you", took_effect::executed));
  });
  auto& client = near();
  call(client, server, "get"), run();
  EXPECT_EQ(client.seen, log{"failed forbidden: not you (executed)"});
}

TEST_P(calls, of_a_caller_that_dies_are_handled_and_their_answer_dropped) {
  auto& server = answering();
  auto& client = near();
  EXPECT_TRUE(world_of(server).of.suspend(server.who));
  call(client, server, "get"), run();
  stop(client), run();
  EXPECT_TRUE(world_of(server).of.resume(server.who));
  run();
  EXPECT_EQ(server.seen, log{"call get"});
  EXPECT_EQ(world_of(server).of.counted().late, 1U);
}

TEST_P(calls, of_a_caller_that_dies_leave_nothing_behind) {
  auto& server = far();  // never answers
  auto& client = near();
  call(client, server, "get", duration::max()), run();
  EXPECT_EQ(look(server).monitored, 1U);
  stop(client), run();
  EXPECT_EQ(look(server).monitored, 0U);
}

TEST_P(calls, that_expire_leave_nothing_behind) {
  auto& server = far();
  auto& client = near();
  call(client, server, "get", 100ms), run();
  pass(101ms);
  EXPECT_EQ(look(server).monitored, 0U);
  EXPECT_EQ(world_of(client).of.next_deadline(), never);
  EXPECT_EQ(world_of(server).of.next_deadline(), never);
}

TEST_P(calls, without_a_deadline_wait) {
  caller asked_by;
  auto& server = far({}, [&](context&, message& asked) { asked_by = caller_of(asked); });
  auto& client = near();
  call(client, server, "get", duration::max()), run();
  pass(1000h);
  EXPECT_TRUE(client.seen.empty());
  as(server, [&](context& self) { self.reply(asked_by, cbor::integer_value(1)); });
  run();
  EXPECT_EQ(client.seen, log{"reply 1"});
}

TEST_P(calls, that_are_awaited_keep_everything_else_waiting) {
  caller asked_by;
  auto& server = far({}, [&](context&, message& asked) { asked_by = caller_of(asked); });
  auto& client = near({.trap_exits = true}, [&](context& self, message& arrived) {
    if (arrived.what == message::kind::plain && !self.of().inspect(self.self())->awaiting) {
      self.await(self.call(mesh.seen(0, server.node, server.who), world_of(server).word("get"), {}, 1s));
    }
  });
  send(client, client, "go"), run();
  send(server, client, "hello"), exit(server, client, boom), run();
  EXPECT_EQ(client.seen, log{"go"});
  as(server, [&](context& self) { self.reply(asked_by, cbor::integer_value(1)); });
  run();
  ASSERT_GE(client.seen.size(), 3U);
  EXPECT_EQ(client.seen[1], "reply 1");
  EXPECT_EQ(client.seen[2], "hello");
}

TEST_P(calls, that_are_awaited_do_not_keep_exit_signals_away) {
  auto& server = far();
  auto& client = near();
  as(client, [&](context& self) {
    self.await(self.call(pid(client, server), world_of(client).word("get"), {}, duration::max()));
  });
  exit(server, client, boom), run();
  EXPECT_EQ(end_of(client), "error: boom");
}

TEST_P(calls, awaited_between_callbacks_hold_back_what_waited_already) {
  auto& server = answering();
  auto& client = near();
  as(client, [&](context& self) {
    self.send(self.self(), world_of(client).word("earlier"));
    self.await(self.call(pid(client, server), world_of(client).word("get"), {}, 1s));
  });
  run();
  EXPECT_EQ(client.seen, (log{"reply 1", "earlier"}));
}

TEST_P(calls, awaited_after_the_answer_came_take_it_first) {
  auto& server = answering();
  auto& client = near();
  EXPECT_TRUE(world_of(client).of.suspend(client.who));
  send(client, client, "earlier");
  const auto asked = call(client, server, "get");
  run();
  as(client, [&](context& self) { self.await(asked); });
  EXPECT_TRUE(world_of(client).of.resume(client.who));
  run();
  EXPECT_EQ(client.seen, (log{"reply 1", "earlier"}));
}

TEST_P(calls, to_a_dead_process_can_be_awaited) {
  auto& server = far();
  auto& client = near();
  stop(server), run();
  as(client, [&](context& self) {
    self.send(self.self(), world_of(client).word("earlier"));
    self.await(self.call(pid(client, server), world_of(client).word("get"), {}, 1s));
  });
  run();
  ASSERT_EQ(client.seen.size(), 2U);
  EXPECT_TRUE(client.seen[0].starts_with("failed process_exited")) << client.seen[0];
}

// ---- one node ----

TEST(calls_of_one_node, to_itself_fail_at_once) {
  stage s{1};
  auto& a = s.near();
  s.call(a, a, "get"), s.run();
  ASSERT_EQ(a.seen.size(), 1U);
  EXPECT_TRUE(a.seen[0].starts_with("failed invalid_argument: calling_self")) << a.seen[0];
}

TEST(calls_of_one_node, whose_handler_went_over_a_limit_say_so) {
  stage s{1};
  auto& server = s.near({}, [](context& self, message&) { self.stop({exit_reason::kind::limit, "memory"}); });
  auto& client = s.near();
  s.call(client, server, "get"), s.run();
  ASSERT_EQ(client.seen.size(), 1U);
  EXPECT_TRUE(client.seen[0].starts_with("failed limit_exceeded")) << client.seen[0];
}

TEST(calls_from_outside, are_answered_once) {
  stage s{1};
  auto& server = s.near({}, [](context& self, message& asked) {
    self.reply(caller_of(asked), cbor::integer_value(1));
    self.reply(caller_of(asked), cbor::integer_value(2));
  });
  auto& w = s.world_of(server);
  w.of.call(w.now, server.who, w.word("get"), {}, w.now + 1s, call_token{5});
  s.run();
  ASSERT_EQ(w.replies.size(), 1U);
  EXPECT_EQ(w.replies.at(5), cbor::integer_value(1));
}

TEST(calls_from_outside, are_refused_at_once_where_they_cannot_be) {
  stage s{1};
  auto& server = s.near();
  auto& w = s.world_of(server);
  w.of.call(w.now, server.who, w.word("get"), {}, w.now, call_token{1});
  EXPECT_EQ(w.replies.at(1).error().code, errc::deadline_exceeded);
  s.stop(server);
  w.of.call(w.now, server.who, w.word("get"), {}, w.now + 1s, call_token{2});
  EXPECT_EQ(w.replies.at(2).error().code, errc::not_found);
}

TEST(calls_from_outside, fail_with_their_process) {
  stage s{1};
  auto& server = s.near({}, [](context& self, message&) { self.stop(boom); });
  auto& w = s.world_of(server);
  w.of.call(w.now, server.who, w.word("one"), {}, w.now + 1s, call_token{1});
  w.of.call(w.now, server.who, w.word("two"), {}, w.now + 1s, call_token{2});
  s.run();
  EXPECT_EQ(w.replies.at(1).error().effect, took_effect::unknown);
  EXPECT_EQ(w.replies.at(2).error().effect, took_effect::not_executed);
}

// ---- two nodes ----

TEST(calls_between_nodes, fail_when_the_node_is_lost) {
  stage s{2};
  auto& server = s.far();
  auto& client = s.near();
  s.call(client, server, "get", duration::max()), s.run();
  s.mesh.cut(0, 1), s.run();
  ASSERT_EQ(client.seen.size(), 1U);
  EXPECT_TRUE(client.seen[0].starts_with("failed unavailable")) << client.seen[0];
  EXPECT_TRUE(client.seen[0].ends_with("(unknown)")) << client.seen[0];
  EXPECT_EQ(s.look(server).monitored, 0U);
}

TEST(calls_between_nodes, to_a_lost_node_fail_at_once) {
  stage s{2};
  auto& server = s.far();
  auto& client = s.near();
  s.mesh.cut(0, 1);
  s.call(client, server, "get"), s.run();
  ASSERT_EQ(client.seen.size(), 1U);
  EXPECT_TRUE(client.seen[0].starts_with("failed unavailable")) << client.seen[0];
  EXPECT_TRUE(client.seen[0].ends_with("(not_executed)")) << client.seen[0];
}

TEST(calls_between_nodes, an_answer_from_before_a_node_was_lost_is_dropped) {
  stage s{2};
  caller asked_by;
  auto& server = s.far({}, [&](context&, message& asked) { asked_by = caller_of(asked); });
  auto& client = s.near();
  s.call(client, server, "get"), s.run();
  s.mesh.cut(0, 1), s.mesh.mend(0, 1);
  s.as(server, [&](context& self) { self.reply(asked_by, cbor::integer_value(1)); });
  s.run();
  ASSERT_EQ(client.seen.size(), 1U);
  EXPECT_TRUE(client.seen[0].starts_with("failed unavailable")) << client.seen[0];
}

}  // namespace
}  // namespace orrery::kernel
