// The SDK protocol over WebSocket, against a real sidecar: what it adds to the other transports, and who may speak.
#include "sidecar/testing/sdk_mesh.hpp"
#include "sidecar/testing/websocket_client.hpp"

#include <gmock/gmock.h>

namespace orrery::sidecar {
namespace {

using fixtures::websocket_client;
using ::testing::HasSubstr;
using ws = websocket_client;

constexpr const char* some_classes = R"(  - {name: counter, version: 1, behaviour: {builtin: counter}}
  - name: big
    behaviour: {lua: {script: 'return {call = {text = function(state, n) return string.rep("x", n) end}}'}}
)";

class sdk_over_websocket : public sdk_mesh {
 protected:
  void SetUp() override {
    ::setenv("ORRERY_ALLOWED_ORIGINS", "https://shop.example,http://localhost:5173", 1);
    form(1, some_classes);
    ::unsetenv("ORRERY_ALLOWED_ORIGINS");
  }
  [[nodiscard]] std::string ended() const { return metric(0, "orrery_sdk_stream_connections_ended_total"); }
  /// Still serves.
  void expect_alive() { EXPECT_EQ(ws(mesh_->ip(0)).ask(a_call("counter/alive", "get"))["ok"], 0); }
  static std::string offering(const std::string& more) { return "Sec-WebSocket-Protocol: orrery.v1\r\n" + more; }
};

TEST_F(sdk_over_websocket, carries_the_protocol_in_binary_messages_or_as_json_in_text) {
  int expected = 0;
  for (const bool as_json : {false, true}) {
    ws client(mesh_->ip(0), {.as_json = as_json});
    EXPECT_THAT(client.head(), HasSubstr("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    EXPECT_THAT(client.head(), HasSubstr("Sec-WebSocket-Protocol: orrery.v1"));
    EXPECT_EQ(client.welcome()["node"], "demo-0");
    EXPECT_EQ(client.ask(a_call("counter/a", "add", 2))["ok"], expected += 2);
    EXPECT_EQ(client.kind(), as_json ? ws::text : ws::binary);
  }
  EXPECT_EQ(metric(0, "orrery_calls_total{class=\"counter\",code=\"ok\"}"), "2");
}

TEST_F(sdk_over_websocket,
       takes_messages_in_fragments_with_pings_between_and_answers_in_fragments_where_they_are_large) {
  ws client(mesh_->ip(0));
  auto call = a_call("counter/a", "add", 7);
  call["id"] = 1;
  const auto payload = client.payload_of(call);
  client.send_raw(ws::framed(ws::binary, payload.substr(0, 5), false) + ws::framed(ws::ping, "are you there") +
                  ws::framed(ws::continuation, "", false) + ws::framed(ws::continuation, payload.substr(5)));
  const auto pong = client.next();
  ASSERT_TRUE(pong);
  EXPECT_EQ(pong->opcode, ws::pong);
  EXPECT_EQ(pong->payload, "are you there");
  const auto result = client.hear();
  ASSERT_TRUE(result);
  EXPECT_EQ((*result)["ok"], 7);
  const auto before = client.frames();
  EXPECT_EQ(client.ask(a_call("big/b", "text", 300'000))["ok"].get<std::string>().size(), 300'000U);
  EXPECT_GT(client.frames() - before, 1U);
}

TEST_F(sdk_over_websocket, hosts_processes_and_says_goodbye_when_it_drains) {
  ws client(mesh_->ip(0));
  EXPECT_EQ(client.ask({{"type", "register"}, {"class", "absent"}, {"calls", {"get"}}})["ok"]["state"], "undeclared");
  mesh_->signal(0, SIGTERM);
  const auto last = client.hear();
  ASSERT_TRUE(last);
  EXPECT_EQ((*last)["code"], "draining");
  EXPECT_EQ(client.close_code(), 1001U);
  EXPECT_EQ(mesh_->wait_exit(0, 10s), 0);
}

TEST_F(sdk_over_websocket, closes_with_who_says_goodbye_or_closes) {
  ws polite(mesh_->ip(0));
  polite.say({{"type", "goodbye"}, {"code", "cancelled"}, {"text", "done"}});
  EXPECT_EQ(polite.close_code(), 1000U);
  polite.send_raw(ws::framed(ws::close, "\x03\xe8"));
  EXPECT_TRUE(polite.at_end());
  ws brief(mesh_->ip(0));
  brief.send_raw(ws::framed(ws::close, "\x03\xe8"));
  EXPECT_EQ(brief.close_code(), 1000U);
  EXPECT_TRUE(brief.at_end());
  EXPECT_EQ(ended(), "0") << "neither broke a rule";
}

TEST_F(sdk_over_websocket, ends_with_who_does_not_answer_its_close) {
  ws silent(mesh_->ip(0));
  silent.say({{"type", "goodbye"}, {"code", "cancelled"}, {"text", "done"}});
  EXPECT_EQ(silent.close_code(), 1000U);
  EXPECT_TRUE(silent.at_end());
}

TEST_F(sdk_over_websocket, says_goodbye_to_garbage_with_the_close_code_for_it) {
  const struct {
    std::string sent;
    std::string code;
    unsigned closed;
  } all[] = {
      {ws::framed(ws::binary, "GET / HTTP/1.1\r\n"), "protocol", 1002},
      {ws::framed(ws::binary, ""), "protocol", 1002},
      {ws::framed(ws::binary, R"({"type":"hello","version":1})"), "protocol", 1002},  // JSON is for text
      {ws::framed(ws::binary, std::string(5000, '\xa1')), "too_large", 1009},
      {ws::framed(ws::binary, std::string(3000, '\xa1'), false) +
           ws::framed(ws::continuation, std::string(3000, '\xa1'), false),
       "too_large", 1009},
  };
  for (const auto& each : all) {
    ws client(mesh_->ip(0), {.greet = false});
    client.send_raw(each.sent);
    const auto last = client.hear();
    ASSERT_TRUE(last) << each.closed;
    EXPECT_EQ((*last)["type"], "goodbye");
    EXPECT_EQ((*last)["code"], each.code);
    EXPECT_EQ(client.close_code(), each.closed);
  }
  EXPECT_EQ(ended(), std::to_string(std::size(all)));
  expect_alive();
}

TEST_F(sdk_over_websocket, refuses_a_frame_over_the_maximum_with_a_goodbye_before_it_has_all_come) {
  ws client(mesh_->ip(0));
  // Its header says 1 GiB; 5 MiB follow.
  std::string head("\x82\xff\x00\x00\x00\x00\x40\x00\x00\x00", 10);
  client.send_raw(head + std::string(4, '\0') + std::string(5U << 20U, '\xa1'));
  const auto last = client.hear();
  ASSERT_TRUE(last);
  EXPECT_EQ((*last)["code"], "too_large");
  EXPECT_THAT((*last)["text"].get<std::string>(), HasSubstr("at most 4194304"));
  EXPECT_EQ(client.close_code(), 1009U);
  expect_alive();
}

TEST_F(sdk_over_websocket, closes_what_breaks_the_rules_of_websocket) {
  const struct {
    std::string sent;
    unsigned closed;
  } all[] = {
      {ws::framed(ws::binary, "x", true, false), 1002},     // not masked
      {ws::framed(3, "x"), 1002},                           // an opcode that is not used
      {ws::framed(ws::continuation, "x"), 1002},            // of nothing
      {ws::framed(ws::ping, std::string(126, 'x')), 1002},  // too long for a ping
      {ws::framed(ws::ping, "x", false), 1002},             // in fragments
      {std::string("\xc2\x80\0\0\0\0", 6), 1002},           // a reserved bit
      {ws::framed(ws::text, "\xff\xfe"), 1007},             // not UTF-8
      {ws::framed(ws::close, "x"), 1002},                   // half a code
  };
  for (const auto& each : all) {
    ws client(mesh_->ip(0));
    client.send_raw(each.sent);
    EXPECT_EQ(client.close_code(), each.closed) << ::testing::PrintToString(each.sent.substr(0, 8));
    EXPECT_TRUE(client.at_end());
  }
  expect_alive();
}

TEST_F(sdk_over_websocket, refuses_who_asks_for_something_else_and_says_what_is_accepted) {
  EXPECT_EQ(mesh_->ask(0, "GET", "/v1/sdk").status, 426);
  EXPECT_THAT(mesh_->ask(0, "GET", "/v1/sdk").body, HasSubstr("Sec-WebSocket-Protocol: orrery.v1"));
  EXPECT_THAT(mesh_->ask(0, "GET", "/v1/sdk").head, HasSubstr("Upgrade: websocket"));
  EXPECT_EQ(mesh_->ask(0, "POST", "/v1/sdk").status, 405);
  for (const auto* offers :
       {"", "Sec-WebSocket-Protocol: chat\r\n", "Sec-WebSocket-Protocol: orrery.v2, xorrery.v1\r\n"}) {
    ws client(mesh_->ip(0), {.headers = offers});
    EXPECT_THAT(client.head(), HasSubstr("HTTP/1.1 400 ")) << offers;
    EXPECT_THAT(client.body(), HasSubstr("must offer orrery.v1"));
  }
  EXPECT_TRUE(ws(mesh_->ip(0), {.headers = "Sec-WebSocket-Protocol: chat, orrery.v1\r\n"}).accepted());
  ws hasty(mesh_->ip(0), {.more = ws::framed(ws::binary, "x")});
  EXPECT_THAT(hasty.head(), HasSubstr("HTTP/1.1 400 "));
  expect_alive();
}

TEST_F(sdk_over_websocket, answers_a_handshake_of_another_version_or_without_a_key) {
  const std::string begin =
      "GET /v1/sdk HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      "Sec-WebSocket-Protocol: orrery.v1\r\n";
  EXPECT_THAT(
      mesh_->send_raw(0, begin + "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", 1s),
      HasSubstr("HTTP/1.1 426 "));
  EXPECT_THAT(mesh_->send_raw(0, begin + "Sec-WebSocket-Version: 13\r\n\r\n", 1s), HasSubstr("HTTP/1.1 400 "));
  expect_alive();
}

TEST_F(sdk_over_websocket, keeps_pages_of_other_sites_out) {
  for (const auto* foreign :
       {"Origin: https://evil.example\r\n", "Origin: null\r\n", "Origin: http://localhost:3600\r\n",
        "Origin: http://shop.example\r\n", "Host: evil.example:3600\r\n",
        "Host: evil.example\r\nOrigin: https://shop.example\r\n"}) {
    ws client(mesh_->ip(0), {.headers = offering(foreign)});
    EXPECT_THAT(client.head(), HasSubstr("HTTP/1.1 403 ")) << foreign;
    EXPECT_THAT(client.body(), HasSubstr(R"("code":"forbidden")"));
  }
  for (const auto* named :
       {"Origin: https://shop.example\r\n", "Origin: http://localhost:5173\r\nHost: localhost:3600\r\n"}) {
    ws client(mesh_->ip(0), {.headers = offering(named)});
    EXPECT_EQ(client.welcome()["type"], "welcome") << named;
  }
  const auto post = [&](const std::string& headers) {
    return mesh_->send_raw(0,
                           "POST /v1/processes/counter/a/call/add HTTP/1.1\r\nConnection: close\r\n" + headers +
                               "Content-Length: 1\r\n\r\n5",
                           2s);
  };
  EXPECT_THAT(post("Host: 127.0.0.1:3600\r\nOrigin: https://evil.example\r\n"), HasSubstr("HTTP/1.1 403 "));
  EXPECT_THAT(post("Host: evil.example:3600\r\n"), HasSubstr("HTTP/1.1 403 "));
  EXPECT_EQ(mesh_->ask(0, "POST", "/v1/processes/counter/a/call/get").body, "0\n") << "nothing was executed";
  EXPECT_THAT(post("Host: 127.0.0.1:3600\r\n"), HasSubstr("HTTP/1.1 200 "));
}

TEST_F(sdk_over_websocket, counts_among_the_connections_of_the_protocol) {
  std::vector<std::unique_ptr<sdk_client>> all;
  for (int i = 0; i < 256; ++i)
    all.push_back(std::make_unique<sdk_client>("unix:" + mesh_->sdk_socket(0)));
  ws extra(mesh_->ip(0));
  EXPECT_THAT(extra.head(), HasSubstr("HTTP/1.1 429 "));
  EXPECT_THAT(extra.body(), HasSubstr("256 connections are open"));
  all.pop_back();
  EXPECT_TRUE(local_mesh::eventually(5s, [&] { return ws(mesh_->ip(0)).accepted(); }));
}

TEST_F(sdk_over_websocket, ends_with_who_says_no_hello) {
  ws silent(mesh_->ip(0), {.greet = false});
  ASSERT_TRUE(local_mesh::eventually(10s, [&] { return ended() == "1"; }));
  const auto last = silent.hear();
  ASSERT_TRUE(last);
  EXPECT_EQ((*last)["code"], "deadline_exceeded");
  EXPECT_EQ(silent.close_code(), 1008U);
}

TEST_F(sdk_over_websocket, reads_no_more_from_who_does_not_read_and_goes_on_when_that_does) {
  ws slow(mesh_->ip(0), {.holds = 65536});
  for (int i = 1; i <= 60; ++i) {  // 54 MB of replies
    auto call = a_call("big/b" + std::to_string(i), "text", 900'000);
    call["id"] = i;
    slow.say(call);
  }
  const auto started = [&] {
    return json::parse(mesh_->ask(0, "GET", "/v1/processes?class=big").body)["processes"].size();
  };
  ASSERT_TRUE(local_mesh::eventually(10s, [&] { return started() >= 4; }));
  EXPECT_EQ(ws(mesh_->ip(0)).ask(a_call("counter/a", "add", 1))["ok"], 1) << "others are served meanwhile";
  EXPECT_LT(started(), 30U) << "what is over 4 MiB of replies waits to be read";
  std::size_t results = 0;
  while (results < 60 && slow.hear())
    ++results;
  EXPECT_EQ(results, 60U);
  EXPECT_EQ(ended(), "0");
}

TEST_F(sdk_over_websocket, of_a_crowd_that_does_not_read_those_with_most_end_before_memory_does) {
  std::vector<std::unique_ptr<ws>> crowd;
  for (int i = 1; i <= 40; ++i) {  // 5 MB for each, of the 4 MiB and one reply more that may wait
    crowd.push_back(std::make_unique<ws>(mesh_->ip(0), ws::options{.holds = 65536}));
    for (int n = 1; n <= 6; ++n) {
      auto call = a_call("big/one", "text", 900'000);
      call["id"] = n;
      crowd.back()->say(call);
    }
  }
  EXPECT_TRUE(local_mesh::eventually(10s, [&] { return std::stoi(ended()) >= 5; }));
  EXPECT_EQ(ws(mesh_->ip(0)).ask(a_call("counter/a", "add", 1))["ok"], 1) << "others are served meanwhile";
  EXPECT_LT(std::stoi(ended()), 25) << "and no more end than must";
}

}  // namespace
}  // namespace orrery::sidecar
