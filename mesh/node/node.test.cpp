#include "mesh/node/node.hpp"

#include "mesh/node/isolation.hpp"
#include "mesh/node/pending.hpp"
#include "mesh/node/takeover.hpp"
#include "mesh/wire/messages.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace orrery::node {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

process_name named(std::string key) { return {class_name{"counter"}, process_key{std::move(key)}}; }
const time_point start{seconds{50}};

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

TEST(takeover, waits_for_progress_not_for_the_clock) {
  takeover waiting;
  waiting.came_up(start, link_id{1}, {node_name{"a"}, boot_number{1}}, false);
  waiting.progress(start + seconds{1}, link_id{1});
  EXPECT_FALSE(waiting.expire(start + seconds{2}));
  EXPECT_TRUE(waiting.any_name());
  EXPECT_TRUE(waiting.expire(start + seconds{3}));
  EXPECT_TRUE(waiting.empty());
}

/// A core whose transport is the test itself; "a" dials it.
class core_b : public ::testing::Test {
 protected:
  core_b() : b(chosen()) {
    process::class_spec counter;
    counter.name = class_name{"counter"};
    step(classes_changed{{counter}});
  }
  static settings chosen() {
    settings out;
    out.name_space = "ns";
    out.mesh = "demo";
    out.mesh_id = "id";
    out.self = {node_name{"b"}, boot_number{1}};
    out.uid = "uid-b";
    out.address = "10.0.0.2:3601";
    return out;
  }
  void step(event happened) { b.step(now, std::move(happened), done); }
  void receive(const wire::message& message) {
    wire::frame_decoder decoder;
    decoder.feed(wire::encode(message));
    wire::frame frame;
    ASSERT_TRUE(decoder.next(frame).value());
    step(frame_received{connection_id{1}, frame});
  }
  void expect_both() {
    step(members_changed{
        {{node_name{"a"}, "uid-a", "10.0.0.1:3601", false}, {node_name{"b"}, "uid-b", "10.0.0.2:3601", false}}});
  }
  void connect() {
    step(connection_opened{connection_id{1}, {"ns", "demo", "a"}, false});
    receive(wire::hello{.mesh_id = "id",
                        .node = {node_name{"a"}, boot_number{1}},
                        .uid = "uid-a",
                        .address = "10.0.0.1:3601",
                        .software = "test",
                        .attempt = 2});
    receive(wire::welcome{});
  }
  template <class Effect>
  std::vector<Effect> all() {
    std::vector<Effect> out;
    for (const auto& each : done) {
      if (const auto* found = std::get_if<Effect>(&each)) out.push_back(*found);
    }
    return out;
  }
  template <class Message>
  std::vector<Message> sent() {
    std::vector<Message> out;
    for (const auto& each : all<transmit>()) {
      wire::frame_decoder decoder;
      decoder.feed(each.encoded);
      wire::frame frame;
      EXPECT_TRUE(decoder.next(frame).value());
      auto message = wire::decode(frame).value();
      if (auto* found = std::get_if<Message>(&message)) out.push_back(std::move(*found));
    }
    return out;
  }
  std::string notified(std::string_view type) {
    for (const auto& each : all<notify>()) {
      if (each.type == type) return each.document.json_text();
    }
    return "";
  }

  core b;
  time_point now = start;
  effects done;
};

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
  EXPECT_EQ(listed[0]["error"].is_null(), notified("class_refused").empty());
}

}  // namespace
}  // namespace orrery::node
