// Attaching, against an API server that answers as a test tells it.
#include "cli/attach.hpp"

#include "kube/testing/fake_server.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace orrery::cli {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;
using fate = succession::fate;

json pod_of(const std::string& name, bool ready) {
  return {{"metadata", {{"name", name}, {"namespace", "shop"}, {"uid", name + "-uid"}}},
          {"status", {{"containerStatuses", {{{"name", "orrery"}, {"ready", ready}}}}}}};
}

kube::object_ptr shared(json pod) { return std::make_shared<const json>(std::move(pod)); }

TEST(succession, stays_with_a_pod_that_is_ready) {
  const auto now = succession_of({shared(pod_of("a", true)), shared(pod_of("b", true))}, "b-uid");
  EXPECT_EQ(now.pod, fate::ready);
  EXPECT_EQ(now.successor, nullptr);
}

TEST(succession, goes_to_another_ready_pod_and_says_what_became_of_the_first) {
  auto leaving = pod_of("a", true);
  leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z";
  const auto other = shared(pod_of("c", true));
  const std::vector<kube::object_ptr> pods{shared(leaving), shared(pod_of("b", false)), other};
  EXPECT_EQ(succession_of(pods, "a-uid").pod, fate::leaving);
  EXPECT_EQ(succession_of(pods, "b-uid").pod, fate::not_ready);
  EXPECT_EQ(succession_of(pods, "x-uid").pod, fate::gone);
  for (const auto* uid : {"a-uid", "b-uid", "x-uid"})
    EXPECT_EQ(succession_of(pods, uid).successor, other.get()) << uid;
}

TEST(succession, has_nowhere_to_go_where_none_is_ready) {
  EXPECT_EQ(succession_of({}, "a-uid").successor, nullptr);
  EXPECT_EQ(succession_of({shared(pod_of("b", false)), shared(json::object())}, "a-uid").successor, nullptr);
}

TEST(succession, does_not_take_a_pod_of_the_same_name_for_the_one_that_was) {
  auto again = pod_of("a", true);
  again["metadata"]["uid"] = "another";
  EXPECT_EQ(succession_of({shared(again)}, "a-uid").pod, fate::gone);
}

TEST(attached, is_said_in_one_line_that_a_shell_or_a_program_can_read) {
  const target reached{{"127.0.0.1", 40123}, "demo-1", "u", nullptr};
  mesh_pods seen;
  seen.mesh = "demo";
  seen.name_space = "shop";
  EXPECT_EQ(attached_line(reached, seen, output::table),
            "export ORRERY_SIDECAR=http://127.0.0.1:40123  # mesh demo in namespace shop, through pod demo-1");
  EXPECT_EQ(attached_line(reached, seen, output::json),
            R"({"url":"http://127.0.0.1:40123","pod":"demo-1","mesh":"demo","namespace":"shop"})");
}

/// A kubeconfig for a fake API server.
class attaching : public ::testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(path_); }

  /// What attach says and ends with. `pods`: the list, or a status. Forwarding is refused.
  std::string refusal_of(int status, const json& pods, attach_options options = {}, int code = 4) {
    const kube::testing::fake_server server([&](const auto& request, auto& connection) {
      if (request.has("/portforward")) {
        connection.answer(403, R"({"kind":"Status","reason":"Forbidden","message":"ada may not forward"})");
      } else {
        connection.answer(status, pods.dump());
      }
    });
    std::ofstream(path_) << fmt::format(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts:\n- {{name: c, context: {{cluster: c, user: u}}}}\n"
        "clusters:\n- {{name: c, cluster: {{server: '{}'}}}}\nusers:\n- {{name: u, user: {{}}}}\n",
        server.url());
    ::testing::internal::CaptureStderr();
    const target_options to{.sidecar = {}, .mesh = "demo", .name_space = "shop", .kubeconfig = path_, .context = {}};
    EXPECT_EQ(attach(to, options, output::table), code);
    return ::testing::internal::GetCapturedStderr();
  }
  static json list_of(const json& pods) { return {{"kind", "PodList"}, {"metadata", json::object()}, {"items", pods}}; }

 private:
  std::string path_ = std::filesystem::temp_directory_path() / ("orrery-attach-" + std::to_string(getpid()));
};

TEST_F(attaching, to_a_mesh_that_is_not_there_is_refused) {
  EXPECT_THAT(refusal_of(200, list_of(json::array())), HasSubstr("not_found: no pods of a mesh 'demo' in namespace"));
}

TEST_F(attaching, to_a_mesh_without_a_ready_pod_says_who_knows_why) {
  const auto said = refusal_of(200, list_of(json::array({pod_of("demo-1", false)})));
  EXPECT_THAT(said, HasSubstr("not_found: no pod of mesh 'demo' in namespace 'shop' has a ready sidecar"));
  EXPECT_THAT(said, HasSubstr("kubectl -n shop describe pmesh demo"));
}

TEST_F(attaching, without_the_right_to_see_pods_names_the_rule) {
  const auto said = refusal_of(403, {{"kind", "Status"}, {"reason", "Forbidden"}, {"message", "ada may not list"}});
  EXPECT_THAT(said, HasSubstr("ada may not list"));
  EXPECT_THAT(said, HasSubstr(R"({apiGroups: [""], resources: [pods], verbs: [list, watch]})"));
}

TEST_F(attaching, without_the_right_to_forward_names_the_rule) {
  const auto said = refusal_of(200, list_of(json::array({pod_of("demo-1", true)})));
  EXPECT_THAT(said, HasSubstr("ada may not forward"));
  EXPECT_THAT(said, HasSubstr(R"(a Role in namespace 'shop' with the rule {apiGroups: [""], resources: )"
                              "[pods/portforward], verbs: [get, create]}"));
}

TEST_F(attaching, to_a_port_that_is_in_use_says_what_to_do) {
  const kube::testing::fake_server taken([](const auto&, auto&) {});
  const auto said = refusal_of(200, list_of(json::array({pod_of("demo-1", true)})), {taken.port(), {}}, 1);
  EXPECT_THAT(said, HasSubstr(fmt::format("io: 127.0.0.1:{}: Address already in use", taken.port())));
  EXPECT_THAT(said, HasSubstr("--port"));
}

}  // namespace
}  // namespace orrery::cli
