#include "mesh/membership/membership.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace orrery::membership {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

template <class Action>
std::vector<Action> all(const actions& done) {
  std::vector<Action> out;
  for (const auto& each : done) {
    if (const auto* found = std::get_if<Action>(&each)) out.push_back(*found);
  }
  return out;
}

template <class Message>
bool sent(const actions& done) {
  for (const auto& each : all<send>(done)) {
    if (std::holds_alternative<Message>(each.what)) return true;
  }
  return false;
}

member pod(std::string name) { return {node_name{name}, "uid-" + name, "10.0.0.1:" + name, false}; }

settings of(std::string name, std::uint64_t boot = 1) {
  return {.name_space = "ns",
          .mesh = "demo",
          .mesh_id = "id",
          .self = {node_name{name}, boot_number{boot}},
          .uid = "uid-" + name,
          .address = "10.0.0.1:" + name};
}

mesh_identity identity(std::string name) { return {"ns", "demo", std::move(name)}; }

wire::hello hello_of(std::string name, std::uint64_t boot = 1, std::uint64_t attempt = 2) {
  return {.mesh_id = "id",
          .node = {node_name{name}, boot_number{boot}},
          .uid = "uid-" + name,
          .address = "10.0.0.1:" + name,
          .software = "test",
          .attempt = attempt};
}

/// "b" as the tests' own node: "a" dials it, it dials "c".
class membership_of_b : public ::testing::Test {
 protected:
  actions done;
  time_point now{seconds{100}};
  table b{of("b")};

  actions& fresh() {
    done.clear();
    return done;
  }
  void pass(duration time) { now += time; }

  void bring_up(link_id link, std::string name, std::uint64_t boot = 1, bool dialled = false,
                std::uint64_t attempt = 2) {
    b.opened(now, link, identity(name), dialled, done);
    b.received(now, link, hello_of(name, boot, attempt), done);
    b.received(now, link, wire::welcome{}, done);
  }
};

TEST_F(membership_of_b, dials_only_the_greater_names_and_all_at_once) {
  b.expect(now, {pod("a"), pod("b"), pod("c"), pod("d")}, done);
  const auto dials = all<dial>(done);
  ASSERT_EQ(dials.size(), 2U);
  EXPECT_EQ(dials[0].peer, node_name{"c"});
  EXPECT_EQ(dials[1].peer, node_name{"d"});
  EXPECT_NE(dials[0].link, dials[1].link);
  EXPECT_EQ(dials[0].link.value % 2, 0U);
}

TEST_F(membership_of_b, does_not_dial_or_wait_for_a_pod_without_an_address) {
  auto unplaced = pod("d");
  unplaced.address.clear();
  b.expect(now, {pod("b"), unplaced}, done);
  EXPECT_TRUE(all<dial>(done).empty());
  EXPECT_FALSE(b.waiting_for(now));
}

TEST_F(membership_of_b, a_terminating_pod_is_dialled_as_it_may_have_to_hand_over_but_is_not_needed_to_join) {
  auto leaving = pod("c");
  leaving.terminating = true;
  b.expect(now, {pod("b"), leaving}, done);
  ASSERT_EQ(all<dial>(done).size(), 1U);
  EXPECT_FALSE(b.waiting_for(now));
  EXPECT_TRUE(b.unreached_leaver());
  b.closed(now, all<dial>(done)[0].link, {errc::unavailable, "refused"}, done);
  EXPECT_FALSE(b.unreached_leaver());
}

TEST_F(membership_of_b, redials_with_growing_jittered_delays_and_at_once_after_a_change_of_address) {
  b.expect(now, {pod("c")}, done);
  duration last{};
  for (std::uint32_t i = 0; i < redials_at_once + 12; ++i) {
    const auto link = all<dial>(done).back().link;
    b.closed(now, link, {errc::unavailable, "refused"}, fresh());
    const duration wait = b.wake_at() - now;
    EXPECT_GE(wait, redial_min / 2);
    EXPECT_LE(wait, redial_max);
    if (i < redials_at_once) {
      EXPECT_LE(wait, redial_min);
    } else if (i < redials_at_once + 5) {
      EXPECT_GT(wait * 2, last);
      EXPECT_GT(wait, redial_min / 2);
    }
    last = wait;
    pass(wait);
    b.tick(now, fresh());
    ASSERT_EQ(all<dial>(done).size(), 1U);
  }
  EXPECT_GE(last, redial_max / 2);
  const auto last_link = all<dial>(done).back().link;
  b.closed(now, last_link, {errc::unavailable, "refused"}, fresh());
  auto moved = pod("c");
  moved.address = "10.9.9.9:1";
  b.expect(now, {moved}, fresh());
  EXPECT_EQ(all<dial>(done).size(), 1U);
}

TEST_F(membership_of_b, knocks_once_at_a_peer_that_should_dial_and_has_not) {
  b.expect(now, {pod("a"), pod("b")}, done);
  EXPECT_THAT(all<dial>(done), IsEmpty());
  EXPECT_EQ(b.wake_at(), now + knock_delay);
  pass(knock_delay);
  b.tick(now, done);
  ASSERT_EQ(all<dial>(done).size(), 1U);
  const auto knock = all<dial>(done)[0];
  EXPECT_EQ(knock.peer, node_name{"a"});
  b.opened(now, knock.link, identity("a"), true, fresh());
  EXPECT_EQ(all<hang_up>(done).size(), 1U);
  EXPECT_THAT(all<send>(done), IsEmpty());
  EXPECT_FALSE(b.heard(now, knock.link, done));
  pass(seconds{60});
  b.tick(now, fresh());
  EXPECT_THAT(all<dial>(done), IsEmpty());
  bring_up(link_id{1}, "a");  // it has heard, and dials
  EXPECT_EQ(b.live().size(), 1U);
}

TEST_F(membership_of_b, does_not_knock_at_a_peer_that_has_dialled_meanwhile) {
  b.expect(now, {pod("a"), pod("b")}, done);
  b.opened(now, link_id{1}, identity("a"), false, done);
  pass(knock_delay);
  b.tick(now, fresh());
  EXPECT_THAT(all<dial>(done), IsEmpty());
}

TEST_F(membership_of_b, a_knock_in_vain_changes_nothing) {
  auto leaving = pod("a");
  leaving.terminating = true;
  b.expect(now, {leaving, pod("b")}, done);
  pass(knock_delay);
  b.tick(now, done);
  b.closed(now, all<dial>(done).at(0).link, {errc::unavailable, "refused"}, done);
  EXPECT_TRUE(b.unreached_leaver());
  EXPECT_EQ(b.wake_at(), never);
}

TEST_F(membership_of_b, dials_at_once_whoever_knocks) {
  b.expect(now, {pod("b"), pod("c")}, done);
  for (std::uint32_t i = 0; i < redials_at_once + 12; ++i) {
    const auto failed = all<dial>(done).back().link;
    b.closed(now, failed, {errc::unavailable, "refused"}, fresh());
    now = b.wake_at();
    b.tick(now, fresh());
  }
  const auto last = all<dial>(done).back().link;
  b.closed(now, last, {errc::unavailable, "refused"}, fresh());
  ASSERT_GT(b.wake_at() - now, seconds{1});
  b.opened(now, link_id{7}, identity("c"), false, fresh());
  ASSERT_EQ(all<hang_up>(done).size(), 1U);
  EXPECT_EQ(all<hang_up>(done)[0].link, link_id{7});
  ASSERT_EQ(all<dial>(done).size(), 1U);
  const auto link = all<dial>(done)[0].link;
  b.opened(now, link_id{9}, identity("c"), false, fresh());  // again: the dial is fresh
  EXPECT_THAT(all<dial>(done), IsEmpty());
  bring_up(link, "c", 1, true);
  b.opened(now, link_id{11}, identity("c"), false, fresh());
  EXPECT_THAT(all<dial>(done), IsEmpty());
  EXPECT_EQ(b.live().size(), 1U);
}

TEST_F(membership_of_b, a_dial_that_began_before_the_peer_listened_is_made_anew_when_it_knocks) {
  b.expect(now, {pod("b"), pod("c")}, done);
  const auto lost = all<dial>(done)[0].link;  // its packets went nowhere
  pass(seconds{1});
  b.opened(now, link_id{7}, identity("c"), false, fresh());
  ASSERT_EQ(all<dial>(done).size(), 1U);
  EXPECT_NE(all<dial>(done)[0].link, lost);
}

TEST_F(membership_of_b, a_stranger_may_knock_in_vain) {
  b.expect(now, {pod("b")}, done);
  b.opened(now, link_id{7}, identity("c"), false, fresh());
  EXPECT_THAT(all<dial>(done), IsEmpty());
  EXPECT_EQ(b.wake_at(), never);
}

TEST_F(membership_of_b, a_peer_is_up_only_when_both_sides_accepted) {
  b.expect(now, {pod("a"), pod("b")}, done);
  b.opened(now, link_id{1}, identity("a"), false, done);
  EXPECT_TRUE(sent<wire::hello>(done));
  b.received(now, link_id{1}, hello_of("a"), fresh());
  EXPECT_TRUE(sent<wire::welcome>(done));
  EXPECT_TRUE(all<peer_up>(done).empty());
  b.received(now, link_id{1}, wire::welcome{}, fresh());
  ASSERT_EQ(all<peer_up>(done).size(), 1U);
  EXPECT_EQ(all<peer_up>(done)[0].node.name, node_name{"a"});
  EXPECT_EQ(b.live().size(), 1U);
  EXPECT_FALSE(b.waiting_for(now));
}

TEST_F(membership_of_b, a_peer_that_discovery_does_not_know_yet_is_held_then_accepted) {
  b.expect(now, {pod("b")}, done);
  bring_up(link_id{1}, "a");
  EXPECT_FALSE(sent<wire::welcome>(done));
  pass(seconds{4});
  b.tick(now, fresh());
  EXPECT_TRUE(all<hang_up>(done).empty());
  b.expect(now, {pod("a"), pod("b")}, fresh());
  EXPECT_TRUE(sent<wire::welcome>(done));
  EXPECT_EQ(all<peer_up>(done).size(), 1U);
}

TEST_F(membership_of_b, a_peer_that_discovery_never_names_is_refused_with_the_reason) {
  b.expect(now, {pod("b")}, done);
  bring_up(link_id{1}, "a");
  pass(provisional_max);
  EXPECT_LE(b.wake_at(), now);
  b.tick(now, fresh());
  ASSERT_EQ(all<peer_refused>(done).size(), 1U);
  EXPECT_THAT(all<peer_refused>(done)[0].why.context, HasSubstr("discovery does not expect 'a'"));
  EXPECT_TRUE(sent<wire::goodbye>(done));
  EXPECT_EQ(all<hang_up>(done).size(), 1U);
}

TEST_F(membership_of_b, a_peer_with_the_uid_of_another_pod_is_refused) {
  auto other = pod("a");
  other.uid = "uid-else";
  b.expect(now, {other, pod("b")}, done);
  bring_up(link_id{1}, "a");
  pass(provisional_max);
  b.tick(now, fresh());
  ASSERT_EQ(all<peer_refused>(done).size(), 1U);
  EXPECT_THAT(all<peer_refused>(done)[0].why.context, HasSubstr("with UID uid-else, not uid-a"));
}

TEST_F(membership_of_b, certificates_of_another_mesh_namespace_or_of_ourselves_are_refused) {
  b.expect(now, {pod("a"), pod("b")}, done);
  for (const auto& wrong : {mesh_identity{"ns", "other", "a"}, mesh_identity{"else", "demo", "a"}, identity("b")}) {
    b.opened(now, link_id{1}, wrong, false, fresh());
    EXPECT_EQ(all<peer_refused>(done).size(), 1U) << to_uri(wrong);
    EXPECT_EQ(all<hang_up>(done).size(), 1U);
  }
}

TEST_F(membership_of_b, a_hello_that_contradicts_the_certificate_or_the_mesh_is_refused) {
  b.expect(now, {pod("a"), pod("b"), pod("c")}, done);
  auto other_mesh = hello_of("a");
  other_mesh.mesh_id = "second-mesh";
  auto far = hello_of("a");
  far.protocol = wire::protocol_version + 2;
  std::uint64_t link = 1;
  for (const auto& [wrong, why] :
       std::vector<std::pair<wire::hello, std::string>>{{hello_of("c"), "the certificate 'a'"},
                                                        {other_mesh, "mesh id 'second-mesh'"},
                                                        {far, "protocol version 3"}}) {
    b.opened(now, link_id{link}, identity("a"), false, fresh());
    b.received(now, link_id{link}, wrong, done);
    ASSERT_EQ(all<peer_refused>(done).size(), 1U) << why;
    EXPECT_THAT(all<peer_refused>(done)[0].why.context, HasSubstr(why));
    link += 2;
  }
}

TEST_F(membership_of_b, an_adjacent_protocol_version_is_accepted) {
  b.expect(now, {pod("a"), pod("b")}, done);
  b.opened(now, link_id{1}, identity("a"), false, done);
  auto newer = hello_of("a");
  newer.protocol = wire::protocol_version + 1;
  b.received(now, link_id{1}, newer, fresh());
  EXPECT_TRUE(sent<wire::welcome>(done));
}

TEST_F(membership_of_b, a_new_life_replaces_the_old_one_and_the_old_one_cannot_come_back) {
  b.expect(now, {pod("a"), pod("b")}, done);
  bring_up(link_id{1}, "a", 10);
  fresh();
  bring_up(link_id{3}, "a", 11);
  ASSERT_EQ(all<peer_down>(done).size(), 1U);
  EXPECT_EQ(all<peer_down>(done)[0].node.boot, boot_number{10});
  EXPECT_EQ(all<peer_up>(done).size(), 1U);
  fresh();
  bring_up(link_id{5}, "a", 10, false, 99);
  EXPECT_THAT(all<peer_refused>(done).at(0).why.context, HasSubstr("is older than"));
  EXPECT_EQ(b.live().at(0).node.boot, boot_number{11});
}

TEST_F(membership_of_b, a_life_with_an_older_boot_number_is_new_where_the_last_one_is_gone) {
  b.expect(now, {pod("a"), pod("b")}, done);
  bring_up(link_id{1}, "a", 10);
  b.closed(now, link_id{1}, {errc::unavailable, "reset"}, done);
  fresh();
  bring_up(link_id{3}, "a", 9);  // its clock was set back
  ASSERT_EQ(all<peer_up>(done).size(), 1U);
  EXPECT_EQ(b.live().at(0).node.boot, boot_number{9});
}

TEST_F(membership_of_b, a_life_with_an_older_boot_number_is_new_where_the_last_one_is_silent) {
  b.expect(now, {pod("a"), pod("b")}, done);
  bring_up(link_id{1}, "a", 10);
  pass(milliseconds{1100});
  fresh();
  bring_up(link_id{3}, "a", 9);
  EXPECT_EQ(all<peer_down>(done).size(), 1U);
  EXPECT_EQ(all<peer_up>(done).size(), 1U);
}

TEST_F(membership_of_b, of_two_connections_of_one_life_the_later_attempt_stays_in_either_order) {
  b.expect(now, {pod("a"), pod("b")}, done);
  bring_up(link_id{1}, "a", 10, false, 8);
  fresh();
  bring_up(link_id{3}, "a", 10, false, 6);  // dialled earlier, arrived later
  EXPECT_EQ(b.live().at(0).link, link_id{1});
  bring_up(link_id{5}, "a", 10, false, 10);
  EXPECT_EQ(b.live().at(0).link, link_id{5});
}

TEST_F(membership_of_b, a_closed_connection_is_down_at_once_and_redialled) {
  b.expect(now, {pod("b"), pod("c")}, done);
  const auto link = all<dial>(done)[0].link;
  bring_up(link, "c", 1, true);
  EXPECT_EQ(b.live().size(), 1U);
  b.closed(now, link, {errc::io, "reset"}, fresh());
  EXPECT_EQ(all<peer_down>(done).size(), 1U);
  EXPECT_EQ(all<dial>(done).size(), 1U);
  EXPECT_EQ(b.count().live, 1U);
}

TEST_F(membership_of_b, a_silent_peer_is_quiet_after_two_intervals_and_down_after_two_seconds) {
  b.expect(now, {pod("a"), pod("b")}, done);
  bring_up(link_id{1}, "a");
  pass(milliseconds{999});
  EXPECT_FALSE(b.quiet(now, link_id{1}));
  pass(milliseconds{1});
  EXPECT_TRUE(b.quiet(now, link_id{1}));
  b.tick(now, fresh());
  EXPECT_TRUE(b.heard(now, link_id{1}, done));
  EXPECT_EQ(all<peer_heard>(done).size(), 1U);
  pass(seconds{2});
  EXPECT_LE(b.wake_at(), now);
  b.tick(now, fresh());
  ASSERT_EQ(all<peer_down>(done).size(), 1U);
  EXPECT_THAT(all<peer_down>(done)[0].why.context, HasSubstr("nothing heard for 2000 ms"));
  EXPECT_FALSE(b.heard(now, link_id{1}, done));
}

TEST_F(membership_of_b, heartbeats_measure_the_round_trip) {
  b.expect(now, {pod("a"), pod("b")}, done);
  bring_up(link_id{1}, "a");
  std::uint64_t at = 0;
  for (const auto& each : all<send>(done)) {
    if (const auto* beat = std::get_if<wire::heartbeat>(&each.what)) at = beat->sent_at;
  }
  pass(milliseconds{3});
  b.received(now, link_id{1}, wire::heartbeat_ack{at}, fresh());
  EXPECT_EQ(b.view().at(0).rtt, milliseconds{3});
  b.received(now, link_id{1}, wire::heartbeat_ack{at + 1'000'000'000}, fresh());
  EXPECT_EQ(all<peer_refused>(done).size(), 1U);  // from the future
}

TEST_F(membership_of_b, a_member_that_is_never_reached_blocks_five_seconds_only) {
  b.expect(now, {pod("b"), pod("c")}, done);
  EXPECT_EQ(b.waiting_for(now), "c (connecting)");
  pass(unreached_max);
  EXPECT_FALSE(b.waiting_for(now));
  EXPECT_EQ(b.count().expected, 2U);
}

TEST_F(membership_of_b, a_terminating_member_counts_neither_for_nor_against_the_majority) {
  auto leaving = pod("a");
  b.expect(now, {leaving, pod("b"), pod("c")}, done);
  bring_up(link_id{1}, "a");
  EXPECT_TRUE(b.count().majority());
  leaving.terminating = true;
  b.expect(now, {leaving, pod("b"), pod("c")}, done);
  EXPECT_EQ(b.count().expected, 2U);
  EXPECT_FALSE(b.count().majority());
  EXPECT_EQ(b.live().size(), 1U);  // draining, not dead
  EXPECT_EQ(b.view().at(0).state, peer_state::draining);
}

TEST_F(membership_of_b, a_member_that_said_goodbye_is_not_counted_until_it_is_back_though_a_static_list_names_it) {
  b.expect(now, {pod("a"), pod("b"), pod("c")}, done);
  bring_up(link_id{1}, "a");
  b.received(now, link_id{1}, wire::goodbye{false, errc::draining, "drained"}, done);
  EXPECT_EQ(b.count().expected, 2U);  // c was never there
  EXPECT_EQ(b.reachable(true).expected, 1U);
  EXPECT_EQ(b.waiting_for(now), "c (connecting)");
  b.expect(now, {pod("a"), pod("b"), pod("c")}, done);
  EXPECT_EQ(b.count().expected, 2U);
  bring_up(link_id{3}, "a", 2);
  EXPECT_EQ(b.count().expected, 3U);
  b.closed(now, link_id{3}, {errc::unavailable, "reset"}, done);
  EXPECT_EQ(b.count().expected, 3U);  // a crash is no goodbye
}

TEST_F(membership_of_b, a_member_that_said_goodbye_and_has_another_address_now_is_expected_again) {
  b.expect(now, {pod("a"), pod("b")}, done);
  bring_up(link_id{1}, "a");
  b.received(now, link_id{1}, wire::goodbye{false, errc::draining, "drained"}, done);
  EXPECT_EQ(b.count().expected, 1U);
  auto moved = pod("a");
  moved.address = "10.0.0.7:3601";
  b.expect(now, {moved, pod("b")}, done);
  EXPECT_EQ(b.count().expected, 2U);
}

TEST_F(membership_of_b, a_refusal_is_no_goodbye) {
  b.expect(now, {pod("a"), pod("b")}, done);
  bring_up(link_id{1}, "a");
  b.received(now, link_id{1}, wire::goodbye{true, errc::protocol, "no"}, done);
  EXPECT_EQ(b.count().expected, 2U);
}

TEST_F(membership_of_b, a_member_that_left_discovery_keeps_its_connection_for_a_while_only) {
  b.expect(now, {pod("a"), pod("b")}, done);
  bring_up(link_id{1}, "a");
  b.expect(now, {pod("b")}, fresh());
  EXPECT_TRUE(all<hang_up>(done).empty());
  for (int i = 0; i < 10; ++i) {
    pass(milliseconds{500});
    (void)b.heard(now, link_id{1}, done);
    b.tick(now, done);
  }
  EXPECT_EQ(all<peer_down>(done).size(), 1U);
  EXPECT_TRUE(b.live().empty());
}

TEST_F(membership_of_b, a_goodbye_is_the_end_and_is_not_redialled_at_once) {
  b.expect(now, {pod("b"), pod("c")}, done);
  const auto link = all<dial>(done)[0].link;
  bring_up(link, "c", 1, true);
  b.received(now, link, wire::goodbye{false, errc::draining, "drained"}, fresh());
  EXPECT_EQ(all<peer_down>(done).size(), 1U);
  b.tick(now + seconds{1}, fresh());
  EXPECT_TRUE(all<dial>(done).empty());
}

TEST_F(membership_of_b, a_second_hello_ends_the_connection) {
  b.expect(now, {pod("a"), pod("b")}, done);
  bring_up(link_id{1}, "a");
  b.received(now, link_id{1}, hello_of("a"), fresh());
  EXPECT_EQ(all<peer_down>(done).size(), 1U);
  EXPECT_THAT(all<peer_refused>(done).at(0).why.context, HasSubstr("second hello"));
}

}  // namespace
}  // namespace orrery::membership
