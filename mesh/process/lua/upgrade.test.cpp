// New versions of scripts under running processes.
#include "mesh/process/testing.hpp"

#include <gmock/gmock.h>

namespace orrery::process {
namespace {

using namespace testing;
using ::testing::HasSubstr;

std::string version(int number, const std::string& more) {
  return "local c = {call = {}}\n"
         "function c.init(key) return {count = 0, made_by = " +
         std::to_string(number) +
         "} end\n"
         "function c.call.add(state) state.count = state.count + 1 return state.count end\n"
         "function c.call.get(state) return state end\n" +
         more + "\nreturn c";
}

TEST(code_change, meets_the_old_state_between_two_messages_and_nothing_that_waits_is_lost) {
  world w;
  auto spec = lua_class(version(1, ""));
  ASSERT_TRUE(w.rt.define(spec));
  EXPECT_EQ(w.ask("lua/a", "add"), "1");
  std::vector<std::uint64_t> waiting;
  for (int i = 0; i < 10; ++i)
    waiting.push_back(w.send("lua/a", "add"));
  spec.version = 2;
  spec.behaviour =
      lua_source{version(2, "function c.code_change(old, state) return {count = state.count * 100, from = old} end")};
  ASSERT_TRUE(w.rt.define(spec));
  w.run();
  EXPECT_EQ(w.reply_to(waiting.front())->json_text(), "101");
  EXPECT_EQ(w.reply_to(waiting.back())->json_text(), "110");
  EXPECT_EQ(w.ask("lua/a", "get"), R"({"count":110,"from":1})");
  EXPECT_EQ(w.rt.find(named("lua/a"))->restarts, 0U);
}

TEST(code_change, runs_once_for_each_new_version_and_a_process_of_this_version_has_none) {
  world w;
  auto spec = lua_class(version(1, ""));
  ASSERT_TRUE(w.rt.define(spec));
  EXPECT_EQ(w.ask("lua/a", "add"), "1");
  spec.version = 2;
  spec.behaviour = lua_source{version(2, "function c.code_change(old, state) state.count = -1 end")};
  ASSERT_TRUE(w.rt.define(spec));
  EXPECT_EQ(w.ask("lua/new", "add"), "1");
  EXPECT_EQ(w.ask("lua/a", "add"), "0");
  EXPECT_EQ(w.ask("lua/a", "add"), "1");
}

TEST(code_change, is_for_changes_of_the_script_and_not_of_what_else_a_class_has) {
  world w;
  const std::string counting = "function c.code_change(old, state) state.count = state.count + 1000 end";
  auto spec = lua_class(version(1, counting));
  ASSERT_TRUE(w.rt.define(spec));
  EXPECT_EQ(w.ask("lua/a", "add"), "1");
  for (spec.version = 2; spec.version < 6; ++spec.version) {
    spec.limits.instructions_max += 1000;
    ASSERT_TRUE(w.rt.define(spec));
  }
  EXPECT_EQ(w.ask("lua/a", "add"), "2");
  EXPECT_EQ(w.rt.find(named("lua/a"))->class_version, 5U);
  world to;
  spec.version = 7;
  ASSERT_TRUE(to.rt.define(spec));
  auto packed = w.rt.take(w.now, named("lua/a"), w.out);
  ASSERT_TRUE(packed);
  ASSERT_TRUE(to.rt.install(to.now, std::move(*packed), to.out));
  EXPECT_EQ(to.ask("lua/a", "add"), "3") << "nor where the node that it comes from had another version of the class";
  spec.version = 8;
  spec.behaviour = lua_source{version(2, counting)};
  ASSERT_TRUE(to.rt.define(spec));
  EXPECT_EQ(to.ask("lua/a", "add"), "1004");
}

TEST(code_change, that_fails_leaves_the_process_as_it_was_and_says_from_which_version_and_in_which_line) {
  world w;
  auto spec = lua_class(version(1, ""));
  ASSERT_TRUE(w.rt.define(spec));
  EXPECT_EQ(w.ask("lua/a", "add"), "1");
  spec.version = 2;
  spec.behaviour =
      lua_source{version(2, "function c.code_change(old, state) state.count = 99 error('cannot read it') end")};
  ASSERT_TRUE(w.rt.define(spec));
  EXPECT_EQ(w.ask("lua/a", "add"), "2");
  ASSERT_EQ(w.failures.size(), 1U);
  EXPECT_EQ(w.failures[0].callback, "code_change");
  EXPECT_EQ(w.failures[0].what,
            "error: code_change from version 1: line 5: cannot read it; the process goes on with version 1");
  EXPECT_EQ(w.ask("lua/a", "get"), R"({"count":2,"made_by":1})");
  EXPECT_EQ(w.failures.size(), 1U);  // it is not tried again
  EXPECT_EQ(w.rt.find(named("lua/a"))->class_version, 1U);
  EXPECT_EQ(w.ask("lua/new", "get"), R"({"count":0,"made_by":2})");
  EXPECT_EQ(w.rt.find(named("lua/new"))->class_version, 2U);
}

TEST(code_change, of_the_next_version_is_tried_on_a_process_that_one_has_failed_on) {
  world w;
  auto spec = lua_class(version(1, ""));
  ASSERT_TRUE(w.rt.define(spec));
  EXPECT_EQ(w.ask("lua/a", "add"), "1");
  spec.version = 2;
  spec.behaviour = lua_source{version(2, "function c.code_change(old, state) error('no') end")};
  ASSERT_TRUE(w.rt.define(spec));
  EXPECT_EQ(w.ask("lua/a", "add"), "2");
  spec.version = 3;
  spec.behaviour = lua_source{version(3, "function c.code_change(old, state) state.from = old end")};
  ASSERT_TRUE(w.rt.define(spec));
  EXPECT_EQ(w.ask("lua/a", "get"), R"({"count":2,"from":1,"made_by":1})");
  EXPECT_EQ(w.rt.find(named("lua/a"))->class_version, 3U);
}

TEST(code_change, over_a_limit_or_to_a_state_that_is_no_data_counts_as_failed_too) {
  for (const auto* body :
       {"while true do end", "state.f = error", "return ('x'):rep(3000000)", "orrery.stop() error()"}) {
    world w;
    auto spec = lua_class(version(1, ""));
    ASSERT_TRUE(w.rt.define(spec));
    EXPECT_EQ(w.ask("lua/a", "add"), "1");
    spec.version = 2;
    spec.behaviour = lua_source{version(2, std::string{"function c.code_change(old, state) "} + body + " end")};
    ASSERT_TRUE(w.rt.define(spec));
    EXPECT_EQ(w.ask("lua/a", "add"), "2") << body;
    EXPECT_EQ(w.rt.find(named("lua/a"))->restarts, 0U) << body;
  }
}

TEST(code_change, is_a_crash_where_it_fails_and_the_old_functions_are_there_no_more) {
  world w;
  auto spec = lua_class(version(1, ""));
  ASSERT_TRUE(w.rt.define(spec));
  EXPECT_EQ(w.ask("lua/a", "add"), "1");
  for (; spec.version < 10; ++spec.version) {  // one process of each version in between, so that all are in use
    spec.behaviour =
        lua_source{version(static_cast<int>(spec.version) + 1, "function c.code_change() error('no') end")};
    auto next = spec;
    ++next.version;
    ASSERT_TRUE(w.rt.define(next));
    EXPECT_EQ(w.ask("lua/v" + std::to_string(next.version), "add"), "1");
  }
  EXPECT_THAT(w.ask("lua/a", "add"), HasSubstr("code_change from version 1: line 5: no"));
  EXPECT_EQ(w.ask("lua/v9", "add"), "2");
  EXPECT_EQ(w.ask("lua/a", "add"), "1");
}

TEST(code_change, waits_for_a_callback_that_waits_and_that_one_ends_as_it_began) {
  world w;
  const std::string waiting =
      "function c.call.wait(state) orrery.call('lua/b', 'add') state.count = state.count + 1 return state.made_by end";
  auto spec = lua_class(version(1, waiting));
  ASSERT_TRUE(w.rt.define(spec));
  EXPECT_EQ(w.ask("lua/a", "add"), "1");
  EXPECT_EQ(w.ask("lua/b", "add"), "1");
  const auto calling = w.send("lua/a", "wait");
  ASSERT_TRUE(w.rt.run(w.now, 1, w.out));  // it waits
  spec.version = 2;
  spec.behaviour = lua_source{version(2, "function c.code_change(old, state) state.count = state.count * 100 end")};
  ASSERT_TRUE(w.rt.define(spec));
  w.run();
  EXPECT_EQ(w.reply_to(calling)->json_text(), "1");
  EXPECT_EQ(w.ask("lua/a", "add"), "201");
}

TEST(code_change, is_not_reached_by_a_version_that_does_not_compile_and_a_rollback_is_one_more_version) {
  world w;
  auto spec = lua_class(version(1, "function c.code_change(old, state) state.back_from = old end"));
  ASSERT_TRUE(w.rt.define(spec));
  EXPECT_EQ(w.ask("lua/a", "add"), "1");
  auto bad = spec;
  bad.version = 2;
  bad.behaviour = lua_source{"return {call = "};
  EXPECT_FALSE(w.rt.define(bad));
  EXPECT_EQ(w.ask("lua/a", "add"), "2");
  spec.version = 3;
  auto good = spec;
  good.behaviour = lua_source{version(3, "")};
  ASSERT_TRUE(w.rt.define(good));
  EXPECT_EQ(w.ask("lua/a", "add"), "3");
  spec.version = 4;
  ASSERT_TRUE(w.rt.define(spec));
  EXPECT_EQ(w.ask("lua/a", "get"), R"({"back_from":3,"count":3,"made_by":1})");
}

TEST(code_change, meets_a_state_that_arrives_from_a_node_of_an_older_version) {
  world from;
  world to;
  auto spec = lua_class(version(1, ""));
  ASSERT_TRUE(from.rt.define(spec));
  EXPECT_EQ(from.ask("lua/a", "add"), "1");
  spec.version = 2;
  spec.behaviour = lua_source{version(2, "function c.code_change(old, state) state.count = state.count + 1000 end")};
  ASSERT_TRUE(to.rt.define(spec));
  auto packed = from.rt.take(from.now, named("lua/a"), from.out);
  ASSERT_TRUE(packed);
  ASSERT_TRUE(to.rt.install(to.now, std::move(*packed), to.out));
  EXPECT_EQ(to.ask("lua/a", "add"), "1002");
}

}  // namespace
}  // namespace orrery::process
