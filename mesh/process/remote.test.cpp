// Two runtimes that hear each other: signals, names, groups and keys, as frames.
#include "mesh/process/shared_testing.hpp"
#include "mesh/wire/cbor.hpp"

#include <gmock/gmock.h>

namespace orrery::process {
namespace {

using namespace std::chrono_literals;
using testing::counter_class;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::inside;
using ::testing::IsEmpty;
using testing::named;
using testing::pair;

using log = std::vector<std::string>;

// ---- pids ----

TEST(pids, of_a_node_that_was_never_here_are_not_found_and_of_an_earlier_life_noconnection) {
  pair mesh;
  inside& a = mesh.at[0];
  EXPECT_EQ(a.around.find("demo-ccccc@1.2.3").error().code, errc::not_found);
  log seen;
  const auto watcher = a.spawn(seen);
  const auto far = mesh.at[1].spawn();
  const auto pid_text = mesh.at[1].text(far);
  mesh.cut();
  a.as(watcher, [&](kernel::context& self) {
    static_cast<void>(self.monitor(*a.around.find(pid_text)));
    self.call(*a.around.find(pid_text), a.word("get"), {}, 1s);
  });
  mesh.run();
  EXPECT_THAT(seen, ElementsAre("down noconnection", HasSubstr("unavailable: noconnection")));
}

TEST(signals_to_another_node, reach_the_process_and_come_back) {
  pair mesh;
  log near;
  log far;
  const auto a = mesh.at[0].spawn(near);
  const auto b = mesh.at[1].spawn(far);
  mesh.at[0].as(a, [&](kernel::context& self) {
    const auto target = mesh.seen(0, b);
    self.send(target, mesh.at[0].word("hello"), cbor::integer_value(1));
    self.cast(target, mesh.at[0].word("do"), {});
    static_cast<void>(self.monitor(target));
    self.exit(target, {exit_reason::kind::error, "line 3: boom"});
  });
  mesh.run();
  EXPECT_THAT(far, IsEmpty()) << "it was ended before its turn";
  EXPECT_THAT(near, ElementsAre("down error: line 3: boom"));
}

TEST(signals_to_another_node, are_refused_where_words_have_run_out_and_a_call_says_so) {
  pair mesh;
  log seen;
  const auto a = mesh.at[0].spawn(seen);
  const auto b = mesh.at[1].spawn();
  mesh.at[1].of.words_from_elsewhere_ = words_from_elsewhere_max;
  mesh.at[0].as(a, [&](kernel::context& self) {
    self.send(mesh.seen(0, b), mesh.at[0].word("never-heard"), {});
    self.call(mesh.seen(0, b), mesh.at[0].word("never-heard"), {}, 1s);
  });
  mesh.run();
  EXPECT_THAT(seen, ElementsAre(HasSubstr("overloaded: the node has met as many words as it may")));
  EXPECT_EQ(mesh.at[1].of.counted.casts_dropped, 2U);
}

TEST(signals_to_another_node, of_words_that_a_script_there_knows_arrive_even_where_words_have_run_out) {
  pair mesh;
  log far;
  const auto a = mesh.at[0].spawn();
  const auto b = mesh.at[1].spawn(far);
  ASSERT_TRUE(mesh.at[1].rt.define(
      testing::lua_class("return { call = { get = function() end }, info = { news = function() end } }")));
  mesh.at[1].of.words_from_elsewhere_ = words_from_elsewhere_max;
  mesh.at[0].as(a, [&](kernel::context& self) {
    self.send(mesh.seen(0, b), mesh.at[0].word("news"), {});
    self.send(mesh.seen(0, b), mesh.at[0].word("gossip"), {});
  });
  mesh.run();
  EXPECT_THAT(far, ElementsAre("news"));
}

TEST(an_answer, counts_only_from_the_node_that_was_asked) {
  pair mesh;
  log seen;
  const auto a = mesh.at[0].spawn(seen);
  const auto b = mesh.at[1].spawn();
  kernel::reference ref;
  mesh.at[0].as(a, [&](kernel::context& self) { ref = self.call(mesh.seen(0, b), mesh.at[0].word("get"), {}, 1s); });
  const node_id stranger{node_name{"demo-ccccc"}, boot_number{1}};
  ASSERT_TRUE(mesh.at[0].rt.node_up(stranger));
  const wire::place to{a.slot, a.generation};
  mesh.at[0].rt.receive(mesh.at[0].now, stranger, {.what = wire::signal::kind::reply, .to = to, .ref = packed(ref)},
                        mesh.at[0].out);
  mesh.at[0].run();
  EXPECT_THAT(seen, IsEmpty());
}

// ---- names ----

struct one_name : ::testing::Test {
  one_name() {
    EXPECT_TRUE(w.rt.define(counter_class()));
    who = w.spawn(seen, {.trap_exits = true});
    stand_in = *w.around.find("counter/x");
  }
  pid elsewhere(std::uint32_t slot = 5) {
    const node_id far{node_name{"demo-bbbbb"}, boot_number{7}};
    EXPECT_TRUE(w.rt.node_up(far));
    return {far, slot, 0};
  }
  std::vector<std::string> sent() {
    std::vector<std::string> out;
    for (const auto& each : w.take<signal_sent>())
      out.emplace_back(std::string{wire::to_string(each.what.what)} + " " + std::to_string(each.what.to.slot));
    return out;
  }
  void found(const result<pid>& as) { w.rt.name_found(w.now, stand_in, as, w.out); }

  inside w;
  log seen;
  kernel::handle who;
  kernel::handle stand_in;
};

TEST_F(one_name, that_runs_elsewhere_is_called_and_cast_by_name) {
  EXPECT_EQ(w.text(stand_in), "counter/x");
  w.as(who, [&](kernel::context& self) {
    self.cast(stand_in, w.word("add"), cbor::integer_value(2));
    self.call(stand_in, w.word("get"), {}, 1s);
  });
  const auto casts = w.take<cast_sent>();
  ASSERT_EQ(casts.size(), 1U);
  EXPECT_EQ(to_string(casts[0].to), "counter/x");
  const auto calls = w.take<name_called>();
  ASSERT_EQ(calls.size(), 1U);
  EXPECT_EQ(calls[0].method, "get");
  EXPECT_EQ(calls[0].deadline, w.now + 1s);
  w.rt.name_answered(w.now, calls[0].by, cbor::integer_value(2), w.out);
  w.run();
  EXPECT_THAT(seen, ElementsAre("reply 2"));
}

TEST_F(one_name, answers_a_call_once_even_if_the_answer_comes_too_late) {
  w.as(who, [&](kernel::context& self) { self.call(stand_in, w.word("get"), {}, 1s); });
  const auto call = w.take<name_called>().at(0);
  w.now += 2s;
  w.run();
  w.rt.name_answered(w.now, call.by, cbor::integer_value(2), w.out);
  w.run();
  EXPECT_THAT(seen, ElementsAre(HasSubstr("deadline_exceeded")));
}

TEST_F(one_name, is_monitored_and_linked_as_the_process_behind_it) {
  w.as(who, [&](kernel::context& self) {
    static_cast<void>(self.monitor(stand_in));
    self.link(stand_in);
    self.exit(stand_in, {exit_reason::kind::shutdown, {}});
  });
  EXPECT_EQ(w.take<name_sought>().size(), 1U) << "once for all that waits";
  EXPECT_THAT(sent(), IsEmpty());
  found(elsewhere());
  EXPECT_THAT(sent(), ElementsAre("monitor 5", "link 5", "exit 5"));
  w.rt.node_down(w.now, elsewhere().node, w.out);
  w.run();
  EXPECT_THAT(seen, ::testing::UnorderedElementsAre("down noconnection", "exit noconnection"));
}

TEST_F(one_name, that_does_not_run_is_noproc_for_those_who_monitor_or_link_it) {
  w.as(who, [&](kernel::context& self) {
    static_cast<void>(self.monitor(stand_in));
    self.link(stand_in);
    self.send(stand_in, w.word("hello"), {});
  });
  found(fail(errc::not_found, "does not run"));
  w.run();
  EXPECT_THAT(seen, ElementsAre("down noproc", "exit noproc"));
}

TEST_F(one_name, that_cannot_be_looked_for_is_noconnection) {
  w.as(who, [&](kernel::context& self) { static_cast<void>(self.monitor(stand_in)); });
  found(fail(errc::deadline_exceeded, "no node answered"));
  w.run();
  EXPECT_THAT(seen, ElementsAre("down noconnection: no node answered"));
}

TEST_F(one_name, keeps_the_order_of_what_waits_and_looks_again_after_a_call_that_may_have_started_it) {
  w.as(who, [&](kernel::context& self) {
    static_cast<void>(self.monitor(stand_in));
    self.cast(stand_in, w.word("add"), {});
    static_cast<void>(self.monitor(stand_in));
  });
  EXPECT_THAT(w.take<cast_sent>(), IsEmpty()) << "the monitor was first";
  EXPECT_EQ(w.take<name_sought>().size(), 1U);
  found(fail(errc::not_found, "does not run"));
  EXPECT_EQ(w.take<cast_sent>().size(), 1U);
  EXPECT_EQ(w.take<name_sought>().size(), 1U);
  found(elsewhere());
  EXPECT_THAT(sent(), ElementsAre("monitor 5"));
  w.run();
  EXPECT_THAT(seen, ElementsAre("down noproc"));
}

TEST_F(one_name, forgets_what_was_given_up_before_it_was_found) {
  w.as(who, [&](kernel::context& self) {
    const auto watch = self.monitor(stand_in);
    self.link(stand_in);
    self.unlink(stand_in);
    self.demonitor(watch);
  });
  found(elsewhere());
  EXPECT_THAT(sent(), IsEmpty());
  w.as(who, [&](kernel::context& self) {
    self.link(stand_in);
    self.unlink(stand_in);
    self.link(stand_in);
  });
  found(elsewhere());
  EXPECT_THAT(sent(), ElementsAre("link 5"));
}

TEST_F(one_name, is_unlinked_as_the_process_behind_it_though_that_was_found_long_ago) {
  w.as(who, [&](kernel::context& self) { self.link(stand_in); });
  found(elsewhere());
  EXPECT_THAT(sent(), ElementsAre("link 5"));
  w.as(who, [&](kernel::context& self) {
    self.unlink(stand_in);
    self.link(stand_in);
    self.unlink(stand_in);
  });
  found(elsewhere());
  EXPECT_THAT(sent(), ElementsAre("unlink 5"));
  w.as(who, [&](kernel::context& self) { self.unlink(stand_in); });
  found(fail(errc::not_found, "does not run"));
  w.rt.node_down(w.now, elsewhere().node, w.out);
  w.run();
  EXPECT_THAT(sent(), IsEmpty());
  EXPECT_THAT(seen, IsEmpty());
}

TEST_F(one_name, that_came_here_meanwhile_is_tied_to_the_process_here) {
  const auto target = w.spawn();
  w.as(who, [&](kernel::context& self) {
    static_cast<void>(self.monitor(stand_in));
    self.link(stand_in);
    self.send(stand_in, w.word("hello"), {});
  });
  found(pid{w.of.settings.node, target.slot, target.generation});
  EXPECT_EQ(w.of.core.inspect(target)->links.size(), 1U);
  w.end(target);
  w.run();
  EXPECT_THAT(seen, ::testing::UnorderedElementsAre("down error: boom", "exit error: boom"));
}

TEST_F(one_name, for_which_too_much_waits_refuses_the_rest) {
  w.as(who, [&](kernel::context& self) {
    for (int i = 0; i < 1000; ++i)
      self.send(stand_in, w.word("hello"), {});
    static_cast<void>(self.monitor(stand_in));
    self.call(stand_in, w.word("get"), {}, 1s);
    self.send(stand_in, w.word("hello"), {});
  });
  w.run();
  EXPECT_THAT(seen, ElementsAre("down system_limit: too much waits for this name; retry later",
                                HasSubstr("overloaded: system_limit: too much waits for this name")));
}

TEST(stand_ins, forget_the_names_that_nothing_waits_for_and_a_forgotten_one_is_noproc) {
  stand_ins table({.names_max = 3, .idle_max = 2, .queued_max = 1});
  table.number(1);
  const auto a = *table.of(named("c/a"));
  const auto b = *table.of(named("c/b"));
  EXPECT_EQ(table.of(named("c/a")), a);
  const auto c = *table.of(named("c/c"));
  table.trim();
  EXPECT_EQ(table.find(b), nullptr) << "the longest unused";
  ASSERT_NE(table.find(a), nullptr);
  table.find(a)->calls = 1;
  table.find(c)->calls = 1;
  const auto d = *table.of(named("c/d"));
  table.find(d)->calls = 1;
  EXPECT_FALSE(table.of(named("c/e"))) << "all are waited for";
  table.find(c)->calls = 0;
  EXPECT_TRUE(table.of(named("c/e")));
  EXPECT_EQ(table.find(c), nullptr);
  EXPECT_EQ(table.size(), 3U);
}

// ---- groups and keys ----

TEST(a_group_of_two_nodes, hears_what_is_published_on_either_and_forgets_who_is_gone) {
  pair mesh;
  log near;
  log far;
  const auto a = mesh.at[0].spawn(near);
  const auto b = mesh.at[1].spawn(far);
  ASSERT_TRUE(mesh.at[0].around.join("room", a));
  ASSERT_TRUE(mesh.at[1].around.join("room", b));
  mesh.run();
  EXPECT_THAT(mesh.at[0].around.members("room"), ElementsAre(a, mesh.seen(0, b)));
  EXPECT_THAT(mesh.at[1].around.members("room", reach::node), ElementsAre(b));
  mesh.at[0].as(a, [&](kernel::context& self) {
    EXPECT_EQ(mesh.at[0].around.publish(self, "room", mesh.at[0].word("news"), cbor::integer_value(1)), 2U);
    EXPECT_EQ(mesh.at[0].around.publish(self, "room", mesh.at[0].word("local"), {}, reach::node), 1U);
  });
  EXPECT_EQ(mesh.at[1].rt.publish(mesh.at[1].now, "room", "more", {}, mesh.at[1].out).value(), 2U);
  mesh.run();
  EXPECT_THAT(near, ElementsAre("news 1", "local", "more"));
  EXPECT_THAT(far, ElementsAre("more", "news 1"));
  mesh.at[1].end(b);
  mesh.run();
  EXPECT_THAT(mesh.at[0].around.members("room"), ElementsAre(a));
}

TEST(a_group_of_two_nodes, is_whole_again_after_a_cut_and_its_watchers_hear_of_both) {
  pair mesh;
  log seen;
  const auto watcher = mesh.at[0].spawn(seen);
  const auto b = mesh.at[1].spawn();
  ASSERT_TRUE(mesh.at[0].around.monitor_group("room", watcher));
  ASSERT_TRUE(mesh.at[1].around.join("room", b));
  mesh.run();
  mesh.cut();
  mesh.run();
  EXPECT_THAT(mesh.at[0].around.members("room"), IsEmpty());
  mesh.connect();
  mesh.run();
  const auto pids = R"({"group":"room","pids":[")" + mesh.at[1].text(b) + R"("]})";
  EXPECT_THAT(seen, ElementsAre("group_joined " + pids, "group_left " + pids, "group_joined " + pids));
}

TEST(entries_of_another_node, are_gone_before_anybody_here_hears_of_their_processes_end) {
  pair mesh;
  const auto b = mesh.at[1].spawn();
  ASSERT_TRUE(mesh.at[1].around.join("room", b));
  ASSERT_TRUE(mesh.at[1].around.register_key(key_space::mesh_duplicate, "k", b, {}));
  int downs = 0;
  const auto watcher =
      mesh.at[0].spawn(std::make_unique<kernel::testing::scripted>([&](kernel::context&, kernel::message&) {
                         ++downs;
                         EXPECT_THAT(mesh.at[0].around.members("room"), IsEmpty());
                         EXPECT_THAT(mesh.at[0].around.lookup(key_space::mesh_duplicate, "k"), IsEmpty());
                       }),
                       {.priority = true});
  mesh.run();
  ASSERT_EQ(mesh.at[0].around.count_keys(key_space::mesh_duplicate), 1U);
  mesh.at[0].as(watcher, [&](kernel::context& self) { static_cast<void>(self.monitor(mesh.seen(0, b))); });
  mesh.run();
  mesh.at[1].end(b);
  mesh.run();
  EXPECT_EQ(downs, 1);
  // And so where the whole node goes.
  const auto other = mesh.at[1].spawn();
  ASSERT_TRUE(mesh.at[1].around.join("room", other));
  mesh.run();
  mesh.at[0].as(watcher, [&](kernel::context& self) { static_cast<void>(self.monitor(mesh.seen(0, other))); });
  mesh.run();
  mesh.cut();
  mesh.run();
  EXPECT_EQ(downs, 2);
}

TEST(a_unique_key, that_two_hold_after_a_split_stays_with_the_pid_that_sorts_first_and_the_other_hears_of_it) {
  pair mesh;
  mesh.cut();
  std::array<log, 2> seen;
  std::array<kernel::handle, 2> holders;
  for (const std::size_t i : {0U, 1U}) {
    inside& w = mesh.at[i];
    holders.at(i) = w.spawn(seen.at(i));
    w.as(holders.at(i), [&](kernel::context& self) { (void)w.around.claim_key(self, "k", {}, 1s); });
    EXPECT_TRUE(w.rt.key_answered(w.now, w.take<key_claimed>().at(0).number, cbor::bool_value(true), w.out));
    w.run();
    w.out.clear();
  }
  mesh.connect();
  mesh.run();
  EXPECT_THAT(seen[0], ElementsAre("reply true"));
  EXPECT_THAT(seen[1],
              ElementsAre("reply true", R"(key_lost {"key":"k","pid":")" + mesh.at[0].text(holders[0]) + R"("})"));
  for (const std::size_t i : {0U, 1U}) {
    EXPECT_EQ(mesh.at[i].rt.key_holder("k"), mesh.at[0].of.pid_of(holders[0]));
    EXPECT_EQ(mesh.at[i].around.lookup(key_space::mesh_unique, "k").size(), 1U);
  }
}

TEST(an_announcement, that_does_not_follow_the_one_before_is_refused) {
  pair mesh;
  inside& a = mesh.at[0];
  const node_id from = mesh.at[1].of.settings.node;
  EXPECT_TRUE(a.rt.receive(a.now, from, wire::announce{1, {}}, a.out));
  const auto gap = a.rt.receive(a.now, from, wire::announce{3, {}}, a.out);
  ASSERT_FALSE(gap);
  EXPECT_EQ(gap.error().code, errc::protocol);
  EXPECT_THAT(gap.error().context, HasSubstr("announcement 3 of demo-bbbbb@7 after 1"));
}

TEST(a_process_that_is_handed_over, stays_in_its_groups_and_keeps_its_keys) {
  pair mesh;
  for (auto& each : mesh.at)
    ASSERT_TRUE(each.rt.define(counter_class()));
  inside& from = mesh.at[0];
  inside& to = mesh.at[1];
  ASSERT_TRUE(from.rt.cast(from.now, named("counter/x"), "add", cbor::integer_value(1), from.out));
  mesh.run();
  const auto who = *from.around.find("counter/x");
  ASSERT_TRUE(from.around.join("room", who));
  ASSERT_TRUE(from.around.join("room", who));
  ASSERT_TRUE(from.around.register_key(key_space::mesh_duplicate, "topic", who, cbor::integer_value(4)));
  from.as(who, [&](kernel::context& self) { (void)from.around.claim_key(self, "k", cbor::integer_value(5), 1s); });
  ASSERT_TRUE(from.rt.key_answered(from.now, from.take<key_claimed>().at(0).number, cbor::bool_value(true), from.out));
  mesh.run();
  auto packed = from.rt.take(from.now, named("counter/x"), from.out);
  ASSERT_TRUE(packed);
  EXPECT_EQ(packed->facts.size(), 3U);
  mesh.run();
  EXPECT_EQ(from.around.count_keys(key_space::mesh_unique), 0U);
  ASSERT_TRUE(to.rt.install(to.now, std::move(*packed), to.out));
  const auto claims = to.take<key_claimed>();
  ASSERT_EQ(claims.size(), 1U);
  EXPECT_TRUE(claims[0].handed_over);
  EXPECT_TRUE(to.rt.key_answered(to.now, claims[0].number, cbor::bool_value(true), to.out));
  mesh.run();
  const auto now_there = *to.around.find("counter/x");
  EXPECT_THAT(from.around.members("room"), ElementsAre(mesh.seen(0, now_there)));
  EXPECT_TRUE(to.around.leave("room", now_there));
  EXPECT_THAT(to.around.members("room"), ElementsAre(now_there)) << "it had joined twice";
  EXPECT_EQ(from.around.lookup(key_space::mesh_duplicate, "topic").at(0).held.json_text(), "4");
  EXPECT_EQ(from.around.lookup(key_space::mesh_unique, "k").at(0).held.json_text(), "5");
}

TEST(lists_of_groups_and_keys, are_the_same_on_both_nodes) {
  pair mesh;
  const auto a = mesh.at[0].spawn();
  const auto b = mesh.at[1].spawn();
  ASSERT_TRUE(mesh.at[0].around.join("chat/1", a));
  ASSERT_TRUE(mesh.at[1].around.join("chat/1", b));
  ASSERT_TRUE(mesh.at[1].around.register_key(key_space::mesh_duplicate, "topic", b, cbor::integer_value(1)));
  ASSERT_TRUE(mesh.at[1].around.register_key(key_space::node_duplicate, "private", b, {}));
  mesh.run();
  for (auto& each : mesh.at) {
    const auto groups = each.rt.groups("chat/", 10);
    ASSERT_EQ(groups.size(), 1U);
    EXPECT_EQ(groups[0].members, 2U);
    EXPECT_EQ(groups[0].here, 1U);
    EXPECT_EQ(each.rt.members("chat/1").size(), 2U);
    const auto keys = each.rt.keys(key_space::mesh_duplicate, "to", 10);
    ASSERT_EQ(keys.size(), 1U);
    EXPECT_EQ(keys[0].holder, mesh.at[1].of.pid_of(b));
  }
  EXPECT_EQ(mesh.at[0].around.count_keys(key_space::node_duplicate), 0U);
}

}  // namespace
}  // namespace orrery::process
