#include "mesh/process/builtin/kv.hpp"

#include "mesh/process/testing.hpp"

#include <gmock/gmock.h>

namespace orrery::process {
namespace {

using namespace testing;
using ::testing::HasSubstr;

struct kv_document : ::testing::Test {
  kv_document() { EXPECT_TRUE(w.rt.define(kv_class())); }
  world w;
};

TEST_F(kv_document, gives_back_what_was_put_in_each_type) {
  for (const auto* held : {"1", "-7", "1.5", "true", "null", R"("text")", "[]", "{}", R"([1,[2,{"x":null}]])"}) {
    EXPECT_THAT(w.ask("kv/a", "put", R"({"key":"k","value":)" + std::string{held} + "}"), HasSubstr("version"));
    EXPECT_EQ(w.ask("kv/a", "get", R"("k")"), held);
  }
}

TEST_F(kv_document, has_null_for_a_key_that_is_not_there_and_the_whole_for_null) {
  EXPECT_EQ(w.ask("kv/a", "get", R"("k")"), "null");
  EXPECT_EQ(w.ask("kv/a", "get"), "{}");
  EXPECT_EQ(w.ask("kv/a", "keys"), "[]");
  EXPECT_EQ(w.ask("kv/a", "put", R"({"key":"b","value":2})"), R"({"version":1})");
  EXPECT_EQ(w.ask("kv/a", "put", R"({"key":"a","value":[1]})"), R"({"version":2})");
  EXPECT_EQ(w.ask("kv/a", "get"), R"({"a":[1],"b":2})");
  EXPECT_EQ(w.ask("kv/a", "keys"), R"(["a","b"])");
}

TEST_F(kv_document, deletes_and_says_whether_there_was_anything) {
  EXPECT_EQ(w.ask("kv/a", "put", R"({"key":"k","value":1})"), R"({"version":1})");
  EXPECT_EQ(w.ask("kv/a", "delete", R"("k")"), "true");
  EXPECT_EQ(w.ask("kv/a", "delete", R"("k")"), "false");
}

TEST_F(kv_document, compares_and_sets_only_at_the_version_that_the_caller_saw) {
  EXPECT_EQ(w.ask("kv/a", "cas", R"({"key":"k","version":0,"value":1})"), R"({"version":1})");
  EXPECT_EQ(w.ask("kv/a", "cas", R"({"key":"k","version":0,"value":2})"), "conflict: key 'k' is at version 1, not 0");
  EXPECT_EQ(w.ask("kv/a", "cas", R"({"key":"k","version":1,"value":2})"), R"({"version":2})");
  EXPECT_EQ(w.ask("kv/a", "get", R"("k")"), "2");
}

TEST_F(kv_document, never_gives_a_rewritten_key_an_old_version) {
  EXPECT_EQ(w.ask("kv/a", "put", R"({"key":"k","value":1})"), R"({"version":1})");
  EXPECT_EQ(w.ask("kv/a", "delete", R"("k")"), "true");
  EXPECT_EQ(w.ask("kv/a", "put", R"({"key":"k","value":1})"), R"({"version":2})");
  EXPECT_THAT(w.ask("kv/a", "cas", R"({"key":"k","version":1,"value":2})"), HasSubstr("conflict"));
}

TEST_F(kv_document, refuses_arguments_of_another_shape_and_says_what_it_takes) {
  EXPECT_EQ(w.ask("kv/a", "get", "5"), "invalid_argument: kv.get takes a key (a string), not an integer");
  EXPECT_THAT(w.ask("kv/a", "put", "5"),
              HasSubstr(R"(kv.put takes {"key": ..., "value": ..., "ttlSeconds": N (optional)}, not an integer)"));
  EXPECT_THAT(w.ask("kv/a", "put", R"({"key":"k"})"), HasSubstr("without a value"));
  EXPECT_THAT(w.ask("kv/a", "put", R"({"value":1})"), HasSubstr("without a key"));
  EXPECT_THAT(w.ask("kv/a", "put", R"({"key":[],"value":1})"), HasSubstr("a key that is an array"));
  EXPECT_THAT(w.ask("kv/a", "put", R"({"key":"k","value":1,"ttl":5})"), HasSubstr("the field 'ttl'"));
  EXPECT_THAT(w.ask("kv/a", "cas", R"({"key":"k","value":1})"), HasSubstr("without a version"));
  EXPECT_THAT(w.ask("kv/a", "cas", R"({"key":"k","value":1,"version":"x"})"), HasSubstr("a version that is a string"));
  EXPECT_EQ(w.rt.find(named("kv/a"))->restarts, 0U);
}

TEST_F(kv_document, refuses_to_grow_beyond_its_limit_and_keeps_what_it_has) {
  auto spec = kv_class();
  spec.version = 2;
  spec.limits.state_bytes_max = 1000;
  ASSERT_TRUE(w.rt.define(spec));
  const auto put = [&](const std::string& key, std::size_t size) {
    return w.ask("kv/a", "put", R"({"key":")" + key + R"(","value":")" + std::string(size, 'x') + "\"}");
  };
  EXPECT_EQ(put("a", 900), R"({"version":1})");
  EXPECT_THAT(put("b", 900), HasSubstr("limit_exceeded: the document would have"));
  EXPECT_EQ(put("a", 950), R"({"version":2})");
  EXPECT_EQ(w.ask("kv/a", "keys"), R"(["a"])");
}

TEST_F(kv_document, refuses_values_too_deep_to_be_handed_over) {
  const auto nested = [](int depth) {
    return R"({"key":"k","value":)" + std::string(static_cast<std::size_t>(depth), '[') +
           std::string(static_cast<std::size_t>(depth), ']') + "}";
  };
  EXPECT_THAT(w.ask("kv/a", "put", nested(61)), HasSubstr("too_large"));
  EXPECT_EQ(w.ask("kv/a", "put", nested(60)), R"({"version":1})");
  const auto state = w.rt.take(w.now, named("kv/a"), w.out)->state;
  EXPECT_TRUE(value::from_cbor(state.cbor()));
}

TEST_F(kv_document, moves_with_its_versions) {
  EXPECT_EQ(w.ask("kv/a", "put", R"({"key":"x","value":{"deep":[1,2.5]}})"), R"({"version":1})");
  EXPECT_EQ(w.ask("kv/a", "put", R"({"key":"y","value":1})"), R"({"version":2})");
  EXPECT_EQ(w.ask("kv/a", "delete", R"("y")"), "true");
  auto packed = w.rt.take(w.now, named("kv/a"), w.out);
  ASSERT_TRUE(packed);
  world other;
  ASSERT_TRUE(other.rt.define(kv_class()));
  ASSERT_TRUE(other.rt.install(other.now, *packed, other.out));
  EXPECT_EQ(other.ask("kv/a", "get"), R"({"x":{"deep":[1,2.5]}})");
  EXPECT_EQ(other.ask("kv/a", "cas", R"({"key":"x","version":1,"value":0})"), R"({"version":3})");
}

TEST_F(kv_document, refuses_a_state_that_is_none_of_its_own) {
  for (const auto* wrong : {"1", "[]", "[1]", R"(["x",{}])", "[1,2]", R"([1,{"k":1}])", R"([1,{"k":["x",1]}])"}) {
    EXPECT_EQ(w.rt.install(w.now, {named("kv/a"), 1, 0, json(wrong), {}}, w.out).error().code, errc::invalid_argument)
        << wrong;
  }
}

// ---- time to live ----

TEST_F(kv_document, forgets_a_key_when_its_time_is_over_even_if_nobody_asks) {
  w.ask("kv/a", "put", R"({"key":"k","value":1,"ttlSeconds":2.5})");
  w.ask("kv/a", "put", R"({"key":"stays","value":2})");
  w.pass(2499ms);
  EXPECT_EQ(w.ask("kv/a", "get", R"({"key":"k","meta":true})"), R"({"ttlSeconds":0.001,"value":1,"version":1})");
  w.pass(1ms);
  EXPECT_EQ(w.rt.next_deadline(), never);
  EXPECT_EQ(w.ask("kv/a", "get"), R"({"stays":2})");
  EXPECT_EQ(w.ask("kv/a", "cas", R"({"key":"k","version":0,"value":3})"), R"({"version":3})");
}

TEST_F(kv_document, keeps_for_ever_what_is_put_again_without_a_time_and_patches_keep_it) {
  w.ask("kv/a", "put", R"({"key":"k","value":{"n":1},"ttlSeconds":5})");
  w.ask("kv/a", "merge", R"({"key":"k","value":{"n":2}})");
  w.ask("kv/a", "put", R"({"key":"again","value":1,"ttlSeconds":5})");
  w.ask("kv/a", "put", R"({"key":"again","value":2})");
  w.pass(5s);
  EXPECT_EQ(w.ask("kv/a", "get"), R"({"again":2})");
}

TEST_F(kv_document, changes_the_time_that_a_key_has_left) {
  w.ask("kv/a", "put", R"({"key":"k","value":1})");
  EXPECT_EQ(w.ask("kv/a", "expire", R"({"key":"k","ttlSeconds":5})"), "true");
  w.pass(4s);
  EXPECT_EQ(w.ask("kv/a", "expire", R"({"key":"k"})"), "true");
  w.pass(4s);
  EXPECT_EQ(w.ask("kv/a", "get", R"({"key":"k","meta":true})"), R"({"ttlSeconds":null,"value":1,"version":1})");
  EXPECT_EQ(w.ask("kv/a", "expire", R"({"key":"none","ttlSeconds":5})"), "false");
  EXPECT_THAT(w.ask("kv/a", "put", R"({"key":"k","value":1,"ttlSeconds":0})"), HasSubstr("ttlSeconds is 0"));
}

TEST_F(kv_document, moves_with_the_times_that_its_keys_have_left) {
  w.ask("kv/a", "put", R"({"key":"k","value":1,"ttlSeconds":10})");
  w.ask("kv/a", "put", R"({"key":"stays","value":2})");
  w.pass(4s);
  world other;
  ASSERT_TRUE(other.rt.define(kv_class()));
  w.move("kv/a", other);
  other.pass(5999ms);
  EXPECT_EQ(other.ask("kv/a", "keys"), R"(["k","stays"])");
  other.pass(1ms);
  EXPECT_EQ(other.ask("kv/a", "keys"), R"(["stays"])");
}

// ---- reading more than one, and changing a part ----

TEST_F(kv_document, lists_keys_with_a_prefix_page_by_page) {
  for (const auto* key : {"user/1", "user/2", "user/3", "order/1"})
    w.ask("kv/a", "put", R"({"key":")" + std::string{key} + R"(","value":")" + key + "\"}");
  EXPECT_EQ(w.ask("kv/a", "list", R"({"prefix":"user/","limit":2})"),
            R"({"items":[{"key":"user/1","ttlSeconds":null,"value":"user/1","version":1},)"
            R"({"key":"user/2","ttlSeconds":null,"value":"user/2","version":2}],"next":"user/2"})");
  EXPECT_EQ(w.ask("kv/a", "list", R"({"prefix":"user/","after":"user/2","values":false})"),
            R"({"items":[{"key":"user/3","ttlSeconds":null,"version":3}],"next":null})");
  EXPECT_EQ(w.ask("kv/a", "list", R"("none")"), R"({"items":[],"next":null})");
  EXPECT_THAT(w.ask("kv/a", "list"), HasSubstr("order/1"));
  EXPECT_THAT(w.ask("kv/a", "list", R"({"limit":0})"), HasSubstr("limit is 0, and has to be 1 to 1000"));
}

TEST_F(kv_document, tells_no_more_at_once_than_a_reply_holds_and_says_what_is_too_large_for_one) {
  const auto put = [&](const std::string& key, std::size_t size) {
    EXPECT_THAT(w.ask("kv/a", "put", R"({"key":")" + key + R"(","value":")" + std::string(size, 'x') + "\"}"),
                HasSubstr("version"));
  };
  put("k", value_bytes_max - 60);
  EXPECT_THAT(w.ask("kv/a", "list"),
              HasSubstr("too_large: the value of 'k' is too large to be told with what is known"));
  EXPECT_THAT(w.ask("kv/a", "list", R"({"values":false})"), HasSubstr(R"("key":"k")"));
  EXPECT_GT(w.ask("kv/a", "get", R"({"key":"k","meta":true})").size(), value_bytes_max - 60);
}

TEST_F(kv_document, applies_a_json_patch_to_a_value_or_nothing_of_it) {
  w.ask("kv/a", "put", R"({"key":"k","value":{"tags":["a"],"n":1}})");
  EXPECT_EQ(w.ask("kv/a", "patch", R"({"key":"k","patch":[{"op":"test","path":"/n","value":1},
                  {"op":"add","path":"/tags/-","value":"b"},{"op":"replace","path":"/n","value":2}]})"),
            R"({"version":2})");
  EXPECT_EQ(w.ask("kv/a", "get", R"("k")"), R"({"n":2,"tags":["a","b"]})");
  EXPECT_EQ(w.ask("kv/a", "patch", R"({"key":"k","patch":[{"op":"remove","path":"/n"},{"op":"remove","path":"/n"}]})"),
            "conflict: kv.patch of 'k': operation 1 (remove /n): there is no 'n'");
  EXPECT_EQ(w.ask("kv/a", "get", R"("k")"), R"({"n":2,"tags":["a","b"]})");
  EXPECT_EQ(w.ask("kv/a", "patch", R"({"key":"k","version":1,"patch":[]})"),
            "conflict: key 'k' is at version 2, not 1");
  EXPECT_EQ(w.ask("kv/a", "patch", R"({"key":"none","patch":[]})"),
            "not_found: kv.patch: there is no key 'none'; put or merge makes one");
}

TEST_F(kv_document, merges_a_patch_into_a_value_as_rfc_7396_says) {
  EXPECT_EQ(w.ask("kv/a", "merge", R"({"key":"k","value":{"a":{"b":1,"c":null}}})"), R"({"version":1})");
  EXPECT_EQ(w.ask("kv/a", "get", R"("k")"), R"({"a":{"b":1}})");
  EXPECT_EQ(w.ask("kv/a", "merge", R"({"key":"k","value":{"a":{"b":null},"d":[1]},"version":1})"), R"({"version":2})");
  EXPECT_EQ(w.ask("kv/a", "get", R"("k")"), R"({"a":{},"d":[1]})");
  EXPECT_EQ(w.ask("kv/a", "merge", R"({"key":"k","value":{},"version":1})"),
            "conflict: key 'k' is at version 2, not 1");
}

TEST_F(kv_document, refuses_a_patch_that_nests_its_value_too_deep) {
  std::string deep(58, '[');
  deep += std::string(58, ']');
  w.ask("kv/a", "put", R"({"key":"k","value":)" + deep + "}");
  std::string at;
  for (int i = 0; i < 58; ++i)
    at += i == 57 ? "/-" : "/0";
  EXPECT_THAT(w.ask("kv/a", "patch", R"({"key":"k","patch":[{"op":"add","path":")" + at + R"(","value":[[[]]]}]})"),
              HasSubstr("too_large: the value of 'k' would nest deeper than 60 levels"));
  EXPECT_EQ(w.ask("kv/a", "patch", R"({"key":"k","patch":[{"op":"add","path":")" + at + R"(","value":[[]]}]})"),
            R"({"version":2})");
}

TEST_F(kv_document, has_no_options) {
  auto spec = kv_class("other");
  spec.options = json(R"({"maxKeys":5})");
  EXPECT_THAT(to_string(w.rt.define(spec).error()),
              HasSubstr("behaviour.options takes nothing for this behaviour, not an object with the field 'maxKeys'"));
  spec.options = json("{}");
  EXPECT_TRUE(w.rt.define(spec));
}

TEST(change_of_behaviour, starts_the_processes_afresh_at_their_next_message) {
  world w;
  ASSERT_TRUE(w.rt.define(counter_class("c")));
  EXPECT_EQ(w.ask("c/a", "add", "5"), "5");
  auto spec = kv_class("c");
  spec.version = 2;
  ASSERT_TRUE(w.rt.define(spec));
  EXPECT_EQ(w.ask("c/a", "get"), "{}");
  EXPECT_EQ(w.ask("c/a", "put", R"({"key":"k","value":1})"), R"({"version":1})");
  using what = process_event::kind;
  EXPECT_THAT(w.kinds_of("c/a"), ::testing::ElementsAre(what::started, what::exited, what::started));
  EXPECT_THAT(w.ask("c/a", "add"), HasSubstr("no method 'add'"));
}

}  // namespace
}  // namespace orrery::process
