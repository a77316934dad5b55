// Client processes, against real sidecars: between two nodes, and at the end of a connection.
#include "sidecar/testing/sdk_mesh.hpp"

#include <gmock/gmock.h>

#include <csignal>
#include <set>
#include <string>

namespace orrery::sidecar {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

constexpr const char* peers_of_clients = R"(  - name: counter
    behaviour: {builtin: counter}
  - name: echo
    behaviour:
      lua:
        script: |
          local c = {call = {}, cast = {}, info = {}}
          function c.init() return {} end
          function c.call.tell(state, to) orrery.send(to, "hello", 1) return true end
          function c.call.heard(state) return state.word end
          function c.call.join(state, group) orrery.join(group) return true end
          function c.cast.boom() error("boom") end
          function c.info.said(state, what) state.word = what end
          return c
)";

class sdk_processes : public sdk_mesh {
 protected:
  void SetUp() override { form(2, peers_of_clients); }

  static std::string open(sdk_client& client, int process = 1) {
    const auto opened = client.ask({{"type", "open"}, {"process", process}, {"credit", 100}});
    EXPECT_TRUE(opened.contains("ok")) << opened;
    return opened.contains("ok") ? opened["ok"].value("pid", "") : "";
  }
  static json act(sdk_client& client, json what, int process = 1) {
    what["process"] = process;
    const auto came = client.ask(what);
    return came.contains("ok") ? came["ok"] : came["error"];
  }
  /// A name of the class whose owner is that node.
  std::string on(const std::string& klass, std::size_t node) {
    auto client = dial();
    for (int i = 0;; ++i) {
      const auto key = "k" + std::to_string(i);
      client.ask({{"type", "start"}, {"class", klass}, {"key", key}});
      const auto found = client.ask({{"type", "inspect"}, {"class", klass}, {"key", key}});
      if (found["ok"].value("node", "") == mesh_->name(node)) return klass + "/" + key;
    }
  }
};

TEST_F(sdk_processes, monitor_link_and_message_processes_of_either_node) {
  for (const std::size_t node : {0U, 1U}) {
    auto client = dial();
    const auto pid = open(client);
    const auto name = on("echo", node);
    EXPECT_EQ(act(client, {{"type", "call"}, {"to", name}, {"method", "tell"}, {"argument", pid}}), true);
    const auto hello = client.receive_type("message");
    ASSERT_TRUE(hello);
    EXPECT_EQ((*hello)["word"], "hello");
    EXPECT_EQ(act(client, {{"type", "monitor"}, {"to", name}}), (json{{"monitor", 1}}));
    EXPECT_EQ(act(client, {{"type", "link"}, {"to", name}}), json::object());
    EXPECT_EQ(act(client, {{"type", "cast"}, {"to", name}, {"method", "boom"}}), json::object());
    for (int i = 0; i < 2; ++i) {
      const auto end = client.receive_type("message");
      ASSERT_TRUE(end);
      EXPECT_THAT((*end)["kind"], AnyOf("down", "exit"));
      EXPECT_THAT((*end)["reason"]["text"].get<std::string>(), HasSubstr("boom"));
    }
  }
}

TEST_F(sdk_processes, are_members_and_hold_keys_of_the_mesh_until_their_connection_ends) {
  auto here = dial(0);
  auto there = dial(1);
  const auto mine = open(here);
  open(there);
  EXPECT_EQ(act(there, {{"type", "watch"}, {"group", "room"}})["pids"], json::array());
  EXPECT_EQ(act(here, {{"type", "join"}, {"group", "room"}}), json::object());
  const auto joined = there.receive_type("message");
  ASSERT_TRUE(joined);
  EXPECT_EQ((*joined)["argument"]["pids"], json::array({mine}));
  EXPECT_EQ(there.ask({{"type", "publish"}, {"group", "room"}, {"word", "said"}, {"argument", "hi"}})["ok"]["members"],
            1);
  const auto said = here.receive_type("message");
  ASSERT_TRUE(said);
  EXPECT_EQ((*said)["argument"], "hi");

  EXPECT_EQ(act(here, {{"type", "claim"}, {"key", "leader"}, {"value", 7}}), json::object());
  EXPECT_EQ(act(there, {{"type", "claim"}, {"key", "leader"}})["code"], "already_exists");
  ASSERT_TRUE(local_mesh::eventually(5s, [&] {
    return there.ask({{"type", "lookup"}, {"key", "leader"}})["ok"]["entries"].size() == 1;
  }));
  here.hang_up();
  const auto left = there.receive_type("message");
  ASSERT_TRUE(left);
  EXPECT_EQ((*left)["word"], "group_left");
  EXPECT_TRUE(local_mesh::eventually(5s, [&] {
    return act(there, {{"type", "claim"}, {"key", "leader"}}) == json::object();
  }));
}

TEST_F(sdk_processes, end_what_they_are_linked_with_when_their_connection_ends) {
  const auto name = on("echo", 1);
  auto client = dial(0);
  auto watcher = dial(0);
  open(client);
  open(watcher);
  act(watcher, {{"type", "monitor"}, {"to", name}});
  EXPECT_EQ(act(client, {{"type", "link"}, {"to", name}}), json::object());
  client.hang_up();
  const auto down = watcher.receive_type("message");
  ASSERT_TRUE(down);
  EXPECT_EQ((*down)["reason"]["kind"], "noconnection");
}

TEST_F(sdk_processes, of_one_connection_are_all_told_much_at_once_as_fast_as_it_is_read) {
  auto client = dial();
  constexpr int members = 600;
  for (int i = 1; i <= members; ++i) {
    ASSERT_NE(open(client, i), "");
    ASSERT_EQ(act(client, {{"type", "join"}, {"group", "room"}}, i), json::object());
  }
  const std::string much(60'000, 'x');
  const auto told = client.ask({{"type", "publish"}, {"group", "room"}, {"word", "said"}, {"argument", much}});
  EXPECT_EQ(told["ok"]["members"], members) << told;
  std::set<int> heard;
  while (heard.size() < members) {
    const auto came = client.receive_type("message");
    ASSERT_TRUE(came) << heard.size();
    EXPECT_EQ((*came)["argument"], much);
    heard.insert((*came)["process"].get<int>());
  }
  EXPECT_TRUE(client.ask({{"type", "groups"}}).contains("ok"));
}

TEST_F(sdk_processes, are_told_burst_after_burst_without_an_end) {
  // What leaves while more waits behind it counts as what leaves alone: else each burst takes a part of the window
  // away.
  auto client = dial();
  auto other = dial();
  constexpr int members = 3;
  for (int i = 1; i <= members; ++i) {
    ASSERT_NE(open(client, i), "");
    ASSERT_EQ(act(client, {{"type", "join"}, {"group", "room"}}, i), json::object());
    client.send({{"type", "credit"}, {"process", i}, {"add", 1000}});
  }
  const std::string much(60'000, 'x');
  for (int round = 0; round < 100; ++round) {  // of a window of 2 MiB
    other.ask({{"type", "publish"}, {"group", "room"}, {"word", "said"}, {"argument", much}});
    for (int i = 0; i < members; ++i)
      ASSERT_TRUE(client.receive_type("message")) << "round " << round;
  }
}

TEST_F(sdk_processes, are_told_what_they_lost_by_reading_too_late) {
  auto client = dial();
  auto other = dial();
  ASSERT_TRUE(client.ask({{"type", "open"}, {"process", 1}, {"credit", 0}}).contains("ok"));
  ASSERT_EQ(act(client, {{"type", "join"}, {"group", "room"}}), json::object());
  constexpr int waits = 10'000;
  for (int i = 0; i < waits + 3; ++i)
    other.ask({{"type", "publish"}, {"group", "room"}, {"word", "said"}, {"argument", i}});
  client.send({{"type", "credit"}, {"process", 1}, {"add", 20'000}});
  for (int i = 0; i < waits; ++i)
    ASSERT_EQ(client.receive_type("message").value_or(json::object()).value("argument", -1), i);
  const auto last = client.receive_type("message");
  ASSERT_TRUE(last);
  EXPECT_EQ((*last)["kind"], "dropped");
  EXPECT_EQ((*last)["count"], 3);
  EXPECT_EQ(metric(0, "orrery_client_messages_dropped_total"), "3");
  EXPECT_TRUE(local_mesh::eventually(5s, [&] {
    return mesh_->log(0).find("messages for processes of SDK clients were dropped") != std::string::npos;
  }));
}

TEST_F(sdk_processes, hear_noconnection_when_the_node_of_what_they_watch_is_lost) {
  const auto name = on("counter", 1);
  auto client = dial(0);
  open(client);
  EXPECT_EQ(act(client, {{"type", "monitor"}, {"to", name}}), (json{{"monitor", 1}}));
  mesh_->signal(1, SIGKILL);
  const auto down = client.receive_type("message", 15s);
  ASSERT_TRUE(down);
  EXPECT_EQ((*down)["kind"], "down");
  EXPECT_EQ((*down)["reason"]["kind"], "noconnection");
}

}  // namespace
}  // namespace orrery::sidecar
