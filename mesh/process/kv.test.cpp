#include "mesh/process/kv.hpp"

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
  EXPECT_THAT(w.ask("kv/a", "put", "5"), HasSubstr(R"(kv.put takes {"key": ..., "value": ...}, not an integer)"));
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
