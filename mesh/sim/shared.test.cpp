// Groups and the registry on whole nodes: they converge, and a unique key has one holder.
#include "mesh/base/random.hpp"
#include "mesh/node/keys.hpp"
#include "mesh/sim/actors_mesh.hpp"

#include <gmock/gmock.h>

namespace orrery::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::actors_mesh;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class shared_state : public actors_mesh {
 protected:
  /// A key that `pod` grants.
  std::string key_of(const std::string& pod) {
    std::vector<node_id> ids;
    for (const auto& each : world.living())
      ids.push_back(world.id_of(each));
    const membership::placement placement(ids);
    for (int i = 0;; ++i) {
      auto key = "k" + std::to_string(i);
      if (node::owner_of_key(placement, key)->name.value == pod) return key;
    }
  }
  void expect_the_same_everywhere(const std::vector<std::string>& group_names) {
    const auto pods = world.living();
    for (const auto& pod : pods) {
      for (const auto& group : group_names) {
        auto here = groups(pod, group);
        auto first = groups(pods[0], group);
        std::sort(here.begin(), here.end());
        std::sort(first.begin(), first.end());
        EXPECT_EQ(here, first) << group << " on " << pod;
      }
      const auto keys = unique_keys(pod);
      EXPECT_EQ(keys, unique_keys(pods[0])) << pod;
      for (const auto& [key, holders] : keys.items())
        EXPECT_EQ(holders.size(), 1U) << key << " on " << pod;
    }
  }
};

TEST_F(shared_state, groups_are_the_same_on_all_nodes_and_one_that_joins_later_learns_them) {
  form(3);
  const auto pods = world.pods();
  const auto a = actor_on(pods[0]);
  const auto b = actor_on(pods[1]);
  ASSERT_TRUE(tell(a, "join", "room"));
  ASSERT_TRUE(tell(b, "join", "room"));
  pass(milliseconds{100});
  for (const auto& pod : pods)
    EXPECT_EQ(groups(pod, "room").size(), 2U);
  EXPECT_EQ(tell(a, "publish", "room").value().document(), 2);
  EXPECT_EQ(ask(pods[2], node::publish_op{"room", "outside", {}}).value().document()["members"], 2);
  pass(milliseconds{100});
  EXPECT_THAT(seen(a), ElementsAre("news \"room\"", "outside"));
  EXPECT_THAT(seen(b), ElementsAre("news \"room\"", "outside"));
  const auto late = world.add_pod();
  pass(seconds{3});
  EXPECT_EQ(groups(late, "room").size(), 2U);
  const auto listed = ask(late, node::list_groups_op{"r", 10}).value().document();
  EXPECT_EQ(listed["groups"].size(), 1U);
  EXPECT_EQ(listed["groups"][0]["members"], 2);
}

TEST_F(shared_state, members_leave_a_group_with_their_node_and_watchers_elsewhere_hear_of_it) {
  form(3);
  const auto pods = world.pods();
  const auto a = actor_on(pods[0]);
  const auto b = actor_on(pods[1]);
  EXPECT_EQ(tell(a, "watch", "room").value().document(), 0);
  ASSERT_TRUE(tell(b, "join", "room"));
  pass(milliseconds{100});
  const auto pids = R"({"group":"room","pids":[")" + pid_of(b) + R"("]})";
  world.crash(pods[1], false);
  pass(milliseconds{100});
  EXPECT_THAT(seen(a), ElementsAre("group_joined " + pids, "group_left " + pids));
  EXPECT_THAT(groups(pods[2], "room"), IsEmpty());
}

TEST_F(shared_state, a_key_that_three_nodes_claim_at_once_goes_to_one_and_the_others_hear_to_whom) {
  form(3);
  const auto pods = world.pods();
  for (const auto& owner : pods) {
    const auto key = key_of(owner);
    std::vector<node::request_id> claims;
    std::vector<std::string> actors;
    for (const auto& pod : pods) {
      actors.push_back(actor_on(pod, 3));
      claims.push_back(world.ask(pod, node::call_op{parse_process_name(actors.back()).value(), "claim",
                                                    value::from_document(key).value(), seconds{5}}));
    }
    pass(milliseconds{300});
    const auto holder = unique_keys(owner)[key];
    ASSERT_EQ(holder.size(), 1U);
    int won = 0;
    for (const auto& each : actors) {
      const auto last = seen(each).back();
      if (last == "reply true") {
        ++won;
      } else {
        EXPECT_THAT(last, HasSubstr("already_exists: " + holder[0].get<std::string>() + " holds '" + key + "'"));
      }
    }
    EXPECT_EQ(won, 1) << key;
    for (const auto& pod : pods)
      EXPECT_EQ(unique_keys(pod)[key], holder);
  }
}

TEST_F(shared_state, a_key_is_free_for_whoever_hears_that_its_holder_ended) {
  form(3);
  const auto pods = world.pods();
  const auto holder = actor_on(pods[0]);
  const auto heir = actor_on(pods[1]);
  const auto key = key_of(pods[2]);
  ASSERT_TRUE(tell(holder, "claim", key));
  pass(milliseconds{100});
  ASSERT_TRUE(tell(holder, "boom"));
  ASSERT_TRUE(tell(heir, "claim", key));
  pass(milliseconds{300});
  EXPECT_THAT(seen(heir), ElementsAre("reply true"));
  EXPECT_EQ(unique_keys(pods[2])[key], json::array({pid_of(heir)}));
}

TEST_F(shared_state, a_key_stays_with_its_holder_when_its_owner_goes_and_the_next_owner_refuses_others) {
  form(3);
  const auto pods = world.pods();
  const auto holder = actor_on(pods[0]);
  const auto other = actor_on(pods[1]);
  const auto key = key_of(pods[2]);
  ASSERT_TRUE(tell(holder, "claim", key));
  pass(milliseconds{100});
  world.crash(pods[2], false);
  ASSERT_TRUE(tell(other, "claim", key));
  pass(milliseconds{300});
  EXPECT_THAT(seen(other), ElementsAre(HasSubstr("already_exists: " + pid_of(holder))));
  // And a fresh one is granted without the node that is gone.
  world.delete_now(pods[2]);
  ASSERT_TRUE(tell(other, "claim", "fresh"));
  pass(seconds{1});
  EXPECT_THAT(seen(other).back(), "reply true");
}

TEST_F(shared_state, a_claim_waits_for_an_owner_that_is_silent_and_goes_to_the_next_one) {
  form(3);
  const auto pods = world.pods();
  const auto key = key_of(pods[2]);
  const auto holder = actor_on(pods[0]);
  world.crash(pods[2], true);
  ASSERT_TRUE(tell(holder, "claim", key));
  pass(seconds{4});
  EXPECT_THAT(seen(holder), ElementsAre("reply true"));
}

TEST_F(shared_state, both_sides_of_a_split_agree_again_and_one_of_two_holders_hears_that_it_lost_its_key) {
  form(2);
  const auto pods = world.pods();
  world.net.cut(pods[0], pods[1]);
  pass(seconds{4});
  const std::string a = "actor/left";
  const std::string b = "actor/right";
  const auto at = [&](const std::string& pod, const std::string& name, const std::string& method, const json& with) {
    return ask(pod,
               node::call_op{parse_process_name(name).value(), method, value::from_document(with).value(), seconds{5}});
  };
  ASSERT_TRUE(at(pods[0], a, "claim", "k"));
  ASSERT_TRUE(at(pods[1], b, "claim", "k"));
  ASSERT_TRUE(at(pods[0], a, "join", "room"));
  ASSERT_TRUE(at(pods[1], b, "join", "room"));
  pass(seconds{3});
  world.net.heal_all();
  pass(seconds{8});
  expect_the_same_everywhere({"room"});
  EXPECT_EQ(groups(pods[0], "room").size(), 2U);
  const auto seen_by_both = json::array({seen(a), seen(b)}).dump();
  EXPECT_THAT(seen_by_both, HasSubstr("key_lost"));
}

TEST_F(shared_state, an_isolated_node_grants_nothing) {
  form(3);
  const auto pods = world.pods();
  const auto alone = actor_on(pods[0]);
  world.set_control_plane(false);
  for (const auto& pod : pods)
    world.net.cut(pods[0], pod);
  pass(seconds{7});
  ASSERT_TRUE(world.core_of(pods[0]).current().isolated);
  const auto refused = ask(pods[0], node::publish_op{"room", "w", {}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::isolated);
}

/// Any order of joins, leaves, claims, ends, crashes, cuts and newcomers ends in the same view on all nodes.
TEST_F(shared_state, converges_whatever_happens) {
  seeded_random random(5);
  form(3);
  const std::vector<std::string> group_names{"g0", "g1", "g2"};
  const auto name = [&] { return "actor/a" + std::to_string(random.below(12)); };
  const auto tell_any = [&](const std::string& method, const json& with) {
    const auto living = world.living();
    world.ask(living[random.below(living.size())],
              node::call_op{parse_process_name(name()).value(), method, value::from_document(with).value(),
                            milliseconds{500}});
  };
  for (int round = 0; round < 600; ++round) {
    const auto group = group_names[random.below(group_names.size())];
    const auto key = "key" + std::to_string(random.below(6));
    switch (random.below(12)) {
      case 0:
      case 1:
      case 2:
        tell_any("join", group);
        break;
      case 3:
        tell_any("leave", group);
        break;
      case 4:
      case 5:
      case 6:
        tell_any("claim", key);
        break;
      case 7:
        tell_any("drop", key);
        break;
      case 8:
        tell_any("boom", {});
        break;
      case 9:
        tell_any("publish", group);
        break;
      default:
        break;
    }
    const auto living = world.living();
    const auto chance = random.below(100);
    if (chance == 0 && living.size() > 2) world.crash(living[random.below(living.size())], random.below(2) == 0);
    if (chance == 1) world.net.cut(living[0], living[random.below(living.size())]);
    if (chance == 2) world.net.heal_all();
    if (chance == 3 && world.pods().size() < 6) world.add_pod();
    if (chance == 4 && living.size() > 2) world.drain(living[random.below(living.size())], milliseconds{50});
    if (chance == 5) {
      for (const auto& pod : world.pods()) {
        if (!world.alive(pod)) world.start(pod);
      }
    }
    pass(milliseconds{random.below(100)});
  }
  world.net.heal_all();
  for (const auto& pod : world.pods()) {
    if (!world.alive(pod)) world.start(pod);
  }
  pass(seconds{40});
  expect_the_same_everywhere(group_names);
  // And all that is listed lives.
  for (const auto& group : group_names) {
    for (const auto& member : groups(world.living()[0], group)) {
      ASSERT_TRUE(tell("actor/witness", "monitor", member["pid"]));
    }
  }
  const auto keys = unique_keys(world.living()[0]);
  for (const auto& [key, holders] : keys.items())
    ASSERT_TRUE(tell("actor/witness", "monitor", holders[0]));
  pass(seconds{1});
  EXPECT_THAT(seen("actor/witness"), IsEmpty());
}

}  // namespace
}  // namespace orrery::sim
