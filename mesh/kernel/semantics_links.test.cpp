// Links, and the protocol that keeps both ends of one between two nodes of one mind.
#include "mesh/kernel/semantics.hpp"

namespace orrery::kernel {
namespace {

using namespace std::chrono_literals;
using namespace testing;

class links : public between {};
ORRERY_ON_ONE_NODE_AND_TWO(links);

TEST_P(links, are_bidirectional) {
  for (const bool first_ends : {true, false}) {
    auto& a = near();
    auto& b = far();
    link(a, b), run();
    stop(first_ends ? a : b, boom), run();
    EXPECT_EQ(end_of(a), "error: boom");
    EXPECT_EQ(end_of(b), "error: boom");
  }
}

TEST_P(links, are_seen_from_both_ends) {
  auto& a = near();
  auto& b = far();
  link(a, b), run();
  EXPECT_EQ(look(a).links, std::vector{pid(a, b)});
  EXPECT_EQ(look(b).links, std::vector{pid(b, a)});
}

TEST_P(links, are_one_per_pair_however_often_made) {
  auto& a = near({.trap_exits = true});
  auto& b = far();
  link(a, b), link(a, b), run(), link(a, b), run();
  EXPECT_EQ(look(a).links.size(), 1U);
  EXPECT_EQ(look(b).links.size(), 1U);
  stop(b, boom), run();
  EXPECT_EQ(a.seen, log{"exit error: boom"});
}

TEST_P(links, are_one_per_pair_when_both_make_it) {
  auto& a = near({.trap_exits = true});
  auto& b = far();
  link(a, b), link(b, a), run();
  EXPECT_EQ(look(a).links.size(), 1U);
  EXPECT_EQ(look(b).links.size(), 1U);
  stop(b, boom), run();
  EXPECT_EQ(a.seen, log{"exit error: boom"});
}

TEST_P(links, are_undone_by_one_unlink) {
  auto& a = near();
  auto& b = far();
  link(a, b), link(a, b), run(), unlink(a, b), run();
  EXPECT_TRUE(look(a).links.empty());
  EXPECT_TRUE(look(b).links.empty());
  stop(b, boom), run();
  EXPECT_TRUE(alive(a));
}

TEST_P(links, are_undone_from_either_end) {
  auto& a = near();
  auto& b = far();
  link(a, b), run(), unlink(b, a), run();
  stop(a, boom), run();
  EXPECT_TRUE(alive(b));
}

TEST_P(links, carry_no_late_exit_after_unlink) {
  auto& a = near();
  auto& b = far();
  link(a, b), run();
  stop(b, boom);  // between nodes, the signal is under way
  if (apart()) {
    unlink(a, b), run();
    EXPECT_TRUE(alive(a));
  } else {
    EXPECT_EQ(end_of(a), "error: boom");
  }
}

TEST_P(links, leave_an_exit_message_that_has_arrived_after_unlink) {
  auto& a = near({.trap_exits = true});
  auto& b = far();
  link(a, b), run();
  EXPECT_TRUE(world_of(a).of.suspend(a.who));
  stop(b, boom), run(), unlink(a, b);
  EXPECT_TRUE(world_of(a).of.resume(a.who));
  run();
  EXPECT_EQ(a.seen, log{"exit error: boom"});
}

TEST_P(links, to_a_dead_process_give_noproc) {
  auto& trapping = near({.trap_exits = true});
  auto& other = near();
  auto& dead = far();
  stop(dead), run();
  link(trapping, dead), link(other, dead), run();
  ASSERT_EQ(trapping.seen.size(), 1U);
  EXPECT_TRUE(trapping.seen[0].starts_with("exit noproc")) << trapping.seen[0];
  EXPECT_TRUE(end_of(other).starts_with("noproc")) << end_of(other);
  EXPECT_TRUE(look(trapping).links.empty());
}

TEST_P(links, to_a_process_that_was_told_to_die_before_give_noproc) {
  auto& a = near({.trap_exits = true});
  auto& b = far();
  as(a, [&](context& self) {
    self.exit(pid(a, b), kill);
    self.link(pid(a, b));
  });
  run();
  ASSERT_EQ(a.seen.size(), 1U);
  EXPECT_TRUE(a.seen[0].starts_with("exit noproc")) << a.seen[0];
}

TEST_P(links, made_undone_and_made_again_at_once_hold) {
  auto& a = near({.trap_exits = true});
  auto& b = far();
  as(a, [&](context& self) {
    self.link(pid(a, b));
    self.unlink(pid(a, b));
    self.link(pid(a, b));
  });
  run();
  EXPECT_EQ(look(a).links.size(), 1U);
  EXPECT_EQ(look(b).links.size(), 1U);
  stop(b, boom), run();
  EXPECT_EQ(a.seen, log{"exit error: boom"});
}

TEST_P(links, made_and_undone_at_once_leave_nothing) {
  auto& a = near();
  auto& b = far();
  as(a, [&](context& self) {
    self.link(pid(a, b));
    self.unlink(pid(a, b));
    self.link(pid(a, b));
    self.unlink(pid(a, b));
  });
  run();
  EXPECT_TRUE(look(a).links.empty());
  EXPECT_TRUE(look(b).links.empty());
}

TEST_P(links, are_not_undone_by_those_who_have_none) {
  auto& a = near();
  auto& b = far();
  auto& c = near();
  link(a, b), run(), unlink(c, b), run();
  EXPECT_EQ(look(b).links.size(), 1U);
}

TEST(links_of_one_node, with_itself_are_none) {
  stage s{1};
  auto& a = s.near();
  s.link(a, a);
  EXPECT_TRUE(s.look(a).links.empty());
  s.stop(a, boom);
  EXPECT_EQ(s.end_of(a), "error: boom");
}

// ---- between two nodes, step by step (Erlang's distribution protocol, "Link Protocol") ----

struct linked : ::testing::Test, stage {
  linked() : stage(2), a(near({.trap_exits = true})), b(far({.trap_exits = true})) { link(a, b), run(); }
  party& a;
  party& b;
  void expect_linked(bool yes) {
    EXPECT_EQ(look(a).links.size(), yes ? 1U : 0U);
    EXPECT_EQ(look(b).links.size(), yes ? 1U : 0U);
  }
};

TEST_F(linked, both_unlink_at_once) {
  unlink(a, b), unlink(b, a), run();
  expect_linked(false);
  link(a, b), run();
  expect_linked(true);
}

TEST_F(linked, one_unlinks_while_the_other_does_and_links_again) {
  unlink(a, b), unlink(b, a), link(b, a), run();
  EXPECT_EQ(look(a).links.size(), look(b).links.size());
}

TEST_F(linked, both_unlink_and_link_again_at_once) {
  unlink(a, b), link(a, b), unlink(b, a), link(b, a), run();
  EXPECT_EQ(look(a).links.size(), look(b).links.size());
}

TEST_F(linked, an_exit_that_crosses_an_unlink_is_dropped) {
  stop(b, boom);
  unlink(a, b);
  run();
  EXPECT_TRUE(a.seen.empty());
  EXPECT_TRUE(look(a).links.empty());
}

TEST_F(linked, an_acknowledgement_of_an_older_unlink_changes_nothing) {
  unlink(a, b);
  mesh.carry(0);  // b's node has acknowledged; the acknowledgement is under way
  link(a, b), unlink(a, b), link(a, b);
  mesh.carry(1);
  run();
  expect_linked(true);
  stop(b, boom), run();
  EXPECT_EQ(a.seen, log{"exit error: boom"});
}

TEST_F(linked, a_link_to_one_that_died_meanwhile_gives_noproc_once) {
  unlink(a, b), run();
  stop(b), run();
  as(a, [&](context& self) {
    self.link(pid(a, b));
    self.unlink(pid(a, b));
    self.link(pid(a, b));
  });
  run();
  EXPECT_EQ(a.seen.size(), 1U);
  EXPECT_TRUE(look(a).links.empty());
}

TEST_F(linked, every_order_of_links_and_unlinks_ends_with_one_mind) {
  // Each side links (1) or unlinks (0) three times; signals are carried after each step of either side, or not.
  for (unsigned acts = 0; acts < 64; ++acts) {
    for (unsigned carries = 0; carries < 64; ++carries) {
      stage s{2};
      auto& one = s.near({.trap_exits = true});
      auto& two = s.far({.trap_exits = true});
      for (unsigned step = 0; step < 6; ++step) {
        party& self = step % 2 == 0 ? one : two;
        party& other = step % 2 == 0 ? two : one;
        (acts >> step & 1U) != 0 ? s.link(self, other) : s.unlink(self, other);
        if ((carries >> step & 1U) != 0) s.mesh.carry(step % 4 < 2 ? 0 : 1);
      }
      s.run();
      ASSERT_EQ(s.look(one).links.size(), s.look(two).links.size()) << "acts " << acts << ", carries " << carries;
      ASSERT_TRUE(one.seen.empty() && two.seen.empty()) << "acts " << acts << ", carries " << carries;
    }
  }
}

TEST(links_between_nodes, that_a_full_node_cannot_hold_are_refused_with_a_limit) {
  stage s{2, {.relations_max = 1}};
  auto& a = s.near({.trap_exits = true});
  auto& b = s.far({}, {}, [](context& self) { EXPECT_NE(self.alias(), no_reference); });
  s.link(a, b), s.run();
  EXPECT_TRUE(s.alive(b));
  ASSERT_EQ(a.seen.size(), 1U);
  EXPECT_TRUE(a.seen[0].starts_with("exit system_limit")) << a.seen[0];
  EXPECT_TRUE(s.look(a).links.empty());
}

// ---- nodes that go ----

TEST_F(linked, a_lost_node_breaks_links_with_noconnection_and_its_process_lives) {
  mesh.cut(0, 1), run();
  EXPECT_EQ(a.seen, log{"exit noconnection"});
  EXPECT_EQ(b.seen, log{"exit noconnection"});
  EXPECT_TRUE(alive(a));
  EXPECT_TRUE(alive(b));
  expect_linked(false);
}

TEST_F(linked, a_lost_node_takes_along_those_that_do_not_trap) {
  auto& c = near();
  link(c, b), run();
  mesh.cut(0, 1), run();
  EXPECT_EQ(end_of(c), "noconnection");
}

TEST_F(linked, a_lost_node_says_nothing_of_links_that_were_given_up) {
  unlink(a, b);  // not acknowledged
  mesh.cut(0, 1), run();
  EXPECT_TRUE(a.seen.empty());
  mesh.mend(0, 1), run();
  EXPECT_EQ(b.seen, log{"exit noconnection"});  // it never heard of the unlink
}

TEST_F(linked, a_link_to_a_lost_node_gives_noconnection) {
  unlink(a, b), run();
  mesh.cut(0, 1);
  link(a, b), run();
  EXPECT_EQ(a.seen, log{"exit noconnection"});
}

TEST_F(linked, links_can_be_made_again_when_the_node_is_back) {
  mesh.cut(0, 1), run();
  mesh.mend(0, 1);
  link(a, b), run();
  expect_linked(true);
  stop(b, boom), run();
  EXPECT_EQ(a.seen, (log{"exit noconnection", "exit error: boom"}));
}

TEST_F(linked, what_a_node_said_before_it_was_lost_is_not_taken_afterwards) {
  signal late{.what = signal::kind::link, .from = pid(a, b), .to = a.who};
  mesh.cut(0, 1), run();
  world_of(a).of.receive(world_of(a).now, std::move(late));
  EXPECT_TRUE(look(a).links.empty());
}

}  // namespace
}  // namespace orrery::kernel
