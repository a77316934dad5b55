#include "mesh/node/moves.hpp"

#include "mesh/node/takeover.hpp"
#include "mesh/node/testing.hpp"

#include <gmock/gmock.h>

namespace orrery::node {
namespace {

using membership::link_id;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::named;
using testing::start;

move of(const process_name& name, link_id to) {
  return {to, {.name = name, .state = value{}, .mailbox = {}}, 10, false, {}};
}

/// All names looked at.
void finish_scan(moves& scanned) {
  if (scanned.needs_names()) scanned.take_names({{}, {}});
  while (scanned.next())
    continue;
}

TEST(moves, a_scan_looks_at_the_names_slice_by_slice_and_settles_at_the_end_of_the_last) {
  moves leaving;
  EXPECT_TRUE(leaving.settled());
  leaving.rescan();
  ASSERT_TRUE(leaving.needs_names());
  EXPECT_EQ(leaving.place(), 0U);
  leaving.take_names({{named("a"), named("b")}, 7});
  EXPECT_FALSE(leaving.needs_names());
  EXPECT_EQ(leaving.next(), named("a"));
  EXPECT_EQ(leaving.next(), named("b"));
  EXPECT_EQ(leaving.next(), std::nullopt);
  EXPECT_FALSE(leaving.settled());
  ASSERT_TRUE(leaving.needs_names());
  EXPECT_EQ(leaving.place(), 7U);
  leaving.take_names({{}, 9});  // all of that slice have ended
  ASSERT_TRUE(leaving.needs_names());
  leaving.take_names({{named("c")}, {}});
  EXPECT_EQ(leaving.next(), named("c"));
  EXPECT_FALSE(leaving.settled());
  EXPECT_FALSE(leaving.needs_names());
  EXPECT_EQ(leaving.next(), std::nullopt);
  EXPECT_TRUE(leaving.settled());
}

TEST(moves, a_scan_that_begins_anew_begins_at_the_beginning) {
  moves leaving;
  leaving.rescan();
  leaving.take_names({{named("a"), named("b")}, 7});
  (void)leaving.next();
  leaving.rescan();
  ASSERT_TRUE(leaving.needs_names());
  EXPECT_EQ(leaving.place(), 0U);
}

TEST(moves, are_not_settled_while_a_name_was_passed_over) {
  moves leaving;
  leaving.rescan();
  leaving.pass_over();  // of the scan before
  leaving.rescan();
  leaving.take_names({{named("a")}, {}});
  (void)leaving.next();
  leaving.pass_over();
  finish_scan(leaving);
  EXPECT_FALSE(leaving.scanning());
  EXPECT_FALSE(leaving.settled());
  leaving.rescan();
  finish_scan(leaving);
  EXPECT_TRUE(leaving.settled());
}

TEST(moves, what_is_held_lets_peers_be_told_and_does_not_let_the_node_leave) {
  moves leaving;
  leaving.hold(named("a"));
  EXPECT_TRUE(leaving.settled());
  EXPECT_FALSE(leaving.nothing_left());
  EXPECT_TRUE(leaving.take_news());
  EXPECT_FALSE(leaving.take_news());
  leaving.rescan();
  finish_scan(leaving);
  EXPECT_TRUE(leaving.nothing_left());
  EXPECT_TRUE(leaving.take_news());  // it is held no longer
}

TEST(moves, what_is_in_flight_arrives_only_from_the_peer_that_it_went_to) {
  moves leaving;
  leaving.sent(7, of(named("a"), link_id{1}));
  EXPECT_TRUE(leaving.in_flight(named("a")));
  EXPECT_FALSE(leaving.settled());
  EXPECT_FALSE(leaving.arrived(7, link_id{3}));
  EXPECT_FALSE(leaving.arrived(8, link_id{1}));
  EXPECT_TRUE(leaving.arrived(7, link_id{1}));
  EXPECT_FALSE(leaving.in_flight(named("a")));
  EXPECT_TRUE(leaving.settled());
}

TEST(moves, a_lost_link_gives_back_what_went_over_it_and_nothing_else) {
  moves leaving;
  leaving.sent(1, of(named("a"), link_id{1}));
  leaving.sent(2, of(named("b"), link_id{3}));
  const auto lost = leaving.lost(link_id{1});
  ASSERT_EQ(lost.size(), 1U);
  EXPECT_EQ(lost[0].what.name, named("a"));
  EXPECT_FALSE(leaving.in_flight(named("a")));
  EXPECT_TRUE(leaving.in_flight(named("b")));
}

TEST(moves, a_bounded_number_is_in_flight_and_a_bounded_size) {
  moves many;
  for (std::size_t i = 0; i < handoffs_in_flight_max; ++i) {
    EXPECT_TRUE(many.may_send());
    many.sent(i + 1, of(named(std::to_string(i)), link_id{1}));
  }
  EXPECT_FALSE(many.may_send());
  (void)many.lost(link_id{1});
  EXPECT_TRUE(many.may_send());
  auto large = of(named("large"), link_id{1});
  large.bytes = handoff_bytes_in_flight_max;
  many.sent(99, std::move(large));
  EXPECT_FALSE(many.may_send());
}

TEST(moves, done_is_owed_once_to_each_peer_that_is_up) {
  moves leaving;
  leaving.owe_done(link_id{1});
  leaving.owe_done(link_id{1});
  leaving.owe_done(link_id{3});
  leaving.stop_owing(link_id{3});
  EXPECT_THAT(leaving.take_owed(), ElementsAre(link_id{1}));
  EXPECT_THAT(leaving.take_owed(), IsEmpty());
}

TEST(takeover, waits_for_progress_not_for_the_clock) {
  takeover waiting;
  waiting.came_up(start, link_id{1}, {node_name{"a"}, boot_number{1}}, false, 0);
  waiting.progress(start + seconds{1}, link_id{1});
  EXPECT_FALSE(waiting.expire(start + seconds{2}));
  EXPECT_TRUE(waiting.any_name());
  EXPECT_TRUE(waiting.expire(start + seconds{3}));
  EXPECT_TRUE(waiting.empty());
}

TEST(takeover, a_word_that_had_not_heard_enough_settles_nothing) {
  const node_id a{node_name{"a"}, boot_number{1}};
  const class_name cart{"cart"};
  takeover waiting;
  waiting.came_up(start, link_id{1}, a, false, 2);
  waiting.done(link_id{1}, 1);
  EXPECT_TRUE(waiting.any_name());
  waiting.awaits(start, link_id{1}, a, cart, 3);
  waiting.done(link_id{1}, 2);
  EXPECT_FALSE(waiting.any_name());
  EXPECT_TRUE(waiting.any_name_of(cart));
  EXPECT_FALSE(waiting.any_name_of(class_name{"room"}));
  waiting.drains(start, link_id{1}, a);
  EXPECT_TRUE(waiting.any_name_of(cart));
  waiting.done(link_id{1}, 3);
  EXPECT_TRUE(waiting.empty());
}

TEST(takeover, knows_who_holds_a_name_until_it_comes_or_its_holder_goes) {
  takeover waiting;
  waiting.holds(link_id{1}, {named("x"), named("y")});
  EXPECT_TRUE(waiting.empty());  // nothing else is waited for
  EXPECT_EQ(waiting.holder(named("x")), link_id{1});
  waiting.gave(link_id{1}, named("x"));
  EXPECT_EQ(waiting.holder(named("x")), std::nullopt);
  EXPECT_EQ(waiting.holder(named("y")), link_id{1});
  waiting.lose(link_id{1});
  EXPECT_EQ(waiting.holder(named("y")), std::nullopt);
}

}  // namespace
}  // namespace orrery::node
