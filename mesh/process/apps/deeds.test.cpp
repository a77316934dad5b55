// Effects of handlers in apps beside answers and timers: messages, groups, calls and monitors of their own; moves.
#include "mesh/process/apps/testing.hpp"

#include <gmock/gmock.h>

namespace orrery::process {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

/// A cart, of which an app has every callback, and counters beside it.
struct deeds_world : app_world {
  deeds_world() {
    EXPECT_TRUE(rt.define(counter_class()));
    EXPECT_TRUE(rt.define(lua_class(R"(
local c = {call = {}, cast = {}, info = {}}
function c.init() return {log = orrery.array()} end
function c.call.log(state) return state.log end
function c.cast.boom() error("boom") end
function c.info.hello(state, what) state.log[#state.log + 1] = what end
return c)")));
    come(everything());
    begin("cart/a");
  }
  static app_offer everything(std::uint64_t app = 1) {
    auto all = offer(app, 1, every_callback);
    all.add(app_callback::handoff);
    return all;
  }
  /// A message to the process, and what its handler did.
  void does(app_answer what, std::string_view name = "cart/a") {
    cast(name, "note");
    answer(work(), std::move(what));
  }
  void does(app_deed what, std::string_view name = "cart/a") {
    app_answer with;
    with.deeds.push_back(std::move(what));
    does(std::move(with), name);
  }
  /// "reply NAME ARGUMENT" of the only info, which is done then.
  std::string told() {
    const auto one = work();
    EXPECT_EQ(one.what, app_callback::info);
    answer(one);
    static constexpr std::array sources{"none", "timer", "message", "reply", "down"};
    return std::string{sources.at(static_cast<std::size_t>(one.source))} + " " + one.method + " " +
           one.argument.json_text();
  }
  std::string refusal() {
    const auto all = take<app_refused>();
    return all.empty() ? "" : to_string(all.front().why);
  }
};

TEST(app_deeds, send_a_message_to_a_name_or_a_pid) {
  deeds_world w;
  EXPECT_EQ(w.ask("lua/a", "log"), "[]");
  w.does(app_send{"lua/a", "hello", json("1")});
  w.does(app_send{"lua/b", "hello", json("2")});  // runs nowhere
  EXPECT_EQ(w.ask("lua/a", "log"), "[1]");
  w.does(app_send{to_string(*w.rt.whereis(named("cart/a"))), "self", json("3")});
  EXPECT_EQ(w.told(), "message self 3");
}

TEST(app_deeds, join_groups_and_publish_to_them) {
  deeds_world w;
  w.does(app_join{"room"});
  w.does(app_publish{"room", "said", json(R"("hi")")});
  EXPECT_EQ(w.told(), R"(message said "hi")");
  w.does(app_leave{"room"});
  w.does(app_publish{"room", "said", json(R"("hi")")});
  EXPECT_THAT(w.works(), IsEmpty());
}

TEST(app_deeds, ask_without_waiting_and_hear_the_answer_by_its_name) {
  deeds_world w;
  w.does(app_request{"sum", "counter/c", "add", json("4"), 5s});
  EXPECT_EQ(w.told(), R"(reply sum {"ok":4})");
  w.does(app_request{"sum", "counter/c", "nope", {}, 5s});
  EXPECT_THAT(w.told(), ::testing::AllOf(StartsWith(R"(reply sum {"error":{"code":"not_found")"),
                                         HasSubstr(R"("effect":"not_executed")")));
  w.does(app_request{"sum", "nope/c", "add", {}, 5s});
  EXPECT_THAT(w.told(), StartsWith(R"(reply sum {"error":{"code":"not_found")"));
}

TEST(app_deeds, ask_with_a_deadline) {
  deeds_world w;
  ASSERT_EQ(w.ask("counter/c", "get"), "0");
  ASSERT_TRUE(w.rt.suspend(named("counter/c")));
  w.does(app_request{"sum", "counter/c", "add", json("4"), 5s});
  EXPECT_THAT(w.works(), IsEmpty());
  w.pass(5s);
  EXPECT_THAT(w.told(), StartsWith(R"(reply sum {"error":{"code":"deadline_exceeded")"));
}

TEST(app_deeds, ask_again_under_a_name_in_place_of_what_was_asked_before) {
  deeds_world w;
  ASSERT_EQ(w.ask("counter/c", "get"), "0");
  ASSERT_TRUE(w.rt.suspend(named("counter/c")));
  w.does(app_request{"sum", "counter/c", "add", json("4"), 5s});
  w.does(app_request{"sum", "counter/d", "add", json("7"), 5s});
  EXPECT_EQ(w.told(), R"(reply sum {"ok":7})");
  ASSERT_TRUE(w.rt.resume(named("counter/c")));
  w.run();
  EXPECT_THAT(w.works(), IsEmpty());
}

TEST(app_deeds, watch_others_and_hear_of_their_end_by_name) {
  deeds_world w;
  ASSERT_EQ(w.ask("lua/a", "log"), "[]");
  const auto pid = to_string(*w.rt.whereis(named("lua/a")));
  w.does(app_monitor{"peer", "lua/a"});
  w.does(app_monitor{"other", "lua/a"});
  w.does(app_demonitor{"other"});
  w.cast("lua/a", "boom");
  EXPECT_THAT(w.told(), StartsWith(R"(down peer {"pid":")" + pid + R"(","reason":{"kind":"error")"));
  EXPECT_THAT(w.works(), IsEmpty());
  w.does(app_monitor{"peer", "lua/nobody"});
  EXPECT_THAT(w.told(), HasSubstr(R"("kind":"noproc")"));
  w.does(app_monitor{"peer", "nope/nobody"});
  EXPECT_THAT(w.told(), HasSubstr(R"(down peer {"pid":"nope/nobody","reason":{"kind":"noproc")"));
}

TEST(app_deeds, that_are_taken_back_or_asked_anew_before_it_is_told_that_they_fail_are_not_told) {
  deeds_world w;
  app_answer with;
  with.deeds.emplace_back(app_monitor{"peer", "nope/nobody"});
  with.deeds.emplace_back(app_demonitor{"peer"});
  with.deeds.emplace_back(app_request{"sum", "nope/nobody", "add", {}, 5s});
  with.deeds.emplace_back(app_request{"sum", "counter/c", "add", json("4"), 5s});
  w.does(std::move(with));
  EXPECT_EQ(w.told(), R"(reply sum {"ok":4})");
  EXPECT_THAT(w.works(), IsEmpty());
}

TEST(app_deeds, leave_room_for_their_answers_beside_the_state_that_moves) {
  deeds_world w;
  deeds_world to;
  EXPECT_TRUE(to.rt.stop(to.now, named("cart/a"), to.out));
  to.run();
  for (const auto& farewell : to.works())
    to.answer(farewell);
  ASSERT_EQ(w.ask("counter/c", "get"), "0");
  ASSERT_TRUE(w.rt.suspend(named("counter/c")));
  const auto with_state = [](std::size_t room) {
    app_answer out{.state = json('"' + std::string(value_bytes_max - room, 's') + '"')};
    for (std::size_t i = 0; i < app_asked_max; ++i)
      out.deeds.emplace_back(app_request{"sum" + std::to_string(i), "counter/c", "add", {}, 50s});
    return out;
  };
  w.does(with_state(60));
  EXPECT_THAT(w.refusal(), HasSubstr("limit_exceeded: its state and the answers that it waits for might have"));
  w.answer(w.work());  // it starts again
  w.does(with_state(400'000));
  EXPECT_EQ(w.refusal(), "");
  w.move("cart/a", to);
  EXPECT_EQ(to.work().state->cbor().size(), value_bytes_max - 400'000 + 5);
}

TEST(app_deeds, are_taken_whole_or_not_at_all) {
  deeds_world w;
  app_answer bad{.state = json("1")};
  bad.deeds.emplace_back(app_join{"room"});
  bad.deeds.emplace_back(app_send{"nonsense", "hello", {}});
  w.does(std::move(bad));
  EXPECT_THAT(w.refusal(), HasSubstr("'nonsense' is no pid"));
  EXPECT_THAT(w.rt.groups("", 10), IsEmpty());
  w.answer(w.work());  // it starts again
  w.does(app_publish{"room", "group_joined", {}});
  EXPECT_THAT(w.refusal(), HasSubstr("is the system's"));
}

TEST(app_deeds, ask_for_no_more_than_a_thousand_answers) {
  deeds_world w;
  app_answer many;
  for (std::size_t i = 0; i < app_asked_max; ++i)
    many.deeds.emplace_back(app_monitor{"m" + std::to_string(i), "cart/a"});
  w.does(many);
  EXPECT_EQ(w.refusal(), "");
  w.does(app_monitor{"m0", "cart/a"});  // in place of another
  EXPECT_EQ(w.refusal(), "");
  w.does(app_request{"one", "counter/c", "add", {}, 5s});
  EXPECT_THAT(w.refusal(), HasSubstr("limit_exceeded: it would wait for 1001 answers and ends"));
}

TEST(app_deeds, are_seen_to_by_a_handoff_where_the_process_moves) {
  deeds_world w;
  deeds_world to;
  EXPECT_TRUE(to.rt.stop(to.now, named("cart/a"), to.out));
  to.run();
  for (const auto& farewell : to.works())
    to.answer(farewell);
  ASSERT_EQ(w.ask("counter/c", "get"), "0");
  ASSERT_TRUE(w.rt.suspend(named("counter/c")));
  w.does(app_join{"room"});
  w.does(app_request{"sum", "counter/c", "add", json("4"), 50s});
  w.move("cart/a", to);
  const auto arrival = to.work();
  EXPECT_EQ(arrival.what, app_callback::handoff);
  EXPECT_EQ(arrival.state->json_text(), "{}");
  to.answer(arrival, {.state = json("1")});
  EXPECT_THAT(to.told(), ::testing::AllOf(HasSubstr(R"(reply sum {"error":{"code":"unavailable")"),
                                          HasSubstr(R"("effect":"unknown")")));
  to.does(app_publish{"room", "said", json("2")});
  EXPECT_EQ(to.told(), "message said 2");
}

TEST(app_deeds, that_were_to_come_as_a_late_reply_end_with_the_process_that_moves) {
  deeds_world w;
  const auto later = w.send("cart/a", "get", {}, w.now + 60s);
  w.run();
  w.answer(w.work(), {.later = true});
  app_world to;
  to.come(app_world::offer(1));
  w.move("cart/a", to);
  EXPECT_EQ(w.world::answer(later), "process_exited: cart/a exited, moved");
}

TEST(app_deeds, need_no_handoff) {
  deeds_world w;
  app_world to;
  to.come(app_world::offer(1));
  w.move("cart/a", to);
  EXPECT_THAT(to.works(), IsEmpty());
  to.cast("cart/a", "note");
  EXPECT_EQ(to.work().what, app_callback::cast);
}

TEST(app_deeds, go_on_with_their_continue_where_an_app_is_when_theirs_has_gone) {
  deeds_world w;
  app_world between;  // where no app is
  deeds_world to;
  EXPECT_TRUE(to.rt.stop(to.now, named("cart/a"), to.out));
  to.run();
  for (const auto& farewell : to.works())
    to.answer(farewell);
  w.cast("cart/a", "note");
  const auto last = w.work();
  w.rt.from_app(w.now, app_drains{app_id{1}, {}}, w.out);
  w.answer(last, {.next = json("7")});
  w.move("cart/a", between);
  between.move("cart/a", to);
  const auto arrival = to.work();
  EXPECT_EQ(arrival.what, app_callback::handoff);
  to.answer(arrival);
  const auto goes_on = to.work();
  EXPECT_EQ(goes_on.what, app_callback::resume);
  EXPECT_EQ(goes_on.argument.json_text(), "7");
  to.answer(goes_on);
  EXPECT_THAT(to.works(), IsEmpty());
}

TEST(app_deeds, stay_where_they_are_with_more_than_a_handoff_may_hold) {
  deeds_world w;
  w.cast("cart/a", "note");
  const auto last = w.work();
  w.rt.from_app(w.now, app_drains{app_id{1}, {}}, w.out);
  const auto much = json('"' + std::string(600'000, 's') + '"');
  w.answer(last, {.state = much, .next = much});
  const auto taken = w.rt.take(w.now, named("cart/a"), w.out);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, errc::too_large);
  EXPECT_TRUE(w.rt.find(named("cart/a")));
}

TEST(app_deeds, that_were_lost_on_the_way_are_told_after_a_second_move_too) {
  deeds_world w;
  app_world between;  // where no app is
  deeds_world to;
  EXPECT_TRUE(to.rt.stop(to.now, named("cart/a"), to.out));
  to.run();
  for (const auto& farewell : to.works())
    to.answer(farewell);
  ASSERT_EQ(w.ask("counter/c", "get"), "0");
  ASSERT_TRUE(w.rt.suspend(named("counter/c")));
  w.does(app_request{"sum", "counter/c", "add", json("4"), 50s});
  w.move("cart/a", between);
  between.move("cart/a", to);
  to.answer(to.work());
  EXPECT_THAT(to.told(), HasSubstr(R"(reply sum {"error":{"code":"unavailable")"));
  EXPECT_THAT(to.works(), IsEmpty());
}

}  // namespace
}  // namespace orrery::process
