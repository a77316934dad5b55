#include "sidecar/testing/local_mesh.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <csignal>
#include <fstream>
#include <future>

namespace orrery::sidecar {
namespace {

using namespace std::chrono_literals;
using fixtures::local_mesh;
using nlohmann::json;
using testing::HasSubstr;
using testing::StartsWith;

constexpr const char* counter_class = "  - {name: counter, version: 1, behaviour: {builtin: counter}}\n";
constexpr const char* kv_class = "  - {name: kv, version: 1, behaviour: {builtin: kv}}\n";
constexpr const char* script_class = R"(  - name: cart
    behaviour:
      lua:
        script: |
          return {
            init = function(key) return {n = 0} end,
            call = {
              add = function(state, argument) state.n = state.n + argument; return state.n, state end,
              crash = function(state, argument) error("boom") end,
              forever = function(state, argument) while true do end end,
            },
          }
)";
/// Two crashes end the node.
constexpr const char* fragile_class =
    "  - {name: fragile, behaviour: {builtin: counter}, supervision: {intensity: 1, period: 60s, escalate: Node}}\n";

class sidecar_mesh : public ::testing::Test {
 protected:
  void form(std::size_t nodes = 3, const std::string& classes = counter_class) {
    mesh_ = std::make_unique<local_mesh>(
        fixtures::local_mesh_options{.binary = ORRERY_SIDECAR_BINARY, .nodes = nodes, .classes = classes});
    ASSERT_TRUE(mesh_->wait_ready(10s)) << mesh_->log(0) << mesh_->ask_admin(0, "/readyz").body;
  }
  json call(std::size_t node, const std::string& name, const std::string& method,
            const std::string& argument = {}) const {
    const auto got = mesh_->ask(node, "POST", "/v1/processes/" + name + "/call/" + method, argument);
    last_status_ = got.status;
    return json::parse(got.body, nullptr, false);
  }
  json get(std::size_t node, const std::string& target) const {
    const auto got = mesh_->ask(node, "GET", target);
    last_status_ = got.status;
    return json::parse(got.body, nullptr, false);
  }
  /// A key whose process runs on that node.
  std::string key_on(std::size_t node, const std::string& klass = "counter") const {
    for (int i = 0; i < 200; ++i) {
      const auto name = klass + "/k" + std::to_string(i);
      call(0, name, "add", "0");
      if (get(0, "/v1/processes/" + name).value("node", "") == mesh_->name(node)) return name;
    }
    ADD_FAILURE() << "no key lands on node " << node;
    return {};
  }
  void TearDown() override {
    if (!HasFailure() || !mesh_) return;
    for (std::size_t i = 0; i < mesh_->size(); ++i)
      std::cerr << "--- " << mesh_->name(i) << "\n" << mesh_->log(i);
  }

  std::unique_ptr<local_mesh> mesh_;
  mutable int last_status_ = 0;
};

TEST_F(sidecar_mesh, a_process_is_the_same_from_every_node) {
  form();
  EXPECT_EQ(call(0, "counter/a", "add", "5"), 5);
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_EQ(call(i, "counter/a", "get"), 5) << i;
  const auto nodes = get(1, "/v1/nodes")["nodes"];
  EXPECT_EQ(nodes.size(), 3U);
  const auto processes = get(2, "/v1/processes");
  EXPECT_EQ(processes["processes"].size(), 1U);
  EXPECT_EQ(processes["unreachable"].size(), 0U);
  EXPECT_EQ(get(0, "/v1/classes")["classes"][0]["name"], "counter");
  EXPECT_EQ(get(0, "/v1/tree")["nodes"].size(), 3U);
}

TEST_F(sidecar_mesh, a_receiver_that_waits_at_one_node_gets_what_another_node_puts_into_the_queue) {
  form(3, "  - {name: jobs, behaviour: {builtin: queue, options: {visibilitySeconds: 60}}}\n");
  EXPECT_EQ(get(0, "/v1/classes")["classes"][0]["options"]["visibilitySeconds"], 60);
  auto waiting = std::async(std::launch::async, [&] {
    return mesh_->ask(0, "POST", "/v1/processes/jobs/mails/call/receive", R"({"waitSeconds": 4})").body;
  });
  EXPECT_TRUE(local_mesh::eventually(4s, [&] { return call(1, "jobs/mails", "stats")["waiting"] == 1; }));
  EXPECT_EQ(call(2, "jobs/mails", "enqueue", R"({"value": "hello"})")["id"], 1);
  const auto received = json::parse(waiting.get(), nullptr, false);
  ASSERT_EQ(received.size(), 1U) << received;
  EXPECT_EQ(received[0]["value"], "hello");
  EXPECT_EQ(call(1, "jobs/mails", "ack", received[0]["receipt"].dump()), true);
}

TEST_F(sidecar_mesh, the_time_of_day_is_known_to_processes) {
  form(1, "  - {name: schedule, behaviour: {builtin: timer}}\n");
  const auto set = call(0, "schedule/a", "cron", R"({"name": "n", "schedule": "@yearly", "to": "c/k", "method": "m"})");
  const std::chrono::year_month_day today{std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now())};
  const auto year = std::to_string(static_cast<int>(today.year()) + 1);
  EXPECT_EQ(set["next"].get<std::string>().substr(0, 4), year) << set;
}

TEST_F(sidecar_mesh, a_killed_process_is_restarted_and_its_siblings_never_notice) {
  form();
  EXPECT_EQ(call(0, "counter/a", "add", "5"), 5);
  EXPECT_EQ(call(0, "counter/b", "add", "7"), 7);
  EXPECT_EQ(mesh_->ask(1, "POST", "/v1/processes/counter/a/kill").status, 200);
  EXPECT_EQ(call(2, "counter/a", "get"), 0);
  EXPECT_EQ(call(2, "counter/b", "get"), 7);
  EXPECT_EQ(get(0, "/v1/processes/counter/a")["restarts"], 1);
  EXPECT_EQ(mesh_->ask(0, "DELETE", "/v1/processes/counter/b").status, 200);
  EXPECT_EQ(mesh_->ask(0, "DELETE", "/v1/processes/counter/b").status, 404);
  EXPECT_EQ(mesh_->ask(0, "GET", "/v1/processes/counter/b").status, 404);
}

TEST_F(sidecar_mesh, when_a_node_is_killed_the_others_answer_for_it_within_2_seconds) {
  form();
  const auto name = key_on(2);
  call(0, name, "add", "5");
  mesh_->signal(2, SIGKILL);
  const auto began = std::chrono::steady_clock::now();
  EXPECT_TRUE(local_mesh::eventually(5s, [&] {
    call(0, name, "get");
    return last_status_ == 200;
  }));
  EXPECT_LT(std::chrono::steady_clock::now() - began, 2s);
  EXPECT_EQ(mesh_->wait_exit(2, 1s), 128 + SIGKILL);
  EXPECT_TRUE(local_mesh::eventually(5s, [&] {
    const auto nodes = get(0, "/v1/nodes")["nodes"];
    return std::none_of(nodes.begin(), nodes.end(),
                        [&](const json& each) { return each["name"] == mesh_->name(2) && each["state"] == "up"; });
  }));
  mesh_->start(2);
  EXPECT_TRUE(mesh_->wait_ready(10s)) << mesh_->log(2);
}

TEST_F(sidecar_mesh, a_backlog_of_long_work_does_not_silence_its_node) {
  form(3, R"(  - name: work
    behaviour:
      lua:
        script: |
          return {
            call = {
              fan = function(state, n) for i = 1, n do orrery.cast("work/" .. i % 50, "toil") end end,
              done = function(state) return state.n or 0 end,
            },
            cast = {toil = function(state) for i = 1, 300000 do local _ = i end; state.n = (state.n or 0) + 1 end},
          }
)");
  call(0, "work/fan", "fan", "1800");  // over a second of work for every node; 1 s of silence, and one is down
  EXPECT_EQ(last_status_, 200);
  json toiled = 0;
  EXPECT_TRUE(local_mesh::eventually(60s, [&] { return (toiled = call(1, "work/7", "done")) == 36; })) << toiled;
  const auto nodes = get(2, "/v1/nodes")["nodes"];
  std::size_t processes = 0;
  for (const auto& each : nodes)
    processes += each["processes"].get<std::size_t>();
  EXPECT_EQ(processes, 51U) << nodes;
  for (std::size_t i = 0; i < mesh_->size(); ++i)
    EXPECT_THAT(mesh_->log(i), ::testing::Not(HasSubstr("node_down"))) << i;
}

TEST_F(sidecar_mesh, a_terminated_node_hands_its_processes_over_with_their_state) {
  form();
  const auto name = key_on(1);
  ASSERT_EQ(call(0, name, "add", "42"), 42);
  mesh_->signal(1, SIGTERM);
  EXPECT_EQ(mesh_->wait_exit(1, 10s), 0) << mesh_->log(1);
  EXPECT_EQ(call(0, name, "get"), 42);
  EXPECT_EQ(call(2, name, "get"), 42);
  EXPECT_THAT(mesh_->log(1), HasSubstr("\"drained\""));
}

TEST_F(sidecar_mesh, a_lone_node_ends_at_once_when_terminated_and_a_second_signal_is_not_needed) {
  form(1);
  call(0, "counter/a", "add", "1");
  mesh_->signal(0, SIGTERM);
  EXPECT_EQ(mesh_->wait_exit(0, 7s), 0) << mesh_->log(0);
}

TEST_F(sidecar_mesh, a_new_class_is_there_without_a_restart_and_a_broken_configuration_changes_nothing) {
  form();
  call(0, "kv/x", "get");
  EXPECT_EQ(last_status_, 404);
  mesh_->write_config(std::string(counter_class) + kv_class);
  EXPECT_TRUE(local_mesh::eventually(5s, [&] {
    for (std::size_t i = 0; i < 3; ++i) {
      if (get(i, "/v1/classes")["classes"].size() != 2U) return false;
    }
    return true;
  }));
  call(0, "kv/x", "put", R"({"key": "a", "value": [1]})");
  EXPECT_EQ(last_status_, 200);
  EXPECT_EQ(call(1, "kv/x", "get", R"("a")"), json::array({1}));
  mesh_->write_config("  - {name: counter, behaviour: {builtin: nonsense}}\n");
  EXPECT_TRUE(local_mesh::eventually(5s, [&] { return mesh_->log(0).find("nonsense") != std::string::npos; }));
  EXPECT_EQ(call(2, "kv/x", "get", R"("a")"), json::array({1}));
}

TEST_F(sidecar_mesh, a_script_that_crashes_or_loops_ends_its_own_process_only) {
  form(2, script_class);
  EXPECT_EQ(call(0, "cart/a", "add", "2"), 2);
  const auto crash = call(0, "cart/a", "crash");
  EXPECT_GE(last_status_, 500);
  EXPECT_THAT(crash.value("detail", ""), HasSubstr("boom"));
  call(0, "cart/b", "forever");
  EXPECT_GE(last_status_, 500);
  EXPECT_EQ(call(1, "cart/c", "add", "1"), 1);
  EXPECT_EQ(call(1, "cart/a", "add", "1"), 1) << "a crash starts afresh";
}

TEST_F(sidecar_mesh, a_new_certificate_is_used_without_a_restart_and_a_broken_one_is_not) {
  form(2);
  const auto before = mesh_->ask_admin(0, "/metrics").body;
  mesh_->issue_certificate(0, std::chrono::hours{20});
  EXPECT_TRUE(local_mesh::eventually(5s, [&] {
    return mesh_->ask_admin(0, "/metrics").body.find("orrery_certificate_reloads_total{result=\"accepted\"}") !=
           std::string::npos;
  }));
  const auto line = [](const std::string& text) {
    const auto at = text.find("\norrery_cert_expiry_timestamp_seconds");
    return text.substr(at, text.find('\n', at + 1) - at);
  };
  EXPECT_NE(line(before), line(mesh_->ask_admin(0, "/metrics").body));
  std::ofstream(mesh_->directory(0) / "tls" / "tls.crt") << "garbage";
  EXPECT_TRUE(local_mesh::eventually(
      5s, [&] { return mesh_->log(0).find("the changed certificate is refused") != std::string::npos; }));
  EXPECT_EQ(mesh_->ask_admin(0, "/readyz").status, 200);
}

TEST_F(sidecar_mesh, a_supervisor_that_gives_up_ends_the_node_with_exit_code_70) {
  form(2, fragile_class);
  const auto name = key_on(1, "fragile");
  for (int i = 0; i < 3; ++i) {
    static_cast<void>(mesh_->ask(1, "POST", "/v1/processes/" + name + "/kill"));
    call(1, name, "get");
  }
  EXPECT_EQ(mesh_->wait_exit(1, 10s), 70) << mesh_->log(1);
  EXPECT_THAT(mesh_->log(1), HasSubstr("escalated"));
  EXPECT_THAT(mesh_->last_word(1), HasSubstr("fragile"));
}

TEST_F(sidecar_mesh, a_supervisor_that_gives_up_on_the_pod_ends_the_node_with_exit_code_71_and_its_reason) {
  form(1, std::string(fragile_class).replace(std::string(fragile_class).find("Node"), 4, "Pod"));
  call(0, "fragile/a", "add", "1");
  for (int i = 0; i < 2; ++i)
    static_cast<void>(mesh_->ask(0, "POST", "/v1/processes/fragile/a/kill"));
  EXPECT_EQ(mesh_->wait_exit(0, 10s), 71) << mesh_->log(0);
  EXPECT_THAT(mesh_->last_word(0), HasSubstr("fragile"));
}

TEST_F(sidecar_mesh, bad_requests_get_problems_and_cost_the_node_nothing) {
  form(1);
  const auto not_json = mesh_->ask(0, "POST", "/v1/processes/counter/a/call/add", "{oops");
  EXPECT_EQ(not_json.status, 400);
  EXPECT_THAT(not_json.head, HasSubstr("application/problem+json"));
  EXPECT_EQ(mesh_->ask(0, "POST", "/v1/processes/counter/a/call/nonsense").status, 404);
  EXPECT_EQ(mesh_->ask(0, "POST", "/v1/processes/nope/a/call/add").status, 404);
  EXPECT_EQ(mesh_->ask(0, "GET", "/v1/processes/counter/%zz").status, 400);
  EXPECT_EQ(mesh_->ask(0, "PUT", "/v1/nodes").status, 405);
  EXPECT_EQ(mesh_->ask(0, "POST", "/v1/processes/counter/a/call/add", "\"text\"").status, 400);
  EXPECT_THAT(
      mesh_->send_raw(0, "POST / HTTP/1.1\r\nContent-Length: 104857600\r\n\r\n" + std::string(8U << 20U, 'x'), 5s),
      StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(mesh_->send_raw(0, std::string(1000, '\xff') + "\r\n\r\n", 5s), StartsWith("HTTP/1.1 400"));
  EXPECT_EQ(call(0, "counter/a", "add", "1"), 1);
  EXPECT_EQ(mesh_->ask_admin(0, "/healthz").status, 200);
}

TEST_F(sidecar_mesh, garbage_on_the_mesh_port_is_counted_and_changes_nothing) {
  form(2);
  for (int i = 0; i < 20; ++i) {
    static_cast<void>(mesh_->send_raw(0, "GET / HTTP/1.1\r\n\r\n" + std::string(10'000, '\x16'), 5s, 3601));
  }
  EXPECT_THAT(mesh_->ask_admin(0, "/metrics").body, HasSubstr("\norrery_inbound_refused_total 20"));
  EXPECT_EQ(mesh_->ask_admin(0, "/readyz").status, 200);
  EXPECT_EQ(call(1, "counter/a", "add", "1"), 1);
}

TEST_F(sidecar_mesh, events_tell_what_happens) {
  form(1);
  call(0, "counter/a", "add", "1");
  std::string seen;
  std::thread reader([&] { seen = mesh_->send_raw(0, "GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 2s); });
  EXPECT_TRUE(local_mesh::eventually(2s, [&] {
    return mesh_->ask_admin(0, "/metrics").body.find("orrery_event_subscribers 1") != std::string::npos;
  }));
  static_cast<void>(mesh_->ask(0, "POST", "/v1/processes/counter/a/kill", R"({"reason": "for a test"})"));
  reader.join();
  EXPECT_THAT(seen, HasSubstr("event: process_exited\ndata: {"));
  EXPECT_THAT(seen, HasSubstr("event: process_restarted\ndata: {"));
  const auto data = seen.find("data: ", seen.find("event: process_restarted"));
  ASSERT_NE(data, std::string::npos) << seen;
  const auto told = json::parse(seen.substr(data + 6, seen.find('\n', data) - data - 6));
  EXPECT_EQ(told["class"], "counter");
  EXPECT_EQ(told["key"], "a");
  EXPECT_EQ(told["node"], mesh_->name(0));
  EXPECT_EQ(told["pid"], get(0, "/v1/processes/counter/a")["pid"]);
  EXPECT_THAT(told["reason"].get<std::string>(), HasSubstr("for a test"));
  EXPECT_THAT(mesh_->ask_admin(0, "/metrics").body, HasSubstr("\norrery_node_step_seconds_count "));
}

TEST_F(sidecar_mesh, what_is_missing_at_the_start_is_named_and_ends_it_with_78) {
  form(1);
  mesh_->signal(0, SIGKILL);
  mesh_->wait_exit(0, 5s);
  std::filesystem::remove(mesh_->directory(0) / "genesis.yaml");
  mesh_->start(0);
  EXPECT_EQ(mesh_->wait_exit(0, 5s), 78);
  EXPECT_THAT(mesh_->log(0), HasSubstr("genesis.yaml: cannot be read: No such file"));
  EXPECT_THAT(mesh_->last_word(0), HasSubstr("genesis.yaml: cannot be read: No such file"));
  std::ofstream(mesh_->directory(0) / "genesis.yaml") << "meshID: abc\n";
  std::ofstream(mesh_->directory(0) / "tls" / "tls.key") << "garbage";
  mesh_->start(0);
  EXPECT_EQ(mesh_->wait_exit(0, 5s), 78);
  EXPECT_THAT(mesh_->log(0), HasSubstr("tls.key"));
  EXPECT_THAT(mesh_->last_word(0), HasSubstr("tls.key"));
}

}  // namespace
}  // namespace orrery::sidecar
