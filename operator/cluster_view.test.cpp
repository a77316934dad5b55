#include "operator/cluster_view.hpp"

#include "kube/testing/waiting.hpp"
#include "operator/plan/names.hpp"
#include "operator/testing/fake_api.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace orrery::op {
namespace {

namespace resources = kube::resources;
using kube::json;

const kube::object_key demo_key{"default", "demo"};

json host(const std::string& name) {
  json out = kube::make_object(resources::nodes, {"", name});
  out["status"]["conditions"] =
      json::array({{{"type", "Ready"}, {"status", "True"}, {"lastTransitionTime", "2026-01-01T00:00:00Z"}}});
  return out;
}

/// The view's copies are those of its start: the server's watches say nothing.
class cluster_view_test : public ::testing::Test {
 protected:
  cluster_view_test() {
    json mesh = kube::make_object(resources::process_meshes, demo_key);
    mesh["metadata"]["uid"] = "mesh-uid";
    server.put(resources::nodes, host("node1"));
    server.put(resources::process_meshes, mesh);
    json pod = plan::owned_object(resources::pods, mesh, "demo-x7k2p", "node");
    pod["spec"] = {{"nodeName", "node9"}};
    server.put(resources::pods, std::move(pod));
    view.start();
    EXPECT_TRUE(kube::testing::eventually([this] { return view.has_synced(); }));
  }

  testing::fake_api server;
  kube::client api{server.carrier()};
  cluster_view view{api, {}, {}, true, [](const auto&) {}};
};

TEST_F(cluster_view_test, a_host_that_the_copy_lacks_is_looked_for_in_the_servers_own_list) {
  EXPECT_FALSE(view.remembered(demo_key).hosts.contains("node9"));
  EXPECT_TRUE(view.remembered(demo_key).hosts_missing.empty()) << "only the server's list tells";
  server.put(resources::nodes, host("node9"));
  const auto now = view.read_now(demo_key);
  ASSERT_TRUE(now);
  EXPECT_TRUE(now->hosts.contains("node9"));
  EXPECT_TRUE(now->hosts_missing.empty());
}

TEST_F(cluster_view_test, a_host_that_the_server_lacks_is_missing_from_then_on) {
  const auto before = std::chrono::system_clock::now();
  const auto now = view.read_now(demo_key);
  ASSERT_TRUE(now);
  ASSERT_TRUE(now->hosts_missing.contains("node9"));
  EXPECT_GE(now->hosts_missing.at("node9"), before);
  EXPECT_EQ(view.remembered(demo_key).hosts_missing, now->hosts_missing);
  EXPECT_EQ(view.read_now(demo_key)->hosts_missing, now->hosts_missing) << "counted from the first time";
}

}  // namespace
}  // namespace orrery::op
