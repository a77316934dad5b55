// Groups and the registry, as scripts see them.
#include "mesh/process/testing.hpp"

#include <gmock/gmock.h>

namespace orrery::process {
namespace {

using namespace testing;
using ::testing::HasSubstr;

constexpr const char* grouping_script = R"(
local c = {call = {}, info = {}}
function c.init() return {log = orrery.array()} end
local function note(state, what) state.log[#state.log + 1] = what end
function c.call.log(state) return state.log end
function c.call.pid() return orrery.pid() end
function c.call.join(state, group) orrery.join(group) end
function c.call.leave(state, group) return orrery.leave(group) end
function c.call.members(state, group) return orrery.members(group) end
function c.call.publish(state, a) return orrery.publish(a.group, a.word or "news", a.with) end
function c.call.watch(state, group) return orrery.monitor_group(group) end
function c.call.unwatch(state, group) orrery.demonitor_group(group) end
function c.call.register(state, a) return orrery.register(a.key, a.value, a.space) end
function c.call.register_careful(state, a)
  local ok, e = pcall(orrery.register, a.key, a.value, a.space)
  return ok and "held" or e.code
end
function c.call.unregister(state, a) return orrery.unregister(a.key, a.space) end
function c.call.update(state, a) orrery.update(a.key, a.value, a.space) end
function c.call.lookup(state, a) return orrery.lookup(a.key, a.space) end
function c.call.keys(state, a) return orrery.keys(a.prefix, a.space) end
function c.call.flood(state) orrery.join("g") while true do orrery.publish("g", "news", 1) end end
function c.info.news(state, what) note(state, what) end
function c.info.group_joined(state, t) note(state, {joined = #t.pids, group = t.group}) end
function c.info.group_left(state, t) note(state, {left = #t.pids, group = t.group}) end
return c
)";

struct lua_groups : ::testing::Test {
  world w;
  void SetUp() override { ASSERT_TRUE(w.rt.define(lua_class(grouping_script))); }
  std::string of(const std::string& key, std::string method, std::string_view argument = "null") {
    return w.ask("lua/" + key, std::move(method), argument);
  }
};

TEST_F(lua_groups, have_members_that_messages_are_published_to) {
  EXPECT_EQ(of("a", "join", R"("room")"), "null");
  EXPECT_EQ(of("b", "join", R"("room")"), "null");
  EXPECT_EQ(of("c", "members", R"("room")"), "[" + of("a", "pid") + "," + of("b", "pid") + "]");
  EXPECT_EQ(of("a", "publish", R"({"group":"room","with":{"x":1}})"), "2");
  EXPECT_EQ(of("a", "log"), R"([{"x":1}])");
  EXPECT_EQ(of("b", "log"), R"([{"x":1}])");
  EXPECT_EQ(of("b", "leave", R"("room")"), "true");
  EXPECT_EQ(of("b", "leave", R"("room")"), "false");
  EXPECT_TRUE(w.kill("lua/a"));
  EXPECT_EQ(of("c", "members", R"("room")"), "[]");
  EXPECT_EQ(of("c", "members", R"("nobody's")"), "[]");
}

TEST_F(lua_groups, tell_who_watches_them) {
  EXPECT_EQ(of("a", "join", R"("room")"), "null");
  EXPECT_EQ(of("w", "watch", R"("room")"), "[" + of("a", "pid") + "]");
  EXPECT_EQ(of("b", "join", R"("room")"), "null");
  EXPECT_TRUE(w.kill("lua/a"));
  EXPECT_EQ(of("w", "log"), R"([{"group":"room","joined":1},{"group":"room","left":1}])");
  EXPECT_EQ(of("w", "unwatch", R"("room")"), "null");
  EXPECT_EQ(of("c", "join", R"("room")"), "null");
  EXPECT_EQ(of("w", "log"), R"([{"group":"room","joined":1},{"group":"room","left":1}])");
}

TEST_F(lua_groups, refuse_names_that_are_none_words_of_the_system_and_floods) {
  EXPECT_THAT(of("a", "join", R"("")"), HasSubstr("orrery.join: "));
  EXPECT_THAT(of("a", "publish", R"({"group":"g","word":"group_left"})"), HasSubstr("is the system's"));
  EXPECT_THAT(of("a", "flood"), HasSubstr("more than 1000000 instructions"));
}

using lua_registry = lua_groups;

TEST_F(lua_registry, has_one_holder_of_a_key_in_the_mesh_until_it_ends) {
  EXPECT_EQ(of("a", "register", R"({"key":"leader","value":{"n":1}})"), "true");
  EXPECT_EQ(of("b", "lookup", R"({"key":"leader"})"),
            R"({"key":"leader","pid":)" + of("a", "pid") + R"(,"value":{"n":1}})");
  EXPECT_EQ(of("a", "update", R"({"key":"leader","value":2})"), "null");
  EXPECT_EQ(of("b", "keys", R"({"prefix":"lead"})"), R"([{"key":"leader","pid":)" + of("a", "pid") + R"(,"value":2}])");
  EXPECT_TRUE(w.kill("lua/a"));
  EXPECT_EQ(of("b", "lookup", R"({"key":"leader"})"), "null");
}

TEST_F(lua_registry, says_that_a_key_has_a_holder) {
  for (const auto* space : {"mesh_unique", "node_unique"}) {
    const auto fields = R"({"key":"k","space":")" + std::string{space} + R"("})";
    EXPECT_EQ(of("a", "register_careful", fields), R"("held")") << space;
    EXPECT_EQ(of("b", "register_careful", fields), R"("already_exists")") << space;
    EXPECT_EQ(of("b", "unregister", fields), "false") << space;
    EXPECT_EQ(of("a", "unregister", fields), "true") << space;
    EXPECT_EQ(of("b", "register_careful", fields), R"("held")") << space;
  }
}

TEST_F(lua_registry, has_spaces_where_many_hold_the_same_key) {
  EXPECT_EQ(of("a", "register", R"({"key":"k","value":1,"space":"node_duplicate"})"), "true");
  EXPECT_EQ(of("b", "register", R"({"key":"k","value":2,"space":"node_duplicate"})"), "true");
  EXPECT_EQ(of("c", "lookup", R"({"key":"k","space":"node_duplicate"})"), R"([{"key":"k","pid":)" + of("a", "pid") +
                                                                              R"(,"value":1},{"key":"k","pid":)" +
                                                                              of("b", "pid") + R"(,"value":2}])");
  EXPECT_EQ(of("c", "lookup", R"({"key":"k"})"), "null");
  EXPECT_THAT(of("c", "lookup", R"({"key":"k","space":"moon"})"), HasSubstr("invalid option 'moon'"));
}

}  // namespace
}  // namespace orrery::process
