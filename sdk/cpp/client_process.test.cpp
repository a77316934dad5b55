// Client processes and monitors against a sidecar that does what the test says.
#include <gtest/gtest.h>

#include "sdk/cpp/fake_sidecar.hpp"
#include <future>
#include <memory>
#include <orrery/app.hpp>
#include <stop_token>
#include <string>
#include <vector>

namespace orrery::app {
namespace {

using namespace std::chrono_literals;
using fixtures::fake_connection;
using fixtures::fake_sidecar;

class a_client_process : public ::testing::Test {
 protected:
  void SetUp() override {
    client_options options;
    options.socket = sidecar_.socket();
    options.connect_timeout = 30s;
    options.log = [](const std::string&) {};
    one_ = std::make_unique<client>(options);
  }
  void welcome(const fixtures::welcome_options& how = {}) {
    line_ = std::make_unique<fake_connection>(sidecar_.accept_and_welcome(how));
  }
  /// Opens one, and answers for the sidecar.
  client_process open(const std::string& pid = "n@1.2.3") {
    auto opened = std::async(std::launch::async, [&] { return one_->process(); });
    line_->answer(line_->expect("open"), {{"pid", pid}});
    return opened.get();
  }
  /// What the sidecar is asked while `act` runs; it answers `ok`.
  json asked(const std::string& type, const std::function<void()>& act, json ok = json::object()) {
    auto done = std::async(std::launch::async, act);
    auto frame = line_->expect(type);
    line_->answer(frame, std::move(ok));
    done.get();
    frame.erase("id");
    frame.erase("type");
    return frame;
  }
  void send_plain(const std::string& word, const json& argument = nullptr, std::uint64_t to = 1) {
    line_->send({{"type", "message"}, {"process", to}, {"kind", "plain"}, {"word", word}, {"argument", argument}});
  }
  static std::optional<error> error_of(const std::function<void()>& operation) {
    try {
      operation();
      return {};
    } catch (const error& why) {
      return why;
    }
  }
  /// "CODE EFFECT".
  static std::string end_of(const std::function<void()>& operation) {
    const auto why = error_of(operation);
    if (!why) return "none";
    return why->code() + (why->took_effect() == effect::not_executed ? " not_executed" : " unknown");
  }

  fake_sidecar sidecar_;
  std::unique_ptr<client> one_;
  std::unique_ptr<fake_connection> line_;
};

// ---- acts ----

TEST_F(a_client_process, is_opened_with_room_for_a_hundred_messages_and_knows_its_pid) {
  welcome();
  auto opened = std::async(std::launch::async, [&] { return one_->process(); });
  const auto frame = line_->expect("open");
  EXPECT_EQ(frame["process"], 1);
  EXPECT_EQ(frame["credit"], 100);
  line_->answer(frame, {{"pid", "n@1.2.3"}});
  const auto room = opened.get();
  EXPECT_EQ(room.pid(), "n@1.2.3");
  auto other = std::async(std::launch::async, [&] { return one_->process(); });
  const auto second = line_->expect("open");
  EXPECT_EQ(second["process"], 2);
  line_->refuse(second, "overloaded");
  EXPECT_EQ(end_of([&] { other.get(); }), "overloaded not_executed");
}

TEST_F(a_client_process, asks_as_the_protocol_has_it) {
  welcome();
  auto room = open();
  const auto is = [](const char* text) { return json::parse(text); };
  EXPECT_EQ(asked("call", [&] { room.call("cart/ada", "add", 1, 5s); }),
            is(R"({"process": 1, "to": "cart/ada", "method": "add", "argument": 1, "timeoutMs": 5000})"));
  EXPECT_EQ(asked("cast", [&] { room.cast("n@1.2.4", "add", 1); }),
            is(R"({"process": 1, "to": "n@1.2.4", "method": "add", "argument": 1})"));
  EXPECT_EQ(asked("send", [&] { room.send("n@1.2.4", "hello"); }),
            is(R"({"process": 1, "to": "n@1.2.4", "word": "hello", "argument": null})"));
  EXPECT_EQ(asked("publish", [&] { EXPECT_EQ(room.publish("chat", "said", "hi"), 3U); }, {{"members", 3}}),
            is(R"({"process": 1, "group": "chat", "word": "said", "argument": "hi"})"));
  EXPECT_EQ(asked("monitor", [&] { EXPECT_EQ(room.monitor("cart/ada"), 4U); }, {{"monitor", 4}}),
            is(R"({"process": 1, "to": "cart/ada"})"));
  EXPECT_EQ(asked("demonitor", [&] { room.demonitor(4); }), is(R"({"process": 1, "monitor": 4})"));
  EXPECT_EQ(asked("link", [&] { room.link("cart/ada"); }), is(R"({"process": 1, "to": "cart/ada"})"));
  EXPECT_EQ(asked("unlink", [&] { room.unlink("cart/ada"); }), is(R"({"process": 1, "to": "cart/ada"})"));
  EXPECT_EQ(asked("exit",
                  [&] {
                    room.exit("cart/ada", {"kill", "go"});
                  }),
            is(R"({"process": 1, "to": "cart/ada", "reason": {"kind": "kill", "text": "go"}})"));
  EXPECT_EQ(asked("join", [&] { room.join("chat"); }), is(R"({"process": 1, "group": "chat"})"));
  EXPECT_EQ(asked("leave", [&] { EXPECT_TRUE(room.leave("chat")); }, {{"member", true}}),
            is(R"({"process": 1, "group": "chat"})"));
  EXPECT_EQ(asked("watch", [&] { EXPECT_EQ(room.watch("chat"), std::vector<std::string>{"p"}); }, {{"pids", {"p"}}}),
            is(R"({"process": 1, "group": "chat"})"));
  EXPECT_EQ(asked("unwatch", [&] { room.unwatch("chat"); }), is(R"({"process": 1, "group": "chat"})"));
  EXPECT_EQ(asked("claim", [&] { room.claim("leader", 1); }),
            is(R"({"process": 1, "key": "leader", "value": 1, "in": "mesh_unique", "timeoutMs": 5000})"));
  EXPECT_EQ(asked("update", [&] { room.update("leader", 2, key_scope::node_duplicate); }),
            is(R"({"process": 1, "key": "leader", "value": 2, "in": "node_duplicate"})"));
  EXPECT_EQ(asked("release", [&] { EXPECT_TRUE(room.release("leader")); }, {{"held", true}}),
            is(R"({"process": 1, "key": "leader", "in": "mesh_unique"})"));
  EXPECT_EQ(
      asked("spawn", [&] { EXPECT_EQ(room.spawn("cart", 1, {.link = true}).pid, "n@1.2.5"); }, {{"pid", "n@1.2.5"}}),
      is(R"({"process": 1, "class": "cart", "argument": 1, "link": true, "monitor": false})"));
}

TEST_F(a_client_process, refuses_what_cannot_be_right_before_it_is_sent) {
  welcome();
  auto room = open();
  const std::vector<std::function<void()>> wrong{
      [&] { room.send("counter", "w"); },
      [&] { room.send("", "w"); },
      [&] { room.send("cart/", "w"); },
      [&] { room.send("cart/ada", "key_lost"); },
      [&] { room.send("cart/ada", "\xff"); },
      [&] { room.cast("cart/ada", ""); },
      [&] { room.join(""); },
      [&] { room.claim("", 1); },
      [&] { room.claim("k", "\xff"); },
      [&] { room.claim("k", 1, {.timeout = 0ms}); },
      [&] { room.spawn(""); },
      [&] { static_cast<void>(one_->monitor("counter")); },
      [&] { static_cast<void>(one_->link("counter", [](const std::stop_token&) {})); },
      [&] { one_->publish("", "w"); },
      [&] { one_->lookup(""); },
  };
  for (std::size_t i = 0; i < wrong.size(); ++i)
    EXPECT_EQ(end_of(wrong[i]), "invalid_argument not_executed") << i;
  EXPECT_EQ(end_of([&] { room.send("cart/ada", "w", std::string(2U << 20U, 'x')); }), "too_large not_executed");
  EXPECT_EQ(end_of([&] { room.claim("k", std::string(4096, 'x')); }), "too_large not_executed");
  EXPECT_EQ(end_of([&] { room.join(std::string(256, 'g')); }), "invalid_argument not_executed");
  EXPECT_FALSE(line_->next(50ms));
}

TEST_F(a_client_process, is_refused_without_a_word_where_the_sidecar_is_too_old) {
  welcome({.features = {"events", "host", "trace"}});
  const std::vector<std::function<void()>> all{
      [&] { static_cast<void>(one_->process()); },
      [&] { static_cast<void>(one_->monitor("cart/ada")); },
      [&] { static_cast<void>(one_->link("cart/ada", [](const std::stop_token&) {})); },
      [&] { one_->start("cart/ada"); },
      [&] { one_->publish("chat", "said"); },
      [&] { one_->group("chat"); },
      [&] { one_->groups(); },
      [&] { one_->registry(); },
      [&] { one_->lookup("leader"); },
  };
  for (const auto& each : all) {
    EXPECT_EQ(end_of(each), "unavailable not_executed");
    EXPECT_NE(error_of(each)->text().find("too old"), std::string::npos);
  }
  EXPECT_FALSE(line_->next(50ms));
}

TEST_F(a_client_process, is_not_needed_to_start_publish_and_look_things_up) {
  welcome();
  const auto is = [](const char* text) { return json::parse(text); };
  EXPECT_EQ(asked("start", [&] { EXPECT_EQ(one_->start("cart/ada", 2s), "p"); }, {{"pid", "p"}}),
            is(R"({"class": "cart", "key": "ada", "timeoutMs": 2000})"));
  EXPECT_EQ(asked("publish", [&] { EXPECT_EQ(one_->publish("chat", "said", 1), 2U); }, {{"members", 2}}),
            is(R"({"group": "chat", "word": "said", "argument": 1})"));
  EXPECT_EQ(asked("group", [&] { one_->group("chat"); }), is(R"({"group": "chat"})"));
  EXPECT_EQ(asked("groups", [&] { one_->groups({.prefix = "c", .limit = 7}); }), is(R"({"prefix": "c", "limit": 7})"));
  EXPECT_EQ(asked("registry", [&] { one_->registry(); }), is(R"({"limit": 1000})"));
  EXPECT_EQ(asked("lookup", [&] { one_->lookup("k", key_scope::node_unique); }),
            is(R"({"key": "k", "in": "node_unique"})"));
}

TEST_F(a_client_process, is_not_needed_to_read_who_is_in_groups_and_holds_keys) {
  welcome();
  const auto is = [](const char* text) { return json::parse(text); };
  const auto holds = [&] {
    const auto found = one_->lookup("leader");
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].key + " " + found[0].pid + " " + found[0].value.dump(), "leader p 7");
  };
  asked("lookup", holds, is(R"({"entries": [{"key": "leader", "pid": "p", "value": 7}]})"));
  asked(
      "lookup", [&] { EXPECT_TRUE(one_->lookup("leader").empty()); }, is(R"({"entries": []})"));
  const auto registered = [&] {
    const auto found = one_->registry();
    ASSERT_EQ(found.entries.size(), 1U);
    EXPECT_TRUE(found.entries[0].unique && found.truncated);
    EXPECT_EQ(found.entries[0].node, "n");
  };
  asked("registry", registered,
        is(R"({"entries": [{"key": "k", "unique": true, "pid": "p", "node": "n", "value": null}],
      "truncated": true})"));
  const auto members = [&] {
    const auto found = one_->group("chat");
    ASSERT_EQ(found.members.size(), 1U);
    EXPECT_EQ(found.group + " " + found.members[0].pid + " " + found.members[0].node, "chat p n");
  };
  asked("group", members, is(R"({"group": "chat", "members": [{"pid": "p", "node": "n"}], "truncated": false})"));
  const auto sizes = [&] {
    const auto found = one_->groups();
    ASSERT_EQ(found.groups.size(), 1U);
    EXPECT_EQ(found.groups[0].members - found.groups[0].here, 1U);
  };
  asked("groups", sizes, is(R"({"groups": [{"name": "chat", "members": 3, "here": 2}], "truncated": false})"));
}

// ---- messages ----

TEST_F(a_client_process, gets_each_message_as_what_it_is) {
  welcome();
  auto room = open();
  const auto send = [&](json message) {
    message.update({{"type", "message"}, {"process", 1}});
    line_->send(message);
  };
  const json reason{{"kind", "error"}, {"text", "boom"}};
  send({{"kind", "plain"}, {"word", "said"}, {"argument", 1}, {"from", "n@1.2.4"}});
  send({{"kind", "of a newer sidecar"}});
  send({{"kind", "cast"}, {"method", "note"}, {"argument", 2}});
  send({{"kind", "down"}, {"monitor", 3}, {"from", "cart/nobody"}, {"reason", reason}});
  send({{"kind", "exit"}, {"from", "n@1.2.5"}, {"reason", reason}});
  send({{"kind", "dropped"}, {"count", 12}});
  const auto said = std::get<plain_message>(*room.next());
  EXPECT_EQ(said.word, "said");
  EXPECT_EQ(said.argument, 1);
  EXPECT_EQ(said.from, "n@1.2.4");
  const auto note = std::get<cast_message>(*room.next());
  EXPECT_EQ(note.method, "note");
  EXPECT_EQ(note.argument, 2);
  EXPECT_EQ(note.from, "");
  const auto gone = std::get<down_message>(*room.next());
  EXPECT_EQ(gone.monitor, 3U);
  EXPECT_EQ(gone.what, (down{"", {"error", "boom"}}));
  const auto signal = std::get<exit_message>(*room.next());
  EXPECT_EQ(signal.from, "n@1.2.5");
  EXPECT_EQ(signal.reason, (exit_reason{"error", "boom"}));
  EXPECT_EQ(std::get<dropped_message>(*room.next()).count, 12U);
}

TEST_F(a_client_process, is_told_in_their_place_how_many_messages_were_dropped_for_one_credit) {
  welcome();
  auto room = open();
  for (int i = 0; i < 49; ++i)
    send_plain("n", i);
  line_->send({{"type", "message"}, {"process", 1}, {"kind", "dropped"}, {"count", 7000}});
  send_plain("n", "after");
  for (int i = 0; i < 49; ++i)
    static_cast<void>(room.next());
  EXPECT_FALSE(line_->next(50ms));
  EXPECT_EQ(std::get<dropped_message>(*room.next()).count, 7000U);
  EXPECT_EQ(line_->expect("credit")["add"], 50);
  EXPECT_EQ(std::get<plain_message>(*room.next()).argument, "after");
}

TEST_F(a_client_process, gives_credit_only_as_its_messages_are_taken) {
  welcome();
  auto room = open();
  for (int i = 0; i < 100; ++i)
    send_plain("n", i);
  for (int i = 0; i < 49; ++i)
    EXPECT_EQ(std::get<plain_message>(*room.next()).argument, i);
  EXPECT_FALSE(line_->next(50ms));
  static_cast<void>(room.next());
  const auto credit = line_->expect("credit");
  EXPECT_EQ(credit["process"], 1);
  EXPECT_EQ(credit["add"], 50);
  EXPECT_FALSE(credit.contains("id"));
}

TEST_F(a_client_process, drops_a_down_that_had_come_when_its_monitor_is_given_up) {
  welcome();
  auto room = open();
  line_->send(
      {{"type", "message"}, {"process", 1}, {"kind", "down"}, {"monitor", 4}, {"reason", {{"kind", "noproc"}}}});
  send_plain("hello");
  asked("demonitor", [&] { room.demonitor(4); });
  const auto next = room.next(30s);
  ASSERT_TRUE(next);
  EXPECT_TRUE(std::holds_alternative<plain_message>(*next));
}

TEST_F(a_client_process, waits_for_a_message_no_longer_than_it_was_told) {
  welcome();
  auto room = open();
  EXPECT_FALSE(room.next(10ms));
  EXPECT_FALSE(room.ended());
  std::stop_source stop;
  auto waiting = std::async(std::launch::async, [&] { return room.next(stop.get_token()); });
  EXPECT_EQ(waiting.wait_for(50ms), std::future_status::timeout);
  stop.request_stop();
  EXPECT_FALSE(waiting.get());
}

// ---- its end ----

TEST_F(a_client_process, that_is_killed_ends_after_what_had_come) {
  welcome();
  auto room = open();
  send_plain("last");
  line_->send({{"type", "ended"}, {"process", 1}, {"reason", {{"kind", "killed"}, {"text", "go"}}}});
  ASSERT_TRUE(room.next());
  EXPECT_FALSE(room.next());
  EXPECT_EQ(room.ended(), (exit_reason{"killed", "go"}));
  EXPECT_EQ(end_of([&] { room.join("chat"); }), "unavailable not_executed");
  room.close();
  EXPECT_FALSE(line_->next(50ms)) << "what has ended is not closed";
}

TEST_F(a_client_process, is_closed_for_a_reason_once) {
  welcome();
  auto room = open();
  EXPECT_EQ(asked("close",
                  [&] {
                    room.close({"error", "boom"});
                  }),
            json::parse(R"({"process": 1, "reason": {"kind": "error", "text": "boom"}})"));
  EXPECT_EQ(room.ended(), (exit_reason{"error", "boom"}));
  room.close();
  EXPECT_EQ(end_of([&] { room.join("chat"); }), "unavailable not_executed");
}

TEST_F(a_client_process, that_cannot_be_closed_so_goes_on) {
  welcome();
  auto room = open();
  auto closed = std::async(std::launch::async, [&] { room.close({"kill", ""}); });
  line_->refuse(line_->expect("close"), "invalid_argument");
  EXPECT_EQ(end_of([&] { closed.get(); }), "invalid_argument not_executed");
  EXPECT_FALSE(room.ended());
  send_plain("still here");
  EXPECT_TRUE(room.next());
}

TEST_F(a_client_process, is_closed_with_its_handle) {
  welcome();
  { const auto room = open(); }
  const auto frame = line_->expect("close");
  EXPECT_EQ(frame["process"], 1);
  EXPECT_EQ(frame["reason"]["kind"], "normal");
}

TEST_F(a_client_process, ends_with_its_connection_and_the_next_one_has_others) {
  welcome();
  auto room = open();
  send_plain("before");
  auto joining = std::async(std::launch::async, [&] { room.join("chat"); });
  line_->expect("join");
  line_.reset();
  EXPECT_EQ(end_of([&] { joining.get(); }), "unavailable unknown");
  EXPECT_TRUE(room.next());
  EXPECT_FALSE(room.next());
  EXPECT_EQ(room.ended()->kind, "noconnection");
  EXPECT_EQ(end_of([&] { room.join("chat"); }), "unavailable not_executed");
  welcome();
  const auto other = open("n@1.2.9");
  EXPECT_EQ(other.pid(), "n@1.2.9");
  EXPECT_EQ(end_of([&] { room.join("chat"); }), "unavailable not_executed");
  EXPECT_FALSE(line_->next(50ms)) << "nothing of the first one is said to the next sidecar";
}

TEST_F(a_client_process, whose_act_waited_for_its_turn_when_the_connection_ended_did_nothing) {
  welcome({.requests = 2});  // one at a time
  auto room = open();
  auto first = std::async(std::launch::async, [&] { room.join("one"); });
  line_->expect("join");
  auto second = std::async(std::launch::async, [&] { room.join("two"); });
  EXPECT_EQ(second.wait_for(100ms), std::future_status::timeout);
  line_.reset();
  EXPECT_EQ(end_of([&] { first.get(); }), "unavailable unknown");
  EXPECT_EQ(end_of([&] { second.get(); }), "unavailable not_executed");
  welcome({.requests = 2});
  EXPECT_FALSE(line_->next(50ms));
}

TEST_F(a_client_process, may_outlive_its_client) {
  welcome();
  auto room = open();
  auto waiting = std::async(std::launch::async, [&] { return room.next(); });
  one_.reset();
  EXPECT_FALSE(waiting.get());
  EXPECT_EQ(room.ended()->kind, "noconnection");
  EXPECT_EQ(end_of([&] { room.join("chat"); }), "unavailable not_executed");
}

// ---- monitors ----

class a_monitor : public a_client_process {
 protected:
  process_monitor watch(std::uint64_t number, const std::string& to = "cart/ada") {
    auto watched = std::async(std::launch::async, [this, to] { return one_->monitor(to); });
    auto frame = *line_->next(10s);
    if (frame["type"] == "open") {
      ++opened_;
      line_->answer(frame, {{"pid", "n@1.2.3"}});
      frame = line_->expect("monitor");
    }
    line_->answer(frame, {{"monitor", number}});
    return watched.get();
  }
  void send_down(std::uint64_t number) {
    line_->send({{"type", "message"},
                 {"process", opened_},
                 {"kind", "down"},
                 {"monitor", number},
                 {"from", "n@1.2.4"},
                 {"reason", {{"kind", "error"}, {"text", "boom"}}}});
  }
  int opened_ = 0;
};

TEST_F(a_monitor, shares_a_process_with_others_and_hears_only_its_own) {
  welcome();
  auto first = watch(1);
  auto second = watch(2);
  EXPECT_EQ(opened_, 1);
  send_down(2);
  EXPECT_EQ(second.wait(), (down{"n@1.2.4", {"error", "boom"}}));
  EXPECT_FALSE(first.wait(20ms));
  send_down(1);
  EXPECT_TRUE(first.wait(10s));
  EXPECT_TRUE(first.wait()) << "again";
}

TEST_F(a_monitor, gives_credit_for_what_was_dropped_and_waits_on) {
  welcome();
  auto watched = watch(1);
  for (int i = 0; i < 50; ++i)
    line_->send({{"type", "message"}, {"process", opened_}, {"kind", "dropped"}, {"count", 1}});
  EXPECT_EQ(line_->expect("credit")["add"], 50);
  EXPECT_FALSE(watched.wait(20ms));
  send_down(1);
  EXPECT_TRUE(watched.wait(10s));
}

TEST_F(a_monitor, hears_a_down_that_comes_with_the_answer) {
  welcome();
  auto watched = std::async(std::launch::async, [this] { return one_->monitor("cart/ada"); });
  line_->answer(line_->expect("open"), {{"pid", "n@1.2.3"}});
  opened_ = 1;
  line_->answer(line_->expect("monitor"), {{"monitor", 1}});
  send_down(1);
  EXPECT_TRUE(watched.get().wait(10s));
}

TEST_F(a_monitor, is_given_up_with_its_handle_or_before) {
  welcome();
  auto first = watch(1);
  { const auto second = watch(2); }
  EXPECT_EQ(line_->expect("demonitor")["monitor"], 2);
  auto waiting = std::async(std::launch::async, [&] { return first.wait(); });
  first.cancel();
  EXPECT_EQ(line_->expect("demonitor")["monitor"], 1);
  EXPECT_FALSE(waiting.get());
  send_down(1);
  EXPECT_FALSE(first.wait(20ms));
}

TEST_F(a_monitor, hears_that_its_connection_was_lost_and_the_next_opens_a_process_anew) {
  welcome();
  auto first = watch(1);
  auto second = watch(2, "n@1.2.7");
  line_.reset();
  EXPECT_EQ(first.wait()->reason.kind, "noconnection");
  EXPECT_EQ(first.wait()->pid, "");
  EXPECT_EQ(second.wait()->pid, "n@1.2.7");
  welcome();
  auto third = watch(1);
  EXPECT_EQ(opened_, 2);
  send_down(1);
  EXPECT_EQ(third.wait()->reason.kind, "error");
}

}  // namespace
}  // namespace orrery::app
