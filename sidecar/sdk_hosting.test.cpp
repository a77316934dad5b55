// Classes that an app hosts, against real sidecars: the app is this test.
#include "sidecar/testing/sdk_mesh.hpp"

#include <gmock/gmock.h>

#include <atomic>
#include <thread>

namespace orrery::sidecar {
namespace {

using ::testing::HasSubstr;

constexpr const char* cart_class = R"(  - name: cart
    version: 3
    behaviour: {app: {handlerTimeout: 2s, waitForApp: 1s}}
    callTimeout: 5s
)";

json registration(int concurrency = 64) {
  return {{"type", "register"},        {"class", "cart"},       {"calls", {"add", "get", "boom", "slow"}},
          {"casts", {"note"}},         {"callbacks", {"init"}}, {"stateVersion", 1},
          {"concurrency", concurrency}};
}

/// What a cart does: counts.
std::optional<json> handle(const json& work) {
  const auto callback = work.value("callback", "");
  if (callback == "init") return json{{"state", 0}};
  const auto method = work.value("method", "");
  if (method == "boom") return json{{"crash", {{"text", "KeyError: 'x'"}}}};
  if (method == "slow") return std::nullopt;
  const int count = work["state"].get<int>() + (method == "get" ? 0 : work["argument"].get<int>());
  return json{{"reply", count}, {"state", count}};
}

/// An app in a thread, until it is destroyed.
class app {
 public:
  explicit app(const std::string& at, const json& registers = registration()) : client_(at) {
    registered_ = client_.ask(registers);
    thread_ = std::thread([this] {
      client_.serve(
          [this](const json& work) {
            ++handled_;
            return handle(work);
          },
          [this] { return !stop_; });
      client_.hang_up();
    });
  }
  ~app() {
    stop_ = true;
    thread_.join();
  }
  app(const app&) = delete;
  app& operator=(const app&) = delete;
  [[nodiscard]] const json& registered() const { return registered_; }
  [[nodiscard]] int handled() const { return handled_; }

 private:
  sdk_client client_;
  json registered_;
  std::atomic<bool> stop_{false};
  std::atomic<int> handled_{0};
  std::thread thread_;
};

class sdk_hosting : public sdk_mesh {
 protected:
  [[nodiscard]] std::string at(std::size_t node = 0) const { return "unix:" + mesh_->sdk_socket(node); }
};

TEST_F(sdk_hosting, an_apps_processes_answer_over_http_and_over_the_socket) {
  form(1, cart_class);
  EXPECT_EQ(metric(0, "orrery_classes_unhosted"), "1");
  const app hosting(at());
  EXPECT_EQ(hosting.registered()["ok"], (json{{"state", "ready"}, {"classVersion", 3}}));
  EXPECT_EQ(metric(0, "orrery_classes_unhosted"), "0");
  EXPECT_EQ(mesh_->ask(0, "POST", "/v1/processes/cart/ada/call/add", "2").body, "2\n");
  auto client = dial();
  EXPECT_EQ(client.ask(a_call("cart/ada", "add", 3))["ok"], 5);
  EXPECT_EQ(client.ask(a_call("cart/bob", "get"))["ok"], 0);
  EXPECT_EQ(client.ask({{"type", "classes"}})["ok"]["classes"][0]["behaviour"], "app");
  EXPECT_EQ(metric(0, "orrery_app_registrations"), "1");
  EXPECT_EQ(metric(0, "orrery_app_work_total"), "5");
}

TEST_F(sdk_hosting, a_handler_that_throws_is_a_crash_of_its_process_alone) {
  form(1, cart_class);
  const app hosting(at());
  auto client = dial();
  EXPECT_EQ(client.ask(a_call("cart/ada", "add", 2))["ok"], 2);
  EXPECT_EQ(client.ask(a_call("cart/bob", "add", 7))["ok"], 7);
  const auto crashed = client.ask(a_call("cart/ada", "boom"));
  EXPECT_EQ(crashed["error"]["code"], "process_exited");
  EXPECT_EQ(crashed["error"]["effect"], "unknown");
  EXPECT_THAT(crashed["error"]["text"].get<std::string>(), HasSubstr("KeyError: 'x'"));
  EXPECT_EQ(client.ask(a_call("cart/ada", "get"))["ok"], 0);
  EXPECT_EQ(client.ask(a_call("cart/bob", "get"))["ok"], 7);
}

TEST_F(sdk_hosting, a_handler_that_takes_too_long_ends_its_process_and_its_app_hears_of_it) {
  form(1, cart_class);
  sdk_client hosting(at());
  ASSERT_TRUE(hosting.ask(registration()).contains("ok"));
  auto client = dial();
  const auto id = client.begin(a_call("cart/ada", "slow"));
  const auto init = hosting.receive_type("work");
  ASSERT_TRUE(init);
  hosting.send({{"type", "done"}, {"work", (*init)["work"]}});
  const auto slow = hosting.receive_type("work");
  ASSERT_TRUE(slow);
  EXPECT_EQ((*slow)["timeoutMs"], 2000);
  const auto cancelled = hosting.receive_type("cancel");
  ASSERT_TRUE(cancelled);
  EXPECT_EQ((*cancelled)["work"], (*slow)["work"]);
  EXPECT_EQ(client.result(id)["error"]["code"], "limit_exceeded");
  EXPECT_EQ(metric(0, "orrery_app_work_failed_total{reason=\"deadline\"}"), "1");
}

TEST_F(sdk_hosting, an_app_that_dies_takes_what_it_had_and_the_rest_waits_for_the_next) {
  form(1, cart_class);
  auto client = dial();
  {
    const app hosting(at());
    EXPECT_EQ(client.ask(a_call("cart/idle", "add", 4))["ok"], 4);
  }
  std::vector<std::uint64_t> lost;
  {
    sdk_client hosting(at());
    ASSERT_TRUE(hosting.ask(registration()).contains("ok"));
    for (int i = 0; i < 8; ++i)
      lost.push_back(client.begin(a_call("cart/busy" + std::to_string(i), "get")));
    for (int i = 0; i < 8; ++i) {
      const auto init = hosting.receive_type("work");
      ASSERT_TRUE(init);
      hosting.send({{"type", "done"}, {"work", (*init)["work"]}, {"state", 0}});
    }
    for (int i = 0; i < 8; ++i)
      ASSERT_TRUE(hosting.receive_type("work"));
  }
  const auto waits = client.begin(a_call("cart/idle", "get"));
  for (const auto id : lost) {
    const auto answer = client.result(id);
    EXPECT_EQ(answer["error"]["code"], "unavailable") << answer;
    EXPECT_EQ(answer["error"]["effect"], "unknown");
  }
  const app again(at());
  EXPECT_EQ(client.result(waits)["ok"], 4) << "its state is as it was";
  EXPECT_EQ(client.ask(a_call("cart/busy3", "get"))["ok"], 0);
}

TEST_F(sdk_hosting, without_an_app_calls_are_refused_after_a_while_and_nothing_was_executed) {
  form(1, cart_class);
  auto client = dial();
  EXPECT_TRUE(local_mesh::eventually(5s, [&] {
    const auto refused = client.ask(a_call("cart/ada", "get"));
    return refused["error"]["code"] == "unavailable" && refused["error"]["effect"] == "not_executed";
  }));
  const app hosting(at());
  EXPECT_EQ(client.ask(a_call("cart/ada", "get"))["ok"], 0);
}

TEST_F(sdk_hosting, a_rolling_restart_of_the_app_under_load_loses_no_call) {
  form(1, cart_class);
  auto client = dial();
  auto old = std::make_unique<sdk_client>(at());
  ASSERT_TRUE(old->ask(registration(8)).contains("ok"));
  std::atomic<bool> drained{false};
  std::atomic<bool> drain{false};
  std::thread old_thread([&] {
    old->serve(handle, [&] { return !drain; });
    old->begin({{"type", "drain"}});
    while (const auto got = old->receive()) {
      if ((*got)["type"] == "result") {
        drained = got->contains("ok");
        break;
      }
      if ((*got)["type"] != "work") continue;
      auto answer = *handle(*got);
      answer["type"] = "done";
      answer["work"] = (*got)["work"];
      old->send(answer);
    }
    old->hang_up();
  });
  std::vector<std::uint64_t> ids;
  std::unique_ptr<app> fresh;
  for (int i = 0; i < 400; ++i) {
    if (i == 150) fresh = std::make_unique<app>(at());
    if (i == 200) drain = true;
    ids.push_back(client.begin(a_call("cart/k" + std::to_string(i % 20), "add", 1)));
  }
  for (const auto id : ids)
    ASSERT_TRUE(client.result(id).contains("ok"));
  EXPECT_TRUE(local_mesh::eventually(5s, [&] { return drained.load(); }));
  old_thread.join();
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(client.ask(a_call("cart/k" + std::to_string(i), "get"))["ok"], 20);
  EXPECT_GT(fresh->handled(), 0);
}

TEST_F(sdk_hosting, processes_move_between_apps_of_two_nodes_when_one_drains) {
  form(2, cart_class);
  const app here(at(0));
  const app there(at(1));
  auto client = dial(1);
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(client.ask(a_call("cart/k" + std::to_string(i), "add", i))["ok"], i);
  EXPECT_GT(here.handled(), 0);
  EXPECT_GT(there.handled(), 0);
  mesh_->signal(0, SIGTERM);
  EXPECT_EQ(mesh_->wait_exit(0, 10s), 0);
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(client.ask(a_call("cart/k" + std::to_string(i), "get"))["ok"], i);
}

TEST_F(sdk_hosting, an_answer_that_cannot_be_taken_is_told_to_the_app_and_to_the_caller) {
  form(1, cart_class);
  sdk_client hosting(at());
  ASSERT_TRUE(hosting.ask(registration()).contains("ok"));
  auto client = dial();
  const auto id = client.begin(a_call("cart/ada", "get"));
  const auto init = hosting.receive_type("work");
  ASSERT_TRUE(init);
  hosting.send({{"type", "done"}, {"work", (*init)["work"]}});
  const auto get = hosting.receive_type("work");
  ASSERT_TRUE(get);
  hosting.send({{"type", "done"}, {"work", (*get)["work"]}, {"reply", std::string(2U << 20U, 'x')}});
  const auto refused = hosting.receive_type("refused");
  ASSERT_TRUE(refused);
  EXPECT_EQ((*refused)["error"]["code"], "too_large");
  const auto answer = client.result(id);
  EXPECT_EQ(answer["error"]["code"], "limit_exceeded");
  EXPECT_THAT(answer["error"]["text"].get<std::string>(), HasSubstr("at most 1048576"));
}

}  // namespace
}  // namespace orrery::sidecar
