// What should not be asked: the documented answer, nobody else touched, and nothing left behind.
#include "mesh/kernel/semantics.hpp"

#include <ctime>
#include <iostream>

namespace orrery::kernel {
namespace {

using namespace std::chrono_literals;
using namespace testing;
using ::testing::ElementsAre;
using ::testing::StartsWith;

/// Pids of no process, and what is said of them.
struct no_process {
  const char* name;
  std::function<handle(stage&)> pid;
  std::string reason;  ///< of a link or a monitor
};
void PrintTo(const no_process& row, std::ostream* out) { *out << row.name; }

handle dead(stage& s) {
  auto& was = s.near();
  s.stop(was);
  s.run();
  return was.who;
}
handle one_whose_place_is_taken_again(stage& s) {
  const auto gone = dead(s);
  while (s.near().who.slot != gone.slot) {
  }
  return gone;
}
handle never_was(stage& s) {
  static_cast<void>(s);
  return {handle::here, 4'000'000'000, 7};
}
handle the_empty_pid(stage& s) {
  static_cast<void>(s);
  return nobody;
}
handle of_a_node_that_never_was(stage& s) {
  static_cast<void>(s);
  return {77, 0, 0};
}
handle the_outside(stage& s) {
  static_cast<void>(s);
  return {handle::outside, 0, 0};
}

class pids_of_nobody : public ::testing::TestWithParam<no_process>, public stage {
 public:
  pids_of_nobody() : stage(1), who_(GetParam().pid(*this)), a(near({.trap_exits = true})), before_(w.of.held()) {}

 protected:
  void expect_nothing_left() {
    run();
    EXPECT_EQ(w.of.held(), before_);
    EXPECT_EQ(w.of.queued_bytes(), 0U);
    EXPECT_TRUE(alive(a));
    EXPECT_TRUE(w.sent.empty());
  }

  world& w = mesh.node(0);
  handle who_;
  party& a;
  holdings before_;
};

TEST_P(pids_of_nobody, take_messages_that_are_dropped_and_counted) {
  const auto dropped = w.of.counted().dropped;
  as(a, [&](context& self) {
    self.send(who_, w.word("one"), cbor::text_value("payload"));
    self.cast(who_, w.word("two"), cbor::text_value("payload"));
  });
  w.of.send(w.now, who_, w.word("three"));
  EXPECT_EQ(w.of.counted().dropped, dropped + 3);
  expect_nothing_left();
}

TEST_P(pids_of_nobody, cannot_be_called) {
  as(a, [&](context& self) { static_cast<void>(self.call(who_, w.word("get"), {}, 1s)); });
  run();
  const bool foreign = GetParam().reason == "noconnection";
  EXPECT_THAT(a.seen,
              ElementsAre(StartsWith(foreign ? "failed unavailable: noconnection" : "failed process_exited: noproc")));
  expect_nothing_left();
}

TEST_P(pids_of_nobody, cannot_be_called_from_outside) {
  w.of.call(w.now, who_, w.word("get"), {}, w.now + 1s, call_token{1});
  EXPECT_EQ(w.replies.at(1).error().code, errc::not_found);
  expect_nothing_left();
}

TEST_P(pids_of_nobody, cannot_be_linked_with) {
  as(a, [&](context& self) { self.link(who_); });
  run();
  EXPECT_THAT(a.seen, ElementsAre(StartsWith("exit " + GetParam().reason)));
  as(a, [&](context& self) { self.unlink(who_); });
  expect_nothing_left();
}

TEST_P(pids_of_nobody, cannot_be_monitored) {
  as(a, [&](context& self) { self.demonitor(self.monitor(who_), false); });
  run();
  EXPECT_EQ(a.seen, log{"down " + GetParam().reason});
  expect_nothing_left();
}

TEST_P(pids_of_nobody, take_exit_signals_that_are_dropped) {
  as(a, [&](context& self) {
    self.exit(who_, testing::kill);
    self.exit(who_, boom);
  });
  w.of.exit(w.now, who_, testing::kill);
  EXPECT_FALSE(w.of.stop(w.now, who_, {}));
  expect_nothing_left();
}

TEST_P(pids_of_nobody, have_no_timers_and_cannot_be_adopted_suspended_or_looked_at) {
  as(a, [&](context& self) {
    static_cast<void>(self.send_after(1s, who_, w.word("tick")));
    self.adopt(who_, 3);
  });
  pass(2s);
  EXPECT_FALSE(w.of.suspend(who_));
  EXPECT_FALSE(w.of.resume(who_));
  EXPECT_FALSE(w.of.inspect(who_));
  EXPECT_FALSE(w.of.note_of(who_));
  EXPECT_EQ(w.of.body_of(who_), nullptr);
  EXPECT_EQ(w.of.load_of(who_).waiting, 0U);
  EXPECT_TRUE(w.of.withdraw(w.now, who_).empty());
  EXPECT_TRUE(a.seen.empty());
  expect_nothing_left();
}

INSTANTIATE_TEST_SUITE_P(
    bad, pids_of_nobody,
    ::testing::Values(no_process{"dead", dead, "noproc"},
                      no_process{"one_whose_place_is_taken_again", one_whose_place_is_taken_again, "noproc"},
                      no_process{"never_was", never_was, "noproc"},
                      no_process{"the_empty_pid", the_empty_pid, "noproc"},
                      no_process{"of_a_node_that_never_was", of_a_node_that_never_was, "noconnection"},
                      no_process{"the_outside", the_outside, "noconnection"}),
    [](const auto& row) { return std::string{row.param.name}; });

// ---- answers that nobody waits for ----

class strange_answers : public between {};
ORRERY_ON_ONE_NODE_AND_TWO(strange_answers);

TEST_P(strange_answers, the_second_of_two_is_counted_and_dropped) {
  auto& server = far({}, [](context& self, message& asked) {
    self.reply(caller_of(asked), cbor::integer_value(1));
    self.reply(caller_of(asked), cbor::integer_value(2));
  });
  auto& client = near();
  call(client, server, "get");
  run();
  EXPECT_EQ(client.seen, log{"reply 1"});
  EXPECT_EQ(world_of(client).of.counted().late + (apart() ? world_of(server).of.counted().late : 0U), 1U);
  EXPECT_EQ(world_of(client).of.held(), (holdings{apart() ? 1U : 2U, 0, 0}));
  EXPECT_EQ(world_of(server).of.held(), (holdings{apart() ? 1U : 2U, 0, 0}));
}

TEST_P(strange_answers, one_by_a_process_that_was_not_asked_to_a_call_of_another_is_dropped) {
  caller kept;
  auto& server = far({}, [&](context&, message& asked) { kept = caller_of(asked); });
  auto& client = near();
  auto& other = near();
  call(client, server, "get");
  run();
  caller forged = kept;
  forged.from = pid(server, other);
  as(server, [&](context& self) { self.reply(forged, cbor::integer_value(1)); });
  run();
  EXPECT_TRUE(client.seen.empty());
  EXPECT_TRUE(other.seen.empty());
  as(server, [&](context& self) { self.reply(kept, cbor::integer_value(2)); });
  run();
  EXPECT_EQ(client.seen, log{"reply 2"});
}

TEST_P(strange_answers, one_to_what_is_no_call_is_dropped) {
  auto& server = far();
  auto& client = near();
  as(server, [&](context& self) {
    self.reply({}, cbor::integer_value(1));
    self.reply({pid(server, client), {12345, 6}}, cbor::integer_value(1));
    self.reply({pid(server, client), self.alias()}, cbor::integer_value(1));
    self.reply({{77, 1, 1}, {1, 1}}, cbor::integer_value(1));
  });
  run();
  EXPECT_TRUE(client.seen.empty());
  EXPECT_TRUE(alive(server));
  EXPECT_EQ(world_of(server).of.held().messages, 0U);
}

TEST_P(strange_answers, one_to_a_client_that_is_gone_is_dropped) {
  caller kept;
  auto& server = far({}, [&](context&, message& asked) { kept = caller_of(asked); });
  auto& client = near();
  call(client, server, "get");
  run();
  stop(client);
  as(server, [&](context& self) { self.reply(kept, cbor::integer_value(1)); });
  run();
  EXPECT_EQ(world_of(server).of.held().relations, 0U);
  EXPECT_EQ(world_of(client).of.held().relations, 0U);
}

// ---- floods ----

TEST(floods, of_messages_to_a_process_that_ends_leave_nothing) {
  world w;
  const auto server = w.spawn({});
  w.run();
  const auto before = w.of.held();
  const auto victim = w.spawn({}, {}, {.mailbox_max = 1000});
  w.run();
  EXPECT_TRUE(w.of.suspend(victim));
  w.as(server, [&](context& self) {
    for (int i = 0; i < 5000; ++i) {
      self.send(victim, w.word("x"), cbor::text_value("payload"));
      static_cast<void>(self.call(victim, w.word("y"), {}, 1s));
    }
  });
  w.of.exit(w.now, victim, testing::kill);
  w.run();
  EXPECT_EQ(w.of.held(), before);
  EXPECT_EQ(w.of.queued_bytes(), 0U);
}

TEST(floods, of_processes_that_are_spawned_and_killed_at_once_leave_nothing) {
  world w;
  std::vector<std::string> heard;
  const auto parent = w.spawn_witness(heard, {}, {.trap_exits = true});
  const auto before = w.of.held();
  w.as(parent, [&](context& self) {
    for (int i = 0; i < 1000; ++i) {
      const auto child =
          self.spawn(std::make_unique<scripted>(scripted::on_message{}), {.link = true, .monitor = true});
      self.exit(child.who, testing::kill);
    }
  });
  w.run();
  EXPECT_EQ(heard.size(), 2000U);
  EXPECT_EQ(w.of.held(), before);
}

TEST(floods, of_exit_signals_to_a_process_that_traps_them_are_bounded) {
  world w;
  const auto stranger = w.spawn({});
  const auto parent = w.spawn({});
  spawned victim;
  w.as(parent, [&](context& self) {
    victim = self.spawn(std::make_unique<scripted>(scripted::on_message{}), {.trap_exits = true, .mailbox_max = 10});
  });
  w.run();
  EXPECT_TRUE(w.of.suspend(victim.who));
  const auto dropped = w.of.counted().dropped;
  w.as(stranger, [&](context& self) {
    for (std::uint32_t i = 0; i < 2 * exits_beyond_max; ++i)
      self.exit(victim.who, boom);
  });
  EXPECT_EQ(w.of.load_of(victim.who).waiting, 10U + exits_beyond_max);
  EXPECT_EQ(w.of.counted().dropped - dropped, exits_beyond_max - 10U);
  EXPECT_EQ(w.bounds.size(), exits_beyond_max - 10U);
  w.as(parent, [&](context& self) { self.exit(victim.who, quiet_shutdown); });
  w.as(stranger, [&](context& self) { self.link(victim.who); });
  w.of.exit(w.now, stranger, testing::kill);
  EXPECT_EQ(w.of.load_of(victim.who).waiting, 12U + exits_beyond_max) << "its parent and its links are always heard";
}

TEST(floods, of_ties_between_nodes_cost_each_as_much_however_many_there_are) {
  constexpr std::uint32_t many = 40'000;
  world w;
  const auto node = w.of.add_node();
  const auto hub = w.spawn({}, {}, {.trap_exits = true});
  w.run();
  const auto before = w.of.held();
  const auto start = std::clock();
  const auto from_all = [&](signal::kind what) {
    for (std::uint32_t i = 0; i < many; ++i)
      w.of.receive(w.now, {.what = what, .from = {node, i, 1}, .to = hub, .ref = {i, 1}});
  };
  from_all(signal::kind::monitor);
  from_all(signal::kind::demonitor);  // those that came first, first
  EXPECT_EQ(w.of.held(), before);
  w.as(hub, [&](context& self) {
    for (std::uint32_t i = 0; i < many; ++i)
      self.link({node, i, 1});
  });
  from_all(signal::kind::link_broke);
  w.run();
  EXPECT_EQ(w.of.held(), before);
  // A tenth of a second. Looking through lists for each, it is ten and more.
  EXPECT_LT(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC, 3);
}

}  // namespace
}  // namespace orrery::kernel
