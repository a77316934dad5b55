// Supervisors of classes below each other: who restarts whom, how far an end goes up, and what changes while they run.
#include "mesh/process/supervision/supervision.hpp"
#include "mesh/process/testing.hpp"

#include <gmock/gmock.h>

namespace orrery::process {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class_spec below(std::string name, std::optional<std::string> parent, std::uint32_t intensity = 0) {
  auto spec = counter_class(std::move(name));
  spec.supervision.intensity = intensity;
  spec.supervision.period = 60s;
  if (parent) spec.supervision.parent = class_name{*parent};
  return spec;
}

struct tree : ::testing::Test, world {
  void define(const class_spec& spec) {
    const auto fine = rt.define(spec);
    ASSERT_TRUE(fine) << to_string(fine.error());
  }
  std::string refused(const class_spec& spec) {
    const auto fine = rt.define(spec);
    return fine ? "accepted" : fine.error().context;
  }
  void apply() { keep_declared(); }
  void undefine(const std::string& klass) {
    rt.undefine(now, class_name{klass}, out);
    apply();
  }
  /// A class with no budget gives up with its first crash.
  void exhaust(const std::string& klass) {
    ask(klass + "/x", "get");
    EXPECT_TRUE(kill(klass + "/x"));
    run();
  }
  std::vector<std::string> heard() {
    std::vector<std::string> all;
    for (const auto& each : supervisors)
      all.push_back(each.klass.value +
                    (each.what == supervisor_event::kind::restarted ? " restarted by " : " finished below ") +
                    each.parent);
    return all;
  }
};

TEST_F(tree, a_class_below_another_has_its_path) {
  define(below("shop", {}));
  define(below("cart", "shop"));
  EXPECT_EQ(supervisor_of("cart").path, "root/shop/cart");
  EXPECT_EQ(supervisor_of("shop").path, "root/shop");
}

TEST_F(tree, a_parent_that_is_not_there_is_refused_with_the_classes_there_are) {
  define(below("shop", {}));
  EXPECT_THAT(refused(below("cart", "stop")), HasSubstr("supervision.parent: no class 'stop'; known classes: shop"));
}

TEST_F(tree, a_circle_is_refused_with_the_way_round) {
  EXPECT_THAT(refused(below("a", "a")), HasSubstr("supervision.parent is the class itself"));
  define(below("a", {}));
  define(below("b", "a"));
  define(below("c", "b"));
  EXPECT_THAT(refused(below("a", "c")), HasSubstr("supervision.parent: goes in a circle: a -> c -> b -> a"));
  EXPECT_EQ(supervisor_of("a").path, "root/a") << "the refused version changed nothing";
}

TEST_F(tree, more_levels_than_may_be_are_refused) {
  define(below("c0", {}));
  for (std::size_t i = 1; i <= parents_max; ++i)
    define(below("c" + std::to_string(i), "c" + std::to_string(i - 1)));
  EXPECT_THAT(refused(below("c9", "c8")), HasSubstr("more than 8 levels"));
}

TEST_F(tree, a_supervisor_that_gave_up_is_restarted_by_its_parent_class) {
  define(below("shop", {}, 3));
  define(below("cart", "shop"));
  apply();
  exhaust("cart");
  EXPECT_THAT(heard(), ElementsAre("cart restarted by root/shop"));
  ASSERT_EQ(escalations.size(), 1U);
  EXPECT_EQ(escalations[0].klass.value, "cart");
  EXPECT_EQ(escalations[0].to, escalation::parent);
  EXPECT_EQ(escalations[0].parent, "root/shop");
  EXPECT_EQ(ask("cart/x", "add", "1"), "1");
}

TEST_F(tree, a_parent_over_its_own_intensity_gives_up_too_and_the_reason_tells_of_both) {
  define(below("shop", {}, 1));
  define(below("cart", "shop"));
  apply();
  exhaust("cart");
  exhaust("cart");
  ASSERT_EQ(escalations.size(), 3U);
  EXPECT_EQ(escalations[2].klass.value, "shop");
  EXPECT_EQ(escalations[2].parent, "root");
  EXPECT_THAT(escalations[2].why,
              HasSubstr("supervisor root/shop gave up: more than 1 restarts within 60000 ms; the last was supervisor "
                        "root/shop/cart, error: supervisor root/shop/cart gave up: more than 0 restarts"));
  EXPECT_THAT(escalations[2].why, HasSubstr("cart/x, killed: test"));
  EXPECT_THAT(heard(), ElementsAre("cart restarted by root/shop", "shop restarted by root"));
  EXPECT_EQ(ask("cart/x", "add", "1"), "1") << "what is below came back with it";
}

TEST_F(tree, a_chain_goes_up_to_the_root_and_from_there_to_the_node) {
  define(below("a", {}));
  define(below("b", "a"));
  define(below("c", "b"));
  apply();
  for (std::uint32_t i = 0; i < root_intensity; ++i)
    exhaust("c");
  EXPECT_EQ(escalations.size(), 3 * root_intensity);
  escalations.clear();
  exhaust("c");
  ASSERT_EQ(escalations.size(), 4U);
  EXPECT_EQ(escalations[3].to, escalation::node);
  EXPECT_THAT(escalations[3].why, HasSubstr("supervisor root gave up: more than 10 restarts within 10000 ms; the last "
                                            "was supervisor root/a, error: supervisor root/a gave up"));
  EXPECT_THAT(escalations[3].why, HasSubstr("root/a/b/c gave up"));
}

TEST_F(tree, the_first_on_the_way_up_that_names_the_pod_asks_for_its_replacement) {
  auto shop = below("shop", {});
  shop.supervision.escalate = escalation::pod;
  define(shop);
  define(below("cart", "shop"));
  apply();
  exhaust("cart");
  ASSERT_EQ(escalations.size(), 2U);
  EXPECT_EQ(escalations[0].to, escalation::parent);
  EXPECT_EQ(escalations[1].to, escalation::pod);
  EXPECT_THAT(escalations[1].why, HasSubstr("supervisor root/shop gave up"));
  EXPECT_THAT(escalations[1].why, HasSubstr("supervisor root/shop/cart gave up"));
}

TEST_F(tree, what_a_parent_declares_about_restarts_is_about_the_classes_below_it) {
  for (const auto& [kind, others] : {std::pair{strategy::one_for_one, "1 1"}, std::pair{strategy::one_for_all, "0 0"},
                                     std::pair{strategy::rest_for_one, "1 0"}}) {
    world w;
    auto shop = below("shop", {}, 10);
    shop.supervision.kind = kind;
    ASSERT_TRUE(w.rt.define(shop));
    for (const auto* name : {"a", "b", "c"})
      ASSERT_TRUE(w.rt.define(below(name, "shop")));
    w.keep_declared();
    for (const auto* name : {"a/x", "b/x", "c/x", "shop/x"})
      w.ask(name, "add", "1");
    EXPECT_TRUE(w.kill("b/x"));
    w.run();
    EXPECT_EQ(w.ask("a/x", "get") + " " + w.ask("c/x", "get"), others);
    EXPECT_EQ(w.ask("shop/x", "get"), "1") << "what started on a call is restarted alone";
  }
}

TEST_F(tree, the_end_of_a_parent_takes_along_what_is_below) {
  define(below("shop", {}));
  define(below("cart", "shop", 100));
  apply();
  ask("cart/a", "add", "1");
  exhaust("shop");
  EXPECT_FALSE(rt.find(named("cart/a")));
  EXPECT_EQ(events.back().reason.why, exit_reason::kind::shutdown);
  EXPECT_EQ(ask("cart/a", "get"), "0");
}

TEST_F(tree, a_root_over_its_intensity_leaves_everything_else_running_for_the_handover) {
  define(below("bad", {}));
  define(below("good", {}, 3));
  apply();
  ask("good/a", "add", "7");
  for (std::uint32_t i = 0; i <= root_intensity; ++i)
    exhaust("bad");
  EXPECT_EQ(escalations.back().to, escalation::node);
  EXPECT_EQ(ask("good/a", "get"), "7");
  EXPECT_TRUE(rt.take(now, named("good/a"), out));
}

// ---- changes ----

TEST_F(tree, another_parent_takes_a_supervisor_over_as_it_runs) {
  define(below("a", {}, 3));
  define(below("b", {}, 3));
  define(below("cart", "a"));
  apply();
  EXPECT_EQ(ask("cart/x", "add", "5"), "5");
  define(below("cart", "b"));
  apply();
  EXPECT_EQ(supervisor_of("cart").path, "root/b/cart");
  EXPECT_EQ(ask("cart/x", "get"), "5");
  exhaust("cart");
  EXPECT_THAT(heard(), ElementsAre("cart restarted by root/b"));
  exhaust("a");
  EXPECT_EQ(ask("cart/x", "add", "1"), "1");
}

TEST_F(tree, a_supervisor_moves_with_all_that_is_below_it) {
  define(below("a", {}, 3));
  define(below("b", {}, 3));
  define(below("c", "b", 3));
  apply();
  EXPECT_EQ(ask("c/x", "add", "5"), "5");
  define(below("b", "a", 3));
  apply();
  EXPECT_EQ(supervisor_of("c").path, "root/a/b/c");
  EXPECT_EQ(ask("c/x", "get"), "5");
  undefine("a");
  EXPECT_EQ(supervisor_of("c").path, "root/b/c");
  EXPECT_EQ(ask("c/x", "get"), "5");
}

TEST_F(tree, a_class_whose_parent_is_gone_lives_on_below_the_root_and_returns_with_it) {
  define(below("shop", {}, 3));
  define(below("cart", "shop", 3));
  apply();
  EXPECT_EQ(ask("cart/x", "add", "5"), "5");
  undefine("shop");
  EXPECT_EQ(supervisor_of("cart").path, "root/cart");
  EXPECT_EQ(ask("cart/x", "get"), "5");
  define(below("shop", {}, 3));
  define(below("cart", "shop", 4));
  apply();
  EXPECT_EQ(supervisor_of("cart").path, "root/shop/cart");
  EXPECT_EQ(ask("cart/x", "get"), "5");
}

TEST_F(tree, all_of_it_can_be_undefined_in_any_order) {
  for (const bool parent_first : {true, false}) {
    define(below("a", {}, 3));
    define(below("b", "a", 3));
    define(below("c", "b", 3));
    apply();
    for (const auto* name : {"a/x", "b/x", "c/x"})
      ask(name, "add", "1");
    for (const auto* name : {"a", "b", "c"})
      if (parent_first) undefine(name);
    for (const auto* name : {"c", "b", "a"})
      if (!parent_first) undefine(name);
    EXPECT_EQ(rt.count(), 0U);
    EXPECT_THAT(rt.supervisors(), IsEmpty());
  }
}

TEST_F(tree, supervision_changes_while_it_runs_and_processes_keep_their_state) {
  define(below("cart", {}, 0));
  apply();
  EXPECT_EQ(ask("cart/x", "add", "5"), "5");
  define(below("cart", {}, 2));
  apply();
  EXPECT_EQ(ask("cart/x", "get"), "5");
  EXPECT_TRUE(kill("cart/x"));
  EXPECT_TRUE(kill("cart/x"));
  EXPECT_THAT(escalations, IsEmpty());
  EXPECT_TRUE(kill("cart/x"));
  EXPECT_EQ(escalations.size(), 1U);
}

}  // namespace
}  // namespace orrery::process
