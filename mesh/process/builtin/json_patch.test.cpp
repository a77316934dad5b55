#include "mesh/process/builtin/json_patch.hpp"

#include "mesh/wire/value.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace orrery::process {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

/// The patched document as text, or the error.
std::string patched(const char* document, const std::string& patch) {
  auto changed = json::parse(document);
  const auto before = changed;
  const auto applied = apply_json_patch(changed, json::parse(patch));
  if (applied) return changed.dump();
  EXPECT_EQ(changed, before) << "a patch that fails changes nothing";
  return to_string(applied.error());
}

struct example {
  const char* what;
  const char* document;
  const char* patch;
  const char* becomes;
};

// The examples of RFC 6902, appendix A, that succeed.
TEST(json_patch, does_what_the_rfc_shows) {
  const example table[] = {
      {"A.1", R"({"foo":"bar"})", R"([{"op":"add","path":"/baz","value":"qux"}])", R"({"baz":"qux","foo":"bar"})"},
      {"A.2", R"({"foo":["bar","baz"]})", R"([{"op":"add","path":"/foo/1","value":"qux"}])",
       R"({"foo":["bar","qux","baz"]})"},
      {"A.3", R"({"baz":"qux","foo":"bar"})", R"([{"op":"remove","path":"/baz"}])", R"({"foo":"bar"})"},
      {"A.4", R"({"foo":["bar","qux","baz"]})", R"([{"op":"remove","path":"/foo/1"}])", R"({"foo":["bar","baz"]})"},
      {"A.5", R"({"baz":"qux","foo":"bar"})", R"([{"op":"replace","path":"/baz","value":"boo"}])",
       R"({"baz":"boo","foo":"bar"})"},
      {"A.6", R"({"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}})",
       R"([{"op":"move","from":"/foo/waldo","path":"/qux/thud"}])",
       R"({"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}})"},
      {"A.7", R"({"foo":["all","grass","cows","eat"]})", R"([{"op":"move","from":"/foo/1","path":"/foo/3"}])",
       R"({"foo":["all","cows","eat","grass"]})"},
      {"A.8", R"({"baz":"qux","foo":["a",2,"c"]})",
       R"([{"op":"test","path":"/baz","value":"qux"},{"op":"test","path":"/foo/1","value":2}])",
       R"({"baz":"qux","foo":["a",2,"c"]})"},
      {"A.10", R"({"foo":"bar"})", R"([{"op":"add","path":"/child","value":{"grandchild":{}}}])",
       R"({"child":{"grandchild":{}},"foo":"bar"})"},
      {"A.11", R"({"foo":"bar"})", R"([{"op":"add","path":"/baz","value":"qux","xyz":123}])",
       R"({"baz":"qux","foo":"bar"})"},
      {"A.14", R"({"/":9,"~1":10})", R"([{"op":"test","path":"/~01","value":10}])", R"({"/":9,"~1":10})"},
      {"A.16", R"({"foo":["bar"]})", R"([{"op":"add","path":"/foo/-","value":["abc","def"]}])",
       R"({"foo":["bar",["abc","def"]]})"},
      {"whole", R"({"foo":1})", R"([{"op":"replace","path":"","value":[1]}])", "[1]"},
      {"empty name", R"({"":{"":1}})", R"([{"op":"replace","path":"//","value":2}])", R"({"":{"":2}})"},
      {"copy", R"({"a":[1]})", R"([{"op":"copy","from":"/a","path":"/b"},{"op":"add","path":"/b/0","value":0}])",
       R"({"a":[1],"b":[0,1]})"},
      {"move onto itself", R"({"a":1})", R"([{"op":"move","from":"/a","path":"/a"}])", R"({"a":1})"},
  };
  for (const auto& each : table)
    EXPECT_EQ(patched(each.document, each.patch), each.becomes) << each.what;
}

TEST(json_patch, says_which_operation_the_document_does_not_fit) {
  EXPECT_EQ(patched(R"({"baz":"qux"})", R"([{"op":"test","path":"/baz","value":"bar"}])"),
            "conflict: operation 0 (test /baz): another value is there");
  EXPECT_EQ(patched(R"({"foo":"bar"})", R"([{"op":"test","path":"/foo","value":"bar"},
                                            {"op":"add","path":"/baz/bat","value":"qux"}])"),
            "conflict: operation 1 (add /baz/bat): there is no 'baz'");
  EXPECT_EQ(patched(R"({"/":9,"~1":10})", R"([{"op":"test","path":"/~01","value":"10"}])"),
            "conflict: operation 0 (test /~01): another value is there");
  EXPECT_EQ(patched(R"({"a":[1]})", R"([{"op":"remove","path":"/a/1"}])"),
            "conflict: operation 0 (remove /a/1): the array of 1 has no '1'");
  EXPECT_EQ(patched(R"({"a":[1]})", R"([{"op":"add","path":"/a/2","value":1}])"),
            "conflict: operation 0 (add /a/2): the array of 1 takes no '2'");
  EXPECT_EQ(patched(R"({"a":1})", R"([{"op":"add","path":"/a/b","value":1}])"),
            "conflict: operation 0 (add /a/b): nothing is inside a number");
  EXPECT_THAT(patched(R"({"a":[1,2]})", R"([{"op":"remove","path":"/a/01"}])"), HasSubstr("conflict"));
  EXPECT_THAT(patched(R"({"a":[1,2]})", R"([{"op":"remove","path":"/a/-"}])"), HasSubstr("conflict"));
  EXPECT_THAT(patched(R"({})", R"([{"op":"replace","path":"/a","value":1}])"), HasSubstr("conflict"));
}

TEST(json_patch, says_what_is_no_patch) {
  EXPECT_EQ(patched("{}", "{}"), "invalid_argument: a patch is an array of operations, not a object");
  EXPECT_EQ(patched("{}", "[1]"), "invalid_argument: operation 0 is no object");
  EXPECT_EQ(patched("{}", R"([{"path":"/a"}])"), "invalid_argument: operation 0 has no 'op'");
  EXPECT_EQ(patched("{}", R"([{"op":"add","value":1}])"), "invalid_argument: operation 0 has no 'path'");
  EXPECT_EQ(patched("{}", R"([{"op":"add","path":"/a"}])"), "invalid_argument: operation 0 has no 'value'");
  EXPECT_EQ(patched("{}", R"([{"op":"copy","path":"/a"}])"), "invalid_argument: operation 0 has no 'from'");
  EXPECT_EQ(patched("{}", R"([{"op":"add","path":5,"value":1}])"),
            "invalid_argument: operation 0 has a 'path' that is no string");
  EXPECT_EQ(patched("{}", R"([{"op":"add","path":"a","value":1}])"),
            "invalid_argument: operation 0 has a 'path' that does not begin with '/'");
  EXPECT_THAT(patched("{}", R"([{"op":"add","path":"/~2","value":1}])"), HasSubstr("neither '~0' nor '~1'"));
  EXPECT_EQ(patched("{}", R"([{"op":"spam","path":"/a"}])"),
            "invalid_argument: operation 0 is 'spam'; accepted: add, remove, replace, move, copy, test");
  EXPECT_EQ(patched(R"({"a":{}})", R"([{"op":"move","from":"/a","path":"/a/b"}])"),
            "invalid_argument: operation 0 moves '/a' into itself");
}

TEST(json_patch, that_would_grow_without_bound_is_refused) {
  std::string doubling = "[";
  for (int i = 0; i < 60; ++i)
    doubling += std::string(i == 0 ? "" : ",") + R"({"op":"copy","from":"/a","path":"/a/-"})";
  EXPECT_THAT(patched(R"({"a":[1,2,3]})", doubling + "]"), HasSubstr("too_large"));
  std::string wide = "[";
  for (int i = 0; i < 60; ++i)
    wide += std::string(i == 0 ? "" : ",") + R"({"op":"copy","from":"","path":"/)" + std::to_string(i) + "\"}";
  EXPECT_THAT(patched("{}", wide + "]"), HasSubstr("too_large"));
  std::string array = "[0";
  for (int i = 1; i < 100'000; ++i)
    array += ",0";
  std::string shifting = "[";
  for (int i = 0; i < 100; ++i)
    shifting += std::string(i == 0 ? "" : ",") + R"({"op":"remove","path":"/0"})";
  EXPECT_THAT(patched((array + "]").c_str(), shifting + "]"), HasSubstr("too_large"));
  std::string many = "[";
  for (std::size_t i = 0; i <= patch_operations_max; ++i)
    many += std::string(i == 0 ? "" : ",") + R"({"op":"test","path":"","value":{}})";
  EXPECT_THAT(patched("{}", many + "]"), HasSubstr("the patch has 1001 operations, and may have 1000"));
}

TEST(json_patch, that_would_nest_too_deep_is_refused) {
  const auto nest = [](int levels) {
    return std::string(static_cast<std::size_t>(levels), '[') + std::string(static_cast<std::size_t>(levels), ']');
  };
  std::string path;
  for (int i = 0; i < 30; ++i)
    path += "/0";
  const auto patch = [&](const char* op, int levels) {
    return R"([{"op":")" + std::string{op} + R"(","path":")" + path + R"(","value":)" + nest(levels) + "}]";
  };
  EXPECT_THAT(patched(nest(30).c_str(), patch("add", value_depth_max - 29)), HasSubstr("too_large"));
  EXPECT_EQ(patched(nest(30).c_str(), patch("add", value_depth_max - 30)), nest(value_depth_max));
  EXPECT_THAT(patched(nest(32).c_str(), patch("replace", value_depth_max - 29)), HasSubstr("too_large"));
}

TEST(json_patch, of_a_few_words_copies_no_large_document_again_and_again) {
  const json document{{"a", json::array_t(100'000, json(0))}};
  const json copy{{"op", "copy"}, {"from", "/a"}, {"path", "/b"}};
  EXPECT_THAT(patched(document.dump().c_str(), json(json::array_t(2, copy)).dump()), HasSubstr("\"b\":[0,"));
  EXPECT_THAT(patched(document.dump().c_str(), json(json::array_t(10, copy)).dump()),
              HasSubstr("copies or moves more than a patch may"));
}

TEST(json_patch, a_path_of_a_megabyte_is_quoted_up_to_a_bound) {
  const std::string path = "/" + std::string(1'000'000, 'x');
  const json operations[] = {
      {{"op", "add"}, {"path", path + "/y"}, {"value", 1}},
      {{"op", "test"}, {"path", path}, {"value", 1}},
      {{"op", "remove"}, {"path", path}},
      {{"op", "copy"}, {"from", path}, {"path", "/b"}},
      {{"op", "move"}, {"from", path}, {"path", path + "/y"}},
  };
  for (const auto& each : operations) {
    const auto said = patched(R"({"a":1})", json::array({each}).dump());
    EXPECT_THAT(said, HasSubstr("/xxxx"));
    EXPECT_LT(said.size(), 500U) << each["op"];
  }
}

}  // namespace
}  // namespace orrery::process
