// Calls that are given up: by their client, by a client that goes, by a peer.
#include "mesh/node/testing.hpp"

#include <gmock/gmock.h>

namespace orrery::node {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class cancelling : public testing::core_b {
 protected:
  cancelling() { features = wire::feature_cancel; }
  request_id call(const process_name& name, const std::string& method) {
    const request_id id{++asked_};
    step(client_request{id, call_op{name, method, value{}, std::chrono::seconds{10}}});
    return id;
  }
  /// What the name waits for does not come while it is suspended.
  void suspend(const process_name& name) {
    settle(call(name, "add"));
    settle_all(client_request{request_id{++asked_}, suspend_op{name}});
  }
  void resume(const process_name& name) { settle_all(client_request{request_id{++asked_}, resume_op{name}}); }
  std::vector<result<value>> answers(request_id id) {
    std::vector<result<value>> out;
    for (const auto& each : all<respond>()) {
      if (each.id == id) out.push_back(each.answer);
    }
    return out;
  }
  std::int64_t count(const process_name& name) {
    const auto id = call(name, "get");
    settle(id);
    return answers(id).at(0)->document().get<std::int64_t>();
  }
  void settle(request_id id) {
    for (int i = 0; i < 100 && answers(id).empty(); ++i)
      step(woken{});
    ASSERT_THAT(answers(id), SizeIs(1));
  }
  void settle_all(event what) {
    step(std::move(what));
    for (int i = 0; i < 3; ++i)
      step(woken{});
  }
  const process_name here = owned_by("b", {"a", "b"});
  const process_name there = owned_by("a", {"a", "b"});

 private:
  std::uint64_t asked_ = 0;
};

TEST_F(cancelling, a_call_that_waits_takes_it_back_and_says_so) {
  form({"a"});
  suspend(here);
  const auto id = call(here, "add");
  settle_all(client_cancelled{id});
  ASSERT_THAT(answers(id), SizeIs(1));
  EXPECT_EQ(answers(id)[0].error().code, errc::cancelled);
  EXPECT_EQ(answers(id)[0].error().effect, took_effect::not_executed);
  EXPECT_EQ(b.current().counted.calls_cancelled, 1U);
  resume(here);
  EXPECT_EQ(count(here), 1);
  EXPECT_THAT(answers(id), SizeIs(1));
}

TEST_F(cancelling, leaves_what_else_waits_in_its_order) {
  form({"a"});
  suspend(here);
  const auto first = call(here, "add");
  const auto second = call(here, "add");
  const auto third = call(here, "add");
  settle_all(client_cancelled{second});
  resume(here);
  settle(first);
  settle(third);
  EXPECT_EQ(answers(first)[0]->document(), 2);
  EXPECT_EQ(answers(third)[0]->document(), 3);
}

TEST_F(cancelling, a_call_of_a_client_that_goes_takes_it_back_for_nobody) {
  form({"a"});
  suspend(here);
  const auto id = call(here, "add");
  settle_all(client_gone{id});
  resume(here);
  EXPECT_EQ(count(here), 1);
  EXPECT_THAT(answers(id), IsEmpty());
}

TEST_F(cancelling, a_call_that_was_answered_is_nothing) {
  form({"a"});
  const auto id = call(here, "add");
  settle(id);
  settle_all(client_cancelled{id});
  EXPECT_THAT(answers(id), SizeIs(1));
  EXPECT_EQ(count(here), 1);
}

TEST_F(cancelling, a_call_that_has_no_node_yet_takes_it_back) {
  const auto id = call(here, "add");  // the mesh has not formed
  settle_all(client_cancelled{id});
  ASSERT_THAT(answers(id), SizeIs(1));
  EXPECT_EQ(answers(id)[0].error().effect, took_effect::not_executed);
  form({"a"});
  EXPECT_THAT(answers(id), IsEmpty()) << "form() has forgotten the first";
  EXPECT_EQ(count(here), 0);
}

TEST_F(cancelling, a_call_of_a_peer_s_process_is_asked_of_the_peer_whose_word_counts) {
  form({"a"});
  const auto id = call(there, "add");
  const auto asked = sent<wire::call>().at(0);
  step(client_cancelled{id});
  step(client_cancelled{id});
  ASSERT_THAT(sent<wire::cancel>(), SizeIs(1));
  EXPECT_EQ(sent<wire::cancel>()[0].id, asked.id);
  EXPECT_THAT(answers(id), IsEmpty());
  receive(wire::reply{asked.id, fail(errc::cancelled, "before it began")});
  ASSERT_THAT(answers(id), SizeIs(1));
  EXPECT_EQ(answers(id)[0].error().effect, took_effect::not_executed);
}

TEST_F(cancelling, a_call_that_its_peer_refused_meanwhile_does_not_try_it_again) {
  form({"a"});
  const auto id = call(there, "add");
  const auto asked = sent<wire::call>().at(0);
  step(client_cancelled{id});
  receive(wire::reply{asked.id, fail(errc::draining, "on its way out")});
  pass(std::chrono::seconds{1});
  ASSERT_THAT(answers(id), SizeIs(1));
  EXPECT_EQ(answers(id)[0].error().effect, took_effect::not_executed);
  EXPECT_THAT(sent<wire::call>(), SizeIs(1));
}

TEST_F(cancelling, is_not_said_to_a_peer_that_knows_no_such_thing) {
  features = 0;
  form({"a"});
  const auto id = call(there, "add");
  step(client_cancelled{id});
  EXPECT_THAT(sent<wire::cancel>(), IsEmpty());
  ASSERT_THAT(answers(id), SizeIs(1));
  EXPECT_EQ(answers(id)[0].error().code, errc::cancelled);
  EXPECT_EQ(answers(id)[0].error().effect, took_effect::unknown);
  receive(wire::reply{sent<wire::call>().at(0).id, value{}});
  EXPECT_THAT(answers(id), SizeIs(1));
}

TEST_F(cancelling, for_a_peer_takes_its_call_back_and_replies) {
  form({"a", "ab"});
  const auto mine = owned_by("b", {"a", "ab", "b"});
  suspend(mine);
  const auto ask = [&](std::uint64_t id, std::uint64_t connection) {
    receive(wire::call{id, mine, "add", value{}, std::chrono::seconds{10}, 1}, connection);
  };
  ask(7, 1);
  ask(7, 3);
  done.clear();
  receive(wire::cancel{7}, 1);
  receive(wire::cancel{8}, 1);
  ASSERT_THAT(sent<wire::reply>(), SizeIs(1));
  ASSERT_THAT(sent<wire::reply>(1), SizeIs(1)) << "the other peer's call of this number goes on";
  EXPECT_EQ(sent<wire::reply>()[0].outcome.error().code, errc::cancelled);
  EXPECT_EQ(sent<wire::reply>()[0].outcome.error().effect, took_effect::not_executed);
  resume(mine);
  EXPECT_EQ(count(mine), 2);
  EXPECT_THAT(sent<wire::reply>(3), SizeIs(1));
}

}  // namespace
}  // namespace orrery::node
