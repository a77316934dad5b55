// Starting processes, bounded mailboxes, suspension, priority and fairness.
#include "mesh/kernel/semantics.hpp"

namespace orrery::kernel {
namespace {

using namespace std::chrono_literals;
using namespace testing;

struct processes : ::testing::Test, stage {
  processes() : stage(1), w(mesh.node(0)) {}
  spawned spawn(const party& parent, party& child, spawn_options how, init first = {}, script then = {}) {
    spawned made;
    as(parent, [&](context& self) {
      made = self.spawn(body_of(child, std::move(then), std::move(first)), announced(child, how));
    });
    child.who = made.who;
    return made;
  }
  tl::expected<spawned, exit_reason> start(const party& parent, party& child, spawn_options how, init first = {}) {
    tl::expected<spawned, exit_reason> made;
    as(parent, [&](context& self) {
      made = self.start(body_of(child, {}, std::move(first)), announced(child, how));
      if (made) child.who = made->who;
    });
    return made;
  }
  static init stopping(exit_reason why) {
    return [why](context& self) { self.stop(why); };
  }
  world& w;
};

// ---- spawn ----

TEST_F(processes, start_at_their_first_turn_and_know_their_parent) {
  auto& parent = near();
  auto& child = absent(0);
  handle known;
  bool begun = false;
  as(parent, [&](context& self) {
    child.who = self.spawn(body_of(child, {}, [&](context& of) { begun = true, known = of.parent(); })).who;
    EXPECT_FALSE(begun);
  });
  run();
  EXPECT_TRUE(begun);
  EXPECT_EQ(known, parent.who);
}

TEST_F(processes, can_be_sent_to_before_their_first_turn) {
  auto& parent = near();
  auto& child = absent(0);
  bool begun = false;
  as(parent, [&](context& self) {
    const auto who = self.spawn(body_of(child, {}, [&](context&) { begun = child.seen.empty(); })).who;
    self.send(who, w.word("early"));
  });
  run();
  EXPECT_TRUE(begun);
  EXPECT_EQ(child.seen, log{"early"});
}

TEST_F(processes, spawned_without_a_link_end_alone) {
  auto& parent = near();
  auto& child = absent(0);
  spawn(parent, child, {}, stopping(boom)), run();
  EXPECT_EQ(end_of(child), "error: boom");
  EXPECT_TRUE(alive(parent));
  EXPECT_TRUE(parent.seen.empty());
}

TEST_F(processes, spawned_with_a_link_take_their_parent_along_from_the_very_start) {
  auto& parent = near();
  auto& child = absent(0);
  spawn(parent, child, {.link = true}, stopping(boom)), run();
  EXPECT_EQ(end_of(parent), "error: boom");
}

TEST_F(processes, spawned_with_a_link_go_with_their_parent_before_their_first_turn) {
  auto& parent = near();
  auto& child = absent(0);
  bool begun = false;
  as(parent, [&](context& self) {
    child.who = self.spawn(body_of(child, {}, [&](context&) { begun = true; }), announced(child, {.link = true})).who;
    self.stop(boom);
  });
  run();
  EXPECT_EQ(end_of(child), "error: boom");
  EXPECT_FALSE(begun);
}

TEST_F(processes, spawned_with_a_link_stay_when_their_parent_ends_normally) {
  auto& parent = near();
  auto& child = absent(0);
  spawn(parent, child, {.link = true});
  stop(parent), run();
  EXPECT_TRUE(alive(child));
}

TEST_F(processes, spawned_with_a_monitor_are_watched_from_the_very_start) {
  auto& parent = near();
  auto& child = absent(0);
  const auto made = spawn(parent, child, {.monitor = true}, stopping(boom));
  EXPECT_NE(made.monitor, no_reference);
  run();
  EXPECT_EQ(parent.seen, log{"down error: boom"});
}

TEST_F(processes, that_end_say_the_note_that_they_were_spawned_with) {
  atom noted{};
  auto& parent = near({.trap_exits = true}, [&](context&, message& ended) { noted = ended.word; });
  auto& child = absent(0);
  spawn(parent, child, {.link = true, .note = 77}, stopping(boom)), run();
  EXPECT_EQ(noted, atom{77});
}

// ---- start ----

TEST_F(processes, started_are_ready_when_start_returns) {
  auto& parent = near();
  auto& child = absent(0);
  bool begun = false;
  const auto made = start(parent, child, {.monitor = true}, [&](context&) { begun = true; });
  ASSERT_TRUE(made);
  EXPECT_TRUE(begun);
  EXPECT_TRUE(alive(child));
  EXPECT_NE(made->monitor, no_reference);
}

TEST_F(processes, that_fail_to_start_tell_why) {
  auto& parent = near();
  auto& child = absent(0);
  const auto made = start(parent, child, {}, stopping(boom));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error(), boom);
  EXPECT_EQ(end_of(child), "error: boom");
  EXPECT_TRUE(alive(parent));
}

TEST_F(processes, that_stop_normally_in_their_start_have_not_started) {
  auto& parent = near();
  auto& child = absent(0);
  const auto made = start(parent, child, {.link = true}, stopping(normal));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error(), normal);
  run();
  EXPECT_TRUE(alive(parent));
}

TEST_F(processes, that_fail_to_start_with_a_link_tell_a_trapping_parent_once) {
  auto& parent = near({.trap_exits = true});
  auto& child = absent(0);
  EXPECT_FALSE(start(parent, child, {.link = true}, stopping(boom)));
  run();
  EXPECT_TRUE(parent.seen.empty());
  EXPECT_TRUE(look(parent).links.empty());
}

TEST_F(processes, that_fail_to_start_with_a_link_take_along_a_parent_that_does_not_trap) {
  auto& parent = near();
  auto& child = absent(0);
  EXPECT_FALSE(start(parent, child, {.link = true}, stopping(boom)));
  EXPECT_EQ(end_of(parent), "error: boom");
}

TEST_F(processes, that_fail_to_start_with_a_monitor_are_told_by_start_alone) {
  auto& parent = near();
  auto& child = absent(0);
  EXPECT_FALSE(start(parent, child, {.monitor = true}, stopping(boom)));
  run();
  EXPECT_TRUE(parent.seen.empty());
}

TEST_F(processes, that_fail_to_start_have_no_last_word_and_keep_no_name) {
  auto& parent = near();
  auto& child = absent(0);
  bool last_word = false;
  as(parent, [&](context& self) {
    auto failing = std::make_unique<scripted>(
        scripted::on_message{},
        [&](context& of) {
          EXPECT_TRUE(of.register_name(w.word("server")));
          of.stop(boom);
        },
        [&](context&, const exit_reason&) { last_word = true; });
    EXPECT_FALSE(self.start(std::move(failing), announced(child)));
    EXPECT_EQ(self.of().whereis(w.word("server")), nobody);
  });
  EXPECT_FALSE(last_word);
}

TEST_F(processes, that_fail_to_start_are_heard_of_by_their_own_links_and_monitors) {
  auto& parent = near();
  auto& other = near({.trap_exits = true});
  auto& child = absent(0);
  EXPECT_FALSE(start(parent, child, {}, [&](context& self) {
    self.link(other.who);
    self.stop(boom);
  }));
  run();
  EXPECT_EQ(other.seen, log{"exit error: boom"});
}

TEST_F(processes, that_a_linked_end_reaches_in_their_start_have_not_started) {
  auto& parent = near();
  auto& child = absent(0);
  const auto made = start(parent, child, {}, [&](context& self) { self.exit(self.self(), testing::kill); });
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error(), killed);
}

// ---- mailboxes ----

TEST_F(processes, with_a_full_mailbox_reject_calls_and_drop_the_rest) {
  auto& server = near({.mailbox_max = 2});
  auto& client = near();
  EXPECT_TRUE(w.of.suspend(server.who));
  send(client, server, "one"), call(client, server, "two");
  send(client, server, "three"), call(client, server, "four");
  run();
  ASSERT_EQ(client.seen.size(), 1U);
  EXPECT_TRUE(client.seen[0].starts_with("failed overloaded")) << client.seen[0];
  EXPECT_TRUE(client.seen[0].ends_with("(not_executed)")) << client.seen[0];
  EXPECT_TRUE(w.of.resume(server.who));
  run();
  EXPECT_EQ(server.seen, (log{"one", "call two"}));
  EXPECT_EQ(w.of.counted().dropped, 1U);
  EXPECT_EQ(w.of.counted().refused, 1U);
}

TEST_F(processes, with_a_full_mailbox_can_drop_the_oldest) {
  auto& server = near({.when_full = overflow::drop_oldest, .mailbox_max = 2});
  auto& client = near();
  EXPECT_TRUE(w.of.suspend(server.who));
  call(client, server, "one"), send(client, server, "two"), send(client, server, "three");
  run();
  ASSERT_EQ(client.seen.size(), 1U);
  EXPECT_TRUE(client.seen[0].starts_with("failed overloaded")) << client.seen[0];
  EXPECT_TRUE(w.of.resume(server.who));
  run();
  EXPECT_EQ(server.seen, (log{"two", "three"}));
}

TEST_F(processes, with_a_full_mailbox_can_let_callers_wait_up_to_their_deadlines) {
  auto& server = near({.when_full = overflow::block, .mailbox_max = 1}, [](context& self, message& asked) {
    if (asked.what == message::kind::call) self.reply(caller_of(asked), {});
  });
  auto& client = near();
  EXPECT_TRUE(w.of.suspend(server.who));
  send(client, server, "one"), send(client, server, "dropped");
  call(client, server, "soon", 10ms), call(client, server, "later", 10s);
  pass(10ms);
  ASSERT_EQ(client.seen.size(), 1U);
  EXPECT_TRUE(client.seen[0].starts_with("failed deadline_exceeded")) << client.seen[0];
  EXPECT_TRUE(w.of.resume(server.who));
  run();
  EXPECT_EQ(server.seen, (log{"one", "call later"}));
  EXPECT_EQ(client.seen.back(), "reply");
}

TEST_F(processes, with_a_full_mailbox_still_hear_exits_downs_replies_and_timers) {
  for (const auto policy : {overflow::reject, overflow::drop_oldest, overflow::block}) {
    auto& server =
        near({}, [](context& self, message& asked) { self.reply(caller_of(asked), cbor::integer_value(1)); });
    auto& ending = near();
    auto& a = near({.trap_exits = true, .when_full = policy, .mailbox_max = 1});
    link(a, ending), static_cast<void>(monitor(a, ending));
    EXPECT_TRUE(w.of.suspend(a.who));
    send(server, a, "one");
    call(a, server, "get"), run();
    as(a, [&](context& self) { self.send_after(5ms, self.self(), w.word("tick")); });
    stop(ending, boom), pass(5ms);
    EXPECT_TRUE(w.of.resume(a.who));
    run();
    EXPECT_THAT(a.seen, ::testing::UnorderedElementsAre("one", "reply 1", "exit error: boom", "down error: boom",
                                                        "timer tick"));
  }
}

TEST_F(processes, never_drop_what_is_not_from_users_to_make_room) {
  auto& ending = near();
  auto& a = near({.trap_exits = true, .when_full = overflow::drop_oldest, .mailbox_max = 1});
  link(a, ending);
  EXPECT_TRUE(w.of.suspend(a.who));
  stop(ending, boom);
  send(a, a, "one");
  EXPECT_TRUE(w.of.resume(a.who));
  run();
  EXPECT_EQ(a.seen, log{"exit error: boom"});
}

// ---- suspension, priority, fairness ----

TEST_F(processes, suspended_handle_nothing_until_resumed) {
  auto& a = near();
  EXPECT_TRUE(w.of.suspend(a.who));
  send(a, a, "one"), send(a, a, "two"), run();
  EXPECT_TRUE(a.seen.empty());
  EXPECT_EQ(look(a).waiting, 2U);
  EXPECT_TRUE(look(a).suspended);
  EXPECT_TRUE(w.of.resume(a.who));
  run();
  EXPECT_EQ(a.seen, (log{"one", "two"}));
}

TEST_F(processes, suspended_can_be_ended) {
  auto& a = near();
  auto& b = near();
  EXPECT_TRUE(w.of.suspend(a.who));
  EXPECT_TRUE(w.of.suspend(b.who));
  w.of.exit(w.now, a.who, boom);
  EXPECT_TRUE(w.of.stop(w.now, b.who, boom));
  EXPECT_EQ(end_of(a), "error: boom");
  EXPECT_EQ(end_of(b), "error: boom");
}

TEST_F(processes, that_are_dead_cannot_be_suspended_or_resumed) {
  auto& a = near();
  stop(a);
  EXPECT_FALSE(w.of.suspend(a.who));
  EXPECT_FALSE(w.of.resume(a.who));
  EXPECT_EQ(w.of.inspect(a.who), std::nullopt);
}

TEST_F(processes, may_suspend_themselves) {
  auto& a = near({}, [](context& self, message&) { self.of().suspend(self.self()); });
  send(a, a, "one"), send(a, a, "two"), run();
  EXPECT_EQ(a.seen, log{"one"});
  EXPECT_TRUE(w.of.resume(a.who));
  run();
  EXPECT_EQ(a.seen, (log{"one", "two"}));
}

TEST_F(processes, of_priority_are_handled_before_any_other) {
  log together;
  const auto note = [&](std::string_view who) {
    return [&together, who](context&, message&) { together.emplace_back(who); };
  };
  auto& urgent = near({.priority = true}, note("urgent"));
  auto& other = near({}, note("other"));
  auto& sender = near();
  as(sender, [&](context& self) {
    self.send(other.who, w.word("hello"));
    self.send(urgent.who, w.word("hello"));
    EXPECT_TRUE(together.empty());  // not within this callback
  });
  EXPECT_EQ(together, log{"urgent"});
  run();
  EXPECT_EQ(together, (log{"urgent", "other"}));
}

TEST_F(processes, of_priority_that_keep_each_other_busy_do_not_hang_the_rest) {
  party* echo = nullptr;
  echo = &near({.priority = true}, [&](context& self, message&) { self.send(self.self(), w.word("again")); });
  auto& other = near();
  send(other, *echo, "go");
  send(other, other, "hello");
  static_cast<void>(w.of.run(w.now, 10));
  EXPECT_EQ(other.seen, log{"hello"});
  w.of.exit(w.now, echo->who, testing::kill);
}

TEST_F(processes, that_chat_do_not_starve_others) {
  party* chatty = nullptr;
  chatty = &near({}, [&](context& self, message&) { self.send(self.self(), w.word("again")); });
  auto& other = near();
  send(other, *chatty, "go"), send(other, other, "hello");
  static_cast<void>(w.of.run(w.now, 100));
  EXPECT_EQ(other.seen, log{"hello"});
  EXPECT_LT(chatty->seen.size(), 100U);
  w.of.exit(w.now, chatty->who, testing::kill);
}

}  // namespace
}  // namespace orrery::kernel
