// Mailboxes at their bound: what gets in, who waits, who is told, and that nothing is left behind.
#include "mesh/kernel/semantics.hpp"

namespace orrery::kernel {
namespace {

using namespace std::chrono_literals;
using namespace testing;
using ::testing::ElementsAre;
using ::testing::StartsWith;

struct mailboxes : ::testing::Test, stage {
  mailboxes() : stage(1) {}
  party& server_with(overflow when_full, std::uint32_t most) {
    auto& server = near({.when_full = when_full, .mailbox_max = most}, [](context& self, message& asked) {
      if (asked.what == message::kind::call) self.reply(caller_of(asked), {});
    });
    EXPECT_TRUE(w.of.suspend(server.who));
    return server;
  }
  world& w = mesh.node(0);
};

TEST_F(mailboxes, that_reject_refuse_the_newest_and_say_so) {
  auto& server = server_with(overflow::reject, 1);
  auto& client = near();
  send(client, server, "one"), send(client, server, "two"), call(client, server, "three");
  EXPECT_THAT(w.bounds, ElementsAre(at_the_bound::refused, at_the_bound::refused));
}

TEST_F(mailboxes, that_drop_the_oldest_answer_the_call_that_made_room_as_not_executed) {
  auto& server = server_with(overflow::drop_oldest, 2);
  auto& client = near();
  call(client, server, "one"), call(client, server, "two"), call(client, server, "three");
  run();
  EXPECT_THAT(w.bounds, ElementsAre(at_the_bound::displaced));
  ASSERT_EQ(client.seen.size(), 1U);
  EXPECT_THAT(client.seen[0], StartsWith("failed overloaded: newer messages took its place"));
  EXPECT_TRUE(client.seen[0].ends_with("(not_executed)"));
  EXPECT_TRUE(w.of.resume(server.who));
  run();
  EXPECT_EQ(server.seen, (log{"call two", "call three"}));
}

TEST_F(mailboxes, that_block_let_calls_wait_beyond_the_bound_in_order) {
  auto& server = server_with(overflow::block, 1);
  auto& client = near();
  call(client, server, "one"), call(client, server, "two"), call(client, server, "three");
  EXPECT_THAT(w.bounds, ElementsAre(at_the_bound::waits, at_the_bound::waits));
  EXPECT_TRUE(w.of.resume(server.who));
  run();
  EXPECT_EQ(server.seen, (log{"call one", "call two", "call three"}));
  EXPECT_EQ(client.seen, (log{"reply", "reply", "reply"}));
}

TEST_F(mailboxes, that_block_let_each_caller_wait_up_to_its_own_deadline) {
  auto& server = server_with(overflow::block, 1);
  auto& client = near();
  send(client, server, "one");
  call(client, server, "long", 3s), call(client, server, "short", 1s), call(client, server, "middle", 2s);
  pass(1s);
  EXPECT_EQ(client.seen.size(), 1U);
  EXPECT_THAT(client.seen.back(), StartsWith("failed deadline_exceeded: the process did not get to 'short'"));
  pass(1s);
  EXPECT_EQ(client.seen.size(), 2U);
  EXPECT_TRUE(w.of.resume(server.who));
  run();
  EXPECT_EQ(server.seen, (log{"one", "call long"}));
}

TEST_F(mailboxes, that_block_take_a_bounded_number_of_calls_beyond_their_bound) {
  auto& server = server_with(overflow::block, 2);
  for (std::uint64_t i = 0; i < 2 + blocked_max; ++i)
    w.of.call(w.now, server.who, w.word("get"), {}, w.now + 1s, call_token{i});
  EXPECT_TRUE(w.replies.empty());
  w.of.call(w.now, server.who, w.word("get"), {}, w.now + 1s, call_token{99'999});
  EXPECT_EQ(w.replies.at(99'999).error().code, errc::overloaded);
  pass(1s);
  EXPECT_EQ(w.replies.size(), 3U + blocked_max);
  EXPECT_EQ(look(server).waiting, 0U);
}

TEST_F(mailboxes, that_block_keep_to_what_the_whole_kernel_may_hold) {
  stage s{1, {.messages_max = 2}};
  auto& server = s.near({.when_full = overflow::block});
  auto& client = s.near();
  EXPECT_TRUE(s.world_of(server).of.suspend(server.who));
  s.send(client, server, "one"), s.send(client, server, "two"), s.call(client, server, "three");
  s.run();
  ASSERT_EQ(client.seen.size(), 1U);
  EXPECT_THAT(client.seen[0], StartsWith("failed overloaded"));
}

TEST_F(mailboxes, whose_process_ends_answer_all_that_waited_beyond_the_bound) {
  auto& server = server_with(overflow::block, 1);
  auto& client = near();
  for (int i = 0; i < 5; ++i)
    call(client, server, "get");
  stop(server, boom);
  run();
  ASSERT_EQ(client.seen.size(), 5U);
  for (const auto& each : client.seen)
    EXPECT_THAT(each, StartsWith("failed process_exited"));
  EXPECT_EQ(w.of.queued_bytes(), 0U);
}

TEST_F(mailboxes, of_the_dead_are_never_full) {
  auto& server = server_with(overflow::reject, 1);
  auto& client = near();
  send(client, server, "one");
  as(client, [&](context& self) {
    self.exit(server.who, testing::kill);
    self.send(server.who, w.word("two"));
  });
  EXPECT_TRUE(w.bounds.empty());
}

TEST_F(mailboxes, can_be_given_another_bound_and_another_way_while_they_are_used) {
  auto& server = server_with(overflow::reject, 1);
  auto& client = near();
  send(client, server, "one"), send(client, server, "refused");
  w.of.set_mailbox(server.who, 3, overflow::drop_oldest);
  send(client, server, "two"), send(client, server, "three"), send(client, server, "four");
  w.of.set_mailbox(server.who, 1, overflow::reject);
  send(client, server, "refused");
  EXPECT_TRUE(w.of.resume(server.who));
  run();
  EXPECT_EQ(server.seen, (log{"two", "three", "four"})) << "what waits stays, even beyond a bound that became less";
}

TEST_F(mailboxes, of_the_dead_cannot_be_changed) {
  auto& server = server_with(overflow::reject, 1);
  stop(server);
  w.of.set_mailbox(server.who, 3, overflow::block);
  EXPECT_FALSE(alive(server));
}

// ---- adopted processes ----

using adopted = mailboxes;

TEST_F(adopted, know_their_new_parent_and_are_linked_with_it) {
  auto& old_parent = near();
  auto& new_parent = near({.trap_exits = true});
  auto& child = absent(0);
  as(old_parent, [&](context& self) { child.who = self.spawn(body_of(child), announced(child)).who; });
  run();
  as(new_parent, [&](context& self) { self.adopt(child.who, 7); });
  EXPECT_EQ(look(child).parent, new_parent.who);
  EXPECT_EQ(w.of.note_of(child.who), 7U);
  stop(child, boom);
  run();
  EXPECT_EQ(new_parent.seen, log{"exit error: boom"});
  EXPECT_TRUE(old_parent.seen.empty());
}

TEST_F(adopted, that_are_dead_are_none) {
  auto& parent = near({.trap_exits = true});
  auto& child = near();
  stop(child);
  as(parent, [&](context& self) { self.adopt(child.who, 7); });
  run();
  EXPECT_TRUE(parent.seen.empty());
  EXPECT_TRUE(look(parent).links.empty());
}

}  // namespace
}  // namespace orrery::kernel
