// Traces of single processes, and the census of all.
#include "mesh/process/testing.hpp"

#include <gmock/gmock.h>

namespace orrery::process {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

duration ticking_clock() {
  static duration at{};
  return at += 7us;
}

struct traces : ::testing::Test {
  traces() {
    EXPECT_TRUE(w.rt.define(counter_class()));
    EXPECT_TRUE(w.rt.define(lua_class(R"(return {
      call = {crash = function() error('boom') end, no = function() orrery.fail('conflict', 'not now') end,
              later = function() orrery.send_after(1, 'tick', {n = 5}) end},
      cast = {note = function() end},
      info = {tick = function() end},
    })")));
  }
  void begin(std::string_view name, std::size_t limit = 1000, std::uint64_t id = 1) {
    ASSERT_TRUE(w.rt.begin_trace(trace_id{id}, named(name), limit));
  }
  std::vector<traced> seen() { return w.rt.take_traced(); }
  std::vector<std::string> lines() {
    std::vector<std::string> out;
    for (const auto& each : seen()) {
      const auto& what = each.what;
      out.push_back(what.kind + (what.method.empty() ? "" : " " + what.method) + " " + what.argument +
                    (what.outcome.empty() && what.answer.empty() ? "" : " -> " + what.outcome + " " + what.answer));
    }
    return out;
  }

  world w;
};

TEST_F(traces, tell_each_message_and_what_came_of_it) {
  w.ask("lua/a", "no");
  begin("lua/a");
  w.ask("lua/a", "no", "[1]");
  w.cast("lua/a", "note", "\"x\"");
  w.ask("lua/a", "later");
  w.now += 1s;
  w.run();
  w.ask("lua/a", "crash");
  const auto told = lines();
  ASSERT_THAT(told, SizeIs(7));
  EXPECT_EQ(told[0], "call no [1] -> error conflict: not now");
  EXPECT_EQ(told[1], "cast note \"x\"");
  EXPECT_EQ(told[2], "call later null -> reply null");
  EXPECT_EQ(told[3], R"(timer tick {"n":5})");
  EXPECT_THAT(told[4], HasSubstr("call crash null -> exit error: line 2: boom"));
  EXPECT_THAT(told[5], HasSubstr("exited  ->  error: line 2: boom"));
  EXPECT_THAT(told[6], HasSubstr("restarted"));
}

TEST_F(traces, tell_how_long_a_message_waited_and_what_it_took) {
  w.rt = runtime{{.node = {node_name{"n"}, boot_number{1}}, .seed = 1, .stopwatch = ticking_clock}};
  ASSERT_TRUE(w.rt.define(counter_class()));
  begin("counter/a");
  static_cast<void>(w.send("counter/a", "add"));
  w.now += 3s;
  w.run();
  const auto told = seen();
  ASSERT_THAT(told, SizeIs(2));
  EXPECT_EQ(told[0].what.kind, "started") << "a trace may begin before its process runs";
  EXPECT_EQ(told[1].what.waited, 3s);
  EXPECT_EQ(told[1].what.took, 7us);
  EXPECT_EQ(told[1].what.reductions, 1U);
  EXPECT_EQ(told[1].what.answer, "1");
}

TEST_F(traces, see_one_process_only_and_all_its_lives) {
  begin("counter/a");
  w.ask("counter/b", "add");
  w.ask("counter/a", "add");
  w.kill("counter/a");
  w.ask("counter/a", "get");
  w.stop("counter/a");
  w.ask("counter/a", "get");
  EXPECT_THAT(lines(), ElementsAre("started ", "call add null -> reply 1", "exited  ->  killed: test",
                                   "restarted  ->  killed: test", "call get null -> reply 0", "exited  ->  normal",
                                   "started ", "call get null -> reply 0"));
}

TEST_F(traces, cut_long_arguments_and_replies) {
  w.ask("counter/a", "get");
  begin("counter/a");
  w.ask("counter/a", "get", '"' + std::string(10'000, 'x') + '"');
  const auto told = seen();
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].what.argument.size(), trace_value_bytes_max);
  EXPECT_EQ(told[0].what.argument_bytes, 10'003U);
}

TEST_F(traces, end_after_as_many_entries_as_were_asked_for) {
  w.ask("counter/a", "get");
  begin("counter/a", 2);
  for (int i = 0; i < 5; ++i)
    w.ask("counter/a", "get");
  const auto told = seen();
  ASSERT_THAT(told, SizeIs(2));
  EXPECT_FALSE(told[0].last);
  EXPECT_TRUE(told[1].last);
  EXPECT_EQ(w.rt.traces(), 0U);
  EXPECT_FALSE(w.rt.end_trace(trace_id{1}));
}

TEST_F(traces, count_what_goes_over_their_rate_and_say_so_with_the_next) {
  w.ask("counter/a", "get");
  begin("counter/a", 100'000);
  for (std::uint32_t i = 0; i < trace_entries_per_second_max + 5; ++i)
    static_cast<void>(w.send("counter/a", "get"));
  w.run();
  EXPECT_THAT(seen(), SizeIs(trace_entries_per_second_max));
  w.now += 1s;
  w.ask("counter/a", "get");
  const auto told = seen();
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].dropped, 5U);
  w.now += 1s;
  for (std::uint32_t i = 0; i < trace_entries_per_second_max + 2; ++i)
    static_cast<void>(w.send("counter/a", "get"));
  w.run();
  EXPECT_EQ(w.rt.end_trace(trace_id{1}), 2U);
}

TEST_F(traces, are_no_more_than_may_be) {
  for (std::uint64_t i = 1; i <= traces_max; ++i)
    begin("counter/a", 10, i);
  EXPECT_EQ(w.rt.begin_trace(trace_id{99}, named("counter/a"), 10).error().code, errc::overloaded);
  EXPECT_EQ(w.rt.begin_trace(trace_id{99}, named("nope/a"), 10).error().code, errc::not_found);
  w.ask("counter/a", "get");
  EXPECT_THAT(seen(), SizeIs(2 * traces_max)) << "each tells all";
  for (std::uint64_t i = 1; i <= traces_max; ++i)
    EXPECT_EQ(w.rt.end_trace(trace_id{i}), 0U);
  w.ask("counter/a", "get");
  EXPECT_THAT(seen(), IsEmpty());
}

struct censuses : ::testing::Test {
  censuses() {
    EXPECT_TRUE(w.rt.define(counter_class()));
    EXPECT_TRUE(w.rt.define(kv_class()));
  }
  void take(std::uint32_t places = 1'000'000) {
    w.rt.begin_census(w.now);
    while (w.rt.continue_census(w.now, places)) {
    }
  }
  std::vector<std::string> top(measure by, std::size_t limit = 10) {
    std::vector<std::string> names;
    for (const auto& each : w.rt.top(by, limit))
      names.push_back(to_string(each.info.name));
    return names;
  }
  class_load load_of(std::string_view name) {
    for (const auto& [each, load] : w.rt.class_loads()) {
      if (each.value == name) return load;
    }
    return {};
  }

  world w;
};

TEST_F(censuses, find_the_fullest_mailboxes_and_the_oldest_messages) {
  for (const auto* name : {"counter/idle", "counter/one", "counter/many", "counter/old"})
    w.ask(name, "get");
  static_cast<void>(w.send("counter/old", "get"));
  w.now += 5s;
  static_cast<void>(w.send("counter/one", "get"));
  for (int i = 0; i < 3; ++i)
    static_cast<void>(w.send("counter/many", "get"));
  w.now += 1s;
  take();
  EXPECT_THAT(top(measure::mailbox), ElementsAre("counter/many", "counter/one", "counter/old"));
  EXPECT_THAT(top(measure::mailbox, 1), ElementsAre("counter/many"));
  EXPECT_EQ(top(measure::age).front(), "counter/old");
  EXPECT_EQ(w.rt.top(measure::age, 1)[0].info.oldest, w.now - 6s);
}

TEST_F(censuses, find_those_that_take_the_most_memory) {
  w.ask("counter/a", "get");
  w.ask("kv/a", "put", R"({"key": "k", "value": ")" + std::string(5000, 'x') + "\"}");
  take();
  EXPECT_EQ(top(measure::memory).front(), "kv/a");
}

TEST_F(censuses, tell_rates_since_the_walk_before) {
  for (int i = 0; i < 100; ++i)
    w.ask("counter/was", "get");
  w.ask("counter/is", "get");
  take();
  EXPECT_FALSE(w.rt.seen().has_rates());
  EXPECT_THAT(top(measure::messages), IsEmpty());
  w.now += 2s;
  for (int i = 0; i < 10; ++i)
    w.ask("counter/is", "get");
  w.now += 2s;
  w.ask("counter/new", "get");
  w.now += 1s;
  take();
  EXPECT_TRUE(w.rt.seen().has_rates());
  EXPECT_THAT(top(measure::messages), ElementsAre("counter/is", "counter/new")) << "a new one by its own age";
  EXPECT_DOUBLE_EQ(w.rt.top(measure::messages, 1)[0].per_second->messages, 2.0);
  EXPECT_DOUBLE_EQ(w.rt.top(measure::messages, 2)[1].per_second->messages, 1.0);
  EXPECT_DOUBLE_EQ(w.rt.top(measure::reductions, 1)[0].per_second->reductions, 2.0);
  w.rt.forget_baseline();
  w.now += 1s;
  take();
  EXPECT_FALSE(w.rt.seen().has_rates());
}

TEST_F(censuses, take_a_new_life_for_a_new_process) {
  for (int i = 0; i < 50; ++i)
    w.ask("counter/a", "get");
  take();
  w.now += 1s;
  w.kill("counter/a");
  w.ask("counter/a", "get");
  w.now += 1s;
  take();
  EXPECT_DOUBLE_EQ(w.rt.top(measure::messages, 1)[0].per_second->messages, 1.0);
}

TEST_F(censuses, sum_what_there_is_of_each_class) {
  w.ask("counter/a", "get"), w.ask("counter/b", "get"), w.ask("kv/a", "get");
  ASSERT_TRUE(w.rt.suspend(named("counter/b")));
  static_cast<void>(w.send("counter/a", "get", json("\"12345\"")));
  static_cast<void>(w.send("counter/b", "get")), static_cast<void>(w.send("counter/b", "get"));
  take();
  const auto counters = load_of("counter");
  EXPECT_EQ(counters.processes, 2U);
  EXPECT_EQ(counters.suspended, 1U);
  EXPECT_EQ(counters.waiting, 3U);
  EXPECT_EQ(counters.waiting_max, 2U);
  EXPECT_EQ(counters.waiting_bytes, 8U);
  EXPECT_EQ(counters.oldest, w.now);
  EXPECT_GT(counters.memory_bytes, 500U);
  EXPECT_EQ(load_of("kv").processes, 1U);
  EXPECT_FALSE(load_of("kv").oldest);
}

TEST_F(censuses, go_in_slices_and_show_the_walk_before_until_they_have_ended) {
  for (int i = 0; i < 600; ++i)
    w.ask("counter/" + std::to_string(i), "get");
  take(100);
  EXPECT_EQ(load_of("counter").processes, 600U);
  w.rt.begin_census(w.now);
  EXPECT_TRUE(w.rt.continue_census(w.now, 300));
  EXPECT_EQ(load_of("counter").processes, 600U);
  for (int i = 0; i < 300; ++i)
    w.stop("counter/" + std::to_string(i));
  int slices = 1;
  while (w.rt.continue_census(w.now, 300))
    ++slices;
  EXPECT_GE(slices, 2);
  EXPECT_LE(load_of("counter").processes, 600U);
  EXPECT_GE(load_of("counter").processes, 300U);
}

TEST_F(censuses, keep_no_more_than_the_greatest_and_drop_those_that_have_ended) {
  for (std::size_t i = 0; i < top_max + 50; ++i)
    w.ask("counter/" + std::to_string(i), "get");
  for (std::size_t i = 0; i < top_max + 50; ++i) {
    const auto name = "counter/" + std::to_string(i);
    for (std::size_t n = 0; n <= i; ++n)
      static_cast<void>(w.send(name, "get"));
  }
  take();
  EXPECT_THAT(top(measure::mailbox, 1000), SizeIs(top_max));
  EXPECT_EQ(top(measure::mailbox).front(), "counter/" + std::to_string(top_max + 49));
  w.stop("counter/" + std::to_string(top_max + 49));
  EXPECT_EQ(top(measure::mailbox).front(), "counter/" + std::to_string(top_max + 48));
}

TEST(measures, have_names) {
  for (const auto each : {measure::mailbox, measure::age, measure::memory, measure::reductions, measure::messages})
    EXPECT_EQ(measure_from(to_string(each)), each);
  EXPECT_FALSE(measure_from("beauty"));
}

}  // namespace
}  // namespace orrery::process
