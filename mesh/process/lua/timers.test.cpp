// Timers and stops of scripts.
#include "mesh/process/testing.hpp"

#include <gmock/gmock.h>

namespace orrery::process {
namespace {

using namespace testing;
using ::testing::HasSubstr;

constexpr const char* ticking = R"(
local c = {call = {}, info = {}}
function c.init(key) return {ticks = 0} end
function c.call.start(state, seconds) state.timer = orrery.send_after(seconds, "tick", {by = 2}) return true end
function c.call.cancel(state) return orrery.cancel(state.timer) end
function c.call.cancel_other(state, timer) return orrery.cancel(timer) end
function c.call.timer(state) return state.timer end
function c.call.get(state) return state.ticks end
function c.call.unknown(state) return orrery.send_after(1, "tock") end
function c.call.many(state) for i = 1, 2000 do orrery.send_after(60, "tick") end end
function c.call.stop(state, reason) orrery.stop(reason) return "bye" end
function c.info.tick(state, argument) state.ticks = state.ticks + argument.by end
return c
)";

TEST(lua_timers, fire_as_info_with_what_they_were_given_and_not_before_their_time) {
  world w;
  ASSERT_TRUE(w.rt.define(lua_class(ticking)));
  EXPECT_EQ(w.ask("lua/a", "start", "1.5"), "true");
  EXPECT_LE(w.rt.next_deadline(), w.now + 1500ms);
  w.now += 1499ms;
  w.run();
  EXPECT_EQ(w.ask("lua/a", "get"), "0");
  w.now += 1ms;
  w.run();
  EXPECT_EQ(w.ask("lua/a", "get"), "2");
}

TEST(lua_timers, hold_no_more_in_all_than_a_state_may) {
  world w;
  auto spec = lua_class(
      "local c = {call = {}, info = {}}\n"
      "function c.call.hold(state, n) orrery.send_after(60, 'late', ('x'):rep(n)) return true end\n"
      "function c.info.late(state) end\n"
      "return c");
  spec.limits.state_bytes_max = 5000;
  ASSERT_TRUE(w.rt.define(spec));
  EXPECT_EQ(w.ask("lua/a", "hold", "2000"), "true");
  EXPECT_EQ(w.ask("lua/a", "hold", "2000"), "true");
  EXPECT_GT(w.rt.find(named("lua/a"))->memory_bytes, 4000U);
  EXPECT_THAT(w.ask("lua/a", "hold", "2000"), HasSubstr("would have 6009 bytes; limits.stateBytes allows 5000"));
  EXPECT_EQ(w.ask("lua/b", "hold", "2000"), "true") << "that one ended, with its timers; others never had them";
}

TEST(lua_timers, can_be_cancelled_and_say_how_much_was_left) {
  world w;
  ASSERT_TRUE(w.rt.define(lua_class(ticking)));
  EXPECT_EQ(w.ask("lua/a", "start", "2"), "true");
  w.now += 500ms;
  EXPECT_EQ(w.ask("lua/a", "cancel"), "1.5");
  EXPECT_EQ(w.ask("lua/a", "cancel"), "null");
  w.now += 5s;
  w.run();
  EXPECT_EQ(w.ask("lua/a", "get"), "0");
}

TEST(lua_timers, of_another_process_cannot_be_cancelled) {
  world w;
  ASSERT_TRUE(w.rt.define(lua_class(ticking)));
  EXPECT_EQ(w.ask("lua/a", "start", "2"), "true");
  EXPECT_EQ(w.ask("lua/b", "cancel_other", w.ask("lua/a", "timer")), "null");
  w.now += 2s;
  w.run();
  EXPECT_EQ(w.ask("lua/a", "get"), "2");
}

TEST(lua_timers, no_number_is_more_than_a_timer_that_is_not_there) {
  world w;
  ASSERT_TRUE(w.rt.define(lua_class(ticking)));
  for (const char* number : {"0", "-1", "9223372036854775807", "-9223372036854775808"})
    EXPECT_EQ(w.ask("lua/a", "cancel_other", number), "null") << number;
}

TEST(lua_timers, end_with_their_process) {
  world w;
  ASSERT_TRUE(w.rt.define(lua_class(ticking)));
  EXPECT_EQ(w.ask("lua/a", "start", "1"), "true");
  EXPECT_TRUE(w.kill("lua/a"));
  EXPECT_EQ(w.rt.next_deadline(), never);
}

TEST(lua_timers, that_nobody_handles_or_too_many_are_refused_with_the_reason) {
  world w;
  ASSERT_TRUE(w.rt.define(lua_class(ticking)));
  EXPECT_THAT(w.ask("lua/a", "unknown"), HasSubstr("the script has no info.tock"));
  EXPECT_THAT(w.ask("lua/a", "many"), HasSubstr("this process has 1000 timers, as many as it may"));
  EXPECT_EQ(w.rt.next_deadline(), never);
  EXPECT_THAT(w.ask("lua/a", "start", "-1"), HasSubstr("a delay has 0 seconds to a year"));
  EXPECT_THAT(w.ask("lua/a", "start", "1e300"), HasSubstr("a delay has 0 seconds to a year"));
}

TEST(lua_timers, move_with_their_process_and_keep_their_time) {
  world from;
  world to;
  ASSERT_TRUE(from.rt.define(lua_class(ticking)));
  ASSERT_TRUE(to.rt.define(lua_class(ticking)));
  EXPECT_EQ(from.ask("lua/a", "start", "10"), "true");
  from.now += 4s;
  to.now = from.now;
  auto packed = from.rt.take(from.now, named("lua/a"), from.out);
  ASSERT_TRUE(packed);
  EXPECT_EQ(from.rt.next_deadline(), never);
  ASSERT_EQ(packed->mailbox.size(), 1U);
  EXPECT_TRUE(packed->mailbox[0].is_timer());
  ASSERT_TRUE(to.rt.install(to.now, std::move(*packed), to.out));
  to.now += 5999ms;
  to.run();
  EXPECT_EQ(to.ask("lua/a", "get"), "0");
  to.now += 1ms;
  to.run();
  EXPECT_EQ(to.ask("lua/a", "get"), "2");
}

TEST(lua_stop, ends_the_process_after_its_answer_and_a_permanent_one_comes_back) {
  world w;
  auto spec = lua_class(ticking);
  spec.supervision.restart = restart_type::transient;
  ASSERT_TRUE(w.rt.define(spec));
  EXPECT_EQ(w.ask("lua/a", "stop", "null"), R"("bye")");
  EXPECT_EQ(w.events.back().what, process_event::kind::exited);
  EXPECT_EQ(w.events.back().reason.why, exit_reason::kind::normal);
  EXPECT_EQ(w.rt.count(), 0U);
  EXPECT_EQ(w.ask("lua/a", "stop", R"("done for today")"), R"("bye")");
  EXPECT_EQ(to_string(w.events.back().reason), "shutdown: done for today");
}

}  // namespace
}  // namespace orrery::process
