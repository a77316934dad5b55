#include "mesh/wire/messages.hpp"

#include "mesh/base/random.hpp"
#include "mesh/wire/fields.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orrery::wire {
namespace {

using std::chrono::microseconds;
using ::testing::HasSubstr;

frame to_frame(const bytes& encoded) {
  frame_decoder decoder;
  decoder.feed(encoded);
  frame out;
  EXPECT_TRUE(decoder.next(out).value());
  return out;
}

template <class Message>
Message round_trip(const Message& sent) {
  auto received = decode(to_frame(encode(message{sent})));
  EXPECT_TRUE(received) << (received ? "" : to_string(received.error()));
  return std::get<Message>(received.value());
}

value json(std::string_view text) { return value::from_json(text).value(); }
process_name named(std::string_view text) { return parse_process_name(text).value(); }

TEST(messages, a_hello_keeps_every_field) {
  const hello sent{.protocol = 2,
                   .features = 5,
                   .mesh_id = "m",
                   .node = {node_name{"demo-a"}, boot_number{77}},
                   .uid = "u",
                   .address = "10.0.0.1:3601",
                   .software = "0.1.0",
                   .attempt = 4,
                   .draining = true};
  const auto received = round_trip(sent);
  EXPECT_EQ(received.protocol, 2U);
  EXPECT_EQ(received.features, 5U);
  EXPECT_EQ(received.mesh_id, "m");
  EXPECT_EQ(received.node, sent.node);
  EXPECT_EQ(received.uid, "u");
  EXPECT_EQ(received.address, "10.0.0.1:3601");
  EXPECT_EQ(received.software, "0.1.0");
  EXPECT_EQ(received.attempt, 4U);
  EXPECT_TRUE(received.draining);
}

TEST(messages, a_call_keeps_every_field) {
  const auto received =
      round_trip(call{~0ULL, named("counter/a/b"), "add", json(R"({"by": [1, 2]})"), microseconds{1'500'000}, 2});
  EXPECT_EQ(received.id, ~0ULL);
  EXPECT_EQ(to_string(received.name), "counter/a/b");
  EXPECT_EQ(received.method, "add");
  EXPECT_EQ(received.argument, json(R"({"by": [1, 2]})"));
  EXPECT_EQ(received.remaining, microseconds{1'500'000});
  EXPECT_EQ(received.hops, 2U);
}

TEST(messages, a_reply_carries_a_value_or_an_error_with_its_effect) {
  EXPECT_EQ(round_trip(reply{3, json("[1]")}).outcome.value(), json("[1]"));
  const error why{errc::unavailable, "demo-b went away", took_effect::unknown};
  EXPECT_EQ(round_trip(reply{4, fail(why)}).outcome.error(), why);
  EXPECT_FALSE(round_trip(reply{4, fail(why)}).waited);
  EXPECT_TRUE(round_trip(reply{4, fail(why), true}).waited);
}

TEST(messages, a_handoff_keeps_state_and_mailbox_in_order) {
  handoff sent{.id = 9,
               .name = named("kv/x"),
               .class_version = 3,
               .restarts = 1,
               .state = json("{\"a\": 1}"),
               .contested = true,
               .hops = 1,
               .mailbox = {},
               .suspended = true};
  sent.mailbox.push_back({"put", json("1"), 55, microseconds{7}});
  sent.mailbox.push_back({"said", json("\"first\""), std::nullopt, std::nullopt, true});
  sent.mailbox.push_back({"note", json("2"), std::nullopt, std::nullopt});
  sent.mailbox.push_back({"said", json("\"last\""), std::nullopt, std::nullopt, true});
  const auto received = round_trip(sent);
  EXPECT_EQ(received.state, sent.state);
  EXPECT_TRUE(received.contested);
  EXPECT_TRUE(received.suspended);
  ASSERT_EQ(received.mailbox.size(), 4U);
  EXPECT_EQ(received.mailbox[0].reply_to, 55U);
  EXPECT_EQ(received.mailbox[0].remaining, microseconds{7});
  EXPECT_TRUE(received.mailbox[1].plain);
  EXPECT_EQ(received.mailbox[1].argument, json("\"first\""));
  EXPECT_EQ(received.mailbox[2].method, "note");
  EXPECT_FALSE(received.mailbox[2].plain);
  EXPECT_FALSE(received.mailbox[2].reply_to);
  EXPECT_EQ(received.mailbox[3].argument, json("\"last\""));
}

TEST(messages, long_reasons_are_cut_between_two_characters) {
  std::string sent = "x";
  while (sent.size() <= reason_bytes_max)
    sent += "\u00e4";
  const auto expected = sent.substr(0, reason_bytes_max - (reason_bytes_max - 1) % 2);
  EXPECT_EQ(round_trip(goodbye{true, errc::forbidden, sent}).why, expected);
  EXPECT_EQ(round_trip(reply{7, fail(errc::handler_failed, sent)}).outcome.error().context, expected);
  EXPECT_TRUE(is_utf8(expected));
}

TEST(messages, the_others_survive_the_trip) {
  EXPECT_EQ(round_trip(goodbye{true, errc::forbidden, "no"}).code, errc::forbidden);
  EXPECT_EQ(round_trip(heartbeat{5, 6}).processes, 6U);
  EXPECT_EQ(round_trip(heartbeat_ack{5}).sent_at, 5U);
  EXPECT_EQ(round_trip(cast{named("a/b"), "m", value{}, 1}).hops, 1U);
  control asked{.id = 1, .asked = verb::list, .name = {}, .reason = {}, .only = class_name{"kv"}, .limit = 10};
  EXPECT_EQ(round_trip(asked).only, class_name{"kv"});
  asked = {.id = 1, .asked = verb::kill, .name = named("a/b"), .reason = "because", .only = {}, .limit = 0};
  EXPECT_EQ(round_trip(asked).reason, "because");
  EXPECT_EQ(round_trip(asked).argument, value{});
  asked = {.id = 1, .asked = verb::set_state, .name = named("a/b"), .reason = {}, .only = {}, .argument = json("[1]")};
  EXPECT_EQ(round_trip(asked).argument, json("[1]"));
  for (const auto each : {verb::inspect, verb::suspend, verb::trace, verb::top, verb::crashes}) {
    asked.asked = each;
    EXPECT_EQ(round_trip(asked).asked, each);
    EXPECT_EQ(round_trip(asked).name.has_value(), !is_about_a_node(each));
  }
  EXPECT_EQ(round_trip(handoff_ack{2, error{errc::not_found, "class"}, false}).refused->code, errc::not_found);
  const auto told = round_trip(traced{9, {{"message", json("{}")}, {"dropped", json("[3]")}}, "limit"});
  ASSERT_EQ(told.entries.size(), 2U);
  EXPECT_EQ(told.entries[1].document, json("[3]"));
  EXPECT_EQ(told.over, "limit");
  EXPECT_EQ(round_trip(untrace{9}).id, 9U);
  EXPECT_EQ(round_trip(cancel{9}).id, 9U);
  (void)round_trip(welcome{});
  (void)round_trip(draining{});
  (void)round_trip(draining_ack{});
  const node_id other{node_name{"demo-c"}, boot_number{8}};
  EXPECT_EQ(round_trip(handoff_done{{other}, {}}).nodes, std::vector{other});
  const process_name kept{class_name{"counter"}, process_key{"a"}};
  EXPECT_EQ(round_trip(handoff_done{{}, {kept}}).held, std::vector{kept});
  EXPECT_EQ(round_trip(handoff_done{{}, {}, 7}).heard, 7U);
  EXPECT_EQ(round_trip(handoff_done{{other, other}, {}, 0, {3}}).words, (std::vector<std::uint64_t>{3, 0}));
  const auto without = round_trip(unhosted{3, {class_name{"cart"}, class_name{"room"}}});
  EXPECT_EQ(without.number, 3U);
  EXPECT_EQ(without.classes, (std::vector{class_name{"cart"}, class_name{"room"}}));
  hello greeting;
  greeting.unhosted = {class_name{"cart"}};
  EXPECT_EQ(round_trip(greeting).unhosted, greeting.unhosted);
}

TEST(messages, unknown_fields_of_a_newer_peer_are_ignored) {
  frame received = to_frame(encode(message{heartbeat{1, 2}}));
  field_writer newer;
  field_writer nested;
  nested.text("x", "y");
  newer.maps("future", std::vector<field_writer>{nested}).number("at", 1).number("processes", 2).flag("later", true);
  received.payload = std::move(newer).take();
  EXPECT_EQ(std::get<heartbeat>(decode(received).value()).processes, 2U);
}

TEST(messages, a_verb_of_a_newer_peer_is_no_fault_of_its_frame) {
  frame received =
      to_frame(encode(message{control{.id = 7, .asked = verb::list, .name = {}, .reason = {}, .only = {}}}));
  field_writer newer;
  newer.number("id", 7).text("verb", "dream").number("remaining", 1).number("hops", 0).number("limit", 0);
  received.payload = std::move(newer).take();
  const auto read = std::get<control>(decode(received).value());
  EXPECT_EQ(read.asked, verb::unknown);
  EXPECT_EQ(read.id, 7U);
}

TEST(messages, a_type_of_a_newer_peer_is_reported_as_unknown) {
  EXPECT_EQ(std::get<unknown_message>(decode(frame{999, {}}).value()).type, 999);
}

TEST(messages, a_missing_field_is_refused_by_name) {
  frame received = to_frame(encode(message{heartbeat{}}));
  received.payload = std::move(field_writer{}.number("at", 1)).take();
  const auto refused = decode(received);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::protocol);
  EXPECT_THAT(refused.error().context, HasSubstr("heartbeat: field 'processes' is missing"));
}

TEST(messages, a_field_of_the_wrong_type_is_refused_by_name) {
  frame received = to_frame(encode(message{heartbeat{}}));
  received.payload = std::move(field_writer{}.text("at", "soon").number("processes", 1)).take();
  EXPECT_THAT(decode(received).error().context, HasSubstr("'at' is not an unsigned number"));
}

TEST(messages, a_name_without_a_key_is_refused) {
  frame received = to_frame(encode(message{cast{named("a/b"), "m", value{}, 0}}));
  received.payload =
      std::move(field_writer{}.text("name", "nokey").text("method", "m").item("argument", value{}).number("hops", 0))
          .take();
  EXPECT_THAT(decode(received).error().context, HasSubstr("has no slash"));
}

TEST(messages, a_field_that_appears_twice_is_refused) {
  frame received = to_frame(encode(message{heartbeat_ack{}}));
  received.payload = std::move(field_writer{}.number("at", 1).number("at", 2)).take();
  EXPECT_THAT(decode(received).error().context, HasSubstr("twice"));
}

TEST(messages, truncated_and_flipped_payloads_are_refused_and_never_crash) {
  handoff whole{.id = 9,
                .name = named("kv/x"),
                .class_version = 3,
                .restarts = 1,
                .state = json("{\"a\": [1, 2]}"),
                .contested = false,
                .hops = 0,
                .mailbox = {{"put", json("1"), 55, microseconds{7}}}};
  const frame good = to_frame(encode(message{whole}));
  for (std::size_t cut = 0; cut < good.payload.size(); ++cut) {
    frame bad = good;
    bad.payload.resize(cut);
    EXPECT_FALSE(decode(bad)) << cut;
  }
  seeded_random random(7);
  for (int round = 0; round < 20'000; ++round) {
    frame bad = good;
    for (int flips = 0; flips < 3; ++flips)
      bad.payload[random.below(bad.payload.size())] = static_cast<std::uint8_t>(random.next());
    bad.type = static_cast<std::uint16_t>(random.below(40));
    (void)decode(bad);
  }
}

}  // namespace
}  // namespace orrery::wire
