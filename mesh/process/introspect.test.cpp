// What operators may see of a process, and do to it: OTP's process_info and sys.
#include "mesh/process/runtime.hpp"
#include "mesh/process/testing.hpp"

#include <gmock/gmock.h>

namespace orrery::process {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct introspection : ::testing::Test {
  introspection() {
    EXPECT_TRUE(w.rt.define(counter_class()));
    EXPECT_TRUE(w.rt.define(kv_class()));
    EXPECT_TRUE(w.rt.define(lua_class(R"(return {
      init = function(key) return {n = 0, key = key} end,
      call = {add = function(state, by) state.n = state.n + by; return state.n end,
              toil = function(state) for i = 1, 10000 do local _ = i end end,
              later = function(state) orrery.send_after(60, 'tick') end},
      info = {tick = function(state) end},
    })")));
  }
  std::string state(std::string_view name) {
    const auto read = w.rt.read_state(named(name));
    return read ? read->state.json_text() : to_string(read.error());
  }
  std::string replace(std::string_view name, std::string_view with, const std::optional<std::string>& expected = {}) {
    const auto done = w.rt.replace_state(w.now, named(name), json(with), expected, w.out);
    return done ? "done" : to_string(done.error());
  }
  process_info look(std::string_view name) { return *w.rt.find(named(name)); }

  world w;
};

TEST_F(introspection, reads_a_state_without_a_message) {
  w.ask("counter/a", "add", "41");
  EXPECT_EQ(state("counter/a"), "41");
  EXPECT_EQ(look("counter/a").handled, 1U);
  w.ask("lua/x", "add", "2");
  EXPECT_EQ(state("lua/x"), R"({"key":"x","n":2})");
  EXPECT_EQ(state("counter/b"), "not_found: no process counter/b runs here");
}

TEST_F(introspection, replaces_a_state_before_the_messages_that_wait) {
  w.ask("counter/a", "add", "5");
  const auto waiting = w.send("counter/a", "add", json("1"));
  EXPECT_EQ(replace("counter/a", "100"), "done");
  w.run();
  EXPECT_EQ(w.reply_to(waiting)->json_text(), "101");
  w.ask("lua/x", "add", "2");
  EXPECT_EQ(replace("lua/x", R"({"n": 40})"), "done");
  EXPECT_EQ(w.ask("lua/x", "add", "2"), "42");
}

TEST_F(introspection, keeps_the_state_where_the_new_one_is_none_of_its_behaviour) {
  w.ask("counter/a", "add", "5");
  EXPECT_THAT(replace("counter/a", R"("text")"), HasSubstr("invalid_argument: counter/a keeps its state: "));
  EXPECT_EQ(w.ask("counter/a", "get"), "5");
  w.ask("kv/a", "put", R"({"key": "k", "value": 1})");
  const auto before = state("kv/a");
  for (const auto* odd : {"1", "[1]", "[1, 2]", R"([1, {"k": 3}])", R"([1, {"k": ["v", 1]}])", R"(["1", {}])"})
    EXPECT_THAT(replace("kv/a", odd), HasSubstr("this is no state of a kv document")) << odd;
  EXPECT_EQ(state("kv/a"), before);
}

TEST_F(introspection, a_lua_state_that_does_not_fit_leaves_the_old_one_working) {
  auto spec = lua_class("return {call = {get = function(state) return state end}}", "small");
  spec.limits.state_bytes_max = 64;
  ASSERT_TRUE(w.rt.define(spec));
  w.ask("small/a", "get");
  EXPECT_EQ(replace("small/a", R"({"n": 1})"), "done");
  EXPECT_EQ(replace("small/a", '"' + std::string(100, 'x') + '"'),
            "too_large: the state has 102 bytes; limits.stateBytes allows 64");
  EXPECT_EQ(w.ask("small/a", "get"), R"({"n":1})");
}

TEST_F(introspection, refuses_a_state_that_was_made_of_an_older_one) {
  w.ask("counter/a", "add", "5");
  const auto read = w.rt.read_state(named("counter/a"))->version;
  EXPECT_EQ(replace("counter/a", "6", read), "done");
  EXPECT_THAT(replace("counter/a", "7", read), HasSubstr("conflict: the state of counter/a is at version ")) << "own";
  const auto again = w.rt.read_state(named("counter/a"))->version;
  w.ask("counter/a", "get");
  EXPECT_THAT(replace("counter/a", "7", again), HasSubstr("conflict")) << "a message came between";
  const auto last = w.rt.read_state(named("counter/a"))->version;
  w.kill("counter/a");
  w.run();
  EXPECT_THAT(replace("counter/a", "7", last), HasSubstr("conflict")) << "of a life before";
  EXPECT_EQ(w.ask("counter/a", "get"), "0");
}

TEST_F(introspection, timers_outlast_a_replaced_state) {
  w.ask("lua/x", "later");
  EXPECT_EQ(replace("lua/x", "{}"), "done");
  EXPECT_EQ(look("lua/x").timers, 1U);
}

TEST_F(introspection, a_suspended_process_lets_messages_wait_and_handles_them_in_order_when_resumed) {
  w.ask("counter/a", "add", "1");
  ASSERT_TRUE(w.rt.suspend(named("counter/a")));
  EXPECT_EQ(look("counter/a").state, process_state::suspended);
  const auto patient = w.send("counter/a", "add", json("10"));
  const auto hasty = w.send("counter/a", "add", json("100"), w.now + 1s);
  w.run();
  EXPECT_EQ(look("counter/a").mailbox, 2U);
  w.now += 2s;
  w.run();
  EXPECT_EQ(w.reply_to(hasty).error().code, errc::deadline_exceeded);
  EXPECT_EQ(w.reply_to(hasty).error().effect, took_effect::not_executed);
  EXPECT_EQ(state("counter/a"), "1") << "sys reads a suspended process too";
  ASSERT_TRUE(w.rt.resume(named("counter/a")));
  w.run();
  EXPECT_EQ(w.reply_to(patient)->json_text(), "11");
  EXPECT_EQ(look("counter/a").state, process_state::running);
}

TEST_F(introspection, a_suspended_process_can_still_be_killed_and_its_next_life_runs) {
  w.ask("counter/a", "add", "1");
  ASSERT_TRUE(w.rt.suspend(named("counter/a")));
  EXPECT_TRUE(w.kill("counter/a"));
  EXPECT_EQ(w.ask("counter/a", "get"), "0");
  EXPECT_EQ(w.rt.suspend(named("counter/b")).error().code, errc::not_found);
  EXPECT_EQ(w.rt.resume(named("counter/b")).error().code, errc::not_found);
}

TEST_F(introspection, a_suspended_process_that_is_handed_over_stays_suspended) {
  w.ask("counter/a", "add", "1");
  ASSERT_TRUE(w.rt.suspend(named("counter/a")));
  auto taken = w.rt.take(w.now, named("counter/a"), w.out);
  ASSERT_TRUE(taken);
  EXPECT_TRUE(taken->suspended);
  ASSERT_TRUE(w.rt.install(w.now, *taken, w.out));
  EXPECT_EQ(look("counter/a").state, process_state::suspended);
}

TEST_F(introspection, tells_what_waits_and_since_when_what_it_worked_and_what_it_takes) {
  w.ask("kv/a", "put", R"({"key": "k", "value": 1})");
  const auto idle = look("kv/a");
  EXPECT_FALSE(idle.oldest);
  EXPECT_EQ(idle.mailbox_bytes, 0U);
  static_cast<void>(w.send("kv/a", "put", json('{' + (R"("key": "k", "value": ")" + std::string(1000, 'v')) + "\"}")));
  const auto first = w.now;
  w.now += 3s;
  static_cast<void>(w.send("kv/a", "get"));
  const auto busy = look("kv/a");
  EXPECT_EQ(busy.oldest, first);
  EXPECT_GT(busy.mailbox_bytes, 1000U);
  EXPECT_GT(busy.memory_bytes, idle.memory_bytes + 1000);
  w.run();
  EXPECT_EQ(look("kv/a").mailbox_bytes, 0U);
  EXPECT_GT(look("kv/a").memory_bytes, idle.memory_bytes + 900) << "it is state now";
  EXPECT_EQ(look("kv/a").reductions, 3U) << "one a message";
  w.ask("lua/x", "toil");
  EXPECT_GT(look("lua/x").reductions, 9'000U) << "and one an instruction, counted by hundreds";
}

TEST_F(introspection, names_those_that_it_is_tied_to) {
  w.ask("counter/a", "add", "1");
  const auto ties = w.rt.ties_of(named("counter/a"));
  EXPECT_THAT(ties.links, ElementsAre("root/counter"));
  EXPECT_TRUE(ties.monitors.empty());
  EXPECT_TRUE(ties.monitored_by.empty());
  EXPECT_TRUE(ties.whole);
  EXPECT_TRUE(w.rt.ties_of(named("counter/none")).links.empty());
}

}  // namespace
}  // namespace orrery::process
