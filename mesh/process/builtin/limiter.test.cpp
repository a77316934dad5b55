#include "mesh/process/builtin/limiter.hpp"

#include "mesh/process/testing.hpp"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace orrery::process {
namespace {

using namespace testing;
using nlohmann::json;
using ::testing::HasSubstr;

struct limiters : ::testing::Test {
  limiters() { define(w); }
  static void define(world& in, std::string_view options = R"({"rate":2,"burst":4})") {
    ASSERT_TRUE(in.rt.define(builtin_class(builtin_kind::limiter, options)));
  }
  json take(std::string_view argument = "null") { return json::parse(w.ask("limiter/a", "take", argument)); }
  std::uint64_t wait(std::string_view argument = "null", time_point deadline = never) {
    return w.ask_later("limiter/a", "wait", argument, deadline);
  }
  json get() { return json::parse(w.ask("limiter/a", "get")); }
  world w;
};

TEST_F(limiters, allow_a_burst_and_then_as_much_as_flows_in) {
  for (int left = 3; left >= 0; --left)
    EXPECT_EQ(take(),
              json::parse(R"({"allowed":true,"retryAfterSeconds":0,"remaining":)" + std::to_string(left) + "}"));
  EXPECT_EQ(take(), json::parse(R"({"allowed":false,"retryAfterSeconds":0.5,"remaining":0})"));
  w.pass(499ms);
  EXPECT_EQ(take()["allowed"], false);
  w.pass(1ms);
  EXPECT_EQ(take()["allowed"], true);
  EXPECT_EQ(take()["allowed"], false);
}

TEST_F(limiters, hold_no_more_than_the_burst_however_long_nobody_comes) {
  EXPECT_EQ(take("4")["allowed"], true);
  w.pass(std::chrono::hours{24 * 365});
  EXPECT_EQ(get()["remaining"], 4);
  EXPECT_EQ(take("4")["allowed"], true);
  EXPECT_EQ(take()["allowed"], false);
}

TEST_F(limiters, take_all_tokens_that_are_asked_for_or_none) {
  EXPECT_EQ(take("3")["allowed"], true);
  const auto no = take(R"({"tokens":3})");
  EXPECT_EQ(no["allowed"], false);
  EXPECT_EQ(no["retryAfterSeconds"], 1);
  EXPECT_EQ(no["remaining"], 1);
  EXPECT_EQ(take()["allowed"], true);
}

TEST_F(limiters, let_no_more_through_in_any_span_than_rate_and_burst_say) {
  define(w, R"({"rate":100,"burst":10})");
  int allowed = 0;
  for (int i = 0; i < 3000; ++i) {  // 3 seconds, a try each millisecond
    w.now += 1ms;
    if (take()["allowed"] == true) ++allowed;
  }
  EXPECT_EQ(allowed, 10 + 299) << "the first try found the bucket full, 2999 milliseconds before the last";
}

TEST_F(limiters, count_a_rate_in_the_time_that_it_is_said_for) {
  define(w, R"({"rate":100,"perSeconds":60,"burst":1})");
  EXPECT_EQ(take()["allowed"], true);
  EXPECT_EQ(take()["retryAfterSeconds"], 0.6);
  w.pass(600ms);
  EXPECT_EQ(take()["allowed"], true);
}

TEST_F(limiters, let_callers_wait_for_their_turn_and_take_does_not_pass_them) {
  take("4");
  const auto two = wait(R"({"tokens":2})");
  const auto one = wait();
  w.pass(600ms);
  EXPECT_EQ(take()["allowed"], false) << "a token is there, for those that were first";
  w.pass(400ms);
  EXPECT_EQ(json::parse(w.answer(two))["allowed"], true);
  EXPECT_EQ(w.answer(one), "waits");
  w.pass(500ms);
  EXPECT_EQ(json::parse(w.answer(one))["allowed"], true);
}

TEST_F(limiters, say_at_once_when_a_wait_would_be_too_long) {
  take("4");
  const auto patient = wait(R"({"tokens":4,"waitSeconds":2})");
  EXPECT_EQ(w.answer(patient), "waits");
  EXPECT_EQ(json::parse(w.ask("limiter/a", "wait", R"({"waitSeconds":2})")),
            json::parse(R"({"allowed":false,"retryAfterSeconds":2.5,"remaining":0})"));
}

TEST_F(limiters, give_no_token_to_a_caller_that_has_gone) {
  take("4");
  const auto gone = wait("null", w.now + 100ms);
  const auto next = wait();
  w.pass(100ms);
  EXPECT_THAT(w.answer(gone), HasSubstr("deadline_exceeded"));
  w.pass(400ms);
  EXPECT_EQ(json::parse(w.answer(next))["allowed"], true);
}

TEST_F(limiters, bound_the_number_of_callers_that_wait) {
  define(w, R"({"rate":1,"burst":1,"maxWaiting":1})");
  take();
  wait();
  EXPECT_THAT(w.ask("limiter/a", "wait"), HasSubstr("overloaded: limiter.wait: 1 callers wait already"));
}

TEST_F(limiters, can_be_set_for_one_process_and_what_was_taken_stays_taken) {
  take("4");
  const auto set = json::parse(w.ask("limiter/a", "configure", R"({"rate":10,"burst":8})"));
  EXPECT_EQ(set["rate"], 10);
  EXPECT_EQ(set["remaining"], 4);
  EXPECT_EQ(take("4")["allowed"], true);
  EXPECT_EQ(take()["retryAfterSeconds"], 0.1);
  EXPECT_EQ(json::parse(w.ask("limiter/b", "get"))["rate"], 2);
  EXPECT_EQ(json::parse(w.ask("limiter/a", "configure", "null"))["rate"], 2);
}

TEST_F(limiters, follow_a_class_whose_rate_changes) {
  take("4");
  define(w, R"({"rate":20,"burst":4})");
  EXPECT_EQ(get()["rate"], 20);
  w.pass(50ms);
  EXPECT_EQ(take()["allowed"], true);
}

TEST_F(limiters, are_full_again_after_a_reset) {
  take("4");
  const auto waiting = wait();
  EXPECT_EQ(json::parse(w.ask("limiter/a", "reset"))["remaining"], 3);
  EXPECT_EQ(json::parse(w.answer(waiting))["allowed"], true);
}

TEST_F(limiters, refuse_what_no_bucket_could_be_and_what_it_can_never_give) {
  EXPECT_THAT(w.ask("limiter/a", "take", "5"),
              HasSubstr("limiter.take takes a number of tokens (default 1): tokens is 5, and has to be 1 to 4"));
  EXPECT_THAT(w.ask("limiter/a", "take", "1.5"), HasSubstr("not a number with a fraction"));
  EXPECT_THAT(w.ask("limiter/a", "configure", R"({"rate":0})"), HasSubstr("rate is 0, and has to be 0.001 to 1000000"));
  EXPECT_THAT(w.ask("limiter/a", "configure", R"({"rate":0.001,"burst":1000000})"),
              HasSubstr("burst would take longer than a year to fill"));
}

TEST_F(limiters, move_with_what_was_taken_what_was_set_and_those_that_wait) {
  w.ask("limiter/a", "configure", R"({"rate":1,"burst":4})");
  take("4");
  const auto waiting = wait();
  w.pass(400ms);
  world other;
  define(other);
  w.move("limiter/a", other);
  EXPECT_EQ(json::parse(other.ask("limiter/a", "get"))["rate"], 1);
  other.pass(599ms);
  EXPECT_EQ(other.answer(waiting), "waits");
  other.pass(1ms);
  EXPECT_EQ(json::parse(other.answer(waiting))["allowed"], true);
}

TEST_F(limiters, refuse_a_state_that_is_none_of_theirs) {
  for (const auto* wrong : {"1", "[]", "[1,[],-1]", "[2,[],0]", "[1,[1,1,0],0]", "[1,[0,1000,1],0]", "[1,[],1e300]"}) {
    EXPECT_EQ(w.rt.install(w.now, {named("limiter/a"), 1, 0, testing::json(wrong), {}}, w.out).error().code,
              errc::invalid_argument)
        << wrong;
  }
}

}  // namespace
}  // namespace orrery::process
