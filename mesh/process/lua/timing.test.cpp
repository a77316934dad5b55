// What comes after a callback: continue, timeouts, hibernation; and after a move.
#include "mesh/process/testing.hpp"

#include <gmock/gmock.h>

namespace orrery::process {
namespace {

using namespace testing;
using ::testing::HasSubstr;

constexpr const char* timing_script = R"(
local c = {call = {}, cast = {}, info = {}}
local function note(state, what) state.log[#state.log + 1] = what end
function c.init(key)
  if key == "slow" then orrery.continue("set up") end
  if key == "lonely" then orrery.timeout(2) end
  return {log = orrery.array()}
end
function c.call.log(state) return state.log end
function c.call.continue(state, what) orrery.continue(what) note(state, "asked for " .. what) return "done" end
function c.call.fail_and_continue(state) orrery.continue("after") orrery.fail("conflict", "no") end
function c.call.crash_and_continue(state) orrery.continue("after") error("boom") end
function c.call.timeout(state, seconds) orrery.timeout(seconds) return true end
function c.call.hibernate(state) orrery.hibernate() return true end
function c.call.garbage(state) local t = {} for i = 1, 1000 do t[i] = ("x"):rep(2000) .. i end end
function c.cast.note(state, what) note(state, what) end
function c.info.continue(state, what)
  note(state, what)
  if what == "once more" then orrery.continue("the last") end
end
function c.info.timeout(state) note(state, "nobody came") end
function c.info.moved(state) note(state, "moved") end
return c
)";

struct lua_timing : ::testing::Test {
  world w;
  void SetUp() override { ASSERT_TRUE(w.rt.define(lua_class(timing_script))); }
};

TEST_F(lua_timing, continue_runs_before_anything_that_waits) {
  const auto first = w.send("lua/a", "continue", json(R"("x")"));
  w.run();
  EXPECT_TRUE(w.reply_to(first));
  (void)w.rt.cast(w.now, named("lua/a"), "note", json("1"), w.out);
  const auto asking = w.send("lua/a", "continue", json(R"("once more")"));
  (void)w.rt.cast(w.now, named("lua/a"), "note", json("2"), w.out);
  w.run();
  EXPECT_EQ(w.reply_to(asking)->json_text(), R"("done")");
  EXPECT_EQ(w.ask("lua/a", "log"), R"(["asked for x","x",1,"asked for once more","once more","the last",2])");
}

TEST_F(lua_timing, continue_after_init_comes_before_the_first_message) {
  EXPECT_EQ(w.ask("lua/slow", "log"), R"(["set up"])");
}

TEST_F(lua_timing, continue_is_kept_where_the_callback_answers_with_an_error_and_not_where_it_crashes) {
  EXPECT_THAT(w.ask("lua/a", "fail_and_continue"), HasSubstr("conflict"));
  EXPECT_EQ(w.ask("lua/a", "log"), R"(["after"])");
  EXPECT_THAT(w.ask("lua/a", "crash_and_continue"), HasSubstr("boom"));
  EXPECT_EQ(w.ask("lua/a", "log"), "[]");
}

TEST_F(lua_timing, a_timeout_comes_where_nothing_else_does) {
  EXPECT_EQ(w.ask("lua/a", "timeout", "1.5"), "true");
  w.now += 1499ms;
  w.run();
  w.now += 1ms;
  w.run();
  EXPECT_EQ(w.ask("lua/a", "log"), R"(["nobody came"])");
  EXPECT_EQ(w.rt.next_deadline(), never);
}

TEST_F(lua_timing, any_message_cancels_a_timeout) {
  EXPECT_EQ(w.ask("lua/a", "timeout", "1"), "true");
  w.cast("lua/a", "note", "1");
  w.now += 2s;
  w.run();
  EXPECT_EQ(w.ask("lua/a", "log"), "[1]");
}

TEST_F(lua_timing, a_timeout_may_be_set_in_init) {
  w.cast("lua/other", "note", "1");
  EXPECT_EQ(w.rt.next_deadline(), never);
  w.cast("lua/lonely", "note", "1");  // starts it, and is the message that cancels it
  EXPECT_EQ(w.rt.next_deadline(), never);
}

TEST_F(lua_timing, what_has_no_function_for_it_is_refused) {
  ASSERT_TRUE(
      w.rt.define(lua_class("return {call = {t = function() orrery.timeout(1) end,\n"
                            "c = function() orrery.continue() end}}",
                            "other")));
  EXPECT_THAT(w.ask("other/a", "t"), HasSubstr("orrery.timeout: the script has no info.timeout"));
  EXPECT_THAT(w.ask("other/a", "c"), HasSubstr("orrery.continue: the script has no info.continue"));
}

TEST_F(lua_timing, hibernation_is_work_only_where_there_is_something_to_give_back) {
  for (int i = 0; i < 3; ++i)
    w.cast("lua/a", "note", "1");
  const auto cost = [&](const char* method) {
    const auto before = w.rt.spent();
    EXPECT_TRUE(w.call("lua/a", method));
    return w.rt.spent() - before;
  };
  EXPECT_TRUE(w.call("lua/a", "garbage"));
  EXPECT_GT(cost("hibernate"), 10U);  // it walks the heap of the class
  EXPECT_LE(cost("hibernate"), 2U);
  EXPECT_EQ(w.ask("lua/a", "log"), "[1,1,1]");
}

TEST_F(lua_timing, a_process_that_was_handed_over_hears_of_it_first) {
  world to;
  ASSERT_TRUE(to.rt.define(lua_class(timing_script)));
  w.cast("lua/a", "note", "1");
  (void)w.rt.cast(w.now, named("lua/a"), "note", json("2"), w.out);
  auto packed = w.rt.take(w.now, named("lua/a"), w.out);
  ASSERT_TRUE(packed);
  ASSERT_TRUE(to.rt.install(to.now, std::move(*packed), to.out));
  to.run();
  EXPECT_EQ(to.ask("lua/a", "log"), R"([1,"moved",2])");
}

TEST_F(lua_timing, a_process_with_a_continue_to_come_is_not_handed_over_before) {
  ASSERT_TRUE(w.rt.define(lua_class(timing_script, "again")));
  static_cast<void>(w.send("again/slow", "log"));  // started, and nothing handled yet
  EXPECT_THAT(to_string(w.rt.take(w.now, named("again/slow"), w.out).error()), HasSubstr("unavailable"));
  w.run();
  EXPECT_TRUE(w.rt.take(w.now, named("again/slow"), w.out));
}

}  // namespace
}  // namespace orrery::process
