// The client on a real API server: set ORRERY_TEST_KUBECONFIG to run these. Each makes a namespace of its own and
// deletes it.
#include "kube/client.hpp"
#include "kube/events.hpp"
#include "kube/informer.hpp"
#include "kube/lease.hpp"
#include "kube/port_forward.hpp"
#include "kube/testing/waiting.hpp"
#include "kube/timestamp.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <arpa/inet.h>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace orrery::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::eventually;

class real_cluster : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* kubeconfig = std::getenv("ORRERY_TEST_KUBECONFIG");  // NOLINT(concurrency-mt-unsafe)
    if (!kubeconfig) GTEST_SKIP() << "ORRERY_TEST_KUBECONFIG names no kubeconfig: not run on a real cluster";
    const auto loaded = load_kubeconfig(kubeconfig);
    ASSERT_TRUE(loaded) << to_string(loaded.error());
    config = *loaded;
    auto made = make_client(config);
    ASSERT_TRUE(made) << to_string(made.error());
    api = std::move(*made);
    ns = "orrery-kube-test-" + std::to_string(wall_now().time_since_epoch().count() % 1'000'000'000);
    const auto created = api->create(resources::namespaces, make_object(resources::namespaces, {"", ns}));
    ASSERT_TRUE(created) << to_string(created.error());
  }

  void TearDown() override {
    if (ns.empty()) return;
    EXPECT_TRUE(api->remove(resources::namespaces, {"", ns}));
  }

  json config_map(const std::string& name, const std::string& value) const {
    auto object = make_object(resources::config_maps, {ns, name});
    object["data"]["key"] = value;
    return object;
  }

  cluster_config config;
  std::unique_ptr<client> api;
  std::string ns;
};

TEST_F(real_cluster, tells_its_version_and_what_it_serves) {
  const auto version = api->version();
  ASSERT_TRUE(version) << to_string(version.error());
  EXPECT_EQ(version->major, 1);
  EXPECT_GE(version->minor, 20);
  EXPECT_EQ(api->has_resource(resources::pods).value_or(false), true);
  EXPECT_EQ(api->has_resource("no.such.group", "v1", "things").value_or(true), false);
  const bool stable = api->has_resource(resources::pod_disruption_budgets).value_or(false);
  const bool beta = api->has_resource(resources::pod_disruption_budgets_v1beta1).value_or(false);
  EXPECT_TRUE(stable || beta);
}

TEST_F(real_cluster, creates_reads_changes_and_deletes) {
  const object_key key{ns, "a"};
  ASSERT_TRUE(api->create(resources::config_maps, config_map("a", "1"), {.dry_run = true}));
  EXPECT_EQ(api->get(resources::config_maps, key).error().code, errc::not_found);

  const auto created = api->create(resources::config_maps, config_map("a", "1"));
  ASSERT_TRUE(created) << to_string(created.error());
  const auto again = api->create(resources::config_maps, config_map("a", "1"));
  EXPECT_EQ(again.error().code, errc::already_exists) << to_string(again.error());

  const auto patched = api->merge_patch(resources::config_maps, key, {{"data", {{"key", "2"}}}});
  ASSERT_TRUE(patched) << to_string(patched.error());
  const auto stale = api->replace(resources::config_maps, *created);
  EXPECT_EQ(stale.error().code, errc::conflict) << to_string(stale.error());
  const json edit = json::parse(R"([{"op": "test", "path": "/data/key", "value": "2"},
                                    {"op": "replace", "path": "/data/key", "value": "3"}])");
  const auto edited = api->json_patch(resources::config_maps, key, edit);
  ASSERT_TRUE(edited) << to_string(edited.error());
  EXPECT_EQ(text_at(*edited, {"data", "key"}), "3");

  const auto other_uid = api->remove(resources::config_maps, key, {.uid = "00000000-0000-0000-0000-000000000000"});
  EXPECT_EQ(other_uid.error().code, errc::conflict) << to_string(other_uid.error());
  EXPECT_TRUE(api->remove(resources::config_maps, key, {.uid = std::string{uid_of(*created)}}));
  EXPECT_EQ(api->get(resources::config_maps, key).error().code, errc::not_found);
}

TEST_F(real_cluster, refuses_a_broken_object_with_the_servers_words) {
  auto pod = make_object(resources::pods, {ns, "broken"});
  pod["spec"]["containers"] = json::array();
  result<json> refused;
  ASSERT_TRUE(eventually([&] {  // until the namespace has its service account
    refused = api->create(resources::pods, pod);
    return !refused && refused.error().code == errc::invalid_argument;
  })) << to_string(refused.error());
  EXPECT_NE(refused.error().context.find("spec.containers"), std::string::npos) << refused.error().context;
}

TEST_F(real_cluster, applies_from_the_server_side_and_sees_conflicts_of_managers) {
  const auto first = api->apply(resources::config_maps, config_map("applied", "1"), {.field_manager = "one"});
  ASSERT_TRUE(first) << to_string(first.error());
  const auto same = api->apply(resources::config_maps, config_map("applied", "1"), {.field_manager = "one"});
  ASSERT_TRUE(same);
  EXPECT_EQ(resource_version_of(*first), resource_version_of(*same)) << "an apply that changes nothing writes nothing";
  const auto polite =
      api->apply(resources::config_maps, config_map("applied", "2"), {.field_manager = "two", .force = false});
  EXPECT_EQ(polite.error().code, errc::conflict) << to_string(polite.error());
  const auto forced = api->apply(resources::config_maps, config_map("applied", "2"), {.field_manager = "two"});
  ASSERT_TRUE(forced) << to_string(forced.error());
  EXPECT_EQ(text_at(*forced, {"data", "key"}), "2");
}

TEST_F(real_cluster, lists_all_pages) {
  for (int i = 0; i < 7; ++i) {
    ASSERT_TRUE(api->create(resources::config_maps, config_map("page-" + std::to_string(i), "x")));
  }
  const auto all = api->list_all(resources::config_maps, ns, {.limit = 3});
  ASSERT_TRUE(all) << to_string(all.error());
  EXPECT_GE(all->items.size(), 7U);
  EXPECT_FALSE(all->resource_version.empty());
}

TEST_F(real_cluster, an_informer_follows_what_happens) {
  ASSERT_TRUE(api->create(resources::config_maps, config_map("before", "1")));
  std::atomic<int> updates{0};
  informer seen{
      *api, resources::config_maps, {.ns = ns}, {.updated = [&updates](const auto&, const auto&) { ++updates; }}};
  seen.start();
  ASSERT_TRUE(seen.wait_synced(seconds{10})) << seen.health().last_error;
  EXPECT_TRUE(seen.get({ns, "before"}));

  ASSERT_TRUE(api->create(resources::config_maps, config_map("after", "1")));
  EXPECT_TRUE(eventually([&] { return seen.get({ns, "after"}) != nullptr; }));
  ASSERT_TRUE(api->merge_patch(resources::config_maps, {ns, "after"}, {{"data", {{"key", "2"}}}}));
  EXPECT_TRUE(eventually([&] { return updates > 0; }));
  ASSERT_TRUE(api->remove(resources::config_maps, {ns, "before"}));
  EXPECT_TRUE(eventually([&] { return !seen.get({ns, "before"}); }));
  EXPECT_EQ(seen.health().lists, 1U);
}

TEST_F(real_cluster, a_lease_has_one_leader_and_passes_on_release) {
  lease_options options{.lease = {ns, "leader"}, .identity = "first", .retry = milliseconds{200}};
  std::atomic<int> lost{0};
  auto first =
      std::make_unique<leader_elector>(*api, options, lease_handlers{.on_lost = [&lost](const auto&) { ++lost; }});
  first->start();
  ASSERT_TRUE(eventually([&] { return first->is_leader(); }));

  options.identity = "second";
  std::atomic<std::uint64_t> term{0};
  leader_elector second{*api, options, {.on_acquired = [&term](std::uint64_t now) { term = now; }}};
  second.start();
  ASSERT_TRUE(eventually([&] { return second.leader() == "first"; }));
  EXPECT_FALSE(second.is_leader());
  first->stop();
  EXPECT_EQ(lost, 1);
  EXPECT_TRUE(eventually([&] { return second.is_leader(); }, seconds{5}))
      << "released, so nobody waits for it to expire";
  EXPECT_GE(term, 1U);
}

TEST_F(real_cluster, events_are_counted_not_repeated) {
  const auto about = api->create(resources::config_maps, config_map("subject", "1"));
  ASSERT_TRUE(about);
  event_recorder recorder{*api, {.component = "kube-test", .instance = "here"}};
  for (int i = 0; i < 3; ++i) {
    recorder.record(resources::config_maps, *about, event_type::warning, "Tested", "as it should be");
  }
  ASSERT_TRUE(recorder.flush(seconds{10}));
  EXPECT_EQ(recorder.stats().failed, 0U);
  const auto events = api->list_all(resources::events, ns, {.field_selector = "involvedObject.name=subject"});
  ASSERT_TRUE(events) << to_string(events.error());
  ASSERT_EQ(events->items.size(), 1U);
  EXPECT_EQ(integer_at(events->items[0], {"count"}), 3);
  EXPECT_EQ(text_at(events->items[0], {"reason"}), "Tested");
}

// One request over a plain socket; what came back.
std::string ask(std::uint16_t port, const std::string& request) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const timeval limit{.tv_sec = 20, .tv_usec = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  std::string answer;
  if (::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0) {  // NOLINT: the socket API
    static_cast<void>(::send(fd, request.data(), request.size(), MSG_NOSIGNAL));
    char buffer[4096];
    for (auto count = ::recv(fd, buffer, sizeof buffer, 0); count > 0; count = ::recv(fd, buffer, sizeof buffer, 0)) {
      answer.append(buffer, static_cast<std::size_t>(count));
    }
  }
  ::close(fd);
  return answer;
}

// A web server without an image for it: the node's own Python, for clusters whose nodes live on this machine.
json web_server(const std::string& ns) {
  auto pod = make_object(resources::pods, {ns, "web"});
  pod["spec"] = json::parse(R"({
    "terminationGracePeriodSeconds": 0,
    "containers": [{"name": "web", "image": "localhost/pause:1", "imagePullPolicy": "Never",
      "command": ["/usr/bin/python3", "-u", "-m", "http.server", "8080", "--directory", "/usr/share/doc/coreutils"],
      "volumeMounts": [{"name": "usr", "mountPath": "/usr", "readOnly": true},
                       {"name": "lib", "mountPath": "/lib", "readOnly": true},
                       {"name": "lib64", "mountPath": "/lib64", "readOnly": true}],
      "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1}}],
    "volumes": [{"name": "usr", "hostPath": {"path": "/usr"}}, {"name": "lib", "hostPath": {"path": "/usr/lib"}},
                {"name": "lib64", "hostPath": {"path": "/usr/lib64"}}]})");
  return pod;
}

bool is_ready(const json& pod) {
  const auto* conditions = find(pod, {"status", "conditions"});
  return conditions && std::any_of(conditions->begin(), conditions->end(), [](const json& each) {
           return text_at(each, {"type"}) == "Ready" && text_at(each, {"status"}) == "True";
         });
}

TEST_F(real_cluster, forwards_a_port_of_a_pod_and_reads_its_log) {
  const auto nobody = port_forward::open(config, {.pod = {ns, "nobody"}, .pod_port = 8080});
  ASSERT_FALSE(nobody);
  EXPECT_EQ(nobody.error().code, errc::not_found) << to_string(nobody.error());

  ASSERT_TRUE(eventually([&] { return api->get(resources::service_accounts, {ns, "default"}).has_value(); }));
  ASSERT_TRUE(eventually([&] { return api->create(resources::pods, web_server(ns)).has_value(); }));
  const bool ready = eventually(
      [&] {
        const auto pod = api->get(resources::pods, {ns, "web"});
        return pod && is_ready(*pod);
      },
      seconds{60});
  if (!ready) GTEST_SKIP() << "no pod that runs this machine's Python: the cluster's nodes are elsewhere";

  const auto forward = port_forward::open(config, {.pod = {ns, "web"}, .pod_port = 8080});
  ASSERT_TRUE(forward) << to_string(forward.error());
  for (int i = 0; i < 3; ++i) {
    const auto answer = ask((*forward)->local_port(), "GET /copyright HTTP/1.0\r\n\r\n");
    EXPECT_EQ(answer.substr(0, 15), "HTTP/1.0 200 OK") << (*forward)->last_error();
    EXPECT_GT(answer.size(), 1000U);
  }
  EXPECT_TRUE(eventually([&] {
    const auto log = api->logs({ns, "web"});
    return log && log->find("GET /copyright") != std::string::npos;
  }));

  const auto closed = port_forward::open(config, {.pod = {ns, "web"}, .pod_port = 9});
  ASSERT_TRUE(closed) << to_string(closed.error());
  EXPECT_EQ(ask((*closed)->local_port(), "x"), "");
  EXPECT_TRUE(eventually([&] { return !(*closed)->last_error().empty(); }));
}

}  // namespace
}  // namespace orrery::kube
