#pragma once
// For scenarios on a small mesh.
#include "mesh/membership/placement.hpp"
#include "mesh/sim/cluster.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::sim::testing {

/// A few pods, and a client that asks any of them.
class small_mesh : public ::testing::Test {
 protected:
  small_mesh() {
    process::class_spec counter;
    counter.name = class_name{"counter"};
    world.define({counter});
    world.responded = [this](node::request_id id, result<value> answer) {
      EXPECT_FALSE(answers.contains(id.value)) << "answered twice";
      answers.emplace(id.value, std::move(answer));
      answered_at[id.value] = world.time.now();
    };
    world.ended = [](const std::string&, std::uint64_t, bool) {};
  }

  void form(int pods) {
    for (int i = 0; i < pods; ++i)
      world.add_pod();
    pass(std::chrono::seconds{3});
    for (const auto& pod : world.pods())
      EXPECT_TRUE(world.core_of(pod).current().joined) << world.core_of(pod).current().reason;
  }
  void pass(duration span) { world.time.run_until(world.time.now() + span); }

  node::request_id call(const std::string& at, const process_name& name, std::string_view method,
                        duration timeout = std::chrono::seconds{5}) {
    return world.ask(at, node::call_op{name, std::string{method}, value{}, timeout});
  }
  result<value> answer_of(node::request_id id, duration wait = std::chrono::seconds{6}) {
    const auto end = world.time.now() + wait;
    while (!answers.contains(id.value) && world.time.now() < end)
      pass(std::chrono::milliseconds{1});
    if (!answers.contains(id.value)) return fail(errc::internal, "no answer");
    return answers.at(id.value);
  }
  result<value> ask(const std::string& at, node::operation what) { return answer_of(world.ask(at, std::move(what))); }

  /// A name that `pod` owns.
  process_name owned_by(const std::string& pod, const std::string& klass = "counter", int skip = 0) const {
    std::vector<node_id> ids;
    for (const auto& each : world.living())
      ids.push_back(world.id_of(each));
    const membership::placement placement(ids);
    for (int i = 0;; ++i) {
      const process_name name{class_name{klass}, process_key{"n" + std::to_string(i)}};
      if (placement.owner(name)->name.value == pod && skip-- == 0) return name;
    }
  }

  cluster world{1, false};
  std::map<std::uint64_t, result<value>> answers;
  std::map<std::uint64_t, time_point> answered_at;
};

}  // namespace orrery::sim::testing
