#include "kube/request.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace orrery::kube {
namespace {

using std::chrono::seconds;

std::string line(const request& what) { return what.method + " " + what.path; }

TEST(request, get_names_group_namespace_and_subresource) {
  EXPECT_EQ(line(requests::get(resources::pods, {"default", "a"})), "GET /api/v1/namespaces/default/pods/a");
  EXPECT_EQ(line(requests::get(resources::nodes, {"", "n"})), "GET /api/v1/nodes/n");
  EXPECT_EQ(line(requests::get(resources::process_meshes, {"ns", "demo"}, subresource::scale)),
            "GET /apis/orrery.dev/v1alpha1/namespaces/ns/processmeshes/demo/scale");
}

TEST(request, names_cannot_leave_their_place_in_the_path) {
  EXPECT_EQ(line(requests::get(resources::pods, {"a/../b", "x?y=z#\n"})),
            "GET /api/v1/namespaces/a%2F..%2Fb/pods/x%3Fy%3Dz%23%0A");
}

TEST(request, list_has_selectors_pages_and_version) {
  EXPECT_EQ(line(requests::list(resources::pods, "default",
                                {.label_selector = "orrery.dev/mesh=demo,orrery.dev/role=node",
                                 .field_selector = "spec.nodeName=n",
                                 .limit = 500,
                                 .continue_token = "abc=",
                                 .resource_version = "0"})),
            "GET /api/v1/namespaces/default/pods?labelSelector=orrery.dev%2Fmesh%3Ddemo%2Correry.dev%2Frole%3Dnode"
            "&fieldSelector=spec.nodeName%3Dn&limit=500&continue=abc%3D&resourceVersion=0");
  EXPECT_EQ(line(requests::list(resources::pods, "", {})), "GET /api/v1/pods");
}

TEST(request, watch_asks_for_bookmarks_and_an_end) {
  EXPECT_EQ(line(requests::watch(resources::leases, "ns", {.resource_version = "42", .timeout = seconds{290}})),
            "GET /apis/coordination.k8s.io/v1/namespaces/ns/leases?watch=true&resourceVersion=42"
            "&allowWatchBookmarks=true&timeoutSeconds=290");
}

TEST(request, create_is_sent_once_unless_it_is_a_dry_run) {
  const auto object = make_object(resources::config_maps, {"ns", "a"});
  const auto create = requests::create(resources::config_maps, object, {.field_manager = "me"});
  EXPECT_EQ(line(create), "POST /api/v1/namespaces/ns/configmaps?fieldManager=me");
  EXPECT_EQ(create.content_type, "application/json");
  EXPECT_EQ(json::parse(create.body), object);
  EXPECT_TRUE(create.send_once);
  const auto rehearsal = requests::create(resources::config_maps, object, {.dry_run = true});
  EXPECT_EQ(line(rehearsal), "POST /api/v1/namespaces/ns/configmaps?dryRun=All");
  EXPECT_FALSE(rehearsal.send_once);
}

TEST(request, apply_fills_in_the_kind_and_leaves_managed_fields_out) {
  json object = {{"metadata", {{"name", "a"}, {"namespace", "ns"}, {"managedFields", json::array()}}}};
  const auto apply = requests::apply(resources::services, object, {.field_manager = "orrery-operator"});
  EXPECT_EQ(line(apply), "PATCH /api/v1/namespaces/ns/services/a?fieldManager=orrery-operator&force=true");
  EXPECT_EQ(apply.content_type, "application/apply-patch+yaml");
  EXPECT_EQ(apply.body, R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"a","namespace":"ns"}})");
  EXPECT_FALSE(apply.send_once) << "applying twice is applying once";
  const auto status =
      requests::apply(resources::process_meshes, object,
                      {.field_manager = "s", .force = false, .dry_run = true, .part = subresource::status});
  EXPECT_EQ(line(status),
            "PATCH /apis/orrery.dev/v1alpha1/namespaces/ns/processmeshes/a/status?fieldManager=s&dryRun=All");
}

TEST(request, patches_carry_their_type) {
  const auto merge = requests::merge_patch(resources::pods, {"ns", "a"}, {{"x", nullptr}}, {});
  EXPECT_EQ(line(merge), "PATCH /api/v1/namespaces/ns/pods/a");
  EXPECT_EQ(merge.content_type, "application/merge-patch+json");
  EXPECT_EQ(merge.body, R"({"x":null})");
  const auto edits = requests::json_patch(resources::pods, {"ns", "a"}, json::array(), {});
  EXPECT_EQ(edits.content_type, "application/json-patch+json");
  EXPECT_TRUE(edits.send_once) << "adding to a list twice is not adding once";
}

TEST(request, replace_and_scale) {
  const auto object = make_object(resources::nodes, {"", "n"});
  EXPECT_EQ(line(requests::replace(resources::nodes, object, {.part = subresource::status})),
            "PUT /api/v1/nodes/n/status");
  const auto scale = requests::scale(resources::process_meshes, {"ns", "demo"}, 5);
  EXPECT_EQ(line(scale), "PATCH /apis/orrery.dev/v1alpha1/namespaces/ns/processmeshes/demo/scale");
  EXPECT_EQ(scale.body, R"({"spec":{"replicas":5}})");
}

TEST(request, remove_carries_preconditions_grace_and_propagation) {
  const auto plain = requests::remove(resources::pods, {"ns", "a"}, {});
  EXPECT_EQ(line(plain), "DELETE /api/v1/namespaces/ns/pods/a");
  EXPECT_EQ(plain.body, R"({"apiVersion":"v1","kind":"DeleteOptions"})");
  const auto full = requests::remove(
      resources::pods, {"ns", "a"},
      {.uid = "u", .resource_version = "7", .grace_period = seconds{0}, .dependents = propagation::foreground});
  EXPECT_EQ(json::parse(full.body),
            json::parse(R"({"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0,
      "preconditions": {"uid": "u", "resourceVersion": "7"}, "propagationPolicy": "Foreground"})"));
}

TEST(request, logs_and_discovery) {
  EXPECT_EQ(line(requests::logs({"ns", "p"}, {.container = "c", .follow = true, .tail_lines = 10})),
            "GET /api/v1/namespaces/ns/pods/p/log?container=c&follow=true&tailLines=10");
  EXPECT_EQ(line(requests::group_resources("policy", "v1")), "GET /apis/policy/v1");
  EXPECT_EQ(line(requests::group_resources("", "v1")), "GET /api/v1");
}

TEST(request, text_that_is_not_utf8_does_not_throw) {
  auto object = make_object(resources::config_maps, {"ns", "a"});
  object["data"]["x"] = "\xff\xfe";
  EXPECT_FALSE(requests::create(resources::config_maps, object, {}).body.empty());
}

TEST(resource, readers_take_any_json) {
  for (const char* text :
       {"null", "1", "[]", "{}", R"({"metadata": 3})", R"({"metadata": {"name": 7, "labels": []}})"}) {
    const auto object = json::parse(text);
    EXPECT_EQ(name_of(object), "") << text;
    EXPECT_EQ(label_of(object, "x"), "") << text;
    EXPECT_EQ(generation_of(object), 0) << text;
    EXPECT_FALSE(controller_of(object)) << text;
    EXPECT_FALSE(is_deleting(object)) << text;
  }
}

TEST(resource, reads_metadata) {
  const auto pod = json::parse(R"({"metadata": {"name": "p", "namespace": "ns", "uid": "u", "resourceVersion": "5",
    "generation": 2, "labels": {"a/b": "c"}, "annotations": {"d": "e"}, "deletionTimestamp": "2026-01-01T00:00:00Z",
    "ownerReferences": [{"kind": "Other", "name": "o"},
                        {"apiVersion": "orrery.dev/v1alpha1", "kind": "ProcessMesh", "name": "demo", "uid": "m", "controller": true}]}})");
  EXPECT_EQ(to_string(key_of(pod)), "ns/p");
  EXPECT_EQ(label_of(pod, "a/b"), "c");
  EXPECT_EQ(annotation_of(pod, "d"), "e");
  EXPECT_EQ(generation_of(pod), 2);
  EXPECT_TRUE(is_deleting(pod));
  ASSERT_TRUE(controller_of(pod));
  EXPECT_EQ(controller_of(pod)->name, "demo");
  EXPECT_EQ(api_version(resources::process_meshes), "orrery.dev/v1alpha1");
}

}  // namespace
}  // namespace orrery::kube
