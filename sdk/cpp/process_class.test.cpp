// A class without a sidecar: work in, what is done out.
#include "orrery/app/process_class.hpp"

#include <gtest/gtest.h>

#include <type_traits>

namespace orrery::app {
namespace {

using namespace std::chrono_literals;

process_class a_cart() {
  process_class cart("cart");
  cart.state_version(2)
      .on_init([](const context& self) {
        return json{{"owner", self.key()}, {"items", json::array()}};
      })
      .on_call("add",
               [](context& self, const json& item) {
                 if (!item.is_string()) throw refusal("an item is a string", "invalid_argument");
                 self.change()["items"].push_back(item);
                 self.set_timer("remind", 1500ms, item);
                 self.cast("log/all", "note", item);
                 return self.state()["items"].size();
               })
      .on_call("count", [](context& self, const json&) { return self.state()["items"].size(); })
      .on_call("wait",
               [](context& self, const json&) {
                 self.change()["caller"] = self.reply_later();
                 return json();
               })
      .on_cast("release",
               [](context& self, const json&) {
                 self.reply(self.state()["caller"].get<std::uint64_t>(), "now");
                 self.go_on(1);
                 self.stop("shutdown", "enough");
               })
      .on_info("remind", [](context&, const json&) {})
      .on_call("boom", [](context&, const json&) -> json { throw std::out_of_range("no such item"); })
      .on_code_change([](std::uint32_t from, json state) {
        return json{{"from", from}, {"was", std::move(state)}};
      });
  return cart;
}

json work(const char* callback, json fields = json::object()) {
  fields["type"] = "work";
  fields["work"] = 7;
  fields["class"] = "cart";
  fields["key"] = "ada";
  fields["callback"] = callback;
  return fields;
}

TEST(a_process_class, registers_what_it_has) {
  EXPECT_EQ(a_cart().registration(4), json::parse(R"({"type": "register", "class": "cart", "stateVersion": 2,
      "calls": ["add", "boom", "count", "wait"], "casts": ["release"], "callbacks": ["init", "info", "code_change"],
      "concurrency": 4})"));
}

TEST(a_process_class, begins_with_the_state_of_its_init) {
  EXPECT_EQ(a_cart().handle(work("init")),
            json::parse(R"({"type": "done", "work": 7, "state": {"owner": "ada", "items": []}})"));
}

TEST(a_process_class, may_begin_with_what_it_is_given_and_do_things_then) {
  process_class room("room");
  room.on_init([](context& self, const json& name) {
    self.join_group("chat/" + name.get<std::string>());
    return json{{"name", name}};
  });
  EXPECT_EQ(
      room.handle(work("init", {{"argument", "lobby"}})),
      json::parse(R"({"type": "done", "work": 7, "state": {"name": "lobby"}, "effects": [{"join": "chat/lobby"}]})"));
}

TEST(a_process_class, says_what_a_call_changed_and_did) {
  const auto done =
      a_cart().handle(work("call", {{"method", "add"}, {"argument", "pen"}, {"state", {{"items", json::array()}}}}));
  EXPECT_EQ(done["reply"], 1);
  EXPECT_EQ(done["state"]["items"], json::array({"pen"}));
  EXPECT_EQ(done["effects"], json::parse(R"([{"timer": {"name": "remind", "afterMs": 1500, "argument": "pen"}},
      {"cast": {"class": "log", "key": "all", "method": "note", "argument": "pen"}}])"));
}

TEST(a_process_class, that_only_looks_at_its_state_does_not_send_it_back) {
  static_assert(std::is_same_v<decltype(std::declval<context&>().state()), const json&>, "looking changes nothing");
  const auto done = a_cart().handle(work("call", {{"method", "count"}, {"state", {{"items", {1, 2}}}}}));
  EXPECT_EQ(done, json::parse(R"({"type": "done", "work": 7, "reply": 2})"));
}

TEST(a_process_class, refuses_without_a_crash_and_crashes_with_the_exceptions_text) {
  const json state{{"items", json::array()}};
  EXPECT_EQ(a_cart().handle(work("call", {{"method", "add"}, {"argument", 1}, {"state", state}}))["error"],
            json::parse(R"({"code": "invalid_argument", "text": "an item is a string", "effect": "not_executed"})"));
  EXPECT_EQ(a_cart().handle(work("call", {{"method", "boom"}, {"state", state}}))["crash"]["text"], "no such item");
}

TEST(a_process_class, refuses_an_argument_that_is_not_what_its_handler_reads) {
  process_class shelf("cart");
  shelf.on_call("add", [](context& self, const json&) {
    self.change() = 1;
    json read{self.argument<std::string>("item"), self.argument<int>("count", 1)};
    return read.push_back(self.argument<bool>("gift", false)), read;
  });
  shelf.on_call("take", [](context& self, const json&) { return self.argument<std::vector<double>>(); });
  shelf.on_cast("count", [](context& self, const json&) { self.change() = self.argument<unsigned char>(); });
  const auto done = [&](const char* callback, const char* method, const char* argument) {
    return shelf.handle(work(callback, {{"method", method}, {"argument", json::parse(argument)}, {"state", 0}}));
  };
  EXPECT_EQ(done("call", "add", R"({"item": "pen"})")["reply"], json::parse(R"(["pen", 1, false])"));
  EXPECT_EQ(done("call", "add", R"({"item": "pen", "count": 2, "gift": true})")["reply"],
            json::parse(R"(["pen", 2, true])"));
  EXPECT_EQ(done("call", "take", "[1, 2.5]")["reply"], json::parse("[1.0, 2.5]"));
  const auto refused = done("call", "add", R"({"item": 5})");
  EXPECT_EQ(refused["error"], json::parse(R"({"code": "invalid_argument", "effect": "not_executed",
                "text": "'item' in the argument of 'add' is wrong: type must be string, but is number"})"));
  EXPECT_FALSE(refused.contains("crash") || refused.contains("state")) << refused;
  const auto why = [&](const char* method, const char* argument) {
    return done("call", method, argument)["error"]["text"].get<std::string>();
  };
  EXPECT_EQ(why("add", "{}"), "'item' in the argument of 'add' is wrong: it is missing");
  EXPECT_EQ(why("add", "null"), "the argument of 'add' is wrong: it must be an object");
  EXPECT_EQ(why("add", R"({"item": "pen", "count": 1.5})"),
            "'count' in the argument of 'add' is wrong: it must be a whole number");
  EXPECT_EQ(why("add", R"({"item": "pen", "count": 3000000000})"),
            "'count' in the argument of 'add' is wrong: it is out of range");
  EXPECT_EQ(why("add", R"({"item": "pen", "gift": 1})"),
            "'gift' in the argument of 'add' is wrong: it must be true or false");
  EXPECT_EQ(why("take", R"(["pen"])"), "the argument of 'take' is wrong: type must be number, but is string");
  EXPECT_EQ(done("cast", "count", "7")["state"], 7);
  EXPECT_FALSE(done("cast", "count", "-1").contains("crash")) << "a cast that is refused is dropped";
}

TEST(a_process_class, may_answer_later_go_on_and_stop) {
  const auto waits = a_cart().handle(work("call", {{"method", "wait"}, {"caller", 31}, {"state", json::object()}}));
  EXPECT_EQ(waits["later"], true);
  EXPECT_FALSE(waits.contains("reply"));
  const auto done = a_cart().handle(work("cast", {{"method", "release"}, {"state", waits["state"]}}));
  EXPECT_EQ(done["effects"], json::parse(R"([{"reply": {"to": 31, "reply": "now"}}])"));
  EXPECT_EQ(done["next"], 1);
  EXPECT_EQ(done["stop"], json::parse(R"({"kind": "shutdown", "text": "enough"})"));
}

TEST(a_process_class, that_refuses_later_says_what_took_effect_only_where_it_knows) {
  process_class late("late");
  late.on_cast("no", [](context& self, const json&) {
    self.refuse(1, refusal("no", "not_found"));
    self.refuse(2, refusal("no", "not_found", effect::not_executed));
  });
  EXPECT_EQ(late.handle(work("cast", {{"method", "no"}}))["effects"],
            json::parse(R"([{"reply": {"to": 1, "error": {"code": "not_found", "text": "no"}}},
      {"reply": {"to": 2, "error": {"code": "not_found", "text": "no", "effect": "not_executed"}}}])"));
}

TEST(a_process_class, sends_a_patch_where_that_is_shorter_and_nothing_where_nothing_changed) {
  process_class page("page");
  page.on_call("rename", [](context& self, const json& name) {
    self.change()["name"] = name;
    return json();
  });
  const json state{{"name", "a"}, {"text", std::string(2000, 'x')}};
  const auto renamed = page.handle(work("call", {{"method", "rename"}, {"argument", "b"}, {"state", state}}));
  EXPECT_EQ(renamed["patch"], json::parse(R"({"name": "b"})"));
  EXPECT_FALSE(renamed.contains("state"));
  EXPECT_EQ(page.handle(work("call", {{"method", "rename"}, {"argument", "a"}, {"state", state}})),
            json::parse(R"({"type": "done", "work": 7, "reply": null})"));
  // A null in a patch removes: the state goes whole.
  const auto cleared = page.handle(work("call", {{"method", "rename"}, {"state", state}}));
  EXPECT_TRUE(cleared["state"].contains("name"));
}

TEST(a_process_class, that_leaves_what_cannot_be_sent_crashes_and_says_where) {
  process_class odd("odd");
  odd.on_call("state",
              [](context& self, const json&) {
                self.change() = {{"notes", {"fine", "\xff"}}};
                return json();
              })
      .on_call("reply",
               [](context&, const json&) {
                 return json{{"share", 0.0 / 0.0}};
               })
      .on_call("refusal", [](context&, const json&) -> json { throw refusal("no", "nope"); });
  EXPECT_EQ(odd.handle(work("call", {{"method", "state"}}))["crash"]["text"],
            "invalid_argument: the state cannot be sent: state.notes[1]: a text is not UTF-8");
  EXPECT_EQ(odd.handle(work("call", {{"method", "reply"}}))["crash"]["text"],
            "invalid_argument: the reply cannot be sent: reply.share: a number is not finite");
}

TEST(a_process_class, that_refuses_with_a_code_of_its_own_crashes_and_says_which_there_are) {
  process_class odd("odd");
  odd.on_call("now", [](context&, const json&) -> json { throw refusal("no", "teapot"); })
      .on_call("later", [](context& self, const json&) { return self.refuse(1, refusal("no", "teapot")), json(); });
  for (const auto* method : {"now", "later"})
    EXPECT_EQ(odd.handle(work("call", {{"method", method}}))["crash"]["text"],
              "'teapot' is no code of a refusal; use one of already_exists, cancelled, conflict, deadline_exceeded, "
              "draining, forbidden, given_up, gone, handler_failed, internal, invalid_argument, io, isolated, "
              "limit_exceeded, not_found, overloaded, process_exited, protocol, too_large, unauthenticated, "
              "unavailable");
}

TEST(a_process_class, that_lets_an_error_out_crashes_with_its_code_and_text_alone) {
  process_class odd("odd");
  odd.on_call("ask", [](context&, const json&) -> json { throw error("unavailable", "no app", effect::unknown); })
      .on_call("hear", [](context&, const json&) -> json {
        throw process_exit("cart/ada", {"error", "boom"});
      });
  EXPECT_EQ(odd.handle(work("call", {{"method", "ask"}}))["crash"]["text"], "unavailable: no app");
  EXPECT_EQ(odd.handle(work("call", {{"method", "hear"}}))["crash"]["text"],
            "process_exited: cart/ada exited, error: boom");
}

TEST(a_process_class, tells_the_log_of_what_it_refuses_and_nobody_waits_for) {
  process_class shelf("cart");
  shelf.on_call("add", [](context&, const json&) -> json { throw refusal("it is full", "overloaded"); })
      .on_cast("note", [](context&, const json&) { throw refusal("it is full", "overloaded"); })
      .on_info("ring", [](context&, const json&) { throw refusal("not now"); });
  std::vector<std::string> lines;
  const surroundings around{
      .abandoned = {}, .call = {}, .log = [&](const std::string& line) { lines.push_back(line); }};
  const auto done = [&](const char* callback, const char* method) {
    return shelf.handle(work(callback, {{"method", method}}), around);
  };
  EXPECT_TRUE(done("call", "add").contains("error"));
  EXPECT_EQ(lines, std::vector<std::string>{}) << "its caller hears it";
  EXPECT_EQ(done("cast", "note"), json::parse(R"({"type": "done", "work": 7})"));
  done("info", "ring");
  EXPECT_EQ(lines,
            (std::vector<std::string>{"cart/ada refused cast note, which nobody waits for: overloaded: it is full",
                                      "cart/ada refused info ring, which nobody waits for: handler_failed: not now"}));
}

TEST(a_process_class, says_what_went_wrong_in_whole_letters_whatever_the_text) {
  process_class odd("odd");
  odd.on_call("long", [](context&, const json&) -> json { throw std::runtime_error(std::string(999, 'x') + "\u00e9"); })
      .on_call("crash", [](context&, const json&) -> json { throw std::runtime_error("no \xff\xc3"); })
      .on_call("refusal", [](context&, const json&) -> json { throw refusal("caf\xe9?"); })
      .on_call("later", [](context& self, const json&) {
        self.refuse(1, refusal("caf\xe9?"));
        self.stop("error", "caf\xe9?");
        return json();
      });
  EXPECT_EQ(odd.handle(work("call", {{"method", "long"}}))["crash"]["text"], std::string(999, 'x'));
  EXPECT_EQ(odd.handle(work("call", {{"method", "crash"}}))["crash"]["text"], "no \ufffd\ufffd");
  EXPECT_EQ(odd.handle(work("call", {{"method", "refusal"}}))["error"]["text"], "caf\ufffd?");
  const auto done = odd.handle(work("call", {{"method", "later"}}));
  EXPECT_EQ(done["effects"][0]["reply"]["error"]["text"], "caf\ufffd?");
  EXPECT_EQ(done["stop"]["text"], "caf\ufffd?");
}

TEST(a_process_class, hears_a_timer_by_its_name_or_by_what_is_before_its_slash) {
  process_class bells("bells");
  bells.on_info("ring", [](context& self, const json&) { self.change() = self.message(); })
      .on_info("ring/loud", [](context& self, const json&) { self.change() = "loud"; });
  const auto state_after = [&](const char* timer) {
    return bells.handle(work("info", {{"method", timer}})).value("state", json());
  };
  EXPECT_EQ(state_after("ring/soft"), "ring/soft");
  EXPECT_EQ(state_after("ring/loud"), "loud");
  EXPECT_EQ(state_after("gong"), json());
}

TEST(a_process_class, asks_things_of_others_when_it_returns) {
  process_class asking("asking");
  asking.on_reply("stock", [](context&, const outcome&) {})
      .on_reply("log", [](context&, const outcome&) {})
      .on_down("ada", [](context&, const down&) {});
  asking.on_cast("go", [](context& self, const json&) {
    self.send("cart/ada", "said", 1);
    self.publish("chat", "said");
    self.join_group("chat");
    self.leave_group("chat");
    self.request("stock", "n@1.2.3", "take", "pen", 2s);
    self.request("log", "log/all", "note");
    self.monitor("ada", "cart/ada");
    self.demonitor("ada");
  });
  EXPECT_EQ(asking.handle(work("cast", {{"method", "go"}}))["effects"], json::parse(R"([
      {"send": {"to": "cart/ada", "word": "said", "argument": 1}},
      {"publish": {"group": "chat", "word": "said", "argument": null}},
      {"join": "chat"}, {"leave": "chat"},
      {"call": {"name": "stock", "to": "n@1.2.3", "method": "take", "argument": "pen", "timeoutMs": 2000}},
      {"call": {"name": "log", "to": "log/all", "method": "note", "argument": null}},
      {"monitor": {"name": "ada", "to": "cart/ada"}}, {"demonitor": "ada"}])"));
}

TEST(a_process_class, that_asks_what_cannot_be_crashes) {
  const auto text_of = [](std::function<void(context&)> act) {
    process_class odd("odd");
    odd.on_cast("go", [act = std::move(act)](context& self, const json&) { act(self); });
    return odd.handle(work("cast", {{"method", "go"}}))["crash"]["text"].get<std::string>();
  };
  const std::string refused = "invalid_argument";
  EXPECT_EQ(text_of([](context& self) { self.send("ada", "said"); }).find(refused), 0U);
  EXPECT_EQ(text_of([](context& self) { self.send("cart/ada", "group_left"); }).find(refused), 0U);
  EXPECT_EQ(text_of([](context& self) { self.publish("", "said"); }).find(refused), 0U);
  EXPECT_EQ(text_of([](context& self) { self.join_group("\xff"); }).find(refused), 0U);
  EXPECT_EQ(text_of([](context& self) { self.request("", "cart/ada", "add"); }).find(refused), 0U);
  EXPECT_EQ(text_of([](context& self) { self.request("n", "cart/ada", "add", "\xff"); }).find(refused), 0U);
  EXPECT_EQ(text_of([](context& self) { self.request("n", "cart/ada", "add", 1, 2h); }).find(refused), 0U);
  EXPECT_EQ(text_of([](context& self) { self.monitor("n", ""); }).find(refused), 0U);
  EXPECT_EQ(text_of([](context& self) { self.set_timer("", 1s); }).find(refused), 0U);
  EXPECT_EQ(text_of([](context& self) { self.cancel_timer(std::string(129, 'x')); }).find(refused), 0U);
  EXPECT_EQ(text_of([](context& self) { self.set_timer("t", -1s); }),
            "invalid_argument: the timer 't' is set to -1000 ms; 1 ms to 400 days (34560000000 ms) are accepted");
  EXPECT_EQ(text_of([](context& self) { self.set_timer("t", 0s); }).find(refused), 0U);
  EXPECT_EQ(text_of([](context& self) { self.set_timer("t", std::chrono::days{400} + 1ms); }).find(refused), 0U);
  EXPECT_EQ(text_of([](context& self) { self.stop("well"); }),
            "a process stops with normal, shutdown or error, not 'well'");
}

TEST(a_process_class, that_asks_for_what_none_of_its_handlers_hears_crashes_and_says_which_it_has) {
  process_class deaf("deaf");
  deaf.on_info("x", [](context&, const json&) {}).on_info("y", [](context&, const json&) {});
  deaf.on_reply("z", [](context&, const outcome&) {});
  deaf.on_call("timer",
               [](context& self, const json& name) { return self.set_timer(name.get<std::string>(), 1s), json(); })
      .on_call("request",
               [](context& self, const json& name) {
                 return self.request(name.get<std::string>(), "cart/ada", "add"), json();
               })
      .on_call("monitor", [](context& self, const json& name) {
        return self.monitor(name.get<std::string>(), "cart/ada"), json();
      });
  const auto done = [&](const char* method, const char* name) {
    return deaf.handle(work("call", {{"method", method}, {"argument", name}}));
  };
  EXPECT_EQ(done("timer", "z")["crash"]["text"],
            "class 'deaf' has no on_info 'z' for this timer to come to; it has: x, y");
  EXPECT_EQ(done("request", "x")["crash"]["text"],
            "class 'deaf' has no on_reply 'x' for this request to come to; it has: z");
  EXPECT_EQ(done("monitor", "x/1")["crash"]["text"],
            "class 'deaf' has no on_down 'x/1' for this monitor to come to; it has: none");
  EXPECT_EQ(done("timer", "x/1")["effects"][0]["timer"]["name"], "x/1");
  EXPECT_EQ(done("request", "z/1")["effects"][0]["call"]["name"], "z/1");
}

TEST(a_process_class, tells_timers_messages_replies_and_downs_apart) {
  process_class ear("ear");
  ear.on_info("x",
              [](context& self, const json& argument) {
                self.change() = {self.source() == info_source::timer ? "timer" : "message", argument};
              })
      .on_reply("x",
                [](context& self, const outcome& answer) {
                  if (answer.failure) {
                    self.change() = {answer.failure->code(), answer.failure->took_effect() == effect::unknown};
                  } else {
                    self.change() = {"reply", answer.reply};
                  }
                })
      .on_down("x",
               [](context& self, const down& what) {
                 self.change() = {what.pid, what.reason.kind};
               })
      .on_handoff([](context& self) { self.change() = "moved"; });
  EXPECT_EQ(ear.registration(1)["callbacks"], json::parse(R"(["info", "handoff"])"));
  const auto hears = [&](const char* source, json argument) {
    return ear.handle(
        work("info", {{"method", "x/1"}, {"source", source}, {"argument", std::move(argument)}}))["state"];
  };
  EXPECT_EQ(hears("timer", 1), json::parse(R"(["timer", 1])"));
  EXPECT_EQ(hears("message", 2), json::parse(R"(["message", 2])"));
  EXPECT_EQ(hears("reply", {{"ok", 3}}), json::parse(R"(["reply", 3])"));
  EXPECT_EQ(hears("reply", {{"error", {{"code", "gone"}, {"text", ""}, {"effect", "unknown"}}}}),
            json::parse(R"(["gone", true])"));
  EXPECT_EQ(hears("down", {{"pid", "n@1.2.3"}, {"reason", {{"kind", "error"}, {"text", ""}}}}),
            json::parse(R"(["n@1.2.3", "error"])"));
  EXPECT_EQ(hears("down", {{"pid", "cart/nobody"}, {"reason", {{"kind", "noproc"}}}}),
            json::parse(R"(["", "noproc"])"));
  EXPECT_EQ(ear.handle(work("handoff"))["state"], "moved");
}

TEST(a_process_class, drops_replies_and_downs_that_it_has_no_handler_for) {
  process_class deaf("deaf");
  deaf.on_info("x", [](context& self, const json&) { self.change() = "heard"; });
  for (const auto* source : {"reply", "down"}) {
    EXPECT_EQ(deaf.handle(work("info", {{"method", "x"}, {"source", source}, {"argument", json::object()}})),
              json::parse(R"({"type": "done", "work": 7})"));
  }
}

TEST(a_process_class, says_what_it_has_where_it_is_asked_for_something_else) {
  const auto crash_of = [](const process_class& what, const char* callback, const char* method) {
    return what.handle(work(callback, {{"method", method}, {"state", 5}}))["crash"]["text"];
  };
  EXPECT_EQ(crash_of(a_cart(), "call", "ad"), "class 'cart' has no call 'ad'; it has: add, boom, count, wait");
  EXPECT_EQ(crash_of(a_cart(), "cast", "add"), "class 'cart' has no cast 'add'; it has: release");
  EXPECT_EQ(crash_of(process_class("bare"), "cast", "add"), "class 'bare' has no cast 'add'; it has: none");
  EXPECT_EQ(
      crash_of(a_cart(), "cal", "add"),
      "a class has no callback 'cal'; there are: init, call, cast, info, continue, code_change, handoff, terminate");
}

TEST(a_process_class, leaves_things_as_they_are_where_it_has_no_such_callback) {
  for (const auto* callback : {"init", "info", "continue", "code_change", "handoff", "terminate"}) {
    EXPECT_EQ(process_class("bare").handle(work(callback, {{"state", 5}})),
              json::parse(R"({"type": "done", "work": 7})"))
        << callback;
  }
}

TEST(a_process_class, asks_others_through_what_its_test_brings) {
  process_class asking("asking");
  asking.on_call("ask", [](context& self, const json& name) { return self.call(name.get<std::string>(), "get"); });
  const surroundings around{.abandoned = {}, .call = [](auto name, auto, const json&, const auto& how) {
                              return json{{"name", name}, {"trace", how.trace}};
                            }};
  EXPECT_EQ(
      asking.handle(work("call", {{"method", "ask"}, {"argument", "cart/ada"}, {"trace", "00-1"}}), around)["reply"],
      json::parse(R"({"name": "cart/ada", "trace": "00-1"})"));
}

TEST(a_process_class, takes_older_state_over) {
  EXPECT_EQ(a_cart().handle(work("code_change", {{"fromVersion", 1}, {"state", 5}}))["state"],
            json::parse(R"({"from": 1, "was": 5})"));
}

}  // namespace
}  // namespace orrery::app
