// Aliases, registered names, timers, timeouts, and what a process wants to go on with.
#include "mesh/kernel/semantics.hpp"

namespace orrery::kernel {
namespace {

using namespace std::chrono_literals;
using namespace testing;

class aliases : public between {
 protected:
  static reference alias_of(stage& s, const party& who) {
    reference given;
    s.as(who, [&](context& self) { given = self.alias(); });
    return given;
  }
  void send_by(const party& from, const party& to, reference by) {
    as(from, [&](context& self) { self.send_alias(pid(from, to), by, world_of(from).word("hello")); });
  }
};
ORRERY_ON_ONE_NODE_AND_TWO(aliases);

TEST_P(aliases, carry_messages_until_they_are_given_up) {
  auto& a = near();
  auto& b = far();
  const auto given = alias_of(*this, b);
  send_by(a, b, given), run();
  as(b, [&](context& self) { self.unalias(given); });
  send_by(a, b, given), run();
  EXPECT_EQ(b.seen, log{"hello"});
}

TEST_P(aliases, given_up_while_a_message_is_under_way_drop_it) {
  auto& a = near();
  auto& b = far();
  const auto given = alias_of(*this, b);
  if (apart()) {
    send_by(a, b, given);
    as(b, [&](context& self) { self.unalias(given); });
  } else {
    as(b, [&](context& self) { self.unalias(given); });
    send_by(a, b, given);
  }
  run();
  EXPECT_TRUE(b.seen.empty());
}

TEST_P(aliases, say_by_which_a_message_came) {
  auto& a = near();
  reference came;
  auto& b = far({}, [&](context&, message& arrived) { came = arrived.ref; });
  const auto given = alias_of(*this, b);
  send_by(a, b, given), run();
  EXPECT_EQ(came, given);
}

TEST_P(aliases, end_with_their_process) {
  auto& a = near();
  auto& b = far();
  const auto given = alias_of(*this, b);
  stop(b), run();
  auto& c = far();
  send_by(a, c, given), run();
  EXPECT_TRUE(c.seen.empty());
}

TEST_P(aliases, are_of_one_process_alone) {
  auto& a = near();
  auto& b = far();
  auto& c = far();
  const auto given = alias_of(*this, b);
  as(c, [&](context& self) { self.unalias(given); });
  send_by(a, c, given), send_by(a, b, given), run();
  EXPECT_TRUE(c.seen.empty());
  EXPECT_EQ(b.seen, log{"hello"});
}

TEST(names, lead_to_one_process) {
  stage s{1};
  auto& a = s.near();
  auto& b = s.near();
  const auto name = s.world_of(a).word("server");
  EXPECT_EQ(s.world_of(a).of.whereis(name), nobody);
  s.as(a, [&](context& self) { EXPECT_TRUE(self.register_name(name)); });
  s.as(b, [&](context& self) { EXPECT_FALSE(self.register_name(name)); });
  EXPECT_EQ(s.world_of(a).of.whereis(name), a.who);
}

TEST(names, are_one_per_process) {
  stage s{1};
  auto& a = s.near();
  s.as(a, [&](context& self) {
    EXPECT_TRUE(self.register_name(s.world_of(a).word("one")));
    EXPECT_FALSE(self.register_name(s.world_of(a).word("two")));
    EXPECT_FALSE(self.register_name(s.world_of(a).word("one")));
  });
}

TEST(names, can_be_given_up_and_taken_by_another) {
  stage s{1};
  auto& a = s.near();
  auto& b = s.near();
  const auto name = s.world_of(a).word("server");
  s.as(a, [&](context& self) {
    EXPECT_TRUE(self.register_name(name));
    self.unregister_name();
    self.unregister_name();
  });
  EXPECT_EQ(s.world_of(a).of.whereis(name), nobody);
  s.as(b, [&](context& self) { EXPECT_TRUE(self.register_name(name)); });
  s.stop(a);
  EXPECT_EQ(s.world_of(b).of.whereis(name), b.who);
}

TEST(names, are_not_empty) {
  stage s{1};
  auto& a = s.near();
  s.as(a, [](context& self) { EXPECT_FALSE(self.register_name(atom{})); });
}

TEST(names, cannot_be_taken_by_one_that_has_stopped) {
  stage s{1};
  auto& a = s.near();
  const auto name = s.world_of(a).word("server");
  s.as(a, [&](context& self) {
    self.stop();
    EXPECT_FALSE(self.register_name(name));
  });
  EXPECT_EQ(s.world_of(a).of.whereis(name), nobody);
}

// ---- timers ----

struct timers : ::testing::Test, stage {
  timers() : stage(1), a(near()) {}
  reference set(duration delay, const party& to, std::string_view word = "tick") {
    reference made;
    as(a, [&](context& self) { made = self.send_after(delay, to.who, world_of(a).word(word)); });
    return made;
  }
  std::optional<duration> cancel(const party& by, reference timer) {
    std::optional<duration> left;
    as(by, [&](context& self) { left = self.cancel(timer); });
    return left;
  }
  party& a;
};

TEST_F(timers, fire_when_due_and_not_before) {
  set(10ms, a);
  pass(9ms);
  EXPECT_TRUE(a.seen.empty());
  pass(1ms);
  EXPECT_EQ(a.seen, log{"timer tick"});
  pass(1h);
  EXPECT_EQ(a.seen.size(), 1U);
}

TEST_F(timers, of_zero_or_less_fire_at_once) {
  set(0ms, a), set(-5s, a);
  pass(0ms);
  EXPECT_EQ(a.seen, (log{"timer tick", "timer tick"}));
}

TEST_F(timers, fire_in_the_order_in_which_they_are_due) {
  set(30ms, a, "three"), set(10ms, a, "one"), set(20ms, a, "two");
  pass(30ms);
  EXPECT_EQ(a.seen, (log{"timer one", "timer two", "timer three"}));
}

TEST_F(timers, can_be_for_others) {
  auto& b = near();
  set(10ms, b);
  pass(10ms);
  EXPECT_EQ(b.seen, log{"timer tick"});
}

TEST_F(timers, outlive_the_process_that_set_them) {
  auto& b = near();
  set(10ms, b);
  stop(a);
  pass(10ms);
  EXPECT_EQ(b.seen, log{"timer tick"});
}

TEST_F(timers, that_are_cancelled_do_not_fire_and_say_what_was_left) {
  const auto set_at_once = set(10ms, a);
  pass(4ms);
  EXPECT_EQ(cancel(a, set_at_once), 6ms);
  EXPECT_EQ(cancel(a, set_at_once), std::nullopt);
  pass(1h);
  EXPECT_TRUE(a.seen.empty());
}

TEST_F(timers, that_have_fired_cannot_be_cancelled) {
  const auto fired = set(10ms, a);
  pass(10ms);
  EXPECT_EQ(cancel(a, fired), std::nullopt);
  EXPECT_EQ(a.seen, log{"timer tick"});
}

TEST_F(timers, can_be_cancelled_by_another) {
  auto& b = near();
  const auto mine = set(10ms, a);
  EXPECT_EQ(cancel(b, mine), 10ms);
}

TEST_F(timers, that_never_were_cannot_be_cancelled) { EXPECT_EQ(cancel(a, no_reference), std::nullopt); }

TEST_F(timers, to_a_dead_process_are_none) {
  auto& b = near();
  stop(b);
  EXPECT_EQ(set(10ms, b), no_reference);
  pass(10ms);
  EXPECT_TRUE(alive(a));
}

TEST_F(timers, end_with_the_process_that_they_are_for) {
  auto& b = near();
  const auto mine = set(10ms, b);
  stop(b);
  EXPECT_EQ(cancel(a, mine), std::nullopt);
  EXPECT_EQ(world_of(a).of.next_deadline(), never);
}

TEST_F(timers, carry_their_reference) {
  reference told;
  auto& b = near({}, [&](context&, message& due) { told = due.ref; });
  const auto made = set(10ms, b);
  pass(10ms);
  EXPECT_EQ(told, made);
}

// ---- timeouts and what goes on ----

struct timeouts : ::testing::Test, stage {
  timeouts() : stage(1) {}
};

TEST_F(timeouts, come_when_nothing_arrives) {
  auto& a = near({}, {}, [](context& self) { self.receive_timeout(10ms); });
  pass(9ms);
  EXPECT_TRUE(a.seen.empty());
  pass(1ms);
  EXPECT_EQ(a.seen, log{"timeout"});
  pass(1h);
  EXPECT_EQ(a.seen.size(), 1U);
}

TEST_F(timeouts, are_cancelled_by_any_message) {
  auto& a = near({}, {}, [](context& self) { self.receive_timeout(10ms); });
  pass(5ms);
  send(a, a, "hello"), run();
  pass(1h);
  EXPECT_EQ(a.seen, log{"hello"});
}

TEST_F(timeouts, are_set_anew_by_each_callback) {
  auto& a = near({}, [](context& self, message&) { self.receive_timeout(10ms); });
  send(a, a, "one"), run(), pass(5ms);
  send(a, a, "two"), run(), pass(5ms);
  EXPECT_EQ(a.seen, (log{"one", "two"}));
  pass(5ms);
  EXPECT_EQ(a.seen.back(), "timeout");
}

TEST_F(timeouts, of_zero_come_as_soon_as_nothing_waits) {
  auto& a = near({}, [](context& self, message& arrived) {
    if (arrived.what == message::kind::plain) self.receive_timeout(0ms);
  });
  send(a, a, "one"), send(a, a, "two");
  run(), pass(0ms);
  EXPECT_EQ(a.seen, (log{"one", "two", "timeout"}));
}

TEST_F(timeouts, do_not_come_between_a_call_and_the_answer_that_is_awaited) {
  auto& server = near();
  auto& a = near({}, [&](context& self, message& arrived) {
    if (arrived.what != message::kind::plain) return;
    self.receive_timeout(10ms);
    self.await(self.call(server.who, world_of(server).word("get"), {}, 100ms));
  });
  send(a, a, "go"), run();
  pass(50ms), pass(50ms), pass(50ms);
  ASSERT_EQ(a.seen.size(), 2U);
  EXPECT_TRUE(a.seen[1].starts_with("failed deadline_exceeded")) << a.seen[1];
}

TEST_F(timeouts, end_with_their_process) {
  auto& a = near({}, {}, [](context& self) { self.receive_timeout(10ms); });
  stop(a);
  EXPECT_EQ(world_of(a).of.next_deadline(), never);
}

TEST_F(timeouts, a_resume_comes_before_all_that_waits) {
  auto& a = near({}, [](context& self, message& arrived) {
    if (arrived.what == message::kind::plain) self.resume(cbor::integer_value(7));
  });
  auto& w = world_of(a);
  w.of.send(w.now, a.who, w.word("one"));
  w.of.send(w.now, a.who, w.word("two"));
  run();
  EXPECT_EQ(a.seen, (log{"one", "resume 7", "two", "resume 7"}));
}

TEST_F(timeouts, a_resume_from_the_start_comes_before_what_was_sent_meanwhile) {
  auto& a = absent(0);
  auto& w = world_of(a);
  a.who = *w.of.spawn(w.now, body_of(a, {}, [](context& self) { self.resume(); }));
  w.of.send(w.now, a.who, w.word("early"));
  run();
  EXPECT_EQ(a.seen, (log{"resume", "early"}));
}

}  // namespace
}  // namespace orrery::kernel
