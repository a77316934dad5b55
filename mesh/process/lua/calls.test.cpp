// Calls from within callbacks, asked calls, and answers that come later.
#include "mesh/process/testing.hpp"

#include <gmock/gmock.h>

namespace orrery::process {
namespace {

using namespace testing;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* calling_script = R"(
local c = {call = {}, cast = {}, info = {}}
function c.init(key) return {key = key, log = orrery.array(), count = 0} end

-- a server
function c.call.echo(state, argument) state.count = state.count + 1 return {state.key, argument} end
function c.call.refuse() orrery.fail("conflict", "not now") end
function c.call.crash() error("boom") end
function c.call.never() return orrery.later() end
function c.call.count(state) return state.count end
function c.call.log(state) return state.log end
function c.cast.note(state, what) state.log[#state.log + 1] = what end

-- a client
function c.call.through(state, a)
  state.log[#state.log + 1] = "before"
  local reply = orrery.call(a.to, a.method or "echo", a.with, a.seconds)
  state.log[#state.log + 1] = "after"
  return reply
end
function c.call.careful(state, a)
  local ok, e = pcall(orrery.call, a.to, a.method, nil, a.seconds)
  if ok then return e end
  return {code = e.code, text = e.text, effect = e.effect, all = tostring(e)}
end
function c.call.in_pcalls(state, a)
  return {pcall(function() return select(2, pcall(orrery.call, a.to, "echo", 1)), orrery.call(a.to, "echo", 2) end)}
end
function c.call.handled(state, a)
  return {xpcall(orrery.call, function(e) return e.code .. "!" end, a.to, a.method)}
end
function c.call.loop(state, a) while true do orrery.call(a.to, "echo") end end
function c.call.hoard(state, a)
  local t = {}
  while true do t[#t + 1] = orrery.call(a.to, "echo", ("x"):rep(100000))[2] .. #t end
end
function c.cast.through(state, a) state.got = orrery.call(a.to, "echo", a.with) end
function c.call.got(state) return state.got end
function c.call.sorting(state, a)
  local t = {2, 1}
  table.sort(t, function(x, y) orrery.call(a.to, "echo") return x < y end)
end
function c.call.stopping(state, a) orrery.call(a.to, "echo") orrery.stop("enough") return "bye" end

-- asked
function c.call.ask(state, a) state.asked = orrery.ask(a.to, a.method, a.with, a.seconds) return state.asked end
function c.call.ask_many(state, a) for i = 1, 1001 do orrery.ask(a.to, "never", nil, 1) end end
function c.info.reply(state, r) state.log[#state.log + 1] = {same = r.ref == state.asked, ok = r.ok, value = r.value, code = r.code, text = r.text} end
return c
)";

struct pair : ::testing::Test {
  world w;
  void SetUp() override {
    auto spec = lua_class(calling_script);
    spec.supervision.intensity = 1000;
    ASSERT_TRUE(w.rt.define(spec));
    EXPECT_EQ(w.ask("lua/server", "count"), "0");
    EXPECT_EQ(w.ask("lua/client", "count"), "0");
  }
  std::string client(std::string method, std::string_view argument) {
    return w.ask("lua/client", std::move(method), argument);
  }
};

using lua_call = pair;

TEST_F(lua_call, looks_synchronous_and_brings_the_reply) {
  EXPECT_EQ(client("through", R"({"to":"lua/server","with":{"a":[1]}})"), R"(["server",{"a":[1]}])");
  EXPECT_EQ(client("log", "null"), R"(["before","after"])");
  EXPECT_EQ(w.ask("lua/server", "count"), "1");
}

TEST_F(lua_call, works_from_a_cast_too_and_what_it_changed_stays) {
  w.cast("lua/client", "through", R"({"to":"lua/server","with":5})");
  EXPECT_EQ(client("got", "null"), R"(["server",5])");
}

TEST_F(lua_call, lets_nothing_else_through_while_it_waits) {
  const auto calling = w.send("lua/client", "through", json(R"({"to":"lua/server","method":"never","seconds":2})"));
  w.run();
  const auto behind = w.send("lua/client", "log");
  w.run();
  EXPECT_EQ(w.reply_to(behind).error().context, "no answer yet");
  w.now += 2s;
  w.run();
  EXPECT_EQ(w.reply_to(calling).error().code, errc::process_exited);  // it did not catch the error
  EXPECT_THAT(w.events.back().reason.detail, AllOf(StartsWith("line 17: deadline_exceeded"), HasSubstr("no answer")));
}

TEST_F(lua_call, raises_what_went_wrong_with_a_code_that_pcall_catches) {
  const auto careful = [&](const std::string& fields) { return client("careful", "{" + fields + "}"); };
  EXPECT_EQ(careful(R"("to":"lua/server","method":"refuse")"),
            R"({"all":"conflict: not now","code":"conflict","effect":"executed","text":"not now"})");
  EXPECT_THAT(careful(R"("to":"lua/server","method":"crash")"),
              AllOf(HasSubstr(R"("code":"process_exited")"), HasSubstr("boom")));
  EXPECT_THAT(careful(R"("to":"lua/server","method":"nothing")"), HasSubstr(R"("code":"not_found")"));
  EXPECT_THAT(careful(R"("to":"none/server","method":"echo")"), HasSubstr(R"("code":"not_found")"));
  EXPECT_THAT(careful(R"("to":"lua/client","method":"echo")"), HasSubstr("calling_self"));
}

TEST_F(lua_call, of_a_pid_that_is_no_more_says_noproc) {
  const auto pid = to_string(w.rt.find(named("lua/server"))->id);
  EXPECT_EQ(client("through", R"({"to":")" + pid + R"(","with":1})"), R"(["server",1])");
  EXPECT_TRUE(w.kill("lua/server"));
  EXPECT_THAT(client("careful", R"({"to":")" + pid + R"(","method":"echo"})"),
              AllOf(HasSubstr("process_exited"), HasSubstr("noproc")));
}

TEST_F(lua_call, hears_of_the_callees_end_while_it_waits) {
  const auto calling = w.send("lua/client", "careful", json(R"({"to":"lua/server","method":"never"})"));
  w.run();
  EXPECT_TRUE(w.kill("lua/server"));
  w.run();
  EXPECT_THAT(w.reply_to(calling)->json_text(), AllOf(HasSubstr("process_exited"), HasSubstr("killed")));
}

TEST_F(lua_call, may_be_within_pcalls_within_each_other_and_under_a_handler) {
  EXPECT_EQ(client("in_pcalls", R"({"to":"lua/server"})"), R"([true,["server",1],["server",2]])");
  EXPECT_EQ(client("handled", R"({"to":"lua/server","method":"echo"})"), R"([true,["server"]])");
  EXPECT_EQ(client("handled", R"({"to":"lua/server","method":"refuse"})"), R"([false,"conflict!"])");
}

TEST_F(lua_call, is_refused_where_it_cannot_wait) {
  EXPECT_THAT(client("sorting", R"({"to":"lua/server"})"), HasSubstr("orrery.call cannot wait here"));
  ASSERT_TRUE(
      w.rt.define(lua_class("return {init = function() orrery.call('lua/server', 'echo') end,\n"
                            "call = {f = function() end}}",
                            "other")));
  EXPECT_THAT(w.ask("other/a", "f"), HasSubstr("line 1: orrery.call cannot wait here: not in init"));
}

TEST_F(lua_call, keeps_the_limits_of_one_callback_across_all_its_waits) {
  EXPECT_THAT(client("loop", R"({"to":"lua/server"})"), HasSubstr("more than 1000000 instructions in one callback"));
  EXPECT_THAT(client("hoard", R"({"to":"lua/server"})"), HasSubstr("bytes allocated in one callback"));
}

TEST_F(lua_call, that_waits_goes_with_its_process_and_the_late_reply_is_dropped) {
  const auto calling = w.send("lua/client", "through", json(R"({"to":"lua/server","method":"never"})"));
  w.run();
  EXPECT_TRUE(w.kill("lua/client"));
  w.run();
  EXPECT_EQ(w.reply_to(calling).error().code, errc::process_exited);
  EXPECT_EQ(client("log", "null"), "[]");
  w.now += 10s;
  w.run();
  EXPECT_EQ(client("log", "null"), "[]");
}

TEST_F(lua_call, ends_in_a_stop_or_another_call_as_any_callback_may) {
  const auto calling = w.send("lua/client", "stopping", json(R"({"to":"lua/server"})"));
  w.run();
  EXPECT_EQ(w.reply_to(calling)->json_text(), R"("bye")");
  EXPECT_EQ(to_string(w.events[w.events.size() - 2].reason), "shutdown: enough");
}

TEST_F(lua_call, that_waits_is_cut_off_where_its_class_becomes_another_kind_and_its_caller_hears) {
  ASSERT_TRUE(w.rt.define(lua_class(calling_script, "other")));
  const auto calling = w.send("other/a", "careful", json(R"({"to":"lua/server","method":"never","seconds":1})"));
  w.run();
  auto builtin = counter_class("other");
  builtin.version = 2;
  ASSERT_TRUE(w.rt.define(builtin));
  w.now += 1s;
  w.run();
  EXPECT_EQ(w.reply_to(calling).error().code, errc::process_exited);
  EXPECT_THAT(w.reply_to(calling).error().context, HasSubstr("its class has another behaviour now"));
  EXPECT_EQ(w.ask("other/a", "add"), "1");
}

TEST_F(lua_call, of_two_processes_each_of_the_other_ends_at_the_deadline_of_one) {
  const auto one = w.send("lua/client", "careful", json(R"({"to":"lua/server","method":"count","seconds":1})"));
  const auto two = w.send("lua/server", "careful", json(R"({"to":"lua/client","method":"count","seconds":2})"));
  w.run();
  w.now += 1s;
  w.run();
  EXPECT_THAT(w.reply_to(one)->json_text(), HasSubstr("deadline_exceeded"));
  EXPECT_EQ(w.reply_to(two)->json_text(), "0");
}

TEST_F(lua_call, that_waits_keeps_its_process_from_being_handed_over_until_it_is_done) {
  const auto calling = w.send("lua/client", "careful", json(R"({"to":"lua/server","method":"never","seconds":1})"));
  w.run();
  EXPECT_THAT(to_string(w.rt.take(w.now, named("lua/client"), w.out).error()),
              HasSubstr("unavailable: lua/client is handling a message"));
  w.now += 1s;
  w.run();
  EXPECT_TRUE(w.reply_to(calling));
  EXPECT_TRUE(w.rt.take(w.now, named("lua/client"), w.out));
}

TEST_F(lua_call, of_a_process_that_is_to_leave_is_its_last_until_it_has_gone_or_a_while_has_passed) {
  const auto first = w.send("lua/client", "careful", json(R"({"to":"lua/server","method":"never","seconds":1})"));
  const auto second = w.send("lua/client", "careful", json(R"({"to":"lua/server","method":"never","seconds":1})"));
  w.run();
  EXPECT_FALSE(w.rt.take(w.now, named("lua/client"), w.out));
  w.now += 1s;
  w.run();
  EXPECT_TRUE(w.reply_to(first));
  w.now += 1s;  // the node tries again
  w.run();
  EXPECT_FALSE(w.reply_to(second));
  const auto packed = w.rt.take(w.now, named("lua/client"), w.out);
  ASSERT_TRUE(packed);
  EXPECT_EQ(packed->mailbox.size(), 1U);
}

TEST_F(lua_call, of_a_process_that_was_to_leave_and_did_not_goes_on) {
  const auto first = w.send("lua/client", "careful", json(R"({"to":"lua/server","method":"never","seconds":1})"));
  const auto second = w.send("lua/client", "count");
  w.run();
  EXPECT_FALSE(w.rt.take(w.now, named("lua/client"), w.out));
  w.now += 1s;
  w.run();
  EXPECT_TRUE(w.reply_to(first));
  EXPECT_FALSE(w.reply_to(second));
  EXPECT_EQ(w.rt.next_deadline(), w.now + 1500ms);
  w.now += 1500ms;
  w.run();
  EXPECT_EQ(w.reply_to(second)->json_text(), "0");
}

TEST_F(lua_call, by_a_thousand_at_once_is_answered_a_thousand_times) {
  std::vector<std::uint64_t> calling;
  for (int i = 0; i < 1000; ++i)
    calling.push_back(w.send("lua/c" + std::to_string(i), "through", json(R"({"to":"lua/server","with":1})")));
  w.run();
  for (const auto each : calling)
    EXPECT_EQ(w.reply_to(each)->json_text(), R"(["server",1])");
}

// ---- asked calls ----

using lua_ask = pair;

TEST_F(lua_ask, goes_on_at_once_and_the_answer_comes_as_info) {
  EXPECT_NE(client("ask", R"({"to":"lua/server","method":"echo","with":3})"), "null");
  EXPECT_EQ(client("log", "null"), R"([{"ok":true,"same":true,"value":["server",3]}])");
}

TEST_F(lua_ask, that_fails_comes_with_code_and_text) {
  EXPECT_NE(client("ask", R"({"to":"lua/server","method":"refuse"})"), "null");
  EXPECT_EQ(client("log", "null"), R"([{"code":"conflict","ok":false,"same":true,"text":"not now"}])");
}

TEST_F(lua_ask, that_nobody_answers_comes_at_its_deadline) {
  EXPECT_NE(client("ask", R"({"to":"lua/server","method":"never","seconds":1.5})"), "null");
  EXPECT_EQ(client("log", "null"), "[]");
  w.now += 1500ms;
  w.run();
  EXPECT_THAT(client("log", "null"), HasSubstr("deadline_exceeded"));
}

TEST_F(lua_ask, more_than_may_be_unanswered_is_refused) {
  EXPECT_THAT(client("ask_many", R"({"to":"lua/server"})"), HasSubstr("1000 asked calls are unanswered"));
}

TEST_F(lua_ask, needs_a_function_for_the_answer) {
  ASSERT_TRUE(w.rt.define(lua_class("return {call = {f = function() orrery.ask('lua/server', 'echo') end}}", "other")));
  EXPECT_THAT(w.ask("other/a", "f"), HasSubstr("the script has no info.reply"));
}

// ---- answers that come later ----

constexpr const char* counterman = R"(
local c = {call = {}, cast = {}, info = {}}
function c.init(key) return {waiting = orrery.array()} end
function c.call.order(state, dish)
  state.waiting[#state.waiting + 1] = {dish = dish, to = orrery.caller()}
  return orrery.later()
end
function c.cast.serve(state)
  local served = orrery.array()
  for _, each in ipairs(state.waiting) do orrery.reply(each.to, "one " .. each.dish) end
  return {waiting = orrery.array()}
end
function c.call.serve_twice(state)
  local to = state.waiting[1].to
  return {orrery.reply(to, "first"), orrery.reply(to, "second")}
end
function c.call.deny(state) return orrery.reply_error(state.waiting[1].to, "unavailable", "sold out") end
function c.call.token(state) return state.waiting[1].to end
function c.call.reply_to(state, token) return orrery.reply(token, "forged") end
function c.call.hand_on(state, to) orrery.cast(to, "finish", {to = orrery.caller()}) return orrery.later() end
function c.cast.finish(state, job) orrery.reply(job.to, "finished by " .. orrery.self().key) end
function c.cast.who(state) state.who = {orrery.caller() == nil} end
function c.call.who(state) return state.who end
return c
)";

struct lua_later : ::testing::Test {
  world w;
  void SetUp() override { ASSERT_TRUE(w.rt.define(lua_class(counterman))); }
};

TEST_F(lua_later, a_call_is_answered_by_another_message_and_its_process_goes_on_meanwhile) {
  const auto soup = w.send("lua/a", "order", json(R"("soup")"));
  const auto cake = w.send("lua/a", "order", json(R"("cake")"));
  w.run();
  EXPECT_FALSE(w.reply_to(soup));
  w.cast("lua/a", "serve");
  EXPECT_EQ(w.reply_to(soup)->json_text(), R"("one soup")");
  EXPECT_EQ(w.reply_to(cake)->json_text(), R"("one cake")");
}

TEST_F(lua_later, a_second_answer_and_one_that_comes_late_are_dropped_and_say_so) {
  const auto soup = w.send("lua/a", "order", json(R"("soup")"));
  EXPECT_EQ(w.ask("lua/a", "serve_twice"), "[true,false]");
  EXPECT_EQ(w.reply_to(soup)->json_text(), R"("first")");
  const auto late = w.send("lua/b", "order", json(R"("soup")"), w.now + 1s);
  w.run();
  w.now += 1s;
  w.run();
  EXPECT_EQ(w.reply_to(late).error().code, errc::deadline_exceeded);
  EXPECT_EQ(w.ask("lua/b", "serve_twice"), "[false,false]");
}

TEST_F(lua_later, an_error_can_be_the_answer) {
  const auto soup = w.send("lua/a", "order", json(R"("soup")"));
  EXPECT_EQ(w.ask("lua/a", "deny"), "true");
  EXPECT_EQ(to_string(w.reply_to(soup).error()), "unavailable: sold out");
}

TEST_F(lua_later, another_process_may_answer) {
  EXPECT_EQ(w.ask("lua/helper", "who"), "null");
  EXPECT_EQ(w.ask("lua/a", "hand_on", R"("lua/helper")"), R"("finished by helper")");
}

TEST_F(lua_later, the_callers_wait_ends_with_the_process_that_has_kept_it) {
  const auto soup = w.send("lua/a", "order", json(R"("soup")"));
  w.run();
  EXPECT_TRUE(w.kill("lua/a"));
  EXPECT_EQ(w.reply_to(soup).error().code, errc::process_exited);
}

TEST_F(lua_later, a_forged_caller_is_nobody_and_harms_nobody) {
  const auto soup = w.send("lua/a", "order", json(R"("soup")"));
  auto token = w.ask("lua/a", "token");
  token = token.substr(1, token.size() - 2);
  ASSERT_THAT(token, StartsWith("caller-"));
  for (std::size_t at = 0; at < token.size(); ++at) {
    auto forged = token;
    forged[at] = forged[at] == '0' ? '1' : '0';
    EXPECT_EQ(w.ask("lua/b", "reply_to", "\"" + forged + "\""), "false") << forged;
  }
  EXPECT_EQ(w.ask("lua/b", "reply_to", R"("")"), "false");
  EXPECT_EQ(w.ask("lua/b", "reply_to", "\"" + token.substr(1) + "\""), "false");
  EXPECT_FALSE(w.reply_to(soup));
  world other;
  other.rt = runtime({.node = {node_name{"demo-aaaaa"}, boot_number{8}}, .seed = 1});  // another life of this node
  ASSERT_TRUE(other.rt.define(lua_class(counterman)));
  EXPECT_EQ(other.ask("lua/b", "reply_to", "\"" + token + "\""), "false");
  EXPECT_EQ(w.ask("lua/b", "reply_to", "\"" + token + "\""), "true");
  EXPECT_EQ(w.reply_to(soup)->json_text(), R"("forged")");
}

TEST_F(lua_later, there_is_a_caller_in_calls_only) {
  w.cast("lua/a", "who");
  EXPECT_EQ(w.ask("lua/a", "who"), "[true]");
}

}  // namespace
}  // namespace orrery::process
