// Pids, plain messages, monitors, links and exits of scripts, and processes without a name.
#include "mesh/process/testing.hpp"

#include <gmock/gmock.h>

namespace orrery::process {
namespace {

using namespace testing;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr const char* spawning_script = R"(
local c = {call = {}, cast = {}, info = {}}
function c.init(key, argument)
  if argument == "fail" then error("cannot") end
  if argument == "stop" then orrery.stop("not today") end
  return {key = key, argument = argument, log = orrery.array()}
end
local function note(state, what) state.log[#state.log + 1] = what end
function c.call.log(state) local log = state.log state.log = orrery.array() return log end
function c.call.argument(state) return state.argument end
function c.call.key(state) return state.key end
function c.call.pid(state) return orrery.pid() end
function c.call.send(state, a) return orrery.send(a.to, a.word, a.with) end
function c.call.cast(state, a) return orrery.cast(a.to, "noted", a.with) end
function c.call.monitor(state, target) state.ref = orrery.monitor(target) return state.ref end
function c.call.demonitor(state, ref) return orrery.demonitor(ref or state.ref) end
function c.call.link(state, target) orrery.link(target) end
function c.call.unlink(state, target) orrery.unlink(target) end
function c.call.trap(state, on) return orrery.trap_exit(on) end
function c.call.exit(state, a) orrery.exit(a.target, a.reason) return "lived on" end
function c.call.exit_self(state, reason) orrery.exit(orrery.pid(), reason) return "lived on" end
function c.call.exit_self_in_pcall(state, reason)
  pcall(orrery.exit, orrery.pid(), reason)
  while true do end
end
function c.call.crash() error("boom") end
function c.call.stop(state, reason) orrery.stop(reason) end
function c.call.spawn(state, a) return {orrery.spawn(a.class or "lua", a.with, a)} end
function c.call.spawn_careful(state, a)
  local ok, e = pcall(orrery.spawn, a.class or "lua", a.with, a)
  return ok and "started" or tostring(e)
end
function c.call.call(state, pid) return orrery.call(pid, "argument") end
function c.call.spawn_many(state) local n = 0 while true do orrery.spawn("lua") n = n + 1 end end
function c.cast.noted(state, what) note(state, what) end
function c.info.hello(state, what) note(state, what) end
function c.info.down(state, d) note(state, {down = d.pid, reason = d.reason, detail = d.detail, same = d.ref == state.ref}) end
function c.info.exit(state, e) note(state, {exit = e.pid, reason = e.reason, detail = e.detail}) end
function c.terminate(state, reason) if state.argument == "tell" then orrery.cast("log/l", "bye", reason) end end
return c
)";

struct scripts : ::testing::Test {
  world w;
  std::string a;
  std::string b;  ///< their pids
  void SetUp() override {
    auto spec = lua_class(spawning_script);
    spec.supervision.restart = restart_type::temporary;
    ASSERT_TRUE(w.rt.define(spec));
    a = pid_of("a");
    b = pid_of("b");
  }
  std::string of(const std::string& key, std::string method, std::string_view argument = "null") {
    return w.ask("lua/" + key, std::move(method), argument);
  }
  std::string pid_of(const std::string& key) {
    const auto text = of(key, "pid");
    return text.substr(1, text.size() - 2);
  }
  static std::string quoted(const std::string& text) { return "\"" + text + "\""; }
  bool lives(const std::string& key) { return w.rt.find(named("lua/" + key)).has_value(); }
};

using lua_pids = scripts;

TEST_F(lua_pids, are_texts_that_messages_can_be_sent_to) {
  EXPECT_THAT(a, StartsWith("demo-aaaaa@7."));
  EXPECT_EQ(of("a", "send", R"({"to":")" + b + R"(","word":"hello","with":{"x":1}})"), "null");
  EXPECT_EQ(of("a", "cast", R"({"to":")" + b + R"(","with":2})"), "null");
  EXPECT_EQ(of("a", "send", R"({"to":"lua/b","word":"hello","with":3})"), "null");
  EXPECT_EQ(of("b", "log"), R"([{"x":1},2,3])");
}

TEST_F(lua_pids, of_processes_that_are_no_more_take_messages_silently) {
  EXPECT_TRUE(w.kill("lua/b"));
  EXPECT_EQ(of("a", "send", R"({"to":")" + b + R"(","word":"hello"})"), "null");
}

TEST_F(lua_pids, that_are_none_and_words_of_the_system_are_refused) {
  EXPECT_THAT(of("a", "send", R"({"to":"nobody@","word":"hello"})"), HasSubstr("orrery.send: 'nobody@' is no pid"));
  EXPECT_THAT(of("c", "send", R"({"to":")" + b + R"(","word":"down","with":{"pid":"x"}})"),
              HasSubstr("is the system's"));
  EXPECT_EQ(of("b", "log"), "[]");
}

using lua_monitors = scripts;

TEST_F(lua_monitors, tell_how_the_process_ended) {
  EXPECT_NE(of("a", "monitor", quoted(b)), "null");
  EXPECT_THAT(of("b", "crash"), HasSubstr("boom"));
  EXPECT_THAT(of("a", "log"), AllOf(HasSubstr(R"("down":")" + b), HasSubstr(R"("reason":"error","same":true)"),
                                    HasSubstr(R"("detail":"line 26: boom")")));
  EXPECT_TRUE(lives("a"));
}

TEST_F(lua_monitors, of_what_is_not_there_say_noproc) {
  EXPECT_TRUE(w.kill("lua/b"));
  EXPECT_NE(of("a", "monitor", quoted(b)), "null");
  EXPECT_THAT(of("a", "log"), HasSubstr(R"("reason":"noproc")"));
}

TEST_F(lua_monitors, can_be_given_up_and_then_say_nothing) {
  EXPECT_NE(of("a", "monitor", quoted(b)), "null");
  EXPECT_EQ(of("a", "demonitor"), "true");
  EXPECT_EQ(of("a", "demonitor"), "false");
  EXPECT_TRUE(w.kill("lua/b"));
  EXPECT_EQ(of("a", "log"), "[]");
}

TEST_F(lua_monitors, of_another_process_cannot_be_given_up) {
  const auto ref = of("a", "monitor", quoted(b));
  EXPECT_EQ(of("c", "demonitor", ref), "false");
  EXPECT_TRUE(w.kill("lua/b"));
  EXPECT_THAT(of("a", "log"), HasSubstr("killed"));
}

TEST_F(lua_monitors, need_a_function_for_what_they_tell) {
  ASSERT_TRUE(w.rt.define(lua_class("return {call = {f = function(s, p) orrery.monitor(p) end}}", "other")));
  EXPECT_THAT(w.ask("other/a", "f", quoted(a)), HasSubstr("the script has no info.down"));
}

using lua_links = scripts;

TEST_F(lua_links, take_the_other_along_with_the_same_reason) {
  EXPECT_EQ(of("a", "link", quoted(b)), "null");
  EXPECT_THAT(of("b", "crash"), HasSubstr("boom"));
  EXPECT_FALSE(lives("a"));
  EXPECT_EQ(to_string(w.events.back().reason), "error: line 26: boom");
}

TEST_F(lua_links, do_not_take_along_for_normal_and_not_once_unlinked) {
  EXPECT_EQ(of("a", "link", quoted(b)), "null");
  EXPECT_EQ(of("b", "stop"), "null");
  EXPECT_TRUE(lives("a"));
  b = pid_of("b");
  EXPECT_EQ(of("a", "link", quoted(b)), "null");
  EXPECT_EQ(of("a", "unlink", quoted(b)), "null");
  EXPECT_THAT(of("b", "crash"), HasSubstr("boom"));
  EXPECT_TRUE(lives("a"));
}

TEST_F(lua_links, tell_who_traps_exits_instead) {
  EXPECT_EQ(of("a", "trap", "true"), "false");
  EXPECT_EQ(of("a", "link", quoted(b)), "null");
  EXPECT_THAT(of("b", "crash"), HasSubstr("boom"));
  EXPECT_EQ(of("a", "log"), R"([{"detail":"line 26: boom","exit":")" + b + R"(","reason":"error"}])");
  EXPECT_EQ(of("a", "trap", "false"), "true");
}

TEST_F(lua_links, to_what_is_not_there_end_the_callback_where_it_is) {
  EXPECT_TRUE(w.kill("lua/b"));
  EXPECT_THAT(of("a", "link", quoted(b)), HasSubstr("noproc"));
  EXPECT_FALSE(lives("a"));
}

using lua_exits = scripts;

TEST_F(lua_exits, end_a_process_for_the_reason_given_unless_it_is_normal) {
  const auto exit = [&](const std::string& reason) {
    return of("a", "exit", R"({"target":")" + b + R"(","reason":")" + reason + R"("})");
  };
  EXPECT_EQ(exit("normal"), R"("lived on")");
  EXPECT_TRUE(lives("b"));
  EXPECT_EQ(exit("shutdown: over"), R"("lived on")");
  EXPECT_EQ(to_string(w.events.back().reason), "shutdown: over");
  b = pid_of("b");
  EXPECT_EQ(exit("had enough"), R"("lived on")");
  EXPECT_EQ(to_string(w.events.back().reason), "error: had enough");
}

TEST_F(lua_exits, come_as_a_message_to_who_traps_them_but_kill_does_not) {
  EXPECT_EQ(of("b", "trap", "true"), "false");
  EXPECT_EQ(of("a", "exit", R"({"target":")" + b + R"(","reason":"normal"})"), R"("lived on")");
  EXPECT_EQ(of("b", "log"), R"([{"exit":")" + a + R"(","reason":"normal"}])");
  EXPECT_EQ(of("a", "exit", R"({"target":")" + b + R"(","reason":"kill"})"), R"("lived on")");
  EXPECT_EQ(to_string(w.events.back().reason), "killed");
}

TEST_F(lua_exits, of_oneself_cut_the_callback_off_whatever_it_catches) {
  EXPECT_THAT(of("a", "exit_self", R"("normal")"), HasSubstr("a exited, normal"));
  EXPECT_THAT(of("a", "exit_self_in_pcall", R"("over")"), HasSubstr("a exited, error: over"));
  EXPECT_THAT(of("a", "exit_self", R"("kill")"), HasSubstr("a exited, killed"));
  EXPECT_TRUE(w.failures.empty());
}

// ---- processes without a name ----

using lua_spawn = scripts;

TEST_F(lua_spawn, starts_a_process_that_is_known_by_its_pid) {
  auto pid = of("a", "spawn", R"({"with":{"n":1}})");
  pid = pid.substr(2, pid.size() - 4);
  EXPECT_EQ(of("a", "call", quoted(pid)), R"({"n":1})");
  const auto listed = w.rt.list({}, {}, 100);
  ASSERT_EQ(listed.size(), 3U);
  EXPECT_EQ(listed.back().name.key.value, pid);
  EXPECT_EQ(to_string(listed.back().id), pid);
  const auto next = w.rt.list({}, listed[1].name, 100);
  ASSERT_EQ(next.size(), 1U);
  EXPECT_EQ(to_string(next[0].id), pid);
  EXPECT_EQ(w.events.back().what, process_event::kind::started);
}

TEST_F(lua_spawn, whose_init_fails_is_the_spawners_error_and_leaves_nothing) {
  EXPECT_THAT(of("a", "spawn_careful", R"({"with":"fail"})"),
              AllOf(HasSubstr("process_exited: lua/demo-aaaaa@7."), HasSubstr("line 4: cannot (while it started)")));
  EXPECT_THAT(of("a", "spawn_careful", R"({"with":"stop"})"), HasSubstr("shutdown: not today (while it started)"));
  EXPECT_THAT(of("a", "spawn_careful", R"({"class":"none"})"), HasSubstr("not_found: no class 'none'"));
  EXPECT_EQ(w.rt.count(), 2U);
}

TEST_F(lua_spawn, with_a_monitor_hears_of_the_end) {
  const auto made = of("a", "spawn", R"({"monitor":true})");
  const auto pid = made.substr(2, made.find('"', 2) - 2);
  EXPECT_EQ(of("b", "exit", R"({"target":")" + pid + R"(","reason":"kill"})"), R"("lived on")");
  EXPECT_THAT(of("a", "log"), AllOf(HasSubstr(pid), HasSubstr(R"("reason":"killed")")));
  EXPECT_EQ(w.rt.count(), 2U);
}

TEST_F(lua_spawn, with_a_link_ends_with_its_parent_and_terminate_runs_where_it_traps_exits) {
  const auto made = of("a", "spawn", R"({"link":true,"with":"tell"})");
  EXPECT_EQ(w.rt.count(), 3U);
  EXPECT_EQ(of("b", "call", made.substr(1, made.size() - 2)), R"("tell")");
  EXPECT_TRUE(w.kill("lua/a"));
  EXPECT_EQ(w.rt.count(), 1U);
  EXPECT_TRUE(w.casts.empty());
}

TEST_F(lua_spawn, without_a_link_outlives_its_parent) {
  const auto made = of("a", "spawn", "{}");
  EXPECT_TRUE(w.kill("lua/a"));
  EXPECT_EQ(of("b", "call", made.substr(1, made.size() - 2)), "null");
}

TEST_F(lua_spawn, in_a_loop_ends_at_the_limit_of_the_callback) {
  EXPECT_THAT(of("a", "spawn_many"), HasSubstr("more than 1000000 instructions"));
  EXPECT_LE(w.rt.count(), 201U);
}

TEST_F(lua_spawn, are_not_walked_for_a_move_and_end_with_their_class) {
  EXPECT_NE(of("a", "spawn", "{}"), "null");
  EXPECT_EQ(w.rt.names_from(0, 1000).names.size(), 2U);
  w.rt.undefine(w.now, class_name{"lua"}, w.out);
  w.collect();
  EXPECT_EQ(w.rt.count(), 0U);
}

TEST_F(lua_spawn, more_than_the_node_may_run_are_refused) {
  world small;
  small.rt = runtime({.node = {node_name{"demo-aaaaa"}, boot_number{7}}, .seed = 1, .processes_max = 2});
  ASSERT_TRUE(small.rt.define(lua_class(spawning_script)));
  EXPECT_EQ(small.ask("lua/a", "spawn_careful", "{}"), R"("started")");
  EXPECT_THAT(small.ask("lua/a", "spawn_careful", "{}"), HasSubstr("overloaded: as many processes run here"));
}

}  // namespace
}  // namespace orrery::process
