#include "kube/local/schema.hpp"

#include "kube/local/builtin_types.hpp"
#include "kube/local/pattern.hpp"
#include "kube/local/selector.hpp"
#include "kube/local/table.hpp"

#include <gmock/gmock.h>

namespace orrery::local {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const json widget = json::parse(R"({
  "type": "object", "required": ["spec"],
  "properties": {
    "spec": {"type": "object", "required": ["color"], "properties": {
      "color": {"type": "string", "enum": ["red", "green"]},
      "replicas": {"type": "integer", "minimum": 0, "maximum": 10, "default": 3},
      "name": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5},
      "port": {"x-kubernetes-int-or-string": true},
      "limits": {"type": "object", "default": {}, "properties": {"mailbox": {"type": "integer", "default": 10}}},
      "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
      "labels": {"type": "object", "additionalProperties": {"type": "string"}},
      "parts": {"type": "array", "maxItems": 2, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "size": {"type": "integer", "default": 1}}}}}}}})");

std::vector<std::string> complaints(const char* spec) {
  std::vector<std::string> out;
  for (const auto& each : validate(widget, {{"spec", json::parse(spec)}}))
    out.push_back(each.field + ": " + each.message);
  return out;
}

TEST(schema, fills_defaults_also_inside_of_defaulted_objects_and_lists) {
  auto value = json::parse(R"({"spec": {"color": "red", "parts": [{"name": "a"}]}})");
  apply_defaults(widget, value);
  EXPECT_EQ(value["spec"]["replicas"], 3);
  EXPECT_EQ(value["spec"]["limits"]["mailbox"], 10);
  EXPECT_EQ(value["spec"]["parts"][0]["size"], 1);
}

TEST(schema, prunes_unknown_fields_and_names_them_but_keeps_what_the_schema_leaves_open) {
  auto value = json::parse(
      R"({"spec": {"color": "red", "colour": 1, "open": {"x": {"y": 1}}, "labels": {"a": "b"}, "parts": [{"name": "a", "z": 1}]}})");
  EXPECT_THAT(prune(widget, value), ElementsAre("spec.colour", "spec.parts[0].z"));
  EXPECT_EQ(value["spec"]["open"]["x"]["y"], 1);
  EXPECT_EQ(value["spec"]["labels"]["a"], "b");
  EXPECT_FALSE(value["spec"].contains("colour"));
}

TEST(schema, prunes_a_null_so_that_its_default_applies) {
  auto value = json::parse(R"({"spec": {"color": "red", "replicas": null}})");
  (void)prune(widget, value);
  apply_defaults(widget, value);
  EXPECT_EQ(value["spec"]["replicas"], 3);
}

TEST(schema, accepts_what_is_right) {
  EXPECT_THAT(
      complaints(
          R"({"color": "red", "replicas": 10, "name": "abc", "port": "http", "parts": [{"name": "a"}, {"name": "b"}]})"),
      IsEmpty());
  EXPECT_THAT(complaints(R"({"color": "red", "port": 80})"), IsEmpty());
}

TEST(schema, names_the_field_that_is_wrong_in_the_words_of_kubernetes) {
  EXPECT_THAT(complaints("{}"), ElementsAre("spec.color: Required value"));
  EXPECT_THAT(complaints(R"({"color": "blue"})"),
              ElementsAre(R"(spec.color: Unsupported value: "blue": supported values: "red", "green")"));
  EXPECT_THAT(
      complaints(R"({"color": "red", "replicas": -1})"),
      ElementsAre("spec.replicas: Invalid value: -1: spec.replicas in body should be greater than or equal to 0"));
  EXPECT_THAT(
      complaints(R"({"color": "red", "replicas": "3"})"),
      ElementsAre(
          R"(spec.replicas: Invalid value: "string": spec.replicas in body must be of type integer: "string")"));
  EXPECT_THAT(complaints(R"({"color": "red", "name": "ABC"})"),
              ElementsAre("spec.name: Invalid value: \"ABC\": spec.name in body should match '^[a-z]+$'"));
  EXPECT_THAT(complaints(R"({"color": "red", "parts": [{"name": "a"}, {"name": "a"}]})"),
              ElementsAre(R"(spec.parts[1]: Duplicate value: {"name":"a"})"));
  EXPECT_THAT(
      complaints(R"({"color": "red", "labels": {"k": 1}})"),
      ElementsAre(
          R"(spec.labels[k]: Invalid value: "integer": spec.labels[k] in body must be of type string: "integer")"));
}

TEST(schema, of_a_definition_must_be_structural) {
  EXPECT_THAT(check_structural(widget, "x"), IsEmpty());
  EXPECT_EQ(check_structural(json::parse(R"({"type": "object", "properties": {"a": {}}})"), "x").at(0).field,
            "x.properties[a].type");
}

TEST(matches_pattern, takes_the_syntax_that_definitions_use) {
  EXPECT_TRUE(matches_pattern("1m30s", R"(^(?:\d+(\.\d+)?(ns|us|ms|s|m|h))+$)"));
  EXPECT_FALSE(matches_pattern("1x", R"(^(?:\d+(\.\d+)?(ns|us|ms|s|m|h))+$)"));
  EXPECT_TRUE(matches_pattern("a-b_c.d", R"(^[\w\-.]+$)"));
  EXPECT_FALSE(matches_pattern("a b", R"(^[^\s]+$)"));
  EXPECT_TRUE(matches_pattern("a]b", R"(^[ab\]]+$)"));
  EXPECT_TRUE(matches_pattern("anything", "(unclosed"));
}

TEST(builtin_types, know_the_merge_keys_of_pods) {
  const auto* containers = field_schema(*field_schema(builtin_schemas()["Pod"], "spec"), "containers");
  ASSERT_NE(containers, nullptr);
  EXPECT_EQ((*containers)["x-kubernetes-list-map-keys"], json::array({"name"}));
  const auto* ports = field_schema(*item_schema(*containers), "ports");
  EXPECT_EQ((*ports)["x-kubernetes-list-map-keys"], json::array({"containerPort", "protocol"}));
  EXPECT_EQ((*ports)["x-kubernetes-patch-merge-key"], "containerPort");
}

TEST(selector, understands_equality_sets_and_existence) {
  const json pod = json::parse(
      R"({"metadata": {"name": "p", "labels": {"app": "web", "tier": "front"}}, "spec": {"nodeName": "n1"}})");
  const auto matches = [&](const char* labels, const char* fields = "") {
    return selector::parse(labels, fields)->matches(pod);
  };
  EXPECT_TRUE(matches("app=web,tier in (front, back)"));
  EXPECT_TRUE(matches("app==web,!gone,tier,other notin (x)"));
  EXPECT_FALSE(matches("app!=web"));
  EXPECT_FALSE(matches("tier notin (front)"));
  EXPECT_TRUE(matches("", "metadata.name=p,spec.nodeName!=n2"));
  EXPECT_FALSE(matches("", "metadata.name=q"));
  EXPECT_EQ(selector::parse("a in b", "").error().code, 400);
  EXPECT_EQ(selector::parse("", "nonsense").error().code, 400);
}

TEST(table, selects_with_the_json_paths_of_printer_columns) {
  const json object = json::parse(
      R"({"status": {"ready": 2, "conditions": [{"type": "A", "status": "False"}, {"type": "Ready", "status": "True"}]}, "metadata": {"annotations": {"a.b/c": "x"}}})");
  EXPECT_EQ(select_path(object, ".status.ready"), 2);
  EXPECT_EQ(select_path(object, R"(.status.conditions[?(@.type=="Ready")].status)"), "True");
  EXPECT_EQ(select_path(object, ".status.conditions[0].type"), "A");
  EXPECT_EQ(select_path(object, R"(.metadata.annotations.a\.b/c)"), "x");
  EXPECT_EQ(select_path(object, ".status.none"), nullptr);
  EXPECT_EQ(select_path(object, ".status.conditions[7"), nullptr);
}

TEST(table, prints_ages_as_kubectl_does) {
  using std::chrono::seconds;
  EXPECT_EQ(human_duration(seconds(42)), "42s");
  EXPECT_EQ(human_duration(seconds(310)), "5m10s");
  EXPECT_EQ(human_duration(seconds(3600 * 5 + 60)), "5h1m");
  EXPECT_EQ(human_duration(seconds(86400 * 30)), "30d");
}

}  // namespace
}  // namespace orrery::local
