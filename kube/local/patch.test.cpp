#include "kube/local/patch.hpp"

#include "kube/local/apply.hpp"
#include "kube/local/builtin_types.hpp"

#include <gmock/gmock.h>

namespace orrery::local {
namespace {

const json& pod_schema() { return builtin_schemas()["Pod"]; }
json parse(const char* text) { return json::parse(text); }

json applied(const json& live, const char* config, const std::string& manager, bool force = false) {
  auto done = apply_config(pod_schema(), live, parse(config), {manager, "v1", "", "2026-01-01T00:00:00Z"}, force);
  EXPECT_TRUE(done) << (done ? "" : done.error().message);
  return done ? *done : json();
}

TEST(strategic_merge_patch, merges_lists_by_their_key) {
  const auto live = parse(
      R"({"spec": {"containers": [{"name": "a", "image": "1", "env": [{"name": "X", "value": "1"}]}, {"name": "b", "image": "1"}]}})");
  const auto out = strategic_merge_patch(
      pod_schema(), live,
      parse(
          R"({"spec": {"containers": [{"name": "a", "env": [{"name": "Y", "value": "2"}]}, {"name": "c", "image": "3"}]}})"));
  ASSERT_TRUE(out);
  EXPECT_EQ((*out)["spec"]["containers"].size(), 3U);
  EXPECT_EQ((*out)["spec"]["containers"][0]["image"], "1");
  EXPECT_EQ((*out)["spec"]["containers"][0]["env"].size(), 2U);
}

TEST(strategic_merge_patch, deletes_orders_and_replaces_by_directive) {
  const auto live = parse(
      R"({"metadata": {"finalizers": ["x", "y"]}, "spec": {"containers": [{"name": "a"}, {"name": "b"}], "volumes": [{"name": "v", "emptyDir": {}}], "nodeSelector": {"k": "v"}}})");
  const auto out =
      strategic_merge_patch(pod_schema(), live, parse(R"({"metadata": {"$deleteFromPrimitiveList/finalizers": ["x"]},
      "spec": {"$setElementOrder/containers": [{"name": "c"}, {"name": "b"}], "containers": [{"name": "a", "$patch": "delete"}, {"name": "c"}],
               "volumes": [{"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/"}}], "nodeSelector": null}})"));
  ASSERT_TRUE(out);
  EXPECT_EQ((*out)["metadata"]["finalizers"], json::array({"y"}));
  EXPECT_EQ((*out)["spec"]["containers"], parse(R"([{"name": "c"}, {"name": "b"}])"));
  EXPECT_EQ((*out)["spec"]["volumes"], parse(R"([{"name": "v", "hostPath": {"path": "/"}}])"));
  EXPECT_FALSE((*out)["spec"].contains("nodeSelector"));
}

TEST(strategic_merge_patch, refuses_a_list_item_without_its_key) {
  const auto out = strategic_merge_patch(pod_schema(), parse(R"({"spec": {"containers": []}})"),
                                         parse(R"({"spec": {"containers": [{"image": "x"}]}})"));
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().code, 400);
}

TEST(json_patch, refuses_a_failed_test_and_a_missing_path) {
  EXPECT_TRUE(
      json_patch(parse(R"({"a": 1})"),
                 parse(R"([{"op": "test", "path": "/a", "value": 1}, {"op": "replace", "path": "/a", "value": 2}])")));
  EXPECT_EQ(json_patch(parse(R"({"a": 1})"), parse(R"([{"op": "test", "path": "/a", "value": 2}])")).error().code, 422);
  EXPECT_EQ(json_patch(parse(R"({"a": 1})"), parse(R"([{"op": "remove", "path": "/b"}])")).error().code, 422);
  EXPECT_EQ(json_patch(parse(R"({"a": 1})"), parse(R"({"a": 2})")).error().code, 400);
}

TEST(server_side_apply, keeps_what_others_hold_and_removes_what_its_manager_no_longer_applies) {
  auto live = applied(
      nullptr,
      R"({"metadata": {"name": "p", "labels": {"a": "1", "b": "1"}}, "spec": {"containers": [{"name": "x", "image": "1", "env": [{"name": "E", "value": "1"}]}]}})",
      "one");
  live = applied(
      live,
      R"({"metadata": {"name": "p", "labels": {"c": "2"}}, "spec": {"containers": [{"name": "y", "image": "2"}]}})",
      "two");
  EXPECT_EQ(live["spec"]["containers"].size(), 2U);
  live = applied(
      live,
      R"({"metadata": {"name": "p", "labels": {"a": "1"}}, "spec": {"containers": [{"name": "x", "image": "1"}]}})",
      "one");
  EXPECT_EQ(live["metadata"]["labels"], parse(R"({"a": "1", "c": "2"})"));
  EXPECT_EQ(live["spec"]["containers"], parse(R"([{"name": "x", "image": "1"}, {"name": "y", "image": "2"}])"));
  live = applied(live, R"({"metadata": {"name": "p"}})", "one");
  EXPECT_EQ(live["spec"]["containers"], parse(R"([{"name": "y", "image": "2"}])"));
}

TEST(server_side_apply, refuses_to_change_what_another_manager_holds_unless_forced) {
  const auto live =
      applied(nullptr, R"({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "x", "image": "1"}]}})", "one");
  const auto config = parse(R"({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "x", "image": "2"}]}})");
  const field_manager two{"two", "v1", "", "2026-01-01T00:00:00Z"};
  const auto refused = apply_config(pod_schema(), live, config, two, false);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, 409);
  EXPECT_THAT(refused.error().message,
              ::testing::HasSubstr(R"(conflict with "one" using v1: .spec.containers[name="x"].image)"));
  const auto forced = apply_config(pod_schema(), live, config, two, true);
  ASSERT_TRUE(forced);
  EXPECT_EQ((*forced)["spec"]["containers"][0]["image"], "2");
  // The field is the second manager's now: the first may leave it out without taking it away.
  EXPECT_EQ(applied(*forced, R"({"metadata": {"name": "p"}})", "one")["spec"]["containers"][0]["image"], "2");
}

TEST(server_side_apply, shares_a_field_that_both_managers_set_to_the_same_value) {
  auto live = applied(nullptr, R"({"metadata": {"name": "p", "labels": {"a": "1"}}})", "one");
  live = applied(live, R"({"metadata": {"name": "p", "labels": {"a": "1"}}})", "two");
  live = applied(live, R"({"metadata": {"name": "p"}})", "one");
  EXPECT_EQ(live["metadata"]["labels"]["a"], "1");
  live = applied(live, R"({"metadata": {"name": "p"}})", "two");
  EXPECT_FALSE(live["metadata"].contains("labels"));
}

TEST(server_side_apply, sees_a_field_that_an_update_changed_as_taken_over) {
  auto live = applied(nullptr, R"({"metadata": {"name": "p", "labels": {"a": "1"}}})", "one");
  auto changed = live;
  changed["metadata"]["labels"]["a"] = "2";
  track_update(pod_schema(), live, changed, {"kubectl-edit", "v1", "", "2026-01-01T00:00:00Z"});
  const auto refused =
      apply_config(pod_schema(), changed, parse(R"({"metadata": {"name": "p", "labels": {"a": "1"}}})"),
                   {"one", "v1", "", "2026-01-01T00:00:00Z"}, false);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, ::testing::HasSubstr("kubectl-edit"));
}

TEST(fields_v1, come_back_as_they_were) {
  const auto fields = fields_of(
      pod_schema(),
      parse(
          R"({"metadata": {"labels": {"a": "1"}}, "spec": {"containers": [{"name": "x", "image": "1", "args": ["a"]}], "nodeSelector": {}}})"));
  EXPECT_EQ(from_fields_v1(to_fields_v1(fields)), fields);
  EXPECT_TRUE(fields.contains({"f:spec", "f:containers", R"(k:{"name":"x"})"}));
}

}  // namespace
}  // namespace orrery::local
