#include "sidecar/introspect_routes.hpp"

#include <gmock/gmock.h>

#include "shell/problem.hpp"

namespace orrery::sidecar {
namespace {

namespace introspect {

using testing::HasSubstr;

route ask(std::string_view method, std::string_view target, std::string_view body = {},
          std::string_view if_match = {}) {
  return find_route({.method = method, .target = target, .body = body, .orrery_timeout = {}, .if_match = if_match});
}
template <class Op>
Op op(const route& found) {
  const auto* known = std::get_if<node_route>(&found);
  if (known == nullptr) {
    ADD_FAILURE() << (std::holds_alternative<refused_route>(found) ? std::get<refused_route>(found).why.context
                                                                   : "no operation");
    return {};
  }
  return std::get<Op>(known->asked);
}

TEST(introspect_routes, read_and_replace_the_state_of_a_process_at_a_version) {
  EXPECT_EQ(op<node::state_op>(ask("GET", "/v1/processes/kv/x/state")).name.key.value, "x");
  const auto put = op<node::set_state_op>(ask("PUT", "/v1/processes/kv/x/state", R"({"a": 1})", "\"n@1.2.3/4\""));
  EXPECT_EQ(put.state.json_text(), R"({"a":1})");
  EXPECT_EQ(put.expected, "n@1.2.3/4");
  EXPECT_EQ(op<node::set_state_op>(ask("PUT", "/v1/processes/kv/x/state", "null")).expected, "");
  EXPECT_EQ(op<node::set_state_op>(ask("PUT", "/v1/processes/kv/x/state", "null", "*")).expected, "");
}

TEST(introspect_routes, suspend_and_resume_a_process) {
  EXPECT_EQ(op<node::suspend_op>(ask("POST", "/v1/processes/kv/x/suspend")).name.key.value, "x");
  EXPECT_EQ(op<node::resume_op>(ask("POST", "/v1/processes/kv/x/resume")).name.key.value, "x");
}

TEST(introspect_routes, trace_a_process_within_bounds) {
  const auto plain = op<node::trace_op>(ask("GET", "/v1/processes/kv/x/trace"));
  EXPECT_EQ(plain.limit, 1000U);
  EXPECT_EQ(plain.length, std::chrono::seconds{60});
  const auto short_one = op<node::trace_op>(ask("GET", "/v1/processes/kv/x/trace?limit=5&seconds=3"));
  EXPECT_EQ(short_one.limit, 5U);
  EXPECT_EQ(short_one.length, std::chrono::seconds{3});
}

TEST(introspect_routes, look_at_crashes_the_greatest_and_the_tree) {
  const auto crashes = op<node::crashes_op>(ask("GET", "/v1/crashes?class=kv&key=a%2Fb&limit=7&node=local"));
  EXPECT_EQ(crashes.only->value, "kv");
  EXPECT_EQ(crashes.key->value, "a/b");
  EXPECT_EQ(crashes.limit, 7U);
  EXPECT_TRUE(crashes.local);
  EXPECT_FALSE(op<node::crashes_op>(ask("GET", "/v1/crashes")).local);
  const auto top = op<node::top_op>(ask("GET", "/v1/top?by=messages&limit=3"));
  EXPECT_EQ(top.by, process::measure::messages);
  EXPECT_EQ(top.limit, 3U);
  EXPECT_EQ(op<node::top_op>(ask("GET", "/v1/top")).by, process::measure::mailbox);
  const auto tree = op<node::tree_op>(ask("GET", "/v1/tree?class=kv&children=9&node=local"));
  EXPECT_EQ(tree.only->value, "kv");
  EXPECT_EQ(tree.children, 9U);
  EXPECT_TRUE(tree.local);
}

struct wrong {
  const char* method;
  const char* target;
  const char* body;
  const char* if_match;
  int status;
  const char* says;
};

TEST(introspect_routes, refuse_what_is_wrong_with_what_is_accepted) {
  const std::vector<wrong> table{
      {"POST", "/v1/processes/kv/x/state", "1", "", 405, "GET, PUT"},
      {"PUT", "/v1/processes/kv/x/state", "", "", 400, "it is empty"},
      {"PUT", "/v1/processes/kv/x/state", "{oops", "", 400, "must be JSON"},
      {"PUT", "/v1/processes/kv/x/state", "1", "v1", 400, "in its quotes"},
      {"PUT", "/v1/processes/kv/x/state", "1", "\"a\", \"b\"", 400, "If-Match"},
      {"GET", "/v1/processes/kv/x/state?x=1", "", "", 400, "no query"},
      {"POST", "/v1/processes/kv/x/trace", "", "", 405, "GET"},
      {"GET", "/v1/processes/kv/x/trace?limit=0", "", "", 400, "1 to 100000"},
      {"GET", "/v1/processes/kv/x/trace?seconds=3601", "", "", 400, "1 to 3600"},
      {"GET", "/v1/crashes?key=a", "", "", 400, "key needs class"},
      {"GET", "/v1/crashes?limit=201", "", "", 400, "1 to 200"},
      {"GET", "/v1/crashes?by=age", "", "", 400, "accepted: class, key, limit, node"},
      {"GET", "/v1/top?by=beauty", "", "", 400, "mailbox, age, memory, reductions or messages"},
      {"GET", "/v1/top?limit=101", "", "", 400, "1 to 100"},
      {"GET", "/v1/tree?children=1001", "", "", 400, "0 to 1000"},
      {"POST", "/v1/top", "", "", 405, "GET"},
      {"GET", "/v1/processes/kv/x/suspend", "", "", 405, "POST"},
      {"GET", "/v1/processes/kv/x/dream", "", "", 404, "resume or trace"},
  };
  for (const auto& each : table) {
    const auto found = ask(each.method, each.target, each.body, each.if_match);
    ASSERT_TRUE(std::holds_alternative<refused_route>(found)) << each.target;
    const auto& r = std::get<refused_route>(found);
    EXPECT_EQ(r.status != 0 ? r.status : shell::http_status(r.why.code), each.status) << each.target;
    EXPECT_THAT(r.why.context, HasSubstr(each.says)) << each.target;
  }
}

}  // namespace introspect

}  // namespace
}  // namespace orrery::sidecar
