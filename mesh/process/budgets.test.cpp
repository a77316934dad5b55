// Budgets of single processes, pauses before restarts, and bounds of mailboxes and classes.
#include "mesh/process/given_up.hpp"
#include "mesh/process/testing.hpp"

#include <gmock/gmock.h>

namespace orrery::process {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using what = process_event::kind;

struct child_budget : ::testing::Test, world {
  void define(const class_spec& spec) {
    const auto fine = rt.define(spec);
    ASSERT_TRUE(fine) << to_string(fine.error());
    keep_declared();
  }
  static class_spec guarded(std::uint32_t each = 1) {
    auto spec = counter_class();
    spec.supervision.intensity = 100;
    spec.supervision.child_intensity = each;
    return spec;
  }
  void poison(std::string_view name, int times = 2) {
    for (int i = 0; i < times; ++i) {
      ask(name, "get");
      EXPECT_TRUE(kill(name, "poison"));
      run();
    }
  }
};

TEST_F(child_budget, a_process_over_it_is_given_up_alone_and_its_calls_say_so) {
  define(guarded());
  EXPECT_EQ(ask("counter/good", "add", "5"), "5");
  poison("counter/bad");
  const auto refused = call("counter/bad", "get");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::given_up);
  EXPECT_EQ(refused.error().effect, took_effect::not_executed);
  EXPECT_EQ(refused.error().context,
            "counter/bad is given up: more than 1 restarts within 5000 ms; the last: killed: poison; it is refused for "
            "30 s more, or until it is released (orrery release counter/bad)");
  EXPECT_EQ(ask("counter/good", "get"), "5");
  EXPECT_THAT(escalations, IsEmpty());
  EXPECT_THAT(kinds_of("counter/bad"),
              ElementsAre(what::started, what::exited, what::restarted, what::exited, what::given_up));
  EXPECT_EQ(rt.count(), 1U);
}

TEST_F(child_budget, poison_children_do_not_take_their_class_down_however_many_they_are) {
  define(guarded(0));
  EXPECT_EQ(ask("counter/good", "add", "5"), "5");
  for (int i = 0; i < 1000; ++i)
    poison("counter/bad" + std::to_string(i), 1);
  EXPECT_EQ(ask("counter/good", "get"), "5");
  EXPECT_THAT(escalations, IsEmpty());
  const auto info = supervisor_of("counter");
  EXPECT_EQ(info.children_given_up, 1000U);
  EXPECT_EQ(info.given_up_now, 1000U);
  EXPECT_EQ(info.given_up.size(), supervisor_info::given_up_shown);
}

TEST_F(child_budget, a_cast_to_a_process_that_is_given_up_is_refused_and_counted) {
  define(guarded());
  poison("counter/bad");
  const auto refused = rt.cast(now, named("counter/bad"), "add", {}, out);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::given_up);
  EXPECT_EQ(rt.counted().casts_dropped, 1U);
}

TEST_F(child_budget, a_process_that_is_given_up_starts_on_a_call_when_it_has_cooled_down) {
  define(guarded());
  poison("counter/bad");
  EXPECT_EQ(rt.next_deadline(), now + 30s);
  pass(29s);
  EXPECT_THAT(ask("counter/bad", "get"), HasSubstr("for 1 s more"));
  pass(1s);
  EXPECT_EQ(events.back().what, what::released);
  EXPECT_EQ(rt.count(), 0U) << "it starts on its next call";
  EXPECT_EQ(ask("counter/bad", "add", "1"), "1");
}

TEST_F(child_budget, a_process_that_is_given_up_starts_on_a_call_when_it_is_released) {
  define(guarded());
  poison("counter/bad");
  ASSERT_TRUE(rt.given_up(named("counter/bad")));
  EXPECT_FALSE(rt.release(now, named("counter/good"), out));
  EXPECT_TRUE(rt.release(now, named("counter/bad"), out));
  EXPECT_FALSE(rt.release(now, named("counter/bad"), out));
  EXPECT_FALSE(rt.given_up(named("counter/bad")));
  EXPECT_EQ(ask("counter/bad", "add", "1"), "1");
  poison("counter/bad", 1);
  EXPECT_EQ(ask("counter/bad", "add", "1"), "1") << "with a clean record";
}

TEST_F(child_budget, a_changed_class_releases_all) {
  define(guarded());
  poison("counter/bad");
  auto spec = guarded();
  spec.version = 2;
  define(spec);
  EXPECT_EQ(ask("counter/bad", "add", "1"), "1");
}

TEST_F(child_budget, a_declared_child_that_is_given_up_starts_by_itself_when_it_has_cooled_down) {
  auto spec = guarded();
  spec.children = {{.key = process_key{"bad"}}, {.key = process_key{"good"}}};
  spec.supervision.child_cooldown = 10s;
  define(spec);
  poison("counter/bad");
  EXPECT_EQ(state_of("counter/bad"), "given up");
  keep_declared();
  EXPECT_EQ(state_of("counter/bad"), "given up");
  EXPECT_EQ(rt.count(), 1U);
  pass(10s);
  EXPECT_EQ(state_of("counter/bad"), "running");
}

TEST_F(child_budget, a_declared_child_that_is_given_up_stays_so_when_its_supervisor_gives_up) {
  auto spec = guarded();
  spec.supervision.intensity = 1;
  spec.children = {{.key = process_key{"bad"}}, {.key = process_key{"good"}}};
  define(spec);
  poison("counter/bad");
  EXPECT_TRUE(kill("counter/good"));
  ASSERT_EQ(escalations.size(), 1U);
  EXPECT_EQ(state_of("counter/bad"), "given up");
  EXPECT_EQ(state_of("counter/good"), "running");
  EXPECT_TRUE(rt.release(now, named("counter/bad"), out));
  EXPECT_EQ(state_of("counter/bad"), "running");
}

TEST_F(child_budget, names_that_are_given_up_are_a_bounded_number) {
  given_up_names names;
  const auto name = [](std::size_t i) { return named("counter/" + std::to_string(i)); };
  for (std::size_t i = 0; i <= given_up_names::names_max; ++i)
    names.add(name(i), {"why", now + 1s + std::chrono::milliseconds{i}});
  EXPECT_EQ(names.size(), given_up_names::names_max);
  EXPECT_EQ(names.find(name(0)), nullptr) << "the one whose time came first made room";
  EXPECT_EQ(names.next(), now + 1001ms);
  names.add(name(1), {"again", now + 1h});
  EXPECT_EQ(names.size(), given_up_names::names_max);
  EXPECT_EQ(names.next(), now + 1002ms);
  EXPECT_EQ(names.take_due(now + 1001ms), std::nullopt);
  EXPECT_EQ(names.take_due(now + 1002ms), name(2));
  EXPECT_EQ(names.count(class_name{"counter"}), given_up_names::names_max - 1);
  EXPECT_EQ(names.of(class_name{"counter"}, 3).size(), 3U);
  EXPECT_EQ(names.count(class_name{"other"}), 0U);
}

// ---- pauses ----

struct pause : child_budget {
  pause() {
    auto spec = counter_class();
    spec.supervision.intensity = 100;
    spec.supervision.backoff = {1s, 8s};
    define(spec);
    EXPECT_EQ(ask("counter/a", "add", "1"), "1");
    EXPECT_TRUE(kill("counter/a"));
  }
};

TEST_F(pause, before_a_restart_lets_calls_hear_that_the_process_is_about_to_start) {
  EXPECT_EQ(ask("counter/a", "get"), "unavailable: counter/a is about to start again; retry");
  ASSERT_TRUE(rt.find(named("counter/a")));
  EXPECT_EQ(rt.find(named("counter/a"))->state, process_state::restarting);
  pass(1200ms);
  EXPECT_EQ(ask("counter/a", "get"), "0");
  EXPECT_NE(rt.find(named("counter/a"))->state, process_state::restarting);
}

TEST_F(pause, of_a_process_that_is_to_move_ends_and_there_is_nothing_to_hand_over) {
  const auto taken = rt.take(now, named("counter/a"), out);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, errc::not_found);
  EXPECT_EQ(rt.count(), 0U);
  pass(1min);
  EXPECT_EQ(rt.count(), 0U) << "it is not started here after all";
}

TEST_F(pause, of_a_process_that_is_stopped_ends) {
  EXPECT_FALSE(kill("counter/a")) << "there is nothing to kill";
  EXPECT_TRUE(stop("counter/a"));
  pass(1min);
  EXPECT_EQ(rt.count(), 0U);
  EXPECT_EQ(ask("counter/a", "get"), "0");
}

TEST_F(pause, of_a_class_that_is_undefined_ends) {
  rt.undefine(now, class_name{"counter"}, out);
  pass(1min);
  EXPECT_EQ(rt.count(), 0U);
}

TEST_F(pause, of_many_processes_are_their_own) {
  EXPECT_EQ(ask("counter/b", "add", "1"), "1");
  pass(500ms);
  EXPECT_TRUE(kill("counter/b"));
  pass(700ms);
  EXPECT_NE(rt.find(named("counter/a"))->state, process_state::restarting);
  EXPECT_EQ(rt.find(named("counter/b"))->state, process_state::restarting);
}

// ---- how many processes ----

TEST_F(child_budget, more_processes_than_a_class_may_have_on_a_node_are_refused_on_their_first_call) {
  auto spec = counter_class();
  spec.limits.processes_max = 2;
  define(spec);
  EXPECT_EQ(ask("counter/a", "add", "1") + ask("counter/b", "add", "1"), "11");
  EXPECT_THAT(ask("counter/c", "get"),
              HasSubstr("overloaded: class 'counter' runs 2 processes on this node, as many as "
                        "its limits.maxProcesses allows"));
  EXPECT_EQ(ask("counter/a", "get"), "1");
  EXPECT_TRUE(stop("counter/a"));
  EXPECT_EQ(ask("counter/c", "get"), "0");
}

TEST_F(child_budget, a_process_that_moves_in_is_taken_beyond_what_its_class_may_have) {
  auto spec = counter_class();
  spec.limits.processes_max = 1;
  define(spec);
  EXPECT_EQ(ask("counter/a", "add", "1"), "1");
  ASSERT_TRUE(rt.install(now, {named("counter/b"), 1, 0, json("7"), {}}, out)) << "no state is lost to a soft bound";
  EXPECT_EQ(ask("counter/b", "get"), "7");
}

TEST_F(child_budget, another_number_of_processes_counts_from_the_next_start_on) {
  auto spec = counter_class();
  define(spec);
  EXPECT_EQ(ask("counter/a", "add", "1") + ask("counter/b", "add", "1"), "11");
  spec.limits.processes_max = 1;
  define(spec);
  EXPECT_EQ(ask("counter/b", "get"), "1");
  EXPECT_THAT(ask("counter/c", "get"), HasSubstr("overloaded"));
}

// ---- mailboxes ----

struct mailbox : child_budget {
  class_spec with(kernel::overflow policy, std::uint32_t most = 2) {
    auto spec = counter_class();
    spec.limits.mailbox_max = most;
    spec.limits.mailbox_policy = policy;
    return spec;
  }
};

TEST_F(mailbox, that_rejects_refuses_the_newest) {
  define(with(kernel::overflow::reject));
  send("counter/a", "add"), send("counter/a", "add");
  const auto third = send("counter/a", "add");
  EXPECT_THAT(to_string(reply_to(third).error()),
              HasSubstr("overloaded: the mailbox of counter/a is full (2 messages wait)"));
  EXPECT_FALSE(rt.cast(now, named("counter/a"), "add", {}, out));
  EXPECT_EQ(supervisor_of("counter").mailboxes.refused, 2U);
  run();
  EXPECT_EQ(ask("counter/a", "get"), "2");
}

TEST_F(mailbox, that_drops_the_oldest_answers_the_call_that_made_room) {
  define(with(kernel::overflow::drop_oldest));
  const auto first = send("counter/a", "add");
  send("counter/a", "add");
  EXPECT_TRUE(rt.cast(now, named("counter/a"), "add", {}, out));
  collect();
  EXPECT_THAT(to_string(reply_to(first).error()), HasSubstr("overloaded: newer messages took its place"));
  EXPECT_EQ(supervisor_of("counter").mailboxes.displaced, 1U);
  run();
  EXPECT_EQ(ask("counter/a", "get"), "2");
}

TEST_F(mailbox, that_blocks_lets_calls_wait_up_to_their_deadline_and_drops_casts) {
  define(with(kernel::overflow::block));
  send("counter/a", "add"), send("counter/a", "add");
  const auto waits = send("counter/a", "add", {}, now + 10s);
  const auto gives_up = send("counter/a", "add", {}, now + 1s);
  EXPECT_FALSE(rt.cast(now, named("counter/a"), "add", {}, out));
  EXPECT_EQ(supervisor_of("counter").mailboxes.waited, 2U);
  EXPECT_EQ(supervisor_of("counter").mailboxes.refused, 1U);
  now += 1s;
  run();
  EXPECT_EQ(reply_to(gives_up).error().code, errc::deadline_exceeded);
  EXPECT_EQ(reply_to(waits)->json_text(), "3");
}

TEST_F(mailbox, of_running_processes_are_changed_with_their_class) {
  define(with(kernel::overflow::reject, 1));
  send("counter/a", "add");
  EXPECT_EQ(reply_to(send("counter/a", "add")).error().code, errc::overloaded);
  define(with(kernel::overflow::reject, 3));
  send("counter/a", "add");
  const auto fine = send("counter/a", "add");
  run();
  EXPECT_TRUE(reply_to(fine));
}

TEST_F(mailbox, of_processes_that_are_restarted_are_those_of_the_class_now) {
  define(with(kernel::overflow::reject, 1));
  ask("counter/a", "get");
  define(with(kernel::overflow::reject, 5));
  EXPECT_TRUE(kill("counter/a"));
  for (int i = 0; i < 5; ++i)
    send("counter/a", "add");
  EXPECT_EQ(reply_to(send("counter/a", "add")).error().code, errc::overloaded);
  run();
}

}  // namespace
}  // namespace orrery::process
