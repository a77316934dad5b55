// Several apps for one class: sharing, versions, rolling restarts, room; classes that come and go; moves.
#include "mesh/process/apps/testing.hpp"
#include "mesh/wire/cbor.hpp"

namespace orrery::process {
namespace {

using namespace testing;

TEST(several_apps, share_the_work_of_a_class) {
  app_world w;
  w.come(app_world::offer(1, 1, {}, 2));
  w.come(app_world::offer(2, 1, {}, 2));
  std::map<std::uint64_t, int> got;
  for (int i = 0; i < 6; ++i)
    w.cast("cart/" + std::to_string(i), "note");
  for (const auto& each : w.works())
    ++got[each.app.value];
  EXPECT_EQ(got, (std::map<std::uint64_t, int>{{1, 2}, {2, 2}})) << "and two wait for room";
}

TEST(several_apps, those_of_the_newest_state_version_get_all_work) {
  app_world w;
  w.come(app_world::offer(1, 1, {}));
  w.come(app_world::offer(2, 2, {}));
  for (int i = 0; i < 4; ++i)
    w.cast("cart/" + std::to_string(i), "note");
  for (const auto& each : w.works())
    EXPECT_EQ(each.app.value, 2U);
  w.leave(2);
  w.cast("cart/9", "note");
  for (const auto& each : w.works())
    EXPECT_EQ(each.app.value, 1U) << "a version that is taken back";
}

TEST(several_apps, with_other_methods_and_callbacks_get_what_they_have) {
  app_world w;
  w.come(app_world::offer(1, 1, {}));
  auto newer = app_world::offer(2, 1, {app_callback::init, app_callback::info});
  newer.calls.emplace_back("total");
  w.come(newer);
  for (int i = 0; i < 6; ++i) {
    const auto key = "cart/" + std::to_string(i);
    (void)w.send(key, "total");
    w.run();
    const auto first = w.work();
    EXPECT_EQ(first.what, app_callback::init);
    EXPECT_EQ(first.app.value, 2U);
    w.answer(first, {.state = json("[1]")});
    const auto then = w.work();
    EXPECT_EQ(then.method, "total");
    EXPECT_EQ(then.app.value, 2U);
    w.answer(then);
  }
  w.cast("cart/0", "note");
  EXPECT_EQ(w.work().app.value, 1U) << "what both have goes to either";
}

TEST(several_apps, whose_methods_only_a_busy_one_has_wait_for_it) {
  app_world w;
  w.come(app_world::offer(1, 1, {}, 8));
  auto newer = app_world::offer(2, 1, {}, 1);
  newer.calls.emplace_back("total");
  w.come(newer);
  (void)w.send("cart/a", "total");
  (void)w.send("cart/b", "total");
  w.run();
  const auto first = w.work();
  EXPECT_EQ(first.name, named("cart/a"));
  w.answer(first);
  EXPECT_EQ(w.work().name, named("cart/b"));
}

TEST(several_apps, a_rolling_restart_loses_nothing) {
  app_world w;
  w.come(app_world::offer(1, 1));
  w.begin("cart/a", "[1]");
  w.begin("cart/b", "[2]");
  w.cast("cart/a", "note");
  const auto last = w.work();
  w.come(app_world::offer(2, 1));
  w.say(app_drains{app_id{1}, {}});
  EXPECT_TRUE(w.take<app_drained>().empty()) << "it has work";
  w.cast("cart/b", "note");
  EXPECT_EQ(w.work().app.value, 2U);
  w.answer(last, {.state = json("[3]")});
  ASSERT_EQ(w.take<app_drained>().size(), 1U);
  EXPECT_EQ(w.rt.apps().registrations, 1U);
  w.leave(1);
  w.cast("cart/a", "note");
  const auto next = w.work();
  EXPECT_EQ(next.app.value, 2U);
  EXPECT_EQ(next.state, json("[3]"));
  EXPECT_TRUE(w.events.size() == 2) << "two starts, and no exit";
}

TEST(several_apps, draining_without_work_is_done_at_once) {
  app_world w;
  w.come(app_world::offer(1));
  w.say(app_drains{app_id{1}, class_name{"cart"}});
  w.say(app_drains{app_id{7}, {}});
  ASSERT_EQ(w.take<app_drained>().size(), 2U);
  EXPECT_EQ(w.rt.apps().registrations, 0U);
}

TEST(several_apps, state_of_an_older_version_goes_through_code_change_once) {
  app_world w;
  w.come(app_world::offer(1, 1));
  w.begin("cart/a", "[1]");
  w.come(app_world::offer(2, 2, {app_callback::code_change}));
  const auto token = w.send("cart/a", "get");
  w.run();
  const auto change = w.work();
  EXPECT_EQ(change.what, app_callback::code_change);
  EXPECT_EQ(change.state, json("[1]"));
  EXPECT_EQ(change.state_version, 1U);
  w.answer(change, {.state = json(R"({"v": 2})")});
  const auto get = w.work();
  EXPECT_EQ(get.what, app_callback::call);
  EXPECT_EQ(get.state, json(R"({"v": 2})"));
  EXPECT_EQ(get.state_version, 2U);
  w.answer(get, {.reply = json("1")});
  EXPECT_EQ(w.reply_to(token), json("1"));
  w.cast("cart/a", "note");
  EXPECT_EQ(w.work().what, app_callback::cast);
}

TEST(several_apps, without_a_code_change_the_state_goes_on_as_it_is) {
  app_world w;
  w.come(app_world::offer(1, 1));
  w.begin("cart/a", "[1]");
  w.come(app_world::offer(2, 2, {}));
  w.cast("cart/a", "note");
  const auto noting = w.work();
  EXPECT_EQ(noting.what, app_callback::cast);
  EXPECT_EQ(noting.state_version, 2U);
}

TEST(several_apps, a_code_change_that_fails_is_a_crash) {
  app_world w;
  w.come(app_world::offer(1, 1));
  w.begin("cart/a", "[1]");
  w.come(app_world::offer(2, 2, {app_callback::code_change}));
  const auto token = w.send("cart/a", "get");
  w.run();
  w.answer(w.work(), {.crash = "cannot"});
  EXPECT_EQ(w.reply_to(token).error().code, errc::process_exited);
  EXPECT_EQ(w.reply_to(token).error().effect, took_effect::not_executed) << "it was not asked";
}

TEST(room, processes_wait_for_it_in_their_order_and_their_calls_may_expire_meanwhile) {
  app_world w;
  w.come(app_world::offer(1, 1, {}, 1));
  w.cast("cart/a", "note");
  const auto first = w.work();
  const auto expires = w.send("cart/b", "get", {}, w.now + 1s);
  w.run();
  w.cast("cart/c", "note");
  w.cast("cart/d", "note");
  w.pass(2s);
  EXPECT_EQ(w.reply_to(expires).error().code, errc::deadline_exceeded);
  EXPECT_EQ(w.reply_to(expires).error().effect, took_effect::not_executed);
  w.answer(first);
  const auto second = w.work();
  EXPECT_EQ(second.name, named("cart/c"));
  w.answer(second);
  EXPECT_EQ(w.work().name, named("cart/d"));
}

TEST(room, is_also_what_a_connection_may_hold_of_states_and_arguments) {
  app_world w;
  w.come(app_world::offer(1, 1, {}, 1024));
  const auto large = cbor::text_value(std::string(1000'000, 'x'));
  for (int i = 0; i < 20; ++i)
    (void)w.rt.cast(w.now, named("cart/" + std::to_string(i)), "note", large, w.out);
  w.run();
  const auto first = w.works();
  EXPECT_EQ(first.size(), app_bytes_max / 1000'000);
  w.answer(first[0]);
  EXPECT_EQ(w.work().name, named("cart/16"));
}

/// One app hosts two classes, and takes more at once than its connection may hold in bytes.
struct world_of_boxes : app_world {
  world_of_boxes() {
    EXPECT_TRUE(rt.define(cart_class("box")));
    come(offer(1, 1, {}, 1024));
    auto boxes = offer(1, 1, {}, 1024);
    boxes.klass = class_name{"box"};
    come(boxes);
  }
};

TEST(room, in_bytes_is_one_for_all_classes_of_a_connection) {
  world_of_boxes w;
  const auto large = cbor::text_value(std::string(1000'000, 'x'));
  for (int i = 0; i < 10; ++i) {
    (void)w.rt.cast(w.now, named("cart/" + std::to_string(i)), "note", large, w.out);
    (void)w.rt.cast(w.now, named("box/" + std::to_string(i)), "note", large, w.out);
  }
  w.run();
  auto first = w.works();
  EXPECT_EQ(first.size(), app_bytes_max / 1000'000);
  std::size_t all = first.size();
  while (!first.empty()) {  // whichever class has waited, it goes on when there is room
    w.answer(first.back());
    first.pop_back();
    for (auto& each : w.works()) {
      ++all;
      first.push_back(std::move(each));
    }
    EXPECT_LE(first.size(), app_bytes_max / 1000'000);
  }
  EXPECT_EQ(all, 20U);
}

TEST(room, that_is_scarce_goes_to_each_class_in_turn) {
  world_of_boxes w;
  const auto large = cbor::text_value(std::string(1000'000, 'x'));
  int sent = 0;
  const auto tell = [&](const std::string& klass) {
    (void)w.rt.cast(w.now, named(klass + "/" + std::to_string(++sent)), "note", large, w.out);
  };
  for (int i = 0; i < 30; ++i)
    tell("box");
  for (int i = 0; i < 5; ++i)
    tell("cart");
  w.run();
  auto in_hand = w.works();
  std::size_t carts = 0;
  for (int i = 0; i < 12; ++i) {  // boxes wait all the time
    tell("box");
    w.answer(in_hand.at(static_cast<std::size_t>(i)));
    for (auto& each : w.works()) {
      carts += each.name.klass == class_name{"cart"} ? 1 : 0;
      in_hand.push_back(std::move(each));
    }
  }
  EXPECT_EQ(carts, 5U);
}

TEST(room, a_process_that_ends_while_it_waits_is_passed_over) {
  app_world w;
  w.come(app_world::offer(1, 1, {}, 1));
  w.cast("cart/a", "note");
  const auto first = w.work();
  w.cast("cart/b", "note");
  w.cast("cart/c", "note");
  EXPECT_TRUE(w.stop("cart/b"));
  w.answer(first);
  EXPECT_EQ(w.work().name, named("cart/c"));
}

TEST(room, farewells_wait_for_it_too_and_are_bounded) {
  app_world w;
  w.come(app_world::offer(1, 1, {app_callback::terminate}, 1));
  for (std::size_t i = 0; i < app_farewells_max + 10; ++i) {
    w.cast("cart/" + std::to_string(i), "note");
    w.answer(w.work());
  }
  w.rt.undefine(w.now, class_name{"cart"}, w.out);
  w.run();
  std::size_t farewells = 0;
  for (auto all = w.works(); !all.empty(); all = w.works()) {
    for (const auto& each : all) {
      EXPECT_EQ(each.what, app_callback::terminate);
      ++farewells;
      w.answer(each);
    }
  }
  EXPECT_EQ(farewells, app_farewells_max + 1);
}

// ---- classes ----

TEST(registrations, of_a_class_that_is_not_declared_wait_for_it) {
  app_world w;
  auto offer = app_world::offer(1, 1, {});
  offer.klass = class_name{"later"};
  w.come(offer);
  EXPECT_EQ(w.take<app_class>().at(0).state, app_class_state::undeclared);
  auto spec = cart_class("later");
  spec.version = 5;
  ASSERT_TRUE(w.rt.define(spec));
  w.cast("later/x", "note");
  EXPECT_EQ(w.work().class_version, 5U);
  const auto told = w.take<app_class>();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].state, app_class_state::ready);
  EXPECT_EQ(told[0].version, 5U);
  w.rt.undefine(w.now, class_name{"later"}, w.out);
  w.collect();
  EXPECT_EQ(w.take<app_class>().at(0).state, app_class_state::undeclared);
}

TEST(registrations, are_refused_for_other_behaviours_and_a_second_time) {
  app_world w;
  ASSERT_TRUE(w.rt.define(counter_class()));
  auto offer = app_world::offer(1);
  offer.klass = class_name{"counter"};
  w.come(offer);
  EXPECT_EQ(w.take<app_class>().at(0).refused->code, errc::conflict);
  w.come(app_world::offer(1));
  w.come(app_world::offer(1));
  const auto told = w.take<app_class>();
  EXPECT_FALSE(told.at(0).refused);
  EXPECT_EQ(told.at(1).refused->code, errc::already_exists);
  EXPECT_EQ(w.rt.apps().registrations, 1U);
}

TEST(a_class, that_becomes_app_hosted_starts_its_processes_afresh_in_the_app) {
  app_world w;
  auto spec = counter_class("cart");
  spec.version = 2;
  ASSERT_TRUE(w.rt.define(spec));
  EXPECT_EQ(w.ask("cart/a", "add", "3"), "3");
  w.come(app_world::offer(1));
  EXPECT_TRUE(w.take<app_class>().at(0).refused);
  spec = cart_class();
  spec.version = 3;
  ASSERT_TRUE(w.rt.define(spec));
  w.come(app_world::offer(1));
  const auto token = w.send("cart/a", "get");
  w.run();
  const auto init = w.work();
  EXPECT_EQ(init.what, app_callback::init);
  w.answer(init, {.state = json("[]")});
  const auto get = w.work();
  EXPECT_EQ(get.method, "get");
  w.answer(get, {.reply = json("7")});
  EXPECT_EQ(w.reply_to(token), json("7"));
}

TEST(a_class, that_is_no_longer_app_hosted_lets_go_of_what_waits_for_an_app) {
  app_world w;
  const auto token = w.send("cart/a", "add", json("2"));
  w.run();
  auto spec = counter_class("cart");
  spec.version = 2;
  ASSERT_TRUE(w.rt.define(spec));
  w.run();
  EXPECT_EQ(w.reply_to(token), json("2"));
}

// ---- moves ----

TEST(a_move, takes_state_timers_and_waiting_calls_along) {
  app_world w;
  w.come(app_world::offer(1, 3, {app_callback::init, app_callback::info}, 1));
  w.begin("cart/a", "[1]");
  w.cast("cart/a", "note");
  app_answer timed{.state = json("[2]")};
  timed.deeds.emplace_back(app_timer{"remind", 5s, json("1")});
  w.answer(w.work(), std::move(timed));
  w.cast("cart/b", "note");  // takes the only place
  const auto token = w.send("cart/a", "get");
  w.run();
  auto packed = w.rt.take(w.now, named("cart/a"), w.out);
  ASSERT_TRUE(packed);
  EXPECT_EQ(packed->mailbox.size(), 2U);

  app_world there;
  there.come(app_world::offer(1, 3, {app_callback::init, app_callback::info}));
  ASSERT_TRUE(there.rt.install(there.now, *packed, there.out));
  there.run();
  const auto get = there.work();
  EXPECT_EQ(get.method, "get");
  EXPECT_EQ(get.state, json("[2]"));
  there.answer(get, {.reply = json("9")});
  EXPECT_EQ(there.reply_to(token), json("9"));
  // A timer from before the move can be set anew.
  there.cast("cart/a", "note");
  app_answer again;
  again.deeds.emplace_back(app_timer{"remind", 20s, json("2")});
  there.answer(there.work(), std::move(again));
  there.pass(6s);
  EXPECT_TRUE(there.works().empty());
  there.pass(15s);
  EXPECT_EQ(there.work().argument, json("2"));
}

TEST(a_move, waits_for_the_work_that_an_app_has_and_comes_between_two_messages) {
  app_world w;
  w.come(app_world::offer(1, 1, {}));
  w.cast("cart/a", "note", "1");
  w.cast("cart/a", "note", "2");
  const auto noting = w.work();
  const auto refused = w.rt.take(w.now, named("cart/a"), w.out);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::unavailable);
  w.rt.from_app(w.now, app_done{noting.app, noting.id, app_answer{.state = json("[1]")}}, w.out);
  w.collect();
  ASSERT_EQ(w.movables.size(), 1U);
  auto packed = w.rt.take(w.now, named("cart/a"), w.out);
  ASSERT_TRUE(packed);
  ASSERT_EQ(packed->mailbox.size(), 1U);
  EXPECT_EQ(packed->mailbox[0].argument, json("2"));
}

TEST(a_move, does_not_come_between_a_message_and_what_it_goes_on_with) {
  app_world w;
  w.come(app_world::offer(1, 1, {app_callback::resume}));
  w.cast("cart/a", "note");
  const auto noting = w.work();
  ASSERT_FALSE(w.rt.take(w.now, named("cart/a"), w.out));
  w.rt.from_app(w.now, app_done{noting.app, noting.id, app_answer{.next = json("1")}}, w.out);
  w.collect();
  EXPECT_TRUE(w.movables.empty());
  ASSERT_FALSE(w.rt.take(w.now, named("cart/a"), w.out));
  w.run();
  w.answer(w.work());
  EXPECT_EQ(w.movables.size(), 1U);
  EXPECT_TRUE(w.rt.take(w.now, named("cart/a"), w.out));
}

TEST(a_move, of_a_process_that_has_not_begun_begins_it_there) {
  app_world w;
  const auto token = w.send("cart/a", "get");
  w.run();
  auto packed = w.rt.take(w.now, named("cart/a"), w.out);
  ASSERT_TRUE(packed);
  app_world there;
  there.come(app_world::offer(1));
  ASSERT_TRUE(there.rt.install(there.now, *packed, there.out));
  there.run();
  const auto init = there.work();
  EXPECT_EQ(init.what, app_callback::init);
  there.answer(init, {.state = json("[]")});
  there.answer(there.work(), {.reply = json("1")});
  EXPECT_EQ(there.reply_to(token), json("1"));
}

}  // namespace
}  // namespace orrery::process
