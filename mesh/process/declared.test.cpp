// Declared children: there without a call, in order, as their class' strategy says.
#include "mesh/process/testing.hpp"

#include <gmock/gmock.h>

namespace orrery::process {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using what = process_event::kind;

declared_child child(std::string key, std::optional<restart_type> restart = {}, bool significant = false) {
  return {.key = process_key{std::move(key)}, .restart = restart, .significant = significant};
}

/// A class of counters with children a, b and c.
class_spec jobs(strategy kind = strategy::one_for_one) {
  auto spec = counter_class("jobs");
  spec.supervision.kind = kind;
  for (const auto* key : {"a", "b", "c"})
    spec.children.push_back(child(key));
  return spec;
}

struct declared : ::testing::Test, world {
  void define(const class_spec& spec) {
    const auto fine = rt.define(spec);
    ASSERT_TRUE(fine) << to_string(fine.error());
    keep_declared();
  }
  std::string states() { return state_of("jobs/a") + " " + state_of("jobs/b") + " " + state_of("jobs/c"); }
  /// What each counts; a process that was restarted counts from 0.
  std::string counts() { return ask("jobs/a", "get") + ask("jobs/b", "get") + ask("jobs/c", "get"); }
  void count_one_each() {
    for (const auto* name : {"jobs/a", "jobs/b", "jobs/c"})
      EXPECT_EQ(ask(name, "add", "1"), "1");
    events.clear();
  }
  std::vector<std::string> started() {
    std::vector<std::string> all;
    for (const auto& each : events) {
      if (each.what == what::started || each.what == what::restarted) all.push_back(each.name.key.value);
    }
    return all;
  }
};

TEST_F(declared, children_start_in_their_order_without_a_call) {
  define(jobs());
  EXPECT_THAT(started(), ElementsAre("a", "b", "c"));
  EXPECT_EQ(rt.count(), 3U);
  EXPECT_EQ(states(), "running running running");
}

TEST_F(declared, children_do_not_start_before_their_node_says_that_they_are_its_own) {
  ASSERT_TRUE(rt.define(jobs()));
  EXPECT_TRUE(rt.arrange(now, out));
  EXPECT_EQ(states(), "absent absent absent");
  EXPECT_TRUE(rt.start_declared(now, named("jobs/b"), out));
  EXPECT_EQ(states(), "absent running absent");
}

TEST_F(declared, children_that_start_in_any_order_are_kept_in_that_of_the_class) {
  ASSERT_TRUE(rt.define(jobs(strategy::rest_for_one)));
  EXPECT_TRUE(rt.arrange(now, out));
  for (const auto* name : {"jobs/c", "jobs/a", "jobs/b"})
    EXPECT_TRUE(rt.start_declared(now, named(name), out));
  count_one_each();
  EXPECT_TRUE(kill("jobs/b"));
  EXPECT_EQ(counts(), "100");
}

TEST_F(declared, children_crash_and_come_back_as_the_strategy_says) {
  for (const auto& [kind, left] : {std::pair{strategy::one_for_one, "101"}, std::pair{strategy::one_for_all, "000"},
                                   std::pair{strategy::rest_for_one, "100"}}) {
    define(jobs(kind));
    count_one_each();
    EXPECT_TRUE(kill("jobs/b"));
    run();
    EXPECT_EQ(counts(), left);
    rt.undefine(now, class_name{"jobs"}, out);
    now += 1min;
  }
}

TEST_F(declared, children_restart_in_order_when_they_restart_together) {
  define(jobs(strategy::one_for_all));
  events.clear();
  EXPECT_TRUE(kill("jobs/c"));
  run();
  EXPECT_THAT(started(), ElementsAre("a", "b", "c"));
}

TEST_F(declared, children_do_not_take_along_what_started_on_a_call_nor_it_them) {
  define(jobs(strategy::one_for_all));
  count_one_each();
  EXPECT_EQ(ask("jobs/other", "add", "1"), "1");
  EXPECT_TRUE(kill("jobs/a"));
  EXPECT_EQ(ask("jobs/other", "get"), "1");
  count_one_each();
  EXPECT_TRUE(kill("jobs/other"));
  EXPECT_EQ(counts(), "111");
  EXPECT_EQ(ask("jobs/other", "get"), "0");
}

TEST_F(declared, children_and_what_started_on_a_call_share_the_budget_of_their_class) {
  auto spec = jobs();
  spec.supervision.intensity = 1;
  define(spec);
  ask("jobs/other", "get");
  EXPECT_TRUE(kill("jobs/other"));
  EXPECT_TRUE(kill("jobs/a"));
  EXPECT_EQ(escalations.size(), 1U);
}

TEST_F(declared, children_are_back_when_their_supervisor_gave_up_and_what_started_on_a_call_is_not) {
  auto spec = jobs();
  spec.supervision.intensity = 0;
  define(spec);
  ask("jobs/other", "get");
  events.clear();
  EXPECT_TRUE(kill("jobs/b"));
  run();
  EXPECT_THAT(started(), ElementsAre("a", "b", "c"));
  EXPECT_EQ(states(), "running running running");
  EXPECT_FALSE(rt.find(named("jobs/other")));
}

TEST_F(declared, children_may_have_another_restart_type_than_their_class) {
  auto spec = jobs();
  spec.children = {child("a", restart_type::temporary), child("b", restart_type::transient), child("c")};
  define(spec);
  for (const auto* name : {"jobs/a", "jobs/b", "jobs/c"})
    EXPECT_TRUE(kill(name));
  run();
  EXPECT_EQ(states(), "ended running running");
}

TEST_F(declared, a_child_that_was_stopped_stays_so_until_it_is_called) {
  define(jobs(strategy::one_for_all));
  EXPECT_TRUE(stop("jobs/b"));
  EXPECT_EQ(states(), "running ended running");
  keep_declared();
  EXPECT_TRUE(kill("jobs/a"));
  run();
  EXPECT_EQ(states(), "running ended running");
  EXPECT_EQ(rt.count(), 2U);
  EXPECT_FALSE(rt.find(named("jobs/b")));
  EXPECT_EQ(ask("jobs/b", "add", "1"), "1");
  EXPECT_EQ(states(), "running running running");
}

TEST_F(declared, a_child_that_was_stopped_is_back_with_a_changed_class) {
  define(jobs());
  EXPECT_TRUE(stop("jobs/b"));
  auto spec = jobs();
  spec.version = 2;
  define(spec);
  EXPECT_EQ(states(), "running running running");
}

constexpr const char* stoppable = R"(
local b = {call = {}}
function b.init(key, argument) return {argument = argument, count = 0} end
function b.call.add(state) state.count = state.count + 1 return state.count end
function b.call.argument(state) return state.argument end
function b.call.finish(state) orrery.stop() return true end
return b)";

class_spec script(std::vector<declared_child> children) {
  auto spec = lua_class(stoppable, "jobs");
  spec.children = std::move(children);
  return spec;
}

TEST_F(declared, a_transient_child_that_finished_comes_back_with_its_siblings_only) {
  auto spec = script({child("a"), child("b", restart_type::transient), child("c")});
  spec.supervision.kind = strategy::one_for_all;
  define(spec);
  ask("jobs/b", "finish");
  EXPECT_EQ(states(), "running ended running");
  EXPECT_EQ(rt.list({}, {}, 10).size(), 2U);
  EXPECT_EQ(supervisor_of("jobs").children, 2U);
  EXPECT_TRUE(kill("jobs/a"));
  run();
  EXPECT_EQ(states(), "running running running");
  EXPECT_EQ(rt.count(), 3U);
}

TEST_F(declared, a_transient_child_that_finished_starts_again_on_a_call) {
  define(script({child("b", restart_type::transient)}));
  ask("jobs/b", "finish");
  EXPECT_EQ(state_of("jobs/b"), "ended");
  EXPECT_EQ(ask("jobs/b", "add"), "1");
  EXPECT_EQ(state_of("jobs/b"), "running");
}

TEST_F(declared, children_are_given_their_argument_and_others_none) {
  auto spec = script({child("a"), child("b")});
  spec.children[0].argument = json(R"({"shard": 7})");
  define(spec);
  EXPECT_EQ(ask("jobs/a", "argument"), R"({"shard":7})");
  EXPECT_EQ(ask("jobs/b", "argument"), "null");
  EXPECT_EQ(ask("jobs/x", "argument"), "null");
}

TEST_F(declared, a_changed_argument_is_for_the_next_life) {
  auto spec = script({child("a")});
  spec.children[0].argument = json("1");
  define(spec);
  spec.children[0].argument = json("2");
  define(spec);
  EXPECT_EQ(ask("jobs/a", "argument"), "1");
  EXPECT_TRUE(kill("jobs/a"));
  EXPECT_EQ(ask("jobs/a", "argument"), "2");
}

// ---- children that do not start ----

constexpr const char* broken =
    "return {init = function(key) if key == 'b' then error('no ' .. key) end return {} end, "
    "call = {get = function(state) return 1 end}}";

TEST_F(declared, a_child_that_does_not_start_is_tried_again_and_nobody_else_is_touched) {
  auto spec = lua_class(broken, "jobs");
  spec.children = {child("a"), child("b"), child("c")};
  define(spec);
  EXPECT_EQ(states(), "running restarting running");
  for (int i = 0; i < 600; ++i)
    pass(100ms);
  EXPECT_THAT(escalations, IsEmpty()) << "its pauses grow beyond what the budget counts";
  EXPECT_EQ(states(), "running restarting running");
  spec.behaviour = lua_source{"return {call = {get = function(state) return 1 end}}"};
  define(spec);
  EXPECT_EQ(states(), "running running running") << "a changed class is another chance at once";
}

TEST_F(declared, a_child_that_never_started_has_no_age) {
  pass(1h);
  auto spec = lua_class(broken, "jobs");
  spec.children = {child("b")};
  define(spec);
  pass(10ms);
  EXPECT_EQ(rt.find(named("jobs/b"))->started_at, now);
  const auto crashes = rt.crashes().crashes({});
  ASSERT_FALSE(crashes.empty());
  EXPECT_EQ(crashes.front().lived, 0s);
}

TEST_F(declared, a_call_to_a_child_that_does_not_start_says_so) {
  auto spec = lua_class(broken, "jobs");
  spec.children = {child("b")};
  define(spec);
  EXPECT_EQ(ask("jobs/b", "get"), "unavailable: jobs/b is about to start again; retry");
}

TEST_F(declared, a_class_that_allows_no_restart_gives_up_over_a_child_that_does_not_start) {
  auto spec = lua_class(broken, "jobs");
  spec.supervision.intensity = 0;
  spec.children = {child("b")};
  define(spec);
  EXPECT_EQ(escalations.size(), 2U) << "once more when the root restarts it";
  for (int i = 0; i < 100; ++i)
    pass(100ms);
  EXPECT_TRUE(std::none_of(escalations.begin(), escalations.end(), [](const auto& each) {
    return each.to == escalation::node;
  })) << "the pauses of the root grow, too";
  EXPECT_GT(escalations.size(), 2U);
}

// ---- significant children ----

TEST_F(declared, the_end_of_a_significant_child_shuts_its_class_down_until_it_is_called) {
  auto spec = script({child("main", restart_type::transient, true), child("helper")});
  spec.supervision.when_significant = auto_shutdown::any_significant;
  define(spec);
  ask("jobs/other", "add");
  ask("jobs/main", "finish");
  EXPECT_EQ(rt.count(), 0U);
  EXPECT_TRUE(supervisor_of("jobs").finished);
  ASSERT_EQ(supervisors.size(), 1U);
  EXPECT_EQ(supervisors[0].what, supervisor_event::kind::finished);
  EXPECT_THAT(escalations, IsEmpty());
  keep_declared();
  EXPECT_EQ(rt.count(), 0U);
  EXPECT_EQ(ask("jobs/other", "add"), "1");
  EXPECT_FALSE(supervisor_of("jobs").finished);
  EXPECT_EQ(rt.count(), 3U) << "its supervisor starts what is declared";
}

TEST_F(declared, all_significant_children_must_have_ended_where_the_class_says_so) {
  auto spec =
      script({child("a", restart_type::transient, true), child("b", restart_type::transient, true), child("c")});
  spec.supervision.when_significant = auto_shutdown::all_significant;
  define(spec);
  ask("jobs/a", "finish");
  EXPECT_EQ(states(), "ended running running");
  ask("jobs/b", "finish");
  EXPECT_EQ(rt.count(), 0U);
}

TEST_F(declared, a_class_that_finished_begins_again_when_it_changes) {
  auto spec = script({child("a", restart_type::transient, true), child("b")});
  spec.supervision.when_significant = auto_shutdown::any_significant;
  define(spec);
  ask("jobs/a", "finish");
  EXPECT_EQ(rt.count(), 0U);
  spec.version = 2;
  define(spec);
  EXPECT_EQ(rt.count(), 2U);
}

// ---- changes ----

TEST_F(declared, children_that_are_no_longer_so_are_stopped_and_new_ones_start) {
  define(jobs());
  count_one_each();
  auto spec = jobs();
  spec.children = {child("c"), child("d")};
  define(spec);
  EXPECT_FALSE(rt.find(named("jobs/a")));
  EXPECT_EQ(ask("jobs/c", "get"), "1");
  EXPECT_EQ(state_of("jobs/d"), "running");
  EXPECT_EQ(rt.count(), 2U);
  EXPECT_EQ(events[0].reason, (exit_reason{exit_reason::kind::shutdown, "it is no longer declared"}));
}

TEST_F(declared, a_process_that_was_called_before_it_was_declared_lives_on_as_a_child) {
  auto spec = jobs(strategy::one_for_all);
  spec.children.clear();
  define(spec);
  EXPECT_EQ(ask("jobs/b", "add", "1"), "1");
  define(jobs(strategy::one_for_all));
  EXPECT_EQ(ask("jobs/b", "get"), "1");
  EXPECT_TRUE(kill("jobs/a"));
  run();
  EXPECT_EQ(ask("jobs/b", "get"), "0") << "it restarts with its siblings now";
}

TEST_F(declared, another_order_and_another_strategy_count_without_a_restart) {
  define(jobs());
  count_one_each();
  auto spec = jobs(strategy::rest_for_one);
  std::reverse(spec.children.begin(), spec.children.end());
  define(spec);
  EXPECT_EQ(counts(), "111");
  EXPECT_TRUE(kill("jobs/b"));
  run();
  EXPECT_EQ(counts(), "001") << "c comes first now";
}

TEST_F(declared, another_restart_type_counts_from_the_next_end_on) {
  define(jobs());
  auto spec = jobs();
  spec.children[1].restart = restart_type::temporary;
  define(spec);
  EXPECT_TRUE(kill("jobs/b"));
  EXPECT_EQ(states(), "running ended running");
}

TEST_F(declared, children_of_a_class_that_is_gone_are_gone) {
  define(jobs());
  EXPECT_TRUE(stop("jobs/a"));
  rt.undefine(now, class_name{"jobs"}, out);
  collect();
  EXPECT_EQ(rt.count(), 0U);
  EXPECT_THAT(rt.declared(), IsEmpty());
}

// ---- moves ----

TEST_F(declared, a_child_moves_to_another_node_with_its_state_and_is_a_child_there) {
  define(jobs(strategy::one_for_all));
  count_one_each();
  auto packed = rt.take(now, named("jobs/b"), out);
  ASSERT_TRUE(packed);
  EXPECT_EQ(states(), "running absent running");
  EXPECT_TRUE(kill("jobs/a"));
  run();
  EXPECT_EQ(states(), "running absent running") << "its siblings do without it";
  world other;
  ASSERT_TRUE(other.rt.define(jobs(strategy::one_for_all)));
  ASSERT_TRUE(other.rt.install(other.now, std::move(*packed), other.out));
  EXPECT_EQ(other.state_of("jobs/b"), "running");
  EXPECT_EQ(other.ask("jobs/b", "get"), "1");
  other.keep_declared();
  EXPECT_TRUE(other.kill("jobs/c"));
  other.run();
  EXPECT_EQ(other.ask("jobs/b", "get"), "0");
}

TEST_F(declared, a_child_that_had_ended_is_forgotten_by_a_node_that_does_not_own_it) {
  auto spec = script({child("a"), child("b", restart_type::transient)});
  spec.supervision.kind = strategy::one_for_all;
  define(spec);
  ask("jobs/b", "finish");
  rt.let_go(now, named("jobs/a"), out);
  EXPECT_EQ(state_of("jobs/a"), "running") << "what runs is handed over instead";
  rt.let_go(now, named("jobs/b"), out);
  EXPECT_EQ(state_of("jobs/b"), "absent");
  EXPECT_TRUE(kill("jobs/a"));
  run();
  EXPECT_EQ(state_of("jobs/b"), "absent");
}

TEST_F(declared, a_child_that_moves_in_takes_the_place_of_one_that_had_ended) {
  auto spec = script({child("b", restart_type::transient)});
  define(spec);
  ask("jobs/b", "finish");
  handoff arrived{named("jobs/b"), 1, 0, json(R"({"count": 5})"), {}};
  ASSERT_TRUE(rt.install(now, std::move(arrived), out));
  EXPECT_EQ(ask("jobs/b", "add"), "6");
  EXPECT_EQ(rt.count(), 1U);
}

TEST_F(declared, a_move_that_fails_leaves_a_child_absent) {
  define(script({child("b")}));
  EXPECT_TRUE(rt.take(now, named("jobs/b"), out));
  auto spec = script({child("b")});
  spec.limits.state_bytes_max = 16;
  ASSERT_TRUE(rt.define(spec));
  handoff arrived{named("jobs/b"), 1, 0, json("\"" + std::string(100, 'x') + "\""), {}};
  EXPECT_FALSE(rt.install(now, std::move(arrived), out));
  EXPECT_EQ(state_of("jobs/b"), "absent");
  EXPECT_EQ(rt.count(), 0U);
}

TEST_F(declared, a_node_that_is_full_says_that_a_child_must_wait) {
  runtime full{{.node = {node_name{"demo-aaaaa"}, boot_number{7}}, .seed = 1, .processes_max = 1}};
  ASSERT_TRUE(full.define(jobs()));
  EXPECT_TRUE(full.arrange(now, out));
  EXPECT_TRUE(full.start_declared(now, named("jobs/a"), out));
  EXPECT_FALSE(full.start_declared(now, named("jobs/b"), out));
  EXPECT_TRUE(full.stop(now, named("jobs/a"), out));
  EXPECT_TRUE(full.start_declared(now, named("jobs/b"), out));
}

// ---- what is refused ----

TEST_F(declared, what_cannot_be_is_refused_with_the_field_and_what_would_be_accepted) {
  const auto refusal = [&](auto change) {
    auto spec = jobs();
    change(spec);
    const auto fine = rt.define(spec);
    return fine ? std::string{"accepted"} : fine.error().context;
  };
  EXPECT_THAT(refusal([](class_spec& s) { s.children[1].key.value = "a"; }),
              HasSubstr("children[1].key is 'a' once more; accepted: each key once"));
  EXPECT_THAT(refusal([](class_spec& s) { s.children[2].key.value.clear(); }), HasSubstr("children[2].key"));
  EXPECT_THAT(refusal([](class_spec& s) { s.children[0].key.value.assign(1U << 20U, 'k'); }),
              HasSubstr("1 to 1024 bytes of UTF-8"));
  EXPECT_THAT(
      refusal([](class_spec& s) { s.children[0].argument = json("1"); }),
      HasSubstr("children[0].argument is given; accepted: none: only the init of a script or of an app takes one"));
  EXPECT_THAT(refusal([](class_spec& s) { s.children[0].significant = true; }),
              HasSubstr("children[0].significant is true, and its restart is Permanent"));
  EXPECT_THAT(refusal([](class_spec& s) {
                s.children[0].significant = true;
                s.children[0].restart = restart_type::transient;
              }),
              HasSubstr("supervision.autoShutdown is Never"));
  EXPECT_THAT(refusal([](class_spec& s) { s.limits.processes_max = 2; }),
              HasSubstr("limits.maxProcesses is 2; accepted: at least as many as there are children, which are 3"));
  EXPECT_THAT(refusal([](class_spec& s) {
                for (int i = 0; i < 300; ++i)
                  s.children.push_back(child("k" + std::to_string(i)));
              }),
              HasSubstr("children is 303 children; accepted: up to 256"));
  EXPECT_THAT(refusal([](class_spec& s) { s.supervision.backoff = {2s, 1s}; }), HasSubstr("supervision.backoff.max"));
  EXPECT_THAT(refusal([](class_spec& s) { s.supervision.child_intensity = 1'000'000; }),
              HasSubstr("supervision.childIntensity is 1000000; accepted: 0 to 100000"));
  EXPECT_THAT(refusal([](class_spec& s) { s.supervision.child_cooldown = 0s; }),
              HasSubstr("supervision.childCooldown"));
  EXPECT_THAT(refusal([](class_spec& s) { s.supervision.shutdown.length = -1s; }), HasSubstr("supervision.shutdown"));
}

}  // namespace
}  // namespace orrery::process
