// What people are told of a script that fails: the line, the callback, and the way that led there.
#include "mesh/process/testing.hpp"

#include <gmock/gmock.h>

namespace orrery::process {
namespace {

using namespace testing;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

constexpr const char* failing_script = R"(local c = {call = {}, info = {}}
local function price(item)
  return item.price * 2
end
local function total(items)
  local sum = 0
  for _, item in ipairs(items) do sum = sum + price(item) end
  return sum
end
function c.init(key) if key == "bad" then error("cannot start") end return {} end
function c.call.total(state, items)
  local sum = total(items)
  return sum
end
function c.call.deep(state)
  local function down(n) if n == 0 then error("deep") end return (down(n - 1)) end
  return (down(100))
end
function c.call.loop() while true do end end
function c.call.caught() return {pcall(error, "x")} end
function c.call.refused() orrery.fail("conflict", "no") end
function c.call.bad_state(state) state.f = total end
function c.call.tick(state) orrery.send_after(1, "tick") end
function c.info.tick(state) error("tock") end
function c.call.waits(state) local reply = orrery.call("lua/other", "refused") return reply end
function c.terminate(state, reason) if reason == "normal" then error("at the end") end end
return c
)";

struct script_failures : ::testing::Test {
  world w;
  void SetUp() override {
    auto spec = lua_class(failing_script);
    spec.supervision.intensity = 100;
    ASSERT_TRUE(w.rt.define(spec));
  }
};

TEST_F(script_failures, are_told_with_callback_line_and_traceback) {
  EXPECT_THAT(w.ask("lua/a", "total", R"([{"price":1},{}])"), HasSubstr("line 3: attempt to perform arithmetic"));
  ASSERT_THAT(w.failures, SizeIs(1));
  const auto& told = w.failures[0];
  EXPECT_EQ(to_string(told.name), "lua/a");
  EXPECT_THAT(told.id, StartsWith("demo-aaaaa@7."));
  EXPECT_EQ(told.callback, "call total");
  EXPECT_THAT(told.what, StartsWith("error: line 3: attempt to perform arithmetic on a nil value (field 'price')"));
  EXPECT_EQ(told.traceback, "price (line 3) < total (line 7) < function at 11 (line 12)");
}

TEST_F(script_failures, have_a_bounded_traceback) {
  EXPECT_THAT(w.ask("lua/a", "deep"), HasSubstr("deep"));
  ASSERT_THAT(w.failures, SizeIs(1));
  EXPECT_THAT(w.failures[0].traceback, StartsWith("down (line 16) < down (line 16) < "));
  EXPECT_THAT(w.failures[0].traceback, ::testing::EndsWith(" < ..."));
  EXPECT_LE(w.failures[0].traceback.size(), 1000U);
}

TEST_F(script_failures, say_where_a_limit_was_hit) {
  EXPECT_THAT(w.ask("lua/a", "loop"), HasSubstr("line 19"));
  ASSERT_THAT(w.failures, SizeIs(1));
  EXPECT_EQ(w.failures[0].traceback, "function at 19 (line 19)");
}

TEST_F(script_failures, of_init_info_terminate_and_the_state_are_told_too) {
  EXPECT_THAT(w.ask("lua/bad", "total"), HasSubstr("cannot start"));
  EXPECT_EQ(w.failures.back().callback, "init");
  EXPECT_EQ(w.ask("lua/a", "tick"), "null");
  w.now += 1s;
  w.run();
  EXPECT_EQ(w.failures.back().callback, "info tick");
  EXPECT_THAT(w.ask("lua/a", "bad_state"), HasSubstr("cannot be kept"));
  EXPECT_EQ(w.failures.back().callback, "call bad_state");
  EXPECT_EQ(w.ask("lua/a", "caught").substr(0, 6), "[false");
  EXPECT_TRUE(w.stop("lua/a"));
  EXPECT_EQ(w.failures.back().callback, "terminate");
  EXPECT_THAT(w.failures, SizeIs(4));
}

TEST_F(script_failures, of_a_call_that_was_waited_for_have_the_line_that_waited) {
  EXPECT_THAT(w.ask("lua/other", "refused"), HasSubstr("conflict"));
  EXPECT_THAT(w.ask("lua/a", "waits"), HasSubstr("line 25: conflict: no"));
  ASSERT_THAT(w.failures, SizeIs(1));
  EXPECT_EQ(w.failures[0].traceback, "function at 25 (line 25)");
}

TEST_F(script_failures, are_not_told_of_what_the_script_caught_or_meant) {
  EXPECT_THAT(w.ask("lua/a", "caught"), HasSubstr("false"));
  EXPECT_THAT(w.ask("lua/a", "refused"), HasSubstr("conflict"));
  EXPECT_THAT(w.failures, IsEmpty());
}

}  // namespace
}  // namespace orrery::process
