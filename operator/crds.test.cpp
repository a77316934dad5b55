// What the API server lets in must not be refused later.
#include "mesh/process/supervision/supervision.hpp"

#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

namespace orrery::op {
namespace {

YAML::Node schema_of(const std::string& file) {
  return YAML::LoadFile(file)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
}

TEST(crds, the_bounds_of_a_class_are_within_those_of_the_runtime) {
  const auto limits = schema_of("crds/processclass.yaml")["limits"]["properties"];
  for (const auto* bound : {"minimum", "maximum", "default"}) {
    process::class_spec spec;
    spec.name = class_name{"cart"};
    spec.limits.mailbox_max = limits["mailbox"][bound].as<std::uint32_t>();
    spec.limits.instructions_max = limits["instructions"][bound].as<std::uint64_t>();
    spec.limits.memory_bytes_max = limits["memoryBytes"][bound].as<std::uint64_t>();
    spec.limits.state_bytes_max = limits["stateBytes"][bound].as<std::uint64_t>();
    const auto valid = process::validate(spec);
    EXPECT_TRUE(valid) << bound << ": " << (valid ? "" : valid.error().context);
  }
}

TEST(crds, the_bounds_of_supervision_are_those_of_the_runtime) {
  const auto spec = schema_of("crds/processclass.yaml");
  const auto supervision = spec["supervision"]["properties"];
  EXPECT_EQ(supervision["intensity"]["maximum"].as<std::uint32_t>(), process::intensity_max);
  EXPECT_EQ(supervision["childIntensity"]["maximum"].as<std::uint32_t>(), process::intensity_max);
  EXPECT_EQ(spec["children"]["maxItems"].as<std::size_t>(), process::declared_children_max);
  EXPECT_EQ(spec["children"]["items"]["properties"]["key"]["maxLength"].as<std::size_t>(), process_key_bytes_max);
  const process::supervision_spec standard;
  EXPECT_EQ(supervision["intensity"]["default"].as<std::uint32_t>(), standard.intensity);
  EXPECT_EQ(supervision["childCooldown"]["default"].Scalar(), "30s");
  EXPECT_EQ(standard.child_cooldown, std::chrono::seconds{30});
}

/// kubectl 1.20 shows no defaults: the description is where people read them.
void expect_defaults_named(const YAML::Node& schema, const std::string& path) {
  const auto standard = schema["default"];
  const auto says = schema["description"] ? schema["description"].Scalar() : std::string();
  if (standard && standard.IsScalar()) {
    EXPECT_TRUE(says.ends_with(" Default: " + standard.Scalar() + ".")) << path << ": " << says;
  } else if (standard && standard.size() > 0) {
    EXPECT_NE(says.find(" Default: "), std::string::npos) << path << ": " << says;
  } else {
    EXPECT_EQ(says.find("Default: "), std::string::npos) << path << " has no default";
  }
  for (const auto& each : schema["properties"])
    expect_defaults_named(each.second, path + "." + each.first.Scalar());
}

TEST(crds, every_default_is_named_in_the_description_of_its_field) {
  for (const auto* file : {"crds/processmesh.yaml", "crds/processclass.yaml"}) {
    for (const auto& each : schema_of(file))
      expect_defaults_named(each.second, std::string(file) + ": spec." + each.first.Scalar());
  }
}

}  // namespace
}  // namespace orrery::op
