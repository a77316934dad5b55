// Processes on their way, step by step: what b does with what its peers say.
#include "mesh/node/moves.hpp"
#include "mesh/node/pending.hpp"
#include "mesh/node/testing.hpp"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace orrery::node {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::named;

const std::vector<std::string> pair{"a", "b"};
const std::vector<std::string> three{"a", "a2", "b"};

class handing_over : public testing::core_b {
 protected:
  value count(int at) { return value::from_document(at).value(); }
  wire::handoff arriving(const process_name& name, int state, std::uint64_t id = 5) {
    wire::handoff out;
    out.id = id;
    out.name = name;
    out.state = count(state);
    return out;
  }
  wire::handoff_ack refusal(std::uint64_t id) {
    return {id, error{errc::overloaded, "full", took_effect::not_executed}, false};
  }
  /// b alone, with a process for each of `names`.
  void run_alone(const std::vector<process_name>& names) {
    expect({"b"});
    for (const auto& name : names)
      add(name);
    pass(seconds{1}, {});
    done.clear();
  }
  void add(const process_name& name) { step(client_request{request_id{++asked}, call_op{name, "add", value{}, {}}}); }
  std::uint64_t asked = 0;
};

TEST_F(handing_over, a_process_goes_to_the_newcomer_that_owns_it_and_done_is_said_when_it_has_arrived) {
  const auto theirs = owned_by("a", pair);
  run_alone({theirs});
  expect_both();
  connect();
  const auto moved = sent<wire::handoff>();
  ASSERT_EQ(moved.size(), 1U);
  EXPECT_EQ(moved[0].name, theirs);
  EXPECT_EQ(moved[0].state.document(), 1);
  EXPECT_THAT(sent<wire::handoff_done>(), IsEmpty());
  receive(wire::handoff_ack{moved[0].id, {}, false});
  ASSERT_EQ(sent<wire::handoff_done>().size(), 1U);
  EXPECT_THAT(sent<wire::handoff_done>()[0].held, IsEmpty());
}

TEST_F(handing_over, a_call_that_its_process_had_kept_goes_along_and_its_client_hears_the_answer_from_there) {
  process::class_spec queue;
  queue.name = class_name{"counter"};
  queue.behaviour = process::builtin_kind::queue;
  step(classes_changed{{queue}});
  const auto theirs = owned_by("a", pair);
  expect({"b"});
  const value wait = value::from_json(R"({"waitSeconds":20})").value();
  step(client_request{request_id{1}, call_op{theirs, "receive", wait, seconds{30}}});
  pass(seconds{1}, {});
  EXPECT_THAT(all<respond>(), IsEmpty());
  done.clear();
  expect_both();
  connect();
  const auto moved = sent<wire::handoff>();
  ASSERT_EQ(moved.size(), 1U);
  ASSERT_EQ(moved[0].mailbox.size(), 1U);
  EXPECT_EQ(moved[0].mailbox[0].method, "receive");
  EXPECT_EQ(moved[0].mailbox[0].argument, wait);
  EXPECT_EQ(*moved[0].mailbox[0].remaining, seconds{29});
  receive(wire::handoff_ack{moved[0].id, {}, false});
  receive(wire::reply{*moved[0].mailbox[0].reply_to, value::from_json("[]").value()});
  ASSERT_EQ(all<respond>().size(), 1U);
  EXPECT_EQ(all<respond>()[0].id, request_id{1});
  EXPECT_EQ(all<respond>()[0].answer.value().json_text(), "[]");
}

TEST_F(handing_over, a_refused_process_is_named_in_done_served_here_and_offered_again) {
  const auto theirs = owned_by("a", pair);
  run_alone({theirs});
  expect_both();
  connect();
  receive(refusal(sent<wire::handoff>().at(0).id));
  ASSERT_EQ(sent<wire::handoff_done>().size(), 1U);
  EXPECT_THAT(sent<wire::handoff_done>()[0].held, ElementsAre(theirs));
  EXPECT_THAT(notified("process_held"), HasSubstr("full"));
  done.clear();
  receive(wire::call{9, theirs, "add", value{}, std::chrono::seconds{1}, 1});
  ASSERT_EQ(sent<wire::reply>().size(), 1U);
  EXPECT_EQ(sent<wire::reply>()[0].outcome.value().document(), 2);
  pass(handoff_retry);
  ASSERT_EQ(sent<wire::handoff>().size(), 1U);
  receive(wire::handoff_ack{sent<wire::handoff>()[0].id, {}, false});
  ASSERT_FALSE(sent<wire::handoff_done>().empty());
  EXPECT_THAT(sent<wire::handoff_done>().back().held, IsEmpty());
}

TEST_F(handing_over, a_held_process_that_ends_is_told_at_once_so_that_its_owner_may_start_it) {
  const auto theirs = owned_by("a", pair);
  run_alone({theirs});
  expect_both();
  connect();
  receive(refusal(sent<wire::handoff>().at(0).id));
  receive(wire::handoff_done{});
  done.clear();
  step(client_request{request_id{++asked}, stop_op{theirs}});
  step(woken{});
  ASSERT_EQ(sent<wire::handoff_done>().size(), 1U);
  EXPECT_THAT(sent<wire::handoff_done>()[0].held, IsEmpty());
}

TEST_F(handing_over, the_owner_forwards_to_the_peer_that_holds_its_process_and_does_not_start_it_afresh) {
  form({"a"});
  const auto ours = owned_by("b", pair);
  receive(wire::handoff_done{{}, {ours}});
  add(ours);
  ASSERT_EQ(sent<wire::call>().size(), 1U);
  EXPECT_EQ(sent<wire::call>()[0].name, ours);
  EXPECT_EQ(b.current().processes, 0U);
  done.clear();
  receive(arriving(ours, 7));
  add(ours);
  step(woken{});
  EXPECT_THAT(sent<wire::call>(), IsEmpty());
  ASSERT_EQ(all<respond>().size(), 1U);
  EXPECT_EQ(all<respond>()[0].answer.value().document(), 8);
}

TEST_F(handing_over, what_the_owner_refused_it_does_not_start_afresh) {
  form({"a"});
  const auto ours = owned_by("b", pair);
  auto wrong = arriving(ours, 7);
  wrong.state = value::from_json(R"("not a count")").value();
  receive(wrong);
  ASSERT_EQ(sent<wire::handoff_ack>().size(), 1U);
  EXPECT_TRUE(sent<wire::handoff_ack>()[0].refused);
  add(ours);
  EXPECT_EQ(sent<wire::call>().size(), 1U);
  EXPECT_EQ(b.current().processes, 0U);
}

TEST_F(handing_over, a_holder_that_is_lost_holds_nothing) {
  form({"a"});
  const auto ours = owned_by("b", pair);
  receive(wire::handoff_done{{}, {ours}});
  step(connection_closed{connection_id{1}, {errc::unavailable, "gone"}});
  expect({"b"});
  done.clear();
  add(ours);
  step(woken{});
  ASSERT_EQ(all<respond>().size(), 1U);
  EXPECT_EQ(all<respond>()[0].answer.value().document(), 1);
}

TEST_F(handing_over, a_process_whose_owner_is_quiet_waits_and_nobody_hears_done) {
  form({"a", "a2"});
  process_name ours = owned_by("b", three);
  const membership::placement without_b({{node_name{"a"}, boot_number{1}}, {node_name{"a2"}, boot_number{1}}});
  for (int i = 1; without_b.owner(ours)->name.value != "a"; ++i)
    ours = owned_by("b", three, i);
  add(ours);
  pass(milliseconds{1100}, {3});  // "a" is quiet by now
  done.clear();
  step(drain_requested{});
  receive(wire::draining_ack{}, 3);
  pass(milliseconds{500}, {3});
  EXPECT_THAT(sent<wire::handoff>(), IsEmpty());
  EXPECT_THAT(sent<wire::handoff_done>(), IsEmpty());
  EXPECT_THAT(all<drained>(), IsEmpty());
  receive(wire::draining_ack{}, 1);
  ASSERT_EQ(sent<wire::handoff>(1).size(), 1U);
  EXPECT_THAT(sent<wire::handoff_done>(), IsEmpty());
  receive(wire::handoff_ack{sent<wire::handoff>(1)[0].id, {}, false}, 1);
  EXPECT_EQ(sent<wire::handoff_done>(3).size(), 1U);
  EXPECT_EQ(all<drained>().size(), 1U);
}

TEST_F(handing_over, a_node_that_drains_does_not_leave_with_what_it_holds_before_its_time_is_over) {
  const auto theirs = owned_by("a", pair);
  run_alone({theirs});
  expect_both();
  connect();
  receive(wire::handoff_done{});
  step(drain_requested{});
  receive(wire::draining_ack{});
  std::size_t offered = 0;
  for (const time_point end = now + seconds{5}; now < end;) {
    const auto moved = sent<wire::handoff>();
    for (; offered < moved.size(); ++offered)
      receive(refusal(moved[offered].id));
    pass(milliseconds{100});
  }
  EXPECT_GE(offered, 5U);
  EXPECT_THAT(all<drained>(), IsEmpty());
  const auto moved = sent<wire::handoff>();
  for (; offered < moved.size(); ++offered)
    receive(refusal(moved[offered].id));
  pass(chosen().drain_timeout);
  EXPECT_EQ(all<drained>().size(), 1U);
}

TEST_F(handing_over, what_was_in_flight_to_a_lost_peer_goes_on_here) {
  const auto theirs = owned_by("a", pair);
  run_alone({theirs});
  expect_both();
  connect();
  ASSERT_EQ(sent<wire::handoff>().size(), 1U);
  EXPECT_EQ(b.current().processes, 0U);
  step(connection_closed{connection_id{1}, {errc::unavailable, "gone"}});
  EXPECT_EQ(b.current().processes, 1U);
}

TEST_F(handing_over, a_process_for_a_better_owner_is_passed_on_and_acknowledged_when_it_has_arrived) {
  form({"a", "a2"});
  const auto theirs = owned_by("a2", three);
  receive(arriving(theirs, 3), 1);
  const auto passed = sent<wire::handoff>(3);
  ASSERT_EQ(passed.size(), 1U);
  EXPECT_EQ(passed[0].hops, 1U);
  EXPECT_THAT(sent<wire::handoff_ack>(1), IsEmpty());
  receive(wire::handoff_ack{passed[0].id, {}, false}, 3);
  ASSERT_EQ(sent<wire::handoff_ack>(1).size(), 1U);
  EXPECT_FALSE(sent<wire::handoff_ack>(1)[0].refused);
}

TEST_F(handing_over, a_process_that_has_been_passed_on_too_often_stays) {
  form({"a", "a2"});
  auto moved = arriving(owned_by("a2", three), 3);
  moved.hops = hops_max;
  receive(moved, 1);
  EXPECT_THAT(sent<wire::handoff>(3), IsEmpty());
  EXPECT_EQ(b.current().processes, 1U);
}

TEST_F(handing_over, what_neither_the_owner_nor_this_node_can_take_goes_back_to_its_sender) {
  form({"a", "a2"});
  const auto theirs = owned_by("a2", three);
  auto moved = arriving(theirs, 3);
  receive(moved, 1);
  const auto passed = sent<wire::handoff>(3);
  ASSERT_EQ(passed.size(), 1U);
  step(classes_changed{});  // and now b does not know the class either
  receive(refusal(passed[0].id), 3);
  ASSERT_EQ(sent<wire::handoff_ack>(1).size(), 1U);
  EXPECT_TRUE(sent<wire::handoff_ack>(1)[0].refused);  // never "superseded": that would lose it
}

TEST_F(handing_over, a_process_that_runs_here_already_supersedes_the_one_that_arrives) {
  form({"a"});
  const auto ours = owned_by("b", pair);
  add(ours);
  step(woken{});
  done.clear();
  receive(arriving(ours, 40));
  ASSERT_EQ(sent<wire::handoff_ack>().size(), 1U);
  EXPECT_TRUE(sent<wire::handoff_ack>()[0].superseded);
  add(ours);
  step(woken{});
  EXPECT_EQ(all<respond>().back().answer.value().document(), 2);
}

class a_crowd : public handing_over {
 protected:
  static constexpr int crowd = 5000;
  std::size_t moved_out() {
    std::size_t moved = 0;
    for (const auto& each : all<notify>())
      moved += each.type == "process_moved" ? 1 : 0;
    return moved;
  }
  void start_crowd() {
    for (int i = 0; i < crowd; ++i) {
      step(client_request{request_id{++asked}, cast_op{named("n" + std::to_string(i)), "add", value{}}});
      if (i % 200 == 0) step(woken{});
    }
    while (b.wake_at() <= now)
      step(woken{});
    ASSERT_EQ(b.current().processes, std::size_t{crowd});
    done.clear();
  }
};

TEST_F(a_crowd, is_looked_at_a_bounded_number_at_a_time_when_a_peer_joins_and_none_is_missed) {
  expect({"b"});
  pass(seconds{3}, {});
  start_crowd();
  expect_both();
  connect();
  std::size_t moved = 0;
  std::size_t steps = 0;
  while (sent<wire::handoff_done>().empty()) {
    const auto leaving = sent<wire::handoff>();
    ASSERT_LE(leaving.size(), handoffs_in_flight_max);
    moved += leaving.size();
    ASSERT_LE(++steps, std::size_t{crowd});
    done.clear();
    for (const auto& each : leaving) {
      wire::frame_decoder decoder;
      decoder.feed(wire::encode(wire::handoff_ack{each.id, {}, false}));
      wire::frame frame;
      ASSERT_TRUE(decoder.next(frame).value());
      step(frame_received{connection_id{1}, frame});
    }
    step(woken{});
  }
  EXPECT_EQ(b.current().processes, crowd - moved);
  const membership::placement placement({{node_name{"a"}, boot_number{1}}, {node_name{"b"}, boot_number{1}}});
  std::size_t theirs = 0;
  for (int i = 0; i < crowd; ++i)
    theirs += placement.owner(named("n" + std::to_string(i)))->name.value == "a" ? 1 : 0;
  EXPECT_EQ(moved, theirs);
}

TEST_F(a_crowd, of_lost_names_ends_a_bounded_number_at_a_time_and_one_that_is_asked_for_at_once) {
  form({"a", "a2"});
  for (const std::uint64_t each : {1U, 3U})
    step(connection_closed{connection_id{each}, {errc::unavailable, "cut"}});
  start_crowd();
  step(control_plane_checked{false});
  ASSERT_TRUE(b.current().isolated);
  done.clear();
  connect("a", 5, 4);
  ASSERT_FALSE(b.current().isolated);
  EXPECT_LE(moved_out(), 6U * scan_names_max);
  EXPECT_GT(b.current().processes, std::size_t{crowd / 2 + scan_names_max / 4}) << "not all at once";
  const membership::placement placement({{node_name{"a"}, boot_number{1}}, {node_name{"b"}, boot_number{1}}});
  int last = crowd - 1;
  while (placement.owner(named("n" + std::to_string(last)))->name.value != "a")
    --last;
  receive(wire::handoff_done{}, 5);
  done.clear();
  add(named("n" + std::to_string(last)));
  ASSERT_EQ(sent<wire::call>(5).size(), 1U);  // not answered by what ran here meanwhile
  while (b.wake_at() <= now) {
    done.clear();
    step(woken{});
    EXPECT_LE(moved_out(), scan_names_max);
    EXPECT_THAT(sent<wire::handoff>(), IsEmpty());
  }
  std::size_t ours = 0;
  for (int i = 0; i < crowd; ++i)
    ours += placement.owner(named("n" + std::to_string(i)))->name.value == "b" ? 1 : 0;
  EXPECT_EQ(b.current().processes, ours);
}

}  // namespace
}  // namespace orrery::node
