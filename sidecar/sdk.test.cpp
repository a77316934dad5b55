// The SDK protocol against a real sidecar, over real sockets: the client's side.
#include "sidecar/testing/sdk_mesh.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <arpa/inet.h>
#include <filesystem>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace orrery::sidecar {
namespace {

using ::testing::HasSubstr;

constexpr const char* classes = R"(  - {name: counter, version: 1, behaviour: {builtin: counter}}
  - name: sleeper
    behaviour:
      lua:
        script: |
          return {init = function() return {} end,
                  call = {big = function(state, n) return string.rep("x", n) end,
                          spin = function() local n = 0; while true do n = n + 1 end end}}
    limits: {instructions: 400000000}
)";

class sdk_protocol : public sdk_mesh {
 protected:
  void SetUp() override { form(1, classes); }
};

TEST_F(sdk_protocol, serves_calls_over_the_socket_and_over_tcp_in_cbor_and_in_json) {
  int expected = 0;
  for (const bool as_json : {false, true}) {
    for (const auto& at : {"unix:" + mesh_->sdk_socket(0), mesh_->sdk_stream(0)}) {
      sdk_client client(at, as_json);
      EXPECT_EQ(client.welcome()["node"], "demo-0");
      EXPECT_EQ(client.ask(a_call("counter/a", "add", 2))["ok"], expected += 2) << at;
    }
  }
  EXPECT_EQ(metric(0, "orrery_calls_total{class=\"counter\",code=\"ok\"}"), "4");
}

TEST_F(sdk_protocol, serves_the_same_operations_as_http) {
  auto client = dial();
  EXPECT_EQ(client.ask(message("cast", "counter/a", "add", 5))["ok"], json::object());
  EXPECT_EQ(client.ask(a_call("counter/a", "get"))["ok"], 5);
  EXPECT_EQ(client.ask({{"type", "inspect"}, {"class", "counter"}, {"key", "a"}})["ok"]["handled"], 2);
  EXPECT_EQ(client.ask({{"type", "nodes"}})["ok"]["nodes"][0]["name"], "demo-0");
  EXPECT_EQ(client.ask({{"type", "processes"}, {"class", "counter"}})["ok"]["processes"][0]["key"], "a");
  EXPECT_EQ(client.ask({{"type", "classes"}})["ok"]["classes"].size(), 2U);
  EXPECT_EQ(client.ask({{"type", "tree"}, {"local", true}})["ok"]["nodes"][0]["node"], "demo-0");
  EXPECT_EQ(client.ask({{"type", "kill"}, {"class", "counter"}, {"key", "a"}})["ok"]["killed"], true);
  EXPECT_EQ(client.ask(a_call("counter/a", "get"))["ok"], 0);
  EXPECT_EQ(client.ask({{"type", "stop"}, {"class", "counter"}, {"key", "a"}})["ok"]["stopped"], true);
  const auto missing = client.ask({{"type", "inspect"}, {"class", "counter"}, {"key", "a"}});
  EXPECT_EQ(missing["error"]["code"], "not_found");
  EXPECT_EQ(missing["error"]["effect"], "not_executed");
}

TEST_F(sdk_protocol, makes_its_socket_anew_where_somebody_took_it_away) {
  auto before = dial();
  std::filesystem::remove(mesh_->sdk_socket(0));
  ASSERT_TRUE(local_mesh::eventually(10s, [&] { return std::filesystem::is_socket(mesh_->sdk_socket(0)); }));
  auto after = dial();
  EXPECT_EQ(after.ask(a_call("counter/a", "add", 2))["ok"], 2);
  EXPECT_EQ(before.ask(a_call("counter/a", "add", 2))["ok"], 4) << "who is connected notices nothing";
}

TEST_F(sdk_protocol, multiplexes_many_calls_over_one_connection) {
  auto client = dial();
  std::vector<std::uint64_t> ids;
  for (int i = 0; i < 1000; ++i)
    ids.push_back(client.begin(a_call("counter/k" + std::to_string(i % 10), "add", 1)));
  for (const auto id : ids)
    ASSERT_TRUE(client.result(id).contains("ok"));
  EXPECT_EQ(client.ask(a_call("counter/k3", "get"))["ok"], 100);
}

TEST_F(sdk_protocol, follows_events) {
  auto client = dial();
  EXPECT_EQ(client.ask({{"type", "subscribe"}, {"credit", 1}, {"events", {"process_started"}}})["ok"], json::object());
  client.ask(a_call("counter/a", "get"));
  const auto started = client.receive_type("event");
  ASSERT_TRUE(started);
  EXPECT_EQ((*started)["event"], "process_started");
  EXPECT_EQ((*started)["data"]["key"], "a");
  EXPECT_EQ((*started)["data"]["node"], "demo-0");
  client.ask(a_call("counter/b", "get"));
  client.send({{"type", "credit"}, {"id", (*started)["id"]}, {"add", 1}});
  const auto dropped = client.receive_type("event");
  ASSERT_TRUE(dropped);
  EXPECT_EQ((*dropped)["event"], "dropped");
  EXPECT_EQ((*dropped)["data"]["count"], 1);
}

TEST_F(sdk_protocol, refuses_wrong_requests_and_goes_on) {
  auto client = dial();
  EXPECT_EQ(client.ask(a_call("nothing/a", "get"))["error"]["code"], "not_found");
  EXPECT_EQ(client.ask({{"type", "call"}, {"class", "counter"}})["error"]["code"], "invalid_argument");
  EXPECT_EQ(client.ask({{"type", "dance"}})["error"]["code"], "invalid_argument");
  EXPECT_EQ(client.ask(a_call("counter/a", "add", std::string(2U << 20U, 'x')))["error"]["code"], "too_large");
  EXPECT_EQ(client.ask(a_call("counter/a", "get"))["ok"], 0);
}

TEST_F(sdk_protocol, ends_connections_that_send_garbage_and_stays_up) {
  for (const std::string& garbage : {std::string("GET / HTTP/1.1\r\n\r\n"), std::string(70000, '\xff'),
                                     std::string("\0\0\0\x02{]", 6), std::string("\0\0\0\0", 4)}) {
    sdk_client client("unix:" + mesh_->sdk_socket(0), garbage.find('{') != std::string::npos, false);
    client.send_raw(garbage);
    const auto last = client.receive();
    ASSERT_TRUE(last);
    EXPECT_EQ((*last)["type"], "goodbye");
    EXPECT_FALSE(client.receive());
    EXPECT_TRUE(client.at_end());
  }
  EXPECT_EQ(metric(0, "orrery_sdk_stream_connections_ended_total"), "4");
  auto client = dial();
  EXPECT_EQ(client.ask(a_call("counter/a", "get"))["ok"], 0);
}

TEST_F(sdk_protocol, says_goodbye_over_tcp_though_much_waits_for_the_client_and_something_of_its_own_is_unread) {
  const auto at = mesh_->sdk_stream(0);
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int little = 8192;  // else all that is written is with the client, and none can be lost
  ASSERT_EQ(::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof little), 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(at.substr(at.find(':') + 1))));
  ASSERT_EQ(::inet_pton(AF_INET, at.substr(0, at.find(':')).c_str(), &to.sin_addr), 1);
  ASSERT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);  // NOLINT: sockets' own way
  const auto say = [&](const std::string& payload) {
    const std::string frame = std::string("\0\0", 2) + static_cast<char>(payload.size() >> 8U) +
                              static_cast<char>(payload.size() & 0xffU) + payload;
    ASSERT_EQ(::send(fd, frame.data(), frame.size(), MSG_NOSIGNAL), static_cast<ssize_t>(frame.size()));
  };
  std::string came(1U << 20U, '\0');
  say(R"({"type":"hello","version":1})");
  ASSERT_GT(::recv(fd, came.data(), 4096, 0), 0) << "the welcome";
  auto big = a_call("sleeper/s", "big", 100'000);
  big["id"] = 1;
  say(big.dump());
  pollfd readable{fd, POLLIN, 0};
  ASSERT_EQ(::poll(&readable, 1, 5000), 1) << "the answer is on its way";
  say("nonsense");
  ASSERT_TRUE(
      local_mesh::eventually(5s, [&] { return metric(0, "orrery_sdk_stream_connections_ended_total") == "1"; }));
  say("of which nobody reads a word");
  std::size_t size = 0;
  for (ssize_t got = 1; got > 0; size += static_cast<std::size_t>(std::max<ssize_t>(got, 0)))
    got = ::recv(fd, came.data() + size, 4096, 0);
  ::close(fd);
  came.resize(size);
  EXPECT_GT(size, 100'000U);
  EXPECT_THAT(came, HasSubstr("goodbye"));
}

TEST_F(sdk_protocol, refuses_connections_over_the_maximum) {
  std::vector<std::unique_ptr<sdk_client>> all;
  for (int i = 0; i < 256; ++i)
    all.push_back(std::make_unique<sdk_client>("unix:" + mesh_->sdk_socket(0)));
  sdk_client extra("unix:" + mesh_->sdk_socket(0), false, false);
  const auto last = extra.receive();
  ASSERT_TRUE(last);
  EXPECT_EQ((*last)["code"], "overloaded");
  all.pop_back();
  EXPECT_TRUE(local_mesh::eventually(5s, [&] {
    sdk_client again("unix:" + mesh_->sdk_socket(0), false, false);
    again.send({{"type", "hello"}, {"version", 1}});
    const auto answer = again.receive();
    return answer && (*answer)["type"] == "welcome";
  }));
}

TEST_F(sdk_protocol, takes_no_more_from_who_does_not_read) {
  auto slow = dial();
  // 36 MB of replies that nobody takes, if all were asked for.
  for (int i = 0; i < 40; ++i)
    slow.begin(a_call("sleeper/s" + std::to_string(i), "big", 900'000));
  auto quick = dial();
  EXPECT_EQ(quick.ask(a_call("counter/a", "add", 1), 30s)["ok"], 1) << "others are served meanwhile";
  const auto asked = quick.ask({{"type", "processes"}, {"class", "sleeper"}}, 30s)["ok"]["processes"].size();
  EXPECT_GE(asked, 1U);
  EXPECT_LE(asked, 10U) << "4 MiB wait";
}

TEST_F(sdk_protocol, ends_who_does_not_read_before_it_costs_too_much) {
  auto slow = dial();
  EXPECT_EQ(slow.ask(a_call("sleeper/s", "big", 1))["ok"], "x");
  EXPECT_EQ(mesh_->ask(0, "POST", "/v1/processes/sleeper/s/suspend").status, 200);
  for (int i = 0; i < 40; ++i)
    slow.begin(a_call("sleeper/s", "big", 900'000));
  auto quick = dial();
  EXPECT_TRUE(local_mesh::eventually(10s, [&] {
    return quick.ask({{"type", "inspect"}, {"class", "sleeper"}, {"key", "s"}})["ok"]["mailbox"] == 40;
  }));
  EXPECT_EQ(mesh_->ask(0, "POST", "/v1/processes/sleeper/s/resume").status, 200);
  EXPECT_TRUE(
      local_mesh::eventually(30s, [&] { return metric(0, "orrery_sdk_stream_connections_ended_total") == "1"; }));
  EXPECT_EQ(quick.ask(a_call("counter/a", "add", 1), 30s)["ok"], 1);
}

TEST_F(sdk_protocol, gives_the_socket_to_every_user_of_the_pod_and_takes_it_away_at_the_end) {
  struct stat about {};
  ASSERT_EQ(::stat(mesh_->sdk_socket(0).c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777U, 0666U);
  auto client = dial();
  mesh_->signal(0, SIGTERM);
  const auto last = client.receive_type("goodbye");
  ASSERT_TRUE(last);
  EXPECT_EQ((*last)["code"], "draining");
  EXPECT_EQ(mesh_->wait_exit(0, 10s), 0);
  EXPECT_FALSE(std::filesystem::exists(mesh_->sdk_socket(0)));
}

TEST_F(sdk_protocol, takes_the_place_of_a_socket_that_a_killed_sidecar_left) {
  mesh_->signal(0, SIGKILL);
  mesh_->wait_exit(0, 5s);
  ASSERT_TRUE(std::filesystem::exists(mesh_->sdk_socket(0)));
  mesh_->start(0);
  ASSERT_TRUE(mesh_->wait_ready(10s));
  auto client = dial();
  EXPECT_EQ(client.ask(a_call("counter/a", "get"))["ok"], 0);
}

}  // namespace
}  // namespace orrery::sidecar
