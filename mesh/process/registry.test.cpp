#include "mesh/process/registry.hpp"

#include "mesh/wire/cbor.hpp"

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
constexpr auto unique = key_space::mesh_unique;
constexpr auto duplicate = key_space::mesh_duplicate;
value number(int of) { return cbor::integer_value(of); }

std::vector<std::string> texts(const std::vector<registration>& all) {
  std::vector<std::string> out;
  for (const auto& each : all)
    out.push_back(each.key + " " + std::to_string(each.who.slot) + " " + each.held.json_text());
  return out;
}

TEST(registry, gives_a_key_with_a_value_to_each_of_its_holders) {
  registry of;
  of.put(duplicate, "topic", here(2), number(20));
  of.put(duplicate, "topic", here(1), number(10));
  of.put(duplicate, "other", here(1), {});
  EXPECT_THAT(texts(of.lookup(duplicate, "topic")), ElementsAre("topic 1 10", "topic 2 20"));
  EXPECT_EQ(of.count(duplicate), 3U);
  EXPECT_THAT(of.lookup(unique, "topic"), IsEmpty()) << "the registries are apart";
}

TEST(registry, refuses_the_same_key_to_the_same_process_twice) {
  registry of;
  of.put(duplicate, "topic", here(1), number(1));
  const auto again = of.may_hold(duplicate, "topic", here(1), number(2));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, errc::already_exists);
  EXPECT_TRUE(of.may_hold(duplicate, "topic", here(2), number(2)));
}

TEST(registry, finds_entries_by_the_beginning_of_their_key_in_order) {
  registry of;
  for (const auto* key : {"user/2", "user/10", "user", "users", "user/1"})
    of.put(unique, key, here(1), {});
  EXPECT_THAT(texts(of.match(unique, "user/", 10)), ElementsAre("user/1 1 null", "user/10 1 null", "user/2 1 null"));
  EXPECT_EQ(of.match(unique, "", 2).size(), 2U);
}

TEST(registry, changes_a_value_only_for_the_holder) {
  registry of;
  of.put(unique, "k", here(1), number(1));
  EXPECT_TRUE(of.update(unique, "k", here(1), number(2)));
  EXPECT_THAT(texts(of.lookup(unique, "k")), ElementsAre("k 1 2"));
  EXPECT_EQ(of.update(unique, "k", here(2), number(3)).error().code, errc::not_found);
}

TEST(registry, forgets_all_that_an_ended_process_held_and_says_what) {
  registry of;
  of.put(unique, "a", here(1), {});
  of.put(duplicate, "b", here(1), {});
  of.put(duplicate, "b", here(2), {});
  const auto gone = of.forget(here(1));
  EXPECT_THAT(gone, ElementsAre((registry::place{unique, "a"}), (registry::place{duplicate, "b"})));
  EXPECT_THAT(of.forget(here(1)), IsEmpty());
  EXPECT_EQ(of.size(), 1U);
  EXPECT_THAT(of.holders(duplicate, "b"), ElementsAre(here(2)));
}

TEST(registry, keeps_what_peers_say_and_forgets_it_with_the_peer) {
  registry of;
  of.put(unique, "mine", here(1), {});
  EXPECT_TRUE(of.put_from_elsewhere(unique, "k", there(1, 2), number(1)));
  EXPECT_TRUE(of.put_from_elsewhere(unique, "k", there(1, 2), number(2)));
  EXPECT_TRUE(of.put_from_elsewhere(duplicate, "d", there(1, 3), {}));
  EXPECT_THAT(texts(of.lookup(unique, "k")), ElementsAre("k 1 2"));
  of.forget_node(2);
  EXPECT_THAT(of.lookup(unique, "k"), IsEmpty());
  EXPECT_EQ(of.size(), 2U);
  EXPECT_EQ(of.of_this_node().size(), 1U);
}

TEST(registry, refuses_keys_values_and_numbers_beyond_its_bounds) {
  registry of({.here_max = 2, .here_bytes_max = 20, .known_max = 3});
  EXPECT_THAT(of.may_hold(unique, "", here(1), {}).error().context, HasSubstr("1 to 1024 bytes of UTF-8"));
  EXPECT_EQ(of.may_hold(unique, std::string(1025, 'x'), here(1), {}).error().code, errc::invalid_argument);
  EXPECT_EQ(of.may_hold(unique, "k", here(1), cbor::text_value(std::string(5000, 'x'))).error().code,
            errc::invalid_argument);
  EXPECT_EQ(of.may_hold(unique, std::string(20, 'k'), here(1), {}).error().code, errc::overloaded);
  of.put(unique, "a", here(1), number(1));
  EXPECT_EQ(of.update(unique, "a", here(1), cbor::text_value(std::string(40, 'x'))).error().code, errc::overloaded);
  EXPECT_THAT(texts(of.lookup(unique, "a")), ElementsAre("a 1 1"));
  of.put(unique, "b", here(1), {});
  EXPECT_EQ(of.may_hold(unique, "c", here(1), {}).error().code, errc::overloaded);
  EXPECT_TRUE(of.put_from_elsewhere(unique, "x", there(1), {}));
  EXPECT_FALSE(of.put_from_elsewhere(unique, "y", there(1), {}));
  EXPECT_TRUE(of.remove(unique, "a", here(1)));
  EXPECT_FALSE(of.remove(unique, "a", here(1)));
  EXPECT_TRUE(of.may_hold(unique, std::string(16, 'k'), here(1), {})) << "its bytes are free again";
}

}  // namespace
}  // namespace orrery::process
