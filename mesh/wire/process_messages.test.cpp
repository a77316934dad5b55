#include "mesh/wire/process_messages.hpp"

#include "mesh/base/random.hpp"
#include "mesh/wire/fields.hpp"
#include "mesh/wire/messages.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace orrery::wire {
namespace {

using std::chrono::microseconds;
using ::testing::HasSubstr;
using kind = signal::kind;

frame to_frame(const message& sent) {
  frame_decoder decoder;
  decoder.feed(encode(sent));
  frame out;
  EXPECT_TRUE(decoder.next(out).value());
  return out;
}

template <class Message>
Message round_trip(const Message& sent) {
  auto received = decode(to_frame(message{sent}));
  EXPECT_TRUE(received) << (received ? "" : to_string(received.error()));
  return std::get<Message>(received.value());
}

/// As `sent`, with one field as `change` writes it.
template <class Message>
std::string refusal_of(const Message& sent, field_writer payload) {
  frame bad = to_frame(message{sent});
  bad.payload = std::move(payload).take();
  const auto received = decode(bad);
  return received ? "accepted" : to_string(received.error());
}

value json(std::string_view text) { return value::from_json(text).value(); }

std::vector<signal> one_of_each() {
  const place from{7, 8};
  const place to{1, 2};
  std::vector<signal> all;
  all.push_back({.what = kind::plain, .from = from, .to = to, .word = "hello", .payload = json("[1]")});
  all.push_back({.what = kind::plain, .to = to, .ref = 5, .word = "by alias"});
  all.push_back({.what = kind::cast, .to = to, .word = "add", .payload = json("3")});
  all.push_back(
      {.what = kind::call, .from = from, .to = to, .ref = ~0ULL, .word = "get", .remaining = microseconds{9}});
  all.push_back({.what = kind::reply, .to = to, .ref = 1, .payload = json("\"yes\"")});
  all.push_back(
      {.what = kind::reply, .to = to, .ref = 2, .failed = error{errc::overloaded, "full", took_effect::unknown}});
  all.push_back({.what = kind::exit, .to = to, .reason = "kill"});
  all.push_back({.what = kind::link, .from = from, .to = to});
  all.push_back({.what = kind::unlink, .from = from, .to = to, .ref = 3});
  all.push_back({.what = kind::unlinked, .from = from, .to = to, .ref = 4});
  all.push_back({.what = kind::link_broke, .from = from, .to = to, .reason = "error", .detail = "line 3: boom"});
  all.push_back({.what = kind::monitor, .from = from, .to = to, .ref = 6});
  all.push_back({.what = kind::demonitor, .from = from, .to = to, .ref = 6});
  all.push_back({.what = kind::down, .from = from, .to = to, .ref = 6, .reason = "moved"});
  return all;
}

TEST(signals, of_every_kind_keep_all_that_they_say) {
  for (const auto& sent : one_of_each()) {
    const auto received = round_trip(sent);
    EXPECT_EQ(received.what, sent.what);
    EXPECT_EQ(received.from, sent.from) << to_string(sent.what);
    EXPECT_EQ(received.to, sent.to);
    EXPECT_EQ(received.ref, sent.ref) << to_string(sent.what);
    EXPECT_EQ(received.word, sent.word);
    EXPECT_EQ(received.payload, sent.payload);
    EXPECT_EQ(received.reason, sent.reason);
    EXPECT_EQ(received.detail, sent.detail);
    EXPECT_EQ(received.failed, sent.failed);
    EXPECT_EQ(received.remaining, sent.remaining);
  }
}

TEST(signals, that_lack_what_their_kind_needs_are_refused_by_name) {
  const auto refused = [](field_writer payload) { return refusal_of(signal{}, std::move(payload)); };
  const std::uint64_t to = 1;
  EXPECT_THAT(refused(std::move(field_writer{}.text("kind", "monitor").number("to", to).number("ref", 1))),
              HasSubstr("'from' is missing"));
  EXPECT_THAT(refused(std::move(field_writer{}.text("kind", "down").number("to", to).number("from", 1))),
              HasSubstr("'ref' is missing"));
  EXPECT_THAT(refused(std::move(field_writer{}.text("kind", "plain").number("to", to).text("word", "w"))),
              HasSubstr("'payload' is missing"));
  EXPECT_THAT(refused(std::move(field_writer{}.text("kind", "exit").number("to", to))),
              HasSubstr("'reason' is missing"));
  EXPECT_THAT(refused(std::move(field_writer{}.text("kind", "shout").number("to", to))),
              HasSubstr("is not known: 'shout'"));
  EXPECT_THAT(refused(std::move(field_writer{}.text("kind", "exit").number("to", 0xffffffffU).text("reason", "kill"))),
              HasSubstr("'to' is no process"));
  EXPECT_THAT(refused(std::move(field_writer{}
                                    .text("kind", "cast")
                                    .number("to", to)
                                    .text("word", std::string(word_bytes_max + 1, 'w'))
                                    .item("payload", value{}))),
              HasSubstr("'word'"));
}

TEST(announcements, keep_every_fact) {
  const announce sent{.number = 3,
                      .facts = {{fact::kind::member, "room", {1, 2}, 4, {}},
                                {fact::kind::unique, "user/1", {3, 4}, 1, json("{\"a\":1}")},
                                {fact::kind::duplicate, "topic", {5, 6}, 0, {}}}};
  const auto received = round_trip(sent);
  EXPECT_EQ(received.number, 3U);
  ASSERT_EQ(received.facts.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(received.facts[i].what, sent.facts[i].what);
    EXPECT_EQ(received.facts[i].name, sent.facts[i].name);
    EXPECT_EQ(received.facts[i].who, sent.facts[i].who);
    EXPECT_EQ(received.facts[i].count, sent.facts[i].count);
    EXPECT_EQ(received.facts[i].held, sent.facts[i].held);
  }
}

TEST(announcements, over_their_bounds_are_refused) {
  const auto with = [](fact said) {
    const auto received = decode(to_frame(message{announce{1, {std::move(said)}}}));
    return received ? "accepted" : to_string(received.error());
  };
  EXPECT_THAT(with({fact::kind::member, std::string(group_bytes_max + 1, 'g'), {}, 1, {}}), HasSubstr("facts"));
  EXPECT_EQ(with({fact::kind::unique, std::string(key_bytes_max, 'k'), {}, 1, {}}), "accepted");
  EXPECT_THAT(with({fact::kind::unique, std::string(key_bytes_max + 1, 'k'), {}, 1, {}}), HasSubstr("facts"));
  EXPECT_THAT(with({fact::kind::member, "g", {}, 1ULL << 32U, {}}), HasSubstr("over 32 bits"));
  EXPECT_THAT(with({fact::kind::member, "g", {0xffffffffU, 0}, 1, {}}), HasSubstr("is no process"));
  const std::vector<fact> many(announced_max + 1, {fact::kind::member, "g", {}, 1, {}});
  EXPECT_FALSE(decode(to_frame(message{announce{1, many}})));
}

TEST(announcements, of_the_most_bytes_that_are_sent_at_once_fit_into_a_frame) {
  const fact said{
      fact::kind::unique, std::string(key_bytes_max, 'k'), {1, 1}, 1, json("\"" + std::string(4000, 'v') + "\"")};
  announce sent{1, {}};
  for (std::size_t bytes = 0; bytes + encoded_size(said) <= announced_bytes_max; bytes += encoded_size(said))
    sent.facts.push_back(said);
  EXPECT_LE(to_frame(message{sent}).payload.size(), announced_bytes_max + 64);
}

TEST(publications_and_claims, keep_all_that_they_say) {
  const auto published = round_trip(publish{place{1, 2}, "room", "news", json("7")});
  EXPECT_EQ(published.from, (place{1, 2}));
  EXPECT_EQ(published.group, "room");
  EXPECT_EQ(published.word, "news");
  EXPECT_EQ(published.payload.json_text(), "7");
  EXPECT_FALSE(round_trip(publish{{}, "room", "news", {}}).from);
  const auto claimed = round_trip(claim{5, "k", {1, 2}, microseconds{77}});
  EXPECT_EQ(claimed.id, 5U);
  EXPECT_EQ(claimed.key, "k");
  EXPECT_EQ(claimed.who, (place{1, 2}));
  EXPECT_EQ(claimed.remaining, microseconds{77});
  EXPECT_EQ(round_trip(unclaim{"k", {1, 2}}).key, "k");
  EXPECT_EQ(round_trip(placed{~0ULL}).digest, ~0ULL);
}

TEST(a_handoff, tells_what_the_process_was_in_and_a_peer_that_does_not_know_of_it_reads_the_rest) {
  handoff sent;
  sent.name = parse_process_name("kv/x").value();
  sent.facts = {{fact::kind::member, "room", {}, 2, {}}};
  const auto received = round_trip(sent);
  ASSERT_EQ(received.facts.size(), 1U);
  EXPECT_EQ(received.facts[0].count, 2U);
  sent.facts.clear();
  EXPECT_TRUE(round_trip(sent).facts.empty());
}

TEST(process_messages, that_are_cut_or_flipped_are_refused_or_harmless_and_never_crash) {
  std::vector<message> all;
  for (auto& each : one_of_each())
    all.emplace_back(std::move(each));
  all.emplace_back(
      announce{1, {{fact::kind::member, "room", {1, 2}, 4, {}}, {fact::kind::unique, "k", {3, 4}, 1, json("1")}}});
  all.emplace_back(publish{place{1, 2}, "room", "news", json("7")});
  all.emplace_back(claim{5, "k", {1, 2}, microseconds{77}});
  all.emplace_back(unclaim{"k", {1, 2}});
  seeded_random random(11);
  for (const auto& each : all) {
    const frame good = to_frame(each);
    for (std::size_t cut = 0; cut < good.payload.size(); ++cut) {
      frame bad = good;
      bad.payload.resize(cut);
      EXPECT_FALSE(decode(bad));
    }
    for (int round = 0; round < 3'000; ++round) {
      frame bad = good;
      for (int flips = 0; flips < 3; ++flips)
        bad.payload[random.below(bad.payload.size())] = static_cast<std::uint8_t>(random.next());
      bad.type = static_cast<std::uint16_t>(48 + random.below(7));
      (void)decode(bad);
    }
  }
}

}  // namespace
}  // namespace orrery::wire
