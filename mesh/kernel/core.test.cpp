#include "mesh/kernel/core.hpp"

#include "mesh/kernel/testing.hpp"

#include <gtest/gtest.h>

namespace orrery::kernel {
namespace {

using namespace std::chrono_literals;
using testing::describe;
using testing::world;
using log = std::vector<std::string>;

TEST(core, carries_messages_in_the_order_in_which_they_were_sent) {
  world w;
  log seen;
  const auto to = w.spawn_witness(seen);
  for (int i = 0; i < 40; ++i)
    w.of.send(w.now, to, w.word("n"), cbor::integer_value(i));
  w.run();
  ASSERT_EQ(seen.size(), 40U);
  EXPECT_EQ(seen[0], "n 0");
  EXPECT_EQ(seen[39], "n 39");
}

TEST(core, a_monitor_sees_the_end_with_its_reason_and_names_are_free_by_then) {
  world w;
  log seen;
  const auto name = w.word("server");
  const auto server = w.spawn(
      [](context& self, message&) {
        self.stop({exit_reason::kind::error, "boom"});
      },
      [&](context& self) { EXPECT_TRUE(self.register_name(name)); });
  w.run();
  EXPECT_EQ(w.of.whereis(name), server);
  bool free = false;
  const auto watcher = w.spawn([&](context& self, message& arrived) {
    seen.push_back(describe(w.of, arrived));
    free = self.of().whereis(name) == nobody && self.register_name(name);
  });
  w.as(watcher, [&](context& self) { static_cast<void>(self.monitor(server)); });
  w.of.send(w.now, server, w.word("go"));
  w.run();
  EXPECT_EQ(seen, log{"down error: boom"});
  EXPECT_TRUE(free);
}

TEST(core, links_take_each_other_along_unless_they_trap) {
  world w;
  log seen;
  const auto trapping = w.spawn_witness(seen, {}, {.trap_exits = true});
  const auto a = w.spawn({});
  const auto b = w.spawn({});
  w.run();
  w.as(a, [&](context& self) { self.link(b); });
  w.as(b, [&](context& self) { self.link(trapping); });
  w.of.exit(w.now, a, {exit_reason::kind::kill, {}});
  w.run();
  EXPECT_FALSE(w.of.alive(a));
  EXPECT_FALSE(w.of.alive(b));
  EXPECT_TRUE(w.of.alive(trapping));
  EXPECT_EQ(seen, log{"exit killed"});
}

TEST(core, a_call_is_answered_once) {
  world w;
  const auto server = w.spawn([](context& self, message& asked) {
    self.reply(caller_of(asked), cbor::integer_value(1));
    self.reply(caller_of(asked), cbor::integer_value(2));
  });
  w.of.call(w.now, server, w.word("get"), {}, w.now + 1s, call_token{7});
  w.run();
  ASSERT_EQ(w.replies.size(), 1U);
  EXPECT_EQ(w.replies.at(7), cbor::integer_value(1));
  EXPECT_EQ(w.of.counted().late, 1U);
}

TEST(core, a_process_that_waits_for_an_answer_handles_nothing_else) {
  world w;
  log seen;
  const auto server = w.spawn([](context& self, message& asked) { self.reply(caller_of(asked), {}); });
  const auto client = w.spawn([&](context& self, message& arrived) {
    seen.push_back(describe(w.of, arrived));
    if (seen.size() == 1) self.await(self.call(server, w.word("get"), {}, 1s));
  });
  for (const char* word : {"first", "second", "third"})
    w.of.send(w.now, client, w.word(word));
  w.run();
  EXPECT_EQ(seen, (log{"first", "reply", "second", "third"}));
}

}  // namespace
}  // namespace orrery::kernel
