// Informers against a server that misbehaves in every way that API servers and networks do.
#include "kube/informer.hpp"

#include "kube/client.hpp"
#include "kube/object_store.hpp"
#include "kube/testing/fake_server.hpp"
#include "kube/testing/waiting.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <atomic>
#include <functional>
#include <mutex>
#include <vector>

namespace orrery::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::eventually;
using testing::fake_connection;
using testing::fake_request;
using testing::fake_server;

json pod(const std::string& name, const std::string& version, const std::string& uid = "u") {
  return {{"metadata",
           {{"name", name},
            {"namespace", "ns"},
            {"resourceVersion", version},
            {"uid", uid + name},
            {"managedFields", json::array({1, 2, 3})}}}};
}

std::string list_of(const std::vector<json>& pods, const std::string& version) {
  return json{{"kind", "PodList"}, {"metadata", {{"resourceVersion", version}}}, {"items", pods}}.dump();
}

std::string event(const std::string& type, const json& object) {
  return json{{"type", type}, {"object", object}}.dump() + "\n";
}

std::string bookmark(const std::string& version) {
  return event("BOOKMARK", {{"kind", "Pod"}, {"metadata", {{"resourceVersion", version}}}});
}

const std::string gone =
    event("ERROR", {{"kind", "Status"}, {"code", 410}, {"reason", "Expired"}, {"message", "too old"}});

/// A server whose n-th list and n-th watch (from 0) a test scripts; without a script a watch stays silent.
class informer_test : public ::testing::Test {
 protected:
  using script = std::function<void(int, const fake_request&, fake_connection&)>;

  void SetUp() override {
    server = std::make_unique<fake_server>([this](const fake_request& asked, fake_connection& at) {
      if (asked.has("watch=true")) return on_watch(watches++, asked, at);
      on_list(lists++, asked, at);
    });
    api = *make_client(cluster_config{.server = server->url()});
  }

  informer& start(informer_options options = {}) {
    options.backoff_min = milliseconds{2};
    options.backoff_max = milliseconds{20};
    informer_handlers handlers{
        .added = [this](const object_ptr& now) { note("+" + std::string{name_of(*now)}); },
        .updated = [this](const object_ptr&, const object_ptr& now) { note("~" + std::string{name_of(*now)}); },
        .removed = [this](const object_ptr& last) { note("-" + std::string{name_of(*last)}); },
        .synced = [this] { note("synced"); }};
    seen = std::make_unique<informer>(*api, resources::pods, std::move(options), std::move(handlers));
    seen->start();
    return *seen;
  }

  void TearDown() override {
    seen.reset();
    server.reset();
  }

  void hold(fake_connection& at) const {
    while (!at.peer_left()) {
    }
  }

  void note(std::string what) {
    const std::lock_guard lock{mutex};
    told.push_back(std::move(what));
  }
  std::vector<std::string> all_told() {
    const std::lock_guard lock{mutex};
    return told;
  }
  bool told_exactly(const std::vector<std::string>& want) {
    return eventually([&] { return all_told() == want; });
  }

  std::atomic<int> lists{0};
  std::atomic<int> watches{0};
  script on_list = [](int, const fake_request&, fake_connection& at) {
    at.answer(200, list_of({pod("a", "1")}, "10"));
  };
  script on_watch = [this](int, const fake_request&, fake_connection& at) {
    at.begin_chunks();
    hold(at);
  };
  std::mutex mutex;
  std::vector<std::string> told;
  std::unique_ptr<fake_server> server;
  std::unique_ptr<client> api;
  std::unique_ptr<informer> seen;
};

TEST_F(informer_test, lists_then_follows_the_watch) {
  on_watch = [this](int, const fake_request& asked, fake_connection& at) {
    EXPECT_TRUE(asked.has("resourceVersion=10&allowWatchBookmarks=true"));
    at.begin_chunks();
    at.chunk(event("ADDED", pod("b", "11")) + event("MODIFIED", pod("a", "12")) + event("DELETED", pod("b", "13")));
    hold(at);
  };
  auto& pods = start();
  EXPECT_TRUE(told_exactly({"+a", "synced", "+b", "~a", "-b"}));
  EXPECT_EQ(pods.size(), 1U);
  EXPECT_EQ(resource_version_of(*pods.get({"ns", "a"})), "12");
  EXPECT_EQ(text_at(*pods.get({"ns", "a"}), {"metadata", "managedFields"}), "");
  EXPECT_EQ(find(*pods.get({"ns", "a"}), {"metadata", "managedFields"}), nullptr);
  EXPECT_TRUE(pods.health().connected);
}

TEST_F(informer_test, events_cut_anywhere_are_put_together) {
  on_watch = [this](int, const fake_request&, fake_connection& at) {
    at.begin_chunks();
    const auto all = event("ADDED", pod("b", "11")) + event("ADDED", pod("c", "12"));
    for (const char byte : all) {
      at.chunk({&byte, 1});
    }
    hold(at);
  };
  start();
  EXPECT_TRUE(told_exactly({"+a", "synced", "+b", "+c"}));
}

TEST_F(informer_test, a_dropped_watch_is_resumed_after_the_last_event_without_a_list) {
  on_watch = [this](int n, const fake_request& asked, fake_connection& at) {
    at.begin_chunks();
    if (n == 0) {
      at.chunk(event("ADDED", pod("b", "11")));
      at.chunk(R"({"type": "ADDED", "object": {"metad)");
      return at.drop();
    }
    EXPECT_TRUE(asked.has("resourceVersion=11&"));
    at.chunk(event("ADDED", pod("c", "12")));
    hold(at);
  };
  auto& pods = start();
  EXPECT_TRUE(told_exactly({"+a", "synced", "+b", "+c"}));
  EXPECT_EQ(lists, 1);
  EXPECT_GE(pods.health().failures, 1U);
}

TEST_F(informer_test, a_watch_that_ends_is_resumed_after_the_last_bookmark) {
  on_watch = [this](int n, const fake_request& asked, fake_connection& at) {
    at.begin_chunks();
    if (n == 0) {
      at.chunk(bookmark("50"));
      return at.end_chunks();
    }
    EXPECT_TRUE(asked.has("resourceVersion=50&"));
    hold(at);
  };
  auto& pods = start();
  EXPECT_TRUE(eventually([&] { return watches >= 2; }));
  EXPECT_EQ(lists, 1);
  EXPECT_EQ(pods.health().failures, 0U);
}

TEST_F(informer_test, after_gone_as_a_status_it_lists_again_and_reports_what_it_missed) {
  on_list = [](int n, const fake_request&, fake_connection& at) {
    at.answer(200,
              n == 0 ? list_of({pod("a", "1"), pod("b", "2")}, "10") : list_of({pod("a", "15"), pod("c", "16")}, "20"));
  };
  on_watch = [this](int n, const fake_request&, fake_connection& at) {
    if (n == 0) return at.answer(410, R"({"kind": "Status", "code": 410, "reason": "Expired"})");
    at.begin_chunks();
    hold(at);
  };
  start();
  EXPECT_TRUE(told_exactly({"+a", "+b", "synced", "-b", "~a", "+c"}));
}

TEST_F(informer_test, after_gone_inside_the_stream_it_lists_again) {
  on_watch = [this](int n, const fake_request& asked, fake_connection& at) {
    at.begin_chunks();
    if (n == 0) {
      at.chunk(gone);
      return hold(at);  // the informer leaves
    }
    EXPECT_TRUE(asked.has("resourceVersion=10&"));
    hold(at);
  };
  start();
  EXPECT_TRUE(eventually([&] { return lists == 2 && watches == 2; }));
  EXPECT_TRUE(told_exactly({"+a", "synced"})) << "nothing changed, so nothing is told";
}

TEST_F(informer_test, an_error_never_looks_like_an_empty_list) {
  on_list = [](int n, const fake_request&, fake_connection& at) {
    switch (n) {
      case 0:
        return at.answer(200, list_of({pod("a", "1")}, "10"));
      case 1:
        return at.answer(500, "boom");
      case 2:
        return at.drop();
      case 3:
        return at.answer(200, "{}");
      case 4:
        return at.answer(200, "<html>a proxy's login page</html>");
      case 5:
        return at.answer(403, R"({"kind": "Status", "reason": "Forbidden"})");
      case 6:
        return at.answer(404, "404 page not found");
      default:
        return at.answer(200, list_of({pod("a", "1")}, "30"));
    }
  };
  on_watch = [this](int n, const fake_request&, fake_connection& at) {
    if (n == 0) return at.answer(410, "");
    at.begin_chunks();
    hold(at);
  };
  auto& pods = start();
  EXPECT_TRUE(eventually([&] {
    EXPECT_TRUE(!pods.has_synced() || pods.size() == 1U);
    return lists >= 8 && watches >= 2;
  }));
  EXPECT_TRUE(told_exactly({"+a", "synced"}));
  EXPECT_GE(pods.health().failures, 6U);
  EXPECT_TRUE(eventually([&] { return pods.health().connected && pods.health().last_error.empty(); }));
}

TEST_F(informer_test, before_the_first_list_it_has_not_synced_and_says_why) {
  on_list = [](int, const fake_request&, fake_connection& at) {
    at.answer(403, R"({"kind": "Status", "message": "may not list"})");
  };
  auto& pods = start();
  EXPECT_TRUE(eventually([&] { return pods.health().failures >= 3; }));
  EXPECT_FALSE(pods.wait_synced(milliseconds{1}));
  EXPECT_FALSE(pods.health().connected);
  EXPECT_NE(pods.health().last_error.find("may not list"), std::string::npos) << pods.health().last_error;
}

TEST_F(informer_test, a_server_that_is_away_is_returned_to) {
  auto& pods = start();
  ASSERT_TRUE(pods.wait_synced(seconds{10}));
  on_watch = [](int, const fake_request&, fake_connection& at) { at.drop(); };
  server->drop_connections();
  EXPECT_TRUE(eventually([&] { return !pods.health().connected; }));
  EXPECT_EQ(pods.size(), 1U);
}

TEST_F(informer_test, garbage_in_the_stream_ends_that_watch_only) {
  on_watch = [this](int n, const fake_request& asked, fake_connection& at) {
    at.begin_chunks();
    if (n == 0) at.chunk("}{ not json\n");
    if (n == 1) at.chunk("[1,2]\n");
    if (n == 2)
      at.chunk(R"({"type": "ADDED", "object": {"metadata": {"name": "no-version"}}})"
               "\n");
    if (n < 3) return hold(at);
    EXPECT_TRUE(asked.has("resourceVersion=10&"));
    at.chunk(event("ADDED", pod("b", "11")));
    hold(at);
  };
  start();
  EXPECT_TRUE(told_exactly({"+a", "synced", "+b"}));
  EXPECT_EQ(lists, 1);
}

TEST_F(informer_test, an_object_replaced_by_another_of_its_name_is_removed_and_added) {
  on_watch = [this](int, const fake_request&, fake_connection& at) {
    at.begin_chunks();
    at.chunk(event("MODIFIED", pod("a", "11", "another-uid-")));
    hold(at);
  };
  start();
  EXPECT_TRUE(told_exactly({"+a", "synced", "-a", "+a"}));
}

TEST_F(informer_test, too_many_requests_is_waited_out_without_a_list) {
  on_watch = [this](int n, const fake_request&, fake_connection& at) {
    if (n == 0) return at.answer(429, "", "Retry-After: 1\r\n");
    at.begin_chunks();
    hold(at);
  };
  const auto started = std::chrono::steady_clock::now();
  start();
  EXPECT_TRUE(eventually([&] { return watches >= 2; }));
  EXPECT_GE(std::chrono::steady_clock::now() - started, seconds{1});
  EXPECT_EQ(lists, 1);
}

TEST_F(informer_test, stops_at_once_in_a_silent_watch_in_a_hanging_list_and_in_a_pause) {
  auto& watching = start();
  ASSERT_TRUE(watching.wait_synced(seconds{10}));
  ASSERT_TRUE(eventually([&] { return watches >= 1; }));
  const auto started = std::chrono::steady_clock::now();
  watching.stop();
  on_list = [this](int, const fake_request&, fake_connection& at) { hold(at); };
  const auto before = lists.load();
  auto& listing = start();
  ASSERT_TRUE(eventually([&] { return lists > before; }));
  listing.stop();
  EXPECT_LT(std::chrono::steady_clock::now() - started, seconds{5});
}

TEST_F(informer_test, resync_tells_of_everything_again) {
  on_watch = [](int, const fake_request&, fake_connection& at) {
    at.begin_chunks();
    at.chunk(bookmark("10"));
    at.end_chunks();
  };
  start({.resync = seconds{1}});
  EXPECT_TRUE(eventually([&] { return all_told().size() >= 3; }));
  EXPECT_EQ(all_told().at(2), "~a");
}

TEST(object_store, a_list_replaces_all_and_tells_the_difference) {
  const auto make = [](const std::string& name, const std::string& version) {
    return std::make_shared<const json>(pod(name, version));
  };
  object_store store;
  EXPECT_EQ(store.replace({make("a", "1"), make("b", "2")}).size(), 2U);
  EXPECT_TRUE(store.replace({make("a", "1"), make("b", "2")}).empty());
  const auto changes = store.replace({make("b", "3"), make("c", "4")});
  ASSERT_EQ(changes.size(), 3U);
  EXPECT_FALSE(changes[0].now) << "removals first";
  EXPECT_EQ(store.list().size(), 2U);
  EXPECT_TRUE(store.erase(make("unknown", "5")).empty());
}

}  // namespace
}  // namespace orrery::kube
