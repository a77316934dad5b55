// Declared children in a mesh that pods join, leave, and die in: in the end each runs once, where its name belongs.
#include "mesh/membership/placement.hpp"
#include "mesh/sim/cluster.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <map>
#include <set>

namespace orrery::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::IsEmpty;

constexpr int children = 40;

class declared_children : public ::testing::TestWithParam<std::uint64_t> {
 protected:
  declared_children() {
    process::class_spec jobs;
    jobs.name = class_name{"jobs"};
    for (int i = 0; i < children; ++i)
      jobs.children.push_back({.key = process_key{"job" + std::to_string(i)}});
    world.define({jobs});
    world.responded = [this](node::request_id id, result<value> answer) { answers[id.value] = std::move(answer); };
    world.ended = [](const std::string&, std::uint64_t, bool) {};
  }
  void pass(duration span) { world.time.run_until(world.time.now() + span); }
  result<value> ask(const std::string& pod, node::operation what) {
    const auto id = world.ask(pod, std::move(what));
    const auto end = world.time.now() + seconds{6};
    while (!answers.contains(id.value) && world.time.now() < end)
      pass(milliseconds{1});
    return answers.contains(id.value) ? answers.at(id.value) : fail(errc::internal, "no answer");
  }
  /// Key -> pods that run it.
  std::map<std::string, std::set<std::string>> where() {
    std::map<std::string, std::set<std::string>> found;
    for (const auto& pod : world.living()) {
      const auto tree = ask(pod, node::tree_op{.local = true}).value().document();
      for (const auto& child : tree["nodes"][0]["supervisors"][0]["declared"]) {
        if (child["state"] == "running") found[child["key"]].insert(pod);
      }
    }
    return found;
  }
  /// What is wrong, in a mesh that has healed.
  std::vector<std::string> wrong() {
    std::vector<node_id> ids;
    for (const auto& each : world.living())
      ids.push_back(world.id_of(each));
    const membership::placement placement(ids);
    const auto found = where();
    std::vector<std::string> out;
    for (int i = 0; i < children; ++i) {
      const auto key = "job" + std::to_string(i);
      const auto owner = placement.owner({class_name{"jobs"}, process_key{key}})->name.value;
      const auto at = found.find(key);
      if (at == found.end()) {
        out.push_back(key + " does not run");
      } else if (at->second != std::set<std::string>{owner}) {
        out.push_back(key + " belongs to " + owner + " and runs on " + ::testing::PrintToString(at->second));
      }
    }
    return out;
  }
  std::string any_of_living() {
    const auto living = world.living();
    return living[world.random.below(living.size())];
  }
  void form(int pods) {
    for (int i = 0; i < pods; ++i)
      world.add_pod();
    pass(seconds{4});
  }

  cluster world{GetParam(), false};
  std::map<std::uint64_t, result<value>> answers;
};

TEST_P(declared_children, start_once_without_a_call) {
  form(3);
  EXPECT_THAT(wrong(), IsEmpty());
}

TEST_P(declared_children, keep_their_state_through_joins_and_drains) {
  form(3);
  for (int i = 0; i < children; ++i)
    ASSERT_TRUE(ask(any_of_living(),
                    node::call_op{{class_name{"jobs"}, process_key{"job" + std::to_string(i)}}, "add", value{}, {}}));
  for (int round = 0; round < 6; ++round) {
    world.random.below(2) == 0 || world.living().size() < 2 ? void(world.add_pod())
                                                            : world.drain(any_of_living(), milliseconds{200});
    pass(seconds{4});
  }
  pass(seconds{10});
  EXPECT_THAT(wrong(), IsEmpty());
  for (int i = 0; i < children; ++i) {
    const auto answer =
        ask(any_of_living(),
            node::call_op{{class_name{"jobs"}, process_key{"job" + std::to_string(i)}}, "get", value{}, {}});
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->document(), 1) << "job" << i;
  }
}

TEST_P(declared_children, run_once_where_they_belong_after_crashes_and_cuts) {
  form(4);
  for (int round = 0; round < 12; ++round) {
    const auto victim = any_of_living();
    switch (world.random.below(5)) {
      case 0:
        world.delete_now(victim);
        world.add_pod();
        break;
      case 1:
        world.crash(victim, false);
        pass(milliseconds{static_cast<std::int64_t>(world.random.below(1500))});
        world.start(victim);
        break;
      case 2:
        for (const auto& each : world.pods())
          world.net.cut(victim, each);
        pass(milliseconds{static_cast<std::int64_t>(world.random.below(6000))});
        world.net.heal_all();
        break;
      case 3:
        world.set_control_plane(false);
        break;
      default:
        world.add_pod();
        world.drain(victim, milliseconds{200});
    }
    pass(milliseconds{static_cast<std::int64_t>(world.random.below(3000))});
    world.set_control_plane(true);
  }
  world.net.heal_all();
  pass(seconds{25});
  EXPECT_THAT(wrong(), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(seeds, declared_children, ::testing::Range<std::uint64_t>(1, 13));

}  // namespace
}  // namespace orrery::sim
