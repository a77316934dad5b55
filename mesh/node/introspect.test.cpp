// What operators ask of one process, at its owner and through another node.
#include "mesh/node/testing.hpp"
#include "mesh/wire/cbor.hpp"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace orrery::node {
namespace {

using namespace testing;
using ::testing::HasSubstr;
using json = nlohmann::json;

struct introspection : core_b {
  /// The one answer to a request, or its error as {"error": text}.
  json ask(operation asked) {
    done.clear();
    step(client_request{request_id{++last_request}, std::move(asked)});
    step(woken{});
    for (const auto& each : all<respond>()) {
      if (each.id.value != last_request) continue;
      return each.answer ? each.answer->document() : json{{"error", to_string(each.answer.error())}};
    }
    return "no answer yet";
  }
  json call(const process_name& name, const std::string& method, const std::string& argument = "null") {
    return ask(call_op{name, method, value::from_json(argument).value(), {}});
  }

  std::uint64_t last_request = 0;
};

TEST_F(introspection, a_process_document_tells_its_state_load_and_ties) {
  form({"a"});
  const auto name = owned_by("b", {"a", "b"});
  EXPECT_THAT(ask(inspect_op{name}).dump(), HasSubstr("does not run; its owner is node b"));
  call(name, "add", "5");
  const auto seen = ask(inspect_op{name});
  EXPECT_EQ(seen["state"], "running");
  EXPECT_EQ(seen["reductions"], 1);
  EXPECT_EQ(seen["oldestSeconds"], nullptr);
  EXPECT_EQ(seen["links"], json::array({"root/counter"}));
  EXPECT_EQ(seen["monitoredBy"], json::array());
  EXPECT_GT(seen["memoryBytes"], 100);
}

TEST_F(introspection, a_suspended_process_queues_and_says_for_how_long) {
  form({"a"});
  const auto name = owned_by("b", {"a", "b"});
  call(name, "add", "5");
  EXPECT_EQ(ask(suspend_op{name}), (json{{"suspended", true}}));
  EXPECT_THAT(notified("process_suspended"), HasSubstr(name.key.value));
  EXPECT_EQ(call(name, "add", "1"), "no answer yet");
  pass(std::chrono::seconds{2});
  const auto seen = ask(inspect_op{name});
  EXPECT_EQ(seen["state"], "suspended");
  EXPECT_EQ(seen["mailbox"], 1);
  EXPECT_NEAR(seen["oldestSeconds"].get<double>(), 2.0, 0.01);
  done.clear();
  step(client_request{request_id{99}, resume_op{name}});
  step(woken{});
  ASSERT_EQ(all<respond>().size(), 2U);
  EXPECT_EQ(all<respond>()[0].answer->document(), (json{{"resumed", true}}));
  EXPECT_EQ(all<respond>()[1].answer->json_text(), "6");
}

TEST_F(introspection, a_state_is_read_and_replaced_at_the_version_that_was_read) {
  form({"a"});
  const auto name = owned_by("b", {"a", "b"});
  call(name, "add", "5");
  const auto read = ask(state_op{name});
  EXPECT_EQ(read["state"], 5);
  const auto replaced = ask(set_state_op{name, cbor::integer_value(40), read["version"]});
  EXPECT_NE(replaced["version"], read["version"]);
  EXPECT_THAT(ask(set_state_op{name, cbor::integer_value(41), read["version"]}).dump(), HasSubstr("conflict"));
  EXPECT_THAT(ask(set_state_op{name, cbor::text_value("x"), ""}).dump(), HasSubstr("invalid_argument"));
  EXPECT_EQ(call(name, "add", "2"), 42);
}

TEST_F(introspection, is_forwarded_to_the_owner_with_all_that_it_says) {
  form({"a"});
  const auto name = owned_by("a", {"a", "b"});
  EXPECT_EQ(ask(set_state_op{name, cbor::integer_value(40), "v1"}), "no answer yet");
  const auto asked = sent<wire::control>();
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked[0].asked, wire::verb::set_state);
  EXPECT_EQ(asked[0].name, name);
  EXPECT_EQ(asked[0].argument, cbor::integer_value(40));
  EXPECT_EQ(asked[0].reason, "v1");
  for (operation each : {operation{state_op{name}}, operation{suspend_op{name}}, operation{resume_op{name}}})
    EXPECT_EQ(ask(each), "no answer yet");
}

TEST_F(introspection, of_a_process_here_is_answered_to_a_peer_that_asks) {
  form({"a"});
  const auto name = owned_by("b", {"a", "b"});
  call(name, "add", "5");
  done.clear();
  receive(wire::control{.id = 7,
                        .asked = wire::verb::state,
                        .name = name,
                        .reason = {},
                        .only = {},
                        .remaining = std::chrono::seconds{1}});
  ASSERT_EQ(sent<wire::reply>().size(), 1U);
  EXPECT_EQ(sent<wire::reply>()[0].outcome->document()["state"], 5);
}

TEST_F(introspection, a_question_of_a_newer_peer_is_answered_and_its_connection_stays) {
  form({"a"});
  receive(wire::control{.id = 7, .asked = wire::verb::unknown, .name = {}, .reason = {}, .only = {}});
  ASSERT_EQ(sent<wire::reply>().size(), 1U);
  EXPECT_THAT(sent<wire::reply>()[0].outcome.error().context, HasSubstr("too old"));
  EXPECT_TRUE(all<hang_up>().empty());
}

}  // namespace
}  // namespace orrery::node
