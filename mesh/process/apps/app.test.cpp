// Processes whose callbacks run in an app: one message at a time for each, what their answers do, how they fail.
#include "mesh/process/apps/testing.hpp"
#include "mesh/wire/trace_context.hpp"

namespace orrery::process {
namespace {

using namespace testing;
using kind = process_event::kind;

TEST(app_hosted_processes, begin_with_the_state_that_init_gives_and_keep_what_calls_make_of_it) {
  app_world w;
  w.come(app_world::offer(1));
  const auto told = w.take<app_class>();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].state, app_class_state::ready);
  EXPECT_FALSE(told[0].refused);

  const auto token = w.send("cart/ada", "add", json(R"({"item": "pen"})"));
  w.run();
  const auto init = w.work();
  EXPECT_EQ(init.what, app_callback::init);
  EXPECT_EQ(init.name, named("cart/ada"));
  EXPECT_FALSE(init.state);
  w.answer(init, {.state = json(R"({"items": 0})")});

  const auto add = w.work();
  EXPECT_EQ(add.what, app_callback::call);
  EXPECT_EQ(add.method, "add");
  EXPECT_EQ(add.argument, json(R"({"item": "pen"})"));
  EXPECT_EQ(add.state, json(R"({"items": 0})"));
  EXPECT_NE(add.caller, 0U);
  w.answer(add, {.reply = json("1"), .state = json(R"({"items": 1})")});
  EXPECT_EQ(w.reply_to(token), json("1"));

  const auto second = w.send("cart/ada", "get");
  w.run();
  const auto get = w.work();
  EXPECT_EQ(get.state, json(R"({"items": 1})"));
  w.answer(get, {.reply = json("1")});
  EXPECT_EQ(w.reply_to(second), json("1"));
  EXPECT_EQ(w.rt.counted().calls_handled, 2U);
  EXPECT_EQ(w.rt.counted().app_works, 3U);
}

TEST(app_hosted_processes, handle_one_message_at_a_time_each_and_many_side_by_side) {
  app_world w;
  w.come(app_world::offer(1, 1, {}));
  for (const char* name : {"cart/a", "cart/a", "cart/b", "cart/b", "cart/c"})
    w.cast(name, "note");
  const auto first = w.works();
  ASSERT_EQ(first.size(), 3U);
  EXPECT_EQ(first[0].name, named("cart/a"));
  EXPECT_EQ(first[2].name, named("cart/c"));
  w.answer(first[1]);
  EXPECT_EQ(w.work().name, named("cart/b"));
  w.answer(first[2]);
  EXPECT_TRUE(w.works().empty());
}

TEST(app_hosted_processes, without_an_init_begin_with_null) {
  app_world w;
  w.come(app_world::offer(1, 1, {}));
  w.cast("cart/a", "note");
  EXPECT_EQ(w.work().state, value{});
}

TEST(app_hosted_processes, refuse_methods_that_no_app_has) {
  app_world w;
  w.come(app_world::offer(1));
  EXPECT_EQ(w.ask("cart/a", "pay"), "not_found: class 'cart' has no method 'pay' for a call; it has: add, get");
  EXPECT_EQ(w.rt.count(), 0U);
}

TEST(app_hosted_processes, tell_callers_of_refusals_and_live_on) {
  app_world w;
  w.come(app_world::offer(1, 1, {}));
  const auto token = w.send("cart/a", "add");
  w.run();
  w.answer(w.work(), {.refusal = error{errc::conflict, "sold out", took_effect::not_executed}});
  EXPECT_EQ(w.reply_to(token).error(), (error{errc::conflict, "sold out", took_effect::not_executed}));
  EXPECT_EQ(w.rt.count(), 1U);
}

TEST(app_hosted_processes, take_merge_patches_of_their_state) {
  app_world w;
  w.come(app_world::offer(1));
  w.begin("cart/a", R"({"a": 1, "b": {"c": 2, "d": 3}})");
  w.cast("cart/a", "note");
  w.answer(w.work(), {.patch = json(R"({"a": null, "b": {"c": 4}, "e": 5})")});
  w.cast("cart/a", "note");
  EXPECT_EQ(w.work().state, json(R"({"b": {"c": 4, "d": 3}, "e": 5})"));
}

TEST(app_hosted_processes, get_the_trace_of_who_sent_a_message_and_others_do_not_see_it) {
  const auto* const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  app_world w;
  ASSERT_TRUE(w.rt.define(counter_class()));
  w.come(app_world::offer(1, 1, {}));
  w.send("cart/a", "get", with_trace(json("[1]"), trace));
  w.run();
  const auto get = w.work();
  EXPECT_EQ(get.trace, trace);
  EXPECT_EQ(get.argument, json("[1]"));
  const auto token = w.send("counter/a", "add", with_trace(json("5"), trace));
  w.run();
  EXPECT_EQ(w.reply_to(token), json("5"));
}

TEST(app_hosted_processes, show_their_state_as_it_is_and_take_another_between_two_messages) {
  app_world w;
  w.come(app_world::offer(1, 3));
  w.begin("cart/a", "[1]");
  const auto before = w.rt.read_state(named("cart/a"));
  ASSERT_TRUE(before);
  EXPECT_EQ(before->state, json("[1]"));
  w.cast("cart/a", "note");
  const auto noting = w.work();
  EXPECT_EQ(w.rt.replace_state(w.now, named("cart/a"), json("[9]"), {}, w.out).error().code, errc::unavailable);
  const auto during = w.rt.read_state(named("cart/a")).value();
  w.answer(noting, {.state = json("[2]")});
  EXPECT_EQ(w.rt.replace_state(w.now, named("cart/a"), json("[9]"), during.version, w.out).error().code, errc::conflict)
      << "the answer came since";
  ASSERT_TRUE(w.rt.replace_state(w.now, named("cart/a"), json("[9]"), {}, w.out));
  w.cast("cart/a", "note");
  const auto next = w.work();
  EXPECT_EQ(next.state, json("[9]"));
  EXPECT_EQ(next.state_version, 3U);
}

TEST(app_hosted_processes, that_get_another_state_while_they_wait_go_on_with_it_and_answer_who_waits_for_them) {
  app_world w;
  w.come(app_world::offer(1, 1, {}));
  const auto later = w.send("cart/a", "get");
  w.run();
  const auto get = w.work();
  w.answer(get, {.later = true});
  w.leave(1);
  w.cast("cart/a", "note");
  ASSERT_TRUE(w.rt.replace_state(w.now, named("cart/a"), json("[9]"), {}, w.out));
  w.run();
  w.come(app_world::offer(2, 1, {}));
  const auto noting = w.work();
  EXPECT_EQ(noting.state, json("[9]"));
  app_answer answer;
  answer.deeds.emplace_back(app_late_reply{get.caller, json("5")});
  w.answer(noting, std::move(answer));
  EXPECT_EQ(w.reply_to(later), json("5"));
}

TEST(app_hosted_processes, send_casts_in_order) {
  app_world w;
  w.come(app_world::offer(1, 1, {}));
  w.cast("cart/a", "note");
  app_answer answer;
  answer.deeds.emplace_back(app_cast{named("log/x"), "first", json("1")});
  answer.deeds.emplace_back(app_cast{named("log/x"), "second", json("2")});
  w.answer(w.work(), std::move(answer));
  ASSERT_EQ(w.casts.size(), 2U);
  EXPECT_EQ(w.casts[0].method, "first");
  EXPECT_EQ(w.casts[1].argument, json("2"));
}

TEST(app_hosted_processes, go_on_before_other_messages_where_they_asked_to) {
  app_world w;
  w.come(app_world::offer(1, 1, {app_callback::resume}));
  w.cast("cart/a", "note", "1");
  w.cast("cart/a", "note", "2");
  w.answer(w.work(), {.next = json("[7]")});
  const auto next = w.work();
  EXPECT_EQ(next.what, app_callback::resume);
  EXPECT_EQ(next.argument, json("[7]"));
  w.answer(next);
  EXPECT_EQ(w.work().argument, json("2"));
}

TEST(app_hosted_processes, answer_callers_later) {
  app_world w;
  w.come(app_world::offer(1, 1, {}));
  const auto token = w.send("cart/a", "get");
  w.run();
  const auto get = w.work();
  w.answer(get, {.later = true});
  EXPECT_FALSE(w.reply_to(token));
  w.cast("cart/a", "note");
  app_answer answer;
  answer.deeds.emplace_back(app_late_reply{get.caller, json("5")});
  answer.deeds.emplace_back(app_late_reply{get.caller, json("6")});
  w.answer(w.work(), std::move(answer));
  EXPECT_EQ(w.reply_to(token), json("5"));
}

TEST(app_hosted_processes, stop_when_they_want_to_and_say_farewell) {
  app_world w;
  auto spec = cart_class();
  spec.version = 2;
  spec.supervision.restart = restart_type::transient;
  ASSERT_TRUE(w.rt.define(spec));
  w.come(app_world::offer(1, 1, {app_callback::terminate}));
  const auto token = w.send("cart/a", "get");
  w.run();
  w.answer(w.work(), {.reply = json("1"), .state = json("[9]"), .stop = exit_reason{}});
  EXPECT_EQ(w.reply_to(token), json("1"));
  EXPECT_EQ(w.rt.count(), 0U);
  const auto last = w.work();
  EXPECT_EQ(last.what, app_callback::terminate);
  EXPECT_EQ(last.state, json("[9]"));
  EXPECT_EQ(last.reason, exit_reason{});
  app_answer answer;
  answer.deeds.emplace_back(app_cast{named("log/x"), "bye", {}});
  w.answer(last, std::move(answer));
  EXPECT_EQ(w.casts.size(), 1U);
}

// ---- timers ----

app_answer with_timer(std::string name, duration delay, std::string_view argument = "null") {
  app_answer out;
  out.deeds.emplace_back(app_timer{std::move(name), delay, json(argument)});
  return out;
}

TEST(app_timers, fire_with_their_argument_and_only_once) {
  app_world w;
  w.come(app_world::offer(1, 1, {app_callback::info}));
  w.cast("cart/a", "note");
  w.answer(w.work(), with_timer("remind", 2s, "[3]"));
  w.pass(1s);
  EXPECT_TRUE(w.works().empty());
  w.pass(1100ms);
  const auto fired = w.work();
  EXPECT_EQ(fired.what, app_callback::info);
  EXPECT_EQ(fired.source, app_source::timer);
  EXPECT_EQ(fired.method, "remind");
  EXPECT_EQ(fired.argument, json("[3]"));
  w.answer(fired);
  w.pass(10s);
  EXPECT_TRUE(w.works().empty());
}

TEST(app_timers, set_anew_fire_only_as_they_were_set_last) {
  app_world w;
  w.come(app_world::offer(1, 1, {app_callback::info}));
  w.cast("cart/a", "note");
  w.answer(w.work(), with_timer("remind", 2s, "1"));
  w.cast("cart/a", "note");
  const auto noting = w.work();
  w.pass(3s);  // the first fires, and waits
  w.answer(noting, with_timer("remind", 2s, "2"));
  EXPECT_TRUE(w.works().empty());
  w.pass(3s);
  EXPECT_EQ(w.work().argument, json("2"));
}

TEST(app_timers, that_are_cancelled_do_not_fire_even_where_they_have_and_wait) {
  app_world w;
  w.come(app_world::offer(1, 1, {app_callback::info}));
  w.cast("cart/a", "note");
  w.answer(w.work(), with_timer("remind", 2s));
  w.cast("cart/a", "note");
  const auto noting = w.work();
  w.pass(3s);
  app_answer answer;
  answer.deeds.emplace_back(app_cancel_timer{"remind"});
  answer.deeds.emplace_back(app_cancel_timer{"nothing"});
  w.answer(noting, std::move(answer));
  w.pass(3s);
  EXPECT_TRUE(w.works().empty());
}

// ---- failures ----

TEST(app_failures, a_handler_that_throws_ends_its_process_alone) {
  app_world w;
  w.come(app_world::offer(1));
  w.begin("cart/a");
  w.begin("cart/b", "[2]");
  const auto token = w.send("cart/a", "add");
  const auto waiting = w.send("cart/a", "get");
  w.run();
  w.answer(w.work(), {.crash = "KeyError: 'x'"});
  EXPECT_EQ(w.reply_to(token).error().code, errc::process_exited);
  EXPECT_EQ(w.reply_to(token).error().effect, took_effect::unknown);
  EXPECT_EQ(w.reply_to(waiting).error().effect, took_effect::not_executed);
  EXPECT_EQ(w.kinds_of("cart/a"), (std::vector{kind::started, kind::exited, kind::restarted}));
  EXPECT_EQ(w.events.back().reason, (exit_reason{exit_reason::kind::error, "KeyError: 'x'"}));
  EXPECT_EQ(w.work().what, app_callback::init) << "it starts again";
  w.cast("cart/b", "note");
  EXPECT_EQ(w.work().state, json("[2]"));
  EXPECT_EQ(w.rt.counted().app_crashes, 1U);
}

TEST(app_failures, an_init_that_throws_is_told_to_those_who_started_it) {
  app_world w;
  w.come(app_world::offer(1));
  const auto token = w.send("cart/a", "add");
  w.run();
  w.answer(w.work(), {.crash = "no such cart"});
  EXPECT_EQ(w.reply_to(token).error(),
            (error{errc::process_exited, "cart/a exited, error: no such cart (while it started)"}));
  EXPECT_EQ(w.rt.count(), 0U);
  EXPECT_EQ(w.kinds_of("cart/a"), (std::vector{kind::started, kind::exited}));
  EXPECT_TRUE(w.works().empty());
}

TEST(app_failures, a_missed_deadline_ends_the_process_and_the_app_is_told_that_nobody_waits) {
  app_world w{{.handler_timeout = 2s}};
  w.come(app_world::offer(1, 1, {}));
  const auto token = w.send("cart/a", "add");
  w.run();
  const auto add = w.work();
  EXPECT_EQ(add.timeout, 2s);
  EXPECT_EQ(w.rt.next_deadline(), w.now + 2s);
  w.pass(2s);
  EXPECT_EQ(w.reply_to(token).error().code, errc::limit_exceeded);
  EXPECT_EQ(w.reply_to(token).error().effect, took_effect::unknown);
  const auto told = w.take<app_cancel>();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].work, add.id);
  EXPECT_EQ(w.rt.apps().at_work, 1U) << "its place is taken until the app says that it is done";
  w.answer(add, {.reply = json("1"), .state = json("1")});
  EXPECT_EQ(w.rt.apps().at_work, 0U);
  w.cast("cart/a", "note");
  EXPECT_EQ(w.work().state, value{}) << "a late answer is for nobody";
}

TEST(app_failures, an_app_that_goes_away_takes_exactly_the_processes_whose_work_it_had) {
  app_world w;
  w.come(app_world::offer(1));
  w.begin("cart/idle", "[1]");
  for (int i = 0; i < 6; ++i)
    w.begin("cart/busy" + std::to_string(i));
  std::vector<std::uint64_t> tokens;
  for (int i = 0; i < 6; ++i)
    tokens.push_back(w.send("cart/busy" + std::to_string(i), "add"));
  w.run();
  EXPECT_EQ(w.works().size(), 6U);
  w.leave(1);
  const auto waits = w.send("cart/idle", "get");
  w.run();
  for (const auto token : tokens) {
    EXPECT_EQ(w.reply_to(token).error().code, errc::unavailable);
    EXPECT_EQ(w.reply_to(token).error().effect, took_effect::unknown);
  }
  EXPECT_EQ(w.rt.count(), 7U) << "all are there, though more went down than the supervisor allows";
  EXPECT_TRUE(w.escalations.empty());
  EXPECT_FALSE(w.reply_to(waits)) << "it waits for the app";
  w.come(app_world::offer(2));
  const auto again = w.works();
  ASSERT_EQ(again.size(), 7U);
  EXPECT_EQ(std::count_if(again.begin(), again.end(), [](auto& each) { return each.what == app_callback::init; }), 6);
  EXPECT_EQ(std::count_if(again.begin(), again.end(), [](auto& each) { return each.state == json("[1]"); }), 1);
}

TEST(app_failures, a_start_that_is_lost_with_its_app_is_not_tried_again_by_itself) {
  app_world w;
  w.come(app_world::offer(1));
  const auto token = w.send("cart/a", "add");
  w.run();
  w.leave(1);
  EXPECT_EQ(w.reply_to(token).error().code, errc::unavailable);
  EXPECT_EQ(w.reply_to(token).error().effect, took_effect::not_executed);
  EXPECT_EQ(w.rt.count(), 0U);
}

TEST(app_failures, calls_wait_for_an_app_and_are_refused_when_it_stays_away) {
  app_world w{{.wait_for_app = 5s}};
  const auto early = w.send("cart/a", "add", {}, w.now + 60s);
  w.run();
  w.cast("cart/a", "note", "1");
  EXPECT_EQ(w.rt.next_deadline(), w.now + 5s);
  w.pass(4s);
  EXPECT_FALSE(w.replies.contains(early));
  w.pass(1s);
  const auto refused = w.reply_to(early).error();
  EXPECT_EQ(refused.code, errc::unavailable);
  EXPECT_EQ(refused.effect, took_effect::not_executed);
  EXPECT_EQ(refused.context,
            "no app that hosts class 'cart' is connected to this node, nor was in the first 5 s; retry later");
  EXPECT_EQ(w.call("cart/b", "add").error().code, errc::unavailable);
  EXPECT_EQ(w.rt.count(), 1U);
  w.come(app_world::offer(1, 1, {}));
  EXPECT_EQ(w.work().argument, json("1")) << "what was accepted is still there";
}

TEST(app_failures, one_that_comes_back_in_time_finds_what_waited) {
  app_world w{{.wait_for_app = 5s}};
  w.come(app_world::offer(1));
  w.begin("cart/a");
  w.leave(1);
  w.pass(60s);
  w.come(app_world::offer(2));
  w.leave(2);
  const auto token = w.send("cart/a", "get");
  w.pass(4s);
  w.come(app_world::offer(3));
  w.answer(w.work(), {.reply = json("3")});
  EXPECT_EQ(w.reply_to(token), json("3"));
}

TEST(app_failures, an_answer_that_makes_no_sense_is_a_crash_and_the_app_hears_why) {
  app_world w;
  w.come(app_world::offer(1, 1, {}));
  const auto token = w.send("cart/a", "add");
  w.run();
  const auto add = w.work();
  w.say(app_done{add.app, add.id, fail(errc::invalid_argument, "field 'state': not a value")});
  EXPECT_EQ(w.reply_to(token).error().code, errc::process_exited);
  const auto told = w.take<app_refused>();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].why.context, "field 'state': not a value");
}

TEST(app_failures, a_state_over_the_limit_ends_the_process_and_nothing_of_the_answer_counts) {
  app_world w;
  auto spec = cart_class();
  spec.limits.state_bytes_max = 16;
  spec.version = 2;
  ASSERT_TRUE(w.rt.define(spec));
  w.come(app_world::offer(1, 1, {}));
  const auto token = w.send("cart/a", "add");
  w.run();
  app_answer answer{.reply = json("1"), .state = json(R"("0123456789abcdef0")")};
  answer.deeds.emplace_back(app_cast{named("log/x"), "first", {}});
  w.answer(w.work(), std::move(answer));
  EXPECT_EQ(w.reply_to(token).error().code, errc::limit_exceeded);
  EXPECT_TRUE(w.casts.empty());
  EXPECT_EQ(w.take<app_refused>().at(0).why.context, "its state would have 18 bytes; 16 are allowed");
}

TEST(app_failures, a_process_that_is_killed_takes_its_work_back) {
  app_world w;
  w.come(app_world::offer(1));
  w.begin("cart/a");
  w.cast("cart/a", "note");
  const auto noting = w.work();
  w.kill("cart/a");
  w.run();
  const auto told = w.take<app_cancel>();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].work, noting.id);
  const auto init = w.work();
  EXPECT_EQ(init.what, app_callback::init);
  w.answer(noting, {.state = json("[1]")});
  w.answer(init, {.state = json("[2]")});
  w.cast("cart/a", "note");
  EXPECT_EQ(w.work().state, json("[2]"));
}

TEST(app_failures, an_answer_from_another_connection_is_ignored) {
  app_world w;
  w.come(app_world::offer(1, 1, {}));
  w.come(app_world::offer(2, 1, {}));
  const auto token = w.send("cart/a", "get");
  w.run();
  const auto get = w.work();
  w.say(app_done{app_id{3 - get.app.value}, get.id, app_answer{.reply = json("666")}});
  EXPECT_FALSE(w.replies.contains(token));
  w.answer(get, {.reply = json("1")});
  w.answer(get, {.reply = json("2")});
  EXPECT_EQ(w.reply_to(token), json("1"));
}

}  // namespace
}  // namespace orrery::process
