// Crashes, the greatest processes, and traces: at one node, and over several.
#include "mesh/node/looks.hpp"
#include "mesh/node/testing.hpp"
#include "mesh/node/trace_flows.hpp"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace orrery::node {
namespace {

namespace observing {

using namespace node::testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using json = nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;

struct observed_node : core_b {
  request_id ask(operation asked) {
    const request_id id{++last_request};
    step(client_request{id, std::move(asked)});
    step(woken{});
    return id;
  }
  json answer_to(request_id id) {
    for (const auto& each : all<respond>()) {
      if (each.id == id) return each.answer ? each.answer->document() : json{{"error", to_string(each.answer.error())}};
    }
    return "no answer yet";
  }
  void call(const process_name& name, const std::string& method) { ask(call_op{name, method, {}, {}}); }
  /// "tracing", "message", ...
  std::vector<std::string> told(request_id id) {
    std::vector<std::string> types;
    for (const auto& each : all<streamed>()) {
      if (each.id == id) types.push_back(each.type + (each.last ? "." : ""));
    }
    return types;
  }
  json last_told(request_id id) {
    json last;
    for (const auto& each : all<streamed>()) {
      if (each.id == id) last = each.document.document();
    }
    return last;
  }
  wire::control asked_of_peer(wire::verb verb, std::uint64_t connection = 0) {
    for (const auto& each : sent<wire::control>(connection)) {
      if (each.asked == verb) return each;
    }
    ADD_FAILURE() << "no such question was sent";
    return {};
  }
  static wire::control trace_question(const process_name& name, std::uint64_t id) {
    return {.id = id,
            .asked = wire::verb::trace,
            .name = name,
            .reason = {},
            .only = {},
            .remaining = seconds{1},
            .argument = value::from_json(R"({"limit": 10, "seconds": 60})").value()};
  }
  static value text(std::string_view json_text) { return value::from_json(json_text).value(); }

  std::uint64_t last_request = 0;
};

using traces = observed_node;

TEST_F(traces, of_a_process_here_tell_its_client_until_the_limit) {
  form({"a"});
  const auto name = owned_by("b", {"a", "b"});
  const auto id = ask(trace_op{name, 3, seconds{60}});
  EXPECT_THAT(told(id), ElementsAre("tracing"));
  call(name, "add"), call(name, "add"), call(name, "add");
  EXPECT_THAT(told(id), ElementsAre("tracing", "process", "message", "message", "ended."));
  EXPECT_EQ(last_told(id), (json{{"reason", "limit"}}));
  const auto second = all<streamed>()[2].document.document();
  EXPECT_EQ(second["kind"], "call");
  EXPECT_EQ(second["method"], "add");
  EXPECT_EQ(second["outcome"], "reply");
  EXPECT_EQ(second["answer"], "1");
  EXPECT_EQ(second["node"], "b");
  EXPECT_EQ(second["tookSeconds"], nullptr) << "this node has no stopwatch";
  EXPECT_EQ(second["at"].get<std::string>().size(), std::string("1970-01-01T00:00:00.000Z").size());
}

TEST_F(traces, end_with_their_time_and_with_their_client) {
  form({"a"});
  const auto name = owned_by("b", {"a", "b"});
  const auto timed = ask(trace_op{name, 100, seconds{2}});
  const auto left = ask(trace_op{name, 100, seconds{60}});
  step(client_gone{left});
  pass(seconds{3});
  EXPECT_THAT(told(timed), ElementsAre("tracing", "ended."));
  EXPECT_EQ(last_told(timed), (json{{"reason", "time"}}));
  call(name, "add");
  EXPECT_THAT(told(left), ElementsAre("tracing"));
}

TEST_F(traces, are_no_more_than_a_node_may_record) {
  form({"a"});
  const auto name = owned_by("b", {"a", "b"});
  for (std::size_t i = 0; i < process::traces_max; ++i)
    ask(trace_op{name, 10, seconds{60}});
  const auto refused = ask(trace_op{name, 10, seconds{60}});
  EXPECT_THAT(answer_to(refused).dump(), HasSubstr("overloaded: 16 traces run on this node"));
  EXPECT_THAT(answer_to(ask(trace_op{{class_name{"nope"}, process_key{"a"}}, 10, seconds{60}})).dump(),
              HasSubstr("no class 'nope'"));
}

TEST_F(traces, for_a_peer_are_told_to_it_until_it_wants_no_more) {
  form({"a"});
  const auto name = owned_by("b", {"a", "b"});
  receive(trace_question(name, 7));
  ASSERT_THAT(sent<wire::reply>(), SizeIs(1));
  EXPECT_EQ(sent<wire::reply>()[0].outcome->document()["node"], "b");
  call(name, "add");
  ASSERT_THAT(sent<wire::traced>(), SizeIs(1)) << "one frame for what one step brought";
  EXPECT_EQ(sent<wire::traced>()[0].id, 7U);
  EXPECT_THAT(sent<wire::traced>()[0].entries, SizeIs(2));
  done.clear();
  receive(wire::untrace{7});
  call(name, "add");
  EXPECT_THAT(sent<wire::traced>(), IsEmpty());
}

TEST_F(traces, of_a_process_elsewhere_pass_through) {
  form({"a"});
  const auto name = owned_by("a", {"a", "b"});
  const auto id = ask(trace_op{name, 5, seconds{60}});
  const auto asked = asked_of_peer(wire::verb::trace);
  EXPECT_EQ(asked.argument.document(), (json{{"limit", 5}, {"seconds", 60.0}}));
  receive(wire::reply{asked.id, text(R"({"node": "a", "class": "counter", "key": "k"})")});
  receive(wire::traced{asked.id, {{"message", text(R"({"kind": "call"})")}, {"dropped", text(R"({"count": 2})")}}, ""});
  EXPECT_THAT(told(id), ElementsAre("tracing", "message", "dropped"));
  receive(wire::traced{asked.id, {}, "limit"});
  EXPECT_THAT(told(id), ElementsAre("tracing", "message", "dropped", "ended."));
}

TEST_F(traces, are_given_up_at_their_owner_when_the_client_goes) {
  form({"a"});
  const auto id = ask(trace_op{owned_by("a", {"a", "b"}), 5, seconds{60}});
  const auto asked = asked_of_peer(wire::verb::trace);
  receive(wire::reply{asked.id, text(R"({"node": "a"})")});
  step(client_gone{id});
  ASSERT_THAT(sent<wire::untrace>(), SizeIs(1));
  EXPECT_EQ(sent<wire::untrace>()[0].id, asked.id);
  receive(wire::traced{asked.id, {{"message", text("{}")}}, ""});
  EXPECT_THAT(sent<wire::untrace>(), SizeIs(2)) << "the owner has not heard";
  EXPECT_THAT(told(id), ElementsAre("tracing"));
}

TEST_F(traces, are_given_up_too_when_the_client_went_before_the_owner_answered) {
  form({"a"});
  const auto id = ask(trace_op{owned_by("a", {"a", "b"}), 5, seconds{60}});
  step(client_gone{id});
  receive(wire::reply{asked_of_peer(wire::verb::trace).id, text(R"({"node": "a"})")});
  EXPECT_THAT(sent<wire::untrace>(), SizeIs(1));
}

TEST_F(traces, that_an_owner_refuses_are_refused_here) {
  form({"a"});
  const auto id = ask(trace_op{owned_by("a", {"a", "b"}), 5, seconds{60}});
  receive(wire::reply{asked_of_peer(wire::verb::trace).id, fail(errc::overloaded, "16 traces run on this node")});
  EXPECT_THAT(answer_to(id).dump(), HasSubstr("overloaded"));
  EXPECT_THAT(told(id), IsEmpty());
}

TEST_F(traces, follow_a_process_that_moved) {
  form({"a"});
  const auto name = owned_by("a", {"a", "b"});
  const auto id = ask(trace_op{name, 5, seconds{60}});
  const auto asked = asked_of_peer(wire::verb::trace);
  receive(wire::reply{asked.id, text(R"({"node": "a"})")});
  receive(wire::traced{asked.id, {{"message", text("{}")}}, ""});
  done.clear();
  receive(wire::traced{asked.id, {}, "moved"});
  const auto again = asked_of_peer(wire::verb::trace);
  EXPECT_NE(again.id, asked.id);
  EXPECT_EQ(again.argument.document()["limit"], 4) << "one of five was told";
  EXPECT_THAT(told(id), IsEmpty()) << "its client hears nothing of it";
}

TEST_F(traces, follow_a_process_whose_node_was_lost) {
  form({"a"});
  const auto name = owned_by("a", {"a", "b"});
  const auto id = ask(trace_op{name, 5, seconds{60}});
  receive(wire::reply{asked_of_peer(wire::verb::trace).id, text(R"({"node": "a"})")});
  step(connection_closed{connection_id{1}, {errc::unavailable, "reset"}});
  expect({"b"});
  pass(seconds{3}, {});
  call(name, "add");
  EXPECT_THAT(told(id), ElementsAre("tracing", "tracing", "process", "message")) << "recorded here now";
}

TEST_F(traces, end_for_a_peer_that_is_lost) {
  form({"a"});
  const auto name = owned_by("b", {"a", "b"});
  receive(trace_question(name, 7));
  step(connection_closed{connection_id{1}, {errc::unavailable, "reset"}});
  done.clear();
  for (std::size_t i = 0; i < process::traces_max; ++i)
    ask(trace_op{name, 10, seconds{60}});
  EXPECT_THAT(all<respond>(), IsEmpty()) << "there is room for as many as may be";
}

TEST_F(traces, pass_through_a_node_between_reader_and_owner) {
  form({"a", "aa"});
  const auto name = owned_by("aa", {"a", "aa", "b"});
  receive(trace_question(name, 7), 1);
  const auto forwarded = asked_of_peer(wire::verb::trace, 3);
  receive(wire::reply{forwarded.id, text(R"({"node": "aa"})")}, 3);
  ASSERT_THAT(sent<wire::reply>(1), SizeIs(1));
  receive(wire::traced{forwarded.id, {{"message", text("{}")}}, ""}, 3);
  receive(wire::traced{forwarded.id, {}, "moved"}, 3);
  const auto passed = sent<wire::traced>(1);
  ASSERT_THAT(passed, SizeIs(2));
  EXPECT_EQ(passed[0].id, 7U);
  EXPECT_THAT(passed[0].entries, SizeIs(1));
  EXPECT_EQ(passed[1].over, "moved") << "the reader's node decides what follows";
}

TEST_F(traces, are_bounded_also_where_they_only_pass) {
  form({"a", "aa"});
  const auto name = owned_by("aa", {"a", "aa", "b"});
  for (std::uint64_t i = 0; i <= trace_flows_max; ++i) {
    done.clear();
    receive(trace_question(name, 100 + i), 1);
    receive(wire::reply{asked_of_peer(wire::verb::trace, 3).id, text(R"({"node": "aa"})")}, 3);
  }
  EXPECT_THAT(sent<wire::untrace>(3), SizeIs(1));
  ASSERT_THAT(sent<wire::reply>(1), SizeIs(1));
  EXPECT_EQ(sent<wire::reply>(1)[0].outcome.error().code, errc::overloaded);
}

using crashes = observed_node;

TEST_F(crashes, are_told_by_class_and_key_with_when_and_why) {
  form({"a"});
  const auto name = owned_by("b", {"a", "b"});
  const auto other = owned_by("b", {"a", "b"}, 1);
  call(name, "add"), call(other, "add");
  ask(kill_op{name, "by hand"}), ask(kill_op{other, "by hand"});
  EXPECT_THAT(notified("process_crashed"), HasSubstr("\"decision\":\"restarted\""));
  pass(seconds{2});
  const auto all_of_them = answer_to(ask(crashes_op{.local = true}));
  EXPECT_EQ(all_of_them["crashes"].size(), 2U);
  EXPECT_EQ(all_of_them["truncated"], false);
  const auto found = answer_to(ask(crashes_op{.only = name.klass, .key = name.key, .local = true}));
  ASSERT_EQ(found["crashes"].size(), 1U);
  const auto crash = found["crashes"][0];
  EXPECT_EQ(crash["key"], name.key.value);
  EXPECT_EQ(crash["reason"], "killed: by hand");
  EXPECT_EQ(crash["kind"], "killed");
  EXPECT_EQ(crash["line"], nullptr);
  EXPECT_NEAR(crash["agoSeconds"].get<double>(), 2.0, 0.01);
  EXPECT_EQ(crash["decision"], "restarted");
  EXPECT_EQ(crash["message"], nullptr);
}

TEST_F(crashes, of_the_whole_mesh_come_the_latest_first) {
  form({"a"});
  const auto name = owned_by("b", {"a", "b"});
  call(name, "add");
  ask(kill_op{name, "here"});
  pass(seconds{2});
  const auto id = ask(crashes_op{.limit = 2});
  const auto asked = asked_of_peer(wire::verb::crashes);
  EXPECT_EQ(asked.limit, 2U);
  receive(
      wire::reply{asked.id, text(R"({"crashes": [{"key": "new", "agoSeconds": 0.5}, {"key": "old", "agoSeconds": 9}, 7],
                                         "supervisors": [{"class": "kv", "agoSeconds": 1}], "truncated": false})")});
  const auto merged = answer_to(id);
  ASSERT_EQ(merged["crashes"].size(), 2U);
  EXPECT_EQ(merged["crashes"][0]["key"], "new");
  EXPECT_EQ(merged["crashes"][1]["key"], name.key.value);
  EXPECT_EQ(merged["supervisors"].size(), 1U);
  EXPECT_EQ(merged["truncated"], true);
  EXPECT_EQ(merged["unreachable"], json::array());
}

using tops = observed_node;

TEST_F(tops, rank_the_processes_of_all_nodes) {
  form({"a"});
  const auto name = owned_by("b", {"a", "b"});
  call(name, "get");
  ask(suspend_op{name});
  call(name, "get"), call(name, "get");
  const auto id = ask(top_op{.by = process::measure::mailbox, .limit = 2});
  const auto asked = asked_of_peer(wire::verb::top);
  EXPECT_EQ(asked.argument.document(), (json{{"by", "mailbox"}}));
  EXPECT_EQ(answer_to(id), "no answer yet");
  receive(
      wire::reply{asked.id, text(R"({"processes": [{"key": "far", "mailbox": 5}, {"key": "less", "mailbox": 1}]})")});
  const auto found = answer_to(id);
  ASSERT_EQ(found["processes"].size(), 2U);
  EXPECT_EQ(found["processes"][0]["key"], "far");
  EXPECT_EQ(found["processes"][1]["key"], name.key.value);
  EXPECT_EQ(found["processes"][1]["state"], "suspended");
}

TEST_F(tops, by_rate_take_two_looks_the_first_time_and_one_later) {
  form({"a"});
  const auto name = owned_by("b", {"a", "b"});
  call(name, "get");
  const auto first = ask(top_op{.by = process::measure::messages, .local = true});
  EXPECT_EQ(answer_to(first), "no answer yet");
  call(name, "get");
  pass(milliseconds{600});
  const auto found = answer_to(first);
  ASSERT_EQ(found["processes"].size(), 1U) << found;
  EXPECT_GT(found["processes"][0]["messagesPerSecond"], 0.5);
  pass(seconds{1});
  EXPECT_EQ(answer_to(ask(top_op{.by = process::measure::messages, .local = true}))["processes"], json::array())
      << "nothing has come since the look before";
}

TEST_F(tops, of_a_peer_that_does_not_answer_are_told_without_it) {
  form({"a"});
  call(owned_by("b", {"a", "b"}), "get");
  const auto id = ask(top_op{.by = process::measure::memory});
  pass(seconds{11});
  EXPECT_EQ(answer_to(id)["unreachable"], json::array({"a"}));
  EXPECT_EQ(answer_to(id)["processes"].size(), 1U);
}

TEST_F(tops, are_answered_to_a_peer_that_asks) {
  form({"a"});
  const auto name = owned_by("b", {"a", "b"});
  call(name, "get");
  receive(wire::control{.id = 9,
                        .asked = wire::verb::top,
                        .name = {},
                        .reason = {},
                        .only = {},
                        .limit = 5,
                        .argument = text(R"({"by": "memory"})")});
  ASSERT_THAT(sent<wire::reply>(), SizeIs(1));
  EXPECT_EQ(sent<wire::reply>()[0].outcome->document()["processes"][0]["key"], name.key.value);
  receive(wire::control{.id = 10,
                        .asked = wire::verb::top,
                        .name = {},
                        .reason = {},
                        .only = {},
                        .limit = 5,
                        .argument = text(R"({"by": "beauty"})")});
  EXPECT_EQ(sent<wire::reply>().back().outcome.error().code, errc::invalid_argument);
}

TEST_F(tops, look_at_many_processes_some_at_a_time) {
  form({"a"});
  std::size_t mine = 0;
  for (int i = 0; mine < 3 * std::size_t{census_places_max}; ++i) {
    const auto name = named("n" + std::to_string(i));
    ask(call_op{name, "get", {}, {}});
    mine = b.current().processes;
    done.clear();
  }
  step(client_request{request_id{++last_request}, top_op{.by = process::measure::memory, .local = true}});
  const request_id id{last_request};
  int slices = 1;
  while (answer_to(id) == "no answer yet" && slices < 100) {
    EXPECT_GT(b.wake_at(), now) << "others have their turn between two slices";
    now = b.wake_at();
    step(woken{});
    ++slices;
  }
  EXPECT_GE(slices, 3);
  EXPECT_EQ(answer_to(id)["processes"].size(), 20U);
}

TEST_F(tops, have_numbers_of_classes_for_metrics) {
  form({"a"});
  const auto name = owned_by("b", {"a", "b"});
  call(name, "get");
  ask(suspend_op{name});
  call(name, "get");
  const auto load = answer_to(ask(load_op{}));
  ASSERT_EQ(load["classes"].size(), 1U);
  EXPECT_EQ(load["classes"][0]["class"], "counter");
  EXPECT_EQ(load["classes"][0]["mailbox"], 1);
  EXPECT_EQ(load["classes"][0]["suspended"], 1);
  EXPECT_EQ(load["traces"], 0);
  EXPECT_EQ(load["crashes"]["restarted"], 0);
}

TEST(wall_clocks, count_from_the_boot_of_the_node) {
  const time_point started{seconds{50}};
  const wall_clock clock(boot_number{1'767'323'045'678'000}, started);
  EXPECT_EQ(clock.text(started), "2026-01-02T03:04:05.678Z");
  EXPECT_EQ(clock.text(started + std::chrono::hours{24} - milliseconds{1}), "2026-01-03T03:04:05.677Z");
  EXPECT_EQ(clock.text(started + milliseconds{322}), "2026-01-02T03:04:06.000Z");
}

}  // namespace observing

}  // namespace
}  // namespace orrery::node
