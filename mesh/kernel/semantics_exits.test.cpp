// Exit signals: the table of OTP's reference manual ("Receiving Exit Signals"), a case for each cell, and how ends
// spread.
#include "mesh/kernel/semantics.hpp"

#include <tuple>

namespace orrery::kernel {
namespace {

using namespace std::chrono_literals;
using namespace testing;

// ---- the table ----

enum class way : std::uint8_t { by_link, by_exit_from_another, by_exit_from_itself, by_exit_from_outside };

struct cell {
  const char* name;
  way how;
  exit_reason why;
  bool trapping;
  const char* ended;  ///< how the receiver ends, "" where it lives
  log seen;           ///< by the receiver
};

class exit_table : public ::testing::TestWithParam<std::tuple<cell, std::size_t>>, public stage {
 public:
  exit_table() : stage(std::get<1>(GetParam())) {}
};

TEST_P(exit_table, cell) {
  const auto& expected = std::get<0>(GetParam());
  auto& sender = near();
  auto& receiver = far({.trap_exits = expected.trapping});
  switch (expected.how) {
    case way::by_link:
      link(sender, receiver);
      run();
      stop(sender, expected.why);
      break;
    case way::by_exit_from_another:
      exit(sender, receiver, expected.why);
      break;
    case way::by_exit_from_itself:
      exit(receiver, receiver, expected.why);
      break;
    case way::by_exit_from_outside:
      world_of(receiver).of.exit(world_of(receiver).now, receiver.who, expected.why);
      break;
  }
  run();
  EXPECT_EQ(end_of(receiver), expected.ended);
  EXPECT_EQ(receiver.seen, expected.seen);
  EXPECT_EQ(alive(receiver), std::string_view{expected.ended}.empty());
}

const exit_reason noproc{exit_reason::kind::noproc, {}};
const exit_reason noconnection{exit_reason::kind::noconnection, {}};
const exit_reason limit{exit_reason::kind::limit, "memory"};
const exit_reason shutdown_because{exit_reason::kind::shutdown, "done"};

const cell cells[] = {
    {"link_normal", way::by_link, normal, false, "", {}},
    {"link_normal_trapping", way::by_link, normal, true, "", {"exit normal"}},
    {"link_shutdown", way::by_link, quiet_shutdown, false, "shutdown", {}},
    {"link_shutdown_trapping", way::by_link, quiet_shutdown, true, "", {"exit shutdown"}},
    {"link_shutdown_with_term", way::by_link, shutdown_because, false, "shutdown: done", {}},
    {"link_shutdown_with_term_trapping", way::by_link, shutdown_because, true, "", {"exit shutdown: done"}},
    {"link_error", way::by_link, boom, false, "error: boom", {}},
    {"link_error_trapping", way::by_link, boom, true, "", {"exit error: boom"}},
    {"link_kill_stays_kill", way::by_link, kill, false, "kill", {}},
    {"link_kill_is_trapped", way::by_link, kill, true, "", {"exit kill"}},
    {"link_killed", way::by_link, killed, false, "killed", {}},
    {"link_killed_trapping", way::by_link, killed, true, "", {"exit killed"}},
    {"link_noproc", way::by_link, noproc, false, "noproc", {}},
    {"link_noproc_trapping", way::by_link, noproc, true, "", {"exit noproc"}},
    {"link_noconnection", way::by_link, noconnection, false, "noconnection", {}},
    {"link_noconnection_trapping", way::by_link, noconnection, true, "", {"exit noconnection"}},
    {"link_limit", way::by_link, limit, false, "limit: memory", {}},
    {"link_limit_trapping", way::by_link, limit, true, "", {"exit limit: memory"}},
    {"exit_normal", way::by_exit_from_another, normal, false, "", {}},
    {"exit_normal_trapping", way::by_exit_from_another, normal, true, "", {"exit normal"}},
    {"exit_shutdown", way::by_exit_from_another, quiet_shutdown, false, "shutdown", {}},
    {"exit_shutdown_trapping", way::by_exit_from_another, quiet_shutdown, true, "", {"exit shutdown"}},
    {"exit_error", way::by_exit_from_another, boom, false, "error: boom", {}},
    {"exit_error_trapping", way::by_exit_from_another, boom, true, "", {"exit error: boom"}},
    {"exit_kill_is_killed", way::by_exit_from_another, kill, false, "killed", {}},
    {"exit_kill_cannot_be_trapped", way::by_exit_from_another, kill, true, "killed", {}},
    {"exit_killed_is_a_reason_like_others", way::by_exit_from_another, killed, false, "killed", {}},
    {"exit_killed_can_be_trapped", way::by_exit_from_another, killed, true, "", {"exit killed"}},
    {"exit_noproc", way::by_exit_from_another, noproc, false, "noproc", {}},
    {"exit_noproc_trapping", way::by_exit_from_another, noproc, true, "", {"exit noproc"}},
};
// Nobody is far from itself, or from its own node's surroundings.
const cell cells_of_one_node[] = {
    {"self_normal_ends_it", way::by_exit_from_itself, normal, false, "normal", {}},
    {"self_normal_trapping", way::by_exit_from_itself, normal, true, "", {"exit normal"}},
    {"self_shutdown", way::by_exit_from_itself, quiet_shutdown, false, "shutdown", {}},
    {"self_shutdown_trapping", way::by_exit_from_itself, quiet_shutdown, true, "", {"exit shutdown"}},
    {"self_error", way::by_exit_from_itself, boom, false, "error: boom", {}},
    {"self_error_trapping", way::by_exit_from_itself, boom, true, "", {"exit error: boom"}},
    {"self_kill_is_killed", way::by_exit_from_itself, kill, false, "killed", {}},
    {"self_kill_cannot_be_trapped", way::by_exit_from_itself, kill, true, "killed", {}},
    {"outside_normal", way::by_exit_from_outside, normal, false, "", {}},
    {"outside_normal_trapping", way::by_exit_from_outside, normal, true, "", {"exit normal"}},
    {"outside_error", way::by_exit_from_outside, boom, false, "error: boom", {}},
    {"outside_error_trapping", way::by_exit_from_outside, boom, true, "", {"exit error: boom"}},
    {"outside_kill_cannot_be_trapped", way::by_exit_from_outside, kill, true, "killed", {}},
};

const auto cell_name = [](const ::testing::TestParamInfo<std::tuple<cell, std::size_t>>& of) {
  return std::string{std::get<0>(of.param).name} + (std::get<1>(of.param) == 1 ? "_one_node" : "_two_nodes");
};
INSTANTIATE_TEST_SUITE_P(from_another, exit_table,
                         ::testing::Combine(::testing::ValuesIn(cells), ::testing::Values(1U, 2U)), cell_name);
INSTANTIATE_TEST_SUITE_P(here, exit_table,
                         ::testing::Combine(::testing::ValuesIn(cells_of_one_node), ::testing::Values(1U)), cell_name);

// ---- how ends spread ----

class exits : public between {};
ORRERY_ON_ONE_NODE_AND_TWO(exits);

TEST_P(exits, a_crash_goes_along_a_chain_of_links_with_its_first_reason) {
  auto& a = near();
  auto& b = far();
  auto& c = near();
  auto& d = far({.trap_exits = true});
  link(a, b), run(), link(b, c), run(), link(c, d), run();
  stop(a, boom);
  run();
  EXPECT_EQ(end_of(b), "error: boom");
  EXPECT_EQ(end_of(c), "error: boom");
  EXPECT_EQ(d.seen, log{"exit error: boom"});
}

TEST_P(exits, links_of_a_killed_process_hear_killed_which_can_be_trapped) {
  auto& victim = near({.trap_exits = true});
  auto& trapping = far({.trap_exits = true});
  auto& other = far();
  link(victim, trapping), link(victim, other), run();
  exit(trapping, victim, kill);
  run();
  EXPECT_EQ(end_of(victim), "killed");
  EXPECT_EQ(trapping.seen, log{"exit killed"});
  EXPECT_EQ(end_of(other), "killed");
}

TEST_P(exits, a_normal_end_leaves_the_rest_of_a_chain_alone) {
  auto& a = near();
  auto& b = far();
  link(a, b), run();
  stop(a);
  run();
  EXPECT_EQ(end_of(a), "normal");
  EXPECT_TRUE(alive(b));
  EXPECT_TRUE(look(b).links.empty());
}

TEST_P(exits, an_exit_signal_to_a_dead_process_is_dropped) {
  auto& a = near();
  auto& b = far();
  stop(b);
  run();
  exit(a, b, boom);
  run();
  EXPECT_TRUE(alive(a));
  EXPECT_EQ(end_of(b), "normal");
}

TEST_P(exits, an_exit_message_says_who_ended) {
  auto& ending = far();
  handle said;
  auto& trapping = near({.trap_exits = true}, [&](context&, message& arrived) { said = arrived.from; });
  link(trapping, ending), run();
  stop(ending, boom);
  run();
  EXPECT_EQ(said, pid(trapping, ending));
}

TEST_P(exits, an_exit_message_says_who_asked_for_it) {
  auto& asking = far();
  handle said;
  auto& trapping = near({.trap_exits = true}, [&](context&, message& arrived) { said = arrived.from; });
  exit(asking, trapping, boom);
  run();
  EXPECT_EQ(said, pid(trapping, asking));
  EXPECT_TRUE(alive(asking));
}

TEST_P(exits, the_first_of_two_exit_signals_counts) {
  auto& a = near();
  auto& b = far();
  as(a, [&](context& self) {
    self.exit(pid(a, b), boom);
    self.exit(pid(a, b), kill);
  });
  run();
  EXPECT_EQ(end_of(b), "error: boom");
}

TEST_P(exits, trapping_counts_when_the_signal_arrives) {
  auto& a = near();
  auto& b = far();
  as(b, [](context& self) { EXPECT_FALSE(self.trap_exits(true)); });
  exit(a, b, boom), run();
  as(b, [](context& self) { EXPECT_TRUE(self.trap_exits(false)); });
  exit(a, b, quiet_shutdown), run();
  EXPECT_EQ(b.seen, log{"exit error: boom"});
  EXPECT_EQ(end_of(b), "shutdown");
}

TEST_P(exits, what_waits_for_a_process_that_is_killed_is_never_handled) {
  auto& a = near();
  auto& b = far();
  as(a, [&](context& self) {
    self.send(pid(a, b), world_of(a).word("first"));
    self.exit(pid(a, b), kill);
    self.send(pid(a, b), world_of(a).word("second"));
  });
  run();
  EXPECT_EQ(b.seen.size(), 0U);
  EXPECT_EQ(end_of(b), "killed");
}

TEST_P(exits, of_two_that_are_linked_and_exit_each_other_both_end) {
  auto& a = near();
  auto& b = far();
  link(a, b), run();
  exit(a, b, boom);
  if (alive(b)) exit(b, a, quiet_shutdown);  // between nodes, the signals cross
  run();
  EXPECT_FALSE(alive(a));
  EXPECT_FALSE(alive(b));
}

TEST(ends, a_name_is_free_before_a_link_hears) {
  stage s{1};
  auto& server = s.near();
  const auto name = s.world_of(server).word("server");
  bool taken_over = false;
  auto& next = s.near({.trap_exits = true}, [&](context& self, message&) { taken_over = self.register_name(name); });
  s.as(server, [&](context& self) { EXPECT_TRUE(self.register_name(name)); });
  s.link(next, server);
  s.exit(next, server, kill);
  s.run();
  EXPECT_TRUE(taken_over);
  EXPECT_EQ(s.world_of(next).of.whereis(name), next.who);
}

TEST(ends, a_name_is_free_before_a_caller_hears) {
  stage s{1};
  auto& server = s.near({}, [](context& self, message&) { self.stop(boom); });
  const auto name = s.world_of(server).word("server");
  handle found = server.who;
  auto& client = s.near({}, [&](context& self, message&) { found = self.of().whereis(name); });
  s.as(server, [&](context& self) { EXPECT_TRUE(self.register_name(name)); });
  s.call(client, server, "get");
  s.run();
  EXPECT_EQ(found, nobody);
  EXPECT_EQ(client.seen.size(), 1U);
}

TEST(ends, the_surroundings_hear_before_links_and_monitors) {
  stage s{1};
  auto& ending = s.near();
  std::string known;
  auto& watcher = s.near({.priority = true}, [&](context&, message&) { known = s.end_of(ending); });
  static_cast<void>(s.monitor(watcher, ending));
  s.stop(ending, boom);
  s.run();
  EXPECT_EQ(known, "error: boom");
}

TEST(ends, the_last_word_is_had_by_a_process_that_stops_by_itself_only) {
  for (const bool by_itself : {true, false}) {
    stage s{1};
    auto& witness = s.near();
    auto& ending = s.absent(0);
    auto& w = s.world_of(ending);
    const auto last = [&](context& self, const exit_reason& why) { self.send(witness.who, w.word(to_string(why))); };
    ending.who = *w.of.spawn(w.now, s.body_of(ending, {}, {}, last), stage::announced(ending));
    w.run();
    by_itself ? s.stop(ending, boom) : s.exit(witness, ending, boom);
    s.run();
    EXPECT_EQ(s.end_of(ending), "error: boom");
    EXPECT_EQ(witness.seen, by_itself ? log{"error: boom"} : log{});
  }
}

TEST(ends, an_aborted_process_has_no_last_word) {
  stage s{1};
  auto& ending = s.absent(0);
  auto& w = s.world_of(ending);
  bool told = false;
  ending.who = *w.of.spawn(w.now, s.body_of(ending, {}, {}, [&](context&, const exit_reason&) { told = true; }),
                           stage::announced(ending));
  w.run();
  s.as(ending, [](context& self) { self.abort(boom); });
  EXPECT_EQ(s.end_of(ending), "error: boom");
  EXPECT_FALSE(told);
}

TEST(ends, what_is_sent_in_the_last_word_comes_before_the_down) {
  stage s{1};
  auto& witness = s.near();
  auto& ending = s.absent(0);
  auto& w = s.world_of(ending);
  const auto last = [&](context& self, const exit_reason&) { self.send(witness.who, w.word("bye")); };
  ending.who = *w.of.spawn(w.now, s.body_of(ending, {}, {}, last), stage::announced(ending));
  w.run();
  static_cast<void>(s.monitor(witness, ending));
  s.stop(ending);
  s.run();
  EXPECT_EQ(witness.seen, (log{"bye", "down normal"}));
}

TEST(ends, the_first_reason_to_stop_counts) {
  stage s{1};
  auto& ending = s.near();
  s.as(ending, [](context& self) {
    self.stop(boom);
    self.stop(quiet_shutdown);
    self.exit(self.self(), kill);
  });
  EXPECT_EQ(s.end_of(ending), "error: boom");
}

TEST(ends, stopping_from_outside_is_as_if_it_had_stopped_by_itself) {
  stage s{1};
  auto& ending = s.absent(0);
  auto& w = s.world_of(ending);
  std::string last_word;
  ending.who = *w.of.spawn(
      w.now, s.body_of(ending, {}, {}, [&](context&, const exit_reason& why) { last_word = to_string(why); }),
      stage::announced(ending));
  w.run();
  EXPECT_TRUE(w.of.stop(w.now, ending.who, quiet_shutdown));
  EXPECT_FALSE(w.of.stop(w.now, ending.who, quiet_shutdown));
  EXPECT_EQ(last_word, "shutdown");
  EXPECT_EQ(s.end_of(ending), "shutdown");
}

TEST(ends, a_pid_is_never_used_again) {
  stage s{1};
  auto& first = s.near();
  s.stop(first);
  auto& second = s.near();
  EXPECT_EQ(first.who.slot, second.who.slot);
  EXPECT_NE(first.who, second.who);
  s.send(second, first, "hello");
  s.exit(second, first, kill);
  s.run();
  EXPECT_TRUE(s.alive(second));
  EXPECT_TRUE(second.seen.empty());
}

}  // namespace
}  // namespace orrery::kernel
