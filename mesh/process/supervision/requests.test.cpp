// Dynamic children, broken specifications, and what OTP's supervisor has not: budgets and pauses of single children.
#include "mesh/process/supervision/testing.hpp"

#include <gmock/gmock.h>

namespace orrery::process {
namespace {

using ::testing::HasSubstr;
using testing::log;
using namespace std::chrono_literals;

class dynamic_children : public testing::supervised {
 protected:
  result<kernel::handle> start_child(child_spec spec) {
    return ask([&](supervisor& of, kernel::context& self) { return std::optional{of.start_child(self, spec)}; })
        .value();
  }
  result<kernel::handle> start_tag(std::uint64_t tag) {
    return ask([&](supervisor& of, kernel::context& self) { return std::optional{of.start_child(self, tag)}; }).value();
  }
  result<kernel::handle> restart_child(std::string_view id) {
    return ask([&](supervisor& of, kernel::context& self) { return std::optional{of.restart_child(self, id)}; })
        .value();
  }
  result<void> terminate_child(std::string_view id) {
    return ask([&](supervisor& of, kernel::context& self) { return of.terminate_child(self, id); });
  }
  result<void> delete_child(std::string_view id) {
    return ask([&](supervisor& of, kernel::context& self) { return of.delete_child(self, id); });
  }
};

TEST_F(dynamic_children, are_started_after_the_others_and_supervised_like_them) {
  start(three(strategy::rest_for_one));
  ASSERT_TRUE(start_child(child(4)));
  heard.clear();
  crash(3);
  EXPECT_EQ(heard, (log{"3 ended error: boom", "4 ended shutdown", "3 restarted", "4 restarted"}));
}

TEST_F(dynamic_children, of_an_id_that_runs_are_refused_as_already_started) {
  start(three(strategy::one_for_one));
  const auto again = start_child(child(2));
  EXPECT_EQ(again.error().code, errc::already_exists);
  EXPECT_THAT(again.error().context, HasSubstr("already started"));
}

TEST_F(dynamic_children, of_an_id_that_is_stopped_are_refused_as_already_present) {
  start(three(strategy::one_for_one));
  ASSERT_TRUE(terminate_child("2"));
  EXPECT_THAT(start_child(child(2)).error().context, HasSubstr("already present: restart or delete it"));
}

TEST_F(dynamic_children, that_do_not_start_are_the_callers_error_and_leave_nothing) {
  start(three(strategy::one_for_one));
  children.broken.insert(4);
  EXPECT_EQ(start_child(child(4)).error().code, errc::process_exited);
  EXPECT_EQ(ask([](supervisor& of, kernel::context&) { return of.which_children(); }).size(), 3U);
  EXPECT_TRUE(heard.empty());
}

TEST_F(dynamic_children, beyond_children_max_are_refused) {
  auto spec = three(strategy::one_for_one);
  spec.children_max = 3;
  start(spec);
  EXPECT_EQ(start_child(child(4)).error().code, errc::overloaded);
}

TEST_F(dynamic_children, are_lost_when_the_supervisor_itself_restarts) {
  class tree final : public child_factory {
   public:
    tree(supervisor_spec inner, supervisor_watcher& watcher) : inner_(std::move(inner)), watcher_(watcher) {}
    std::unique_ptr<kernel::body> make(std::uint64_t) override {
      return std::make_unique<supervisor>(inner_, &watcher_);
    }
    supervisor_spec inner_;
    supervisor_watcher& watcher_;
  } inner{three(strategy::one_for_one), *this};
  auto outer = spec_of(strategy::one_for_one);
  outer.children.push_back({.id = "inner", .factory = &inner, .tag = 100, .supervisor = true});
  start(outer);
  const auto root = who;
  who = w.of.inspect(root)->links.at(0);
  ASSERT_TRUE(start_child(child(4)));
  w.of.exit(w.now, who, {exit_reason::kind::kill, {}});
  w.run();
  EXPECT_TRUE(w.of.alive(root));
  EXPECT_EQ(children.lives[3], 2);
  EXPECT_EQ(children.lives[4], 1);
}

TEST_F(dynamic_children, terminate_ends_one_without_a_restart_and_keeps_its_spec) {
  start(three(strategy::one_for_one));
  ASSERT_TRUE(terminate_child("2"));
  EXPECT_EQ(heard, (log{"2 ended shutdown for good"}));
  EXPECT_NE(ask([](supervisor& of, kernel::context&) { return of.find_spec("2"); }), nullptr);
  EXPECT_TRUE(terminate_child("2")) << "once more is fine, as in OTP";
  EXPECT_EQ(terminate_child("9").error().code, errc::not_found);
}

TEST_F(dynamic_children, restart_is_for_those_that_are_stopped) {
  start(three(strategy::one_for_one));
  EXPECT_EQ(restart_child("2").error().code, errc::conflict);
  EXPECT_EQ(restart_child("9").error().code, errc::not_found);
  ASSERT_TRUE(terminate_child("2"));
  EXPECT_TRUE(restart_child("2"));
  EXPECT_TRUE(up.contains(2));
}

TEST_F(dynamic_children, restart_that_fails_keeps_the_spec) {
  start(three(strategy::one_for_one));
  ASSERT_TRUE(terminate_child("2"));
  children.broken.insert(2);
  EXPECT_EQ(restart_child("2").error().code, errc::process_exited);
  children.broken.clear();
  EXPECT_TRUE(restart_child("2"));
}

TEST_F(dynamic_children, delete_is_for_those_that_are_stopped) {
  start(three(strategy::one_for_one));
  EXPECT_EQ(delete_child("2").error().code, errc::conflict);
  ASSERT_TRUE(terminate_child("2"));
  EXPECT_TRUE(delete_child("2"));
  EXPECT_EQ(delete_child("2").error().code, errc::not_found);
  EXPECT_TRUE(start_child(child(2)));
}

TEST_F(dynamic_children, are_counted_by_kind_and_life) {
  start(three(strategy::one_for_one));
  ASSERT_TRUE(terminate_child("2"));
  const auto counts = ask([](supervisor& of, kernel::context&) { return of.count_children(); });
  EXPECT_EQ(counts.specs, 3U);
  EXPECT_EQ(counts.active, 2U);
  EXPECT_EQ(counts.workers, 3U);
  EXPECT_EQ(counts.supervisors, 0U);
}

TEST_F(dynamic_children, of_a_simple_one_for_one_take_a_tag_and_are_terminated_by_pid) {
  auto spec = spec_of(strategy::simple_one_for_one);
  spec.children.push_back(child(0));
  start(spec);
  EXPECT_EQ(start_child(child(5)).error().code, errc::invalid_argument);
  const auto one = start_tag(5);
  ASSERT_TRUE(one);
  const auto ended = ask([&](supervisor& of, kernel::context& self) { return of.terminate_child(self, *one); });
  EXPECT_TRUE(ended);
  EXPECT_EQ(heard, (log{"5 started", "5 ended shutdown for good"}));
  const auto stranger = *w.of.spawn(w.now, std::make_unique<kernel::testing::scripted>(nullptr));
  EXPECT_TRUE(ask([&](supervisor& of, kernel::context& self) { return of.terminate_child(self, *one); }))
      << "one that is dead already is fine, as in OTP";
  EXPECT_EQ(ask([&](supervisor& of, kernel::context& self) { return of.terminate_child(self, stranger); }).error().code,
            errc::not_found);
  EXPECT_EQ(ask([](supervisor& of, kernel::context&) { return of.count_children(); }).active, 0U);
}

TEST_F(dynamic_children, that_are_released_are_their_own_affair) {
  start(three(strategy::one_for_one));
  const auto free = up.at(2);
  EXPECT_TRUE(ask([&](supervisor& of, kernel::context& self) { return of.release(self, free); }));
  w.of.exit(w.now, free, {exit_reason::kind::kill, {}});
  w.run();
  EXPECT_TRUE(heard.empty());
  EXPECT_FALSE(ask([&](supervisor& of, kernel::context& self) { return of.release(self, free); }));
}

TEST_F(dynamic_children, cannot_be_asked_for_while_others_are_being_stopped) {
  auto spec = three(strategy::one_for_all);
  spec.children[2].process.trap_exits = true;
  children.lingers.insert(3);
  start(spec);
  crash(1);
  EXPECT_EQ(start_child(child(4)).error().code, errc::unavailable);
  EXPECT_EQ(terminate_child("2").error().code, errc::unavailable);
  w.pass(5s);
  EXPECT_TRUE(start_child(child(4)));
}

class specifications : public testing::supervised {
 protected:
  std::string refused(const supervisor_spec& spec) {
    const auto sound = validate(spec);
    return sound ? "accepted" : to_string(sound.error());
  }
};

TEST_F(specifications, that_are_broken_are_refused_with_the_child_and_what_would_be_accepted) {
  EXPECT_EQ(refused(three(strategy::one_for_one)), "accepted");
  auto spec = three(strategy::one_for_one);
  spec.children[1].id = "1";
  EXPECT_THAT(refused(spec), HasSubstr("child '1': there are two of this id"));
  spec = three(strategy::one_for_one);
  spec.children[1].factory = nullptr;
  EXPECT_THAT(refused(spec), HasSubstr("child '2': it has nothing to start"));
  spec = three(strategy::one_for_one);
  spec.children[0].id.clear();
  EXPECT_THAT(refused(spec), HasSubstr("one has no id"));
  spec = three(strategy::one_for_one);
  spec.children[0].shutdown.length = -1s;
  EXPECT_THAT(refused(spec), HasSubstr("shutdown takes 0 or more"));
  spec = three(strategy::one_for_one);
  spec.when_significant = auto_shutdown::any_significant;
  spec.children[0].significant = true;
  EXPECT_THAT(refused(spec), HasSubstr("only transient and temporary children can be significant"));
  spec.children[0].restart = restart_type::transient;
  spec.when_significant = auto_shutdown::never;
  EXPECT_THAT(refused(spec), HasSubstr("auto_shutdown is never"));
  EXPECT_THAT(refused(three(strategy::simple_one_for_one)), HasSubstr("takes exactly one, as the template of all"));
  spec = three(strategy::one_for_one);
  spec.period = 0s;
  EXPECT_THAT(refused(spec), HasSubstr("period: more than 0"));
  spec = three(strategy::one_for_one, intensity_max + 1);
  EXPECT_THAT(refused(spec), HasSubstr("intensity: at most"));
}

class beyond_otp : public testing::supervised {};

TEST_F(beyond_otp, a_child_over_its_own_budget_is_given_up_alone) {
  auto spec = three(strategy::one_for_one, 100);
  spec.child_intensity = 2;
  start(spec);
  for (int i = 0; i < 3; ++i)
    crash(1);
  EXPECT_EQ(heard.back(), "1 given up");
  EXPECT_TRUE(w.of.alive(who));
  EXPECT_EQ(up.size(), 2U);
  crash(2);
  EXPECT_EQ(heard.back(), "2 restarted");
}

TEST_F(beyond_otp, a_backoff_pauses_before_a_restart_and_doubles_up_to_its_maximum) {
  auto spec = three(strategy::one_for_one, 100);
  spec.backoff = {100ms, 400ms};
  start(spec);
  for (const auto pause : {100ms, 200ms, 400ms, 400ms}) {
    crash(1);
    EXPECT_FALSE(up.contains(1));
    w.pass(pause - 1ms);
    EXPECT_FALSE(up.contains(1));
    w.pass(pause / 5 + 2ms);
    EXPECT_TRUE(up.contains(1)) << pause.count();
  }
}

TEST_F(beyond_otp, a_backoff_begins_anew_for_a_child_that_was_well_for_a_period) {
  auto spec = three(strategy::one_for_one, 100);
  spec.backoff = {100ms, 10s};
  start(spec);
  for (int i = 0; i < 3; ++i) {
    crash(1);
    w.pass(1s);
  }
  w.pass(10s);
  crash(1);
  w.pass(121ms);
  EXPECT_TRUE(up.contains(1));
}

TEST_F(beyond_otp, a_child_that_waits_for_its_restart_is_shown_as_such_and_can_be_terminated) {
  auto spec = three(strategy::one_for_one, 100);
  spec.backoff = {1s, 10s};
  start(spec);
  crash(1);
  EXPECT_EQ(ask([](supervisor& of, kernel::context&) { return of.which_children(); })[0].state,
            supervisor::child_state::restarting);
  EXPECT_TRUE(ask([](supervisor& of, kernel::context& self) { return of.terminate_child(self, "1"); }));
  w.pass(1min);
  EXPECT_EQ(children.lives[1], 1);
}

}  // namespace
}  // namespace orrery::process
