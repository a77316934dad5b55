// App-hosted processes in a node: from a client's request to an app's callback and back, and moves in the middle of
// one.
#include "mesh/node/pending.hpp"
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

value number(int n) { return value::from_document(n).value(); }

class hosting : public testing::core_b {
 protected:
  hosting() {
    process::class_spec spec;
    spec.name = class_name{"counter"};
    spec.version = 2;
    spec.behaviour = process::app_hosted{.handler_timeout = seconds{3}, .wait_for_app = seconds{2}};
    step(classes_changed{{spec}});
  }
  void app_comes(std::uint64_t id = 1) {
    process::app_offer offer{.app = process::app_id{id}, .klass = class_name{"counter"}, .calls = {"add"}};
    step(from_app{process::app_registered{offer}});
  }
  void call(const process_name& name) {
    step(client_request{request_id{++asked}, call_op{name, "add", number(1), {}}});
  }
  std::vector<process::app_work> works() {
    std::vector<process::app_work> out;
    for (auto& each : all<to_app>()) {
      if (auto* work = std::get_if<process::app_work>(&each.what)) out.push_back(*work);
    }
    return out;
  }
  void finish(const process::app_work& work, process::app_answer answer) {
    step(from_app{process::app_done{work.app, work.id, std::move(answer)}});
  }
  std::uint64_t asked = 0;
};

TEST_F(hosting, a_call_becomes_work_of_an_app_and_its_answer_the_response) {
  expect({"b"});
  app_comes();
  call(named("x"));
  ASSERT_EQ(works().size(), 1U);
  EXPECT_EQ(works()[0].method, "add");
  EXPECT_EQ(works()[0].argument, number(1));
  EXPECT_THAT(all<respond>(), IsEmpty());
  finish(works()[0], {.reply = number(7), .state = number(7)});
  ASSERT_EQ(all<respond>().size(), 1U);
  EXPECT_EQ(all<respond>()[0].answer, number(7));
  EXPECT_EQ(b.current().app_registrations, 1U);
  EXPECT_EQ(b.current().counted.app_works, 1U);
}

TEST_F(hosting, wakes_for_the_deadlines_of_work_and_of_waiting_for_an_app) {
  expect({"b"});
  call(named("x"));
  pass(seconds{2} + milliseconds{100}, {});
  ASSERT_EQ(all<respond>().size(), 1U);
  EXPECT_EQ(all<respond>()[0].answer.error().code, errc::unavailable);
  done.clear();
  app_comes();
  call(named("x"));
  EXPECT_EQ(works().size(), 1U);
  EXPECT_LE(b.wake_at(), now + seconds{3});
  pass(seconds{3}, {});
  ASSERT_EQ(all<respond>().size(), 1U);
  EXPECT_EQ(all<respond>()[0].answer.error().code, errc::limit_exceeded);
}

TEST_F(hosting, a_peers_call_that_waited_in_vain_for_an_app_is_told_so) {
  form({"a"});
  receive(wire::call{7, owned_by("b", {"a", "b"}), "add", number(1), seconds{30}});
  pass(seconds{2} + milliseconds{100});
  const auto told = sent<wire::reply>();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].outcome.error().code, errc::unavailable);
  EXPECT_TRUE(told[0].waited);
}

TEST_F(hosting, what_another_node_has_waited_for_in_vain_is_not_asked_again) {
  form({"a"});
  call(owned_by("a", {"a", "b"}));
  receive(wire::reply{sent<wire::call>().at(0).id, fail(errc::unavailable, "no app"), true});
  ASSERT_EQ(all<respond>().size(), 1U);
  EXPECT_EQ(all<respond>()[0].answer.error().context, "no app");
  done.clear();
  call(owned_by("a", {"a", "b"}));
  receive(wire::reply{sent<wire::call>().at(0).id, fail(errc::unavailable, "restarting")});
  EXPECT_THAT(all<respond>(), IsEmpty());
  done.clear();
  pass(retry_delay);
  EXPECT_EQ(sent<wire::call>().size(), 1U);
}

TEST_F(hosting, casts_of_an_answer_are_routed_like_others) {
  form({"a"});
  app_comes();
  call(owned_by("b", {"a", "b"}));
  const auto theirs = owned_by("a", {"a", "b"});
  process::app_answer answer;
  answer.deeds.emplace_back(process::app_cast{theirs, "note", number(3)});
  finish(works().at(0), std::move(answer));
  ASSERT_EQ(sent<wire::cast>().size(), 1U);
  EXPECT_EQ(sent<wire::cast>()[0].name, theirs);
}

TEST_F(hosting, a_process_in_the_middle_of_a_message_is_held_and_goes_as_soon_as_that_is_done) {
  expect({"b"});
  app_comes();
  const auto theirs = owned_by("a", {"a", "b"});
  pass(seconds{1}, {});
  call(theirs);
  call(theirs);
  const auto work = works().at(0);
  done.clear();
  expect_both();
  connect();
  receive(wire::handoff_done{});
  EXPECT_THAT(sent<wire::handoff>(), IsEmpty());
  ASSERT_EQ(sent<wire::handoff_done>().size(), 1U);
  EXPECT_THAT(sent<wire::handoff_done>()[0].held, ElementsAre(theirs)) << "its owner must not start it afresh";
  done.clear();

  finish(work, {.reply = number(1), .state = number(5)});
  ASSERT_EQ(all<respond>().size(), 1U);
  ASSERT_EQ(sent<wire::handoff>().size(), 1U);
  EXPECT_THAT(works(), IsEmpty()) << "the second call goes along";
  EXPECT_EQ(sent<wire::handoff>()[0].mailbox.size(), 1U);
  receive(wire::handoff_ack{sent<wire::handoff>()[0].id, {}, false});
  ASSERT_FALSE(sent<wire::handoff_done>().empty());
  EXPECT_THAT(sent<wire::handoff_done>().back().held, IsEmpty());
}

TEST_F(hosting, a_call_that_ends_before_an_app_comes_says_that_none_is_there) {
  form({"a"});
  const auto ours = owned_by("b", {"a", "b"});
  const auto id = request_id{900};
  step(client_request{id, call_op{ours, "get", value{}, milliseconds{500}}});
  pass(seconds{1});
  ASSERT_EQ(all<respond>().size(), 1U);
  const auto why = all<respond>()[0].answer.error();
  EXPECT_EQ(why.code, errc::deadline_exceeded);
  EXPECT_EQ(why.context, to_string(ours) + " did not get to 'get' before its deadline; no app that hosts class '" +
                             ours.klass.value + "' is connected to node b");
}

TEST_F(hosting, a_drain_waits_for_work_in_hand_and_then_hands_over) {
  form({"a"});
  app_comes();
  const auto ours = owned_by("b", {"a", "b"});
  call(ours);
  const auto work = works().at(0);
  step(drain_requested{});
  pass(milliseconds{500});
  EXPECT_THAT(sent<wire::handoff>(), IsEmpty());
  EXPECT_THAT(all<drained>(), IsEmpty());
  finish(work, {.reply = number(1), .state = number(5)});
  ASSERT_EQ(sent<wire::handoff>().size(), 1U);
}

}  // namespace
}  // namespace orrery::node
