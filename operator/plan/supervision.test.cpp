// What a ProcessClass may say of supervision: delivered to the letter, or refused with the field and what to give.
#include "operator/plan/testing.hpp"

#include <yaml-cpp/yaml.h>

namespace orrery::plan::testing {

namespace {

YAML::Node classes_of(const world& w) {
  return YAML::Load(std::string(kube::text_at(w.config_maps.at("demo-config"), {"data", "config.yaml"})))["classes"];
}
YAML::Node class_of(const world& w, const std::string& name) {
  for (const auto& each : classes_of(w)) {
    if (each["name"].Scalar() == name) return each;
  }
  return YAML::Node(YAML::NodeType::Undefined);
}
json counter(json supervision = json::object()) {
  return {{"behaviour", {{"builtin", "counter"}}}, {"supervision", std::move(supervision)}};
}
json below(const std::string& parent) { return counter({{"parent", parent}}); }
json condition_of(world& w, const std::string& name) {
  const auto what = w.think();
  for (const auto& each : what.class_statuses) {
    if (kube::name_of(*each.object) == name) return each.status["conditions"][0];
  }
  return {};
}

}  // namespace

TEST(supervision, every_field_is_delivered_as_it_was_given) {
  world w;
  w.add_class("shop", counter());
  json spec{{"behaviour", {{"lua", {{"script", "return {}\n"}}}}},
            {"supervision",
             {{"strategy", "RestForOne"},
              {"restart", "Transient"},
              {"intensity", 7},
              {"period", "90s"},
              {"escalate", "Pod"},
              {"parent", "shop"},
              {"shutdown", "BrutalKill"},
              {"backoff", {{"initial", "100ms"}, {"max", "1m"}}},
              {"childIntensity", 2},
              {"childCooldown", "10s"},
              {"autoShutdown", "AnySignificant"}}},
            {"limits", {{"mailbox", 10}, {"mailboxPolicy", "Block"}, {"maxProcesses", 50}}},
            {"children", json::array({{{"key", "reader"}, {"argument", {{"shard", 1}}}},
                                      {{"key", "main"}, {"restart", "Temporary"}, {"significant", true}}})}};
  w.add_class("cart", spec);
  w.settle();
  const auto klass = class_of(w, "cart");
  const auto supervision = klass["supervision"];
  EXPECT_EQ(supervision["strategy"].Scalar(), "RestForOne");
  EXPECT_EQ(supervision["period"].Scalar(), "90s");
  EXPECT_EQ(supervision["parent"].Scalar(), "shop");
  EXPECT_EQ(supervision["shutdown"].Scalar(), "BrutalKill");
  EXPECT_EQ(supervision["backoff"]["initial"].Scalar(), "100ms");
  EXPECT_EQ(supervision["backoff"]["max"].Scalar(), "1m");
  EXPECT_EQ(supervision["childIntensity"].as<int>(), 2);
  EXPECT_EQ(supervision["childCooldown"].Scalar(), "10s");
  EXPECT_EQ(supervision["autoShutdown"].Scalar(), "AnySignificant");
  EXPECT_EQ(klass["limits"]["mailboxPolicy"].Scalar(), "Block");
  EXPECT_EQ(klass["limits"]["maxProcesses"].as<int>(), 50);
  ASSERT_EQ(klass["children"].size(), 2U);
  EXPECT_EQ(klass["children"][0]["key"].Scalar(), "reader");
  EXPECT_EQ(klass["children"][0]["argument"].Scalar(), R"({"shard":1})") << "JSON as one text";
  EXPECT_EQ(klass["children"][1]["restart"].Scalar(), "Temporary");
  EXPECT_TRUE(klass["children"][1]["significant"].as<bool>());
}

TEST(supervision, what_is_not_given_is_left_to_the_sidecar) {
  world w;
  w.add_class("shop", counter());
  w.settle();
  const auto supervision = class_of(w, "shop")["supervision"];
  for (const auto* field : {"parent", "shutdown", "backoff", "childIntensity", "childCooldown", "autoShutdown"})
    EXPECT_FALSE(supervision[field].IsDefined()) << field;
  EXPECT_FALSE(class_of(w, "shop")["children"].IsDefined());
}

struct bad_spec {
  const char* name;
  json change;  ///< merged into the spec of a counter
  const char* says;
};
void PrintTo(const bad_spec& row, std::ostream* out) { *out << row.name; }

class broken_supervision : public ::testing::TestWithParam<bad_spec> {};

TEST_P(broken_supervision, is_refused_with_the_field_and_what_to_give) {
  world w;
  json spec = counter();
  spec.merge_patch(GetParam().change);
  w.add_class("odd", spec);
  const auto condition = condition_of(w, "odd");
  EXPECT_EQ(condition["status"], "False");
  EXPECT_EQ(condition["reason"], "InvalidField");
  const auto message = condition["message"].get<std::string>();
  EXPECT_TRUE(message.starts_with(GetParam().says)) << message;
}

json supervised(json fields) { return {{"supervision", std::move(fields)}}; }
json with_children(json list) { return {{"children", std::move(list)}}; }

INSTANTIATE_TEST_SUITE_P(
    table, broken_supervision,
    ::testing::Values(
        bad_spec{"strategy", supervised({{"strategy", "All"}}),
                 "spec.supervision.strategy: All is not one of OneForOne, OneForAll, RestForOne"},
        bad_spec{"intensity", supervised({{"intensity", -1}}),
                 "spec.supervision.intensity: -1 is out of range: 0 to 100000 are accepted"},
        bad_spec{"child_intensity", supervised({{"childIntensity", 200000}}),
                 "spec.supervision.childIntensity: 200000"},
        bad_spec{"cooldown", supervised({{"childCooldown", "48h"}}),
                 "spec.supervision.childCooldown: 48h is out of range: 1ms to 24h are accepted"},
        bad_spec{"shutdown", supervised({{"shutdown", "Never"}}),
                 "spec.supervision.shutdown: Never is not accepted: give a duration up to 24h as 5s, BrutalKill or "
                 "Infinity"},
        bad_spec{"shutdown_long", supervised({{"shutdown", "48h"}}), "spec.supervision.shutdown: 48h"},
        bad_spec{"backoff_empty", supervised({{"backoff", json::object()}}),
                 "spec.supervision.backoff.initial: is missing"},
        bad_spec{"backoff_order", supervised({{"backoff", {{"initial", "10s"}, {"max", "1s"}}}}),
                 "spec.supervision.backoff.max: 1s is shorter than spec.supervision.backoff.initial, 10s"},
        bad_spec{"auto_shutdown", supervised({{"autoShutdown", "Some"}}), "spec.supervision.autoShutdown: Some"},
        bad_spec{"policy",
                 {{"limits", {{"mailboxPolicy", "Drop"}}}},
                 "spec.limits.mailboxPolicy: Drop is not one of Reject, DropOldest, Block"},
        bad_spec{"processes",
                 {{"limits", {{"maxProcesses", 0}}}},
                 "spec.limits.maxProcesses: 0 is out of range: 1 to 2000000 are accepted"},
        bad_spec{"key", with_children(json::array({json::object()})), "spec.children[0].key: has 0 bytes"},
        bad_spec{"key_long", with_children(json::array({{{"key", std::string(1U << 20U, 'k')}}})),
                 "spec.children[0].key: has 1048576 bytes: 1 to 1024 are accepted"},
        bad_spec{"twice", with_children(json::array({{{"key", "a"}}, {{"key", "a"}}})),
                 "spec.children[1].key: is there twice: each key once"},
        bad_spec{"child_restart", with_children(json::array({{{"key", "a"}, {"restart", "Often"}}})),
                 "spec.children[0].restart: Often is not one of"},
        bad_spec{"significant_permanent", with_children(json::array({{{"key", "a"}, {"significant", true}}})),
                 "spec.children[0].significant: true is for children that may end"},
        bad_spec{"significant_never",
                 with_children(json::array({{{"key", "a"}, {"restart", "Transient"}, {"significant", true}}})),
                 "spec.children[0].significant: true means nothing while spec.supervision.autoShutdown is Never"},
        bad_spec{"argument", with_children(json::array({{{"key", "a"}, {"argument", 1}}})),
                 "spec.children[0].argument: only the init of a script or of an app takes one"},
        bad_spec{"too_few_processes",
                 {{"limits", {{"maxProcesses", 1}}}, {"children", json::array({{{"key", "a"}}, {{"key", "b"}}})}},
                 "spec.limits.maxProcesses: 1 is less than there are children, which are 2"}),
    [](const auto& row) { return std::string{row.param.name}; });

// ---- parents ----

TEST(parents, may_be_applied_in_any_order) {
  world w;
  w.add_class("cart", below("shop"));
  w.settle();
  EXPECT_EQ(condition_of(w, "cart")["reason"], "ParentNotFound");
  EXPECT_EQ(
      condition_of(w, "cart")["message"],
      "spec.supervision.parent: mesh demo has no class shop: give the name of one, or leave it out for the node's "
      "root; mesh demo does not have the class");
  w.add_class("shop", counter());
  w.settle();
  EXPECT_EQ(condition_of(w, "cart")["status"], "True");
  EXPECT_EQ(class_of(w, "cart")["supervision"]["parent"].Scalar(), "shop");
}

TEST(parents, that_go_in_a_circle_are_refused_with_the_way_round) {
  world w;
  w.add_class("a", below("b"));
  w.add_class("b", below("c"));
  w.add_class("c", below("a"));
  w.add_class("d", below("d"));
  EXPECT_EQ(condition_of(w, "a")["reason"], "ParentCircle");
  EXPECT_TRUE(condition_of(w, "a")["message"].get<std::string>().starts_with(
      "spec.supervision.parent: goes in a circle: a -> b -> c -> a"));
  EXPECT_EQ(condition_of(w, "d")["reason"], "ParentCircle");
  w.settle();
  EXPECT_EQ(classes_of(w).size(), 0U);
}

TEST(parents, that_come_to_go_in_a_circle_leave_the_mesh_as_it_was) {
  world w;
  w.add_class("a", counter());
  w.add_class("b", below("a"));
  w.settle();
  w.add_class("a", below("b"), "", 2);
  w.settle();
  EXPECT_EQ(condition_of(w, "a")["reason"], "ParentCircle");
  EXPECT_EQ(class_of(w, "a")["version"].as<int>(), 1);
  EXPECT_EQ(class_of(w, "b")["supervision"]["parent"].Scalar(), "a");
  EXPECT_EQ(condition_of(w, "b")["status"], "True");
}

TEST(parents, that_are_deleted_leave_what_was_below_running_without_them) {
  world w;
  w.add_class("shop", counter());
  w.add_class("cart", below("shop"));
  w.settle();
  w.classes.erase("shop");
  w.settle();
  ASSERT_EQ(classes_of(w).size(), 1U);
  EXPECT_FALSE(class_of(w, "cart")["supervision"]["parent"].IsDefined()) << "below the root";
  EXPECT_EQ(condition_of(w, "cart")["reason"], "ParentNotFound");
  w.add_class("shop", counter());
  w.settle();
  EXPECT_EQ(class_of(w, "cart")["supervision"]["parent"].Scalar(), "shop");
}

TEST(parents, that_are_refused_themselves_and_never_were_are_not_there) {
  world w;
  w.add_class("shop", {{"behaviour", {{"lua", {{"script", "return {"}}}}}}, "line 1: unexpected symbol");
  w.add_class("cart", below("shop"));
  w.add_class("item", below("cart"));
  EXPECT_EQ(condition_of(w, "cart")["reason"], "ParentNotFound");
  EXPECT_EQ(condition_of(w, "item")["reason"], "ParentNotFound") << "nor is what is below one that is not";
}

TEST(parents, of_more_levels_than_may_be_are_refused) {
  world w;
  w.add_class("c0", counter());
  for (int i = 1; i <= 9; ++i)
    w.add_class(fmt::format("c{}", i), below(fmt::format("c{}", i - 1)));
  EXPECT_EQ(condition_of(w, "c8")["status"], "True");
  EXPECT_TRUE(condition_of(w, "c9")["message"].get<std::string>().starts_with(
      "spec.supervision.parent: there are more than 8 levels above c9"));
}

}  // namespace orrery::plan::testing
