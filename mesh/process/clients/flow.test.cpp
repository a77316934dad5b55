// How much of what comes to clients' processes is on its way to their connections at once, and whose turn it is.
#include "mesh/process/clients/testing.hpp"
#include "mesh/wire/cbor.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace orrery::process {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

TEST(client_process, is_told_no_more_than_its_connection_has_room_for) {
  client_world w;
  constexpr std::size_t eighth = client_window_bytes / 8;
  const auto tell = [&](std::uint64_t process, const std::string& pid, char which) {
    EXPECT_EQ(w.act(process, client_sends{pid, "much", cbor::text_value(std::string(eighth, which))}), "{}");
  };
  const auto told = [&] {
    std::vector<std::pair<std::uint64_t, char>> all;
    std::size_t bytes = 0;
    std::erase_if(w.to_apps, [&](const app_effect& each) {
      const auto* message = std::get_if<client_message>(&each);
      if (message == nullptr) return false;
      all.emplace_back(message->process.value, message->argument.json_text().at(1));
      bytes += message->weight;
      return true;
    });
    return std::pair{all, bytes};
  };
  const auto first = w.open(1, 1000);
  const auto second = w.open(2, 1000);
  for (char which = 'a'; which < 'm'; ++which) {
    tell(1, first, which);
    tell(1, second, which);
  }
  const auto [at_once, bytes] = told();
  EXPECT_EQ(at_once.size(), 8U);
  EXPECT_GE(bytes, client_window_bytes);

  // What waits has its turn with the room, in order, and no process waits for all of another's.
  std::vector<std::pair<std::uint64_t, char>> all = at_once;
  for (std::size_t left = bytes; left > 0;) {
    w.rt.from_app(w.now, client_written{app_id{1}, left}, w.out);
    w.run();
    const auto [more, weight] = told();
    EXPECT_LE(weight, client_window_bytes + eighth + 1000);
    all.insert(all.end(), more.begin(), more.end());
    left = weight;
  }
  EXPECT_EQ(all.size(), 24U);
  for (const std::uint64_t process : {1U, 2U}) {
    std::string order;
    for (const auto& [who, which] : all) {
      if (who == process) order += which;
    }
    EXPECT_EQ(order, "abcdefghijkl");
  }
}

TEST(client_process, that_takes_nothing_for_a_second_is_told_no_more_until_it_does) {
  client_world w;
  const auto pid = w.open(1, 1000);
  const value some = cbor::text_value(std::string(200'000, 'x'));
  const auto tell = [&] { w.act(1, client_sends{pid, "said", some}); };
  tell();
  tell();
  EXPECT_EQ(w.heard().size(), 2U);
  w.now += client_stuck_after;
  tell();
  EXPECT_THAT(w.heard(), IsEmpty());
  w.rt.from_app(w.now, client_written{app_id{1}, 1}, w.out);
  w.run();
  EXPECT_EQ(w.heard().size(), 1U);
}

TEST(client_process, waits_for_its_own_connection_alone) {
  client_world w;
  const auto slow = w.open(1, 1000, 1);
  const auto quick = w.open(2, 1000, 2);
  const std::string much(1'000'000, 'x');
  for (int i = 0; i < 6; ++i)
    EXPECT_EQ(w.act(1, client_sends{slow, "much", cbor::text_value(much)}), "{}");
  EXPECT_EQ(w.heard(1).size(), 3U);
  EXPECT_EQ(w.act(1, client_sends{quick, "hello", cbor::text_value("b")}), "{}");
  EXPECT_THAT(w.heard(2), ElementsAre(R"(plain hello "b")"));
  w.leave();  // and what was written of it is told late
  w.rt.from_app(w.now, client_written{app_id{1}, 5'000'000}, w.out);
  w.run();
  EXPECT_THAT(w.heard(1), IsEmpty());
}

TEST(client_process, has_its_share_of_what_all_connections_may_be_told) {
  client_world w;
  constexpr std::uint64_t connections = 4 * client_window_bytes_in_all / client_window_bytes;
  constexpr std::size_t share = client_window_bytes_in_all / connections;
  for (std::uint64_t i = 2; i <= connections; ++i)
    w.open(1, 0, i);
  const auto pid = w.open(1, 1000, 1);
  const value some = cbor::text_value(std::string(share / 4, 'x'));
  for (int i = 0; i < 20; ++i)
    w.act(1, client_sends{pid, "said", some});
  EXPECT_EQ(w.heard(1).size(), 4U);
  for (std::uint64_t i = 2; i <= connections; ++i)
    w.leave(i);
  w.rt.from_app(w.now, client_written{app_id{1}, 1}, w.out);  // of more room it makes use as soon as it hears
  w.run();
  EXPECT_EQ(w.heard(1).size(), 12U);
  EXPECT_EQ(w.read(1).size(), 0U);
}

TEST(client_process, is_told_less_at_once_where_that_is_written_as_json) {
  client_world w;
  EXPECT_THAT(w.act(1, client_open{100, true}), StartsWith(R"({"pid":")"));
  w.act(1, client_groups{client_groups::kind::join, "room"});
  bytes encoded;
  constexpr std::size_t empty_strings = 5'000;  // one byte each, and 28 as JSON
  cbor::put_head(encoded, cbor::major::array, empty_strings);
  encoded.resize(encoded.size() + empty_strings, 0x40);
  const auto many = value::from_cbor(encoded);
  ASSERT_TRUE(many);
  for (int i = 0; i < 10; ++i)
    w.act(1, client_publishes{"room", "said", *many});
  EXPECT_EQ(w.heard().size(), client_window_bytes / (28 * client_json_cost * empty_strings) + 1);
}

/// Connections that do not read, each with process 1 in the group, until as much is on its way to all as may be.
std::uint64_t fill_all(client_world& w) {
  const value big = cbor::text_value(std::string(1'000'000, 'x'));
  std::uint64_t connections = 0;
  while (w.rt.clients().unwritten_bytes < client_window_bytes_in_all) {
    const auto pid = w.open(1, 100, ++connections);
    for (int i = 0; i < 3; ++i)
      w.act(1, client_sends{pid, "said", big}, connections);
  }
  w.to_apps.clear();
  return connections;
}

std::vector<std::uint64_t> ended_as_too_slow(client_world& w) {
  std::vector<std::uint64_t> all;
  std::erase_if(w.to_apps, [&](const app_effect& each) {
    const auto* slow = std::get_if<client_too_slow>(&each);
    if (slow == nullptr) return false;
    EXPECT_THAT(slow->why, HasSubstr("wait for it to read"));
    all.push_back(slow->app.value);
    return true;
  });
  return all;
}

TEST(client_process, is_told_a_little_at_once_whoever_does_not_read) {
  client_world w;
  const auto reader = fill_all(w) + 1;
  const auto pid = w.open(1, 1000, reader);
  const value some = cbor::text_value(std::string(1000, 'x'));
  for (int i = 0; i < 50; ++i)
    w.act(1, client_sends{pid, "said", some}, reader);
  EXPECT_EQ(w.read(1, reader).size(), 50U);
  for (int i = 0; i < 200; ++i)
    w.act(1, client_sends{pid, "said", some}, reader);
  const auto unread = w.heard(1).size();
  EXPECT_GE(unread, 100U);
  EXPECT_LE(unread, client_floor_bytes / 1000);
}

TEST(client_process, is_told_the_rest_when_the_slowest_of_those_who_do_not_read_has_been_ended) {
  client_world w;
  const auto reader = fill_all(w) + 1;
  const auto pid = w.open(7, 1000, reader);
  w.now += 1s;
  w.rt.from_app(w.now, client_written{app_id{1}, 1}, w.out);  // it is not the slowest
  ASSERT_GE(w.rt.clients().unwritten_bytes, client_window_bytes_in_all);
  w.act(7, client_sends{pid, "said", cbor::text_value(std::string(1'000'000, 'x'))}, reader);
  w.run();
  w.now += client_patience - 2s;
  w.run();
  EXPECT_THAT(ended_as_too_slow(w), IsEmpty());
  w.now += 1s;
  w.run();
  const auto ended = ended_as_too_slow(w);
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_NE(ended[0], 1U);
  EXPECT_NE(ended[0], reader);
  EXPECT_THAT(w.heard(7), IsEmpty());
  w.leave(ended[0]);
  EXPECT_EQ(w.read(7, reader).size(), 1U);
  w.now += 1min;
  w.run();
  EXPECT_THAT(ended_as_too_slow(w), IsEmpty());
}

TEST(client_process, that_does_not_read_is_left_alone_while_nobody_waits_for_that) {
  client_world w;
  const auto others = fill_all(w);
  const value big = cbor::text_value(std::string(1'000'000, 'x'));
  w.act(1, client_sends{w.open(1, 0, others + 1), "said", big}, others + 1);  // it waits for its own credit
  const auto own = w.open(1, 1000, others + 2);  // and this one for itself, as it does not read either
  for (int i = 0; i < 200; ++i)
    w.act(1, client_sends{own, "said", cbor::text_value(std::string(1000, 'x'))}, others + 2);
  for (int i = 0; i < 10; ++i) {
    w.now += 10s;
    w.run();
  }
  EXPECT_THAT(ended_as_too_slow(w), IsEmpty());
}

TEST(client_process, that_was_told_lately_is_not_the_slowest) {
  client_world w;
  const auto others = fill_all(w);
  w.act(7, client_sends{w.open(7, 1000, others + 1), "said", cbor::text_value(std::string(1'000'000, 'x'))},
        others + 1);
  for (int i = 0; i < 10; ++i) {
    w.now += client_patience - 1s;
    for (std::uint64_t each = 1; each <= others; ++each)
      w.rt.from_app(w.now, client_written{app_id{each}, 1}, w.out);  // few, but all of them
    w.run();
    if (w.rt.clients().unwritten_bytes < client_window_bytes_in_all) break;
  }
  EXPECT_THAT(ended_as_too_slow(w), IsEmpty());
}

TEST(client_process, that_reads_has_the_room_that_is_made_before_those_who_do_not) {
  client_world w;
  constexpr std::uint64_t others = 40;
  for (std::uint64_t each = 1; each <= others + 1; ++each)
    w.open(1, 1000, each);
  const value big = cbor::text_value(std::string(700'000, 'x'));
  for (int i = 0; i < 5; ++i) {  // more than there will be room for
    for (std::uint64_t each = 1; each <= others; ++each)
      w.act(1, client_sends{w.open(2 + static_cast<std::uint64_t>(i), 1000, each), "said", big}, each);
  }
  w.to_apps.clear();
  const auto pid = w.open(99, 1000, others + 1);
  for (int i = 0; i < 5; ++i) {
    w.act(99, client_sends{pid, "said", cbor::text_value(std::string(400'000, 'y'))}, others + 1);
    EXPECT_TRUE(w.heard(99).empty()) << i;
    w.leave(static_cast<std::uint64_t>(i) + 1);  // one that did not read
    EXPECT_EQ(w.read(99, others + 1).size(), 1U) << i;
  }
}

TEST(client_process, has_its_turn_where_others_would_take_all_room_that_there_is_again) {
  client_world w;
  const auto busy = fill_all(w) + 1;
  const value some = cbor::text_value(std::string(100'000, 'x'));
  const auto greedy = w.open(5, 1'000'000, busy);
  for (int i = 0; i < 500; ++i)
    w.act(5, client_sends{greedy, "said", some}, busy);
  const auto waits = w.open(6, 1000, busy + 1);
  w.act(6, client_sends{waits, "said", cbor::text_value(std::string(200'000, 'y'))}, busy + 1);
  EXPECT_THAT(w.heard(6), IsEmpty());
  // One of those that fill it begins to read, and has more to be told than that makes room for.
  const auto reads = w.open(4, 1'000'000, 1);
  for (int i = 0; i < 100; ++i)
    w.act(4, client_sends{reads, "said", some}, 1);
  for (int i = 0; i < 40 && w.heard(6).empty(); ++i) {
    w.now += 1s;
    w.rt.from_app(w.now, client_written{app_id{1}, 80'000}, w.out);
    w.run();
    ASSERT_LT(i, 30);
  }
}

TEST(client_process, waits_where_all_connections_together_have_been_told_enough) {
  client_world w;
  constexpr std::uint64_t connections = 100;  // of which each may be told one message of a MB where that is all
  for (std::uint64_t i = 1; i <= connections; ++i) {
    w.open(1, 100, i);
    w.act(1, client_groups{client_groups::kind::join, "room"}, i);
  }
  w.act(1, client_publishes{"room", "said", cbor::text_value(std::string(1'000'000, 'x'))}, 1);
  std::map<std::uint64_t, std::size_t> told;
  const auto count = [&] {
    std::size_t more = 0;
    std::erase_if(w.to_apps, [&](const app_effect& each) {
      const auto* message = std::get_if<client_message>(&each);
      if (message == nullptr) return false;
      told[message->app.value] += message->weight;
      ++more;
      return true;
    });
    return more;
  };
  EXPECT_EQ(count(), client_window_bytes_in_all / 1'000'000 + 1);
  // As one writes, or goes, those who wait have their turn: all are told in the end.
  std::set<std::uint64_t> wrote;
  while (wrote.size() < connections) {
    const auto next =
        std::find_if(told.begin(), told.end(), [&](const auto& each) { return !wrote.contains(each.first); });
    ASSERT_NE(next, told.end()) << wrote.size();
    wrote.insert(next->first);
    if (wrote.size() % 3 == 0) {
      w.leave(next->first);
    } else {
      w.rt.from_app(w.now, client_written{app_id{next->first}, next->second}, w.out);
      w.run();
    }
    count();
  }
  EXPECT_EQ(told.size(), connections);
}

TEST(client_process, is_told_of_what_was_lost_though_nothing_else_comes) {
  client_world w;
  fill_all(w);
  const auto own = w.open(1, 0, 100);
  const value big = cbor::text_value(std::string(1'000'000, 'x'));
  for (int i = 0; i < 80; ++i)
    w.act(1, client_sends{own, "said", big}, 100);  // as much as may wait for one connection
  const auto reads = w.open(9, 100, 100);
  w.act(9, client_sends{reads, "said", big}, 100);
  EXPECT_THAT(w.heard(9), ElementsAre("dropped 1"));
}

}  // namespace
}  // namespace orrery::process
