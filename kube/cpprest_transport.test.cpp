// Each of the library's traps, shown to be out of reach. The list is at the top of cpprest_transport.cpp.
#include "kube/cpprest_transport.hpp"

#include "kube/client.hpp"
#include "kube/testing/fake_server.hpp"
#include "kube/testing/waiting.hpp"

#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <pplx/threadpool.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>
#include <vector>

namespace orrery::kube {
namespace {

using clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::eventually;
using testing::fake_connection;
using testing::fake_request;
using testing::fake_server;

request get(const std::string& path = "/x") { return {.what = verb::get, .method = "GET", .path = path}; }
request post(const std::string& body = "{}") {
  return {.what = verb::create,
          .method = "POST",
          .path = "/x",
          .content_type = "application/json",
          .body = body,
          .plural = {},
          .send_once = true};
}
request put() {
  return {.what = verb::replace, .method = "PUT", .path = "/x", .content_type = "application/json", .body = "{}"};
}

std::unique_ptr<transport> to(const cluster_config& config) {
  auto made = make_cpprest_transport(config, "orrery-test");
  EXPECT_TRUE(made) << to_string(made.error());
  return std::move(*made);
}
std::unique_ptr<transport> to(const fake_server& server) { return to(cluster_config{.server = server.url()}); }

std::size_t own_threads() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& each : std::filesystem::directory_iterator{"/proc/self/task"}) {
    ++count;
  }
  return count;
}

TEST(cpprest_transport, carries_method_path_headers_and_body) {
  fake_server server{[](const fake_request&, fake_connection& at) { at.answer(201, R"({"a":1})"); }};
  const auto carrier = to(cluster_config{.server = server.url() + "/prefix", .token = "secret"});
  const auto answer = carrier->send(post("{\"b\":2}"), {});
  ASSERT_TRUE(answer) << to_string(answer.error());
  EXPECT_EQ(answer->status, 201);
  EXPECT_EQ(answer->body, R"({"a":1})");
  const auto seen = server.requests().at(0);
  EXPECT_EQ(seen.method, "POST");
  EXPECT_EQ(seen.path, "/prefix/x");
  EXPECT_EQ(seen.body, "{\"b\":2}");
  EXPECT_EQ(seen.headers.at("content-type"), "application/json");
  EXPECT_EQ(seen.headers.at("authorization"), "Bearer secret");
  EXPECT_EQ(seen.headers.at("user-agent"), "orrery-test");
}

TEST(cpprest_transport, encoded_paths_arrive_as_they_were_sent) {
  fake_server server{[](const fake_request&, fake_connection& at) { at.answer(200, "{}"); }};
  const auto what =
      requests::list(resources::pods, "ns", {.label_selector = "a/b=c,d in (e f)", .continue_token = "+&=?"});
  ASSERT_TRUE(to(server)->send(what, {}));
  EXPECT_EQ(server.requests().at(0).path, what.path);
}

TEST(cpprest_transport, tells_retry_after_and_does_not_follow_redirects) {
  fake_server server{[](const fake_request& asked, fake_connection& at) {
    if (asked.path == "/busy") return at.answer(429, "", "Retry-After: 7\r\n");
    at.answer(302, "", "Location: /elsewhere\r\n");
  }};
  const auto carrier = to(server);
  EXPECT_EQ(carrier->send(get("/busy"), {})->retry_after, seconds{7});
  EXPECT_EQ(carrier->send(get("/moved"), {})->status, 302);
  EXPECT_EQ(server.requests().size(), 2U);
}

TEST(cpprest_transport, keeps_connections_and_uses_few_threads) {
  fake_server server{[](const fake_request&, fake_connection& at) { at.answer(200, "{}"); }};
  const auto carrier = to(server);
  // The library puts a connection back some time after the answer: a request that comes before opens one more, and
  // from then on there is one to spare.
  int without_a_new_one = 0;
  for (int asked = 0; without_a_new_one < 20; ++asked) {
    ASSERT_LT(asked, 200) << server.connections() << " connections";
    const auto before = server.connections();
    ASSERT_TRUE(carrier->send(get(), {}));
    without_a_new_one = server.connections() == before ? without_a_new_one + 1 : 0;
  }
  // Ours, the server's acceptor and one for each connection, the library's four and its resolver's one, and two that
  // may be at their end; by default it would be 40 more.
  EXPECT_LE(own_threads(), 9U + server.connections());
}

TEST(cpprest_transport, a_silent_server_costs_the_timeout_and_no_more) {
  fake_server server{[&server](const fake_request&, fake_connection& at) {
    while (!server.stopping() && !at.peer_left()) {
    }
  }};
  const auto carrier = to(server);
  const auto started = clock::now();
  const auto answer = carrier->send(put(), {.timeout = milliseconds{100}});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, errc::deadline_exceeded) << to_string(answer.error());
  EXPECT_EQ(answer.error().effect, took_effect::unknown);
  EXPECT_LT(clock::now() - started, seconds{5});
  EXPECT_EQ(carrier->send(get(), {.timeout = milliseconds{50}}).error().effect, took_effect::not_executed);
}

TEST(cpprest_transport, a_body_that_trickles_in_costs_the_timeout_and_no_more) {
  fake_server server{[&server](const fake_request&, fake_connection& at) {
    at.begin_chunks();
    while (!server.stopping() && at.chunk("x") && !at.peer_left()) {
    }
  }};
  const auto answer = to(server)->send(get(), {.timeout = milliseconds{200}});
  EXPECT_EQ(answer.error().code, errc::deadline_exceeded);
}

TEST(cpprest_transport, a_call_is_given_up_from_another_thread_at_once) {
  std::atomic<bool> arrived{false};
  fake_server server{[&](const fake_request&, fake_connection& at) {
    arrived = true;
    while (!server.stopping() && !at.peer_left()) {
    }
  }};
  const auto carrier = to(server);
  std::stop_source stop;
  auto call = std::async(std::launch::async,
                         [&] { return carrier->send(get(), {.timeout = seconds{60}, .stop = stop.get_token()}); });
  ASSERT_TRUE(eventually([&] { return arrived.load(); }));
  const auto started = clock::now();
  stop.request_stop();
  EXPECT_EQ(call.get().error().code, errc::cancelled);
  EXPECT_LT(clock::now() - started, seconds{2});
}

TEST(cpprest_transport, a_server_that_is_not_there_has_executed_nothing) {
  std::uint16_t port = 0;
  {
    const fake_server gone{[](const fake_request&, fake_connection&) {}};
    port = gone.port();
  }
  const auto answer = to(cluster_config{.server = "http://127.0.0.1:" + std::to_string(port)})->send(post(), {});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, errc::unavailable);
  EXPECT_EQ(answer.error().effect, took_effect::not_executed);
  EXPECT_NE(answer.error().context.find(std::to_string(port)), std::string::npos) << answer.error().context;
}

TEST(cpprest_transport, addresses_that_cannot_work_are_refused_with_what_would) {
  const auto ipv6 = make_cpprest_transport({.server = "https://[fd00::1]:6443"}, "test");
  ASSERT_FALSE(ipv6);
  EXPECT_NE(ipv6.error().context.find("a name that resolves to it"), std::string::npos) << ipv6.error().context;
  for (const char* wrong : {"", "10.0.0.1:6443", "ftp://x", "https://a b"}) {
    const auto made = make_cpprest_transport({.server = wrong}, "test");
    ASSERT_FALSE(made) << wrong;
    EXPECT_EQ(made.error().code, errc::invalid_argument) << wrong;
  }
}

TEST(cpprest_transport, a_read_on_a_kept_connection_that_died_is_sent_again) {
  fake_server server{[](const fake_request& asked, fake_connection& at) {
    if (asked.path == "/second" && asked.connection == 1) return at.drop();
    at.answer(200, "{}");
  }};
  const auto carrier = to(server);
  ASSERT_TRUE(carrier->send(get("/first"), {}));
  EXPECT_TRUE(carrier->send(get("/second"), {}));
}

TEST(cpprest_transport, a_create_is_never_sent_twice) {
  // A server that keeps the connection although asked to close it, and closes it when the next create has arrived:
  // what made the library send again.
  fake_server server{[](const fake_request& asked, fake_connection& at) {
    at.keep_against_the_rules();
    if (asked.body == "second") return at.drop();
    at.answer(201, "{}");
  }};
  const auto carrier = to(server);
  ASSERT_TRUE(carrier->send(post("first"), {}));
  const auto answer = carrier->send(post("second"), {});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, errc::unavailable) << to_string(answer.error());
  EXPECT_EQ(answer.error().effect, took_effect::unknown);
  EXPECT_EQ(server.count("POST"), 2U);
}

TEST(cpprest_transport, creates_have_connections_of_their_own) {
  fake_server server{[](const fake_request&, fake_connection& at) { at.answer(200, "{}", ""); }};
  const auto carrier = to(server);
  ASSERT_TRUE(carrier->send(get(), {}));
  ASSERT_TRUE(carrier->send(post(), {}));
  const auto seen = server.requests();
  EXPECT_NE(seen.at(0).connection, seen.at(1).connection);
  EXPECT_NE(seen.at(1).headers.at("connection").find("close"), std::string::npos);
}

TEST(cpprest_transport, an_answer_over_the_maximum_is_refused) {
  const std::string megabyte(std::size_t{1} << 20, 'x');
  fake_server server{[&](const fake_request&, fake_connection& at) {
    at.begin_chunks();
    while (!server.stopping() && at.chunk(megabyte)) {
    }
  }};
  const auto answer = to(server)->send(get(), {.timeout = seconds{60}});
  EXPECT_EQ(answer.error().code, errc::too_large);
}

TEST(cpprest_transport, a_stream_delivers_chunks_as_they_come) {
  std::atomic<int> delivered{0};
  fake_server server{[&](const fake_request&, fake_connection& at) {
    at.begin_chunks();
    for (int i = 1; i <= 3; ++i) {
      at.chunk("chunk");  // the next is only sent when this one has arrived
      if (!eventually([&] { return delivered >= i; })) return at.drop();
    }
    at.end_chunks();
  }};
  const auto answer = to(server)->stream(get(), {}, [&](std::string_view bytes) {
    if (!bytes.empty()) ++delivered;
    return true;
  });
  ASSERT_TRUE(answer) << to_string(answer.error());
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(delivered, 3);
}

TEST(cpprest_transport, a_refused_stream_comes_back_whole) {
  fake_server server{[](const fake_request&, fake_connection& at) { at.answer(410, "gone"); }};
  const auto answer =
      to(server)->stream(get(), {}, [](std::string_view) -> bool { throw std::logic_error{"no stream"}; });
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 410);
  EXPECT_EQ(answer->body, "gone");
}

TEST(cpprest_transport, a_stream_ends_by_silence_by_stop_by_its_handler_and_by_the_server_dropping_it) {
  fake_server server{[&server](const fake_request& asked, fake_connection& at) {
    at.begin_chunks();
    at.chunk("x");
    if (asked.path == "/drop") return at.drop();
    while (!server.stopping() && !at.peer_left()) {
    }
  }};
  const auto carrier = to(server);
  const auto all = [](std::string_view) { return true; };
  EXPECT_EQ(carrier->stream(get(), {.idle_timeout = milliseconds{50}}, all).error().code, errc::deadline_exceeded);
  EXPECT_EQ(carrier->stream(get("/drop"), {}, all).error().code, errc::unavailable);
  EXPECT_TRUE(carrier->stream(get(), {}, [](std::string_view bytes) { return bytes.empty(); }));
  std::stop_source stop;
  const auto stopped = carrier->stream(get(), {.stop = stop.get_token()}, [&](std::string_view) {
    stop.request_stop();
    return true;
  });
  EXPECT_EQ(stopped.error().code, errc::cancelled);
}

TEST(cpprest_transport, a_slow_reader_slows_the_server_down_instead_of_filling_memory) {
  constexpr std::size_t offered = std::size_t{64} << 20;
  const std::string block(std::size_t{64} << 10, 'x');
  std::atomic<std::size_t> sent{0};
  fake_server server{[&](const fake_request&, fake_connection& at) {
    at.begin_chunks();
    while (sent < offered && at.chunk(block)) {
      sent += block.size();
    }
    at.end_chunks();
  }};
  std::size_t received = 0;
  bool held = false;
  const auto answer = to(server)->stream(get(), {}, [&](std::string_view bytes) {
    received += bytes.size();
    if (!bytes.empty() && !held) {
      held = true;  // until the server can write no more: its count stands still
      std::size_t before = 0;
      EXPECT_TRUE(eventually([&] {
        const auto now = sent.load();
        std::this_thread::sleep_for(milliseconds{50});
        return now == sent && now == std::exchange(before, now);
      }));
      EXPECT_LT(sent, offered / 2) << "sockets hold a few MiB, the exchange 256 KiB";
    }
    return true;
  });
  ASSERT_TRUE(answer) << to_string(answer.error());
  EXPECT_EQ(received, offered) << "and nothing is lost";
}

TEST(cpprest_transport, can_be_destroyed_while_the_library_still_works_for_it) {
  fake_server server{[&server](const fake_request&, fake_connection& at) {
    while (!server.stopping() && !at.peer_left()) {
    }
  }};
  for (int i = 0; i < 20; ++i) {
    EXPECT_FALSE(to(server)->send(get(), {.timeout = milliseconds{2}}));
  }
}

// A process that ends soon after its last request, as `orrery attach -- COMMAND` does, has the library still at work.
TEST(cpprest_transport, its_threads_have_openssl_until_they_end) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // a process of its own, in which nothing has used either before
  EXPECT_EXIT(
      {
        initialize();
        SSL_CTX_free(SSL_CTX_new(TLS_client_method()));
        crossplat::threadpool::shared_instance().service().post([] {
          std::this_thread::sleep_for(milliseconds{100});  // the main thread is in exit() meanwhile
          auto* const made = SSL_CTX_new(TLS_client_method());
          if (made == nullptr) std::_Exit(3);
          SSL_CTX_free(made);
        });
        std::exit(0);  // NOLINT(concurrency-mt-unsafe): what is tested
      },
      ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace orrery::kube
