// What a node does about declared children, classes below each other, and processes that are given up.
#include "mesh/node/testing.hpp"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace orrery::node {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::named;
using ::testing::Not;

constexpr int children = 12;

class declared : public testing::core_b {
 protected:
  static process::class_spec counter(bool with_children = true) {
    process::class_spec spec;
    spec.name = class_name{"counter"};
    for (int i = 0; with_children && i < children; ++i)
      spec.children.push_back({.key = process_key{"n" + std::to_string(i)}});
    return spec;
  }
  void define(std::vector<process::class_spec> classes) { step(classes_changed{std::move(classes)}); }
  /// Keys that were told of in such events.
  std::vector<std::string> keys(std::string_view type) {
    std::vector<std::string> out;
    for (const auto& each : all<notify>()) {
      if (each.type == type) out.push_back(each.document.document()["key"]);
    }
    return out;
  }
  static std::vector<std::string> owned(const std::string& owner, const std::vector<std::string>& nodes) {
    std::vector<node_id> ids;
    for (const auto& each : nodes)
      ids.push_back({node_name{each}, boot_number{1}});
    const membership::placement placement(ids);
    std::vector<std::string> out;
    for (int i = 0; i < children; ++i) {
      const auto name = named("n" + std::to_string(i));
      if (placement.owner(name)->name.value == owner) out.push_back(name.key.value);
    }
    return out;
  }
  json ask(operation asked) {
    const request_id id{++asked_};
    step(client_request{id, std::move(asked)});
    return answer_to(id);
  }
  json answer_to(request_id id) {
    for (const auto& each : all<respond>()) {
      if (each.id == id) return each.answer ? each.answer->document() : json{{"error", to_string(each.answer.error())}};
    }
    return "no answer yet";
  }
  json supervisor(const std::string& klass) {
    const auto tree = ask(tree_op{.local = true});
    for (const auto& each : tree["nodes"][0]["supervisors"]) {
      if (each["class"] == klass) return each;
    }
    return {};
  }
  std::uint64_t asked_ = 1000;
};

TEST_F(declared, children_start_on_the_node_that_owns_them_in_their_order_and_nowhere_else) {
  form({"a"});
  define({counter()});
  EXPECT_EQ(keys("process_started"), owned("b", {"a", "b"}));
  EXPECT_THAT(keys("process_started"), Not(IsEmpty()));
  EXPECT_LT(keys("process_started").size(), std::size_t{children});
}

TEST_F(declared, children_wait_for_a_peer_that_has_still_to_hand_over) {
  expect_both();
  connect();
  define({counter()});
  EXPECT_THAT(keys("process_started"), IsEmpty());
  receive(wire::handoff_done{});
  EXPECT_EQ(keys("process_started"), owned("b", {"a", "b"}));
}

TEST_F(declared, children_of_a_node_that_is_lost_start_on_those_that_are_left) {
  form({"a"});
  define({counter()});
  done.clear();
  step(connection_closed{connection_id{1}, {errc::unavailable, "reset"}});
  pass(seconds{3}, {});
  auto taken_over = keys("process_started");
  EXPECT_EQ(taken_over, owned("a", {"a", "b"}));
  EXPECT_EQ(b.current().processes, std::size_t{children});
}

TEST_F(declared, children_move_with_their_state_to_a_node_that_joins) {
  expect({"b"});
  step(woken{});
  now += seconds{3};
  step(woken{});
  define({counter()});
  EXPECT_EQ(b.current().processes, std::size_t{children});
  expect_both();
  connect();
  receive(wire::handoff_done{});
  pass(milliseconds{200});
  std::vector<std::string> moved;
  for (const auto& each : sent<wire::handoff>()) {
    moved.push_back(each.name.key.value);
    receive(wire::handoff_ack{each.id, {}, false});
  }
  pass(milliseconds{500});
  std::sort(moved.begin(), moved.end());
  auto of_a = owned("a", {"a", "b"});
  std::sort(of_a.begin(), of_a.end());
  EXPECT_EQ(moved, of_a);
  EXPECT_EQ(b.current().processes, owned("b", {"a", "b"}).size()) << "and they are not started here again";
}

TEST_F(declared, a_child_that_had_ended_here_is_another_nodes_when_it_joins) {
  expect({"b"});
  step(woken{});
  now += seconds{3};
  step(woken{});
  define({counter()});
  const auto of_a = owned("a", {"a", "b"});
  ask(stop_op{named(of_a.front())});
  EXPECT_THAT(supervisor("counter")["declared"].dump(),
              HasSubstr(R"({"key":")" + of_a.front() + R"(","state":"ended"})"));
  form({"a"});
  pass(milliseconds{200});
  EXPECT_THAT(supervisor("counter")["declared"].dump(),
              HasSubstr(R"({"key":")" + of_a.front() + R"(","state":"absent"})"));
}

TEST_F(declared, children_do_not_start_on_a_node_that_drains) {
  form({"a"});
  step(drain_requested{});
  define({counter()});
  pass(milliseconds{300});
  EXPECT_THAT(keys("process_started"), IsEmpty());
}

TEST_F(declared, children_that_are_no_longer_declared_are_stopped) {
  form({"a"});
  define({counter()});
  done.clear();
  auto fewer = counter();
  fewer.version = 2;
  fewer.children.clear();
  define({fewer});
  EXPECT_EQ(keys("process_exited"), owned("b", {"a", "b"}));
  EXPECT_EQ(b.current().processes, 0U);
}

TEST_F(declared, a_child_is_found_where_it_is_by_calls_and_inspection) {
  form({"a"});
  define({counter()});
  const auto mine = named(owned("b", {"a", "b"}).front());
  EXPECT_EQ(ask(call_op{mine, "add", value{}, {}}), 1);
  EXPECT_EQ(ask(inspect_op{mine})["supervisor"], "root/counter");
  EXPECT_EQ(ask(inspect_op{mine})["handled"], 1);
}

// ---- processes that are given up ----

class given_up : public declared {
 protected:
  given_up() {
    form({"a"});
    auto spec = counter(false);
    spec.supervision.intensity = 100;
    spec.supervision.child_intensity = 0;
    define({spec});
    bad = owned_by("b", {"a", "b"});
    ask(call_op{bad, "add", value{}, {}});
    ask(kill_op{bad, "poison"});
  }
  process_name bad;
};

TEST_F(given_up, is_told_to_callers_at_once_and_to_those_who_look) {
  EXPECT_THAT(ask(call_op{bad, "get", value{}, {}})["error"].get<std::string>(),
              HasSubstr("given_up: " + to_string(bad) + " is given up: more than 0 restarts"));
  const auto shown = ask(inspect_op{bad});
  EXPECT_EQ(shown["state"], "given up");
  EXPECT_EQ(shown["secondsLeft"], 30.0);
  EXPECT_THAT(notified("process_given_up"), HasSubstr("poison"));
  EXPECT_EQ(b.current().counted.processes_given_up, 1U);
  const auto listed = supervisor("counter");
  EXPECT_EQ(listed["givenUpNow"], 1);
  EXPECT_EQ(listed["childrenGivenUp"], 1);
  EXPECT_EQ(listed["givenUp"][0]["key"], bad.key.value);
}

TEST_F(given_up, ends_when_somebody_releases_it) {
  EXPECT_EQ(ask(release_op{bad}), json({{"released", true}}));
  EXPECT_THAT(notified("process_released"), HasSubstr("by request"));
  EXPECT_THAT(ask(release_op{bad})["error"].get<std::string>(), HasSubstr("not_found: process " + to_string(bad)));
  EXPECT_EQ(ask(call_op{bad, "add", value{}, {}}), 1);
}

TEST_F(given_up, ends_by_itself_in_time) {
  pass(seconds{31});
  EXPECT_THAT(notified("process_released"), HasSubstr("its time is over"));
  EXPECT_EQ(ask(call_op{bad, "add", value{}, {}}), 1);
}

TEST_F(declared, a_release_of_another_nodes_name_is_asked_of_that_node) {
  form({"a"});
  ask(release_op{owned_by("a", {"a", "b"})});
  ASSERT_EQ(sent<wire::control>().size(), 1U);
  EXPECT_EQ(sent<wire::control>()[0].asked, wire::verb::release);
}

// ---- pauses ----

TEST_F(declared, a_call_to_a_process_that_is_about_to_start_again_waits_for_it) {
  form({"a"});
  auto spec = counter(false);
  spec.supervision.intensity = 100;
  spec.supervision.backoff = {milliseconds{500}, milliseconds{500}};
  define({spec});
  const auto name = owned_by("b", {"a", "b"});
  ask(call_op{name, "add", value{}, {}});
  ask(kill_op{name, "test"});
  EXPECT_EQ(ask(inspect_op{name})["state"], "restarting");
  EXPECT_EQ(ask(call_op{name, "add", value{}, {}}), "no answer yet");
  const request_id waiting{asked_};
  EXPECT_EQ(ask(call_op{name, "add", value{}, milliseconds{100}}), "no answer yet");
  const request_id impatient{asked_};
  pass(milliseconds{800});
  EXPECT_EQ(answer_to(waiting), 1);
  EXPECT_THAT(answer_to(impatient)["error"].get<std::string>(),
              AllOf(HasSubstr("deadline_exceeded"), HasSubstr("about to start again")));
}

// ---- classes below each other ----

process::class_spec below(std::string name, std::string parent, process::escalation to = process::escalation::parent) {
  process::class_spec spec;
  spec.name = class_name{std::move(name)};
  spec.supervision.intensity = 0;
  spec.supervision.escalate = to;
  if (!parent.empty()) spec.supervision.parent = class_name{std::move(parent)};
  return spec;
}

TEST_F(declared, classes_may_come_in_any_order_and_leave_in_any) {
  form({"a"});
  define({below("a1", "b1"), below("b1", "c1"), below("c1", "")});
  EXPECT_THAT(notified("class_refused"), IsEmpty());
  EXPECT_EQ(supervisor("a1")["path"], "root/c1/b1/a1");
  EXPECT_EQ(supervisor("a1")["parent"], "b1");
  define({below("a1", "b1"), below("b1", "")});
  EXPECT_EQ(supervisor("a1")["path"], "root/b1/a1");
}

TEST_F(declared, a_class_whose_parent_is_not_there_is_refused_alone_until_it_is) {
  form({"a"});
  define({below("cart", "shop"), counter(false)});
  EXPECT_THAT(notified("class_refused"), HasSubstr("supervision.parent: no class 'shop'"));
  const auto refused = ask(list_classes_op{})["classes"][0];
  EXPECT_EQ(refused["name"], "cart");
  EXPECT_THAT(refused["error"].get<std::string>(), HasSubstr("no class 'shop'"));
  done.clear();
  define({below("cart", "shop"), counter(false)});
  EXPECT_THAT(notified("class_refused"), IsEmpty()) << "it is told once";
  define({below("cart", "shop"), below("shop", ""), counter(false)});
  EXPECT_THAT(notified("class_updated"), Not(IsEmpty()));
  EXPECT_EQ(supervisor("cart")["path"], "root/shop/cart");
}

TEST_F(declared, classes_in_a_circle_are_refused_with_the_way_round) {
  form({"a"});
  define({below("a1", "b1"), below("b1", "a1"), counter(false)});
  std::string refused;
  for (const auto& each : all<notify>())
    refused += each.type == "class_refused" ? each.document.json_text() : "";
  EXPECT_THAT(refused, AllOf(HasSubstr("supervision.parent: goes in a circle: a1 -> b1 -> a1"),
                             HasSubstr("supervision.parent: goes in a circle: b1 -> a1 -> b1")));
  EXPECT_EQ(supervisor("counter")["path"], "root/counter");
}

TEST_F(declared, an_escalation_says_which_class_why_and_where_it_went) {
  form({"a"});
  define({below("cart", "shop"), below("shop", "", process::escalation::pod)});
  const process_name name{class_name{"cart"}, owned_by("b", {"a", "b"}).key};
  auto key = name;
  for (int i = 0; ask(call_op{key, "add", value{}, {}}) != 1; ++i)
    key.key.value = "k" + std::to_string(i);
  ask(kill_op{key, "poison"});
  const auto gave_up = notified("supervisor_gave_up");
  EXPECT_THAT(gave_up, HasSubstr(R"("class":"cart")"));
  EXPECT_THAT(gave_up, HasSubstr(R"("parent":"root/shop")"));
  EXPECT_THAT(notified("supervisor_restarted"), HasSubstr("shop")) << "the root brings it back until the node ends";
  ASSERT_EQ(all<escalate>().size(), 1U);
  EXPECT_EQ(all<escalate>()[0].to, process::escalation::pod);
  EXPECT_THAT(all<escalate>()[0].why, HasSubstr("class shop: supervisor root/shop gave up"));
  EXPECT_THAT(all<escalate>()[0].why, HasSubstr("supervisor root/shop/cart gave up"));
  EXPECT_THAT(all<escalate>()[0].why, HasSubstr("killed: poison"));
}

TEST_F(declared, a_tree_shows_so_many_processes_as_are_asked_for_and_one_class_if_one_is_named) {
  form({"a"});
  define({counter(), below("other", "")});
  auto question = tree_op{.local = true};
  question.only = class_name{"counter"};
  question.children = 2;
  const auto all = ask(question)["nodes"][0]["supervisors"];
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0]["class"], "counter");
  ASSERT_EQ(all[0]["processes"].size(), 2U);
  EXPECT_EQ(all[0]["processes"][0]["state"], "running");
  EXPECT_EQ(all[0]["budgetLeft"], 3);
  EXPECT_FALSE(supervisor("counter").contains("processes"));
}

TEST_F(declared, a_tree_or_a_list_of_a_class_that_there_is_not_is_not_found) {
  form({"a"});
  define({counter()});
  for (const operation& asked : {operation{tree_op{.local = false, .only = class_name{"nope"}}},
                                 operation{list_processes_op{.only = class_name{"nope"}}}}) {
    done.clear();
    step(client_request{request_id{77}, asked});
    ASSERT_EQ(all<respond>().size(), 1U);
    EXPECT_EQ(to_string(all<respond>()[0].answer.error()), "not_found: no class 'nope'; known classes: counter");
  }
}

TEST_F(declared, what_a_class_says_of_supervision_and_limits_is_shown) {
  form({"a"});
  auto spec = below("shop", "");
  spec.supervision.kind = process::strategy::rest_for_one;
  spec.supervision.shutdown = {process::shutdown_spec::kind::brutal_kill};
  spec.supervision.backoff = {milliseconds{100}, seconds{5}};
  spec.supervision.child_intensity = 4;
  spec.limits.mailbox_policy = kernel::overflow::block;
  spec.limits.processes_max = 77;
  spec.children.push_back({.key = process_key{"main"}, .restart = process::restart_type::transient});
  define({spec});
  const auto shown = ask(list_classes_op{})["classes"][0];
  EXPECT_EQ(shown["supervision"]["strategy"], "RestForOne");
  EXPECT_EQ(shown["supervision"]["shutdown"], "BrutalKill");
  EXPECT_EQ(shown["supervision"]["shutdownSeconds"], nullptr);
  EXPECT_EQ(shown["supervision"]["backoff"]["initialSeconds"], 0.1);
  EXPECT_EQ(shown["supervision"]["childIntensity"], 4);
  EXPECT_EQ(shown["supervision"]["autoShutdown"], "Never");
  EXPECT_EQ(shown["supervision"]["parent"], nullptr);
  EXPECT_EQ(shown["limits"]["mailboxPolicy"], "Block");
  EXPECT_EQ(shown["limits"]["maxProcesses"], 77);
  EXPECT_EQ(shown["children"][0], json({{"key", "main"}, {"restart", "Transient"}, {"significant", false}}));
}

}  // namespace
}  // namespace orrery::node
