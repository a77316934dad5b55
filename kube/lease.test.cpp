// Leader election and events against an API server that keeps objects, refuses, and falls silent.
#include "kube/lease.hpp"

#include "kube/client.hpp"
#include "kube/events.hpp"
#include "kube/testing/fake_server.hpp"
#include "kube/testing/waiting.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <atomic>
#include <mutex>
#include <optional>

namespace orrery::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::eventually;
using testing::fake_connection;
using testing::fake_request;
using testing::fake_server;

/// Keeps one lease, with optimistic concurrency, as an API server does.
class lease_test : public ::testing::Test {
 protected:
  void SetUp() override {
    server =
        std::make_unique<fake_server>([this](const fake_request& asked, fake_connection& at) { serve(asked, at); });
    api = *make_client(cluster_config{.server = server->url()});
  }

  void serve(const fake_request& asked, fake_connection& at) {
    while (silent && !at.peer_left()) {
    }
    if (silent) return at.drop();
    if (failing) return at.answer(500, "etcd is not well");
    const std::lock_guard lock{mutex};
    if (asked.method == "GET") {
      return lease ? at.answer(200, lease->dump()) : at.answer(404, R"({"kind": "Status", "reason": "NotFound"})");
    }
    auto given = json::parse(asked.body);
    if (asked.method == "POST" && lease) {
      return at.answer(409, R"({"kind": "Status", "reason": "AlreadyExists"})");
    }
    if (asked.method == "PUT" && (!lease || resource_version_of(given) != resource_version_of(*lease))) {
      return at.answer(409, R"({"kind": "Status", "reason": "Conflict"})");
    }
    store(std::move(given));
    at.answer(200, lease->dump());
  }

  void store(json given) {
    given["metadata"]["resourceVersion"] = std::to_string(++version);
    lease = std::move(given);
  }

  std::string holder() {
    const std::lock_guard lock{mutex};
    return lease ? std::string{text_at(*lease, {"spec", "holderIdentity"})} : "";
  }

  std::unique_ptr<leader_elector> elect(const std::string& identity) {
    return std::make_unique<leader_elector>(
        *api,
        lease_options{.lease = {"ns", "leader"},
                      .identity = identity,
                      .duration = milliseconds{1000},
                      .renew_deadline = milliseconds{600},
                      .retry = milliseconds{50}},
        lease_handlers{.on_acquired = [this](std::uint64_t now) { term = now, ++acquired; },
                       .on_lost =
                           [this](const std::string& why) {
                             const std::lock_guard lock{mutex};
                             reason = why;
                             ++lost;
                           }});
  }

  std::atomic<bool> silent{false};
  std::atomic<bool> failing{false};
  std::atomic<int> acquired{0};
  std::atomic<int> lost{0};
  std::atomic<std::uint64_t> term{0};
  std::mutex mutex;
  std::string reason;
  std::optional<json> lease;
  int version = 0;
  std::unique_ptr<fake_server> server;
  std::unique_ptr<client> api;
};

TEST_F(lease_test, one_leads_renews_and_releases_when_stopped) {
  auto elector = elect("one");
  elector->start();
  ASSERT_TRUE(eventually([&] { return elector->is_leader(); }));
  const auto writes = server->count("PUT");
  EXPECT_TRUE(eventually([&] { return server->count("PUT") >= writes + 3; })) << "renewed";
  EXPECT_EQ(holder(), "one");
  elector->stop();
  EXPECT_EQ(lost, 1);
  EXPECT_FALSE(elector->is_leader());
  EXPECT_EQ(holder(), "") << "released";
}

TEST_F(lease_test, a_lease_that_was_made_by_a_manifest_is_taken_with_its_labels_left_alone) {
  json made = make_object(resources::leases, {"ns", "leader"});
  made["metadata"]["labels"] = {{"app", "orrery"}};
  made["metadata"]["annotations"] = {{"kubectl.kubernetes.io/last-applied-configuration", "{}"}};
  const auto metadata = made["metadata"];
  store(made);
  auto elector = elect("one");
  elector->start();
  ASSERT_TRUE(eventually([&] { return elector->is_leader(); }));
  const auto writes = server->count("PUT");
  EXPECT_TRUE(eventually([&] { return server->count("PUT") >= writes + 2; })) << "renewed";
  elector->stop();
  EXPECT_EQ(holder(), "");
  auto now = (*lease)["metadata"];
  now.erase("resourceVersion");
  EXPECT_EQ(now, metadata);
}

TEST_F(lease_test, two_never_lead_together_and_the_second_follows) {
  auto one = elect("one");
  auto two = elect("two");
  one->start();
  ASSERT_TRUE(eventually([&] { return one->is_leader(); }));
  two->start();
  ASSERT_TRUE(eventually([&] { return two->leader() == "one"; }));
  EXPECT_FALSE(two->is_leader());
  one->stop();
  EXPECT_TRUE(eventually([&] { return two->is_leader(); }));
  EXPECT_EQ(term, 1U) << "each leader has a term of its own";
}

TEST_F(lease_test, leadership_ends_on_time_when_the_server_falls_silent) {
  auto elector = elect("one");
  elector->start();
  ASSERT_TRUE(eventually([&] { return elector->is_leader(); }));
  silent = true;
  const auto started = std::chrono::steady_clock::now();
  EXPECT_TRUE(eventually([&] { return !elector->is_leader(); }));
  EXPECT_TRUE(eventually([&] { return lost == 1; }));
  EXPECT_LT(std::chrono::steady_clock::now() - started, milliseconds{1000}) << "before another may take over";
  silent = false;
  EXPECT_TRUE(eventually([&] { return elector->is_leader(); })) << "and comes back";
  EXPECT_EQ(acquired, 2);
}

TEST_F(lease_test, leadership_outlasts_errors_that_are_short) {
  auto elector = elect("one");
  elector->start();
  ASSERT_TRUE(eventually([&] { return elector->is_leader(); }));
  const auto before = server->requests().size();
  failing = true;
  ASSERT_TRUE(eventually([&] { return server->requests().size() >= before + 2; }));
  failing = false;
  const auto writes = server->count("PUT");
  ASSERT_TRUE(eventually([&] { return server->count("PUT") > writes; }));
  EXPECT_TRUE(elector->is_leader());
  EXPECT_EQ(lost, 0);
}

TEST_F(lease_test, a_leader_that_sees_another_in_its_place_stops_at_once) {
  auto elector = elect("one");
  elector->start();
  ASSERT_TRUE(eventually([&] { return elector->is_leader(); }));
  {
    const std::lock_guard lock{mutex};
    auto stolen = *lease;
    stolen["spec"]["holderIdentity"] = "thief";
    stolen["spec"]["renewTime"] = "2030-01-01T00:00:00.000000Z";
    store(std::move(stolen));
  }
  EXPECT_TRUE(eventually([&] { return lost == 1; }));
  EXPECT_FALSE(elector->is_leader());
  const std::lock_guard lock{mutex};
  EXPECT_EQ(reason, "taken over by thief");
}

class events_test : public ::testing::Test {
 protected:
  const json pod = {{"metadata", {{"name", "p"}, {"namespace", "ns"}, {"uid", "u"}}}};
};

TEST_F(events_test, the_first_is_created_and_the_same_again_is_counted) {
  fake_server server{[](const fake_request&, fake_connection& at) { at.answer(200, "{}"); }};
  const auto api = *make_client(cluster_config{.server = server.url()});
  event_recorder recorder{*api, {.component = "orrery-operator", .instance = "pod-1"}};
  recorder.record(resources::pods, pod, event_type::warning, "QuorumLost", "two of three are gone");
  recorder.record(resources::pods, pod, event_type::warning, "QuorumLost", "two of three are gone");
  ASSERT_TRUE(recorder.flush(seconds{10}));
  EXPECT_EQ(recorder.stats().written, 2U);
  const auto seen = server.requests();
  ASSERT_EQ(seen.size(), 2U);
  const auto event = json::parse(seen[0].body);
  EXPECT_EQ(seen[0].method + " " + seen[0].path, "POST /api/v1/namespaces/ns/events");
  EXPECT_EQ(event["involvedObject"],
            json::parse(R"({"apiVersion": "v1", "kind": "Pod", "name": "p", "namespace": "ns", "uid": "u"})"));
  EXPECT_EQ(event["type"], "Warning");
  EXPECT_EQ(event["reason"], "QuorumLost");
  EXPECT_EQ(event["source"], json::parse(R"({"component": "orrery-operator", "host": "pod-1"})"));
  EXPECT_EQ(event["count"], 1);
  EXPECT_EQ(seen[1].method, "PATCH");
  EXPECT_TRUE(seen[1].has(std::string{name_of(event)}));
  EXPECT_EQ(json::parse(seen[1].body)["count"], 2);
}

TEST_F(events_test, an_event_that_the_server_dropped_is_created_again) {
  fake_server server{
      [](const fake_request& asked, fake_connection& at) { at.answer(asked.method == "PATCH" ? 404 : 201, "{}"); }};
  const auto api = *make_client(cluster_config{.server = server.url()});
  event_recorder recorder{*api, {.component = "c"}};
  recorder.record(resources::pods, pod, event_type::normal, "A", "b");
  recorder.record(resources::pods, pod, event_type::normal, "A", "b");
  ASSERT_TRUE(recorder.flush(seconds{10}));
  EXPECT_EQ(server.count("POST"), 2U);
}

TEST_F(events_test, recording_never_waits_and_what_is_too_much_is_counted) {
  fake_server server{[&server](const fake_request&, fake_connection& at) {
    while (!server.stopping() && !at.peer_left()) {
    }
  }};
  const auto api = *make_client(cluster_config{.server = server.url()});
  const auto started = std::chrono::steady_clock::now();
  {
    event_recorder recorder{*api, {.component = "c", .queue_max = 10}};
    for (int i = 0; i < 100; ++i) {
      recorder.record(resources::pods, pod, event_type::normal, "A", std::string(5000, 'x') + std::to_string(i));
    }
    EXPECT_GE(recorder.stats().dropped_queue, 89U);
    EXPECT_LT(std::chrono::steady_clock::now() - started, seconds{1});
  }
  EXPECT_LT(std::chrono::steady_clock::now() - started, seconds{5}) << "a farewell of two seconds at most";
}

}  // namespace
}  // namespace orrery::kube
