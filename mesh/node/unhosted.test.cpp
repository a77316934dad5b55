// Names of app-hosted classes are placed where an app is.
#include "mesh/node/testing.hpp"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace orrery::node {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::named;

const class_name counter{"counter"};
constexpr duration wait_for_app = seconds{2};

class placing_by_apps : public testing::core_b {
 protected:
  placing_by_apps() {
    features = wire::feature_unhosted;
    process::class_spec spec;
    spec.name = counter;
    spec.version = 2;
    spec.behaviour = process::app_hosted{.handler_timeout = seconds{3}, .wait_for_app = wait_for_app};
    step(classes_changed{{spec}});
  }
  void app_comes() {
    process::app_offer offer{.app = process::app_id{++apps}, .klass = counter, .calls = {"add"}};
    step(from_app{process::app_registered{offer}});
  }
  /// b and a, both with an app, everything handed over.
  void form_with_app() {
    form({"a"});
    app_comes();
    receive(wire::handoff_done{.heard = sent<wire::unhosted>().back().number});
  }
  void app_goes() { step(from_app{process::app_gone{process::app_id{apps}, "it went"}}); }
  void call(const process_name& name) {
    step(client_request{request_id{++asked}, call_op{name, "add", value{}, seconds{30}}});
  }
  /// A call that the app has answered: the process has a state.
  void begin(const process_name& name) {
    call(name);
    for (auto& each : all<to_app>()) {
      const auto* work = std::get_if<process::app_work>(&each.what);
      if (work == nullptr) continue;
      process::app_answer answer;
      answer.state = value::from_document(5).value();
      step(from_app{process::app_done{work->app, work->id, std::move(answer)}});
    }
    ASSERT_EQ(all<respond>().size(), 1U);
    done.clear();
  }
  void peer_says(std::uint64_t n, std::vector<class_name> classes) { receive(wire::unhosted{n, std::move(classes)}); }
  bool works() {
    for (const auto& each : all<to_app>()) {
      if (std::holds_alternative<process::app_work>(each.what)) return true;
    }
    return false;
  }

  process_name ours = owned_by("b", {"a", "b"});
  process_name theirs = owned_by("a", {"a", "b"});
  std::uint64_t apps = 0;
  std::uint64_t asked = 0;
};

TEST_F(placing_by_apps, peers_are_told_which_classes_have_no_app) {
  expect_both();
  connect();
  ASSERT_EQ(sent<wire::hello>().size(), 1U);
  EXPECT_THAT(sent<wire::hello>()[0].unhosted, ElementsAre(counter));
  ASSERT_EQ(sent<wire::unhosted>().size(), 1U);
  EXPECT_THAT(sent<wire::unhosted>()[0].classes, ElementsAre(counter));
  app_comes();
  ASSERT_EQ(sent<wire::unhosted>().size(), 2U);
  EXPECT_THAT(sent<wire::unhosted>()[1].classes, IsEmpty());
  EXPECT_GT(sent<wire::unhosted>()[1].number, sent<wire::unhosted>()[0].number);
  EXPECT_NE(notified("class_hosted"), "");
}

TEST_F(placing_by_apps, a_name_goes_where_an_app_is) {
  form({"a"});  // its hello says that it has one
  call(ours);
  ASSERT_EQ(sent<wire::call>().size(), 1U);
  EXPECT_EQ(sent<wire::call>()[0].name, ours);
}

TEST_F(placing_by_apps, where_no_node_has_one_names_are_placed_as_ever) {
  form({"a"});
  peer_says(1, {counter});
  receive(wire::handoff_done{});
  done.clear();
  call(ours);
  call(theirs);
  ASSERT_EQ(sent<wire::call>().size(), 1U);
  EXPECT_EQ(sent<wire::call>()[0].name, theirs);
  pass(wait_for_app + milliseconds{200});
  ASSERT_EQ(all<respond>().size(), 1U);
  EXPECT_EQ(all<respond>()[0].answer.error().code, errc::unavailable) << "and refused when that has lasted too long";
}

TEST_F(placing_by_apps, with_a_peer_that_knows_nothing_of_it_every_class_is_placed_everywhere) {
  features = 0;
  form({"a"});
  call(ours);
  EXPECT_THAT(sent<wire::call>(), IsEmpty());
}

TEST_F(placing_by_apps, an_apps_restart_moves_nothing) {
  form_with_app();
  begin(ours);
  app_goes();
  pass(wait_for_app - milliseconds{200});
  app_comes();
  pass(2 * wait_for_app);
  EXPECT_THAT(sent<wire::unhosted>(), IsEmpty());
  EXPECT_THAT(sent<wire::handoff>(), IsEmpty());
}

TEST_F(placing_by_apps, when_an_app_stays_away_its_processes_go_with_all_that_waits_for_them) {
  form_with_app();
  begin(ours);
  app_goes();
  done.clear();
  call(ours);
  const auto fresh = owned_by("b", {"a", "b"}, 1);
  call(fresh);
  pass(wait_for_app - milliseconds{100});
  EXPECT_THAT(sent<wire::unhosted>(), IsEmpty());
  pass(milliseconds{200});
  ASSERT_EQ(sent<wire::unhosted>().size(), 1U);
  EXPECT_THAT(sent<wire::unhosted>()[0].classes, ElementsAre(counter));
  ASSERT_EQ(sent<wire::handoff>().size(), 2U);
  for (const auto& each : sent<wire::handoff>())
    EXPECT_EQ(each.mailbox.size(), 1U) << to_string(each.name);
  EXPECT_THAT(all<respond>(), IsEmpty()) << "nothing is refused";
  EXPECT_NE(notified("class_unhosted"), "");
  for (const auto& each : sent<wire::handoff>())
    receive(wire::handoff_ack{each.id, {}, false});
  EXPECT_EQ(sent<wire::handoff_done>().size(), 1U);
  done.clear();
  call(ours);
  EXPECT_EQ(sent<wire::call>().size(), 1U);
}

TEST_F(placing_by_apps, an_app_that_comes_back_must_have_stayed_as_long) {
  form({"a"});
  app_comes();
  app_goes();
  pass(wait_for_app + milliseconds{100});
  for (int i = 0; i < 3; ++i) {  // it falls again and again
    app_comes();
    done.clear();
    pass(wait_for_app - milliseconds{200});
    EXPECT_THAT(sent<wire::unhosted>(), IsEmpty());
    app_goes();
  }
  app_comes();
  done.clear();
  pass(wait_for_app + milliseconds{100});
  ASSERT_EQ(sent<wire::unhosted>().size(), 1U);
  EXPECT_THAT(sent<wire::unhosted>()[0].classes, IsEmpty());
}

TEST_F(placing_by_apps, an_app_that_falls_again_and_again_within_the_time_is_given_up_too) {
  form_with_app();
  begin(ours);
  pass(wait_for_app);
  for (int i = 0; i < 2; ++i) {
    app_goes();
    pass(wait_for_app / 2);
    app_comes();
    pass(wait_for_app / 4);
  }
  EXPECT_THAT(sent<wire::handoff>(), IsEmpty()) << "they wait for it";
  for (int i = 0; i < 4; ++i) {
    app_goes();
    pass(wait_for_app / 2);
    app_comes();
    pass(wait_for_app / 4);
  }
  ASSERT_FALSE(sent<wire::unhosted>().empty());
  EXPECT_THAT(sent<wire::unhosted>()[0].classes, ElementsAre(counter));
  EXPECT_EQ(sent<wire::handoff>().size(), 1U);
}

TEST_F(placing_by_apps, whoever_gets_names_back_starts_none_before_those_that_had_them_have_heard_of_it) {
  form({"a"});
  app_comes();
  const auto number = sent<wire::unhosted>().back().number;
  call(ours);
  EXPECT_FALSE(works()) << "a may run it";
  receive(wire::handoff_done{.heard = number - 1});
  EXPECT_FALSE(works()) << "said before a had heard that b has an app";
  receive(wire::handoff_done{.heard = number});
  EXPECT_TRUE(works());
}

TEST_F(placing_by_apps, a_newcomer_starts_none_before_its_peers_have_heard_what_its_hello_did_not_say_yet) {
  expect_both();
  step(connection_opened{connection_id{1}, {"ns", "demo", "a"}, false});
  ASSERT_THAT(sent<wire::hello>().at(0).unhosted, ElementsAre(counter));
  app_comes();
  connect();
  const auto number = sent<wire::unhosted>().back().number;
  call(ours);
  receive(wire::handoff_done{});
  EXPECT_FALSE(works()) << "a may still run it, as it took b for a node without an app";
  receive(wire::handoff_done{.heard = number});
  EXPECT_TRUE(works());
}

TEST_F(placing_by_apps, names_of_a_node_whose_app_is_gone_are_not_started_before_it_has_handed_over) {
  form_with_app();
  done.clear();
  peer_says(1, {counter});
  EXPECT_EQ(sent<wire::handoff_done>().size(), 1U) << "a may wait for it";
  EXPECT_EQ(sent<wire::handoff_done>()[0].heard, 1U);
  call(theirs);
  EXPECT_FALSE(works());
  EXPECT_THAT(sent<wire::call>(), IsEmpty());
  receive(wire::handoff_done{.heard = 2});
  EXPECT_TRUE(works());
}

TEST_F(placing_by_apps, what_waits_for_an_app_elsewhere_is_refused_when_that_one_has_gone_too) {
  form_with_app();
  begin(ours);
  app_goes();
  done.clear();
  peer_says(1, {counter});
  receive(wire::handoff_done{.heard = 2});
  call(ours);
  pass(wait_for_app + milliseconds{100});
  EXPECT_THAT(sent<wire::handoff>(), IsEmpty());
  ASSERT_EQ(all<respond>().size(), 1U);
  EXPECT_EQ(all<respond>()[0].answer.error().code, errc::unavailable);
}

TEST_F(placing_by_apps,
       names_of_a_peer_that_drains_are_not_started_before_it_has_handed_over_though_its_app_went_first) {
  form_with_app();
  done.clear();
  receive(wire::draining{});
  peer_says(1, {counter});  // its pod ends: app and sidecar are told alike
  call(theirs);
  EXPECT_FALSE(works()) << "a may still run it";
  receive(wire::handoff_done{.heard = 2});
  EXPECT_TRUE(works());
}

TEST_F(placing_by_apps, what_a_peer_passed_to_a_third_that_is_not_known_to_have_an_app_here_is_not_started) {
  form({"a", "aa"});
  receive(wire::unhosted{1, {counter}}, 3);
  app_comes();
  receive(wire::handoff_done{.heard = 2}, 1);
  receive(wire::handoff_done{.heard = 2}, 3);
  peer_says(1, {counter});
  const node_id third{node_name{"aa"}, boot_number{1}};
  receive(wire::handoff_done{.nodes = {third}, .heard = 2, .words = {2}}, 1);
  const auto name = owned_by("aa", {"a", "aa", "b"});
  done.clear();
  call(name);
  EXPECT_FALSE(works()) << "aa said something that a has heard, but not we";
  receive(wire::unhosted{2, {}}, 3);
  EXPECT_FALSE(works());
  EXPECT_EQ(sent<wire::call>(3).size(), 1U);
  EXPECT_EQ(sent<wire::handoff_done>(3).size(), 1U);
  receive(wire::handoff_done{.nodes = {third}, .heard = 2, .words = {2}}, 1);
  call(owned_by("b", {"aa", "b"}));
  EXPECT_TRUE(works());
}

TEST_F(placing_by_apps, done_says_by_which_words_it_places) {
  form({"a", "aa"});
  receive(wire::unhosted{4, {counter}}, 3);
  app_comes();
  peer_says(1, {});
  ASSERT_FALSE(sent<wire::handoff_done>(1).empty());
  const auto said = sent<wire::handoff_done>(1).back();
  ASSERT_EQ(said.nodes.size(), 3U);
  EXPECT_THAT(said.words, ElementsAre(1, 4, 2));
}

TEST_F(placing_by_apps, a_process_from_a_peer_that_has_not_heard_that_the_app_is_gone_is_not_taken) {
  form({"a"});
  wire::handoff sent_here;
  sent_here.id = 7;
  sent_here.name = ours;
  sent_here.class_version = 2;
  receive(sent_here);
  ASSERT_EQ(sent<wire::handoff_ack>().size(), 1U);
  EXPECT_TRUE(sent<wire::handoff_ack>()[0].refused) << "a would start it afresh when it hears, as b holds nothing";
}

TEST_F(placing_by_apps, an_old_peer_is_not_asked_to_have_heard_what_it_does_not_know) {
  expect({"a", "aa", "b"});
  connect("a", 1);
  receive(wire::handoff_done{.heard = sent<wire::unhosted>(1).back().number});
  features = 0;
  connect("aa", 3);
  receive(wire::handoff_done{}, 3);
  receive(wire::handoff_done{.heard = 1});
  const auto name = owned_by("b", {"a", "aa", "b"});
  done.clear();
  call(name);
  EXPECT_THAT(sent<wire::call>(), IsEmpty());
  app_comes();
  EXPECT_TRUE(works()) << "nobody has anything to hand over";
}

TEST_F(placing_by_apps, a_peer_that_drained_and_then_lost_its_app_is_not_waited_for) {
  form_with_app();
  receive(wire::draining{});
  receive(wire::handoff_done{.heard = 2});
  peer_says(1, {counter});
  call(theirs);
  EXPECT_TRUE(works()) << "it had handed over before";
}

TEST_F(placing_by_apps, a_peer_that_says_it_out_of_order_is_refused) {
  form({"a"});
  peer_says(2, {counter});
  peer_says(2, {});
  EXPECT_FALSE(all<hang_up>().empty());
}

}  // namespace
}  // namespace orrery::node
