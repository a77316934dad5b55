#include "mesh/node/node.hpp"

#include "mesh/node/documents.hpp"
#include "mesh/node/isolation.hpp"
#include "mesh/node/pending.hpp"
#include "mesh/node/testing.hpp"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace orrery::node {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using core_b = testing::core_b;

using testing::named;
using testing::start;

TEST(isolation, needs_both_a_lost_majority_and_an_unreachable_control_plane) {
  isolation watched;
  EXPECT_TRUE(watched.majority(start, false).check);
  EXPECT_FALSE(watched.isolated());
  EXPECT_FALSE(watched.control_plane(start, true).isolated);
  EXPECT_FALSE(watched.isolated());
  EXPECT_FALSE(watched.majority(start + milliseconds{10}, false).check);  // a second has not passed
  EXPECT_TRUE(watched.majority(start + seconds{1}, false).check);
  EXPECT_FALSE(watched.majority(start + seconds{3}, false).check);  // the last question is open
  EXPECT_TRUE(watched.control_plane(start + seconds{3}, false).isolated);
  EXPECT_TRUE(watched.isolated());
  const auto back = watched.majority(start + seconds{4}, true);
  EXPECT_TRUE(back.rejoined);
  EXPECT_TRUE(back.regained_majority);
}

TEST(pending_table, expires_what_is_forwarded_or_parked_and_leaves_the_rest_to_the_runtime) {
  pending_table table;
  const auto open = [&](duration deadline) {
    pending entry;
    entry.name = named("a");
    entry.deadline = start + deadline;
    return table.open(std::move(entry));
  };
  const auto here = open(seconds{1});
  const auto sent = open(seconds{2});
  const auto parked = open(seconds{3});
  EXPECT_TRUE(table.set_forwarded(sent, link_id{1}));
  EXPECT_TRUE(table.set_parked(parked));
  EXPECT_EQ(table.next_deadline(), start + seconds{2});
  EXPECT_EQ(table.expired(start + seconds{9}), (std::vector{sent, parked}));
  EXPECT_EQ(table.forwarded_to(link_id{1}), std::vector{sent});
  EXPECT_EQ(table.parked_for(named("a")), std::vector{parked});
  EXPECT_TRUE(table.close(here));
  EXPECT_TRUE(table.close(sent));
  EXPECT_FALSE(table.close(sent));
  EXPECT_TRUE(table.forwarded_to(link_id{1}).empty());
}

TEST(pending_table, parks_a_bounded_number) {
  pending_table table;
  for (std::size_t i = 0; i < parked_max; ++i)
    ASSERT_TRUE(table.set_parked(table.open({})));
  EXPECT_FALSE(table.set_parked(table.open({})));
}

TEST_F(core_b, says_what_it_waits_for_until_it_has_joined) {
  EXPECT_EQ(b.current().reason, "waiting for discovery");
  expect_both();
  EXPECT_EQ(b.current().reason, "waiting for a (connecting)");
  connect();
  EXPECT_EQ(b.current().reason, "waiting for a to hand over its processes");
  receive(wire::handoff_done{});
  EXPECT_TRUE(b.current().joined);
  EXPECT_THAT(notified("node_joined"), HasSubstr("\"peers\":1"));
}

TEST_F(core_b, a_first_call_waits_for_the_peer_that_has_still_to_hand_over_then_runs) {
  expect_both();
  connect();
  std::vector<request_id> asked;
  for (std::uint64_t i = 1; i <= 40; ++i)
    step(client_request{request_id{i}, call_op{named(std::to_string(i)), "add", value{}, {}}});
  EXPECT_TRUE(all<respond>().empty());
  const auto forwarded = sent<wire::call>().size();
  EXPECT_GT(forwarded, 5U);
  receive(wire::handoff_done{});
  EXPECT_EQ(all<respond>().size(), 40 - forwarded);
}

TEST_F(core_b, a_peer_that_never_hands_over_is_waited_for_two_seconds) {
  expect_both();
  connect();
  now += seconds{1};
  receive(wire::heartbeat{});
  now += seconds{1};
  step(woken{});
  EXPECT_TRUE(b.current().joined);
}

TEST_F(core_b, a_malformed_frame_ends_the_connection_and_is_counted) {
  expect_both();
  connect();
  step(frame_received{connection_id{1}, wire::frame{16, {0xff, 0x00}}});
  EXPECT_EQ(b.current().counted.frames_refused, 1U);
  EXPECT_EQ(b.current().connected, 0U);
  EXPECT_EQ(all<hang_up>().size(), 1U);
  EXPECT_THAT(notified("peer_refused"), HasSubstr("call: the payload is not a CBOR map"));
}

TEST_F(core_b, a_request_before_the_handshake_is_refused) {
  expect_both();
  step(connection_opened{connection_id{1}, {"ns", "demo", "a"}, false});
  receive(wire::cast{named("x"), "add", value{}, 0});
  EXPECT_THAT(notified("peer_refused"), HasSubstr("before the handshake"));
}

TEST_F(core_b, a_refused_peer_is_an_event_with_the_reason) {
  expect_both();
  step(connection_opened{connection_id{1}, {"ns", "another", "a"}, false});
  EXPECT_EQ(b.current().counted.peers_refused, 1U);
  EXPECT_THAT(notified("peer_refused"), HasSubstr("expected orrery://ns/demo/"));
}

TEST_F(core_b, a_cast_that_was_forwarded_often_goes_on_after_a_pause_and_not_for_ever) {
  expect_both();
  connect();
  receive(wire::handoff_done{});
  for (std::uint64_t i = 0; i < 20; ++i)
    receive(wire::cast{named(std::to_string(i)), "add", value{}, hops_max});
  EXPECT_THAT(sent<wire::cast>(), IsEmpty());
  pass(retry_delay);
  const auto forwarded = sent<wire::cast>();
  ASSERT_THAT(forwarded, Not(IsEmpty()));
  EXPECT_EQ(forwarded.front().hops, hops_max + 1);
  EXPECT_EQ(b.current().counted.casts_dropped, 0U);
  auto worn = forwarded.front();
  worn.hops = cast_hops_max;
  receive(worn);
  EXPECT_EQ(b.current().counted.casts_dropped, 1U);
}

TEST_F(core_b, a_request_that_was_forwarded_too_often_is_refused_without_effect) {
  expect_both();
  connect();
  receive(wire::handoff_done{});
  for (std::uint64_t i = 0; i < 20; ++i)
    receive(wire::call{i, named(std::to_string(i)), "add", value{}, std::chrono::microseconds{1'000'000}, hops_max});
  std::size_t refused = 0;
  for (const auto& each : sent<wire::reply>()) {
    if (each.outcome) continue;
    ++refused;
    EXPECT_EQ(each.outcome.error().code, errc::unavailable);
    EXPECT_EQ(each.outcome.error().effect, took_effect::not_executed);
  }
  EXPECT_GT(refused, 0U);
  EXPECT_LT(refused, 20U);
}

TEST_F(core_b, a_late_reply_is_dropped) {
  expect_both();
  connect();
  receive(wire::handoff_done{});
  for (std::uint64_t i = 1; i <= 20; ++i)
    step(client_request{request_id{i}, call_op{named(std::to_string(i)), "add", value{}, milliseconds{100}}});
  const auto forwarded = sent<wire::call>();
  ASSERT_FALSE(forwarded.empty());
  now += milliseconds{100};
  step(woken{});
  const auto answered = all<respond>().size();
  EXPECT_EQ(answered, 20U);
  receive(wire::reply{forwarded[0].id, value{}});
  EXPECT_EQ(all<respond>().size(), answered);
}

TEST_F(core_b, gives_the_node_of_a_process_less_time_so_that_it_has_the_first_word) {
  expect_both();
  connect();
  receive(wire::handoff_done{});
  const auto there = owned_by("a", {"a", "b"});
  step(client_request{request_id{1}, call_op{there, "add", value{}, seconds{1}}});
  step(client_request{request_id{2}, call_op{there, "add", value{}, seconds{100}}});
  const auto asked = sent<wire::call>();
  ASSERT_EQ(asked.size(), 2U);
  EXPECT_EQ(asked[0].remaining, milliseconds{980});
  EXPECT_EQ(asked[1].remaining, milliseconds{99'950});
  error why{errc::deadline_exceeded, "no app that hosts it is connected", took_effect::not_executed};
  now += milliseconds{985};
  receive(wire::reply{asked[0].id, fail(why)});
  ASSERT_EQ(all<respond>().size(), 1U);
  EXPECT_EQ(all<respond>()[0].answer.error(), why);
}

TEST_F(core_b, a_cast_that_is_refused_here_and_now_is_answered_so_and_counted) {
  expect({"b"});
  now += milliseconds{100};
  step(woken{});
  step(client_request{request_id{1}, cast_op{named("x"), "fly", value{}}});
  step(client_request{request_id{2}, cast_op{{class_name{"unknown"}, process_key{"x"}}, "add", value{}}});
  step(client_request{request_id{3}, cast_op{named("x"), "add", value{}}});
  const auto answers = all<respond>();
  ASSERT_EQ(answers.size(), 3U);
  EXPECT_EQ(answers[0].answer.error().code, errc::not_found);
  EXPECT_EQ(answers[1].answer.error().code, errc::not_found);
  EXPECT_TRUE(answers[2].answer);
  EXPECT_EQ(b.current().counted.casts, 1U);
  EXPECT_EQ(b.current().counted.casts_dropped, 2U);
}

TEST_F(core_b, whatever_is_asked_of_a_class_that_there_is_not_names_those_that_there_are) {
  expect({"b"});
  now += milliseconds{100};
  step(woken{});
  const process_name unknown{class_name{"cart"}, process_key{"x"}};
  step(client_request{request_id{1}, call_op{unknown, "add", value{}, {}}});
  step(client_request{request_id{2}, cast_op{unknown, "add", value{}}});
  step(client_request{request_id{3}, inspect_op{unknown}});
  step(client_request{request_id{4}, stop_op{unknown}});
  step(client_request{request_id{5}, kill_op{unknown, ""}});
  const auto answers = all<respond>();
  ASSERT_EQ(answers.size(), 5U);
  for (const auto& each : answers)
    EXPECT_EQ(to_string(each.answer.error()), "not_found: no class 'cart'; known classes: counter") << each.id.value;
}

TEST_F(core_b, a_cast_to_a_class_that_is_not_known_is_refused_wherever_its_name_would_live) {
  form({"a"});
  int refused = 0;
  for (int i = 0; i < 8; ++i)
    step(client_request{request_id{1}, cast_op{{class_name{"cart"}, process_key{std::to_string(i)}}, "add", value{}}});
  for (const auto& each : all<respond>())
    refused += each.answer ? 0 : 1;
  EXPECT_EQ(refused, 8);
  EXPECT_TRUE(sent<wire::cast>().empty());
}

TEST_F(core_b, processes_know_the_time_of_day_that_the_shell_told_last) {
  process::class_spec timers;
  timers.name = class_name{"counter"};
  timers.behaviour = process::builtin_kind::timer;
  step(classes_changed{{timers}});
  expect({"b"});
  now += milliseconds{100};
  step(woken{});
  const auto next = [&] {
    done.clear();
    const auto set = R"({"name":"n","schedule":"@yearly","to":"c/k","method":"m"})";
    step(client_request{request_id{1}, call_op{named("x"), "cron", value::from_json(set).value(), {}}});
    return all<respond>().at(0).answer.value().document().at("next").get<std::string>();
  };
  EXPECT_EQ(next(), "1971-01-01T00:00:00Z");
  step(clock_read{std::chrono::sys_days{std::chrono::year{2026} / 6 / 1}.time_since_epoch()});
  EXPECT_EQ(next(), "2027-01-01T00:00:00Z");
}

TEST_F(core_b, a_start_has_no_reason_and_an_exit_has) {
  expect({"b"});
  now += milliseconds{100};
  step(woken{});
  step(client_request{request_id{1}, call_op{named("x"), "add", value{}, {}}});
  EXPECT_THAT(notified("process_started"), Not(HasSubstr("reason")));
  step(client_request{request_id{2}, stop_op{named("x")}});
  EXPECT_THAT(notified("process_exited"), HasSubstr("\"reason\":\"normal\""));
}

TEST_F(core_b, what_waits_is_bounded_in_bytes_and_refused_as_overloaded) {
  expect_both();  // "a" has not come: everything waits
  const value large = value::from_document(std::string(1000 * 1000, 'x')).value();
  std::uint64_t taken = 0;
  while (all<respond>().empty() && taken < parked_max)
    step(client_request{request_id{++taken}, call_op{named("x"), "add", large, {}}});
  ASSERT_EQ(all<respond>().size(), 1U);
  EXPECT_EQ(all<respond>()[0].answer.error().code, errc::overloaded);
  EXPECT_THAT(all<respond>()[0].answer.error().context, HasSubstr("MiB of arguments"));
  EXPECT_EQ(taken, pending_bytes_max / 1'000'000 + 2);
  step(client_request{request_id{++taken}, cast_op{named("x"), "add", large}});
  EXPECT_EQ(all<respond>().back().answer.error().code, errc::overloaded);
}

TEST(documents, what_a_peer_sends_is_left_out_where_it_lacks_what_a_list_is_sorted_by) {
  const auto part = [](const char* text) { return value::from_json(text).value(); };
  const auto lists =
      merge_process_lists({part(R"({"processes": [{"class": "c", "key": "2"}, {"class": "c", "key": "1", "node": 7},
                              {"class": "c", "key": "1", "node": "b"}, {"class": "c", "key": "1", "node": "a"}]})")},
                          {}, 10);
  ASSERT_TRUE(lists);
  ASSERT_EQ(lists->document()["processes"].size(), 2U);
  EXPECT_EQ(lists->document()["processes"][0]["node"], "a");
  const auto trees =
      merge_trees({part(R"({"supervisors": []})"), part(R"({"node": [1]})"), part(R"({"node": "a"})")}, {});
  ASSERT_TRUE(trees);
  EXPECT_EQ(trees->document()["nodes"].size(), 1U);
  EXPECT_EQ(trees->document()["truncated"], false);
}

TEST(documents, a_tree_that_is_cut_says_so) {
  std::vector<value> parts;
  for (char node = 'a'; node <= 'c'; ++node) {
    parts.push_back(
        value::from_document({{"node", std::string{node}}, {"supervisors", std::string(400'000, 'x')}}).value());
  }
  const auto merged = merge_trees(parts, {});
  ASSERT_TRUE(merged);
  EXPECT_EQ(merged->document()["nodes"].size(), 2U);
  EXPECT_EQ(merged->document()["truncated"], true);
}

TEST_F(core_b, a_handoff_of_a_class_that_is_not_known_goes_back) {
  expect_both();
  connect();
  wire::handoff moved;
  moved.id = 5;
  moved.name = {class_name{"newer"}, process_key{"x"}};
  receive(moved);
  ASSERT_EQ(sent<wire::handoff_ack>().size(), 1U);
  EXPECT_EQ(sent<wire::handoff_ack>()[0].refused->code, errc::not_found);
}

TEST_F(core_b, classes_that_are_refused_are_listed_with_the_reason) {
  process::class_spec broken;
  broken.name = class_name{"Not-A-Label"};
  step(classes_changed{{broken}});
  step(client_request{request_id{1}, list_classes_op{}});
  const auto listed = all<respond>().at(0).answer.value().document()["classes"];
  ASSERT_EQ(listed.size(), 1U);
  ASSERT_TRUE(listed[0]["error"].is_string());
  EXPECT_THAT(listed[0]["error"].get<std::string>(), HasSubstr("Not-A-Label"));
  EXPECT_THAT(notified("class_refused"), HasSubstr("Not-A-Label"));
}

}  // namespace
}  // namespace orrery::node
