// What users and scripts should not do: the documented answer, nobody else touched, and nothing left behind.
#include "mesh/process/testing.hpp"

#include <gmock/gmock.h>

namespace orrery::process {
namespace {

using namespace testing;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::size_t megabyte = 1U << 20U;

struct bad_input : ::testing::Test, world {
  bad_input() {
    EXPECT_TRUE(rt.define(counter_class()));
    EXPECT_EQ(ask("counter/bystander", "set", "7"), "7");
  }
  ~bad_input() override {
    EXPECT_EQ(ask("counter/bystander", "get"), "7");
    EXPECT_EQ(rt.find(named("counter/bystander"))->restarts, 0U);
    EXPECT_EQ(rt.count(), 1U) << "nothing is left behind";
  }
};

TEST_F(bad_input, a_key_of_a_megabyte_is_no_name_and_is_not_repeated) {
  const auto made = make_process_name("counter", std::string(megabyte, 'k'));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, errc::too_large);
  EXPECT_LT(made.error().context.size(), 300U);
  const auto parsed = parse_process_name("counter/" + std::string(megabyte, 'k'));
  ASSERT_FALSE(parsed);
  EXPECT_LT(parsed.error().context.size(), 300U);
}

TEST_F(bad_input, a_class_name_of_a_megabyte_is_refused_and_not_repeated) {
  const auto defined = rt.define(counter_class(std::string(megabyte, 'c')));
  ASSERT_FALSE(defined);
  EXPECT_EQ(defined.error().code, errc::invalid_argument);
  EXPECT_LT(defined.error().context.size(), 300U);
  EXPECT_LT(make_process_name(std::string(megabyte, 'c'), "k").error().context.size(), 300U);
}

TEST_F(bad_input, a_parent_of_a_megabyte_is_refused_and_not_repeated) {
  auto spec = counter_class("child");
  spec.supervision.parent = class_name{std::string(megabyte, 'p')};
  const auto defined = rt.define(spec);
  ASSERT_FALSE(defined);
  EXPECT_THAT(defined.error().context, HasSubstr("supervision.parent is 'ppp"));
  EXPECT_LT(defined.error().context.size(), 300U);
}

TEST_F(bad_input, a_method_of_a_megabyte_is_refused_and_not_repeated) {
  const auto token = send("counter/bystander", std::string(megabyte, 'm'));
  ASSERT_FALSE(reply_to(token));
  EXPECT_EQ(reply_to(token).error().code, errc::not_found);
  EXPECT_LT(reply_to(token).error().context.size(), 300U);
}

TEST_F(bad_input, names_that_never_were_cannot_be_stopped_killed_released_or_taken) {
  EXPECT_FALSE(stop("counter/nobody"));
  EXPECT_FALSE(kill("counter/nobody"));
  EXPECT_FALSE(rt.release(now, named("counter/nobody"), out));
  EXPECT_FALSE(rt.given_up(named("counter/nobody")));
  EXPECT_EQ(rt.take(now, named("counter/nobody"), out).error().code, errc::not_found);
  EXPECT_FALSE(stop("nosuch/nobody"));
  EXPECT_TRUE(rt.start_declared(now, named("counter/nobody"), out)) << "there is nothing to do";
  rt.let_go(now, named("counter/nobody"), out);
  rt.let_go(now, named("nosuch/nobody"), out);
}

TEST_F(bad_input, a_script_that_recurses_without_end_ends_its_process_only_each_time) {
  auto spec = lua_class(R"(
local b = {call = {}}
function b.call.deep(state) local function f(n) return 1 + f(n + 1) end return f(1) end
function b.call.ping(state) return 'pong' end
return b)");
  spec.supervision.intensity = 1000;
  ASSERT_TRUE(rt.define(spec));
  for (int i = 0; i < 10; ++i) {
    const auto reply = call("lua/x", "deep");
    ASSERT_FALSE(reply);
    EXPECT_TRUE(reply.error().code == errc::limit_exceeded || reply.error().code == errc::process_exited);
    EXPECT_THAT(reply.error().context, AllOf(HasSubstr("lua/x exited"), HasSubstr("line 3")));
  }
  EXPECT_EQ(ask("lua/x", "ping"), R"("pong")");
  EXPECT_EQ(rt.find(named("lua/x"))->restarts, 10U);
  EXPECT_TRUE(stop("lua/x"));
}

TEST_F(bad_input, a_script_that_recurses_in_init_never_was) {
  ASSERT_TRUE(
      rt.define(lua_class("local function f(n) return 1 + f(n + 1) end\n"
                          "return {init = function() return f(1) end, call = {get = function() end}}")));
  EXPECT_THAT(ask("lua/x", "get"), HasSubstr("lua/x exited"));
  EXPECT_FALSE(rt.find(named("lua/x")));
}

TEST_F(bad_input, a_script_whose_error_is_a_megabyte_is_quoted_up_to_a_bound) {
  auto spec = lua_class("return {call = {fail = function() error(('x'):rep(2^20)) end}}");
  ASSERT_TRUE(rt.define(spec));
  const auto reply = call("lua/x", "fail");
  ASSERT_FALSE(reply);
  EXPECT_LT(reply.error().context.size(), 2000U);
  EXPECT_LT(rt.find(named("lua/x"))->last->reason.detail.size(), 2000U);
  EXPECT_TRUE(stop("lua/x"));
}

TEST_F(bad_input, reasons_that_hold_each_other_level_by_level_stay_short) {
  std::string parent;
  for (int level = 0; level < 8; ++level) {
    auto spec = level == 7 ? lua_class("return {call = {fail = function() error(('x'):rep(2^20)) end}}", "level7")
                           : counter_class("level" + std::to_string(level));
    spec.supervision.intensity = 0;
    if (level > 0) spec.supervision.parent = class_name{parent};
    parent = spec.name.value;
    ASSERT_TRUE(rt.define(spec));
  }
  keep_declared();
  ask("level7/x", "fail");
  ASSERT_EQ(escalations.size(), 8U);
  for (const auto& each : escalations)
    EXPECT_LT(each.why.size(), 2000U);
}

TEST_F(bad_input, a_mailbox_at_its_bound_holds_no_more_and_nothing_when_its_process_has_gone) {
  auto spec = counter_class("small");
  spec.limits.mailbox_max = 10;
  ASSERT_TRUE(rt.define(spec));
  std::vector<std::uint64_t> asked;
  for (int i = 0; i < 1000; ++i)
    asked.push_back(send("small/x", "add"));
  EXPECT_EQ(rt.find(named("small/x"))->mailbox, 10U);
  EXPECT_TRUE(stop("small/x"));
  std::map<errc, int> heard;
  for (const auto token : asked)
    ++heard[reply_to(token).error().code];
  EXPECT_EQ(heard, (std::map<errc, int>{{errc::overloaded, 990}, {errc::process_exited, 10}}));
}

TEST_F(bad_input, a_call_is_answered_once_even_if_its_process_stops_after_its_reply) {
  ASSERT_TRUE(rt.define(lua_class("return {call = {last = function(s) orrery.stop() return 'bye' end}}")));
  EXPECT_EQ(ask("lua/x", "last"), R"("bye")");  // the world fails a test that hears two answers
  EXPECT_THAT(escalations, IsEmpty());
  EXPECT_TRUE(stop("lua/x")) << "it is permanent, so it came back";
}

}  // namespace
}  // namespace orrery::process
