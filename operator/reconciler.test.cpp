#include "operator/reconciler.hpp"

#include "kube/testing/waiting.hpp"
#include "operator/plan/names.hpp"
#include "operator/testing/fake_api.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace orrery::op {
namespace {

namespace resources = kube::resources;
using kube::json;
using kube::testing::eventually;

const kube::object_key demo{"default", "demo"};

/// An operator's head and hands, with an API server in memory. What it reconciles is decided by the test.
class reconciler_test : public ::testing::Test {
 protected:
  reconciler_test() {
    json mesh = kube::make_object(resources::process_meshes, demo);
    mesh["metadata"]["uid"] = "mesh-uid";
    mesh["metadata"]["generation"] = 1;
    mesh["spec"] = {{"replicas", 2}};
    server.put(resources::process_meshes, std::move(mesh));
    view.start();
    EXPECT_TRUE(eventually([this] { return view.has_synced(); }));
  }

  result<void> reconcile() {
    const auto done = head.reconcile(demo);
    return done ? result<void>{} : fail(done.error());
  }
  /// As an operator that has just started does: the server's watches are silent, and its lists tell all.
  result<std::optional<pki::wall_time>> reconcile_afresh() {
    cluster_view now_view{api, {}, {}, false, [](const auto&) {}};
    now_view.start();
    EXPECT_TRUE(eventually([&] { return now_view.has_synced(); }));
    reconciler fresh{{.api = api,
                      .view = now_view,
                      .events = events,
                      .numbers = numbers,
                      .settings = {.sidecar_image = "orrery-sidecar:test"},
                      .may_act = [] { return true; },
                      .heard = heard}};
    return fresh.reconcile(demo);
  }
  std::string condition(std::string_view type, std::string_view field) const {
    const auto mesh = server.get(resources::process_meshes, "demo");
    for (const auto& one : mesh.at("status").at("conditions")) {
      if (kube::text_at(one, {"type"}) == type) return std::string(kube::text_at(one, {field}));
    }
    return {};
  }
  bool told(std::string_view reason) {
    events.flush(std::chrono::seconds{5});
    const auto all = server.all(resources::events);
    return std::any_of(all.begin(), all.end(),
                       [&](const json& one) { return kube::text_at(one, {"reason"}) == reason; });
  }
  std::size_t pods() const { return server.all(resources::pods).size(); }

  testing::fake_api server;
  kube::client api{server.carrier()};
  metrics numbers;
  contact heard;
  kube::event_recorder events{api, {.component = "test"}};
  cluster_view view{api, {}, {}, false, [](const auto&) {}};
  reconciler head{{.api = api,
                   .view = view,
                   .events = events,
                   .numbers = numbers,
                   .settings = {.sidecar_image = "orrery-sidecar:test"},
                   .may_act = [] { return true; },
                   .heard = heard}};
};

TEST_F(reconciler_test, makes_a_mesh) {
  const auto done = reconcile();
  ASSERT_TRUE(done) << to_string(done.error());
  EXPECT_EQ(pods(), 2U);
  EXPECT_FALSE(server.get(resources::config_maps, "demo-genesis").is_null());
}

TEST_F(reconciler_test, a_failed_action_stops_only_what_needs_it) {
  ASSERT_TRUE(reconcile());
  const auto pod = std::string(kube::name_of(server.all(resources::pods).front()));
  const auto other = std::string(kube::name_of(server.all(resources::pods).back()));
  server.refuse_writes(resources::service_accounts);  // the first of the objects around the pods
  server.remove(resources::config_maps, "demo-config");
  server.remove(resources::secrets, plan::certificate_secret(pod));
  server.remove(resources::pods, other);

  const auto done = reconcile();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, errc::forbidden);
  EXPECT_FALSE(server.get(resources::config_maps, "demo-config").is_null()) << "later, and needs nothing";
  EXPECT_FALSE(server.get(resources::secrets, plan::certificate_secret(pod)).is_null()) << "certificates do not wait";
  EXPECT_EQ(pods(), 1U) << "a pod needs its account";
  EXPECT_TRUE(told("ReconcileFailed"));

  server.accept_all();
  ASSERT_TRUE(reconcile());
  EXPECT_EQ(pods(), 2U);
}

TEST_F(reconciler_test, a_pod_that_could_not_be_deleted_was_not_replaced) {
  ASSERT_TRUE(reconcile());
  auto ended = server.all(resources::pods).front();
  ended["status"]["phase"] = "Failed";
  server.put(resources::pods, ended);
  server.refuse_writes(resources::pods);
  EXPECT_FALSE(reconcile());
  EXPECT_EQ(kube::find(server.get(resources::process_meshes, "demo"), {"status", "lastReplacement"}), nullptr);
  server.accept_all();
  ASSERT_TRUE(reconcile());
  EXPECT_EQ(kube::text_at(server.get(resources::process_meshes, "demo"), {"status", "lastReplacement", "pod"}),
            kube::name_of(ended));
}

TEST_F(reconciler_test, a_script_is_judged_with_little_whatever_its_class_allows) {
  auto greedy = kube::make_object(resources::process_classes, {"default", "greedy"});
  greedy["metadata"]["uid"] = "greedy-uid";
  greedy["metadata"]["generation"] = 1;
  greedy["spec"] = {{"meshRef", {{"name", "demo"}}},
                    {"behaviour", {{"lua", {{"script", "local t = {} for i = 1, 1e9 do t[i] = i end return {}"}}}}},
                    {"limits", {{"memoryBytes", 268435456}, {"instructions", 100000000}}}};
  server.put(resources::process_classes, std::move(greedy));
  ASSERT_TRUE(reconcile_afresh());
  const auto said = server.get(resources::process_classes, "greedy").at("status").at("conditions").front();
  EXPECT_EQ(said.at("status"), "False");
  EXPECT_NE(said.at("message").get<std::string>().find("outside of functions a script may use"), std::string::npos);
}

TEST_F(reconciler_test, a_quota_without_room_refuses_the_pod_and_not_its_template) {
  server.refuse_writes(resources::pods, "pods \"demo\" is forbidden: exceeded quota: small, requested: pods=1");
  EXPECT_FALSE(reconcile());
  EXPECT_TRUE(told("QuotaExceeded"));
  EXPECT_FALSE(told("PodRefused"));
  EXPECT_EQ(condition("TemplateValid", "status"), "True");
  server.accept_all();
  ASSERT_TRUE(reconcile());
  EXPECT_EQ(pods(), 2U);
}

/// A call may take longer than what is left of the lease.
TEST_F(reconciler_test, nothing_is_written_that_was_not_asked_for_since_the_write_before) {
  bool asked = false;
  int writes = 0;
  server.on_write = [&](const kube::request& what) {
    EXPECT_TRUE(std::exchange(asked, false)) << what.method << ' ' << what.path;
    ++writes;
  };
  reconciler careful{{.api = api,
                      .view = view,
                      .events = events,
                      .numbers = numbers,
                      .settings = {.sidecar_image = "orrery-sidecar:test"},
                      .may_act = [&] { return asked = true; },
                      .heard = heard}};
  ASSERT_TRUE(careful.reconcile(demo));
  EXPECT_EQ(pods(), 2U);
  EXPECT_GT(writes, 10);
}

TEST_F(reconciler_test, pods_do_not_need_their_disruption_budget) {
  server.refuse_writes(resources::pod_disruption_budgets_v1beta1);
  EXPECT_FALSE(reconcile());
  EXPECT_EQ(pods(), 2U);
}

TEST_F(reconciler_test, an_object_of_somebody_else_is_named_and_left_alone_until_it_goes) {
  struct row {
    kube::resource kind;
    std::string name;
  };
  for (const auto& one : {row{resources::config_maps, "demo-genesis"}, row{resources::secrets, "demo-ca"},
                          row{resources::service_accounts, "demo-orrery"}}) {
    for (const auto& pod : server.all(resources::pods))
      server.remove(resources::pods, std::string(kube::name_of(pod)));
    server.remove(one.kind, one.name);
    const auto theirs = kube::make_object(one.kind, {"default", one.name});
    server.put(one.kind, theirs);
    const auto before = server.get(one.kind, one.name);

    const auto refused = reconcile();
    ASSERT_FALSE(refused) << one.name;
    EXPECT_EQ(refused.error().code, errc::conflict) << one.name;
    EXPECT_EQ(condition("Progressing", "reason"), "ForeignObject") << one.name;
    EXPECT_EQ(condition("Ready", "reason"), "ForeignObject") << one.name;
    EXPECT_NE(condition("Ready", "message").find(one.name), std::string::npos);
    EXPECT_TRUE(told("ForeignObject"));
    EXPECT_EQ(server.get(one.kind, one.name), before);
    EXPECT_EQ(pods(), 0U) << one.name;

    server.remove(one.kind, one.name);
    const auto done = reconcile();
    ASSERT_TRUE(done) << to_string(done.error());
    EXPECT_NE(condition("Progressing", "reason"), "ForeignObject");
    EXPECT_EQ(pods(), 2U);
  }
}

TEST_F(reconciler_test, a_class_that_comes_before_its_mesh_is_no_warning) {
  auto mesh = server.get(resources::process_meshes, "demo");
  server.remove(resources::process_meshes, "demo");
  auto klass = kube::make_object(resources::process_classes, {"default", "early"});
  klass["metadata"]["uid"] = "class-uid";
  klass["metadata"]["generation"] = 1;
  klass["spec"] = {{"meshRef", {{"name", "demo"}}}, {"behaviour", {{"builtin", "counter"}}}};
  server.put(resources::process_classes, klass);
  const auto reason = [&] {
    return server.get(resources::process_classes, "early")["status"]["conditions"][0]["reason"].get<std::string>();
  };
  const auto done = reconcile_afresh();
  ASSERT_TRUE(done);
  EXPECT_EQ(reason(), "WaitingForMesh");
  EXPECT_TRUE(*done) << "it looks again by itself";
  server.put(resources::process_meshes, std::move(mesh));
  ASSERT_TRUE(reconcile_afresh());
  EXPECT_EQ(reason(), "Accepted");
  EXPECT_TRUE(told("Accepted"));
  EXPECT_FALSE(told("WaitingForMesh"));
  EXPECT_FALSE(told("MeshNotFound"));
}

TEST_F(reconciler_test, what_is_left_of_a_deleted_mesh_of_that_name_is_waited_for_without_a_warning) {
  auto old_mesh = server.get(resources::process_meshes, "demo");
  old_mesh["metadata"]["uid"] = "former-uid";
  auto theirs = kube::make_object(resources::config_maps, {"default", "demo-genesis"});
  theirs["metadata"]["ownerReferences"] =
      json::array({kube::controller_reference(resources::process_meshes, old_mesh)});
  server.put(resources::config_maps, theirs);

  EXPECT_FALSE(reconcile());
  EXPECT_EQ(condition("Progressing", "reason"), "WaitingForCollection");
  EXPECT_FALSE(told("ForeignObject"));
  EXPECT_FALSE(told("ReconcileFailed"));
  server.remove(resources::config_maps, "demo-genesis");
  EXPECT_TRUE(reconcile());
  EXPECT_EQ(pods(), 2U);
}

}  // namespace
}  // namespace orrery::op
