// Supervisors that change while they run, and children started by a tag beside declared ones.
#include "mesh/process/supervision/testing.hpp"

#include <gmock/gmock.h>

namespace orrery::process {
namespace {

using ::testing::HasSubstr;
using testing::log;
using namespace std::chrono_literals;
using state = supervisor::child_state;

class mixed : public testing::supervised {
 protected:
  supervisor_spec with_others(strategy kind, std::uint32_t intensity = 3) {
    auto spec = three(kind, intensity);
    spec.others = child(0);
    return spec;
  }
  result<kernel::handle> start_tag(std::uint64_t tag) {
    return ask([&](supervisor& of, kernel::context& self) { return of.start_child(self, tag); });
  }
  void start_with_two_others(strategy kind) {
    start(with_others(kind));
    for (const std::uint64_t tag : {8U, 9U})
      ASSERT_TRUE(start_tag(tag));
    heard.clear();
  }
  std::vector<std::string> ids() {
    std::vector<std::string> all;
    for (const auto& each : ask([](supervisor&of, kernel::context&) { return of.which_children(); }))
      all.push_back(each.id);
    return all;
  }
};

TEST_F(mixed, one_that_was_started_by_a_tag_is_restarted_alone_whatever_the_strategy) {
  for (const auto kind : {strategy::one_for_all, strategy::rest_for_one}) {
    start_with_two_others(kind);
    crash(8);
    EXPECT_EQ(heard, (log{"8 ended error: boom", "8 restarted"}));
  }
}

TEST_F(mixed, those_that_were_started_by_a_tag_do_not_notice_when_declared_ones_restart_together) {
  start_with_two_others(strategy::one_for_all);
  crash(2);
  EXPECT_EQ(children.lives[8], 1);
  EXPECT_EQ(children.lives[1], 2);
  EXPECT_EQ(children.lives[3], 2);
}

TEST_F(mixed, all_share_the_intensity) {
  start_with_two_others(strategy::one_for_one);
  crash(8), crash(9), crash(1);
  EXPECT_TRUE(w.of.alive(who));
  crash(2);
  EXPECT_FALSE(w.of.alive(who));
}

TEST_F(mixed, those_that_were_started_by_a_tag_are_stopped_first_and_all_at_once) {
  auto spec = with_others(strategy::one_for_one);
  spec.others->process.trap_exits = true;
  children.lingers = {8, 9};
  start(spec);
  ASSERT_TRUE(start_tag(8) && start_tag(9));
  heard.clear();
  w.of.exit(w.now, who, {exit_reason::kind::shutdown, {}});
  w.run();
  EXPECT_TRUE(heard.empty());
  w.pass(5s);
  EXPECT_EQ(heard.size(), 5U) << "within one shutdown timeout";
  EXPECT_EQ((log{heard.end() - 3, heard.end()}),
            (log{"3 ended shutdown for good", "2 ended shutdown for good", "1 ended shutdown for good"}));
  EXPECT_EQ(w.of.count(), 0U);
}

TEST_F(mixed, count_against_children_max_together) {
  auto spec = with_others(strategy::one_for_one);
  spec.children_max = 4;
  start(spec);
  EXPECT_TRUE(start_tag(8));
  EXPECT_EQ(start_tag(9).error().code, errc::overloaded);
}

TEST_F(mixed, one_that_was_started_by_a_tag_and_ended_for_good_is_forgotten) {
  auto spec = with_others(strategy::one_for_one);
  spec.others->restart = restart_type::transient;
  start(spec);
  ASSERT_TRUE(start_tag(8));
  tell(8, "stop");
  EXPECT_EQ(ids(), (log{"1", "2", "3"}));
}

TEST_F(mixed, one_that_was_started_by_a_tag_over_its_own_budget_is_forgotten) {
  auto spec = with_others(strategy::one_for_one, 100);
  spec.child_intensity = 1;
  start(spec);
  ASSERT_TRUE(start_tag(8));
  crash(8), crash(8);
  EXPECT_EQ(heard.back(), "8 given up");
  EXPECT_EQ(ids(), (log{"1", "2", "3"}));
  EXPECT_TRUE(start_tag(8)) << "whoever starts it may try again";
}

class changes : public mixed {
 protected:
  void retune(const supervisor_spec& wanted) {
    w.of.enter(w.now, who,
               [&](kernel::body& body, kernel::context&) { static_cast<supervisor&>(body).retune(wanted); });
  }
  /// Another supervisor, which takes over what `who` has.
  kernel::handle second() {
    const auto begun =
        w.of.start(w.now, std::make_unique<supervisor>(spec_of(strategy::one_for_one), this), supervisor::options());
    EXPECT_TRUE(begun);
    return *begun;
  }
};

TEST_F(changes, of_the_strategy_count_from_the_next_end_on) {
  start(three(strategy::one_for_one));
  retune(spec_of(strategy::one_for_all));
  crash(2);
  EXPECT_EQ(children.lives[1], 2);
  EXPECT_EQ(children.lives[3], 2);
}

TEST_F(changes, of_the_budget_count_from_the_next_end_on_and_what_happened_before_still_counts) {
  start(three(strategy::one_for_one, 100));
  crash(1), crash(1);
  retune(spec_of(strategy::one_for_one, 2));
  EXPECT_TRUE(w.of.alive(who));
  crash(1);
  EXPECT_FALSE(w.of.alive(who));
}

TEST_F(changes, of_the_backoff_count_from_the_next_end_on) {
  start(three(strategy::one_for_one, 100));
  auto wanted = spec_of(strategy::one_for_one, 100);
  wanted.backoff = {1s, 1s};
  retune(wanted);
  crash(1);
  EXPECT_FALSE(up.contains(1));
  retune(spec_of(strategy::one_for_one, 100));
  w.pass(1200ms);
  EXPECT_TRUE(up.contains(1)) << "a pause that has begun ends";
  crash(1);
  EXPECT_EQ(heard.back(), "1 restarted");
}

TEST_F(changes, of_a_child_count_from_its_next_end_on) {
  start(three(strategy::one_for_one));
  auto wanted = child(1, restart_type::temporary);
  EXPECT_TRUE(ask([&](supervisor& of, kernel::context&) { return of.retune_child(wanted); }));
  crash(1);
  EXPECT_EQ(heard.back(), "1 ended error: boom for good");
  EXPECT_FALSE(ask([&](supervisor& of, kernel::context&) { return of.retune_child(wanted); })) << "it is forgotten";
}

TEST_F(changes, of_the_order_count_when_children_restart_together_and_when_they_are_stopped) {
  start(three(strategy::rest_for_one));
  w.of.enter(w.now, who, [&](kernel::body& body, kernel::context&) {
    static_cast<supervisor&>(body).arrange({"3", "9", "1"});
  });
  EXPECT_EQ(ids(), (log{"3", "1", "2"}));
  crash(1);
  EXPECT_EQ(children.lives[3], 1);
  EXPECT_EQ(children.lives[2], 2);
}

TEST_F(changes, one_that_was_started_by_a_tag_can_be_declared_as_it_runs) {
  start_with_two_others(strategy::one_for_all);
  const auto running = up.at(8);
  EXPECT_TRUE(ask([&](supervisor& of, kernel::context& self) { return of.declare(self, running, child(8)); }));
  EXPECT_FALSE(ask([&](supervisor& of, kernel::context& self) { return of.declare(self, running, child(8)); }));
  EXPECT_TRUE(w.of.alive(running));
  crash(1);
  EXPECT_EQ(children.lives[8], 2) << "it restarts with the others now";
  EXPECT_EQ(children.lives[9], 1);
}

TEST_F(changes, one_that_waits_for_its_restart_can_be_dropped) {
  auto spec = with_others(strategy::one_for_one, 100);
  spec.backoff = {1s, 1s};
  start(spec);
  const auto nine = start_tag(9);
  ASSERT_TRUE(nine);
  const auto note = w.of.note_of(*nine);
  ASSERT_TRUE(note);
  crash(9), crash(1);
  EXPECT_FALSE(ask([&](supervisor& of, kernel::context& self) { return of.drop(self, *note, 8); })) << "another";
  EXPECT_TRUE(ask([&](supervisor& of, kernel::context& self) { return of.drop(self, *note, 9); }));
  EXPECT_FALSE(ask([&](supervisor& of, kernel::context& self) { return of.drop(self, *note, 9); }));
  EXPECT_TRUE(ask([](supervisor& of, kernel::context& self) { return of.drop(self, "1"); }));
  EXPECT_FALSE(ask([](supervisor& of, kernel::context& self) { return of.drop(self, "1"); }));
  w.pass(1min);
  EXPECT_EQ(children.lives[9], 1);
  EXPECT_EQ(children.lives[1], 1);
  EXPECT_EQ(ids(), (log{"2", "3"}));
}

TEST_F(changes, dropping_the_one_for_which_others_wait_lets_them_start) {
  auto spec = three(strategy::one_for_all, 100);
  spec.backoff = {1s, 1s};
  start(spec);
  crash(2);
  EXPECT_TRUE(ask([](supervisor& of, kernel::context& self) { return of.drop(self, "2"); }));
  EXPECT_TRUE(up.contains(1) && up.contains(3));
}

TEST_F(changes, an_adopted_child_lives_on_and_is_its_new_supervisors) {
  start(three(strategy::one_for_one));
  const auto to = second();
  const auto moving = up.at(2);
  EXPECT_TRUE(ask([&](supervisor& of, kernel::context& self) { return of.release(self, moving); }));
  w.of.enter(w.now, to, [&](kernel::body& body, kernel::context& self) {
    static_cast<supervisor&>(body).adopt(self, child(2), moving);
  });
  EXPECT_EQ(ids(), (log{"1", "3"}));
  shut_down();
  EXPECT_TRUE(w.of.alive(moving));
  who = to;
  up[2] = moving;
  crash(2);
  EXPECT_EQ(heard.back(), "2 restarted");
  EXPECT_EQ(ids(), (log{"2"}));
}

TEST_F(changes, an_adopted_supervisor_is_stopped_by_its_new_parent_only) {
  class tree final : public child_factory {
   public:
    explicit tree(supervisor_spec inner) : inner_(std::move(inner)) {}
    std::unique_ptr<kernel::body> make(std::uint64_t) override { return std::make_unique<supervisor>(inner_); }
    supervisor_spec inner_;
  } inner{three(strategy::one_for_one)};
  auto outer = spec_of(strategy::one_for_one);
  const child_spec nested{.id = "inner", .factory = &inner, .tag = 100, .supervisor = true};
  outer.children.push_back(nested);
  start(outer);
  const auto moving = ask([](supervisor& of, kernel::context&) { return of.which_children(); }).at(0).who;
  const auto to = second();
  EXPECT_TRUE(ask([&](supervisor& of, kernel::context& self) { return of.release(self, moving); }));
  w.of.enter(w.now, to, [&](kernel::body& body, kernel::context& self) {
    static_cast<supervisor&>(body).adopt(self, nested, moving);
  });
  w.of.exit(w.now, who, {exit_reason::kind::shutdown, {}});
  w.run();
  EXPECT_TRUE(w.of.alive(moving));
  w.of.exit(w.now, to, {exit_reason::kind::shutdown, {}});
  w.run();
  EXPECT_FALSE(w.of.alive(moving));
  EXPECT_EQ(w.of.count(), 0U);
}

class broken_specifications : public testing::supervised {
 protected:
  std::string refused(const supervisor_spec& spec) {
    const auto sound = validate(spec);
    return sound ? "accepted" : to_string(sound.error());
  }
};

TEST_F(broken_specifications, of_pauses_and_budgets_are_refused_with_what_would_be_accepted) {
  auto spec = three(strategy::one_for_one);
  spec.backoff = {2s, 1s};
  EXPECT_THAT(refused(spec), HasSubstr("backoff.maximum: at least backoff.initial"));
  spec.backoff = {-1s, 1s};
  EXPECT_THAT(refused(spec), HasSubstr("backoff.initial: 0 or more"));
  spec = three(strategy::one_for_one);
  spec.patience = {2s, 1s};
  EXPECT_THAT(refused(spec), HasSubstr("patience.maximum"));
  spec = three(strategy::one_for_one);
  spec.child_intensity = intensity_max + 1;
  EXPECT_THAT(refused(spec), HasSubstr("child_intensity: at most"));
}

TEST_F(broken_specifications, of_a_template_are_refused_like_those_of_a_child) {
  auto spec = three(strategy::one_for_one);
  spec.others = child(0);
  EXPECT_EQ(refused(spec), "accepted");
  spec.others->factory = nullptr;
  EXPECT_THAT(refused(spec), HasSubstr("others: it has nothing to start"));
  spec.others = child(0, restart_type::transient);
  spec.others->significant = true;
  EXPECT_THAT(refused(spec), HasSubstr("others: only declared children can be significant"));
  auto simple = spec_of(strategy::simple_one_for_one);
  simple.children.push_back(child(0));
  simple.others = child(0);
  EXPECT_THAT(refused(simple), HasSubstr("takes exactly one"));
}

TEST_F(broken_specifications, an_id_of_a_megabyte_is_refused_and_not_repeated) {
  auto spec = three(strategy::one_for_one);
  spec.children[1].id.assign(1U << 20U, 'x');
  const auto text = refused(spec);
  EXPECT_THAT(text, HasSubstr("its id has 1048576 bytes; at most 1200 are accepted"));
  EXPECT_LT(text.size(), 300U);
}

TEST_F(broken_specifications, given_to_one_that_runs_change_nothing_and_start_nothing) {
  start(three(strategy::one_for_one));
  auto spec = child(4);
  spec.factory = nullptr;
  EXPECT_FALSE(ask([&](supervisor& of, kernel::context& self) { return of.start_child(self, spec); }));
  EXPECT_FALSE(ask([&](supervisor& of, kernel::context& self) { return of.begin_child(self, spec); }));
  spec = child(4);
  spec.id.assign(1U << 20U, 'x');
  EXPECT_FALSE(ask([&](supervisor& of, kernel::context& self) { return of.start_child(self, spec); }));
  EXPECT_EQ(w.of.count(), 4U);
  EXPECT_EQ(ask([](supervisor& of, kernel::context&) { return of.count_children(); }).specs, 3U);
}

}  // namespace
}  // namespace orrery::process
