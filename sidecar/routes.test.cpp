#include "sidecar/routes.hpp"

#include "mesh/wire/trace_context.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "shell/problem.hpp"

namespace orrery::sidecar {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

route ask(std::string_view method, std::string_view target, std::string_view body = {}, std::string_view timeout = {}) {
  return find_route({.method = method, .target = target, .body = body, .orrery_timeout = timeout});
}
template <class Op>
Op op(const route& found) {
  const auto* known = std::get_if<node_route>(&found);
  if (known == nullptr) {
    ADD_FAILURE() << (std::holds_alternative<refused_route>(found) ? std::get<refused_route>(found).why.context
                                                                   : "events");
    return {};
  }
  return std::get<Op>(known->asked);
}
refused_route refused(const route& found) {
  if (const auto* r = std::get_if<refused_route>(&found)) return *r;
  ADD_FAILURE() << "was accepted";
  return {};
}

TEST(routes, a_call_carries_its_name_method_argument_and_timeout) {
  const auto call = op<node::call_op>(ask("POST", "/v1/processes/counter/a%2Fb%20%C3%A4/call/add", "[1, 2]", "500ms"));
  EXPECT_EQ(call.name.klass.value, "counter");
  EXPECT_EQ(call.name.key.value, "a/b ä");
  EXPECT_EQ(call.method, "add");
  EXPECT_EQ(call.argument.json_text(), "[1,2]");
  EXPECT_EQ(call.timeout, 500ms);
}

TEST(routes, a_message_carries_the_trace_of_who_sends_it) {
  constexpr std::string_view trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const auto send = [](std::string_view what, std::string_view traceparent) {
    return find_route(
        {.method = "POST", .target = what, .body = "[1]", .orrery_timeout = {}, .traceparent = traceparent});
  };
  const auto called = split_trace(op<node::call_op>(send("/v1/processes/kv/x/call/get", trace)).argument);
  EXPECT_EQ(called.first, trace);
  EXPECT_EQ(called.second.json_text(), "[1]");
  EXPECT_EQ(split_trace(op<node::cast_op>(send("/v1/processes/kv/x/cast/put", trace)).argument).first, trace);
  EXPECT_EQ(op<node::call_op>(send("/v1/processes/kv/x/call/get", "00-1-2-01")).argument.json_text(), "[1]")
      << "what is no traceparent is ignored, as the standard has it";
}

TEST(routes, an_empty_body_is_null_and_no_header_is_no_timeout) {
  const auto call = op<node::call_op>(ask("POST", "/v1/processes/kv/x/call/get", " \n"));
  EXPECT_EQ(call.argument.json_text(), "null");
  EXPECT_FALSE(call.timeout);
}

TEST(routes, a_cast_is_answered_with_202) {
  const auto found = ask("POST", "/v1/processes/kv/x/cast/put", "{}");
  EXPECT_EQ(std::get<node_route>(found).success, 202);
  EXPECT_EQ(op<node::cast_op>(found).method, "put");
}

TEST(routes, processes_are_inspected_stopped_and_killed) {
  EXPECT_EQ(op<node::inspect_op>(ask("GET", "/v1/processes/kv/x")).name.key.value, "x");
  EXPECT_EQ(op<node::stop_op>(ask("DELETE", "/v1/processes/kv/x")).name.key.value, "x");
  EXPECT_EQ(op<node::kill_op>(ask("POST", "/v1/processes/kv/x/kill")).reason, "killed by a client");
  EXPECT_EQ(op<node::kill_op>(ask("POST", "/v1/processes/kv/x/kill", R"({"reason":"why"})")).reason, "why");
  EXPECT_EQ(op<node::start_op>(ask("POST", "/v1/processes/kv/x/start")).name.key.value, "x");
  EXPECT_EQ(refused(ask("GET", "/v1/processes/kv/x/start")).status, 405);
  EXPECT_EQ(op<node::release_op>(ask("POST", "/v1/processes/kv/x/release")).name.key.value, "x");
  EXPECT_EQ(refused(ask("GET", "/v1/processes/kv/x/release")).status, 405);
}

TEST(routes, lists_take_their_query) {
  const auto list = op<node::list_processes_op>(ask("GET", "/v1/processes?class=kv&limit=7&node=local"));
  EXPECT_EQ(list.only->value, "kv");
  EXPECT_EQ(list.limit, 7U);
  EXPECT_TRUE(list.local);
  EXPECT_FALSE(op<node::list_processes_op>(ask("GET", "/v1/processes")).local);
  EXPECT_TRUE(op<node::tree_op>(ask("GET", "/v1/tree?node=local")).local);
  op<node::list_nodes_op>(ask("GET", "/v1/nodes"));
  op<node::list_classes_op>(ask("GET", "/v1/classes"));
  EXPECT_TRUE(std::holds_alternative<events_route>(ask("GET", "/v1/events")));
  EXPECT_TRUE(std::holds_alternative<websocket_route>(ask("GET", "/v1/sdk")));
  EXPECT_TRUE(std::holds_alternative<description_route>(ask("GET", "/v1/openapi.yaml")));
}

TEST(routes, lead_to_groups_and_the_registry) {
  EXPECT_EQ(op<node::list_groups_op>(ask("GET", "/v1/groups?prefix=chat%2F&limit=5")).prefix, "chat/");
  EXPECT_EQ(op<node::list_registry_op>(ask("GET", "/v1/registry?prefix=user&limit=5")).limit, 5U);
  EXPECT_EQ(op<node::group_op>(ask("GET", "/v1/groups/chat%2F1")).group, "chat/1");
  const auto sent = ask("POST", "/v1/groups/chat%2F1/publish/news", R"({"a":1})");
  EXPECT_EQ(op<node::publish_op>(sent).group, "chat/1");
  EXPECT_EQ(op<node::publish_op>(sent).word, "news");
  EXPECT_EQ(op<node::publish_op>(sent).payload.json_text(), R"({"a":1})");
  EXPECT_EQ(std::get<node_route>(sent).success, 202);
}

struct wrong {
  const char* method;
  std::string target;
  const char* body;
  const char* timeout;
  int status;
  const char* says;
};

TEST(routes, what_is_wrong_is_refused_with_what_is_accepted) {
  const std::vector<wrong> table{
      {"GET", "/", "", "", 404, "there are /v1/processes"},
      {"GET", "*", "", "", 404, "no such path"},
      {"GET", "/v2/nodes", "", "", 404, "no such path"},
      {"GET", "/v1/nodes/", "", "", 404, "no such path"},
      {"GET", "/v1/processes/counter", "", "", 404, "no such path"},
      {"GET", "/v1/processes/counter/", "", "", 400, "key"},
      {"POST", "/v1/processes/counter/a/b/call/add", "", "", 404, "%2F"},
      {"GET", "/v1/processes/counter/a/call/add", "", "", 405, "POST"},
      {"PUT", "/v1/processes/counter/a", "", "", 405, "GET, DELETE"},
      {"POST", "/v1/nodes", "", "", 405, "GET"},
      {"POST", "/v1/processes/Counter/a/call/add", "", "", 400, "Counter"},
      {"POST", "/v1/processes/counter/%/call/add", "", "", 400, "percent"},
      {"POST", "/v1/processes/counter/%4/call/add", "", "", 400, "percent"},
      {"POST", "/v1/processes/counter/%zz/call/add", "", "", 400, "two hex digits"},
      {"POST", "/v1/processes/counter/%ff/call/add", "", "", 400, "UTF-8"},
      {"POST", "/v1/processes/counter/" + std::string(1025, 'k') + "/call/add", "", "", 413, "1024"},
      {"POST", "/v1/processes/counter/a/call/", "", "", 400, "1 to 128"},
      {"POST", "/v1/processes/counter/a/call/add", "{oops", "", 400, "the body must be JSON"},
      {"POST", "/v1/processes/counter/a/call/add", "1 2", "", 400, "the body must be JSON"},
      {"POST", "/v1/processes/counter/a/call/add", "", "soon", 400, "Orrery-Timeout"},
      {"POST", "/v1/processes/counter/a/call/add", "", "2h", 400, "1ms to 1h"},
      {"POST", "/v1/processes/counter/a/kill", "[]", "", 400, "reason"},
      {"GET", "/v1/processes?limit=0", "", "", 400, "1 to 10000"},
      {"GET", "/v1/processes?limit=x", "", "", 400, "1 to 10000"},
      {"GET", "/v1/processes?klass=x", "", "", 400, "accepted: class, limit, node"},
      {"GET", "/v1/processes?class=a&class=b", "", "", 400, "twice"},
      {"GET", "/v1/processes?node=demo-1", "", "", 400, "node=local"},
      {"GET", "/v1/nodes?x=1", "", "", 400, "none is accepted"},
      {"POST", "/v1/groups", "", "", 405, "GET"},
      {"GET", "/v1/registry?limit=0", "", "", 400, "1 to 10000"},
      {"GET", "/v1/registry?key=a", "", "", 400, "accepted: prefix, limit"},
      {"GET", "/v1/groups/a/publish/w", "", "", 405, "POST"},
      {"POST", "/v1/groups/a/publish", "", "", 404, "publish/{word}"},
      {"POST", "/v1/groups/a/publish/w", "{oops", "", 400, "the body must be JSON"},
      {"DELETE", "/v1/groups/a", "", "", 405, "GET"},
  };
  for (const auto& each : table) {
    const auto r = refused(ask(each.method, each.target, each.body, each.timeout));
    EXPECT_EQ(r.status != 0 ? r.status : shell::http_status(r.why.code), each.status) << each.target;
    EXPECT_THAT(r.why.context, HasSubstr(each.says)) << each.target;
  }
}

TEST(routes, deep_json_is_refused_and_does_not_overflow_the_stack) {
  const auto r = refused(ask("POST", "/v1/processes/kv/a/call/put", std::string(100'000, '[')));
  EXPECT_GE(shell::http_status(r.why.code), 400);
}

TEST(problems, are_json_with_code_detail_and_effect) {
  const auto answer =
      shell::problem(error{errc::deadline_exceeded, "a \"b\" \xff", took_effect::unknown}, 0, {{"node", "n"}});
  const auto body = nlohmann::json::parse(answer.body);
  EXPECT_EQ(answer.status, 504);
  EXPECT_EQ(answer.content_type, "application/problem+json");
  EXPECT_EQ(body["type"], "https://orrery.dev/errors/deadline_exceeded");
  EXPECT_EQ(body["status"], 504);
  EXPECT_EQ(body["effect"], "unknown");
  EXPECT_EQ(body["node"], "n");
}

}  // namespace
}  // namespace orrery::sidecar
