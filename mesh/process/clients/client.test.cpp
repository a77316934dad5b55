// Processes whose code is a client's: what they do and what comes to them, on one node.
#include "mesh/process/clients/testing.hpp"

namespace orrery::process {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

TEST(client_process, has_a_pid_that_others_send_to) {
  client_world w;
  const auto pid = w.open(1);
  EXPECT_EQ(w.ask("lua/a", "tell", "\"" + pid + "\""), "true");
  EXPECT_THAT(w.heard(), ElementsAre(R"(plain hello {"n":1})", "cast note 2"));
}

TEST(client_process, answers_no_calls) {
  client_world w;
  const auto pid = w.open(1);
  EXPECT_THAT(w.ask("lua/a", "ask", "\"" + pid + "\""), HasSubstr("a client's process answers no calls"));
  EXPECT_THAT(w.heard(), IsEmpty());
}

TEST(client_process, hears_once_of_the_end_of_what_it_monitors) {
  client_world w;
  w.open(1);
  w.ask("lua/a", "given");
  EXPECT_EQ(w.act(1, client_monitors{"lua/a"}), R"({"monitor":1})");
  EXPECT_EQ(w.act(1, client_monitors{"lua/a"}), R"({"monitor":2})");
  EXPECT_EQ(w.act(1, client_demonitors{2}), "{}");
  w.cast("lua/a", "boom");
  EXPECT_THAT(w.heard(), ElementsAre(HasSubstr("down 1 error: ")));
  w.cast("lua/a", "boom");
  EXPECT_THAT(w.heard(), IsEmpty());
}

TEST(client_process, hears_at_once_that_what_it_monitors_does_not_run) {
  client_world w;
  w.open(1);
  EXPECT_EQ(w.act(1, client_monitors{"lua/a"}), R"({"monitor":1})");
  EXPECT_THAT(w.heard(), ElementsAre("down 1 noproc"));
  EXPECT_THAT(w.act(1, client_monitors{"nope/a"}), HasSubstr("not_found: no class 'nope'"));
  EXPECT_THAT(w.act(1, client_monitors{"nope"}), HasSubstr("'nope' is no pid"));
}

TEST(client_process, has_no_connection_to_pids_of_nodes_that_are_not_known) {
  client_world w;
  w.open(1);
  EXPECT_EQ(w.act(1, client_monitors{"gone-1@1.2.3"}), R"({"monitor":1})");
  EXPECT_THAT(w.heard(), ElementsAre("down 1 noconnection"));
  EXPECT_EQ(w.act(1, client_links{"gone-1@1.2.3", true}), "{}");
  EXPECT_THAT(w.heard(), ElementsAre("exit noconnection"));
  EXPECT_THAT(w.act(1, client_calls{"gone-1@1.2.3", "get", {}}), HasSubstr("no node gone-1@1 is known here"));
}

TEST(client_process, ends_what_it_is_linked_with_and_hears_of_its_end) {
  client_world w;
  w.open(1);
  w.open(2);
  w.ask("lua/a", "given");
  w.ask("lua/b", "given");
  EXPECT_EQ(w.act(1, client_links{"lua/a", true}), "{}");
  EXPECT_EQ(w.act(2, client_links{"lua/b", true}), "{}");
  w.cast("lua/a", "boom");
  EXPECT_THAT(w.heard(1), ElementsAre(HasSubstr("exit error: ")));
  w.events.clear();
  EXPECT_EQ(w.act(2, client_close{{exit_reason::kind::error, "task failed"}}), "{}");
  ASSERT_THAT(w.kinds_of("lua/b"), ElementsAre(process_event::kind::exited, process_event::kind::restarted));
  EXPECT_EQ(to_string(w.events.back().reason), "error: task failed");
  EXPECT_THAT(w.heard(2), IsEmpty()) << "its own client ended it";
}

TEST(client_process, that_is_unlinked_or_ends_normally_ends_nobody) {
  client_world w;
  w.open(1);
  w.open(2);
  w.ask("lua/a", "given");
  w.act(1, client_links{"lua/a", true});
  w.act(1, client_links{"lua/a", false});
  w.act(2, client_links{"lua/a", true});
  w.events.clear();
  w.act(1, client_close{{exit_reason::kind::error, "no matter"}});
  w.act(2, client_close{});
  EXPECT_THAT(w.kinds_of("lua/a"), IsEmpty());
}

TEST(client_process, that_ends_before_it_is_known_whom_it_is_linked_with_ends_it_all_the_same) {
  client_world w;
  w.open(1);
  const auto say = [&](client_deed what) {
    w.rt.from_app(w.now, client_act{app_id{1}, client_request{++w.asked}, client_process_id{1}, std::move(what)},
                  w.out);
  };
  say(client_links{"lua/a", true});
  (void)w.rt.call(w.now, {named("lua/a"), "given", {}, never, reply_token{1}}, w.out);
  say(client_close{{exit_reason::kind::error, "task failed"}});
  w.run();
  ASSERT_THAT(w.kinds_of("lua/a"),
              ElementsAre(process_event::kind::started, process_event::kind::exited, process_event::kind::restarted));
  EXPECT_EQ(to_string(w.events.back().reason), "error: task failed");
}

TEST(client_process, sends_exit_signals) {
  client_world w;
  w.open(1);
  w.ask("lua/a", "given");
  w.events.clear();
  EXPECT_EQ(w.act(1, client_exits{"lua/a", {exit_reason::kind::kill, {}}}), "{}");
  EXPECT_THAT(w.kinds_of("lua/a"), ElementsAre(process_event::kind::exited, process_event::kind::restarted));
  EXPECT_EQ(to_string(w.events.back().reason), "killed");
}

TEST(client_process, that_is_killed_is_told_to_its_client_and_is_no_more) {
  client_world w;
  const auto pid = w.open(1);
  w.open(2);
  EXPECT_EQ(w.act(2, client_exits{pid, {exit_reason::kind::error, "stop it"}}), "{}");
  EXPECT_THAT(w.heard(1), ElementsAre("exit error: stop it")) << "it traps exits";
  EXPECT_EQ(w.act(2, client_exits{pid, {exit_reason::kind::kill, {}}}), "{}");
  EXPECT_THAT(w.heard(1), ElementsAre("ended killed"));
  EXPECT_THAT(w.act(1, client_monitors{"lua/a"}), HasSubstr("not_found: process 1 is not open"));
  w.open(1);
}

TEST(client_process, calls_names_and_pids) {
  client_world w;
  w.open(1);
  EXPECT_EQ(w.act(1, client_calls{"counter/a", "add", json("3")}), "3");
  const auto quoted = w.ask("lua/a", "pid");
  const auto pid = quoted.substr(1, quoted.size() - 2);
  EXPECT_EQ(w.act(1, client_calls{pid, "pid", {}}), "\"" + pid + "\"");
  EXPECT_THAT(w.act(1, client_calls{pid, "nope", {}}), HasSubstr("not_found"));
  EXPECT_THAT(w.act(1, client_calls{"lua/a", "boom", {}}), HasSubstr("process_exited"));
  EXPECT_EQ(w.act(1, client_casts{"counter/a", "add", json("4")}), "{}");
  EXPECT_EQ(w.ask("counter/a", "get"), "7");
}

TEST(client_process, that_ends_while_it_asks_hears_that_nobody_knows_what_came_of_it) {
  client_world w;
  w.open(1);
  ASSERT_TRUE(w.rt.suspend(named("counter/a")).error().code == errc::not_found);
  w.ask("counter/a", "get");
  ASSERT_TRUE(w.rt.suspend(named("counter/a")));
  const auto call = w.begin(1, client_calls{"counter/a", "get", {}, 60s});
  EXPECT_EQ(w.came(call), "waits");
  w.act(1, client_close{});
  EXPECT_EQ(w.came(call), "cancelled: its process has ended (unknown)");
}

TEST(client_process, takes_back_a_call_that_has_not_begun) {
  client_world w;
  w.open(1);
  w.open(2);
  w.ask("counter/a", "get");
  ASSERT_TRUE(w.rt.suspend(named("counter/a")));
  const auto call = w.begin(2, client_calls{"counter/a", "add", json("1"), 60s});
  w.rt.from_app(w.now, client_cancels{app_id{1}, client_request{call}}, w.out);
  w.run();
  EXPECT_EQ(w.came(call), "cancelled: cancelled by the client");
  ASSERT_TRUE(w.rt.resume(named("counter/a")));
  EXPECT_EQ(w.ask("counter/a", "get"), "0");
}

TEST(client_process, spawns_with_a_link_and_a_monitor) {
  client_world w;
  w.open(1);
  const auto made = w.act(1, client_spawns{class_name{"lua"}, json("5"), true, true});
  EXPECT_THAT(made, HasSubstr(R"("monitor":1)"));
  const auto at = made.find(R"("pid":")") + 7;
  const auto pid = made.substr(at, made.find('"', at) - at);
  EXPECT_EQ(w.act(1, client_calls{pid, "given", {}}), "5");
  EXPECT_EQ(w.act(1, client_casts{pid, "boom", {}}), "{}");
  EXPECT_THAT(w.heard(), ::testing::UnorderedElementsAre(HasSubstr("down 1 error: "), HasSubstr("exit error: ")));
  EXPECT_THAT(w.act(1, client_spawns{class_name{"nope"}, {}, false, false}), HasSubstr("no class 'nope'"));
}

TEST(client_process, is_a_member_of_groups) {
  client_world w;
  w.open(1);
  const auto other = w.open(2);
  EXPECT_EQ(w.act(1, client_groups{client_groups::kind::watch, "room"}), R"({"pids":[]})");
  EXPECT_EQ(w.act(2, client_groups{client_groups::kind::join, "room"}), "{}");
  EXPECT_THAT(w.heard(1), ElementsAre(R"(plain group_joined {"group":"room","pids":[")" + other + R"("]})"));
  EXPECT_EQ(w.ask("lua/a", "join", R"("room")"), "true");
  EXPECT_EQ(w.act(1, client_groups{client_groups::kind::unwatch, "room"}), "{}");
  EXPECT_EQ(w.act(1, client_publishes{"room", "said", json(R"("hi")")}), R"({"members":2})");
  EXPECT_THAT(w.heard(2), ElementsAre(R"(plain said "hi")"));
  EXPECT_EQ(w.ask("lua/a", "heard"), R"("hi")");
  EXPECT_EQ(w.act(2, client_groups{client_groups::kind::leave, "room"}), R"({"member":true})");
  EXPECT_EQ(w.act(2, client_groups{client_groups::kind::leave, "room"}), R"({"member":false})");
  EXPECT_THAT(w.act(1, client_publishes{"room", "group_left", {}}), HasSubstr("is the system's"));
  EXPECT_THAT(w.act(1, client_groups{client_groups::kind::join, ""}), HasSubstr("invalid_argument"));
  w.heard(1);
}

TEST(client_process, holds_keys_until_it_ends) {
  client_world w;
  const auto pid = w.open(1);
  w.open(2, 100, 2);
  EXPECT_EQ(w.act(1, client_claims{key_space::mesh_unique, "leader", json("1")}), "{}");
  EXPECT_THAT(w.act(2, client_claims{key_space::mesh_unique, "leader", {}}, 2), HasSubstr("already_exists: " + pid));
  EXPECT_EQ(w.act(1, client_claims{key_space::node_duplicate, "k", json("2")}), "{}");
  EXPECT_EQ(w.act(1, client_updates{key_space::mesh_unique, "leader", json("3")}), "{}");
  w.rt.from_app(w.now, client_looks_up{app_id{2}, client_request{++w.asked}, key_space::mesh_unique, "leader"}, w.out);
  w.run();
  EXPECT_EQ(w.came(w.asked), R"({"entries":[{"key":"leader","pid":")" + pid + R"(","value":3}]})");
  EXPECT_EQ(w.act(1, client_releases{key_space::node_duplicate, "k"}), R"({"held":true})");
  EXPECT_EQ(w.act(1, client_releases{key_space::node_duplicate, "k"}), R"({"held":false})");
  w.leave();
  EXPECT_EQ(w.act(2, client_claims{key_space::mesh_unique, "leader", {}}, 2), "{}");
}

TEST(client_process, ends_with_its_connection) {
  client_world w;
  const auto pid = w.open(1);
  w.open(2);
  w.open(1, 100, 2);
  w.ask("lua/a", "given");
  w.act(1, client_links{"lua/a", true}, 1);
  EXPECT_EQ(w.act(1, client_monitors{pid}, 2), R"({"monitor":1})");
  w.events.clear();
  w.to_apps.clear();
  w.leave(1);
  EXPECT_EQ(to_string(w.events.back().reason), "noconnection: its client went away: closed");
  EXPECT_THAT(w.heard(1), ElementsAre("down 1 noconnection: its client went away: closed"));
  w.open(1);
}

TEST(client_process, is_not_told_who_leaves_its_groups_when_all_of_its_connection_end) {
  client_world w;
  for (std::uint64_t i = 1; i <= 20; ++i) {
    w.open(i);
    w.act(i, client_groups{client_groups::kind::watch, "room"});
    w.act(i, client_groups{client_groups::kind::join, "room"});
  }
  w.open(1, 100, 2);
  w.act(1, client_groups{client_groups::kind::watch, "room"}, 2);
  w.to_apps.clear();
  const auto before = w.rt.counted().casts_dropped;
  w.leave(1);
  EXPECT_EQ(w.rt.counted().casts_dropped, before);
  EXPECT_EQ(w.heard(1).size(), 20U);  // of the other connection's, which has the same number
}

TEST(client_process, starts_a_name_and_hears_why_it_does_not_start) {
  client_world w;
  const auto pid = w.ask("lua/a", std::string{start_method});
  EXPECT_EQ(pid, R"({"pid":)" + w.ask("lua/a", "pid") + "}");
  EXPECT_EQ(pid, w.ask("lua/a", std::string{start_method}));
  EXPECT_THAT(w.ask("lua/bad", std::string{start_method}), HasSubstr("process_exited"));
  EXPECT_THAT(w.ask("nope/a", std::string{start_method}), HasSubstr("no class 'nope'"));
}

}  // namespace
}  // namespace orrery::process
