#include "mesh/base/random.hpp"
#include "mesh/process/clients/flow.hpp"
#include "mesh/sdk/fields.hpp"
#include "mesh/sdk/testing.hpp"
#include "mesh/wire/trace_context.hpp"

#include <gmock/gmock.h>

#include <limits>

namespace orrery::sdk {
namespace {

using namespace std::chrono_literals;
using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <class Message>
Message read(const json& document, encoding how = encoding::cbor) {
  const auto frame = frame_of(document, how);
  auto read = decode(byte_view{frame}.subspan(length_bytes), how);
  EXPECT_TRUE(read) << document << ": " << (read ? "" : to_string(read.error()));
  if (!read || !std::holds_alternative<Message>(*read)) {
    ADD_FAILURE() << document << " is of kind " << (read ? read->index() : 99);
    return {};
  }
  return std::get<Message>(*std::move(read));
}
std::string refusal(const json& document) {
  const auto frame = frame_of(document);
  const auto read = decode(byte_view{frame}.subspan(length_bytes), encoding::cbor);
  if (!read) return "goodbye " + to_string(read.error());
  const auto* no = std::get_if<wrong>(&*read);
  return no == nullptr ? "nothing" : std::to_string(no->id.value) + " " + to_string(no->why);
}

TEST(decoding, reads_calls_in_both_encodings) {
  for (const auto how : {encoding::cbor, encoding::json}) {
    const auto asked = read<request>({{"type", "call"},
                                      {"id", 5},
                                      {"class", "cart"},
                                      {"key", "a/b ü"},
                                      {"method", "add"},
                                      {"argument", {{"n", 1}}},
                                      {"timeoutMs", 250},
                                      {"onBehalfOf", 7},
                                      {"later", "fields are ignored"}},
                                     how);
    EXPECT_EQ(asked.id, request_number{5});
    EXPECT_EQ(asked.on_behalf_of, process::work_id{7});
    const auto& call = std::get<node::call_op>(asked.asked);
    EXPECT_EQ(call.name.key.value, "a/b ü");
    EXPECT_EQ(call.method, "add");
    EXPECT_EQ(call.argument.document(), (json{{"n", 1}}));
    EXPECT_EQ(call.timeout, 250ms);
  }
}

TEST(decoding, gives_absent_and_null_fields_their_defaults) {
  const auto call = std::get<node::call_op>(
      read<request>(
          {{"type", "call"}, {"id", 1}, {"class", "c"}, {"key", "k"}, {"method", "m"}, {"timeoutMs", nullptr}})
          .asked);
  EXPECT_EQ(call.argument, value{});
  EXPECT_FALSE(call.timeout);
  const auto list = std::get<node::list_processes_op>(read<request>({{"type", "processes"}, {"id", 1}}).asked);
  EXPECT_FALSE(list.only);
  EXPECT_EQ(list.limit, 1000U);
  EXPECT_FALSE(list.local);
}

TEST(decoding, lets_the_trace_go_with_the_argument_and_drops_what_is_none) {
  const std::string trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const auto argument = [](const json& extra) {
    json call{{"type", "call"}, {"id", 1}, {"class", "c"}, {"key", "k"}, {"method", "m"}, {"argument", 5}};
    call.update(extra);
    return std::get<node::call_op>(read<request>(call).asked).argument;
  };
  EXPECT_EQ(split_trace(argument({{"trace", trace}})).first, trace);
  EXPECT_EQ(split_trace(argument({{"trace", trace}})).second.document(), 5);
  EXPECT_EQ(argument({{"trace", "nonsense"}}).document(), 5);
}

TEST(decoding, takes_casts_with_and_without_a_number) {
  const json cast{{"type", "cast"}, {"class", "c"}, {"key", "k"}, {"method", "m"}};
  EXPECT_FALSE(read<request>(cast).id);
  auto numbered = cast;
  numbered["id"] = 3;
  EXPECT_EQ(read<request>(numbered).id, request_number{3});
  auto broken = cast;
  broken["method"] = 5;
  static_cast<void>(read<unknown>(broken));
}

TEST(decoding, tells_the_caller_what_is_wrong_and_where) {
  EXPECT_EQ(refusal({{"type", "call"}, {"id", 4}, {"key", "k"}, {"method", "m"}}),
            "4 invalid_argument: call: field 'class' is missing");
  EXPECT_EQ(refusal({{"type", "call"}, {"id", 4}, {"class", "Cart!"}, {"key", "k"}, {"method", "m"}}).substr(0, 70),
            "4 invalid_argument: call: field 'class' and 'key' name no process: cla");
  EXPECT_EQ(refusal({{"type", "call"}, {"id", 4}, {"class", "c"}, {"key", "k"}, {"method", 7}}),
            "4 invalid_argument: call: field 'method' must be text, not an integer");
  EXPECT_EQ(refusal({{"type", "call"}, {"id", 4}, {"class", "c"}, {"key", "k"}, {"method", "m"}, {"timeoutMs", 0}}),
            "4 invalid_argument: call: field 'timeoutMs' must be an integer from 1 to 3600000, not 0");
  EXPECT_EQ(refusal({{"type", "call"}, {"id", 4}, {"class", "c"}, {"key", std::string(2000, 'k')}, {"method", "m"}}),
            "4 too_large: call: field 'key' has 2000 bytes; at most 1024");
  EXPECT_THAT(refusal({{"type", "call"},
                       {"id", 4},
                       {"class", "c"},
                       {"key", "k"},
                       {"method", "m"},
                       {"argument", std::string(value_bytes_max, 'x')}}),
              HasSubstr("4 too_large: call: field 'argument' cannot be taken: "));
  EXPECT_EQ(refusal({{"type", "dance"}, {"id", 4}}).substr(0, 45), "4 invalid_argument: no such type: 'dance'; th");
}

TEST(decoding, ends_the_connection_where_nobody_can_be_told) {
  EXPECT_EQ(refusal({{"type", "call"}, {"class", "c"}}), "goodbye protocol: call: field 'id' is missing");
  EXPECT_EQ(refusal({{"type", "call"}, {"id", -1}}),
            "goodbye protocol: call: field 'id' must be an integer from 1 to 9007199254740991, not -1");
  EXPECT_EQ(refusal({{"type", "done"}}), "goodbye protocol: done: field 'work' is missing");
  EXPECT_EQ(refusal({{"id", 4}}), "goodbye protocol: field 'type' is missing");
  EXPECT_EQ(refusal({{"type", "hello"}, {"version", "x"}}),
            "goodbye protocol: hello: field 'version' must be an integer from 1 to 2147483647, not a string");
  EXPECT_EQ(refusal(json::array({1})), "goodbye protocol: not a map but an array");
  EXPECT_FALSE(decode(as_bytes("{\"type\": "), encoding::json));
}

TEST(decoding, ignores_unknown_types_that_ask_for_nothing) {
  static_cast<void>(read<unknown>({{"type", "news"}, {"about", "weather"}}));
}

TEST(decoding, reads_registrations_and_passes_over_callbacks_that_it_does_not_know) {
  const auto said = read<register_class>({{"type", "register"},
                                          {"id", 1},
                                          {"class", "cart"},
                                          {"calls", {"add", "get"}},
                                          {"casts", {"clear"}},
                                          {"callbacks", {"init", "dream", "continue", "handoff"}},
                                          {"stateVersion", 2},
                                          {"concurrency", 5}});
  EXPECT_THAT(said.offer.calls, ElementsAre("add", "get"));
  EXPECT_THAT(said.offer.casts, ElementsAre("clear"));
  EXPECT_TRUE(said.offer.has(process::app_callback::init));
  EXPECT_TRUE(said.offer.has(process::app_callback::resume));
  EXPECT_TRUE(said.offer.has(process::app_callback::handoff));
  EXPECT_FALSE(said.offer.has(process::app_callback::info));
  EXPECT_EQ(said.offer.state_version, 2U);
  EXPECT_EQ(said.offer.concurrency, 5U);
  EXPECT_EQ(refusal({{"type", "register"}, {"id", 1}, {"class", "cart"}, {"concurrency", 5000}}),
            "1 invalid_argument: register: field 'concurrency' must be an integer from 1 to 1024, not 5000");
  EXPECT_EQ(refusal({{"type", "register"}, {"id", 1}, {"class", "cart"}, {"calls", {""}}}),
            "1 invalid_argument: register: field 'calls' must hold texts of 1 to 128 bytes");
  EXPECT_EQ(refusal({{"type", "register"}, {"id", 1}}), "1 invalid_argument: register: field 'class' is missing");
}

result<process::app_answer> answer_of(json fields) {
  fields["type"] = "done";
  fields["work"] = 17;
  const auto said = read<done>(fields);
  EXPECT_EQ(said.work, process::work_id{17});
  return said.answer;
}

TEST(decoding, reads_what_became_of_work) {
  const auto all = answer_of({{"reply", 1},
                              {"state", {{"a", 1}}},
                              {"next", {1}},
                              {"stop", {{"kind", "shutdown"}, {"text", "enough"}}},
                              {"effects",
                               {{{"cast", {{"class", "log"}, {"key", "x"}, {"method", "note"}, {"argument", 3}}}},
                                {{"timer", {{"name", "t"}, {"afterMs", 1500}}}},
                                {{"cancelTimer", "u"}},
                                {{"reply", {{"to", 4}, {"reply", "late"}}}},
                                {{"reply", {{"to", 5}, {"error", {{"code", "conflict"}, {"text", "no"}}}}}}}}});
  ASSERT_TRUE(all) << to_string(all.error());
  EXPECT_EQ(all->reply->document(), 1);
  EXPECT_EQ(all->state->document(), (json{{"a", 1}}));
  EXPECT_EQ(all->next->document(), json::array({1}));
  EXPECT_EQ(all->stop, (kernel::exit_reason{kernel::exit_reason::kind::shutdown, "enough"}));
  ASSERT_EQ(all->deeds.size(), 5U);
  EXPECT_EQ(std::get<process::app_cast>(all->deeds[0]).to.klass.value, "log");
  EXPECT_EQ(std::get<process::app_timer>(all->deeds[1]).delay, 1500ms);
  EXPECT_EQ(std::get<process::app_cancel_timer>(all->deeds[2]).name, "u");
  EXPECT_EQ(std::get<process::app_late_reply>(all->deeds[3]).answer.value().document(), "late");
  EXPECT_EQ(std::get<process::app_late_reply>(all->deeds[4]).answer.error(),
            (error{errc::conflict, "no", took_effect::executed}));
}

TEST(decoding, reads_what_handlers_have_done_among_processes) {
  const auto all =
      answer_of({{"effects",
                  {{{"send", {{"to", "a/b"}, {"word", "w"}, {"argument", 1}}}},
                   {{"publish", {{"group", "g"}, {"word", "w"}}}},
                   {{"join", "g"}},
                   {{"leave", "g"}},
                   {{"call", {{"name", "n"}, {"to", "a/b"}, {"method", "m"}, {"argument", 2}, {"timeoutMs", 50}}}},
                   {{"monitor", {{"name", "n"}, {"to", "a/b"}}}},
                   {{"demonitor", "n"}}}}});
  ASSERT_TRUE(all) << to_string(all.error());
  EXPECT_EQ(std::get<process::app_send>(all->deeds[0]).word, "w");
  EXPECT_EQ(std::get<process::app_publish>(all->deeds[1]).group, "g");
  EXPECT_EQ(std::get<process::app_join>(all->deeds[2]).group, "g");
  EXPECT_EQ(std::get<process::app_leave>(all->deeds[3]).group, "g");
  EXPECT_EQ(std::get<process::app_request>(all->deeds[4]).timeout, 50ms);
  EXPECT_EQ(std::get<process::app_monitor>(all->deeds[5]).to, "a/b");
  EXPECT_EQ(std::get<process::app_demonitor>(all->deeds[6]).name, "n");
}

TEST(decoding, tells_no_new_state_from_a_state_of_null) {
  EXPECT_FALSE(answer_of({{"reply", 1}})->state);
  EXPECT_EQ(answer_of({{"state", nullptr}})->state, value{});
}

TEST(decoding, takes_an_error_to_have_had_no_effect_where_nothing_changed) {
  const json no{{"code", "conflict"}, {"text", "sold out"}};
  EXPECT_EQ(answer_of({{"error", no}})->refusal->effect, took_effect::not_executed);
  EXPECT_EQ(answer_of({{"error", no}, {"state", 1}})->refusal->effect, took_effect::executed);
  EXPECT_EQ(answer_of({{"error", no}, {"next", nullptr}})->refusal->effect, took_effect::executed);
  EXPECT_EQ(answer_of({{"error", no}, {"stop", {{"kind", "normal"}}}})->refusal->effect, took_effect::executed);
  EXPECT_EQ(answer_of({{"error", json::object()}})->refusal->code, errc::handler_failed);
  auto said = no;
  said["effect"] = "unknown";
  EXPECT_EQ(answer_of({{"error", said}})->refusal->effect, took_effect::unknown);
}

TEST(decoding, refuses_answers_that_make_no_sense_and_says_where) {
  const auto why = [](const json& fields) {
    const auto answer = answer_of(fields);
    return answer ? "taken" : to_string(answer.error());
  };
  EXPECT_EQ(why({{"state", 1}, {"patch", 2}}), "invalid_argument: field 'patch' and 'state' exclude each other");
  EXPECT_EQ(why({{"effects", {{{"timer", {{"name", "t"}, {"afterMs", 0}}}}}}}),
            "invalid_argument: effects[0]: timer: field 'afterMs' must be an integer from 1 to 34560000000, not 0");
  EXPECT_EQ(
      why({{"effects", {{{"cancelTimer", "t"}}, {{"dance", json::object()}}}}}),
      "invalid_argument: effects[1]: field 'dance' is no effect that is known; there are cast, call, send, publish, "
      "join, leave, monitor, demonitor, timer, cancelTimer, reply");
  EXPECT_EQ(why({{"effects", {{{"cast", {{"class", "log"}, {"key", "x"}}}}}}}),
            "invalid_argument: effects[0]: cast: field 'method' is missing");
  EXPECT_EQ(why({{"error", {{"code", "nonsense"}}}}),
            "invalid_argument: error: field 'code' is no code of protocol.md: 'nonsense'");
  EXPECT_EQ(why({{"state", std::string(value_bytes_max, 'x')}}).substr(0, 41),
            "too_large: field 'state' cannot be taken:");
  EXPECT_EQ(why({{"stop", "now"}}).substr(0, 45), "invalid_argument: field 'stop' must be a map:");
}

TEST(decoding, of_a_crash_keeps_nothing_else) {
  const auto crash = answer_of({{"crash", {{"text", "KeyError"}}}, {"state", 1}, {"effects", 7}});
  ASSERT_TRUE(crash);
  EXPECT_EQ(crash->crash, "KeyError");
  EXPECT_FALSE(crash->state);
}

TEST(decoding, survives_any_bytes) {
  seeded_random random(7);
  const auto good = frame_of({{"type", "done"},
                              {"work", 1},
                              {"reply", {1, 2, {{"a", "b"}}}},
                              {"state", {{"x", 1.5}}},
                              {"effects", {{{"cast", {{"class", "log"}, {"key", "x"}, {"method", "note"}}}}}}});
  for (int round = 0; round < 20'000; ++round) {
    bytes payload(good.begin() + length_bytes, good.end());
    for (std::uint64_t flips = 1 + random.below(4); flips > 0; --flips)
      payload[random.below(payload.size())] = static_cast<std::uint8_t>(random.below(256));
    if (random.below(4) == 0) payload.resize(random.below(payload.size() + 1));
    static_cast<void>(decode(payload, encoding::cbor));
    static_cast<void>(decode(payload, encoding::json));
  }
  const bytes deep(100'000, 0x81);
  EXPECT_FALSE(decode(deep, encoding::cbor));
  const std::string nested(100'000, '[');
  EXPECT_FALSE(decode(as_bytes(nested), encoding::json));
}

TEST(encoding, of_work_has_what_its_callback_needs_and_nothing_else) {
  process::app_work work;
  work.id = process::work_id{17};
  work.name = {class_name{"cart"}, process_key{"ada"}};
  work.pid = "p";
  work.what = process::app_callback::call;
  work.method = "add";
  work.argument = value::from_document({{"n", 1}}).value();
  work.state = value::from_document(json::array()).value();
  work.state_version = 2;
  work.class_version = 3;
  work.caller = 4;
  work.timeout = 30s;
  EXPECT_EQ(document_of(encode_work(encoding::cbor, work)),
            json::parse(R"({"type": "work", "work": 17, "class": "cart", "key": "ada", "pid": "p", "callback": "call",
                            "method": "add", "argument": {"n": 1}, "state": [], "stateVersion": 2, "classVersion": 3,
                            "caller": 4, "timeoutMs": 30000})"));
  work.what = process::app_callback::code_change;
  work.caller = 0;
  work.method = "";
  EXPECT_EQ(document_of(encode_work(encoding::json, work), encoding::json),
            json::parse(R"({"type": "work", "work": 17, "class": "cart", "key": "ada", "pid": "p", "callback":
                            "code_change", "state": [], "fromVersion": 2, "classVersion": 3, "timeoutMs": 30000})"));
  work.what = process::app_callback::terminate;
  work.reason = kernel::exit_reason{kernel::exit_reason::kind::error, "boom"};
  EXPECT_EQ(document_of(encode_work(encoding::cbor, work)).at("reason"), (json{{"kind", "error"}, {"text", "boom"}}));
}

TEST(encoding, of_messages_is_no_longer_than_they_count_for_where_bytes_are_bounded) {
  using kind = process::client_message::kind;
  constexpr auto most = std::numeric_limits<std::uint64_t>::max();
  const std::string hard = "\x01\"\\ü\n";
  for (const auto what : {kind::plain, kind::cast, kind::down, kind::exit, kind::dropped}) {
    process::client_message message{.app = process::app_id{most},
                                    .process = process::client_process_id{most},
                                    .what = what,
                                    .monitor = most,
                                    .count = most};
    message.why.why = kernel::exit_reason::kind::noconnection;
    for (const bool full : {false, true}) {
      if (full) {
        message.word = message.from = hard;
        message.why.detail = std::string(300, '\x02');
        message.argument = value::from_document({hard, json::binary({1, 2, 255}), -1.5e-300}).value();
      }
      EXPECT_LE(encode_message(encoding::cbor, message).size(), process::weight_of(message, false));
      EXPECT_LE(encode_message(encoding::json, message).size(), process::weight_of(message, true));
    }
  }
}

TEST(encoding, of_results_says_what_became_of_the_request) {
  EXPECT_EQ(document_of(encode_result(encoding::cbor, request_number{5}, value{})),
            (json{{"type", "result"}, {"id", 5}, {"ok", nullptr}}));
  EXPECT_EQ(document_of(encode_result(encoding::cbor, request_number{5},
                                      fail(errc::not_found, "no \xff", took_effect::not_executed))),
            json::parse(R"({"type": "result", "id": 5, "error":
                            {"code": "not_found", "text": "no ?", "effect": "not_executed"}})"));
}

}  // namespace
}  // namespace orrery::sdk
