// OTP's supervisor, row by row: strategies, restart types, intensity, start and stop, significant children.
#include "mesh/process/supervision/testing.hpp"

#include <gmock/gmock.h>

namespace orrery::process {
namespace {

using ::testing::HasSubstr;
using testing::log;
using namespace std::chrono_literals;

class strategies : public testing::supervised {};

TEST_F(strategies, one_for_one_restarts_the_one_that_ended) {
  start(three(strategy::one_for_one));
  const auto others = std::pair{up.at(1), up.at(3)};
  crash(2);
  EXPECT_EQ(heard, (log{"2 ended error: boom", "2 restarted"}));
  EXPECT_EQ(std::pair(up.at(1), up.at(3)), others);
}

TEST_F(strategies, one_for_all_stops_the_others_in_reverse_and_starts_all_in_order) {
  start(three(strategy::one_for_all));
  crash(2);
  EXPECT_EQ(heard, (log{"2 ended error: boom", "3 ended shutdown", "1 ended shutdown", "1 restarted", "2 restarted",
                        "3 restarted"}));
}

TEST_F(strategies, rest_for_one_leaves_those_that_were_started_before) {
  start(three(strategy::rest_for_one));
  const auto first = up.at(1);
  crash(2);
  EXPECT_EQ(heard, (log{"2 ended error: boom", "3 ended shutdown", "2 restarted", "3 restarted"}));
  EXPECT_EQ(up.at(1), first);
}

TEST_F(strategies, rest_for_one_of_the_last_is_one_for_one) {
  start(three(strategy::rest_for_one));
  crash(3);
  EXPECT_EQ(heard, (log{"3 ended error: boom", "3 restarted"}));
}

TEST_F(strategies, simple_one_for_one_starts_children_of_one_kind_as_they_are_asked_for) {
  auto spec = spec_of(strategy::simple_one_for_one);
  spec.children.push_back(child(0));
  start(spec);
  EXPECT_TRUE(children.started.empty());
  for (std::uint64_t tag : {7U, 8U})
    ASSERT_TRUE(ask([&](supervisor& of, kernel::context& self) { return of.start_child(self, tag); }));
  crash(7);
  EXPECT_EQ(heard, (log{"7 started", "8 started", "7 ended error: boom", "7 restarted"}));
}

TEST_F(strategies, a_restart_counts_once_however_many_siblings_it_takes_along) {
  start(three(strategy::one_for_all, 1));
  crash(1);
  EXPECT_TRUE(w.of.alive(who));
  EXPECT_EQ(up.size(), 3U);
}

TEST_F(strategies, a_sibling_that_ends_while_others_are_stopped_is_seen_to_afterwards) {
  auto spec = three(strategy::rest_for_one);
  spec.children[2].process.trap_exits = true;
  children.lingers.insert(3);
  start(spec);
  crash(2);  // 3 lingers: the supervisor waits
  crash(1);
  EXPECT_EQ(heard, (log{"2 ended error: boom"}));
  w.pass(6s);
  EXPECT_EQ(children.lives[2], 2);  // the first comes first, and 3 lingers again
  w.pass(6s);
  EXPECT_EQ(up.size(), 3U);
  EXPECT_EQ(children.lives[1], 2);
  EXPECT_TRUE(w.of.alive(who));
}

class restart_types_of_children : public testing::supervised {};

TEST_F(restart_types_of_children, permanent_comes_back_whatever_the_reason) {
  start(three(strategy::one_for_one, 10));
  for (const char* word : {"crash", "stop", "shutdown"})
    tell(1, word);
  EXPECT_EQ(children.lives[1], 4);
}

TEST_F(restart_types_of_children, transient_comes_back_after_a_crash_only) {
  auto spec = three(strategy::one_for_one, 10);
  for (auto& each : spec.children)
    each.restart = restart_type::transient;
  start(spec);
  crash(1);
  tell(2, "stop");
  tell(3, "shutdown");
  EXPECT_EQ(children.lives[1], 2);
  EXPECT_EQ(heard,
            (log{"1 ended error: boom", "1 restarted", "2 ended normal for good", "3 ended shutdown: done for good"}));
}

TEST_F(restart_types_of_children, transient_that_ended_stays_listed_and_can_be_restarted) {
  auto spec = three(strategy::one_for_one);
  spec.children[0].restart = restart_type::transient;
  start(spec);
  tell(1, "stop");
  const auto listed = ask([](supervisor& of, kernel::context&) { return of.which_children(); });
  ASSERT_EQ(listed.size(), 3U);
  EXPECT_EQ(listed[0].state, supervisor::child_state::stopped);
  EXPECT_TRUE(ask([](supervisor& of, kernel::context& self) { return of.restart_child(self, "1"); }));
}

TEST_F(restart_types_of_children, temporary_never_comes_back_and_is_forgotten) {
  auto spec = three(strategy::one_for_one);
  spec.children[0].restart = restart_type::temporary;
  start(spec);
  crash(1);
  EXPECT_EQ(heard, (log{"1 ended error: boom for good"}));
  EXPECT_EQ(ask([](supervisor& of, kernel::context&) { return of.which_children(); }).size(), 2U);
}

TEST_F(restart_types_of_children, temporary_does_not_come_back_by_a_siblings_end_either) {
  auto spec = three(strategy::one_for_all);
  spec.children[0].restart = restart_type::temporary;
  start(spec);
  crash(2);
  EXPECT_FALSE(up.contains(1));
  EXPECT_EQ(up.size(), 2U);
  EXPECT_EQ(ask([](supervisor& of, kernel::context&) { return of.find_spec("1"); }), nullptr);
}

class intensity : public testing::supervised {};

TEST_F(intensity, over_it_the_supervisor_stops_its_children_and_exits_with_shutdown) {
  start(three(strategy::one_for_one, 1));
  log parent;
  const auto watching = w.spawn_witness(parent);
  w.as(watching, [&](kernel::context& self) { static_cast<void>(self.monitor(who)); });
  crash(1);
  crash(1);
  EXPECT_EQ(heard, (log{"1 ended error: boom", "1 restarted", "1 ended error: boom", "gave up",
                        "3 ended shutdown for good", "2 ended shutdown for good"}));
  EXPECT_FALSE(w.of.alive(who));
  ASSERT_EQ(parent.size(), 1U);
  EXPECT_THAT(parent[0], HasSubstr("down shutdown: supervisor test gave up: more than 1 restarts within 5000 ms"));
}

TEST_F(intensity, zero_allows_no_restart) {
  start(three(strategy::one_for_one, 0));
  crash(1);
  EXPECT_FALSE(w.of.alive(who));
}

TEST_F(intensity, restarts_further_apart_than_the_period_never_add_up) {
  start(three(strategy::one_for_one, 1));
  for (int i = 0; i < 20; ++i) {
    crash(1);
    w.pass(5001ms);
  }
  EXPECT_TRUE(w.of.alive(who));
  EXPECT_EQ(children.lives[1], 21);
}

TEST_F(intensity, a_restart_exactly_a_period_ago_still_counts) {
  start(three(strategy::one_for_one, 1));
  crash(1);
  w.pass(5s);
  crash(1);
  EXPECT_FALSE(w.of.alive(who));
}

TEST_F(intensity, is_shared_by_all_children) {
  start(three(strategy::one_for_one, 2));
  crash(1);
  crash(2);
  crash(3);
  EXPECT_FALSE(w.of.alive(who));
}

TEST_F(intensity, a_restart_that_fails_is_tried_again_at_once_and_counts) {
  start(three(strategy::one_for_one, 3));
  children.broken.insert(1);
  crash(1);
  EXPECT_EQ(children.lives[1], 4);
  EXPECT_FALSE(w.of.alive(who));
}

TEST_F(intensity, a_failed_restart_of_one_for_all_starts_the_others_again_too) {
  start(three(strategy::one_for_all, 2));
  children.broken.insert(2);
  crash(1);
  EXPECT_EQ(children.lives[2], 3);
  EXPECT_FALSE(w.of.alive(who));
  EXPECT_TRUE(up.empty());
}

class starting : public testing::supervised {};

TEST_F(starting, is_in_the_order_of_the_list_each_when_the_one_before_has_begun) {
  start(three(strategy::one_for_one));
  EXPECT_EQ(children.started, (std::vector<std::uint64_t>{1, 2, 3}));
}

TEST_F(starting, that_fails_stops_those_before_and_names_the_child) {
  children.broken.insert(3);
  const auto begun =
      w.of.start(w.now, std::make_unique<supervisor>(three(strategy::one_for_one), this), supervisor::options());
  ASSERT_FALSE(begun);
  EXPECT_EQ(to_string(begun.error()), "shutdown: failed_to_start_child 3: error: broken");
  w.run();
  EXPECT_EQ(w.of.count(), 0U);
}

TEST_F(starting, a_nested_supervisor_that_does_not_start_is_its_parents_failed_child) {
  class tree final : public child_factory {
   public:
    explicit tree(supervisor_spec inner) : inner_(std::move(inner)) {}
    std::unique_ptr<kernel::body> make(std::uint64_t) override { return std::make_unique<supervisor>(inner_); }
    supervisor_spec inner_;
  } inner{three(strategy::one_for_one)};
  children.broken.insert(2);
  auto outer = spec_of(strategy::one_for_one);
  outer.children.push_back({.id = "inner", .factory = &inner, .supervisor = true});
  const auto begun = w.of.start(w.now, std::make_unique<supervisor>(outer), supervisor::options());
  ASSERT_FALSE(begun);
  EXPECT_THAT(to_string(begun.error()), HasSubstr("failed_to_start_child inner: shutdown: failed_to_start_child 2"));
}

class stopping : public testing::supervised {
 protected:
  /// The supervisor as the child of a process that tells it to shut down.
  void start_below(const supervisor_spec& spec) {
    parent = w.spawn({}, {}, {.trap_exits = true});
    w.run();
    w.as(parent, [&](kernel::context& self) {
      who = self.start(std::make_unique<supervisor>(spec, this), supervisor::options())->who;
    });
    heard.clear();
  }
  void shut_down_by_parent() {
    w.as(parent, [&](kernel::context& self) { self.exit(who, {exit_reason::kind::shutdown, {}}); });
    w.run();
  }
  kernel::handle parent;
};

TEST_F(stopping, is_in_the_reverse_order_of_start) {
  start_below(three(strategy::one_for_one));
  shut_down_by_parent();
  EXPECT_EQ(heard, (log{"3 ended shutdown for good", "2 ended shutdown for good", "1 ended shutdown for good"}));
  EXPECT_FALSE(w.of.alive(who));
}

TEST_F(stopping, waits_for_each_child_before_the_next) {
  auto spec = three(strategy::one_for_one);
  spec.children[1].process.trap_exits = true;
  children.lingers.insert(2);
  start_below(spec);
  shut_down_by_parent();
  EXPECT_EQ(heard, (log{"3 ended shutdown for good"}));
  w.pass(4900ms);
  EXPECT_EQ(heard.size(), 1U);
  w.pass(100ms);
  EXPECT_EQ(heard, (log{"3 ended shutdown for good", "2 ended killed: it did not shut down in time for good",
                        "1 ended shutdown for good"}));
}

TEST_F(stopping, gives_each_life_of_a_child_its_whole_time) {
  auto spec = three(strategy::one_for_all);
  spec.children[1].process.trap_exits = true;
  start_below(spec);
  crash(1);  // 2 ends at once; its time would have been up in 5 s
  w.pass(4s);
  children.lingers.insert(2);
  crash(1);
  w.pass(4900ms);
  EXPECT_EQ(children.lives[2], 2);
  EXPECT_TRUE(w.of.alive(up.at(2)));
  w.pass(100ms);
  EXPECT_EQ(children.lives[2], 3);
}

TEST_F(stopping, brutal_kill_asks_nobody) {
  auto spec = three(strategy::one_for_one);
  spec.children[1].process.trap_exits = true;
  spec.children[1].shutdown = {shutdown_spec::kind::brutal_kill};
  children.lingers.insert(2);
  start_below(spec);
  shut_down_by_parent();
  EXPECT_EQ(heard[1], "2 ended killed for good");
  EXPECT_FALSE(w.of.alive(who));
}

TEST_F(stopping, infinity_waits_as_long_as_it_takes) {
  auto spec = three(strategy::one_for_one);
  spec.children[1].process.trap_exits = true;
  spec.children[1].shutdown = {shutdown_spec::kind::infinity};
  children.lingers.insert(2);
  start_below(spec);
  shut_down_by_parent();
  w.pass(1h);
  EXPECT_TRUE(w.of.alive(who));
  children.lingers.clear();
  tell(2, "stop");
  EXPECT_FALSE(w.of.alive(who));
}

TEST_F(stopping, of_a_simple_one_for_one_tells_all_at_once) {
  auto spec = spec_of(strategy::simple_one_for_one);
  spec.children.push_back(child(0));
  spec.children[0].process.trap_exits = true;
  children.lingers = {1, 2, 3};
  start_below(spec);
  for (std::uint64_t tag : {1U, 2U, 3U})
    ASSERT_TRUE(ask([&](supervisor& of, kernel::context& self) { return of.start_child(self, tag); }));
  shut_down_by_parent();
  w.pass(5s);
  EXPECT_FALSE(w.of.alive(who));
  EXPECT_EQ(w.of.count(), 1U);
}

TEST_F(stopping, a_child_that_crashes_while_it_is_told_to_end_is_not_restarted) {
  auto spec = three(strategy::one_for_one);
  spec.children[2].process.trap_exits = true;
  children.lingers.insert(3);
  start_below(spec);
  shut_down_by_parent();
  crash(3);
  EXPECT_EQ(heard[0], "3 ended error: boom for good");
  EXPECT_FALSE(w.of.alive(who));
  EXPECT_TRUE(up.empty());
}

TEST_F(stopping, a_supervisor_that_is_killed_takes_its_children_along) {
  start(three(strategy::one_for_one));
  shut_down();
  EXPECT_EQ(w.of.count(), 0U);
}

TEST_F(stopping, cascades_through_a_tree_from_the_leaves_of_the_last_branch) {
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
  outer.children.push_back(child(9));
  outer.children.push_back(
      {.id = "inner", .factory = &inner, .tag = 100, .shutdown = {shutdown_spec::kind::infinity}, .supervisor = true});
  start_below(outer);
  shut_down_by_parent();
  EXPECT_EQ(heard, (log{"3 ended shutdown for good", "2 ended shutdown for good", "1 ended shutdown for good",
                        "100 ended shutdown for good", "9 ended shutdown for good"}));
}

class significant_children : public testing::supervised {
 protected:
  supervisor_spec with(auto_shutdown when) {
    auto spec = three(strategy::one_for_one);
    spec.when_significant = when;
    for (std::size_t i : {0U, 1U}) {
      spec.children[i].restart = restart_type::transient;
      spec.children[i].significant = true;
    }
    return spec;
  }
};

TEST_F(significant_children, any_one_that_ends_by_itself_shuts_the_supervisor_down) {
  start(with(auto_shutdown::any_significant));
  tell(1, "stop");
  EXPECT_FALSE(w.of.alive(who));
  EXPECT_TRUE(up.empty());
}

TEST_F(significant_children, all_must_have_ended_where_the_flag_says_so) {
  start(with(auto_shutdown::all_significant));
  tell(1, "stop");
  EXPECT_TRUE(w.of.alive(who));
  tell(2, "stop");
  EXPECT_FALSE(w.of.alive(who));
}

TEST_F(significant_children, a_crash_that_is_restarted_does_not_count) {
  start(with(auto_shutdown::any_significant));
  crash(1);
  EXPECT_TRUE(w.of.alive(who));
}

TEST_F(significant_children, one_that_is_terminated_on_request_does_not_count) {
  start(with(auto_shutdown::any_significant));
  EXPECT_TRUE(ask([](supervisor& of, kernel::context& self) { return of.terminate_child(self, "1"); }));
  EXPECT_TRUE(w.of.alive(who));
}

TEST_F(significant_children, a_temporary_one_counts_whatever_its_reason) {
  auto spec = with(auto_shutdown::any_significant);
  spec.children[0].restart = restart_type::temporary;
  start(spec);
  crash(1);
  EXPECT_FALSE(w.of.alive(who));
}

TEST_F(significant_children, one_that_is_not_significant_never_counts) {
  auto spec = with(auto_shutdown::any_significant);
  spec.children[2].restart = restart_type::temporary;
  start(spec);
  crash(3);
  EXPECT_TRUE(w.of.alive(who));
}

}  // namespace
}  // namespace orrery::process
