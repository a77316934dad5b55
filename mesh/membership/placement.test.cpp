#include "mesh/membership/placement.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace orrery::membership {
namespace {

TEST(placement, names_move_only_to_or_from_the_node_that_comes_or_goes) {
  const auto node = [](std::string name) { return node_id{node_name{std::move(name)}, boot_number{7}}; };
  const placement three({node("a"), node("b"), node("c")});
  const placement four({node("a"), node("b"), node("c"), node("d")});
  std::map<node_name, int> owned;
  for (int i = 0; i < 4000; ++i) {
    const process_name name{class_name{"counter"}, process_key{std::to_string(i)}};
    const node_id before = *three.owner(name);
    const node_id after = *four.owner(name);
    ++owned[after.name];
    if (before != after) {
      EXPECT_EQ(after, node("d"));
    }
  }
  for (const auto& [name, count] : owned)
    EXPECT_NEAR(count, 1000, 150) << name.value;
  EXPECT_EQ(placement{}.owner({class_name{"a"}, process_key{"b"}}), nullptr);
}

TEST(placement, a_class_is_placed_on_the_best_of_the_nodes_that_host_it) {
  const auto node = [](std::string name) { return node_id{node_name{std::move(name)}, boot_number{7}}; };
  const std::vector nodes{node("a"), node("b"), node("c")};
  const class_name cart{"cart"};
  const class_name kv{"kv"};
  const placement all(nodes);
  const placement without_b(nodes, {{cart, {node("b")}}});
  EXPECT_TRUE(without_b.takes(node("b"), kv));
  EXPECT_FALSE(without_b.takes(node("b"), cart));
  EXPECT_FALSE(without_b.takes(node("d"), kv));
  for (int i = 0; i < 300; ++i) {
    const process_key key{std::to_string(i)};
    EXPECT_EQ(*without_b.owner({kv, key}), *all.owner({kv, key}));
    const node_id before = *all.owner({cart, key});
    const node_id after = *without_b.owner({cart, key});
    if (before == node("b")) {
      EXPECT_EQ(after, *placement({node("a"), node("c")}).owner({cart, key}));
    } else {
      EXPECT_EQ(after, before);
    }
    EXPECT_EQ(*without_b.owner_among_all({cart, key}), before);
  }
  EXPECT_FALSE(without_b == all);
  EXPECT_EQ(placement(nodes, {{cart, nodes}}), all) << "nobody hosts it: as if everybody did";
  EXPECT_EQ(placement(nodes, {{cart, {}}}), all);
  EXPECT_EQ(placement(nodes, {{cart, {node("d")}}}), all);
}

TEST(placement, names_that_share_what_is_in_braces_share_their_node_whatever_their_class) {
  std::vector<node_id> nodes;
  for (const auto* name : {"a", "b", "c", "d", "e"})
    nodes.push_back({node_name{name}, boot_number{7}});
  const placement five(nodes);
  const auto owner = [&](const char* klass, std::string key) {
    return five.owner({class_name{klass}, process_key{std::move(key)}})->name.value;
  };
  std::map<std::string, int> owned;
  for (int i = 0; i < 1000; ++i) {
    const auto tag = "{" + std::to_string(i) + "}";
    const auto one = owner("reader", tag);
    EXPECT_EQ(one, owner("writer", "x" + tag + "y{other}"));
    ++owned[one];
  }
  EXPECT_EQ(owned.size(), 5U);
  // Nothing in the braces, or no pair of them: the whole name counts.
  for (const std::string rest : {"{}", "{", "}{", "{}{same}"}) {
    std::map<std::string, int> spread;
    for (int i = 0; i < 100; ++i)
      ++spread[owner("reader", rest + std::to_string(i))];
    EXPECT_GT(spread.size(), 1U) << rest;
  }
}

}  // namespace
}  // namespace orrery::membership
