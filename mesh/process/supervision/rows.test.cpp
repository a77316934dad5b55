// Rows of OTP's documentation of supervisors about what is rarely looked at: defaults, budgets through levels, ends of
// supervisors themselves.
#include "mesh/process/supervision/testing.hpp"

#include <gmock/gmock.h>

namespace orrery::process {
namespace {

using ::testing::ElementsAre;
using testing::log;
using namespace std::chrono_literals;

class rows : public testing::supervised {
 protected:
  /// Makes supervisors of one spec.
  class tree final : public child_factory {
   public:
    tree(supervisor_spec inner, supervisor_watcher& watcher) : inner_(std::move(inner)), watcher_(watcher) {}
    std::unique_ptr<kernel::body> make(std::uint64_t) override {
      ++lives;
      return std::make_unique<supervisor>(inner_, &watcher_);
    }
    int lives = 0;

   private:
    supervisor_spec inner_;
    supervisor_watcher& watcher_;
  };
  static child_spec nested(tree& inner, restart_type restart = restart_type::permanent) {
    return {.id = "inner", .factory = &inner, .tag = 100, .restart = restart, .supervisor = true};
  }
  void start_above(tree& inner, std::uint32_t intensity, restart_type restart = restart_type::permanent) {
    auto outer = spec_of(strategy::one_for_one, intensity);
    outer.children.push_back(nested(inner, restart));
    start(outer);
  }
};

TEST_F(rows, defaults_are_otps) {
  const supervisor_spec spec;
  EXPECT_EQ(spec.kind, strategy::one_for_one);
  EXPECT_EQ(spec.intensity, 1U);
  EXPECT_EQ(spec.period, 5s);
  EXPECT_EQ(spec.when_significant, auto_shutdown::never);
  EXPECT_FALSE(spec.child_intensity || spec.others || spec.outlives_its_budget || spec.giving_up_is_a_crash);
  EXPECT_EQ(spec.backoff.initial + spec.patience.initial, 0s);
  const child_spec child;
  EXPECT_EQ(child.restart, restart_type::permanent);
  EXPECT_FALSE(child.significant || child.supervisor);
  EXPECT_EQ(child.shutdown.length, 5s);
}

TEST_F(rows, a_supervisor_below_is_waited_for_as_long_as_it_takes_unless_a_time_is_given) {
  for (const bool given : {false, true}) {
    auto inner = three(strategy::one_for_one);
    inner.children[1].process.trap_exits = true;
    inner.children[1].shutdown = {shutdown_spec::kind::infinity};
    children.lingers = {2};
    tree below{inner, *this};
    auto outer = spec_of(strategy::one_for_one);
    outer.children.push_back(nested(below));
    if (given) outer.children[0].shutdown.length = 10s;
    start(outer);
    w.of.exit(w.now, who, {exit_reason::kind::shutdown, {}});
    w.pass(1h);
    EXPECT_EQ(w.of.alive(who), !given);
    children.lingers.clear();
    if (!given) tell(2, "stop");
    EXPECT_FALSE(w.of.alive(who));
    up.clear();
  }
}

TEST_F(rows, a_supervisor_that_is_killed_as_its_time_is_over_leaves_only_those_that_trap) {
  auto inner = three(strategy::one_for_one);
  inner.children[2].process.trap_exits = true;
  inner.children[2].shutdown = {shutdown_spec::kind::infinity};
  children.lingers = {3};
  tree below{inner, *this};
  auto outer = spec_of(strategy::one_for_one);
  outer.children.push_back(nested(below));
  outer.children[0].shutdown.length = 1s;
  start(outer);
  const auto orphan = up.at(3);
  w.of.exit(w.now, who, {exit_reason::kind::shutdown, {}});
  w.pass(1s);
  EXPECT_FALSE(w.of.alive(who));
  EXPECT_TRUE(w.of.alive(orphan)) << "as in OTP: a time for a supervisor can orphan what is below it";
  EXPECT_EQ(w.of.count(), 1U);
}

TEST_F(rows, budgets_multiply_through_levels) {
  tree below{three(strategy::one_for_one, 1), *this};
  start_above(below, 2);
  int crashes = 0;
  for (; w.of.alive(who); ++crashes)
    crash(1);
  EXPECT_EQ(below.lives, 3);
  EXPECT_EQ(crashes, 2 * 3);
}

TEST_F(rows, a_permanent_supervisor_that_gave_up_comes_back_and_a_transient_one_does_not) {
  for (const auto restart : {restart_type::permanent, restart_type::transient, restart_type::temporary}) {
    tree below{three(strategy::one_for_one, 0), *this};
    start_above(below, 5, restart);
    crash(1);
    EXPECT_EQ(below.lives, restart == restart_type::permanent ? 2 : 1);
    EXPECT_TRUE(w.of.alive(who));
    up.clear();
  }
}

TEST_F(rows, a_start_that_fails_stops_those_before_it_in_reverse) {
  auto spec = three(strategy::one_for_one);
  for (auto& each : spec.children)
    each.process.announced = true;
  children.broken.insert(3);
  const auto begun = w.of.start(w.now, std::make_unique<supervisor>(spec, this), supervisor::options());
  w.run();
  ASSERT_FALSE(begun);
  std::vector<std::uint64_t> ended;
  for (const auto& [tag, why] : w.ends)
    ended.push_back(tag);
  EXPECT_THAT(ended, ElementsAre(3, 2, 1));
}

TEST_F(rows, a_significant_child_that_is_stopped_with_its_siblings_does_not_count) {
  auto spec = three(strategy::one_for_all);
  spec.when_significant = auto_shutdown::any_significant;
  for (const std::size_t i : {0U, 1U}) {
    spec.children[i].restart = restart_type::transient;
    spec.children[i].significant = true;
  }
  start(spec);
  crash(3);
  EXPECT_TRUE(w.of.alive(who));
  EXPECT_EQ(up.size(), 3U);
}

TEST_F(rows, an_exit_signal_from_anybody_but_its_parent_does_not_end_a_supervisor) {
  start(three(strategy::one_for_one));
  const auto stranger = w.spawn({});
  w.run();
  w.as(stranger, [&](kernel::context& self) { self.exit(who, {exit_reason::kind::shutdown, {}}); });
  w.run();
  EXPECT_TRUE(w.of.alive(who));
  EXPECT_EQ(up.size(), 3U);
}

TEST_F(rows, messages_and_calls_that_a_supervisor_does_not_know_change_nothing) {
  start(three(strategy::one_for_one));
  std::vector<std::string> heard_by;
  const auto stranger = w.spawn_witness(heard_by);
  w.as(stranger, [&](kernel::context& self) {
    for (const auto* word : {"supervisor: restart", "supervisor: try again", "supervisor: stop took too long", "x"}) {
      self.send(who, w.word(word), cbor::integer_value(0));
      self.send(who, w.word(word), cbor::text_value("text"));
      static_cast<void>(self.send_after(1ms, who, w.word(word), cbor::integer_value(1)));
    }
    static_cast<void>(self.call(who, w.word("get"), {}, 1s));
  });
  w.pass(1s);
  EXPECT_THAT(heard_by, ElementsAre(::testing::StartsWith("failed not_found: a supervisor answers no calls")));
  EXPECT_EQ(up.size(), 3U);
  EXPECT_TRUE(heard.empty());
}

TEST_F(rows, of_two_children_that_end_at_once_each_is_restarted_and_counted) {
  start(three(strategy::one_for_one, 2));
  w.of.enter(w.now, up.at(1), [&](kernel::body&, kernel::context& self) {
    self.exit(up.at(2), {exit_reason::kind::kill, {}});
    self.stop({exit_reason::kind::error, "boom"});
  });
  w.run();
  EXPECT_EQ(up.size(), 3U);
  crash(3);
  EXPECT_FALSE(w.of.alive(who));
}

}  // namespace
}  // namespace orrery::process
