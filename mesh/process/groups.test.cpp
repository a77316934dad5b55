#include "mesh/process/groups.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orrery::process {
namespace {

using kernel::handle;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr handle here(std::uint32_t slot) { return {handle::here, slot, 0}; }
constexpr handle there(std::uint32_t slot, std::uint32_t node = 2) { return {node, slot, 0}; }

TEST(groups, hold_a_process_until_it_has_left_as_often_as_it_joined) {
  groups of;
  EXPECT_EQ(of.join("room", here(1)).value(), 1U);
  EXPECT_EQ(of.join("room", here(1)).value(), 2U);
  EXPECT_EQ(of.leave("room", here(1)), 1U);
  EXPECT_THAT(of.members("room", reach::mesh), ElementsAre(here(1)));
  EXPECT_EQ(of.leave("room", here(1)), 0U);
  EXPECT_THAT(of.members("room", reach::mesh), IsEmpty());
  EXPECT_FALSE(of.leave("room", here(1)));
  EXPECT_EQ(of.size(), 0U);
}

TEST(groups, name_their_members_once_and_those_of_this_node_first) {
  groups of;
  EXPECT_TRUE(of.set("room", there(1), 3));
  EXPECT_TRUE(of.join("room", here(9)));
  EXPECT_TRUE(of.join("room", here(9)));
  EXPECT_THAT(of.members("room", reach::mesh), ElementsAre(here(9), there(1)));
  EXPECT_THAT(of.members("room", reach::node), ElementsAre(here(9)));
  EXPECT_EQ(of.count("room"), 2U);
}

TEST(groups, are_listed_by_the_beginning_of_their_name_as_long_as_they_have_members) {
  groups of;
  for (const auto* name : {"chat/b", "chat/a", "chat", "check"})
    ASSERT_TRUE(of.join(name, here(1)));
  ASSERT_TRUE(of.watch("chat/c", here(2)));
  EXPECT_THAT(of.names("chat/", 10), ElementsAre("chat/a", "chat/b"));
  EXPECT_THAT(of.names("", 3), ElementsAre("chat", "chat/a", "chat/b"));
}

TEST(groups, forget_a_process_that_has_ended_as_member_and_as_watcher) {
  groups of;
  ASSERT_TRUE(of.join("a", here(1)));
  ASSERT_TRUE(of.join("b", here(1)));
  ASSERT_TRUE(of.join("b", here(2)));
  ASSERT_TRUE(of.watch("c", here(1)));
  EXPECT_THAT(of.forget(here(1)), ElementsAre("a", "b"));
  EXPECT_THAT(of.forget(here(1)), IsEmpty());
  EXPECT_THAT(of.members("b", reach::mesh), ElementsAre(here(2)));
  EXPECT_THAT(of.watchers("c"), IsEmpty());
  EXPECT_EQ(of.size(), 1U);
}

TEST(groups, take_what_a_peer_says_as_the_state_of_one_membership) {
  groups of;
  EXPECT_TRUE(of.set("room", there(1), 1));
  EXPECT_FALSE(of.set("room", there(1), 2));
  EXPECT_TRUE(of.set("room", there(1), 0));
  EXPECT_FALSE(of.set("room", there(1), 0));
}

TEST(groups, forget_a_node_and_only_that_one) {
  groups of;
  ASSERT_TRUE(of.join("a", here(1)));
  EXPECT_TRUE(of.set("a", there(1, 2), 1));
  EXPECT_TRUE(of.set("b", there(1, 2), 1));
  EXPECT_TRUE(of.set("a", there(7, 2), 1));
  EXPECT_TRUE(of.set("a", there(1, 3), 1));
  std::vector<std::string> told;
  for (const auto& each : of.forget_node(2)) {
    EXPECT_FALSE(each.joined);
    told.push_back(each.group + " " + std::to_string(each.who.slot));
  }
  EXPECT_THAT(told, ElementsAre("a 1", "b 1", "a 7"));
  EXPECT_THAT(of.members("a", reach::mesh), ElementsAre(here(1), there(1, 3)));
}

TEST(groups, say_what_their_own_processes_joined_so_that_a_peer_can_be_told) {
  groups of;
  ASSERT_TRUE(of.join("b", here(2)));
  ASSERT_TRUE(of.join("a", here(2)));
  ASSERT_TRUE(of.join("a", here(2)));
  EXPECT_TRUE(of.set("a", there(1), 1));
  const auto all = of.of_this_node();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].group, "a");
  EXPECT_EQ(all[0].joins, 2U);
  EXPECT_EQ(all[1].group, "b");
}

TEST(groups, refuse_names_and_numbers_beyond_their_bounds) {
  groups of({.here_max = 2, .known_max = 3, .watches_max = 1});
  EXPECT_THAT(of.join("", here(1)).error().context, HasSubstr("1 to 255 bytes of UTF-8"));
  EXPECT_EQ(of.join(std::string(256, 'x'), here(1)).error().code, errc::invalid_argument);
  EXPECT_EQ(of.join("\xff", here(1)).error().code, errc::invalid_argument);
  ASSERT_TRUE(of.join("a", here(1)));
  ASSERT_TRUE(of.join("b", here(1)));
  EXPECT_EQ(of.join("c", here(1)).error().code, errc::overloaded);
  EXPECT_TRUE(of.join("b", here(1))) << "a second time needs no room";
  EXPECT_TRUE(of.set("a", there(1), 1));
  EXPECT_FALSE(of.set("a", there(2), 1)) << "one more than are known";
  EXPECT_EQ(of.size(), 3U);
  ASSERT_TRUE(of.watch("a", here(1)));
  EXPECT_TRUE(of.watch("a", here(1)));
  EXPECT_EQ(of.watch("b", here(1)).error().code, errc::overloaded);
  of.unwatch("a", here(1));
  EXPECT_TRUE(of.watch("b", here(1)));
}

}  // namespace
}  // namespace orrery::process
