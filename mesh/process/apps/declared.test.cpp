// Declared children of a class that the app hosts.
#include "mesh/process/apps/testing.hpp"

namespace orrery::process {
namespace {

using namespace testing;

class declared_in_apps : public ::testing::Test {
 protected:
  declared_in_apps() {
    auto spec = cart_class();
    spec.children.push_back({.key = process_key{"main"}, .argument = json(R"({"shard": 7})")});
    EXPECT_TRUE(w.rt.define(spec));
    w.keep_declared();
  }
  app_world w;
};

TEST_F(declared_in_apps, wait_for_an_app_and_begin_with_their_argument) {
  EXPECT_EQ(w.state_of("cart/main"), "running");
  EXPECT_TRUE(w.works().empty());
  w.come(app_world::offer(1));
  const auto begins = w.work();
  EXPECT_EQ(begins.what, app_callback::init);
  EXPECT_EQ(begins.argument, json(R"({"shard": 7})"));
  w.answer(begins, {.state = json("1")});
  const auto token = w.send("cart/main", "get");
  w.run();
  const auto get = w.work();
  EXPECT_EQ(get.state, json("1"));
  w.answer(get, {.reply = json("1")});
  EXPECT_EQ(w.reply_to(token), json("1"));
}

TEST_F(declared_in_apps, whose_app_goes_away_while_they_begin_wait_for_another) {
  w.come(app_world::offer(1));
  EXPECT_EQ(w.work().what, app_callback::init);
  w.leave(1);
  w.run();
  EXPECT_EQ(w.state_of("cart/main"), "running");
  EXPECT_EQ(w.supervisor_of("cart").gave_up, 0U);
  w.come(app_world::offer(2));
  EXPECT_EQ(w.work().what, app_callback::init);
}

TEST_F(declared_in_apps, whose_init_fails_are_tried_again_after_growing_pauses) {
  w.come(app_world::offer(1));
  for (const duration pause : {1s, 2s, 4s, 8s}) {
    w.answer(w.work(), {.crash = "cannot"});
    EXPECT_EQ(w.state_of("cart/main"), "restarting");
    w.pass(pause / 2);
    EXPECT_TRUE(w.works().empty());
    w.pass(pause);
  }
  EXPECT_EQ(w.supervisor_of("cart").gave_up, 0U);
  w.answer(w.work(), {.state = json("{}")});
  EXPECT_EQ(w.state_of("cart/main"), "running");
  EXPECT_TRUE(w.escalations.empty());
}

}  // namespace
}  // namespace orrery::process
