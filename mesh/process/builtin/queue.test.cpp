#include "mesh/process/builtin/queue.hpp"

#include "mesh/process/testing.hpp"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace orrery::process {
namespace {

using namespace testing;
using nlohmann::json;
using ::testing::HasSubstr;

struct queues : ::testing::Test {
  queues() { define(w); }
  static void define(world& in, std::string_view options = R"({"visibilitySeconds":30,"maxReceives":3})",
                     std::uint64_t state_bytes_max = value_bytes_max) {
    auto spec = builtin_class(builtin_kind::queue, options);
    spec.limits.state_bytes_max = state_bytes_max;
    ASSERT_TRUE(in.rt.define(spec));
  }
  json receive(std::string_view argument = "null") { return receive_in(w, argument); }
  static json receive_in(world& in, std::string_view argument = "null") {
    return json::parse(in.ask("queue/jobs", "receive", argument));
  }
  std::string enqueue(std::string_view argument) { return w.ask("queue/jobs", "enqueue", argument); }
  std::string ack(const json& message) { return w.ask("queue/jobs", "ack", message.at("receipt").dump()); }
  json stats() { return json::parse(w.ask("queue/jobs", "stats")); }
  world w;
};

TEST_F(queues, hand_out_messages_in_the_order_of_arrival_and_each_until_it_is_acknowledged) {
  EXPECT_EQ(enqueue(R"({"value":"first"})"), R"({"id":1})");
  EXPECT_EQ(enqueue(R"({"value":{"n":2}})"), R"({"id":2})");
  const auto got = receive(R"({"max":10})");
  ASSERT_EQ(got.size(), 2U);
  EXPECT_EQ(got[0]["value"], "first");
  EXPECT_EQ(got[0]["receives"], 1);
  EXPECT_EQ(got[1]["value"], json({{"n", 2}}));
  EXPECT_EQ(receive(), json::array());
  EXPECT_EQ(ack(got[0]), "true");
  EXPECT_EQ(ack(got[0]), "false") << "an acknowledgement that is sent again does no harm";
  EXPECT_EQ(stats()["inFlight"], 1);
  EXPECT_EQ(stats()["acked"], 1);
}

TEST_F(queues, hand_out_each_message_once_while_its_visibility_lasts_and_again_afterwards) {
  enqueue(R"({"value":"x"})");
  EXPECT_EQ(receive(R"({"visibilitySeconds":2})").size(), 1U);
  w.pass(1999ms);
  EXPECT_EQ(receive().size(), 0U);
  w.pass(1ms);
  const auto again = receive();
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0]["receives"], 2);
  EXPECT_EQ(again[0]["ageSeconds"], 2);
}

TEST_F(queues, refuse_the_receipt_of_a_delivery_that_another_one_followed) {
  enqueue(R"({"value":"x"})");
  const auto slow = receive()[0];
  w.pass(30s);
  EXPECT_EQ(w.ask("queue/jobs", "length"), "1");
  const auto second = receive()[0];
  EXPECT_THAT(ack(slow), HasSubstr("conflict: queue.ack: message 1 was handed out again since"));
  EXPECT_EQ(ack(second), "true");
}

TEST_F(queues, accept_the_last_receipt_of_a_message_that_is_ready_again_but_was_not_handed_out) {
  enqueue(R"({"value":"x"})");
  const auto late = receive()[0];
  w.pass(31s);
  EXPECT_EQ(ack(late), "true");
  EXPECT_EQ(receive().size(), 0U);
}

TEST_F(queues, give_a_message_back_at_once_or_after_a_delay) {
  enqueue(R"({"value":"x"})");
  EXPECT_EQ(w.ask("queue/jobs", "nack", receive()[0]["receipt"].dump()), "true");
  const auto again = receive()[0];
  EXPECT_EQ(again["receives"], 2);
  EXPECT_EQ(w.ask("queue/jobs", "nack", json{{"receipt", again["receipt"]}, {"delaySeconds", 5}}.dump()), "true");
  w.pass(4999ms);
  EXPECT_EQ(receive().size(), 0U);
  EXPECT_EQ(stats()["delayed"], 1);
  w.pass(1ms);
  EXPECT_EQ(receive().size(), 1U);
}

TEST_F(queues, extend_the_time_that_a_receiver_has) {
  enqueue(R"({"value":"x"})");
  const auto got = receive(R"({"visibilitySeconds":2})")[0];
  w.pass(1s);
  EXPECT_EQ(w.ask("queue/jobs", "extend", json{{"receipt", got["receipt"]}, {"visibilitySeconds", 10}}.dump()), "true");
  w.pass(9s);
  EXPECT_EQ(receive().size(), 0U);
  w.pass(1s);
  EXPECT_EQ(receive().size(), 1U);
}

TEST_F(queues, keep_a_delayed_message_back_until_its_time) {
  enqueue(R"({"value":"later","delaySeconds":1.5})");
  enqueue(R"({"value":"now"})");
  EXPECT_EQ(receive(R"({"max":10})")[0]["value"], "now");
  w.pass(1499ms);
  EXPECT_EQ(receive().size(), 0U);
  w.pass(1ms);
  EXPECT_EQ(receive()[0]["value"], "later");
}

TEST_F(queues, take_a_message_of_one_dedup_id_once_within_the_window) {
  EXPECT_EQ(enqueue(R"({"value":1,"dedupId":"order-7"})"), R"({"id":1})");
  EXPECT_EQ(enqueue(R"({"value":1,"dedupId":"order-7"})"), R"({"duplicate":true,"id":1})");
  EXPECT_EQ(ack(receive()[0]), "true");
  EXPECT_EQ(enqueue(R"({"value":1,"dedupId":"order-7"})"), R"({"duplicate":true,"id":1})");
  w.pass(5min);
  EXPECT_EQ(enqueue(R"({"value":1,"dedupId":"order-7"})"), R"({"id":2})");
}

// ---- waiting ----

TEST_F(queues, let_a_receiver_wait_and_give_it_the_message_that_comes) {
  const auto waiting = w.ask_later("queue/jobs", "receive", R"({"waitSeconds":20})");
  EXPECT_EQ(w.answer(waiting), "waits");
  w.pass(5s);
  enqueue(R"({"value":"here"})");
  EXPECT_THAT(w.answer(waiting), HasSubstr(R"("value":"here")"));
  EXPECT_EQ(stats()["waiting"], 0);
}

TEST_F(queues, answer_a_receiver_that_waited_in_vain_with_nothing) {
  const auto waiting = w.ask_later("queue/jobs", "receive", R"({"waitSeconds":20})");
  w.pass(19999ms);
  EXPECT_EQ(w.answer(waiting), "waits");
  w.pass(1ms);
  EXPECT_EQ(w.answer(waiting), "[]");
}

TEST_F(queues, serve_receivers_in_the_order_in_which_they_came) {
  const auto first = w.ask_later("queue/jobs", "receive", R"({"waitSeconds":20})");
  const auto second = w.ask_later("queue/jobs", "receive", R"({"waitSeconds":20})");
  enqueue(R"({"value":"a"})");
  EXPECT_THAT(w.answer(first), HasSubstr(R"("a")"));
  EXPECT_EQ(w.answer(second), "waits");
  enqueue(R"({"value":"b"})");
  EXPECT_THAT(w.answer(second), HasSubstr(R"("b")"));
}

TEST_F(queues, give_nothing_to_a_receiver_whose_call_is_over) {
  const auto gone = w.ask_later("queue/jobs", "receive", R"({"waitSeconds":60})", w.now + 5s);
  w.pass(5s);
  EXPECT_THAT(w.answer(gone), HasSubstr("deadline_exceeded"));
  enqueue(R"({"value":"x"})");
  const auto got = receive();
  ASSERT_EQ(got.size(), 1U) << "it is not with the one that is gone";
  EXPECT_EQ(got[0]["receives"], 1);
}

TEST_F(queues, wake_a_waiting_receiver_with_a_message_whose_visibility_ended) {
  enqueue(R"({"value":"x"})");
  receive(R"({"visibilitySeconds":3})");
  const auto waiting = w.ask_later("queue/jobs", "receive", R"({"waitSeconds":20})");
  w.pass(3s);
  EXPECT_THAT(w.answer(waiting), HasSubstr(R"("receives":2)"));
}

TEST_F(queues, bound_the_number_of_receivers_that_wait_and_count_only_those_that_still_do) {
  define(w, R"({"maxWaiting":2})");
  w.ask_later("queue/jobs", "receive", R"({"waitSeconds":60})", w.now + 1s);
  w.ask_later("queue/jobs", "receive", R"({"waitSeconds":60})");
  EXPECT_THAT(w.ask("queue/jobs", "receive", R"({"waitSeconds":60})"),
              HasSubstr("overloaded: queue.receive: 2 callers wait already, as many as options.maxWaiting allows"));
  w.pass(2s);
  EXPECT_EQ(w.answer(w.ask_later("queue/jobs", "receive", R"({"waitSeconds":60})")), "waits");
}

// ---- dead letters ----

TEST_F(queues, put_a_message_that_was_received_too_often_among_the_dead_letters) {
  enqueue(R"({"value":"poison"})");
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(receive().size(), 1U);
    w.pass(30s);
  }
  EXPECT_EQ(w.ask("queue/jobs", "nack", receive()[0]["receipt"].dump()), "true");
  EXPECT_EQ(receive().size(), 0U);
  const auto dead = json::parse(w.ask("queue/jobs", "dead"));
  ASSERT_EQ(dead.size(), 1U);
  EXPECT_EQ(dead[0]["value"], "poison");
  EXPECT_EQ(dead[0]["receives"], 3);
  EXPECT_EQ(stats()["dead"], 1);
}

TEST_F(queues, never_give_up_a_message_where_the_class_says_so) {
  define(w, R"({"maxReceives":0,"visibilitySeconds":1})");
  enqueue(R"({"value":"x"})");
  for (int i = 1; i <= 20; ++i) {
    EXPECT_EQ(receive()[0]["receives"], i);
    w.pass(1s);
  }
}

TEST_F(queues, redrive_dead_letters_with_all_their_chances_and_no_old_receipt_fits) {
  define(w, R"({"maxReceives":1,"visibilitySeconds":1})");
  enqueue(R"({"value":"a"})");
  enqueue(R"({"value":"b"})");
  const auto old = receive(R"({"max":2})");
  w.pass(1s);
  EXPECT_EQ(w.ask("queue/jobs", "redrive", "2"), "1");
  EXPECT_EQ(w.ask("queue/jobs", "redrive", "2"), "0");
  const auto again = receive(R"({"max":2})");
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0]["value"], "b");
  EXPECT_EQ(again[0]["receives"], 1);
  EXPECT_THAT(ack(old[1]), HasSubstr("conflict"));
  EXPECT_EQ(w.ask("queue/jobs", "redrive"), "1");
  EXPECT_EQ(receive()[0]["value"], "a");
}

TEST_F(queues, purge_dead_letters_or_everything) {
  define(w, R"({"maxReceives":1,"visibilitySeconds":1})");
  enqueue(R"({"value":"a"})");
  receive();
  w.pass(1s);
  enqueue(R"({"value":"b"})");
  enqueue(R"({"value":"c","delaySeconds":5})");
  EXPECT_THAT(w.ask("queue/jobs", "purge"), HasSubstr(R"(queue.purge takes "dead" for the dead letters, or "all")"));
  EXPECT_THAT(w.ask("queue/jobs", "purge", R"("some")"), HasSubstr("what is 'some'"));
  EXPECT_EQ(w.ask("queue/jobs", "purge", R"("dead")"), "1");
  EXPECT_EQ(w.ask("queue/jobs", "purge", R"("all")"), "2");
  EXPECT_EQ(stats()["bytes"], state_overhead);
}

// ---- bounds ----

TEST_F(queues, refuse_more_messages_than_the_class_allows) {
  define(w, R"({"maxMessages":2})");
  enqueue(R"({"value":1})");
  enqueue(R"({"value":2})");
  EXPECT_EQ(enqueue(R"({"value":3})"),
            "overloaded: queue.enqueue: the queue holds 2 messages, 0 of them dead letters; options.maxMessages allows "
            "2; retry later");
  EXPECT_EQ(ack(receive()[0]), "true");
  EXPECT_EQ(enqueue(R"({"value":3})"), R"({"id":3})");
}

TEST_F(queues, refuse_more_bytes_than_the_state_may_have_and_the_snapshot_has_no_more) {
  define(w, "null", 4000);
  int taken = 0;
  for (std::string reply; taken < 1000; ++taken) {
    reply = enqueue(R"({"value":"0123456789","dedupId":")" + std::to_string(taken) + "\"}");
    if (reply.starts_with("overloaded")) {
      EXPECT_THAT(reply, HasSubstr("limits.stateBytes allows 4000; retry later"));
      break;
    }
  }
  EXPECT_GT(taken, 30);
  EXPECT_LT(taken, 60);
  receive(R"({"max":100})");
  const auto packed = w.rt.take(w.now, named("queue/jobs"), w.out);
  ASSERT_TRUE(packed);
  EXPECT_LE(packed->state.cbor().size(), 4000U);
}

TEST_F(queues, refuse_a_value_that_no_reply_could_hold) {
  const auto text = [](std::size_t size) { return R"({"value":")" + std::string(size, 'x') + "\"}"; };
  EXPECT_THAT(enqueue(text(value_bytes_max - 260)), HasSubstr("too_large: queue.enqueue: the value has"));
  EXPECT_EQ(enqueue(text(value_bytes_max - 300)), R"({"id":1})");
  EXPECT_EQ(receive()[0]["value"].get<std::string>().size(), value_bytes_max - 300);
}

TEST_F(queues, hand_out_no_more_at_once_than_a_reply_holds) {
  for (int i = 0; i < 3; ++i)
    enqueue(R"({"value":")" + std::string(300'000, 'x') + "\"}");
  EXPECT_EQ(receive(R"({"max":10})").size(), 3U);
  w.pass(30s);
  w.ask("queue/jobs", "purge", R"("all")");
  for (int i = 0; i < 2; ++i)
    enqueue(R"({"value":")" + std::string(524'000, 'x') + "\"}");
  EXPECT_EQ(receive(R"({"max":10})").size(), 2U);
}

TEST_F(queues, refuse_arguments_of_another_shape_and_say_what_they_take) {
  EXPECT_THAT(enqueue("5"), HasSubstr(R"(invalid_argument: queue.enqueue takes {"value": ..., "delaySeconds": N)"));
  EXPECT_THAT(enqueue("{}"), HasSubstr("not an object without a value"));
  EXPECT_THAT(enqueue(R"({"value":1,"delaySeconds":-1})"), HasSubstr("delaySeconds is -1, and has to be 0 to 604800"));
  EXPECT_THAT(enqueue(R"({"value":1,"delaySeconds":"1s"})"), HasSubstr("not a delaySeconds that is a string"));
  EXPECT_THAT(enqueue(R"({"value":1,"dedupId":""})"), HasSubstr("dedupId has 0 bytes, and may have 1 to 256"));
  EXPECT_THAT(enqueue(R"({"value":1,"delay":1})"), HasSubstr("not an object with the field 'delay'"));
  EXPECT_THAT(w.ask("queue/jobs", "receive", R"({"max":101})"), HasSubstr("max is 101, and has to be 1 to 100"));
  EXPECT_THAT(w.ask("queue/jobs", "ack", R"("nonsense")"), HasSubstr("'nonsense' is no receipt"));
  EXPECT_THAT(w.ask("queue/jobs", "ack", R"("1.2")"), HasSubstr("is no receipt"));
  EXPECT_EQ(w.rt.find(named("queue/jobs"))->restarts, 0U);
}

// ---- moving and crashing ----

TEST_F(queues, move_with_messages_times_and_receipts) {
  define(w, R"({"maxReceives":1,"visibilitySeconds":10})");
  enqueue(R"({"value":"dead"})");
  receive();
  w.pass(10s);
  enqueue(R"({"value":"held"})");
  const auto held = receive()[0];
  enqueue(R"({"value":"ready","dedupId":"d"})");
  enqueue(R"({"value":"delayed","delaySeconds":20})");
  w.pass(4s);
  world other;
  define(other, R"({"maxReceives":2,"visibilitySeconds":10})");
  w.move("queue/jobs", other);
  EXPECT_EQ(json::parse(other.ask("queue/jobs", "dead"))[0]["value"], "dead");
  EXPECT_EQ(other.ask("queue/jobs", "enqueue", R"({"value":1,"dedupId":"d"})"), R"({"duplicate":true,"id":3})");
  EXPECT_EQ(receive_in(other)[0]["value"], "ready");
  other.pass(5999ms);
  EXPECT_EQ(receive_in(other).size(), 0U);
  other.pass(1ms);
  EXPECT_EQ(receive_in(other)[0]["value"], "held");
  EXPECT_THAT(other.ask("queue/jobs", "ack", held["receipt"].dump()), HasSubstr("conflict")) << "its time was over";
  other.pass(10s);
  const auto stats = json::parse(other.ask("queue/jobs", "stats"));
  EXPECT_EQ(stats["delayed"], 0);
  EXPECT_EQ(other.ask("queue/jobs", "enqueue", R"({"value":1})"), R"({"id":5})");
}

TEST_F(queues, take_receivers_that_wait_along_when_they_move) {
  const auto waiting = w.ask_later("queue/jobs", "receive", R"({"waitSeconds":20})", w.now + 30s);
  world other;
  define(other);
  w.move("queue/jobs", other);
  EXPECT_EQ(w.answer(waiting), "waits");
  EXPECT_EQ(w.rt.next_deadline(), never);
  EXPECT_EQ(other.ask("queue/jobs", "enqueue", R"({"value":"there"})"), R"({"id":1})");
  EXPECT_THAT(other.answer(waiting), HasSubstr(R"("value":"there")"));
}

TEST_F(queues, let_receivers_wait_on_when_their_state_is_replaced) {
  enqueue(R"({"value":"a"})");
  const auto copy = w.rt.read_state(named("queue/jobs"));
  ASSERT_TRUE(copy);
  receive();
  const auto waiting = w.ask_later("queue/jobs", "receive", R"({"visibilitySeconds":5,"waitSeconds":20})");
  ASSERT_TRUE(w.rt.replace_state(w.now, named("queue/jobs"), copy->state, {}, w.out));
  w.run();
  EXPECT_THAT(w.answer(waiting), HasSubstr(R"("value":"a")")) << "the state has a message for it";
  const auto next = w.ask_later("queue/jobs", "receive", R"({"waitSeconds":20})");
  ASSERT_TRUE(w.rt.replace_state(w.now, named("queue/jobs"), w.rt.read_state(named("queue/jobs"))->state, {}, w.out));
  w.pass(5s);
  EXPECT_THAT(w.answer(next), HasSubstr(R"("receives":2)"));
}

TEST_F(queues, answer_those_that_wait_when_they_stop) {
  const auto waiting = w.ask_later("queue/jobs", "receive", R"({"waitSeconds":20})");
  EXPECT_TRUE(w.stop("queue/jobs"));
  EXPECT_THAT(w.answer(waiting), HasSubstr("process_exited: queue/jobs exited, normal"));
  EXPECT_EQ(w.rt.next_deadline(), never);
}

TEST_F(queues, answer_those_that_wait_when_their_class_becomes_another_kind) {
  const auto waiting = w.ask_later("queue/jobs", "receive", R"({"waitSeconds":20})");
  ASSERT_TRUE(w.rt.define(counter_class("queue")));
  EXPECT_EQ(w.ask("queue/jobs", "add"), "1");
  EXPECT_THAT(w.answer(waiting), HasSubstr("process_exited: queue/jobs exited, shutdown: its class has another"));
  EXPECT_EQ(w.rt.next_deadline(), never);
}

TEST_F(queues, refuse_receipts_of_a_life_that_a_crash_has_ended) {
  enqueue(R"({"value":"a"})");
  const auto lost = receive()[0];
  w.pass(1ms);
  EXPECT_TRUE(w.kill("queue/jobs"));
  w.run();
  enqueue(R"({"value":"b"})");
  receive();
  EXPECT_THAT(ack(lost), HasSubstr("is of an earlier life of this queue"));
}

TEST_F(queues, refuse_a_state_that_is_none_of_theirs) {
  for (const auto* wrong : {"1", "[]", "[1,2,3,4,5,6,7,8]", R"([2,1,1,1,1,[],[],[]])", R"([1,1,1,1,1,[[1]],[],[]])",
                            R"([1,1,1,1,1,[[1,1,1,0,0,5,"x"]],[],[]])", R"([1,1,1,1,1,[[1,1,1,0,2,null,"x"]],[],[]])",
                            R"([1,1,1,1,1,[],[],[["d","x",1]]])"}) {
    EXPECT_EQ(w.rt.install(w.now, {named("queue/jobs"), 1, 0, testing::json(wrong), {}}, w.out).error().code,
              errc::invalid_argument)
        << wrong;
  }
}

TEST_F(queues, do_by_cast_what_needs_no_answer) {
  w.cast("queue/jobs", "enqueue", R"({"value":"x"})");
  w.cast("queue/jobs", "ack", receive()[0]["receipt"].dump());
  EXPECT_EQ(stats()["acked"], 1);
}

}  // namespace
}  // namespace orrery::process
