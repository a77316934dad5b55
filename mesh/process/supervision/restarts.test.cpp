// Restarts beyond OTP: budgets of single children, pauses, children that do not start, roots that outlive their budget.
#include "mesh/process/supervision/testing.hpp"

#include <gmock/gmock.h>

namespace orrery::process {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using testing::log;
using ::testing::Not;
using namespace std::chrono_literals;
using state = supervisor::child_state;

class restarts : public testing::supervised {
 protected:
  state state_of(std::string_view id) {
    return *ask([&](supervisor& of, kernel::context&) { return of.state_of(id); });
  }
  void terminate(std::string_view id) {
    EXPECT_TRUE(ask([&](supervisor& of, kernel::context& self) { return of.terminate_child(self, id); }));
  }
  supervisor_spec patient(strategy kind, std::uint32_t intensity = 100) {
    auto spec = three(kind, intensity);
    spec.patience = {1s, 30s};
    return spec;
  }
};

// ---- children that do not start ----

TEST_F(restarts, a_child_that_never_starts_again_is_tried_as_often_as_the_budget_allows_without_a_deep_stack) {
  start(three(strategy::one_for_one, 50'000));
  children.broken.insert(2);
  crash(2);
  for (int i = 0; i < 10 && w.of.alive(who); ++i)
    w.run();
  EXPECT_EQ(children.lives[2], 50'001);
  EXPECT_FALSE(w.of.alive(who));
  EXPECT_EQ(w.of.count(), 0U);
}

TEST_F(restarts, a_child_that_is_terminated_before_it_is_tried_again_stays_down) {
  start(three(strategy::one_for_one, 100));
  children.broken.insert(4);
  EXPECT_TRUE(ask([&](supervisor& of, kernel::context& self) {
    EXPECT_FALSE(of.begin_child(self, child(4)));
    return of.terminate_child(self, "4");
  }));
  EXPECT_EQ(state_of("4"), state::stopped);
  EXPECT_EQ(children.lives[4], 1);
}

TEST_F(restarts, with_patience_a_child_that_does_not_start_is_no_failure_of_the_supervisor) {
  children.broken.insert(2);
  start(patient(strategy::one_for_one));
  EXPECT_TRUE(w.of.alive(who));
  EXPECT_EQ(children.started, (std::vector<std::uint64_t>{1, 2, 3}));
  EXPECT_EQ(state_of("2"), state::restarting);
  children.broken.clear();
  w.pass(1200ms);
  EXPECT_TRUE(up.contains(2));
}

TEST_F(restarts, with_patience_the_pauses_before_a_start_double) {
  children.broken.insert(2);
  start(patient(strategy::one_for_one));
  for (const auto pause : {1000ms, 2000ms, 4000ms}) {
    const auto before = children.lives[2];
    w.pass(pause - 1ms);
    EXPECT_EQ(children.lives[2], before);
    w.pass(pause / 5 + 2ms);
    EXPECT_EQ(children.lives[2], before + 1);
  }
}

TEST_F(restarts, with_patience_a_child_that_never_starts_does_not_use_up_the_usual_budget) {
  children.broken.insert(2);
  start(patient(strategy::one_for_one, 1));
  for (int i = 0; i < 1000; ++i)
    w.pass(500ms);
  EXPECT_TRUE(w.of.alive(who));
  EXPECT_GT(children.lives[2], 10);
}

TEST_F(restarts, with_patience_a_crash_is_restarted_at_once) {
  start(patient(strategy::one_for_one));
  crash(2);
  EXPECT_EQ(heard.back(), "2 restarted");
}

TEST_F(restarts, with_patience_a_supervisor_that_allows_none_fails_to_start) {
  children.broken.insert(2);
  const auto begun =
      w.of.start(w.now, std::make_unique<supervisor>(patient(strategy::one_for_one, 0), this), supervisor::options());
  w.run();
  EXPECT_TRUE(!begun || !w.of.alive(*begun));
  EXPECT_THAT(why_gave_up, HasSubstr("more than 0 restarts"));
  EXPECT_EQ(w.of.count(), 0U);
}

TEST_F(restarts, with_patience_one_for_all_starts_nothing_more_until_the_one_that_failed_is_tried_again) {
  children.broken.insert(2);
  start(patient(strategy::one_for_all));
  EXPECT_TRUE(up.empty());
  EXPECT_EQ(children.lives[3], 0);
  children.broken.clear();
  children.started.clear();
  w.pass(1200ms);
  EXPECT_EQ(children.started, (std::vector<std::uint64_t>{1, 2, 3}));
}

TEST_F(restarts, with_patience_rest_for_one_keeps_those_before_the_one_that_failed) {
  children.broken.insert(2);
  start(patient(strategy::rest_for_one));
  EXPECT_EQ(up.size(), 1U);
  children.broken.clear();
  children.started.clear();
  w.pass(1200ms);
  EXPECT_EQ(children.started, (std::vector<std::uint64_t>{2, 3}));
}

TEST_F(restarts, a_child_that_is_begun_and_does_not_start_is_kept_and_tried_again) {
  start(patient(strategy::one_for_one));
  children.broken.insert(4);
  const auto begun = ask([&](supervisor& of, kernel::context& self) { return of.begin_child(self, child(4)); });
  ASSERT_FALSE(begun);
  EXPECT_THAT(begun.error().context, HasSubstr("error: broken (while it started)"));
  EXPECT_EQ(state_of("4"), state::restarting);
  children.broken.clear();
  w.pass(1200ms);
  EXPECT_TRUE(up.contains(4));
}

TEST_F(restarts, a_factory_that_makes_nothing_is_a_child_that_does_not_start) {
  class nothing final : public child_factory {
   public:
    std::unique_ptr<kernel::body> make(std::uint64_t) override { return nullptr; }
  } none;
  start(three(strategy::one_for_one));
  auto spec = child(4);
  spec.factory = &none;
  const auto begun = ask([&](supervisor& of, kernel::context& self) { return of.start_child(self, spec); });
  ASSERT_FALSE(begun);
  EXPECT_THAT(begun.error().context, HasSubstr("its factory made nothing"));
  EXPECT_EQ(w.of.count(), 4U);
}

// ---- pauses of children that restart together ----

class pauses : public restarts {
 protected:
  supervisor_spec paused(strategy kind) {
    auto spec = three(kind, 100);
    spec.backoff = {1s, 30s};
    return spec;
  }
};

TEST_F(pauses, of_one_for_all_come_when_all_have_ended_and_before_the_first_starts) {
  start(paused(strategy::one_for_all));
  crash(2);
  EXPECT_TRUE(up.empty());
  EXPECT_EQ(state_of("1"), state::restarting);
  w.pass(999ms);
  EXPECT_TRUE(up.empty());
  children.started.clear();
  w.pass(201ms);
  EXPECT_EQ(children.started, (std::vector<std::uint64_t>{1, 2, 3}));
}

TEST_F(pauses, of_rest_for_one_leave_those_before) {
  start(paused(strategy::rest_for_one));
  crash(2);
  EXPECT_EQ(up.size(), 1U);
  w.pass(1200ms);
  EXPECT_EQ(up.size(), 3U);
  EXPECT_EQ(children.lives[1], 1);
}

TEST_F(pauses, are_taken_over_by_an_earlier_one_that_ends_meanwhile) {
  start(paused(strategy::rest_for_one));
  crash(3);
  w.pass(500ms);
  crash(1);
  EXPECT_TRUE(up.empty());
  w.pass(800ms);
  EXPECT_TRUE(up.empty()) << "the pause of the later one counts no more";
  w.pass(400ms);
  EXPECT_EQ(up.size(), 3U);
  EXPECT_EQ(children.lives[3], 2);
}

TEST_F(pauses, end_for_the_others_when_the_cause_is_terminated) {
  start(paused(strategy::one_for_all));
  crash(2);
  terminate("2");
  EXPECT_TRUE(up.contains(1) && up.contains(3));
  EXPECT_FALSE(up.contains(2));
  w.pass(1min);
  EXPECT_EQ(children.lives[2], 1);
}

TEST_F(pauses, go_on_when_another_that_waits_is_terminated) {
  start(paused(strategy::one_for_all));
  crash(2);
  terminate("1");
  EXPECT_TRUE(up.empty());
  w.pass(1200ms);
  EXPECT_EQ(up.size(), 2U);
  EXPECT_FALSE(up.contains(1));
}

TEST_F(pauses, do_not_keep_a_supervisor_from_ending) {
  start(paused(strategy::one_for_all));
  crash(2);
  w.of.exit(w.now, who, {exit_reason::kind::shutdown, {}});
  w.run();
  EXPECT_FALSE(w.of.alive(who));
  w.pass(1min);
  EXPECT_EQ(w.of.count(), 0U);
}

TEST_F(pauses, that_end_while_others_are_being_stopped_wait_for_that) {
  auto spec = paused(strategy::rest_for_one);
  spec.children[2].process.trap_exits = true;
  spec.children[2].shutdown = {shutdown_spec::kind::infinity};
  spec.others = child(0);
  children.lingers.insert(3);
  start(spec);
  ASSERT_TRUE(ask([](supervisor& of, kernel::context& self) { return of.start_child(self, std::uint64_t{9}); }));
  crash(9);
  crash(2);  // 3 lingers
  w.pass(2s);
  EXPECT_FALSE(up.contains(9));
  children.lingers.clear();
  tell(3, "stop");
  EXPECT_TRUE(up.contains(9)) << "it is not forgotten";
  w.pass(2s);
  EXPECT_EQ(up.size(), 4U);
}

// ---- budgets of single children ----

class budgets : public restarts {
 protected:
  supervisor_spec with_budget(strategy kind, std::uint32_t each) {
    auto spec = three(kind, 100);
    spec.child_intensity = each;
    return spec;
  }
};

TEST_F(budgets, a_child_that_is_given_up_is_shown_as_such_and_can_be_restarted_with_a_clean_record) {
  start(with_budget(strategy::one_for_one, 1));
  crash(1), crash(1);
  EXPECT_EQ(state_of("1"), state::given_up);
  EXPECT_TRUE(ask([](supervisor& of, kernel::context& self) { return of.restart_child(self, "1"); }));
  crash(1);
  EXPECT_EQ(heard.back(), "1 restarted");
}

TEST_F(budgets, a_child_that_is_given_up_does_not_come_back_with_its_siblings) {
  start(with_budget(strategy::one_for_all, 1));
  crash(1), crash(1);
  EXPECT_EQ(state_of("1"), state::given_up);
  EXPECT_TRUE(up.contains(2) && up.contains(3)) << "its own end takes nobody along any more";
  crash(2);
  EXPECT_EQ(state_of("1"), state::given_up);
  EXPECT_EQ(up.size(), 2U);
}

TEST_F(budgets, a_child_that_fails_to_start_too_often_lets_those_that_wait_for_it_start) {
  start(with_budget(strategy::one_for_all, 2));
  children.broken.insert(2);
  crash(1);
  EXPECT_EQ(state_of("2"), state::given_up);
  EXPECT_TRUE(up.contains(1) && up.contains(3));
  EXPECT_EQ(children.lives[2], 4) << "once, and three more";
}

TEST_F(budgets, what_a_child_used_of_its_own_is_not_counted_against_all) {
  auto spec = with_budget(strategy::one_for_one, 2);
  spec.intensity = 2;
  start(spec);
  crash(1), crash(1), crash(1);
  EXPECT_TRUE(w.of.alive(who)) << "the third was the child's end, and no restart";
  crash(2);
  EXPECT_FALSE(w.of.alive(who));
}

TEST_F(budgets, of_zero_allow_no_restart_of_any_child) {
  start(with_budget(strategy::one_for_one, 0));
  crash(1);
  EXPECT_EQ(state_of("1"), state::given_up);
}

TEST_F(budgets, restarts_of_a_child_further_apart_than_the_period_never_add_up) {
  start(with_budget(strategy::one_for_one, 1));
  for (int i = 0; i < 20; ++i) {
    crash(1);
    w.pass(5001ms);
  }
  EXPECT_EQ(children.lives[1], 21);
}

// ---- roots ----

TEST_F(restarts, a_root_that_outlives_its_budget_says_so_and_goes_on_with_a_clean_record) {
  auto spec = three(strategy::one_for_one, 1);
  spec.outlives_its_budget = true;
  start(spec);
  crash(1), crash(1);
  EXPECT_THAT(heard, Contains("gave up"));
  EXPECT_TRUE(up.contains(1));
  heard.clear();
  crash(1);
  EXPECT_EQ(heard.back(), "1 restarted");
  EXPECT_THAT(heard, Not(Contains("gave up")));
}

TEST_F(restarts,
       a_supervisor_whose_giving_up_is_a_crash_comes_back_in_a_transient_place_and_one_that_finished_does_not) {
  class tree final : public child_factory {
   public:
    tree(supervisor_spec inner, supervisor_watcher& watcher) : inner_(std::move(inner)), watcher_(watcher) {}
    std::unique_ptr<kernel::body> make(std::uint64_t) override {
      return std::make_unique<supervisor>(inner_, &watcher_);
    }
    supervisor_spec inner_;
    supervisor_watcher& watcher_;
  };
  auto spec = three(strategy::one_for_one, 0);
  spec.giving_up_is_a_crash = true;
  spec.when_significant = auto_shutdown::any_significant;
  spec.children[0].restart = restart_type::transient;
  spec.children[0].significant = true;
  tree inner{spec, *this};
  auto outer = spec_of(strategy::one_for_one);
  outer.children.push_back(
      {.id = "inner", .factory = &inner, .tag = 100, .restart = restart_type::transient, .supervisor = true});
  start(outer);
  crash(2);
  EXPECT_EQ(heard.back(), "100 restarted");
  EXPECT_EQ(up.size(), 4U);
  tell(1, "stop");
  EXPECT_EQ(heard.back(), "100 ended shutdown: its significant children ended for good");
}

}  // namespace
}  // namespace orrery::process
