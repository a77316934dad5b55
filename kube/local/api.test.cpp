#include "kube/local/api.hpp"

#include "kube/local/bootstrap.hpp"
#include "kube/local/controllers.hpp"

#include <gmock/gmock.h>

#include <atomic>
#include <thread>

namespace orrery::local {
namespace {

using ::testing::HasSubstr;

const char* definition =
    R"({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "widgets.test.dev"},
  "spec": {"group": "test.dev", "scope": "Namespaced", "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
    "versions": [{"name": "v1", "served": true, "storage": true,
      "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas", "labelSelectorPath": ".status.selector"}},
      "additionalPrinterColumns": [{"name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas"}],
      "schema": {"openAPIV3Schema": {"type": "object", "properties": {
        "spec": {"type": "object", "properties": {"replicas": {"type": "integer", "minimum": 0, "default": 1}}},
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}}}]}})";

/// Collects what a streaming answer writes; closes itself when `enough` says so.
class recorder : public http_stream {
 public:
  explicit recorder(std::size_t lines) : lines_(lines) {}
  bool write(std::string_view chunk) override {
    text += chunk;
    return open();
  }
  bool open() override {
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) < lines_ &&
           std::chrono::steady_clock::now() < deadline_;
  }
  void abort() override { aborted = true; }
  std::vector<json> events() const {
    std::vector<json> out;
    for (const auto& line : split(text, '\n')) {
      if (!line.empty()) out.push_back(json::parse(line));
    }
    return out;
  }
  std::string text;
  bool aborted = false;

 private:
  std::size_t lines_;
  std::chrono::steady_clock::time_point deadline_ = std::chrono::steady_clock::now() + std::chrono::seconds(10);
};

class api_test : public ::testing::Test {
 protected:
  api_test()
      : store_({.history_max = 50, .first_version = 1}),
        registry_(store_, catalog_, [] { return std::chrono::system_clock::now(); }),
        api_(registry_, tokens_, faults_, {.directory = "/nonexistent", .authorize = true}) {
    bootstrap(registry_, 1, 443);
  }

  http_response ask(const std::string& method, const std::string& target, const std::string& body = "",
                    const std::string& type = "application/json", const std::string& token = "") {
    http_request request;
    request.method = method;
    request.path = target.substr(0, target.find('?'));
    if (const auto at = target.find('?'); at != std::string::npos) {
      for (const auto& pair : split(std::string_view(target).substr(at + 1), '&'))
        request.query[pair.substr(0, pair.find('='))] = pair.substr(pair.find('=') + 1);
    }
    request.headers["authorization"] = "Bearer " + (token.empty() ? tokens_.admin_token() : token);
    request.headers["content-type"] = type;
    request.headers["user-agent"] = "tester/1";
    if (!accept_.empty()) request.headers["accept"] = accept_;
    request.body = body;
    return api_.handle(request);
  }
  json get(const std::string& target) { return json::parse(ask("GET", target).body); }
  void define() {
    ASSERT_EQ(ask("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition).status, 201);
  }
  std::string make_map(const std::string& name, const std::string& extra = "") {
    const auto made = ask("POST", maps, R"({"metadata": {"name": ")" + name + "\"" + extra + "}}");
    EXPECT_EQ(made.status, 201) << made.body;
    return text_at(json::parse(made.body), {"metadata", "resourceVersion"});
  }

  const std::string maps = "/api/v1/namespaces/default/configmaps";
  const std::string widgets = "/apis/test.dev/v1/namespaces/default/widgets";
  std::string accept_;
  catalog catalog_;
  store store_;
  registry registry_;
  token_issuer tokens_;
  faults faults_;
  api api_;
};

TEST_F(api_test, refuses_a_write_that_was_based_on_an_old_version) {
  make_map("a");
  auto object = get(maps + "/a");
  object["data"]["k"] = "1";
  EXPECT_EQ(ask("PUT", maps + "/a", object.dump()).status, 200);
  const auto late = ask("PUT", maps + "/a", object.dump());
  EXPECT_EQ(late.status, 409);
  EXPECT_THAT(late.body, HasSubstr("the object has been modified"));
}

TEST_F(api_test, does_not_count_a_write_that_changes_nothing) {
  make_map("a");
  const auto object = get(maps + "/a");
  EXPECT_EQ(ask("PUT", maps + "/a", object.dump()).status, 200);
  EXPECT_EQ(get(maps + "/a")["metadata"]["resourceVersion"], object["metadata"]["resourceVersion"]);
}

TEST_F(api_test, answers_create_of_what_exists_with_409_and_of_nothing_with_404) {
  make_map("a");
  EXPECT_EQ(ask("POST", maps, R"({"metadata": {"name": "a"}})").status, 409);
  EXPECT_EQ(ask("GET", maps + "/none").status, 404);
  EXPECT_EQ(ask("POST", "/api/v1/namespaces/none/configmaps", R"({"metadata": {"name": "a"}})").status, 404);
  EXPECT_EQ(ask("GET", "/apis/none.dev/v1/things").status, 404);
  EXPECT_EQ(ask("POST", maps, "not json").status, 400);
  EXPECT_EQ(ask("POST", maps, R"({"metadata": {"name": "Not_A_Name"}})").status, 422);
}

TEST_F(api_test, keeps_an_object_until_its_finalizers_are_gone) {
  make_map("a", R"(, "finalizers": ["test.dev/hold"])");
  EXPECT_EQ(ask("DELETE", maps + "/a").status, 200);
  EXPECT_TRUE(get(maps + "/a")["metadata"].contains("deletionTimestamp"));
  EXPECT_EQ(ask("PATCH", maps + "/a", R"({"metadata": {"finalizers": null}})", "application/merge-patch+json").status,
            200);
  EXPECT_EQ(ask("GET", maps + "/a").status, 404);
}

TEST_F(api_test, deletes_gracefully_a_pod_that_runs_and_at_once_one_that_does_not) {
  const std::string pods = "/api/v1/namespaces/default/pods";
  const char* pod = R"({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "x"}]}})";
  ASSERT_EQ(ask("POST", pods, pod).status, 201);
  EXPECT_EQ(ask("DELETE", pods + "/p").status, 200);
  EXPECT_EQ(ask("GET", pods + "/p").status, 404);
  ASSERT_EQ(ask("POST", pods, pod).status, 201);
  schedule_pods(registry_);
  EXPECT_EQ(ask("DELETE", pods + "/p").status, 200);
  EXPECT_EQ(get(pods + "/p")["metadata"]["deletionGracePeriodSeconds"], 30);
  EXPECT_EQ(ask("DELETE", pods + "/p?gracePeriodSeconds=0").status, 200);
  EXPECT_EQ(ask("GET", pods + "/p").status, 404);
}

TEST_F(api_test, spreads_pods_over_nodes_as_they_ask_and_else_by_how_many_a_node_has) {
  ASSERT_EQ(ask("POST", "/api/v1/nodes", R"({"metadata": {"name": "node2"}})").status, 201);
  const std::string pods = "/api/v1/namespaces/default/pods";
  const std::string containers = R"("containers": [{"name": "c", "image": "x"}])";
  const auto node_of = [&](const std::string& name, const std::string& spec) {
    const auto body = R"({"metadata": {"name": ")" + name + R"(", "labels": {"app": ")" + name.substr(0, 4) +
                      R"("}}, "spec": {)" + spec + "}}";
    EXPECT_EQ(ask("POST", pods, body).status, 201) << body;
    schedule_pods(registry_);
    return text_at(get(pods + "/" + name), {"spec", "nodeName"});
  };
  const auto spread =
      containers + R"(, "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "kubernetes.io/hostname",
    "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {"matchLabels": {"app": "desk"}}}])";
  EXPECT_EQ(node_of("shop-1", containers), "node1");
  EXPECT_EQ(node_of("shop-2", containers), "node2");
  EXPECT_EQ(node_of("shop-3", containers), "node1");
  EXPECT_EQ(node_of("shop-4", R"("nodeName": "node1", )" + containers), "node1");
  EXPECT_EQ(node_of("desk-1", spread), "node2") << "it has fewer pods";
  EXPECT_EQ(node_of("desk-2", spread), "node1") << "more pods, but none of its kind";
}

TEST_F(api_test, refuses_changes_to_the_frozen_part_of_a_pod) {
  const std::string pods = "/api/v1/namespaces/default/pods";
  ASSERT_EQ(
      ask("POST", pods, R"({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "x"}]}})").status,
      201);
  const auto strategic = "application/strategic-merge-patch+json";
  EXPECT_EQ(ask("PATCH", pods + "/p", R"({"spec": {"containers": [{"name": "c", "image": "y"}]}})", strategic).status,
            200);
  const auto refused =
      ask("PATCH", pods + "/p", R"({"spec": {"containers": [{"name": "c", "args": ["z"]}]}})", strategic);
  EXPECT_EQ(refused.status, 422);
  EXPECT_THAT(refused.body, HasSubstr("pod updates may not change fields other than"));
}

TEST_F(api_test, collects_what_its_owner_left_behind) {
  make_map("owner");
  const auto uid = uid_of(get(maps + "/owner"));
  make_map("owned", R"(, "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": ")" +
                        uid + R"("}])");
  collect_garbage(registry_);
  EXPECT_EQ(ask("GET", maps + "/owned").status, 200);
  ask("DELETE", maps + "/owner");
  collect_garbage(registry_);
  EXPECT_EQ(ask("GET", maps + "/owned").status, 404);
}

TEST_F(api_test, deletes_an_owner_in_the_foreground_after_its_dependents) {
  make_map("owner");
  const auto uid = uid_of(get(maps + "/owner"));
  make_map(
      "owned",
      R"(, "finalizers": ["test.dev/hold"], "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": ")" +
          uid + R"(", "blockOwnerDeletion": true}])");
  ask("DELETE", maps + "/owner?propagationPolicy=Foreground");
  collect_garbage(registry_);
  EXPECT_EQ(ask("GET", maps + "/owner").status, 200);
  EXPECT_TRUE(get(maps + "/owned")["metadata"].contains("deletionTimestamp"));
  ask("PATCH", maps + "/owned", R"({"metadata": {"finalizers": null}})", "application/merge-patch+json");
  collect_garbage(registry_);
  EXPECT_EQ(ask("GET", maps + "/owner").status, 404);
}

TEST_F(api_test, serves_a_custom_kind_with_defaults_status_and_scale) {
  define();
  EXPECT_EQ(
      ask("POST", widgets,
          R"({"apiVersion": "test.dev/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {}, "status": {"x": 1}})")
          .status,
      201);
  auto object = get(widgets + "/w");
  EXPECT_EQ(object["spec"]["replicas"], 1);
  EXPECT_EQ(object["metadata"]["generation"], 1);
  EXPECT_FALSE(object.contains("status"));
  EXPECT_EQ(
      ask("PATCH", widgets + "/w/status", R"({"spec": {"replicas": 9}, "status": {"replicas": 1, "selector": "a=b"}})",
          "application/merge-patch+json")
          .status,
      200);
  EXPECT_EQ(ask("PUT", widgets + "/w/scale", R"({"spec": {"replicas": 4}})").status, 200);
  object = get(widgets + "/w");
  EXPECT_EQ(object["spec"]["replicas"], 4);
  EXPECT_EQ(object["metadata"]["generation"], 2);
  const auto scale = get(widgets + "/w/scale");
  EXPECT_EQ(scale["status"]["selector"], "a=b");
  EXPECT_EQ(ask("PUT", widgets + "/w/scale", R"({"spec": {"replicas": -4}})").status, 422);
}

TEST_F(api_test, refuses_unknown_fields_when_asked_to_be_strict_and_warns_otherwise) {
  define();
  const char* body =
      R"({"apiVersion": "test.dev/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"replicaz": 1}})";
  const auto strict = ask("POST", widgets + "?fieldValidation=Strict", body);
  EXPECT_EQ(strict.status, 400);
  EXPECT_THAT(strict.body, HasSubstr(R"(unknown field \"spec.replicaz\")"));
  const auto lax = ask("POST", widgets, body);
  EXPECT_EQ(lax.status, 201);
  ASSERT_EQ(lax.headers.size(), 1U);
  EXPECT_EQ(lax.headers[0].first, "Warning");
}

TEST_F(api_test, prints_tables_with_the_columns_of_the_definition) {
  define();
  ask("POST", widgets,
      R"({"apiVersion": "test.dev/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"replicas": 7}})");
  accept_ = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
  const auto table = get(widgets);
  EXPECT_EQ(table["kind"], "Table");
  EXPECT_EQ(table["rows"][0]["cells"], json::array({"w", 7}));
}

TEST_F(api_test, pages_a_list) {
  for (const char* name : {"a", "b", "c"})
    make_map(name);
  auto page = get(maps + "?limit=2");
  EXPECT_EQ(page["items"].size(), 2U);
  ASSERT_TRUE(page["metadata"].contains("continue"));
  page = get(maps + "?limit=2&continue=" + text_at(page, {"metadata", "continue"}));
  EXPECT_EQ(page["items"].size(), 1U);
  EXPECT_FALSE(page["metadata"].contains("continue"));
}

TEST_F(api_test, watches_from_a_version_and_turns_selection_into_events) {
  const auto version = make_map("a");
  make_map("b", R"(, "labels": {"x": "1"})");
  ask("PATCH", maps + "/a", R"({"metadata": {"labels": {"x": "1"}}})", "application/merge-patch+json");
  ask("PATCH", maps + "/b", R"({"metadata": {"labels": {"x": "2"}}})", "application/merge-patch+json");
  ask("DELETE", maps + "/a");
  recorder stream(4);
  ask("GET", maps + "?watch=true&labelSelector=x=1&resourceVersion=" + version).stream(stream);
  std::vector<std::string> seen;
  for (const auto& each : stream.events())
    seen.push_back(text_at(each, {"type"}) + " " + name_of(each["object"]));
  EXPECT_THAT(seen, ::testing::ElementsAre("ADDED b", "ADDED a", "DELETED b", "DELETED a"));
}

TEST_F(api_test, tells_a_watch_from_a_forgotten_version_that_it_is_gone) {
  const auto version = make_map("a");
  for (int each = 0; each < 60; ++each)
    ask("PATCH", maps + "/a", R"({"data": {"k": ")" + std::to_string(each) + "\"}}", "application/merge-patch+json");
  recorder stream(1);
  ask("GET", maps + "?watch=true&resourceVersion=" + version).stream(stream);
  ASSERT_EQ(stream.events().size(), 1U);
  EXPECT_EQ(stream.events()[0]["type"], "ERROR");
  EXPECT_EQ(stream.events()[0]["object"]["code"], 410);
}

TEST_F(api_test, compaction_ends_open_watches_with_410) {
  const auto version = make_map("a");
  recorder stream(1);
  const auto response = ask("GET", maps + "?watch=true&resourceVersion=" + version);
  std::thread watching([&] { response.stream(stream); });
  EXPECT_EQ(ask("POST", "/orrery/compact").status, 200);
  watching.join();
  ASSERT_EQ(stream.events().size(), 1U);
  EXPECT_EQ(stream.events()[0]["object"]["code"], 410);
}

TEST_F(api_test, sends_a_bookmark_when_a_watch_ends) {
  const auto version = make_map("a");
  recorder stream(5);
  ask("GET", maps + "?watch=true&allowWatchBookmarks=true&timeoutSeconds=0&resourceVersion=" + version).stream(stream);
  ASSERT_EQ(stream.events().size(), 1U);
  EXPECT_EQ(stream.events()[0]["type"], "BOOKMARK");
  EXPECT_EQ(stream.events()[0]["object"]["metadata"]["resourceVersion"], version);
}

TEST_F(api_test, injects_faults_as_told_and_stops_when_told) {
  EXPECT_EQ(ask("POST", "/orrery/faults", R"({"error_rate": 1, "error_code": 503, "user_agent": "tester"})").status,
            200);
  EXPECT_EQ(ask("GET", maps).status, 503);
  EXPECT_EQ(ask("DELETE", "/orrery/faults").status, 200);
  EXPECT_EQ(ask("GET", maps).status, 200);
  ask("POST", "/orrery/faults", R"({"conflict_rate": 1})");
  EXPECT_EQ(ask("PATCH", maps + "/a", "{}", "application/merge-patch+json").status, 409);
  ask("POST", "/orrery/faults", R"({"conflict_rate": 0, "outage": true})");
  EXPECT_TRUE(ask("GET", maps).drop);
  ask("DELETE", "/orrery/faults");
  const auto wrong = ask("POST", "/orrery/faults", R"({"error_rate": 7})");
  EXPECT_EQ(wrong.status, 400);
  EXPECT_THAT(wrong.body, HasSubstr("accepted are"));
}

TEST_F(api_test, dropped_watches_end_without_an_orderly_end) {
  const auto version = make_map("a");
  recorder stream(5);
  const auto response = ask("GET", maps + "?watch=true&resourceVersion=" + version);
  std::thread watching([&] { response.stream(stream); });
  while (!stream.aborted) {
    faults_.drop_watches();
    std::this_thread::yield();
  }
  watching.join();
  EXPECT_TRUE(stream.aborted);
}

TEST_F(api_test, lets_a_service_account_do_what_its_roles_name_and_nothing_else) {
  const auto token = tokens_.service_account_token("default", "default");
  const auto as = [&](const std::string& method, const std::string& target, const std::string& body = "") {
    return ask(method, target, body, "application/json", token).status;
  };
  EXPECT_EQ(as("GET", maps), 403);
  const std::string rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/";
  ASSERT_EQ(
      ask("POST", rbac + "roles",
          R"({"metadata": {"name": "r"}, "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]})")
          .status,
      201);
  ASSERT_EQ(
      ask("POST", rbac + "rolebindings",
          R"({"metadata": {"name": "r"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}, "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}]})")
          .status,
      201);
  EXPECT_EQ(as("GET", maps), 200);
  EXPECT_EQ(as("GET", maps + "?watch=true"), 403);
  EXPECT_EQ(as("GET", "/api/v1/namespaces/kube-system/configmaps"), 403);
  EXPECT_EQ(as("POST", maps, R"({"metadata": {"name": "a"}})"), 403);
  EXPECT_EQ(as("DELETE", "/orrery/faults"), 403);
  EXPECT_EQ(ask("GET", maps, "", "application/json", "rubbish").status, 401);
}

TEST_F(api_test, empties_a_deleted_namespace_before_it_goes) {
  ask("POST", "/api/v1/namespaces", R"({"metadata": {"name": "n"}})");
  ask("POST", "/api/v1/namespaces/n/configmaps", R"({"metadata": {"name": "a", "finalizers": ["test.dev/hold"]}})");
  ask("DELETE", "/api/v1/namespaces/n");
  reconcile_namespaces(registry_);
  EXPECT_EQ(get("/api/v1/namespaces/n")["status"]["phase"], "Terminating");
  EXPECT_EQ(ask("POST", "/api/v1/namespaces/n/configmaps", R"({"metadata": {"name": "b"}})").status, 403);
  ask("PATCH", "/api/v1/namespaces/n/configmaps/a", R"({"metadata": {"finalizers": null}})",
      "application/merge-patch+json");
  reconcile_namespaces(registry_);
  reconcile_namespaces(registry_);
  EXPECT_EQ(ask("GET", "/api/v1/namespaces/n").status, 404);
}

TEST_F(api_test, keeps_a_bounded_number_of_events) {
  for (int each = 0; each < 1001; ++each)
    registry_.ensure("events", "default", {{"metadata", {{"name", "e" + std::to_string(each)}}}});
  expire_events(registry_);
  EXPECT_EQ(store_.list("events").objects.size(), 500U);
}

TEST_F(api_test, applies_yaml_and_creates_by_apply) {
  const auto type = "application/apply-patch+yaml";
  const auto made = ask("PATCH", maps + "/y?fieldManager=t",
                        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: y}\ndata: {a: \"1\"}\n", type);
  EXPECT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(get(maps + "/y")["data"]["a"], "1");
  EXPECT_EQ(ask("PATCH", maps + "/y?fieldManager=u",
                R"({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "y"}, "data": {"a": "2"}})", type)
                .status,
            409);
}

TEST_F(api_test, evicts_only_what_the_disruption_budget_allows) {
  const std::string pods = "/api/v1/namespaces/default/pods";
  ask("POST", pods,
      R"({"metadata": {"name": "p", "labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "x"}]}})");
  ask("POST", "/apis/policy/v1/namespaces/default/poddisruptionbudgets",
      R"({"metadata": {"name": "b"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}}})");
  reconcile_budgets(registry_);
  EXPECT_EQ(ask("POST", pods + "/p/eviction", "{}").status, 429);
  ask("DELETE", "/apis/policy/v1/namespaces/default/poddisruptionbudgets/b");
  EXPECT_EQ(ask("POST", pods + "/p/eviction", "{}").status, 201);
}

}  // namespace
}  // namespace orrery::local
