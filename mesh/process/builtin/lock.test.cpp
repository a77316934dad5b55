#include "mesh/process/builtin/lock.hpp"

#include "mesh/kernel/core.hpp"
#include "mesh/process/testing.hpp"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace orrery::process {
namespace {

using namespace testing;
using nlohmann::json;
using ::testing::HasSubstr;

struct locks : ::testing::Test {
  locks() {
    define(w);
    EXPECT_TRUE(w.rt.define(counter_class()));
    // The time of day is far from the node's own clock, as it is on a real node.
    w.rt.set_wall_offset(std::chrono::hours{24 * 365 * 50});
  }
  static void define(world& in, std::string_view options = "null") {
    ASSERT_TRUE(in.rt.define(builtin_class(builtin_kind::lock, options)));
  }
  json acquire(std::string_view argument) { return acquire_in(w, argument); }
  static json acquire_in(world& in, std::string_view argument) {
    return json::parse(in.ask("lock/l", "acquire", argument));
  }
  std::uint64_t wait(const std::string& owner, const std::string& more = {}, time_point deadline = never) {
    return w.ask_later("lock/l", "acquire", R"({"owner":")" + owner + R"(","waitSeconds":60)" + more + "}", deadline);
  }
  std::string holder() { return w.ask("lock/l", "holder"); }
  json inspect() { return json::parse(w.ask("lock/l", "inspect")); }
  /// A process of this world, as its pid's text.
  std::string pid_of(std::string_view name) {
    w.ask(name, "get");
    return to_string(w.rt.find(named(name))->id);
  }
  world w;
};

TEST_F(locks, are_held_by_one_owner_at_a_time) {
  const auto first = acquire(R"({"owner":"a"})");
  EXPECT_EQ(first["acquired"], true);
  EXPECT_EQ(first["owner"], "a");
  EXPECT_EQ(first["expiresInSeconds"], 30);
  const auto second = acquire(R"({"owner":"b"})");
  EXPECT_EQ(second["acquired"], false);
  EXPECT_EQ(second["owner"], "a");
  EXPECT_EQ(holder(), R"("a")");
  EXPECT_EQ(w.ask("lock/l", "release", R"("b")"), "false");
  EXPECT_EQ(w.ask("lock/l", "release", R"("a")"), "true");
  EXPECT_EQ(w.ask("lock/l", "release", R"("a")"), "false");
  EXPECT_EQ(holder(), "null");
  EXPECT_EQ(acquire(R"({"owner":"b"})")["acquired"], true);
}

TEST_F(locks, give_their_holder_the_same_token_again_and_begin_its_lease_anew) {
  const auto first = acquire(R"({"owner":"a","ttlSeconds":10})");
  w.pass(9s);
  const auto again = acquire(R"({"owner":"a","ttlSeconds":10})");
  EXPECT_EQ(again["token"], first["token"]);
  w.pass(9s);
  EXPECT_EQ(holder(), R"("a")");
}

TEST_F(locks, free_themselves_when_a_lease_ends_even_if_nobody_asks) {
  acquire(R"({"owner":"a","ttlSeconds":2.5})");
  const auto next = wait("b");
  w.pass(2499ms);
  EXPECT_EQ(w.answer(next), "waits");
  w.pass(1ms);
  EXPECT_EQ(json::parse(w.answer(next))["owner"], "b");
}

TEST_F(locks, renew_a_lease_and_tell_whoever_holds_it_no_more) {
  const auto token = acquire(R"({"owner":"a","ttlSeconds":2})")["token"];
  w.pass(1s);
  EXPECT_EQ(json::parse(w.ask("lock/l", "renew", R"({"owner":"a","ttlSeconds":5})"))["expiresInSeconds"], 5);
  w.pass(4s);
  EXPECT_EQ(json::parse(w.ask("lock/l", "renew", R"("a")"))["expiresInSeconds"], 5) << "the lease keeps its length";
  EXPECT_EQ(json::parse(w.ask("lock/l", "renew", json{{"token", token}}.dump()))["token"], token);
  w.pass(5s);
  EXPECT_THAT(w.ask("lock/l", "renew", R"("a")"), HasSubstr("conflict: lock.renew: whoever asks does not hold it"));
  acquire(R"({"owner":"b"})");
  EXPECT_THAT(w.ask("lock/l", "renew", json{{"token", token}}.dump()), HasSubstr("'b' does"));
}

TEST_F(locks, pass_to_those_that_wait_in_the_order_in_which_they_came) {
  acquire(R"({"owner":"a"})");
  const auto b = wait("b");
  const auto c = wait("c");
  EXPECT_EQ(inspect()["waiting"], json::parse(R"([{"owner":"b"},{"owner":"c"}])"));
  w.ask("lock/l", "release", R"("a")");
  EXPECT_EQ(json::parse(w.answer(b))["acquired"], true);
  EXPECT_EQ(w.answer(c), "waits");
  EXPECT_EQ(acquire(R"({"owner":"d"})")["acquired"], false);
  w.ask("lock/l", "release", R"("b")");
  EXPECT_EQ(json::parse(w.answer(c))["acquired"], true);
}

TEST_F(locks, tell_a_caller_that_waited_in_vain_who_holds_it) {
  acquire(R"({"owner":"a","ttlSeconds":100})");
  const auto b = wait("b");
  w.pass(60s);
  const auto answer = json::parse(w.answer(b));
  EXPECT_EQ(answer["acquired"], false);
  EXPECT_EQ(answer["owner"], "a");
}

TEST_F(locks, are_never_granted_to_a_caller_that_has_gone) {
  acquire(R"({"owner":"a"})");
  const auto gone = wait("b", {}, w.now + 5s);
  w.pass(5s);
  EXPECT_THAT(w.answer(gone), HasSubstr("deadline_exceeded"));
  w.ask("lock/l", "release", R"("a")");
  EXPECT_EQ(holder(), "null");
}

TEST_F(locks, grant_tokens_that_only_grow_over_releases_moves_and_crashes) {
  std::int64_t last = 0;
  const auto grows = [&](world& in) {
    const auto token = acquire_in(in, R"({"owner":"a"})")["token"].get<std::int64_t>();
    EXPECT_GT(token, last);
    last = token;
    EXPECT_EQ(in.ask("lock/l", "release", json{{"token", token}}.dump()), "true");
  };
  for (int i = 0; i < 3; ++i)
    grows(w);
  world other;
  define(other);
  w.move("lock/l", other);
  for (int i = 0; i < 3; ++i)
    grows(other);
  // Elsewhere and afresh, on a node whose own clock has just begun.
  world third;
  third.now = time_point{1ms};
  define(third);
  third.rt.set_wall_offset(other.now - third.now + std::chrono::hours{24 * 365 * 50} + 1ms);
  grows(third);
  third.pass(1ms);
  EXPECT_TRUE(third.kill("lock/l"));
  grows(third);
}

// ---- processes as owners ----

TEST_F(locks, are_freed_at_once_when_the_process_that_holds_them_ends) {
  const auto pid = pid_of("counter/a");
  const auto got = acquire(json{{"pid", pid}}.dump());
  EXPECT_EQ(got["owner"], pid);
  EXPECT_EQ(got["expiresInSeconds"], json{}) << "it is watched, and needs no lease";
  EXPECT_EQ(inspect()["pid"], pid);
  const auto next = wait("b");
  w.pass(59s);
  EXPECT_EQ(w.answer(next), "waits");
  EXPECT_TRUE(w.kill("counter/a"));
  w.run();
  EXPECT_EQ(json::parse(w.answer(next))["acquired"], true);
}

TEST_F(locks, watch_their_holder_on_when_their_state_is_replaced) {
  acquire(json{{"pid", pid_of("counter/a")}}.dump());
  const auto next = wait("b");
  for (int i = 0; i < 3; ++i) {
    const auto copy = w.rt.read_state(named("lock/l"));
    ASSERT_TRUE(copy && w.rt.replace_state(w.now, named("lock/l"), copy->state, {}, w.out));
  }
  EXPECT_EQ(w.rt.ties_of(named("lock/l")).monitors.size(), 1U) << "once, however often it was replaced";
  EXPECT_EQ(w.answer(next), "waits");
  w.kill("counter/a");
  w.run();
  EXPECT_EQ(json::parse(w.answer(next))["acquired"], true);
}

TEST_F(locks, are_held_by_scripts_until_these_end) {
  ASSERT_TRUE(w.rt.define(lua_class(R"(return {call = {
      grab = function() return orrery.call("lock/l", "acquire", {pid = orrery.pid()}).acquired end,
      crash = function() error("on purpose") end}})")));
  EXPECT_EQ(w.ask("lua/a", "grab"), "true");
  EXPECT_EQ(holder(), "\"" + to_string(w.rt.find(named("lua/a"))->id) + "\"");
  EXPECT_EQ(w.ask("lua/b", "grab"), "false");
  w.ask("lua/a", "crash");
  EXPECT_EQ(holder(), "null");
  EXPECT_EQ(w.ask("lua/b", "grab"), "true");
}

TEST_F(locks, take_a_process_by_its_name_too_and_its_owner_may_have_a_name_of_its_own) {
  const auto pid = pid_of("counter/a");
  const auto got = acquire(R"({"pid":"counter/a","owner":"worker 7"})");
  EXPECT_EQ(got["owner"], "worker 7");
  EXPECT_EQ(inspect()["pid"], pid);
  EXPECT_TRUE(w.stop("counter/a"));
  w.run();
  EXPECT_EQ(holder(), "null");
}

TEST_F(locks, that_a_dead_process_asks_for_are_free_again_at_once) {
  const auto pid = pid_of("counter/a");
  w.stop("counter/a");
  EXPECT_EQ(acquire(json{{"pid", pid}}.dump())["acquired"], true);
  EXPECT_EQ(holder(), "null");
}

TEST_F(locks, keep_watching_their_holder_after_a_move_back_to_its_node) {
  const auto pid = pid_of("counter/a");
  acquire(json{{"pid", pid}}.dump());
  auto packed = w.rt.take(w.now, named("lock/l"), w.out);
  ASSERT_TRUE(packed);
  ASSERT_TRUE(w.rt.install(w.now, std::move(*packed), w.out));
  w.run();
  EXPECT_EQ(holder(), "\"" + pid + "\"");
  w.kill("counter/a");
  w.run();
  EXPECT_EQ(holder(), "null");
}

TEST_F(locks, that_a_process_ended_on_the_way_of_are_free_when_they_arrive) {
  const auto pid = pid_of("counter/a");
  acquire(json{{"pid", pid}}.dump());
  auto packed = w.rt.take(w.now, named("lock/l"), w.out);
  w.stop("counter/a");
  ASSERT_TRUE(w.rt.install(w.now, std::move(*packed), w.out));
  w.run();
  EXPECT_EQ(holder(), "null");
}

TEST_F(locks, keep_a_holder_whose_node_is_not_known_where_they_arrive_for_one_lease) {
  acquire(json{{"pid", pid_of("counter/a")}}.dump());
  world other;
  other.rt = runtime{{.node = {node_name{"demo-bbbbb"}, boot_number{8}}, .seed = 1}};
  define(other);
  w.move("lock/l", other);
  EXPECT_EQ(acquire_in(other, R"({"owner":"b"})")["acquired"], false);
  other.pass(30s);
  EXPECT_EQ(acquire_in(other, R"({"owner":"b"})")["acquired"], true);
}

// ---- bounds, shapes, moves ----

TEST_F(locks, bound_the_number_of_callers_that_wait) {
  define(w, R"({"maxWaiting":1})");
  acquire(R"({"owner":"a"})");
  wait("b");
  EXPECT_THAT(w.ask("lock/l", "acquire", R"({"owner":"c","waitSeconds":5})"),
              HasSubstr("overloaded: lock.acquire: 1 callers wait already"));
}

TEST_F(locks, refuse_an_owner_that_the_state_cannot_hold) {
  auto spec = builtin_class(builtin_kind::lock);
  spec.limits.state_bytes_max = 200;
  ASSERT_TRUE(w.rt.define(spec));
  EXPECT_THAT(
      w.ask("lock/l", "acquire", R"({"owner":")" + std::string(100, 'x') + "\"}"),
      HasSubstr("limit_exceeded: lock.acquire: the state would have about 228 bytes; limits.stateBytes allows 200"));
}

TEST_F(locks, refuse_arguments_of_another_shape_and_say_what_they_take) {
  EXPECT_THAT(w.ask("lock/l", "acquire"), HasSubstr("owner is missing: name the client, or give the pid"));
  EXPECT_THAT(w.ask("lock/l", "acquire", "5"), HasSubstr("invalid_argument: lock.acquire takes {\"owner\""));
  EXPECT_THAT(w.ask("lock/l", "acquire", R"({"owner":"a","ttlSeconds":0})"),
              HasSubstr("ttlSeconds is 0, and has to be 0.001 to 604800"));
  EXPECT_THAT(w.ask("lock/l", "acquire", R"({"owner":"a","permits":2})"), HasSubstr("the field 'permits'"));
  EXPECT_THAT(w.ask("lock/l", "acquire", R"({"pid":"nonsense"})"), HasSubstr("invalid_argument: lock.acquire: pid: "));
  EXPECT_THAT(w.ask("lock/l", "release", R"({"owner":"a","token":1})"), HasSubstr("one of them is enough"));
  EXPECT_THAT(w.ask("lock/l", "release"), HasSubstr("owner is missing"));
}

TEST_F(locks, move_with_their_holder_what_is_left_of_its_lease_and_those_that_wait) {
  const auto token = acquire(R"({"owner":"a","ttlSeconds":10})")["token"];
  w.pass(4s);
  const auto next = wait("b");
  world other;
  define(other);
  w.move("lock/l", other);
  EXPECT_EQ(acquire_in(other, R"({"owner":"c"})")["expiresInSeconds"], 6);
  EXPECT_EQ(json::parse(other.ask("lock/l", "inspect"))["token"], token);
  other.pass(5999ms);
  EXPECT_EQ(other.answer(next), "waits");
  other.pass(1ms);
  EXPECT_EQ(json::parse(other.answer(next))["owner"], "b");
}

TEST_F(locks, refuse_a_state_that_is_none_of_theirs) {
  for (const auto* wrong : {"1", "[]", "[1,null]", "[1,null,[1]]", "[2,null,[1,[]]]", R"([1,null,[1,[["a"]]]])",
                            R"([1,null,[1,[["a",0,1,null,null,0,""]]]])"}) {
    EXPECT_EQ(w.rt.install(w.now, {named("lock/l"), 1, 0, testing::json(wrong), {}}, w.out).error().code,
              errc::invalid_argument)
        << wrong;
  }
}

// ---- semaphores ----

struct semaphores : ::testing::Test {
  semaphores() { define(w); }
  static void define(world& in, std::string_view options = R"({"permits":3})") {
    ASSERT_TRUE(in.rt.define(builtin_class(builtin_kind::semaphore, options)));
  }
  json acquire(std::string_view argument) { return json::parse(w.ask("semaphore/s", "acquire", argument)); }
  std::string available() { return w.ask("semaphore/s", "available"); }
  world w;
};

TEST_F(semaphores, give_out_as_many_permits_as_they_have) {
  EXPECT_EQ(acquire(R"({"owner":"a"})")["acquired"], true);
  EXPECT_EQ(acquire(R"({"owner":"b","permits":2})")["permits"], 2);
  const auto no = acquire(R"({"owner":"c"})");
  EXPECT_EQ(no["acquired"], false);
  EXPECT_EQ(no["available"], 0);
  EXPECT_EQ(w.ask("semaphore/s", "release", R"("b")"), "true");
  EXPECT_EQ(available(), "2");
  EXPECT_THAT(w.ask("semaphore/s", "acquire", R"({"owner":"d","permits":4})"),
              HasSubstr("permits is 4, and has to be 1 to 3"));
}

TEST_F(semaphores, let_nobody_pass_one_who_waits_for_more) {
  acquire(R"({"owner":"a","permits":2})");
  const auto wants_two = w.ask_later("semaphore/s", "acquire", R"({"owner":"b","permits":2,"waitSeconds":60})");
  EXPECT_EQ(acquire(R"({"owner":"c"})")["acquired"], false) << "one is free, and b was first";
  const auto wants_one = w.ask_later("semaphore/s", "acquire", R"({"owner":"c","waitSeconds":60})");
  EXPECT_EQ(w.answer(wants_one), "waits");
  w.ask("semaphore/s", "release", R"("a")");
  EXPECT_EQ(json::parse(w.answer(wants_two))["acquired"], true);
  EXPECT_EQ(json::parse(w.answer(wants_one))["acquired"], true);
}

TEST_F(semaphores, refuse_another_number_to_one_that_holds_some) {
  acquire(R"({"owner":"a","permits":2})");
  EXPECT_EQ(acquire(R"({"owner":"a","permits":2})")["acquired"], true);
  EXPECT_THAT(w.ask("semaphore/s", "acquire", R"({"owner":"a","permits":1})"),
              HasSubstr("conflict: semaphore.acquire: 'a' holds 2 permits already, not 1"));
}

TEST_F(semaphores, can_be_resized_and_a_smaller_one_waits_until_enough_came_back) {
  acquire(R"({"owner":"a","permits":3})");
  const auto waiting = w.ask_later("semaphore/s", "acquire", R"({"owner":"b","waitSeconds":60})");
  EXPECT_EQ(w.ask("semaphore/s", "resize", "4"), R"({"available":0,"permits":4})");
  EXPECT_EQ(json::parse(w.answer(waiting))["acquired"], true);
  EXPECT_EQ(w.ask("semaphore/s", "resize", "2"), R"({"available":0,"permits":2})");
  w.ask("semaphore/s", "release", R"("b")");
  EXPECT_EQ(acquire(R"({"owner":"b"})")["acquired"], false);
  w.ask("semaphore/s", "release", R"("a")");
  EXPECT_EQ(available(), "2");
  EXPECT_THAT(w.ask("semaphore/s", "resize"), HasSubstr("semaphore.resize takes a number of permits"));
}

TEST_F(semaphores, move_with_their_holders_and_what_resize_said_and_free_leases_that_end) {
  acquire(R"({"owner":"a","ttlSeconds":5})");
  w.ask("semaphore/s", "resize", "2");
  w.pass(2s);
  acquire(R"({"owner":"b","ttlSeconds":5})");
  world other;
  define(other);
  w.move("semaphore/s", other);
  const auto seen = json::parse(other.ask("semaphore/s", "inspect"));
  EXPECT_EQ(seen["permits"], 2);
  EXPECT_EQ(seen["available"], 0);
  EXPECT_EQ(seen["holders"][0]["owner"], "a");
  EXPECT_EQ(seen["holders"][0]["heldSeconds"], 2);
  other.pass(3s);
  EXPECT_EQ(other.ask("semaphore/s", "available"), "1");
  other.pass(2s);
  EXPECT_EQ(other.ask("semaphore/s", "available"), "2");
}

}  // namespace
}  // namespace orrery::process
