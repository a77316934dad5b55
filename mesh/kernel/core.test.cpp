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

TEST(core, a_process_knows_whether_a_call_that_it_has_kept_is_still_to_be_answered) {
  world w;
  std::vector<caller> kept;
  const auto server = w.spawn([&](context&, message& asked) { kept.push_back(caller_of(asked)); });
  const auto client = w.spawn({});
  w.of.call(w.now, server, w.word("get"), {}, w.now + 1s, call_token{7});
  w.as(client, [&](context& self) { static_cast<void>(self.call(server, w.word("get"), {}, 5s)); });
  w.run();
  const auto waiting = [&] {
    std::vector<bool> all;
    w.as(server, [&](context& self) {
      for (const auto& each : kept)
        all.push_back(self.waits(each));
    });
    return all;
  };
  EXPECT_EQ(waiting(), (std::vector{true, true}));
  w.pass(1s);
  EXPECT_EQ(waiting(), (std::vector{false, true})) << "its deadline has passed";
  w.of.exit(w.now, client, {exit_reason::kind::kill, {}});
  w.run();
  EXPECT_EQ(waiting(), (std::vector{false, false})) << "its caller has ended";
}

TEST(core, a_kept_call_from_outside_can_be_taken_back_and_is_then_the_takers_to_answer) {
  world w;
  std::vector<caller> kept;
  const auto server = w.spawn([&](context&, message& asked) { kept.push_back(caller_of(asked)); });
  const auto client = w.spawn({});
  w.of.call(w.now, server, w.word("get"), {}, w.now + 3s, call_token{7});
  w.of.call(w.now, server, w.word("get"), {}, never, call_token{8});
  w.as(client, [&](context& self) { static_cast<void>(self.call(server, w.word("get"), {}, 5s)); });
  w.run();
  ASSERT_EQ(kept.size(), 3U);
  const auto first = w.of.take_back(kept[0]);
  ASSERT_TRUE(first);
  EXPECT_EQ(*first->token, call_token{7});
  EXPECT_EQ(first->deadline, w.now + 3s);
  EXPECT_EQ(w.of.take_back(kept[1])->deadline, never);
  EXPECT_FALSE(w.of.take_back(kept[0])) << "once";
  EXPECT_FALSE(w.of.take_back(kept[2])) << "a process waits for it";
  w.pass(10s);
  EXPECT_TRUE(w.replies.empty());
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

TEST(core, counts_the_bytes_that_wait_in_each_mailbox) {
  world w;
  const auto a = w.spawn([](context&, message&) {});
  const auto b = w.spawn([](context&, message&) {});
  w.run();
  w.of.send(w.now, a, w.word("n"), cbor::text_value(std::string(100, 'x')));
  w.of.cast(w.now, b, w.word("n"), cbor::text_value("y"));
  EXPECT_EQ(w.of.load_of(a).queued_bytes, 102U);
  EXPECT_EQ(w.of.load_of(b).queued_bytes, 2U);
  EXPECT_EQ(w.of.runnable(), 2U);
  w.run();
  EXPECT_EQ(w.of.load_of(a).queued_bytes, 0U);
  EXPECT_EQ(w.of.runnable(), 0U);
}

TEST(core, keeps_no_more_of_answers_than_may_wait_and_tells_their_callers) {
  world w({.answer_bytes_max = 5000});
  const auto server = w.spawn([](context& self, message& asked) {
    if (asked.what == message::kind::call) self.reply(caller_of(asked), cbor::text_value(std::string(2000, 'x')));
  });
  std::vector<std::string> seen;
  const auto client = w.spawn([&](context&, message& arrived) {
    seen.push_back(arrived.failed ? std::to_string(static_cast<int>(arrived.effect)) : "reply");
  });
  w.run();
  w.as(client, [&](context& self) {
    for (int i = 0; i < 4; ++i)
      (void)self.call(server, w.word("get"), {}, 1s);
  });
  EXPECT_TRUE(w.of.suspend(client));
  w.run();
  EXPECT_GT(w.of.load_of(client).queued_bytes, 4000U) << "they count as what waits";
  EXPECT_LT(w.of.queued_bytes(), 5000U);
  EXPECT_TRUE(w.of.resume(client));
  w.run();
  const auto executed = std::to_string(static_cast<int>(took_effect::executed));
  EXPECT_EQ(seen, (std::vector<std::string>{"reply", "reply", executed, executed}));
  EXPECT_EQ(w.of.queued_bytes(), 0U);
}

TEST(core, counts_the_bytes_that_timers_hold_until_they_fire_or_are_cancelled) {
  world w;
  const auto who = w.spawn({});
  w.run();
  const auto text = cbor::text_value(std::string(100, 'x'));
  const auto each = text.cbor().size();
  const auto held = [&] { return w.of.load_of(who).timer_bytes; };
  reference second;
  w.as(who, [&](context& self) {
    self.send_after(1ms, who, w.word("tick"), text);
    second = self.send_after(2ms, who, w.word("tick"), text);
    self.send_after(3ms, who, w.word("tick"), text);
    self.send_after(3ms, who, w.word("small"));
  });
  EXPECT_EQ(held(), 3 * each);
  w.pass(1ms);
  EXPECT_EQ(held(), 2 * each);
  w.as(who, [&](context& self) { EXPECT_TRUE(self.cancel(second)); });
  EXPECT_EQ(held(), each);
  EXPECT_EQ(w.of.withdraw(w.now, who).size(), 2U);
  EXPECT_EQ(held(), 0U);
}

TEST(core, tells_the_ties_of_a_process_up_to_a_maximum) {
  world w;
  const auto a = w.spawn({});
  const auto b = w.spawn({});
  const auto c = w.spawn({});
  w.run();
  w.as(a, [&](context& self) { self.link(b), static_cast<void>(self.monitor(c)); });
  w.as(c, [&](context& self) { static_cast<void>(self.monitor(a)); });
  const auto all = w.of.ties_of(a, 10);
  ASSERT_EQ(all.found.size(), 3U);
  EXPECT_TRUE(all.whole);
  EXPECT_EQ(all.found[0].what, tie::kind::monitored);
  EXPECT_EQ(all.found[1].what, tie::kind::monitors);
  EXPECT_EQ(all.found[2].what, tie::kind::linked);
  EXPECT_EQ(all.found[2].with, b);
  EXPECT_EQ(w.of.ties_of(a, 2).found.size(), 2U);
  EXPECT_FALSE(w.of.ties_of(a, 2).whole);
  EXPECT_TRUE(w.of.ties_of(a, 3).whole);
}

TEST(core, looks_at_no_more_relations_than_it_may_for_the_ties_of_one_process) {
  world w;
  const auto hub = w.spawn({}, {}, {.trap_exits = true});
  const auto first = w.spawn({});
  w.run();
  w.as(hub, [&](context& self) {
    self.link(first);
    for (std::uint32_t i = 0; i < core::ties_looked_at_max; ++i)
      static_cast<void>(self.alias());
  });
  const auto all = w.of.ties_of(hub, 10);
  EXPECT_TRUE(all.found.empty());
  EXPECT_FALSE(all.whole);
}

TEST(core, a_process_that_paused_itself_handles_nothing_until_it_is_let_go_on) {
  world w;
  log seen;
  const auto working = w.spawn([&](context& self, message& arrived) {
    seen.push_back(describe(w.of, arrived));
    self.pause();
  });
  w.of.send(w.now, working, w.word("first"));
  w.of.send(w.now, working, w.word("second"));
  w.of.send(w.now, working, w.word("third"));
  w.run();
  EXPECT_EQ(seen, log{"first"});
  EXPECT_TRUE(w.of.unpause(working));
  EXPECT_EQ(seen, log{"first"});
  w.run();
  EXPECT_EQ(seen, (log{"first", "second"}));
  EXPECT_TRUE(w.of.take_turn(w.now, working));
  EXPECT_EQ(seen, (log{"first", "second", "third"}));
  EXPECT_FALSE(w.of.take_turn(w.now, working)) << "nothing waits";
}

TEST(core, a_process_that_paused_itself_is_still_ended_by_exit_signals) {
  world w;
  const auto working = w.spawn([](context& self, message&) { self.pause(); });
  w.of.call(w.now, working, w.word("begun"), {}, never, call_token{1});
  w.of.call(w.now, working, w.word("waits"), {}, never, call_token{2});
  w.run();
  w.of.exit(w.now, working, {exit_reason::kind::kill, {}});
  EXPECT_FALSE(w.of.alive(working));
  EXPECT_FALSE(w.of.unpause(working));
  EXPECT_FALSE(w.of.take_turn(w.now, working));
  ASSERT_EQ(w.replies.size(), 2U);
  EXPECT_EQ(w.replies.at(1).error().effect, took_effect::unknown);
  EXPECT_EQ(w.replies.at(2).error().effect, took_effect::not_executed);
}

TEST(core, a_suspended_process_takes_no_turn_before_it_is_resumed) {
  world w;
  log seen;
  const auto working = w.spawn([&](context& self, message& arrived) {
    seen.push_back(describe(w.of, arrived));
    self.pause();
  });
  w.of.send(w.now, working, w.word("first"));
  w.of.send(w.now, working, w.word("second"));
  w.run();
  EXPECT_TRUE(w.of.suspend(working));
  EXPECT_FALSE(w.of.take_turn(w.now, working));
  EXPECT_TRUE(w.of.resume(working));
  w.run();
  EXPECT_EQ(seen, (log{"first", "second"}));
}

TEST(core, a_message_that_is_put_back_is_the_next_again_and_was_not_handled) {
  world w;
  log seen;
  bool ready = false;
  const auto working = w.spawn([&](context& self, message& arrived) {
    seen.push_back(describe(w.of, arrived));
    if (ready) return self.reply(caller_of(arrived), {});
    self.put_back();
    self.pause();
  });
  w.of.call(w.now, working, w.word("first"), {}, w.now + 1s, call_token{1});
  w.of.call(w.now, working, w.word("second"), {}, w.now + 3s, call_token{2});
  w.of.call(w.now, working, w.word("third"), {}, never, call_token{3});
  w.run();
  EXPECT_EQ(seen, log{"call first"});
  EXPECT_EQ(w.of.counted().handled, 0U);
  EXPECT_EQ(w.of.load_of(working).waiting, 3U);
  w.pass(2s);
  ASSERT_EQ(w.replies.size(), 1U) << "its deadline passed";
  EXPECT_EQ(w.replies.at(1).error().code, errc::deadline_exceeded);
  EXPECT_EQ(w.replies.at(1).error().effect, took_effect::not_executed);
  ready = true;
  EXPECT_TRUE(w.of.take_turn(w.now, working));
  w.run();
  EXPECT_EQ(seen, (log{"call first", "call second", "call third"}));
  EXPECT_TRUE(w.replies.at(2).has_value());
  EXPECT_TRUE(w.replies.at(3).has_value());
  EXPECT_EQ(w.of.counted().handled, 2U);
}

TEST(core, a_call_that_was_put_back_goes_along_with_a_process_that_is_withdrawn) {
  world w;
  const auto working = w.spawn([](context& self, message&) { self.put_back(), self.pause(); });
  w.of.call(w.now, working, w.word("get"), cbor::integer_value(5), never, call_token{1});
  w.run();
  const auto waiting = w.of.withdraw(w.now, working);
  ASSERT_EQ(waiting.size(), 1U);
  EXPECT_EQ(waiting[0].token, call_token{1});
  EXPECT_EQ(waiting[0].payload, cbor::integer_value(5));
  EXPECT_TRUE(w.replies.empty());
}

TEST(core, calls_that_wait_are_refused_and_the_rest_stays) {
  world w;
  log seen;
  const auto working = w.spawn([&](context& self, message& arrived) {
    seen.push_back(describe(w.of, arrived));
    self.pause();
  });
  w.of.send(w.now, working, w.word("first"));
  w.run();
  w.of.call(w.now, working, w.word("asked"), {}, never, call_token{1});
  w.of.cast(w.now, working, w.word("told"));
  w.of.call(w.now, working, w.word("asked"), {}, never, call_token{2});
  w.of.refuse_calls(w.now, working, {errc::unavailable, "nobody is there"});
  ASSERT_EQ(w.replies.size(), 2U);
  EXPECT_EQ(w.replies.at(2).error(), (error{errc::unavailable, "nobody is there"}));
  EXPECT_TRUE(w.of.take_turn(w.now, working));
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_TRUE(seen[1].find("told") != std::string::npos) << seen[1];
}

TEST(core, is_not_idle_as_long_as_an_end_is_still_to_be_told) {
  world w;
  std::uint32_t left = core::urgent_max;  // as many as are handled before a function returns
  const auto busy = w.spawn(
      [&](context& self, message& arrived) { --left == 0 ? self.stop() : self.send(self.self(), arrived.word); }, {},
      {.priority = true, .announced = true});
  w.run();
  w.of.send(w.now, busy, w.word("go"));
  EXPECT_FALSE(w.of.alive(busy));
  EXPECT_TRUE(w.ends.empty());
  EXPECT_FALSE(w.of.idle());
  w.run();
  EXPECT_EQ(w.ends.size(), 1U);
  EXPECT_TRUE(w.of.idle());
}

}  // namespace
}  // namespace orrery::kernel
