// The test kit: messages, groups, requests, monitors and moves.
#include <gtest/gtest.h>

#include "orrery/app/testing.hpp"

namespace orrery::app {
namespace {

using namespace std::chrono_literals;
using testing::host;
using testing::published;
using testing::sent_message;

/// Does what the fields of its argument say, and notes what it hears.
process_class a_gossip() {
  const auto text = [](const json& what, const char* field) { return what.value(field, ""); };
  process_class gossip("gossip");
  const auto note = [](context& self, const json& what) { self.change().push_back(what); };
  gossip.on_init([](const context&) { return json::array(); })
      .on_call("do",
               [text](context& self, const json& what) {
                 const auto argument = what.value("argument", json());
                 if (what.contains("send")) self.send(text(what, "send"), text(what, "word"), argument);
                 if (what.contains("publish")) self.publish(text(what, "publish"), text(what, "word"), argument);
                 if (what.contains("join")) self.join_group(text(what, "join"));
                 if (what.contains("leave")) self.leave_group(text(what, "leave"));
                 if (what.contains("request"))
                   self.request("asked/it", text(what, "request"), text(what, "method"), argument);
                 if (what.contains("monitor")) self.monitor("gone/it", text(what, "monitor"));
                 if (what.contains("demonitor")) self.demonitor("gone/it");
                 return json();
               })
      .on_call("later", [](context& self, const json&) { return static_cast<void>(self.reply_later()), json(); })
      .on_call("boom", [](context&, const json&) -> json { throw std::runtime_error("boom"); })
      .on_call("pid", [](context& self, const json&) { return self.pid(); })
      .on_info("said",
               [note](context& self, const json& argument) {
                 note(self, {"said", argument});
               })
      .on_reply("asked",
                [note](context& self, const outcome& answer) {
                  note(self, {self.message(), answer.failure ? json(answer.failure->what()) : answer.reply});
                })
      .on_down("gone",
               [note](context& self, const down& what) {
                 note(self, {self.message(), what.pid, what.reason.kind});
               })
      .on_handoff([note](context& self) { note(self, "moved"); });
  return gossip;
}

TEST(a_test_host, records_messages_and_brings_those_to_who_is_alive) {
  host town(a_gossip());
  const auto bob = town.call("bob", "pid").get<std::string>();
  EXPECT_EQ(town.pid("bob"), bob);
  town.call("ada", "do", {{"send", "gossip/bob"}, {"word", "said"}, {"argument", 1}});
  town.call("ada", "do", {{"send", bob}, {"word", "said"}, {"argument", 2}});
  town.call("ada", "do", {{"send", "gossip/eve"}, {"word", "said"}});
  EXPECT_EQ(town.state("bob"), json::parse(R"([["said", 1], ["said", 2]])"));
  EXPECT_FALSE(town.is_alive("eve")) << "a message starts nobody";
  EXPECT_EQ(town.sends(), (std::vector{sent_message{"gossip/bob", "said", 1}, sent_message{bob, "said", 2},
                                       sent_message{"gossip/eve", "said", {}}}));
}

TEST(a_test_host, keeps_groups_and_publishes_to_their_members) {
  host town(a_gossip());
  for (int i = 0; i < 2; ++i)
    town.call("ada", "do", {{"join", "chat"}});
  town.call("bob", "do", {{"join", "chat"}});
  town.call("ada", "do", {{"publish", "chat"}, {"word", "said"}, {"argument", 1}});
  EXPECT_EQ(town.publishes(), (std::vector{published{"chat", "said", 1}}));
  EXPECT_EQ(town.state("ada"), json::parse(R"([["said", 1]])"));
  EXPECT_EQ(town.state("bob"), json::parse(R"([["said", 1]])"));
  town.call("ada", "do", {{"leave", "chat"}});
  EXPECT_EQ(town.groups("ada"), std::vector<std::string>{"chat"}) << "it joined twice";
  town.call("ada", "do", {{"leave", "chat"}});
  EXPECT_EQ(town.members("chat"), std::vector<std::string>{"gossip/bob"});
  town.kill("bob");
  EXPECT_TRUE(town.members("chat").empty()) << "it begins anew";
}

TEST(a_test_host, starts_a_process_with_an_argument_once) {
  process_class room("room");
  room.on_init([](context& self, const json& name) {
    self.join_group("chat");
    return name;
  });
  host rooms(room);
  rooms.start("a", "lobby");
  rooms.start("a", "attic");
  EXPECT_EQ(rooms.state("a"), "lobby");
  EXPECT_EQ(rooms.members("chat"), std::vector<std::string>{"room/a"});
}

TEST(a_test_host, brings_the_answers_to_requests) {
  host town(a_gossip());
  town.answer("stock", "take", [](const std::string&, const json& item) {
    if (item == "ink") throw refusal("no ink", "gone");
    return item;
  });
  town.call("bob", "do", json::object());
  town.call("ada", "do", {{"request", "gossip/bob"}, {"method", "pid"}});
  town.call("ada", "do", {{"request", town.pid("bob")}, {"method", "boom"}});
  town.call("ada", "do", {{"request", "gossip/bob"}, {"method", "no such"}});
  town.call("ada", "do", {{"request", "stock/main"}, {"method", "take"}, {"argument", "pen"}});
  town.call("ada", "do", {{"request", "stock/main"}, {"method", "take"}, {"argument", "ink"}});
  const auto heard = town.state("ada");
  ASSERT_EQ(heard.size(), 5U);
  EXPECT_EQ(heard[0][0], "asked/it");
  EXPECT_EQ(heard[0][1].get<std::string>().find("test@"), 0U);
  EXPECT_EQ(heard[1][1], "process_exited: gossip/bob exited, error: boom [unknown]");
  EXPECT_EQ(heard[2][1].get<std::string>().find("not_found: class 'gossip' has no method"), 0U);
  EXPECT_EQ(heard[3][1], "pen");
  EXPECT_EQ(heard[4][1], "gone: no ink [not_executed]");
  EXPECT_TRUE(town.requests("ada").empty());
}

TEST(a_test_host, lets_a_test_answer_requests_and_their_time_run_out) {
  host town(a_gossip());
  const auto ask = [&] { town.call("ada", "do", {{"request", "stock/main"}, {"method", "take"}}); };
  ask();
  EXPECT_EQ(town.requests("ada"), (std::map<std::string, std::string>{{"asked/it", "stock/main"}}));
  town.reply("ada", "asked/it", 7);
  ask();
  town.fail("ada", "asked/it", error("unavailable", "no node", effect::unknown));
  ask();
  town.advance(4999ms);
  EXPECT_EQ(town.state("ada").size(), 2U);
  town.advance(1ms);
  town.call("ada", "do", {{"request", "gossip/bob"}, {"method", "later"}});
  town.advance(5s);
  EXPECT_EQ(town.state("ada"), json::parse(R"([["asked/it", 7], ["asked/it", "unavailable: no node [unknown]"],
      ["asked/it", "deadline_exceeded: stock/main has not answered in time [unknown]"],
      ["asked/it", "deadline_exceeded: gossip/bob has not answered in time [unknown]"]])"));
  EXPECT_THROW(town.reply("ada", "asked/it"), error) << "none waits";
}

TEST(a_test_host, forgets_the_request_that_another_of_its_name_takes_the_place_of) {
  host town(a_gossip());
  town.call("ada", "do", {{"request", "gossip/bob"}, {"method", "later"}});
  town.call("ada", "do", {{"request", "stock/main"}, {"method", "take"}});
  town.kill("bob");
  EXPECT_EQ(town.state("ada"), json::array());
  town.reply("ada", "asked/it", 1);
  EXPECT_EQ(town.state("ada"), json::parse(R"([["asked/it", 1]])"));
}

TEST(a_test_host, tells_of_the_end_of_what_is_monitored) {
  host town(a_gossip());
  const auto bob = town.call("bob", "pid");
  town.call("ada", "do", {{"monitor", "gossip/bob"}});
  EXPECT_EQ(town.monitors("ada"), (std::map<std::string, std::string>{{"gone/it", "gossip/bob"}}));
  EXPECT_THROW(town.call("bob", "boom"), error);
  EXPECT_THROW(town.call("bob", "boom"), error) << "the first end only";
  town.call("ada", "do", {{"monitor", "gossip/eve"}});
  town.call("ada", "do", {{"monitor", "stock/main"}});
  town.down("ada", "gone/it", {"noconnection", ""});
  town.call("ada", "do", {{"monitor", "gossip/bob"}});
  town.call("ada", "do", {{"demonitor", "gone/it"}});
  town.stop("bob");
  EXPECT_EQ(town.state("ada"),
            json::array({{"gone/it", bob, "error"}, {"gone/it", "", "noproc"}, {"gone/it", "", "noconnection"}}));
  EXPECT_THROW(town.down("ada", "gone/it", {"normal", ""}), error) << "nothing is watched";
}

TEST(a_test_host, tells_a_handler_that_nothing_would_hear_what_it_asks_for) {
  process_class deaf("deaf");
  deaf.on_call("timer", [](context& self, const json&) { return self.set_timer("nosuch", 1s), json(); })
      .on_call("request", [](context& self, const json&) { return self.request("nosuch", "a/b", "c"), json(); })
      .on_call("monitor", [](context& self, const json&) { return self.monitor("nosuch", "a/b"), json(); });
  host one(deaf);
  for (const auto& [method, missing] :
       {std::pair{"timer", "on_info"}, {"request", "on_reply"}, {"monitor", "on_down"}}) {
    try {
      one.call("p", method);
      ADD_FAILURE() << method << " was taken";
    } catch (const error& why) {
      EXPECT_NE(why.text().find("class 'deaf' has no " + std::string(missing) + " 'nosuch'"), std::string::npos)
          << why.text();
    }
  }
}

TEST(a_test_host, moves_a_process_which_hears_so_before_all_that_waits) {
  host town(a_gossip());
  const auto before = town.call("ada", "pid");
  town.call("ada", "do", {{"join", "chat"}, {"request", "stock/main"}, {"method", "take"}, {"monitor", "stock/main"}});
  town.call("bob", "do", {{"monitor", "gossip/ada"}});
  const auto waiting = town.ask("ada", "later");
  town.hand_off("ada");
  EXPECT_THROW(static_cast<void>(waiting.get()), error);
  EXPECT_EQ(town.state("ada"),
            json::parse(R"(["moved", ["asked/it", "unavailable: gossip/ada has moved to another node [unknown]"]])"));
  EXPECT_EQ(town.groups("ada"), std::vector<std::string>{"chat"});
  EXPECT_TRUE(town.monitors("ada").empty());
  EXPECT_NE(town.pid("ada"), before);
  EXPECT_EQ(town.state("bob"), json::array({{"gone/it", before, "moved"}}));
}

}  // namespace
}  // namespace orrery::app
