#pragma once
// For scenarios: a small mesh of actors.
#include "mesh/sim/actor.hpp"
#include "mesh/sim/small_mesh.hpp"

#include <nlohmann/json.hpp>

namespace orrery::sim::testing {

class actors_mesh : public small_mesh {
 protected:
  using json = nlohmann::json;
  actors_mesh() {
    process::class_spec actor;
    actor.name = class_name{"actor"};
    actor.supervision.intensity = 1000;
    process::class_spec counter;
    counter.name = class_name{"counter"};
    world.define({actor, counter});
    world.make_behaviours_with(make_actors);
  }
  /// An actor that runs on this pod.
  std::string actor_on(const std::string& pod, int skip = 0) {
    const auto name = to_string(owned_by(pod, "actor", skip));
    EXPECT_TRUE(tell(name, "pid"));
    return name;
  }
  result<value> tell(const std::string& name, const std::string& method, const json& argument = {}) {
    return ask(world.living().front(), node::call_op{parse_process_name(name).value(), method,
                                                     value::from_document(argument).value(), std::chrono::seconds{5}});
  }
  std::string pid_of(const std::string& name) { return tell(name, "pid").value().document().get<std::string>(); }
  std::vector<std::string> seen(const std::string& name) {
    const auto answer = tell(name, "seen");
    return answer ? answer->document().get<std::vector<std::string>>() : std::vector{to_string(answer.error())};
  }
  json groups(const std::string& at, const std::string& group) {
    return ask(at, node::group_op{group}).value().document()["members"];
  }
  /// {"key": "pid"} of the unique keys, as this node knows them.
  json unique_keys(const std::string& at) {
    json all = json::object();
    const auto listed = ask(at, node::list_registry_op{}).value().document();
    for (const auto& each : listed["entries"]) {
      if (each["unique"] == true) all[each["key"].get<std::string>()].push_back(each["pid"]);
    }
    return all;
  }
};

}  // namespace orrery::sim::testing
