#include "mesh/process/runtime.hpp"

#include "mesh/base/random.hpp"
#include "mesh/process/testing.hpp"

#include <gmock/gmock.h>

#include <set>

namespace orrery::process {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(call, starts_the_process_on_first_use_and_reaches_the_same_one_afterwards) {
  world w;
  ASSERT_TRUE(w.rt.define(counter_class()));
  EXPECT_EQ(w.ask("counter/a", "add"), "1");
  EXPECT_EQ(w.ask("counter/a", "add", "41"), "42");
  EXPECT_EQ(w.ask("counter/b", "get"), "0");
  EXPECT_EQ(w.rt.count(), 2U);
  EXPECT_EQ(w.rt.find(named("counter/a"))->handled, 2U);
}

TEST(call, to_an_unknown_class_names_the_known_ones) {
  world w;
  ASSERT_TRUE(w.rt.define(counter_class()));
  EXPECT_EQ(w.ask("cart/a", "get"), "not_found: no class 'cart'; known classes: counter");
}

TEST(call, of_an_unknown_method_is_refused_names_the_known_ones_and_starts_nothing) {
  world w;
  ASSERT_TRUE(w.rt.define(counter_class()));
  EXPECT_EQ(w.ask("counter/a", "jump"),
            "not_found: class 'counter' has no method 'jump' for a call; it has: add, get, reset, set");
  EXPECT_EQ(w.rt.count(), 0U);
}

TEST(call, beyond_the_mailbox_bound_is_refused_as_overloaded_and_those_within_are_answered) {
  world w;
  auto spec = counter_class();
  spec.limits.mailbox_max = 3;
  ASSERT_TRUE(w.rt.define(spec));
  std::vector<std::uint64_t> tokens;
  for (int i = 0; i < 4; ++i)
    tokens.push_back(w.send("counter/a", "add"));
  EXPECT_EQ(w.reply_to(tokens[3]).error().code, errc::overloaded);
  EXPECT_EQ(w.reply_to(tokens[3]).error().effect, took_effect::not_executed);
  EXPECT_EQ(w.rt.find(named("counter/a"))->mailbox, 3U);
  w.run();
  EXPECT_EQ(w.reply_to(tokens[2])->json_text(), "3");
  EXPECT_EQ(w.ask("counter/a", "add"), "4");
}

TEST(call, beyond_processes_max_is_refused_as_overloaded) {
  world w;
  w.rt = runtime{{.node = {node_name{"n"}, boot_number{1}}, .seed = 1, .processes_max = 2}};
  ASSERT_TRUE(w.rt.define(counter_class()));
  EXPECT_EQ(w.ask("counter/a", "add"), "1");
  EXPECT_EQ(w.ask("counter/b", "add"), "1");
  EXPECT_THAT(w.ask("counter/c", "add"), HasSubstr("overloaded: the node runs 2 processes"));
  EXPECT_TRUE(w.stop("counter/a"));
  EXPECT_EQ(w.ask("counter/c", "add"), "1");
}

TEST(call, waiting_when_its_process_is_killed_hears_process_exited_not_executed) {
  world w;
  ASSERT_TRUE(w.rt.define(counter_class()));
  const auto token = w.send("counter/a", "add");
  EXPECT_TRUE(w.kill("counter/a", "by hand"));
  EXPECT_EQ(to_string(w.reply_to(token).error()), "process_exited: counter/a exited, killed: by hand");
  EXPECT_EQ(w.reply_to(token).error().effect, took_effect::not_executed);
}

TEST(cast, runs_without_an_answer_and_a_refused_one_is_counted) {
  world w;
  ASSERT_TRUE(w.rt.define(counter_class()));
  w.cast("counter/a", "add", "5");
  w.cast("counter/a", "jump");
  w.cast("cart/a", "add");
  EXPECT_TRUE(w.replies.empty());
  EXPECT_EQ(w.ask("counter/a", "get"), "5");
  EXPECT_EQ(w.rt.counted().casts_dropped, 2U);
  EXPECT_EQ(w.rt.counted().casts_handled, 1U);
}

TEST(messages, to_one_process_are_handled_in_the_order_of_arrival) {
  world w;
  ASSERT_TRUE(w.rt.define(counter_class()));
  std::vector<std::uint64_t> tokens;
  for (int i = 0; i < 100; ++i)
    tokens.push_back(w.send("counter/a", "add"));
  w.run();
  for (std::size_t i = 0; i < tokens.size(); ++i)
    EXPECT_EQ(w.reply_to(tokens[i])->json_text(), std::to_string(i + 1));
}

TEST(run, handles_no_more_than_its_budget_and_says_whether_work_is_left) {
  world w;
  ASSERT_TRUE(w.rt.define(counter_class()));
  for (int i = 0; i < 10; ++i)
    static_cast<void>(w.send("counter/a", "add"));
  EXPECT_TRUE(w.rt.run(w.now, 4, w.out));
  EXPECT_EQ(w.rt.counted().calls_handled, 4U);
  EXPECT_TRUE(w.rt.run(w.now, 5, w.out));
  EXPECT_FALSE(w.rt.run(w.now, 5, w.out));
  EXPECT_EQ(w.rt.counted().calls_handled, 10U);
}

TEST(run, lets_no_process_with_many_messages_starve_another) {
  world w;
  ASSERT_TRUE(w.rt.define(counter_class()));
  for (int i = 0; i < 5000; ++i)
    static_cast<void>(w.send("counter/chatty", "add"));
  const auto quiet = w.send("counter/quiet", "add");
  EXPECT_TRUE(w.rt.run(w.now, 32, w.out));
  w.collect();
  EXPECT_TRUE(w.reply_to(quiet));
}

TEST(counter, refuses_what_is_no_integer_and_does_not_crash) {
  world w;
  ASSERT_TRUE(w.rt.define(counter_class()));
  for (const auto* wrong : {R"("x")", "1.5", "[1]", "{}", "true", "18446744073709551615"}) {
    EXPECT_THAT(w.ask("counter/a", "add", wrong), HasSubstr("invalid_argument: counter.add takes an integer"));
    EXPECT_THAT(w.ask("counter/a", "set", wrong), HasSubstr("invalid_argument: counter.set takes an integer"));
  }
  EXPECT_THAT(w.ask("counter/a", "set"), HasSubstr("not null"));
  EXPECT_EQ(w.rt.find(named("counter/a"))->restarts, 0U);
}

TEST(counter, counts_to_the_ends_of_64_bits_and_refuses_to_go_beyond) {
  world w;
  ASSERT_TRUE(w.rt.define(counter_class()));
  EXPECT_EQ(w.ask("counter/a", "set", "9223372036854775807"), "9223372036854775807");
  EXPECT_THAT(w.ask("counter/a", "add"), HasSubstr("invalid_argument"));
  EXPECT_EQ(w.ask("counter/a", "set", "-9223372036854775808"), "-9223372036854775808");
  EXPECT_THAT(w.ask("counter/a", "add", "-1"), HasSubstr("invalid_argument"));
  EXPECT_EQ(w.ask("counter/a", "reset"), "0");
}

TEST(list, is_in_name_order_and_pages) {
  world w;
  ASSERT_TRUE(w.rt.define(counter_class("b")));
  ASSERT_TRUE(w.rt.define(counter_class("a")));
  for (const auto* name : {"b/2", "a/9", "b/1", "a/10", "a/1"})
    EXPECT_EQ(w.ask(name, "add"), "1");
  std::vector<std::string> paged;
  std::optional<process_name> after;
  for (;;) {
    const auto page = w.rt.list({}, after, 2);
    if (page.empty()) break;
    EXPECT_LE(page.size(), 2U);
    for (const auto& each : page)
      paged.push_back(to_string(each.name));
    after = page.back().name;
  }
  EXPECT_THAT(paged, ElementsAre("a/1", "a/10", "a/9", "b/1", "b/2"));
  EXPECT_EQ(w.rt.list(class_name{"b"}, {}, 10).size(), 2U);
}

TEST(reading, a_walk_over_all_names_in_slices_tells_each_once_whatever_restarts_or_ends_meanwhile) {
  world w;
  ASSERT_TRUE(w.rt.define(counter_class()));
  const auto name = [](int i) { return process_name{class_name{"counter"}, process_key{std::to_string(i)}}; };
  constexpr int count = 1000;
  for (int i = 0; i < count; ++i)
    ASSERT_TRUE(w.rt.cast(w.now, name(i), "add", value{}, w.out));
  w.run();
  std::map<std::string, int> told;
  std::size_t slices = 0;
  for (std::optional<std::uint32_t> place = 0; place; ++slices) {
    const auto slice = w.rt.names_from(*place, 100);
    EXPECT_LE(slice.names.size(), 100U);
    for (const auto& each : slice.names)
      ++told[each.key.value];
    place = slice.next;
    EXPECT_TRUE(w.rt.kill(w.now, name(0), "for the test", w.out));
    EXPECT_TRUE(w.rt.kill(w.now, name(count - 1), "for the test", w.out));
    w.now += std::chrono::seconds{10};
    w.run();
    if (slices == 1) {
      EXPECT_TRUE(w.rt.stop(w.now, name(count - 2), w.out));
    }
  }
  EXPECT_GE(slices, 10U);
  EXPECT_EQ(told.size(), static_cast<std::size_t>(count - 1));  // one had ended before its place was reached
  EXPECT_TRUE(std::all_of(told.begin(), told.end(), [](const auto& each) { return each.second == 1; }));
  EXPECT_TRUE(w.rt.names_from(1'000'000, 100).names.empty());
  EXPECT_FALSE(w.rt.names_from(1'000'000, 100).next);
}

TEST(define, keeps_state_whichever_way_the_version_goes) {
  world w;
  auto spec = counter_class();
  spec.version = 5;
  ASSERT_TRUE(w.rt.define(spec));
  EXPECT_EQ(w.ask("counter/a", "add", "7"), "7");
  spec.version = 4;
  spec.limits.mailbox_max = 1;
  ASSERT_TRUE(w.rt.define(spec));  // deleted and made anew, a ProcessClass counts from 1 again
  EXPECT_EQ(w.ask("counter/a", "get"), "7");
  EXPECT_EQ(w.rt.find(named("counter/a"))->class_version, 4U);
  EXPECT_EQ(w.rt.find_class(class_name{"counter"})->limits.mailbox_max, 1U);
  EXPECT_EQ(w.rt.classes().size(), 1U);
}

TEST(mailboxes, hold_a_bounded_number_of_bytes_together) {
  world w;
  w.rt = runtime({.node = {node_name{"demo-aaaaa"}, boot_number{7}}, .seed = 1, .queued_bytes_max = 3000});
  ASSERT_TRUE(w.rt.define(counter_class()));
  const value large = json('"' + std::string(1000, 'x') + '"');
  for (int i = 0; i < 3; ++i)
    ASSERT_TRUE(w.rt.cast(w.now, named("counter/" + std::to_string(i)), "add", large, w.out));
  EXPECT_FALSE(w.rt.cast(w.now, named("counter/0"), "add", large, w.out)) << "messages of it wait already";
  EXPECT_TRUE(w.rt.cast(w.now, named("counter/3"), "add", large, w.out)) << "those that are idle go on for a while";
  const auto refused = w.rt.cast(w.now, named("counter/9"), "add", large, w.out);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::overloaded);
  EXPECT_EQ(w.rt.counted().casts_dropped, 2U);
  EXPECT_EQ(w.reply_to(w.send("counter/0", "get")).error().code, errc::overloaded);
  w.run();
  EXPECT_EQ(w.ask("counter/9", "get"), "0");
}

TEST(undefine, stops_the_processes_answers_their_callers_and_forgets_the_class) {
  world w;
  ASSERT_TRUE(w.rt.define(counter_class()));
  const auto token = w.send("counter/a", "add");
  w.rt.undefine(w.now, class_name{"counter"}, w.out);
  w.run();
  EXPECT_EQ(w.reply_to(token).error().code, errc::process_exited);
  EXPECT_EQ(w.events.back().reason.why, exit_reason::kind::shutdown);
  EXPECT_EQ(w.rt.find_class(class_name{"counter"}), nullptr);
  EXPECT_EQ(w.rt.count(), 0U);
}

TEST(handoff, carries_state_restarts_and_waiting_messages_to_another_runtime) {
  world from;
  world to;
  ASSERT_TRUE(from.rt.define(counter_class()));
  ASSERT_TRUE(to.rt.define(counter_class()));
  EXPECT_EQ(from.ask("counter/a", "get"), "0");
  EXPECT_TRUE(from.kill("counter/a"));
  EXPECT_EQ(from.ask("counter/a", "set", "40"), "40");
  static_cast<void>(from.send("counter/a", "add", json("1"), from.now + 5s));
  (void)from.rt.cast(from.now, named("counter/a"), "add", json("1"), from.out);
  auto packed = from.rt.take(from.now, named("counter/a"), from.out);
  from.collect();
  ASSERT_TRUE(packed);
  EXPECT_EQ(packed->mailbox.size(), 2U);
  EXPECT_FALSE(from.rt.find(named("counter/a")));
  EXPECT_EQ(from.rt.next_deadline(), never);
  EXPECT_EQ(from.events.back().what, process_event::kind::moved_out);
  EXPECT_EQ(from.events.back().reason.why, exit_reason::kind::moved);

  packed->mailbox[0].token = reply_token{1000};
  ASSERT_TRUE(to.rt.install(to.now, *packed, to.out));
  to.run();
  EXPECT_EQ(to.events.back().what, process_event::kind::moved_in);
  EXPECT_EQ(to.reply_to(1000)->json_text(), "41");
  EXPECT_EQ(to.ask("counter/a", "get"), "42");
  EXPECT_EQ(to.rt.find(named("counter/a"))->restarts, 1U);
}

TEST(handoff, moves_plain_messages_that_wait_in_order_with_casts) {
  constexpr const char* script = R"(
local c = {call = {}, cast = {}, info = {}}
function c.init() return {heard = {}} end
function c.cast.note(state, what) table.insert(state.heard, "cast " .. what) end
function c.info.said(state, what) table.insert(state.heard, "info " .. what) end
function c.call.heard(state) return state.heard end
function c.call.tell(state, to)
  orrery.send(to, "said", 1)
  orrery.cast(to, "note", 2)
  orrery.send(to, "said", 3)
  return true
end
return c
)";
  world from;
  world to;
  ASSERT_TRUE(from.rt.define(lua_class(script)));
  ASSERT_TRUE(to.rt.define(lua_class(script)));
  EXPECT_EQ(from.ask("lua/a", "heard"), "{}");
  ASSERT_TRUE(from.rt.suspend(named("lua/a")));
  EXPECT_EQ(from.ask("lua/b", "tell", R"("lua/a")"), "true");
  auto packed = from.rt.take(from.now, named("lua/a"), from.out);
  ASSERT_TRUE(packed);
  ASSERT_EQ(packed->mailbox.size(), 3U);
  EXPECT_TRUE(packed->mailbox[0].plain);
  EXPECT_FALSE(packed->mailbox[1].plain);
  ASSERT_TRUE(to.rt.install(to.now, *packed, to.out));
  ASSERT_TRUE(to.rt.resume(named("lua/a")));
  to.run();
  EXPECT_EQ(to.ask("lua/a", "heard"), R"(["info 1","cast 2","info 3"])");
  const auto dropped = to.rt.counted().casts_dropped;
  to.rt.inform(to.now, named("lua/nobody"), "said", {}, to.out);
  EXPECT_EQ(to.rt.counted().casts_dropped, dropped + 1);
}

TEST(handoff, is_refused_where_the_name_runs_the_class_is_unknown_or_the_state_is_of_another_kind) {
  world w;
  EXPECT_EQ(w.rt.take(w.now, named("counter/a"), w.out).error().code, errc::not_found);
  handoff arrived{named("counter/a"), 1, 0, json("1"), {}};
  EXPECT_EQ(w.rt.install(w.now, arrived, w.out).error().code, errc::not_found);
  ASSERT_TRUE(w.rt.define(counter_class()));
  arrived.state = json(R"({"not": "a counter"})");
  EXPECT_EQ(w.rt.install(w.now, arrived, w.out).error().code, errc::invalid_argument);
  EXPECT_EQ(w.rt.count(), 0U);
  arrived.state = json("1");
  EXPECT_TRUE(w.rt.install(w.now, arrived, w.out));
  EXPECT_EQ(w.rt.install(w.now, arrived, w.out).error().code, errc::already_exists);
}

/// Random programs over a few names. After every step: each call answered at most once (checked in `collect`), names
/// unique, the processes that live are those that the events say; at the end each call answered exactly once.
class random_program : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(random_program, answers_every_call_exactly_once_and_loses_no_process) {
  seeded_random random(GetParam());
  world w;
  const auto define = [&](std::string name) {
    auto spec = counter_class(std::move(name));
    spec.version = random.below(5);
    spec.limits.mailbox_max = 1 + static_cast<std::uint32_t>(random.below(8));
    spec.supervision.intensity = static_cast<std::uint32_t>(random.below(6));
    spec.supervision.restart = static_cast<restart_type>(random.below(3));
    spec.supervision.escalate = static_cast<escalation>(random.below(3));
    static_cast<void>(w.rt.define(spec));
  };
  define("a");
  define("b");
  std::vector<handoff> in_flight;
  std::set<std::uint64_t> unanswered_elsewhere;
  for (int step = 0; step < 3000; ++step) {
    const auto name = std::string{random.below(2) == 0 ? "a" : "b"} + "/" + std::to_string(random.below(6));
    switch (random.below(12)) {
      case 0:
        w.kill(name);
        break;
      case 1:
        w.stop(name);
        break;
      case 2:
        w.now += std::chrono::milliseconds{random.below(400)};
        break;
      case 3: {
        auto taken = w.rt.take(w.now, named(name), w.out);
        if (taken) in_flight.push_back(std::move(*taken));
        break;
      }
      case 4:
        if (!in_flight.empty()) {
          if (const auto installed = w.rt.install(w.now, in_flight.back(), w.out); !installed) {
            for (const auto& each : in_flight.back().mailbox) {
              if (each.token) unanswered_elsewhere.insert(each.token->value);
            }
          }
          in_flight.pop_back();
        }
        break;
      case 5:
        (void)w.rt.cast(w.now, named(name), "add", {}, w.out);
        break;
      case 6:
        if (random.below(20) == 0) w.rt.undefine(w.now, class_name{name.substr(0, 1)}, w.out);
        define(name.substr(0, 1));
        break;
      case 7:
      case 8:
        static_cast<void>(w.rt.run(w.now, static_cast<std::uint32_t>(random.below(6)), w.out));
        break;
      default:
        static_cast<void>(w.send(name, random.below(9) == 0 ? "nonsense" : "add", {},
                                 random.below(3) == 0 ? never : w.now + std::chrono::milliseconds{random.below(900)}));
    }
    w.collect();

    std::map<process_name, pid> by_events;
    for (const auto& event : w.events) {
      using what = process_event::kind;
      if (event.what == what::exited || event.what == what::moved_out) {
        EXPECT_EQ(by_events[event.name], event.id);
        by_events.erase(event.name);
      } else {
        EXPECT_TRUE(by_events.emplace(event.name, event.id).second) << "two of " << to_string(event.name);
      }
    }
    ASSERT_EQ(by_events.size(), w.rt.count());
    for (const auto& [living, id] : by_events) {
      const auto found = w.rt.find(living);
      ASSERT_TRUE(found);
      ASSERT_EQ(found->id, id);
    }
    if (w.events.size() > 400) {  // keep the check above linear: start the history afresh with those that live
      w.events.clear();
      for (const auto& [living, id] : by_events)
        w.events.push_back({process_event::kind::started, living, id, {}});
    }
  }
  for (const auto& left : in_flight) {
    for (const auto& each : left.mailbox) {
      if (each.token) unanswered_elsewhere.insert(each.token->value);
    }
  }
  w.run();
  EXPECT_EQ(w.rt.next_deadline(), never);
  for (std::uint64_t token = 1; token < w.next_token; ++token)
    EXPECT_EQ(w.replies.count(token) + unanswered_elsewhere.count(token), 1U) << "call " << token;
}

/// Everything that a program led to, as text.
std::string trace_of(std::uint64_t seed) {
  seeded_random random(seed);
  world w;
  EXPECT_TRUE(w.rt.define(counter_class()));
  EXPECT_TRUE(w.rt.define(lua_class(R"(return { call = { f = function(s, n)
      s[tostring(n % 7)] = orrery.random(1000)
      for k, v in pairs(s) do orrery.cast('counter/' .. k, 'add', v) end
      if n % 13 == 0 then error(string.format('%s %d', s, n)) end
      return s
    end } })")));
  std::string trace;
  for (int step = 0; step < 500; ++step) {
    const auto key = std::to_string(random.below(4));
    static_cast<void>(w.send("lua/" + key, "f", json(std::to_string(random.below(1000)))));
    if (random.below(10) == 0) w.kill("counter/" + key);
    w.now += 100ms;
    static_cast<void>(w.rt.run(w.now, 3, w.out));
    w.collect();
    for (auto& each : std::exchange(w.casts, {})) {
      trace += to_string(each.to) + each.argument.json_text() + ";";
      (void)w.rt.cast(w.now, each.to, each.method, each.argument, w.out);
    }
  }
  w.run();
  for (const auto& event : w.events)
    trace += to_string(event.id) + to_string(event.name) + to_string(event.reason) + ";";
  for (const auto& [token, reply] : w.replies)
    trace += std::to_string(token) + (reply ? reply->json_text() : to_string(reply.error())) + ";";
  return trace;
}

TEST(determinism, the_same_program_leads_to_the_same_effects_in_the_same_order) {
  const auto first = trace_of(42);
  EXPECT_GT(first.size(), 10'000U);
  EXPECT_EQ(first, trace_of(42));
  EXPECT_NE(first, trace_of(43));
}

INSTANTIATE_TEST_SUITE_P(seeds, random_program, ::testing::Range<std::uint64_t>(1, 21));

}  // namespace
}  // namespace orrery::process
