// How much may wait for a client's processes, and how many they may be.
#include "mesh/process/clients/testing.hpp"
#include "mesh/wire/cbor.hpp"

#include <algorithm>

namespace orrery::process {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

TEST(client_process, gets_no_more_messages_than_it_has_credit_for) {
  client_world w;
  const auto pid = w.open(1, 2);
  for (int i = 0; i < 2; ++i)
    w.ask("lua/a", "tell", "\"" + pid + "\"");
  EXPECT_THAT(w.heard(), ElementsAre(R"(plain hello {"n":1})", "cast note 2"));
  EXPECT_EQ(w.act(1, client_calls{"counter/a", "add", json("3")}), "3") << "answers cost nothing";
  w.give(1, 1);
  EXPECT_THAT(w.heard(), ElementsAre(R"(plain hello {"n":1})"));
  w.give(1, 100);
  EXPECT_THAT(w.heard(), ElementsAre("cast note 2"));
}

TEST(client_process, that_reads_nothing_loses_what_is_too_much_but_no_ends) {
  client_world w;
  w.open(1, 0);
  w.open(2);
  w.ask("lua/a", "given");
  w.act(1, client_groups{client_groups::kind::join, "room"});
  w.act(1, client_monitors{"lua/a"});
  const value big = json('"' + std::string(1U << 19U, 'x') + '"');
  const auto fits = client_waiting_bytes / 2 / (1U << 19U) - 1;
  for (int round = 0; round < 2; ++round) {
    const auto before = w.rt.clients().dropped;
    for (std::size_t i = 0; i < fits + 10; ++i)
      w.act(2, client_publishes{"room", "said", big});
    EXPECT_GE(w.rt.clients().dropped, before + 9);
    if (round == 1) w.cast("lua/a", "boom");
    w.give(1, 1000);
    const auto came = w.read();
    EXPECT_THAT(came.size(), ::testing::AllOf(::testing::Ge(fits), ::testing::Le(fits + 2)));
    if (round == 1) {
      EXPECT_THAT(came.back(), HasSubstr("down 1 error: "));
    }
    w.rt.from_app(w.now, client_act{app_id{1}, client_request{++w.asked}, client_process_id{1}, client_close{}}, w.out);
    w.open(1, 0);
    w.act(1, client_groups{client_groups::kind::join, "room"});
    w.ask("lua/a", "given");
    w.act(1, client_monitors{"lua/a"});
  }
}

TEST(client_process, is_told_in_their_place_how_many_were_dropped) {
  client_world w;
  const auto pid = w.open(1, 0);
  const auto say = [&](std::size_t first, std::size_t many) {
    for (auto i = first; i < first + many; ++i)
      w.begin(1, client_sends{pid, "said", json(std::to_string(i))});
    w.to_apps.clear();
  };
  say(0, client_messages_max + 7);
  w.give(1, 3);
  EXPECT_THAT(w.heard(), ElementsAre("plain said 0", "plain said 1", "plain said 2"));
  say(20'000, 5);  // two have room
  w.give(1, 1'000'000);
  auto came = w.read();
  ASSERT_EQ(came.size(), client_messages_max + 1);
  came.erase(came.begin(), came.end() - 5);
  EXPECT_THAT(came, ElementsAre("plain said 9999", "dropped 7", "plain said 20000", "plain said 20001", "dropped 3"));
  EXPECT_EQ(w.rt.clients().dropped, 10U);
}

TEST(client_process, that_reads_is_not_in_want_of_room_for_one_that_does_not) {
  client_world w;
  w.open(1, 0, 1);
  w.act(1, client_groups{client_groups::kind::join, "room"}, 1);
  const value big = cbor::text_value(std::string(1'000'000, 'x'));
  w.open(2, 100, 2);
  for (int i = 0; i < 90; ++i)
    w.act(2, client_publishes{"room", "said", big}, 2);
  EXPECT_GT(w.rt.clients().dropped, 10U);
  const auto lost = w.rt.clients().dropped;
  const auto reads = w.open(3, 100, 2);
  for (int i = 0; i < 12; ++i)
    EXPECT_EQ(w.act(2, client_sends{reads, "said", big}, 2), "{}");
  EXPECT_EQ(w.read(3, 2).size(), 12U);
  EXPECT_EQ(w.rt.clients().dropped, lost);
}

TEST(client_process, has_no_two_gaps_side_by_side) {
  client_world w;
  const auto pid = w.open(1, 0);
  const auto lose = [&] { w.act(1, client_sends{pid, "said", json("1")}); };
  for (std::size_t i = 0; i < client_messages_max; ++i)
    lose();
  for (int i = 1; i <= 50; ++i) {
    lose();
    w.act(1, client_monitors{"gone@17.1.0"});
    lose();
    w.act(1, client_demonitors{static_cast<std::uint64_t>(i)});
  }
  EXPECT_LE(w.rt.clients().waiting_ends_bytes, 1000U);
  w.give(1, 1'000'000);
  auto came = w.read();
  ASSERT_EQ(came.size(), client_messages_max + 1);
  EXPECT_EQ(came.back(), "dropped 100");
}

TEST(client_process, that_links_in_vain_takes_no_room_of_others) {
  client_world w;
  const std::string far = std::string(200, 'n') + "@17.1.0";
  for (std::uint64_t process = 1; process <= 10; ++process) {
    w.open(process, 0);
    std::size_t made = 0;
    for (; w.act(process, client_links{far}) == "{}"; ++made)
      w.to_apps.clear();
    EXPECT_THAT(w.act(process, client_links{far}), StartsWith("overloaded: too much waits"));
    EXPECT_LE(made, 20'000U);
    if (process == 1) {
      EXPECT_EQ(made, 20'000U);
    }
    w.to_apps.clear();
  }
  EXPECT_LE(w.rt.clients().waiting_ends_bytes, client_waiting_ends_bytes / 2);
  w.open(1, 0, 2);
  w.act(1, client_groups{client_groups::kind::watch, "room"}, 2);
  w.open(1, 0, 3);
  w.act(1, client_groups{client_groups::kind::join, "room"}, 3);
  w.to_apps.clear();
  w.rt.from_app(w.now, client_credit{app_id{2}, client_process_id{1}, 10}, w.out);
  w.run();
  EXPECT_THAT(w.heard(1), ElementsAre(HasSubstr("group_joined")));
  w.leave();
  EXPECT_EQ(w.rt.clients().waiting_ends_bytes, 0U);
}

TEST(client_process, watches_no_more_than_leaves_room_for_others) {
  client_world w;
  std::uint64_t process = 0;
  std::size_t made = 0;
  for (std::string came; !came.starts_with("overloaded");) {
    w.open(++process, 0);
    for (std::size_t i = 0; i < client_ties_max && !came.starts_with("overloaded"); ++i, ++made) {
      w.to_apps.clear();
      came = w.act(process, client_monitors{i % 2 == 0 ? "gone@17.1.0" : "counter/a"});
    }
    ASSERT_LT(process, 100U);
  }
  EXPECT_EQ(w.rt.clients().watching, client_watches_max / 2);
  w.open(1, 0, 2);
  EXPECT_THAT(w.act(1, client_monitors{"gone@17.1.0"}, 2), StartsWith(R"({"monitor":)"));
  w.rt.from_app(w.now, client_act{app_id{1}, client_request{++w.asked}, client_process_id{1}, client_close{}}, w.out);
  w.run();
  EXPECT_LE(w.rt.clients().watching, client_watches_max / 2 - client_ties_max + 1);
  w.leave();
  EXPECT_EQ(w.rt.clients().watching, 1U);
}

TEST(client_process, that_cannot_be_told_who_comes_and_goes_ends_and_takes_no_room_of_others) {
  client_world w;
  w.open(1, 0);
  w.act(1, client_groups{client_groups::kind::watch, "room"});
  w.open(2, 0, 2);
  for (int i = 0; i < 9'999; ++i) {
    w.act(2, client_groups{client_groups::kind::join, "room"}, 2);
    w.act(2, client_groups{client_groups::kind::leave, "room"}, 2);
  }
  EXPECT_THAT(w.heard(1), IsEmpty());
  const auto reads = w.open(3, 100, 3);
  EXPECT_EQ(w.act(3, client_sends{reads, "said", cbor::text_value("x")}, 3), "{}");
  EXPECT_EQ(w.heard(3).size(), 1U);
  EXPECT_EQ(w.rt.clients().dropped, 0U);
  for (int i = 0; i < 3; ++i) {
    w.act(2, client_groups{client_groups::kind::join, "room"}, 2);
    w.act(2, client_groups{client_groups::kind::leave, "room"}, 2);
  }
  EXPECT_THAT(w.heard(1), ElementsAre(StartsWith("ended limit: its client does not read")));
}

TEST(client_process, is_told_of_all_downs_and_those_that_wait_end_nobody_else) {
  client_world w;
  constexpr int watchers = 20;
  constexpr int each = 900;
  for (std::uint64_t i = 1; i <= watchers; ++i)
    w.open(i, 0);
  for (int i = 0; i < each; ++i) {
    const auto spawned = w.act(1, client_spawns{class_name{"lua"}, {}, false, false});
    const auto pid = spawned.substr(8, spawned.size() - 10);
    for (std::uint64_t watcher = 1; watcher <= watchers; ++watcher)
      w.act(watcher, client_monitors{pid});
    w.act(1, client_exits{pid, {exit_reason::kind::error, std::string(4000, 'x')}});  // 72 MB of texts in all
  }
  w.open(1, 0, 2);
  w.ask("lua/a", "given");
  w.act(1, client_links{"lua/a"}, 2);
  w.cast("lua/a", "boom");
  w.rt.from_app(w.now, client_credit{app_id{2}, client_process_id{1}, 10}, w.out);
  w.run();
  EXPECT_THAT(w.heard(1), ElementsAre(StartsWith("exit error")));
  std::size_t without = 0;
  for (std::uint64_t i = 1; i <= watchers; ++i) {
    w.give(i, 10'000);
    const auto came = w.read(i);
    EXPECT_EQ(came.size(), each) << i;
    without += static_cast<std::size_t>(
        std::count_if(came.begin(), came.end(), [](const auto& one) { return one.size() < 100; }));
  }
  EXPECT_GT(without, 1000U);
}

TEST(client_process, hears_who_comes_and_goes_though_what_waits_for_others_takes_all_the_room) {
  client_world w;
  const auto full = w.open(1, 0);
  w.act(1, client_groups{client_groups::kind::watch, "room"});
  const value some = cbor::text_value(std::string(1U << 19U, 'x'));
  const auto fill = [&] {
    for (int i = 0; i < 150; ++i)
      w.act(2, client_sends{full, "said", some}, 2);
  };
  w.open(2, 0, 2);
  fill();
  w.open(3, 0, 2);
  w.act(3, client_groups{client_groups::kind::join, "room"}, 2);
  w.leave(2);
  w.give(1, 1000);
  const auto came = w.read();
  ASSERT_GT(came.size(), 50U);
  EXPECT_THAT(came[came.size() - 2], HasSubstr("plain group_joined"));
  EXPECT_THAT(came.back(), HasSubstr("plain group_left"));
}

TEST(client_process, hears_of_ends_though_what_waits_for_others_takes_all_the_room) {
  client_world w;
  w.open(1, 0);
  const auto full = w.open(2, 0);
  w.ask("lua/a", "given");
  w.act(1, client_links{"lua/a"});
  for (const std::size_t size : {std::size_t{1} << 19U, std::size_t{1} << 12U, std::size_t{16}, std::size_t{0}}) {
    const value some = json('"' + std::string(size, 'x') + '"');
    for (int i = 0; i < 300; ++i)
      w.act(2, client_sends{full, "said", some});
  }
  w.cast("lua/a", "boom");
  w.give(1, 10);
  EXPECT_THAT(w.heard(), ElementsAre(StartsWith("exit error")));
}

TEST(client_process, is_told_of_as_many_holders_as_a_value_may_name) {
  client_world w;
  const value big = json('"' + std::string(4000, 'v') + '"');
  for (std::uint64_t i = 1; i <= 300; ++i) {
    w.open(i);
    ASSERT_EQ(w.act(i, client_claims{key_space::mesh_duplicate, "many", big}), "{}");
  }
  w.rt.from_app(w.now, client_looks_up{app_id{1}, client_request{++w.asked}, key_space::mesh_duplicate, "many"}, w.out);
  w.run();
  const auto told = w.came(w.asked);
  EXPECT_LT(told.size(), value_bytes_max + 8192);  // as JSON
  EXPECT_GT(told.size(), value_bytes_max - 8192);
  EXPECT_THAT(told, HasSubstr(R"("truncated":true)"));
}

TEST(client_process, monitors_no_more_than_it_can_be_told_the_end_of) {
  client_world w;
  w.open(1, 0);
  for (std::size_t i = 0; i < client_ties_max; ++i)
    ASSERT_THAT(w.act(1, client_monitors{"gone@17.1.0"}), StartsWith(R"({"monitor":)"));
  EXPECT_THAT(w.act(1, client_monitors{"gone@17.1.0"}), StartsWith("overloaded"));
  w.give(1, 1);
  EXPECT_THAT(w.act(1, client_monitors{"gone@17.1.0"}), StartsWith(R"({"monitor":)"));
  w.give(1, 20'000);
  EXPECT_EQ(w.heard().size(), client_ties_max + 1);
}

TEST(client_process, forgets_a_down_that_waits_for_credit_when_it_demonitors) {
  client_world w;
  w.open(1, 0);
  w.act(1, client_monitors{"lua/a"});
  EXPECT_EQ(w.act(1, client_demonitors{1}), "{}");
  w.give(1, 10);
  EXPECT_THAT(w.heard(), IsEmpty());
}

TEST(client_process, is_one_of_a_bounded_number) {
  client_world w;
  w.open(1);
  EXPECT_THAT(w.act(1, client_open{1}), HasSubstr("already_exists"));
  for (std::uint64_t i = 2; i <= client_processes_max; ++i)
    w.open(i);
  EXPECT_THAT(w.act(client_processes_max + 1, client_open{1}), HasSubstr("overloaded: 1024 processes"));
  w.open(1, 1, 2);
  w.act(2, client_close{});
  w.open(client_processes_max + 1);
}

}  // namespace
}  // namespace orrery::process
