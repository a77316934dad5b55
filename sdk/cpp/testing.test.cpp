// The test kit: what a mesh would do with a class, without one.
#include "orrery/app/testing.hpp"

#include <gtest/gtest.h>

namespace orrery::app {
namespace {

using namespace std::chrono_literals;
using testing::ended;
using testing::host;
using testing::sent;

process_class a_tested_cart() {
  process_class cart("cart");
  cart.on_init([](const context& self) {
        if (self.key() == "closed") throw std::runtime_error("no carts here");
        return json{{"items", json::array()}};
      })
      .on_call("add",
               [](context& self, const json& item) {
                 if (!item.is_string()) throw refusal("an item is a string", "invalid_argument");
                 self.change()["items"].push_back(item);
                 self.set_timer("abandoned", 30min, item);
                 return self.state()["items"].size();
               })
      .on_call("boom",
               [](context& self, const json&) -> json {
                 self.change()["items"].push_back("lost");
                 self.cast("mail/ada", "send");
                 throw std::runtime_error("no such item");
               })
      .on_call("take", [](context& self, const json& item) { return self.call("stock/main", "take", item); })
      .on_cast("clear", [](context& self, const json&) { self.change()["items"] = json::array(); })
      .on_info("abandoned",
               [](context& self, const json& last) {
                 self.cast("mail/" + self.key(), "remind", last);
                 self.stop("shutdown", "nobody wanted it");
               })
      .on_terminate([](context& self, const exit_reason& why) { self.cast("log/all", "note", why.text); });
  return cart;
}

/// Each item of its argument is an action; it remembers what came.
process_class a_puppet() {
  const auto act = [](context& self, const json& what) {
    self.change().push_back(what);
    if (what.contains("timer"))
      self.set_timer(what["timer"].get<std::string>(), std::chrono::milliseconds(what["ms"].get<int>()), what["then"]);
    if (what.contains("cancel")) self.cancel_timer(what["cancel"].get<std::string>());
    if (what.contains("cast")) self.cast(what["cast"].get<std::string>(), "act", what.value("with", json()));
    if (what.contains("next")) self.go_on(what["next"]);
    if (what.contains("stop")) self.stop(what["stop"].get<std::string>());
    if (what.contains("odd")) self.change() = "\xff";
    if (what.contains("throw")) throw std::runtime_error("told to");
  };
  process_class puppet("puppet");
  puppet.on_init([](const context&) { return json::array(); })
      .on_call("act",
               [act](context& self, const json& what) {
                 act(self, what);
                 return what.contains("call") ? self.call(what["call"].get<std::string>(), "act", what["with"]) : what;
               })
      .on_cast("act", act)
      .on_continue(act)
      .on_info("tick", act);
  return puppet;
}

/// What `operation` throws.
error failure_of(const std::function<void()>& operation) {
  try {
    operation();
  } catch (const error& why) {
    return why;
  }
  return {"none", "", effect::executed};
}

// ---- calls and casts ----

TEST(a_test_host, starts_a_process_with_its_first_message_and_keeps_its_state) {
  host shop(a_tested_cart());
  EXPECT_FALSE(shop.is_alive("ada"));
  EXPECT_EQ(shop.call("ada", "add", "pen"), 1);
  EXPECT_EQ(shop.call("cart/ada", "add", "ink"), 2);
  EXPECT_EQ(shop.state("ada"), json::parse(R"({"items": ["pen", "ink"]})"));
  EXPECT_FALSE(shop.is_alive("bob"));
  shop.cast("ada", "clear");
  EXPECT_EQ(shop.state("ada"), json::parse(R"({"items": []})"));
}

TEST(a_test_host, applies_the_patch_that_a_large_state_is_sent_as) {
  process_class page("page");
  page.on_init([](const context&) {
        return json{{"name", "a"}, {"old", 1}, {"text", std::string(2000, 'x')}};
      })
      .on_call("rename", [](context& self, const json& name) {
        self.change()["name"] = name;
        self.change().erase("old");
        return json();
      });
  host pages(page);
  pages.call("a", "rename", "b");
  EXPECT_EQ(pages.state("a"), (json{{"name", "b"}, {"text", std::string(2000, 'x')}}));
}

TEST(a_test_host, refuses_as_a_client_hears_it) {
  host shop(a_tested_cart());
  const auto refused = failure_of([&] { shop.call("ada", "add", 1); });
  EXPECT_STREQ(refused.what(), "invalid_argument: an item is a string [not_executed]");
  EXPECT_EQ(refused.took_effect(), effect::not_executed);
  EXPECT_TRUE(shop.is_alive("ada"));
  EXPECT_STREQ(failure_of([&] { shop.call("ada", "ad"); }).what(),
               "not_found: class 'cart' has no method 'ad' for a call; it has: add, boom, take [not_executed]");
  EXPECT_STREQ(failure_of([&] { shop.cast("ada", "add"); }).what(),
               "not_found: class 'cart' has no method 'add' for a cast; it has: clear [not_executed]");
  EXPECT_EQ(failure_of([&] { shop.call("crat/ada", "add"); }).code(), "not_found");
  EXPECT_EQ(failure_of([&] { shop.call("ada", "add", "\xff"); }).code(), "invalid_argument");
  EXPECT_EQ(failure_of([&] { static_cast<void>(shop.state("bob")); }).code(), "not_found");
}

TEST(a_test_host, records_casts_and_brings_those_to_classes_under_test) {
  host both({a_tested_cart(), a_puppet()});
  both.cast("puppet/p", "act", {{"cast", "puppet/q"}, {"with", 5}});
  EXPECT_EQ(both.casts(), (std::vector{sent{"puppet/q", "act", 5}}));
  EXPECT_EQ(both.state("puppet/q"), json::array({5}));
  both.cast("puppet/p", "act", {{"cast", "cart/ada"}});  // has no such cast
  EXPECT_FALSE(both.is_alive("cart/ada"));
  EXPECT_EQ(failure_of([&] { both.call("p", "act"); }).code(), "invalid_argument");  // of two classes, which?
}

// ---- crashes ----

TEST(a_test_host, takes_nothing_of_a_handler_that_throws_and_starts_afresh) {
  host shop(a_tested_cart());
  shop.call("ada", "add", "pen");
  const auto crashed = failure_of([&] { shop.call("ada", "boom"); });
  EXPECT_STREQ(crashed.what(), "process_exited: cart/ada exited, error: no such item [unknown]");
  EXPECT_EQ(crashed.took_effect(), effect::unknown);
  EXPECT_EQ(shop.exits(), (std::vector{ended{"cart/ada", "error", "no such item"}}));
  EXPECT_TRUE(shop.casts().empty());
  EXPECT_TRUE(shop.timers("ada").empty());
  EXPECT_EQ(shop.state("ada"), json::parse(R"({"items": []})"));
}

TEST(a_test_host, tells_the_caller_when_a_process_does_not_start) {
  host shop(a_tested_cart());
  const auto closed = failure_of([&] { shop.call("closed", "add", "pen"); });
  EXPECT_STREQ(closed.what(), "process_exited: cart/closed exited, error: no carts here [not_executed]");
  EXPECT_EQ(closed.took_effect(), effect::not_executed);
  EXPECT_FALSE(shop.is_alive("closed"));
}

TEST(a_test_host, takes_what_cannot_be_sent_for_a_crash) {
  host puppets(a_puppet());
  const auto text_of = [&](const json& action) { return failure_of([&] { puppets.call("p", "act", action); }).text(); };
  EXPECT_NE(text_of({{"odd", 1}}).find("the state cannot be sent"), std::string::npos);
  EXPECT_NE(text_of({{"timer", "tick"}, {"ms", 0}, {"then", 1}}).find("1 ms to 400 days"), std::string::npos);
  EXPECT_NE(text_of({{"stop", "well"}}).find("normal, shutdown or error, not 'well'"), std::string::npos);
  EXPECT_EQ(puppets.exits().size(), 3U);
}

// ---- time ----

TEST(a_test_host, fires_timers_when_the_clock_is_moved) {
  host shop(a_tested_cart());
  shop.call("ada", "add", "pen");
  shop.advance(29min);
  EXPECT_EQ(shop.timers("ada"), (std::map<std::string, std::chrono::milliseconds>{{"abandoned", 1min}}));
  shop.call("ada", "add", "ink");  // sets it anew
  shop.advance(30min - 1ms);
  EXPECT_TRUE(shop.is_alive("ada"));
  shop.advance(1ms);
  EXPECT_FALSE(shop.is_alive("ada"));
  EXPECT_EQ(shop.now(), 59min);
  EXPECT_EQ(shop.exits(), (std::vector{ended{"cart/ada", "shutdown", "nobody wanted it"}}));
  EXPECT_EQ(shop.casts(),
            (std::vector{sent{"mail/ada", "remind", "ink"}, sent{"log/all", "note", "nobody wanted it"}}));
}

TEST(a_test_host, fires_timers_in_the_order_of_their_time_those_too_that_are_set_meanwhile) {
  host puppets(a_puppet());
  const auto timer = [](const char* name, int ms, json then) {
    return json{{"timer", name}, {"ms", ms}, {"then", std::move(then)}};
  };
  const auto third = timer("tick/late", 150, "after the end");
  const auto second = timer("tick/b", 100, third);
  puppets.cast("p", "act", timer("tick/a", 300, "last"));
  puppets.cast("p", "act", timer("tick/no", 150, "cancelled"));
  puppets.cast("p", "act", timer("tick/c", 100, second));
  puppets.cast("p", "act", {{"cancel", "tick/no"}});
  puppets.advance(300ms);
  const auto seen = puppets.state("p");
  ASSERT_EQ(seen.size(), 7U);
  EXPECT_EQ(seen[4], second);
  EXPECT_EQ(seen[5], third);
  EXPECT_EQ(seen[6], "last");
  EXPECT_EQ(puppets.timers("p"), (std::map<std::string, std::chrono::milliseconds>{{"tick/late", 50ms}}));
}

TEST(a_test_host, drops_an_info_that_nothing_takes) {
  host puppets(a_puppet());
  puppets.info("p", "gong", 1);
  EXPECT_EQ(puppets.state("p"), json::array());
  puppets.info("p", "tick", 1);
  EXPECT_EQ(puppets.state("p"), json::array({1}));
}

// ---- what else a handler does ----

TEST(a_test_host, goes_on_before_what_waits) {
  host puppets(a_puppet());
  // It casts to itself first; what it goes on with is handled first all the same.
  puppets.cast("p", "act", {{"cast", "puppet/p"}, {"with", 2}, {"next", 1}});
  EXPECT_EQ(puppets.state("p")[1], 1);
  EXPECT_EQ(puppets.state("p")[2], 2);
}

TEST(a_test_host, ends_a_loop_of_messages) {
  process_class top("top");
  top.on_cast("spin", [](context& self, const json&) { self.go_on(1); }).on_continue([](context& self, const json&) {
    self.go_on(1);
  });
  host tops(top);
  EXPECT_THROW(tops.cast("a", "spin"), std::length_error);
}

TEST(a_test_host, stands_in_for_classes_that_are_not_under_test) {
  host shop(a_tested_cart());
  EXPECT_NE(failure_of([&] { shop.call("ada", "take", "pen"); }).text().find("say answer(\"stock\", \"take\", ...)"),
            std::string::npos);
  shop.answer("stock", "take", [](const std::string& key, const json& item) {
    if (item == "ink") throw error("unavailable", "no ink", effect::not_executed);
    return json{key, item};
  });
  EXPECT_EQ(shop.call("ada", "take", "pen"), json::array({"main", "pen"}));
  EXPECT_NE(failure_of([&] { shop.call("ada", "take", "ink"); }).text().find("unavailable: no ink"), std::string::npos);
}

TEST(a_test_host, lets_processes_call_each_other_but_not_themselves_nor_in_a_ring) {
  host puppets(a_puppet());
  EXPECT_EQ(puppets.call("p", "act", {{"call", "puppet/q"}, {"with", 7}}), 7);
  EXPECT_EQ(puppets.state("q"), json::array({7}));
  EXPECT_NE(failure_of([&] {
              puppets.call("p", "act", {{"call", "puppet/p"}, {"with", 7}});
            })
                .text()
                .find("itself"),
            std::string::npos);
  const json ring{{"call", "puppet/q"}, {"with", {{"call", "puppet/p"}, {"with", 7}}}};
  EXPECT_NE(failure_of([&] { puppets.call("p", "act", ring); }).text().find("neither goes on"), std::string::npos);
}

TEST(a_test_host, shows_replies_that_come_later) {
  process_class desk("desk");
  desk.on_init([](const context&) { return json::array(); })
      .on_call("wait",
               [](context& self, const json&) {
                 self.change().push_back(self.reply_later());
                 self.set_timer("late", 1s);
                 return json();
               })
      .on_info("late", [](context& self, const json&) {
        self.reply(self.state().at(0).get<std::uint64_t>(), "now");
        if (self.state().size() > 1) self.refuse(self.state().at(1).get<std::uint64_t>(), refusal("no", "gone"));
      });
  host desks(desk);
  const auto first = desks.ask("d", "wait");
  const auto second = desks.ask("d", "wait");
  EXPECT_FALSE(first.is_answered());
  EXPECT_EQ(failure_of([&] { static_cast<void>(first.get()); }).code(), "deadline_exceeded");
  desks.advance(1s);
  EXPECT_EQ(first.get(), "now");
  const auto refused = failure_of([&] { static_cast<void>(second.get()); });
  EXPECT_STREQ(refused.what(), "gone: no [executed]");
  EXPECT_EQ(refused.took_effect(), effect::executed);
  EXPECT_EQ(failure_of([&] { desks.call("d", "wait"); }).took_effect(), effect::unknown);
  const auto third = desks.ask("d", "wait");
  desks.kill("d");
  EXPECT_EQ(failure_of([&] { static_cast<void>(third.get()); }).code(), "process_exited");
  EXPECT_EQ(desks.state("d"), json::array());
}

TEST(a_test_host, stops_a_process_in_order) {
  host shop(a_tested_cart());
  shop.call("ada", "add", "pen");
  shop.stop("ada", "shutdown", "away");
  EXPECT_FALSE(shop.is_alive("ada"));
  EXPECT_EQ(shop.casts(), (std::vector{sent{"log/all", "note", "away"}}));
  EXPECT_EQ(shop.call("ada", "add", "ink"), 1);
}

TEST(a_test_host, hands_older_state_over_before_the_next_message) {
  host shop(a_tested_cart());
  shop.call("ada", "add", "pen");
  process_class newer("cart");
  newer.state_version(2)
      .on_call("items", [](context& self, const json&) { return std::as_const(self).state(); })
      .on_code_change([](std::uint32_t from, json state) {
        return json{{"from", from}, {"was", std::move(state["items"])}};
      });
  shop.upgrade(newer);
  EXPECT_TRUE(shop.state("ada").contains("items"));
  EXPECT_EQ(shop.call("ada", "items"), json::parse(R"({"from": 0, "was": ["pen"]})"));
  EXPECT_EQ(shop.call("ada", "items"), json::parse(R"({"from": 0, "was": ["pen"]})"));
  EXPECT_EQ(shop.call("bob", "items"), json());  // begins with the newer version
}

}  // namespace
}  // namespace orrery::app
