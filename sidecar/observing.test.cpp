// What operators see of processes through real sidecars, from any node of the mesh.
#include "sidecar/testing/local_mesh.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <csignal>
#include <thread>

namespace orrery::sidecar {
namespace {

namespace observing {

using namespace std::chrono_literals;
using fixtures::local_mesh;
using nlohmann::json;
using ::testing::HasSubstr;

constexpr const char* classes = R"(  - {name: counter, version: 1, behaviour: {builtin: counter}}
  - name: cart
    behaviour:
      lua:
        script: |
          return {
            init = function(key) return {n = 0} end,
            call = {
              add = function(state, argument) state.n = state.n + argument; return state.n end,
              crash = function(state, argument) state.n = -1; error("boom") end,
              toil = function(state, argument) for i = 1, argument do local _ = i end end,
            },
          }
)";

class observed_mesh : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    mesh_ = std::make_unique<local_mesh>(
        fixtures::local_mesh_options{.binary = ORRERY_SIDECAR_BINARY, .nodes = 3, .classes = classes});
    ASSERT_TRUE(mesh_->wait_ready(20s)) << mesh_->log(0);
  }
  static void TearDownTestSuite() { mesh_.reset(); }

  static json call(std::size_t node, const std::string& name, const std::string& method,
                   const std::string& argument = {}) {
    return json::parse(mesh_->ask(node, "POST", "/v1/processes/" + name + "/call/" + method, argument).body, nullptr,
                       false);
  }
  static json get(std::size_t node, const std::string& target) {
    return json::parse(mesh_->ask(node, "GET", target, {}, 15s).body, nullptr, false);
  }
  /// A process that runs on that node.
  static std::string on(std::size_t node, const std::string& klass, const std::string& prefix) {
    for (int i = 0; i < 200; ++i) {
      const auto name = klass + "/" + prefix + std::to_string(i);
      call(0, name, "add", "0");
      if (get(0, "/v1/processes/" + name).value("node", "") == mesh_->name(node)) return name;
    }
    ADD_FAILURE() << "no key lands on node " << node;
    return {};
  }
  /// The events of a stream that ended by itself.
  static std::vector<std::pair<std::string, json>> events_of(const std::string& raw) {
    std::vector<std::pair<std::string, json>> all;
    for (auto at = raw.find("event: "); at != std::string::npos; at = raw.find("event: ", at)) {
      const auto type_end = raw.find('\n', at);
      const auto data = raw.find("data: ", type_end) + 6;
      all.emplace_back(raw.substr(at + 7, type_end - at - 7),
                       json::parse(raw.substr(data, raw.find('\n', data) - data), nullptr, false));
      at = data;
    }
    return all;
  }

  static std::unique_ptr<local_mesh> mesh_;
};
std::unique_ptr<local_mesh> observed_mesh::mesh_;

TEST_F(observed_mesh, a_process_is_suspended_and_resumed_from_any_node) {
  const auto name = on(2, "counter", "suspended");
  call(0, name, "add", "1");
  EXPECT_EQ(mesh_->ask(0, "POST", "/v1/processes/" + name + "/suspend").status, 200);
  EXPECT_EQ(mesh_->ask(1, "POST", "/v1/processes/" + name + "/cast/add", "4").status, 202);
  std::thread caller([&] { EXPECT_EQ(call(1, name, "add", "10"), 15) << "its call waited"; });
  EXPECT_TRUE(local_mesh::eventually(5s, [&] { return get(1, "/v1/processes/" + name).value("mailbox", 0) == 2; }));
  const auto seen = get(1, "/v1/processes/" + name);
  EXPECT_EQ(seen["state"], "suspended");
  EXPECT_GT(seen["oldestSeconds"], 0.0);
  EXPECT_THAT(mesh_->ask_admin(2, "/metrics").body, HasSubstr("orrery_processes_suspended{class=\"counter\"} 1"));
  EXPECT_EQ(mesh_->ask(1, "POST", "/v1/processes/" + name + "/resume").status, 200);
  caller.join();
  EXPECT_EQ(get(0, "/v1/processes/" + name)["state"], "running");
}

TEST_F(observed_mesh, a_state_is_read_and_replaced_from_any_node) {
  const auto name = on(1, "cart", "state");
  call(0, name, "add", "5");
  const auto read = mesh_->ask(2, "GET", "/v1/processes/" + name + "/state");
  EXPECT_EQ(json::parse(read.body), (json{{"n", 5}}));
  EXPECT_THAT(read.head, HasSubstr("ETag: \""));
  EXPECT_EQ(mesh_->ask(2, "PUT", "/v1/processes/" + name + "/state", R"({"n": 40})").status, 200);
  EXPECT_EQ(call(0, name, "add", "2"), 42);
  EXPECT_EQ(mesh_->ask(2, "GET", "/v1/processes/cart/nobody-asked-for-this/state").status, 404);
}

TEST_F(observed_mesh, a_trace_crosses_nodes_and_ends_at_its_limit) {
  const auto name = on(2, "counter", "traced");
  std::string seen;
  std::thread reader([&] {
    seen =
        mesh_->send_raw(0, "GET /v1/processes/" + name + "/trace?limit=3&seconds=20 HTTP/1.1\r\nHost: localhost\r\n\r\n", 20s);
  });
  EXPECT_TRUE(local_mesh::eventually(
      5s, [&] { return mesh_->ask_admin(2, "/metrics").body.find("orrery_traces_active 1") != std::string::npos; }));
  for (int i = 0; i < 5; ++i)
    call(1, name, "add", "7");
  reader.join();
  const auto events = events_of(seen);
  ASSERT_EQ(events.size(), 5U) << seen;
  EXPECT_EQ(events[0].first, "tracing");
  EXPECT_EQ(events[0].second["node"], mesh_->name(2));
  EXPECT_EQ(events[1].first, "message");
  EXPECT_EQ(events[1].second["method"], "add");
  EXPECT_EQ(events[1].second["argument"], "7");
  EXPECT_EQ(events[3].second["answer"], "21");
  EXPECT_GT(events[1].second["tookSeconds"], 0.0);
  EXPECT_EQ(events[4].first, "ended");
  EXPECT_EQ(events[4].second["reason"], "limit");
  EXPECT_TRUE(local_mesh::eventually(
      5s, [&] { return mesh_->ask_admin(2, "/metrics").body.find("orrery_traces_active 0") != std::string::npos; }));
}

TEST_F(observed_mesh, a_trace_ends_at_its_owner_when_its_reader_goes) {
  const auto name = on(1, "counter", "left");
  static_cast<void>(mesh_->send_raw(0, "GET /v1/processes/" + name + "/trace HTTP/1.1\r\nHost: localhost\r\n\r\n", 300ms));
  EXPECT_TRUE(local_mesh::eventually(
      5s, [&] { return mesh_->ask_admin(1, "/metrics").body.find("orrery_traces_active 0") != std::string::npos; }));
  EXPECT_EQ(mesh_->ask(0, "GET", "/v1/processes/nope/x/trace").status, 404);
}

TEST_F(observed_mesh, the_greatest_processes_of_all_nodes_are_found_from_any) {
  const auto busy = on(1, "cart", "busy");
  const auto full = on(2, "counter", "full");
  EXPECT_EQ(mesh_->ask(0, "POST", "/v1/processes/" + full + "/suspend").status, 200);
  for (int i = 0; i < 3; ++i)
    static_cast<void>(mesh_->ask(0, "POST", "/v1/processes/" + full + "/cast/add"));
  json by_mailbox;
  EXPECT_TRUE(local_mesh::eventually(5s, [&] {
    by_mailbox = get(0, "/v1/top?by=mailbox");
    return !by_mailbox["processes"].empty() && by_mailbox["processes"][0]["mailbox"] == 3;
  })) << by_mailbox;
  EXPECT_EQ("counter/" + by_mailbox["processes"][0]["key"].get<std::string>(), full);
  EXPECT_EQ(by_mailbox["unreachable"], json::array());
  json by_work;
  EXPECT_TRUE(local_mesh::eventually(10s, [&] {
    call(0, busy, "toil", "200000");
    by_work = get(0, "/v1/top?by=reductions&limit=1");
    return by_work["processes"].size() == 1U && by_work["processes"][0]["class"] == "cart";
  })) << by_work;
  EXPECT_EQ("cart/" + by_work["processes"][0]["key"].get<std::string>(), busy);
  EXPECT_GT(by_work["processes"][0]["reductionsPerSecond"], 1000.0);
  EXPECT_EQ(mesh_->ask(0, "POST", "/v1/processes/" + full + "/resume").status, 200);
}

TEST_F(observed_mesh, a_crash_is_remembered_with_the_line_the_message_and_the_state) {
  const auto name = on(1, "cart", "crashes");
  call(0, name, "add", "3");
  call(0, name, "crash", R"({"why": "test"})");
  const auto key = name.substr(name.find('/') + 1);
  const auto found = get(2, "/v1/crashes?class=cart&key=" + key);
  ASSERT_EQ(found["crashes"].size(), 1U) << found;
  const auto crash = found["crashes"][0];
  EXPECT_EQ(crash["node"], mesh_->name(1));
  EXPECT_THAT(crash["reason"].get<std::string>(), HasSubstr("boom"));
  EXPECT_GT(crash["line"], 0);
  EXPECT_EQ(crash["message"]["method"], "crash");
  EXPECT_EQ(crash["message"]["argument"], R"({"why":"test"})");
  EXPECT_EQ(crash["state"], R"({"n":-1})");
  EXPECT_EQ(crash["decision"], "restarted");
  const auto age = std::time(nullptr) - [&] {
    std::tm at{};
    strptime(crash["at"].get<std::string>().c_str(), "%Y-%m-%dT%H:%M:%S", &at);
    return timegm(&at);
  }();
  EXPECT_LT(std::abs(age), 60) << crash["at"];
  EXPECT_THAT(mesh_->ask_admin(1, "/metrics").body, HasSubstr("orrery_crash_reports_total{decision=\"restarted\"} "));
}

}  // namespace observing

}  // namespace
}  // namespace orrery::sidecar
