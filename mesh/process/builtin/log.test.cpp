#include "mesh/process/builtin/log.hpp"

#include "mesh/process/testing.hpp"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace orrery::process {
namespace {

using namespace testing;
using nlohmann::json;
using ::testing::HasSubstr;

struct logs : ::testing::Test {
  logs() { define(w); }
  static void define(world& in, std::string_view options = "null", std::uint64_t state_bytes_max = value_bytes_max) {
    auto spec = builtin_class(builtin_kind::log, options);
    spec.limits.state_bytes_max = state_bytes_max;
    ASSERT_TRUE(in.rt.define(spec));
  }
  json append(const std::string& encoded) {
    return json::parse(w.ask("log/l", "append", R"({"value":)" + encoded + "}"));
  }
  void append_numbers(int from, int to) {
    for (int i = from; i <= to; ++i)
      EXPECT_EQ(append(std::to_string(i))["sequence"], i);
  }
  json read(std::string_view argument = "null") { return json::parse(w.ask("log/l", "read", argument)); }
  /// The values of a reply, "1 2 3".
  static std::string values(const json& reply) {
    std::string out;
    for (const auto& each : reply.at("entries"))
      out += (out.empty() ? "" : " ") + each.at("value").dump();
    return out;
  }
  world w;
};

TEST_F(logs, number_entries_from_1_on_and_read_them_from_any) {
  append_numbers(1, 5);
  w.pass(2s);
  const auto all = read();
  EXPECT_EQ(values(all), "1 2 3 4 5");
  EXPECT_EQ(all["first"], 1);
  EXPECT_EQ(all["next"], 6);
  EXPECT_EQ(all["missed"], 0);
  EXPECT_EQ(all["entries"][2]["sequence"], 3);
  EXPECT_EQ(all["entries"][2]["ageSeconds"], 2);
  EXPECT_EQ(values(read("4")), "4 5");
  const auto some = read(R"({"from":2,"limit":2})");
  EXPECT_EQ(values(some), "2 3");
  EXPECT_EQ(some["next"], 4) << "where to read on";
  EXPECT_EQ(values(read(R"({"last":2})")), "4 5");
  EXPECT_EQ(values(read("6")), "");
}

TEST_F(logs, refuse_to_read_from_beyond_the_next_entry) {
  append_numbers(1, 2);
  EXPECT_THAT(w.ask("log/l", "read", "4"),
              HasSubstr("conflict: log.read: the next entry will be 3, so there is none from 4 on"));
}

TEST_F(logs, let_readers_wait_for_what_comes_and_wake_them_all) {
  append_numbers(1, 1);
  const auto one = w.ask_later("log/l", "read", R"({"from":2,"waitSeconds":20})");
  const auto two = w.ask_later("log/l", "read", R"({"from":2,"waitSeconds":20})");
  EXPECT_EQ(w.answer(one), "waits");
  append_numbers(2, 2);
  EXPECT_EQ(values(json::parse(w.answer(one))), "2");
  EXPECT_EQ(values(json::parse(w.answer(two))), "2");
}

TEST_F(logs, answer_a_reader_that_waited_in_vain_with_no_entries) {
  const auto waiting = w.ask_later("log/l", "read", R"({"waitSeconds":2})");
  w.pass(1999ms);
  EXPECT_EQ(w.answer(waiting), "waits");
  w.pass(1ms);
  EXPECT_EQ(json::parse(w.answer(waiting))["entries"], json::array());
  EXPECT_EQ(json::parse(w.answer(waiting))["next"], 1);
}

TEST_F(logs, bound_the_number_of_readers_that_wait) {
  define(w, R"({"maxWaiting":1})");
  w.ask_later("log/l", "read", R"({"waitSeconds":20})");
  EXPECT_THAT(w.ask("log/l", "read", R"({"waitSeconds":20})"),
              HasSubstr("overloaded: log.read: 1 callers wait already"));
}

TEST_F(logs, keep_so_many_entries_and_tell_a_reader_what_it_missed) {
  define(w, R"({"maxEntries":3})");
  append_numbers(1, 5);
  const auto late = read("1");
  EXPECT_EQ(values(late), "3 4 5");
  EXPECT_EQ(late["missed"], 2);
  EXPECT_EQ(late["first"], 3);
}

TEST_F(logs, keep_so_many_bytes) {
  define(w, R"({"maxBytes":2000})");
  for (int i = 0; i < 50; ++i)
    append("\"" + std::string(100, 'x') + "\"");
  const auto stats = json::parse(w.ask("log/l", "stats"));
  EXPECT_LE(stats["bytes"], 2000);
  EXPECT_GT(stats["count"], 10);
  EXPECT_EQ(stats["next"], 51);
  const auto packed = w.rt.take(w.now, named("log/l"), w.out);
  ASSERT_TRUE(packed);
  EXPECT_LE(packed->state.cbor().size(), 2000U);
}

TEST_F(logs, follow_limits_that_became_smaller) {
  append_numbers(1, 100);
  define(w, R"({"maxEntries":10})");
  EXPECT_EQ(read()["first"], 91);
}

TEST_F(logs, drop_entries_that_are_too_old_even_if_nobody_appends) {
  define(w, R"({"maxAgeSeconds":10})");
  append_numbers(1, 1);
  w.pass(4s);
  append_numbers(2, 2);
  w.pass(6s);
  EXPECT_EQ(values(read()), "2");
  w.pass(4s);
  EXPECT_EQ(w.rt.next_deadline(), never);
  EXPECT_EQ(json::parse(w.ask("log/l", "stats"))["bytes"], state_overhead);
}

TEST_F(logs, are_trimmed_up_to_a_sequence) {
  append_numbers(1, 5);
  EXPECT_EQ(w.ask("log/l", "trim", R"({"before":4})"), "3");
  EXPECT_EQ(w.ask("log/l", "trim", "4"), "0");
  EXPECT_EQ(values(read()), "4 5");
  EXPECT_EQ(w.ask("log/l", "trim", "1000"), "2");
  EXPECT_EQ(append("0")["sequence"], 6);
}

TEST_F(logs, refuse_an_entry_that_they_could_not_keep_or_tell) {
  const auto text = [](std::size_t size) { return R"({"value":")" + std::string(size, 'x') + "\"}"; };
  EXPECT_THAT(w.ask("log/l", "append", text(value_bytes_max - 500)), HasSubstr("too_large: log.append: the value has"));
  EXPECT_THAT(w.ask("log/l", "append", text(value_bytes_max - 600)), HasSubstr(R"("sequence":1)"));
  EXPECT_EQ(read()["entries"].size(), 1U);
  define(w, R"({"maxBytes":1024})");
  EXPECT_THAT(w.ask("log/l", "append", text(1000)),
              HasSubstr("and may have 944 (options.maxBytes, limits.stateBytes)"));
}

TEST_F(logs, tell_no_more_at_once_than_a_reply_holds) {
  for (int i = 0; i < 3; ++i)
    append("\"" + std::string(340'000, 'x') + "\"");
  const auto first = read();
  EXPECT_EQ(first["entries"].size(), 3U);
  for (int i = 0; i < 100; ++i)
    append("1");
  EXPECT_EQ(read()["next"], read()["first"].get<int>() + 100) << "the limit of one read";
}

TEST_F(logs, begin_afresh_after_a_crash_and_tell_a_reader_of_the_epoch_before) {
  append_numbers(1, 3);
  const auto before = read()["epoch"];
  w.pass(1s);
  EXPECT_TRUE(w.kill("log/l"));
  w.run();
  append_numbers(1, 5);
  EXPECT_THAT(w.ask("log/l", "read", json{{"from", 4}, {"epoch", before}}.dump()),
              HasSubstr("gone: log.read: the log of epoch " + before.dump() + " is lost; this is epoch"));
  EXPECT_EQ(values(read(json{{"from", 4}, {"epoch", read()["epoch"]}}.dump())), "4 5");
}

TEST_F(logs, move_with_entries_ages_epoch_and_readers) {
  define(w, R"({"maxAgeSeconds":10})");
  append_numbers(1, 3);
  w.ask("log/l", "trim", "3");
  w.pass(4s);
  const auto epoch = read()["epoch"];
  const auto waiting = w.ask_later("log/l", "read", R"({"from":4,"waitSeconds":60})");
  world other;
  define(other, R"({"maxAgeSeconds":10})");
  w.move("log/l", other);
  const auto there = json::parse(other.ask("log/l", "read"));
  EXPECT_EQ(values(there), "3");
  EXPECT_EQ(there["epoch"], epoch);
  EXPECT_EQ(there["entries"][0]["ageSeconds"], 4);
  EXPECT_EQ(other.answer(waiting), "waits");
  other.pass(6s);
  EXPECT_EQ(values(json::parse(other.ask("log/l", "read"))), "");
  EXPECT_EQ(json::parse(other.ask("log/l", "append", R"({"value":"x"})"))["sequence"], 4);
  EXPECT_EQ(values(json::parse(other.answer(waiting))), "\"x\"");
}

TEST_F(logs, refuse_arguments_of_another_shape_and_say_what_they_take) {
  EXPECT_THAT(w.ask("log/l", "append", "5"), HasSubstr(R"(log.append takes {"value": ...}, not an integer)"));
  EXPECT_THAT(w.ask("log/l", "read", R"({"from":0})"), HasSubstr("from is 0, and has to be 1 to"));
  EXPECT_THAT(w.ask("log/l", "read", R"({"from":1,"last":1})"), HasSubstr("one of them is enough"));
  EXPECT_THAT(w.ask("log/l", "trim"), HasSubstr("without a before"));
}

TEST_F(logs, refuse_a_state_that_is_none_of_theirs) {
  for (const auto* wrong :
       {"1", "[]", "[1,1,1]", "[1,1,0,[]]", "[2,1,1,[]]", "[1,1,1,[[1]]]", R"([1,1,1,[["x",1]]])"}) {
    EXPECT_EQ(w.rt.install(w.now, {named("log/l"), 1, 0, testing::json(wrong), {}}, w.out).error().code,
              errc::invalid_argument)
        << wrong;
  }
}

}  // namespace
}  // namespace orrery::process
