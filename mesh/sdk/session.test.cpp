#include "mesh/sdk/session.hpp"

#include "mesh/sdk/testing.hpp"

#include <gmock/gmock.h>

namespace orrery::sdk {
namespace {

using namespace std::chrono_literals;
using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class a_session : public ::testing::Test {
 protected:
  void say(const json& document) { say_bytes(frame_of(document, how)); }
  void say_bytes(byte_view frame) { receive(of, now, frame, out); }
  /// Over a transport that keeps frames apart, in pieces of so many bytes.
  void say_apart(const json& document, std::size_t piece) {
    const auto frame = frame_of(document, how);
    auto rest = byte_view{frame}.subspan(length_bytes);
    while (!rest.empty()) {
      const auto part = rest.first(std::min(piece, rest.size()));
      rest = rest.subspan(part.size());
      receive_piece(of, now, part, rest.empty(), how, out);
    }
  }
  static auto has(const char* field, const char* text) {
    return ::testing::ResultOf([field](const json& one) { return one.value(field, ""); }, ::testing::Eq(text));
  }
  void greet() {
    say({{"type", "hello"}, {"version", 1}});
    ASSERT_THAT(heard(), ElementsAre(::testing::_));
  }
  void pass(duration span) {
    for (const auto end = now + span; now < end;) {
      now += 1s;
      of.tick(now, out);
    }
  }
  /// Frames since this was asked last.
  std::vector<json> heard() {
    std::vector<json> all;
    for (const auto& each : out) {
      if (const auto* sent = std::get_if<send>(&each)) all.push_back(document_of(sent->frame, how));
    }
    std::erase_if(out, [](const output& each) { return std::holds_alternative<send>(each); });
    return all;
  }
  template <class Output>
  std::vector<Output> take() {
    std::vector<Output> all;
    std::erase_if(out, [&](output& each) {
      auto* one = std::get_if<Output>(&each);
      if (one != nullptr) all.push_back(std::move(*one));
      return one != nullptr;
    });
    return all;
  }
  std::string goodbye() {
    const auto last = heard();
    if (last.empty() || last.back().at("type") != "goodbye") return "none";
    EXPECT_EQ(take<close>().size(), 1U);
    return last.back().at("code").get<std::string>() + ": " + last.back().at("text").get<std::string>();
  }
  template <class Event>
  Event told_node() {
    auto all = take<tell_node>();
    EXPECT_EQ(all.size(), 1U);
    auto* one = all.empty() ? nullptr : std::get_if<Event>(&all[0].what);
    EXPECT_NE(one, nullptr);
    return one == nullptr ? Event{} : std::move(*one);
  }
  static json a_call(int id, const char* key = "k") {
    return {{"type", "call"}, {"id", id}, {"class", "cart"}, {"key", key}, {"method", "get"}};
  }
  static json registration(int id, const char* klass = "cart") {
    return {{"type", "register"}, {"id", id}, {"class", klass}, {"calls", {"get"}}};
  }
  process::app_work work(std::uint64_t id) {
    process::app_work out_;
    out_.id = process::work_id{id};
    out_.name = {class_name{"cart"}, process_key{"k"}};
    return out_;
  }

  encoding how = encoding::cbor;
  time_point now{100s};
  session of{{"0.1", "demo-1", "demo"}, process::app_id{9}, now};
  outputs out;
};

// ---- hello, life and end ----

TEST_F(a_session, begins_with_a_hello_and_says_what_it_is_and_allows) {
  say({{"type", "hello"}, {"version", 1}, {"client", "test/1"}, {"features", {"everything"}}});
  const auto welcome = heard().at(0);
  EXPECT_EQ(welcome.at("type"), "welcome");
  EXPECT_EQ(welcome.at("version"), 1);
  EXPECT_EQ(welcome.at("node"), "demo-1");
  EXPECT_EQ(welcome.at("limits").at("frameBytes"), 4 << 20);
  EXPECT_EQ(of.client(), "test/1");
}

TEST_F(a_session, speaks_json_with_who_begins_with_it) {
  how = encoding::json;
  greet();
  say(a_call(5));
  EXPECT_EQ(take<ask>().size(), 1U);
  of.answered(request_number{5}, value{}, out);
  EXPECT_THAT(heard(), ElementsAre(json{{"type", "result"}, {"id", 5}, {"ok", nullptr}}));
}

TEST_F(a_session, negotiates_newer_clients_down_and_refuses_those_that_cannot_go_so_low) {
  say({{"type", "hello"}, {"version", 7}, {"minVersion", 1}});
  EXPECT_EQ(heard().at(0).at("version"), 1);
  session other({}, process::app_id{1}, now);
  outputs refused;
  receive(other, now, frame_of({{"type", "hello"}, {"version", 7}, {"minVersion", 3}}), refused);
  ASSERT_EQ(refused.size(), 2U);
  const auto last = document_of(std::get<send>(refused[0]).frame);
  EXPECT_EQ(last.at("code"), "protocol");
  EXPECT_EQ(last.at("text"), "the client speaks versions 3 to 7, this sidecar 1 to 1");
  EXPECT_EQ(last.at("version"), 1);
}

TEST_F(a_session, takes_frames_that_come_in_pieces_and_several_at_once) {
  greet();
  auto frames = frame_of(a_call(1));
  const auto second = frame_of(a_call(2));
  frames.insert(frames.end(), second.begin(), second.end());
  for (const auto byte : frames)
    say_bytes({&byte, 1});
  EXPECT_EQ(take<ask>().size(), 2U);
  say_bytes(frame_of({{"type", "ping"}, {"n", 7}}));
  EXPECT_THAT(heard(), ElementsAre(json{{"type", "pong"}, {"n", 7}}));
}

TEST_F(a_session, takes_frames_that_a_transport_keeps_apart_whole_or_in_pieces) {
  for (const auto spoken : {encoding::cbor, encoding::json}) {
    of = session{{"0.1", "demo-1", "demo"}, process::app_id{9}, now};
    how = spoken;
    say_apart({{"type", "hello"}, {"version", 1}}, 1000);
    EXPECT_THAT(heard(), ElementsAre(has("type", "welcome")));
    say_apart({{"type", "ping"}, {"n", 7}}, 3);
    EXPECT_THAT(heard(), ElementsAre(json{{"type", "pong"}, {"n", 7}}));
    EXPECT_EQ(of.speaks(), spoken);
  }
}

TEST_F(a_session, ends_where_the_kind_of_message_changes) {
  say_apart({{"type", "hello"}, {"version", 1}}, 1000);
  heard();
  const auto text = json{{"type", "ping"}, {"n", 7}}.dump();
  receive_piece(of, now, as_bytes(text), true, encoding::json, out);
  EXPECT_EQ(goodbye(), "protocol: a text message, after a hello in CBOR");
  how = encoding::json;
  of = session{{"0.1", "demo-1", "demo"}, process::app_id{9}, now};
  say_apart({{"type", "hello"}, {"version", 1}}, 1000);
  heard();
  receive_piece(of, now, json::to_cbor(json{{"type", "ping"}, {"n", 7}}), true, encoding::cbor, out);
  EXPECT_EQ(goodbye(), "protocol: a binary message, after a hello in JSON");
}

TEST_F(a_session, bounds_messages_before_they_are_whole) {
  receive_piece(of, now, bytes(4096, 0xa1), false, how, out);
  EXPECT_TRUE(out.empty());
  receive_piece(of, now, bytes(1, 0xa1), false, how, out);
  EXPECT_THAT(goodbye(), HasSubstr("too_large: a frame of 4097 bytes; at most 4096, for a hello"));
  of = session{{"0.1", "demo-1", "demo"}, process::app_id{9}, now};
  say_apart({{"type", "hello"}, {"version", 1}}, 1000);
  heard();
  for (int mebibytes = 0; mebibytes < 4; ++mebibytes)
    receive_piece(of, now, bytes(1U << 20U, 0xa1), false, how, out);
  EXPECT_TRUE(out.empty());
  receive_piece(of, now, bytes(1, 0xa1), false, how, out);
  EXPECT_THAT(goodbye(), HasSubstr("too_large: a frame of 4194305 bytes; at most 4194304"));
}

TEST_F(a_session, ends_on_empty_and_on_half_messages) {
  receive_piece(of, now, {}, true, how, out);
  EXPECT_EQ(goodbye(), "protocol: a frame of no bytes");
  of = session{{"0.1", "demo-1", "demo"}, process::app_id{9}, now};
  say_apart({{"type", "hello"}, {"version", 1}}, 1000);
  heard();
  receive_piece(of, now, bytes(1, 0xa1), false, how, out);
  pass(29s);
  EXPECT_THAT(heard(), ElementsAre(has("type", "ping")));
  of.heard_from(now);
  pass(1s);
  EXPECT_THAT(goodbye(), HasSubstr("not whole after 30 s"));
}

TEST_F(a_session, lives_on_while_its_transport_hears_of_the_client) {
  greet();
  for (int i = 0; i < 5; ++i) {
    pass(14s);
    of.heard_from(now);
  }
  EXPECT_THAT(heard(), IsEmpty());
  pass(30s);
  EXPECT_THAT(goodbye(), HasSubstr("no sign of life"));
}

TEST_F(a_session, ends_with_who_does_not_begin_with_a_hello) {
  say(a_call(1));
  EXPECT_EQ(goodbye(), "protocol: the first frame must be a hello");
  say(a_call(2));
  EXPECT_THAT(out, IsEmpty()) << "what comes after is not heard";
}

TEST_F(a_session, ends_on_garbage_and_on_lengths_beyond_the_maximum_without_waiting_for_them) {
  say_bytes(as_bytes("GET / HTTP/1.1\r\n\r\n"));
  EXPECT_EQ(goodbye(), "too_large: a frame of 1195725856 bytes; at most 4096, for a hello");
  session other({}, process::app_id{1}, now);
  outputs refused;
  receive(other, now, frame_of({{"type", "hello"}, {"version", 1}}), refused);
  const bytes zero{0, 0, 0, 0};
  receive(other, now, zero, refused);
  EXPECT_EQ(document_of(std::get<send>(refused.at(1)).frame).at("text"), "a frame of no bytes");
  session third({}, process::app_id{1}, now);
  receive(third, now, frame_of({{"type", "hello"}, {"version", 1}}), refused);
  refused.clear();
  receive(third, now, bytes{0, 0x40, 0, 1}, refused);
  EXPECT_EQ(document_of(std::get<send>(refused.at(0)).frame).at("code"), "too_large");
}

TEST_F(a_session, ends_with_silent_clients_but_asks_them_first) {
  greet();
  pass(15s);
  EXPECT_THAT(heard(), ElementsAre(json{{"type", "ping"}, {"n", 1}}));
  say({{"type", "pong"}, {"n", 1}});
  pass(14s);
  EXPECT_THAT(heard(), IsEmpty());
  pass(16s);
  EXPECT_EQ(goodbye(), "deadline_exceeded: no sign of life for 30 s, though it was asked for");
}

TEST_F(a_session, ends_without_a_hello_in_time_and_on_half_a_frame) {
  pass(5s);
  EXPECT_EQ(goodbye(), "deadline_exceeded: no hello within 5 s");
  session other({}, process::app_id{1}, now);
  outputs seen;
  receive(other, now, frame_of({{"type", "hello"}, {"version", 1}}), seen);
  receive(other, now, bytes{0, 0}, seen);
  seen.clear();
  for (int i = 0; i < 30; ++i) {
    now += 1s;
    receive(other, now, i == 29 ? bytes{0} : bytes{}, seen);
    other.tick(now, seen);
  }
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(document_of(std::get<send>(seen[0]).frame).at("text"), "a frame that was not whole after 30 s");
}

TEST_F(a_session, gives_up_what_was_asked_when_it_ends) {
  greet();
  say(a_call(1));
  say(a_call(2));
  of.answered(request_number{1}, value{}, out);
  out.clear();
  of.closed("reset", out);
  const auto given_up = take<abandon>();
  ASSERT_EQ(given_up.size(), 1U);
  EXPECT_EQ(given_up[0].id, request_number{2});
  of.answered(request_number{2}, value{}, out);
  EXPECT_THAT(out, IsEmpty());
}

// ---- requests ----

TEST_F(a_session, answers_each_request_once_in_any_order) {
  greet();
  say(a_call(1));
  say(a_call(2));
  of.answered(request_number{2}, fail(errc::not_found, "no"), out);
  of.answered(request_number{1}, value{}, out);
  of.answered(request_number{1}, value{}, out);
  const auto all = heard();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].at("id"), 2);
  EXPECT_EQ(all[0].at("error").at("effect"), "not_executed");
  EXPECT_EQ(all[1].at("id"), 1);
}

TEST_F(a_session, asks_the_node_to_take_a_cancelled_call_back_and_says_what_came_of_it) {
  greet();
  say(a_call(1));
  say({{"type", "cancel"}, {"id", 1}});
  EXPECT_EQ(take<withdraw>().size(), 1U);
  EXPECT_THAT(heard(), IsEmpty());
  of.answered(request_number{1}, fail(errc::cancelled, "before it began"), out);
  const auto all = heard();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].at("error").at("code"), "cancelled");
  EXPECT_EQ(all[0].at("error").at("effect"), "not_executed");
  say({{"type", "cancel"}, {"id", 1}});
  EXPECT_EQ(take<withdraw>().size(), 0U) << "it is over";
}

TEST_F(a_session, cancels_what_is_no_call_at_once) {
  greet();
  say({{"type", "nodes"}, {"id", 1}});
  say({{"type", "cancel"}, {"id", 1}});
  say({{"type", "cancel"}, {"id", 1}});
  EXPECT_EQ(take<abandon>().size(), 1U);
  const auto all = heard();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].at("error").at("code"), "cancelled");
  EXPECT_EQ(all[0].at("error").at("effect"), "unknown");
}

TEST_F(a_session, bounds_the_requests_that_wait) {
  greet();
  for (std::size_t i = 1; i <= session::requests_max + 1; ++i)
    say(a_call(static_cast<int>(i)));
  EXPECT_EQ(take<ask>().size(), session::requests_max);
  const auto all = heard();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].at("id"), session::requests_max + 1);
  EXPECT_EQ(all[0].at("error").at("code"), "overloaded");
}

TEST_F(a_session, ends_where_a_number_is_used_twice) {
  greet();
  say(a_call(1));
  say(a_call(1));
  EXPECT_EQ(goodbye(), "protocol: request 1 is open already");
}

TEST_F(a_session, refuses_a_handler_that_calls_its_own_process) {
  greet();
  say(registration(1));
  of.told(process::app_class{.app = process::app_id{9}, .klass = class_name{"cart"}}, out);
  of.told(work(17), out);
  out.clear();
  auto call = a_call(2);
  call["onBehalfOf"] = 17;
  say(call);
  EXPECT_THAT(heard().at(0).at("error").at("text").get<std::string>(), HasSubstr("calling_self"));
  call = a_call(3, "other");
  call["onBehalfOf"] = 17;
  say(call);
  EXPECT_EQ(take<ask>().size(), 1U);
}

TEST_F(a_session, passes_casts_without_a_number_on_and_answers_nothing) {
  greet();
  say({{"type", "cast"}, {"class", "cart"}, {"key", "k"}, {"method", "note"}});
  const auto asked = take<ask>();
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_FALSE(asked[0].id);
  EXPECT_THAT(heard(), IsEmpty());
}

// ---- events ----

TEST_F(a_session, sends_events_as_long_as_there_is_credit_and_then_counts_them) {
  greet();
  say({{"type", "subscribe"}, {"id", 3}, {"credit", 2}, {"events", {"node_up"}}});
  EXPECT_THAT(heard(), ElementsAre(json{{"type", "result"}, {"id", 3}, {"ok", json::object()}}));
  const auto data = value::from_document({{"peer", "x"}}).value();
  for (int i = 0; i < 5; ++i)
    of.happened("node_up", data, out);
  of.happened("node_down", data, out);
  EXPECT_EQ(heard().size(), 2U);
  say({{"type", "credit"}, {"id", 3}, {"add", 5}});
  of.happened("node_up", data, out);
  EXPECT_THAT(heard(),
              ElementsAre(json{{"type", "event"}, {"id", 3}, {"event", "dropped"}, {"data", {{"count", 3}}}},
                          json{{"type", "event"}, {"id", 3}, {"event", "node_up"}, {"data", {{"peer", "x"}}}}));
  say({{"type", "cancel"}, {"id", 3}});
  of.happened("node_up", data, out);
  EXPECT_THAT(heard(), ElementsAre(json{{"type", "closed"}, {"id", 3}}));
}

TEST_F(a_session, bounds_subscriptions) {
  greet();
  for (std::size_t i = 1; i <= session::subscriptions_max + 1; ++i)
    say({{"type", "subscribe"}, {"id", i}, {"credit", 1}});
  EXPECT_EQ(heard().back().at("error").at("code"), "overloaded");
}

// ---- hosting ----

TEST_F(a_session, registers_classes_and_tells_what_becomes_of_them) {
  greet();
  say(registration(1));
  const auto told = told_node<process::app_registered>();
  EXPECT_EQ(told.offer.app, process::app_id{9});
  using process::app_class_state;
  process::app_class state{.app = process::app_id{9}, .klass = class_name{"cart"}};
  of.told(state, out);
  EXPECT_THAT(heard(), ElementsAre(json{{"type", "result"}, {"id", 1}, {"ok", {{"state", "undeclared"}}}}));
  state.state = app_class_state::ready;
  state.version = 4;
  of.told(state, out);
  EXPECT_THAT(heard(),
              ElementsAre(json{{"type", "class"}, {"class", "cart"}, {"state", "ready"}, {"classVersion", 4}}));
  say(registration(2));
  EXPECT_EQ(heard().at(0).at("error").at("code"), "already_exists");
}

TEST_F(a_session, that_is_refused_a_class_may_try_again) {
  greet();
  for (const int id : {1, 2}) {
    say(registration(id));
    of.told(
        process::app_class{
            .app = process::app_id{9}, .klass = class_name{"cart"}, .refused = error{errc::conflict, "not app-hosted"}},
        out);
    EXPECT_EQ(heard().at(0).at("error").at("code"), "conflict");
  }
}

TEST_F(a_session, carries_work_and_what_became_of_it) {
  greet();
  of.told(work(17), out);
  EXPECT_EQ(heard().at(0).at("work"), 17);
  say({{"type", "done"}, {"work", 17}, {"reply", 3}});
  const auto finished = told_node<process::app_done>();
  EXPECT_EQ(finished.app, process::app_id{9});
  EXPECT_EQ(finished.answer->reply->document(), 3);
  of.told(process::app_cancel{process::app_id{9}, process::work_id{18}, "killed"}, out);
  of.told(process::app_refused{process::app_id{9}, process::work_id{17}, {errc::too_large, "no"}}, out);
  EXPECT_THAT(heard(), ElementsAre(json{{"type", "cancel"}, {"work", 18}, {"text", "killed"}},
                                   json::parse(R"({"type": "refused", "work": 17, "error":
                                                   {"code": "too_large", "text": "no", "effect": "not_executed"}})")));
}

TEST_F(a_session, drains_and_is_told_when_nothing_is_left) {
  greet();
  say(registration(1));
  of.told(process::app_class{.app = process::app_id{9}, .klass = class_name{"cart"}}, out);
  out.clear();
  say({{"type", "drain"}, {"id", 2}});
  EXPECT_FALSE(told_node<process::app_drains>().only);
  EXPECT_THAT(heard(), IsEmpty());
  of.told(process::app_drained{process::app_id{9}, {}}, out);
  EXPECT_THAT(heard(), ElementsAre(json{{"type", "result"}, {"id", 2}, {"ok", json::object()}}));
  say(registration(3));
  EXPECT_EQ(take<tell_node>().size(), 1U);
}

TEST_F(a_session, that_hosts_tells_the_node_when_it_ends) {
  greet();
  say(registration(1));
  out.clear();
  of.end({errc::draining, "the sidecar ends"}, out);
  EXPECT_EQ(told_node<process::app_gone>().why, "the sidecar ends");
  EXPECT_EQ(goodbye(), "draining: the sidecar ends");
  session quiet({}, process::app_id{1}, now);
  quiet.closed("reset", out);
  EXPECT_THAT(take<tell_node>(), IsEmpty());
}

}  // namespace
}  // namespace orrery::sdk
