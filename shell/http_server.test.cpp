#include "shell/http_server.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>
#include <utility>

namespace orrery::shell {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;
namespace asio = boost::asio;
using tcp = asio::ip::tcp;

/// A server with short timeouts on its own thread, which echoes "METHOD TARGET BODY". /wait is answered when the test
/// says so; /events is a stream.
class http_server_test : public testing::Test {
 protected:
  void serve(http_server_options options = {}) {
    options.listen_address = "127.0.0.1:0";
    if (options.read_timeout == 10s) options.read_timeout = 300ms;
    options.body_bytes_max = 1U << 20U;
    auto made = http_server::open(io_, options, [this](const http_request& r, const auto& exchange) {
      if (r.target == "/wait") {
        exchange->on_gone([this] { gone_.set_value(); });
        held_ = exchange;
        waiting_.set_value();
        return;
      }
      if (r.target == "/events") {
        exchange->stream();
        exchange->on_gone([this] { gone_.set_value(); });
        held_ = exchange;
        waiting_.set_value();
        return;
      }
      exchange->answer(
          {.status = 200,
           .content_type = "text/plain",
           .body = std::string(r.method) + " " + std::string(r.target) + " " + std::to_string(r.body.size()),
           .headers = {}});
    });
    ASSERT_TRUE(made) << to_string(made.error());
    server_ = *std::move(made);
    thread_ = std::jthread([this] { io_.run(); });
  }
  void TearDown() override {
    asio::post(io_, [this] {
      held_.reset();
      server_.reset();
    });
    work_.reset();
    if (thread_.joinable()) thread_.join();
  }

  tcp::socket connect() {
    tcp::socket socket(client_io_);
    socket.connect({asio::ip::make_address("127.0.0.1"), server_->port()});
    return socket;
  }
  static std::string read_all(tcp::socket& socket) {
    std::string text;
    boost::system::error_code ec;
    asio::read(socket, asio::dynamic_buffer(text), ec);
    return text;
  }
  static std::string read_some(tcp::socket& socket) {
    std::string text(65536, '\0');
    boost::system::error_code ec;
    text.resize(socket.read_some(asio::buffer(text), ec));
    return text;
  }
  std::string exchange(const std::string& request) {
    auto socket = connect();
    boost::system::error_code ec;
    asio::write(socket, asio::buffer(request), ec);
    return read_all(socket);
  }

  asio::io_context io_;
  asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
  asio::io_context client_io_;
  std::unique_ptr<http_server> server_;
  std::jthread thread_;
  std::shared_ptr<http_exchange> held_;
  std::promise<void> waiting_;
  std::promise<void> gone_;
};

TEST_F(http_server_test, keeps_a_connection_open_for_many_requests_and_answers_pipelined_ones_in_order) {
  serve();
  const auto got = exchange(
      "GET /a HTTP/1.1\r\nHost: x\r\n\r\nPOST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
      "GET /c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const auto a = got.find("GET /a 0");
  const auto b = got.find("POST /b 3");
  const auto c = got.find("GET /c 0");
  ASSERT_NE(c, std::string::npos) << got;
  EXPECT_LT(a, b);
  EXPECT_LT(b, c);
}

TEST_F(http_server_test, reads_chunked_bodies) {
  serve();
  EXPECT_THAT(exchange("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
              HasSubstr("POST / 5"));
}

TEST_F(http_server_test, refuses_a_100_MB_body_before_reading_it) {
  serve();
  auto socket = connect();
  asio::write(socket, asio::buffer(std::string("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 104857600\r\n\r\n")));
  EXPECT_THAT(read_some(socket), StartsWith("HTTP/1.1 413 "));
}

TEST_F(http_server_test, refuses_an_endless_chunked_body_at_the_limit) {
  serve();
  auto socket = connect();
  boost::system::error_code ec;
  asio::write(socket, asio::buffer(std::string("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")),
              ec);
  const auto chunk = "10000\r\n" + std::string(65536, 'x') + "\r\n";
  for (int i = 0; i < 64 && !ec; ++i)
    asio::write(socket, asio::buffer(chunk), ec);
  EXPECT_THAT(read_some(socket), StartsWith("HTTP/1.1 413 "));
}

TEST_F(http_server_test, asks_for_the_body_when_the_client_expects_that) {
  serve();
  auto socket = connect();
  asio::write(
      socket,
      asio::buffer(std::string("POST /e HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")));
  EXPECT_EQ(read_some(socket), "HTTP/1.1 100 Continue\r\n\r\n");
  asio::write(socket, asio::buffer(std::string("ok")));
  EXPECT_THAT(read_some(socket), HasSubstr("POST /e 2"));
}

TEST_F(http_server_test, answers_a_trickling_request_with_408) {
  serve();
  auto socket = connect();
  asio::write(socket, asio::buffer(std::string("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nab")));
  EXPECT_THAT(read_all(socket), StartsWith("HTTP/1.1 408 "));
}

TEST_F(http_server_test, answers_garbage_with_400_and_large_headers_with_431) {
  serve();
  EXPECT_THAT(exchange("\x16\x03\x01 hello\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(exchange("GET / HTTP/1.1\r\nA: " + std::string(20'000, 'a')), StartsWith("HTTP/1.1 431 "));
}

TEST_F(http_server_test, tells_the_handler_when_the_client_goes_before_its_answer) {
  serve();
  auto socket = connect();
  asio::write(socket, asio::buffer(std::string("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")));
  waiting_.get_future().wait();
  socket.close();
  EXPECT_EQ(gone_.get_future().wait_for(5s), std::future_status::ready);
}

TEST_F(http_server_test, sends_a_late_answer) {
  serve();
  auto socket = connect();
  asio::write(socket, asio::buffer(std::string("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")));
  waiting_.get_future().wait();
  asio::post(io_, [this] { held_->answer({.status = 200, .content_type = "a/b", .body = "late", .headers = {}}); });
  EXPECT_THAT(read_some(socket), HasSubstr("late"));
}

TEST_F(http_server_test, refuses_connections_over_the_maximum_while_all_are_being_answered) {
  serve({.listen_address = {}, .connections_max = 1});
  auto one = connect();
  asio::write(one, asio::buffer(std::string("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")));
  waiting_.get_future().wait();
  auto two = connect();
  EXPECT_THAT(read_all(two), StartsWith("HTTP/1.1 503 "));
  asio::post(io_, [this] { held_->answer({.status = 200, .content_type = "a/b", .body = "late", .headers = {}}); });
  EXPECT_THAT(read_some(one), HasSubstr("late"));
}

TEST_F(http_server_test, closes_those_that_ask_for_nothing_where_others_need_their_places) {
  serve({.listen_address = {}, .connections_max = 3});
  const auto ask = [](tcp::socket& from) {
    asio::write(from, asio::buffer(std::string("GET /a HTTP/1.1\r\nHost: x\r\n\r\n")));
    return read_some(from);
  };
  auto slow = connect();
  asio::write(slow, asio::buffer(std::string("GET /a HT")));
  auto oldest = connect();
  EXPECT_THAT(ask(oldest), StartsWith("HTTP/1.1 200 "));
  auto newer = connect();
  EXPECT_THAT(ask(newer), StartsWith("HTTP/1.1 200 "));  // so that all three are known by now
  auto next = connect();
  EXPECT_THAT(ask(next), StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(read_all(oldest), "") << "the one that has asked for nothing for longest";
  EXPECT_THAT(ask(newer), StartsWith("HTTP/1.1 200 "));
  asio::write(slow, asio::buffer(std::string("TP/1.1\r\nHost: x\r\n\r\n")));
  EXPECT_THAT(read_some(slow), StartsWith("HTTP/1.1 200 "));
}

TEST_F(http_server_test, refuses_headers_that_leave_open_where_a_request_ends) {
  serve();
  const std::string inner = "POST /inner HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
  const std::vector<std::pair<std::string, std::string>> table{
      {"Host: x\r\nTransfer-Encoding: gzip\r\n", "501"},
      {"Host: x\r\nTransfer-Encoding: identity\r\n", "501"},
      {"Host: x\r\nTransfer-Encoding: xchunked\r\n", "501"},
      {"Host: x\r\nTransfer-Encoding: gzip, chunked\r\n", "400"},
      {"Host: x\r\nExpect: dance\r\nContent-Length: 0\r\n", "417"},
      {"Content-Length: 0\r\n", "400"},
      {"Host: x\r\nHost: y\r\nContent-Length: 0\r\n", "400"}};
  for (const auto& [headers, status] : table) {
    auto socket = connect();
    asio::write(socket, asio::buffer("POST /a HTTP/1.1\r\n" + headers + "\r\n" + inner));
    const auto all = read_all(socket);
    EXPECT_THAT(all, StartsWith("HTTP/1.1 " + status)) << headers;
    EXPECT_EQ(all.find("HTTP/1.1 2"), std::string::npos) << headers << all;
  }
}

TEST_F(http_server_test, bounds_what_unfinished_requests_of_all_connections_hold) {
  serve({.listen_address = {}, .requests_bytes_max = 100'000});
  auto greedy = connect();
  asio::write(greedy,
              asio::buffer("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n" + std::string(80'000, 'x')));
  auto next = connect();
  asio::write(next,
              asio::buffer("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n" + std::string(90'000, 'x')));
  EXPECT_THAT(read_all(next), StartsWith("HTTP/1.1 503 "));
  asio::write(greedy, asio::buffer(std::string(10'000, 'x')));
  EXPECT_THAT(read_some(greedy), StartsWith("HTTP/1.1 200 "));
  auto last = connect();
  asio::write(last,
              asio::buffer("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n" + std::string(90'000, 'x')));
  EXPECT_THAT(read_some(last), StartsWith("HTTP/1.1 200 ")) << "what was held was given back";
}

TEST_F(http_server_test, a_slow_reader_of_a_stream_loses_events_and_is_told_how_many) {
  serve();
  auto socket = connect();
  asio::write(socket, asio::buffer(std::string("GET /events HTTP/1.1\r\nHost: x\r\n\r\n")));
  waiting_.get_future().wait();
  std::promise<void> pushed;
  asio::post(io_, [&] {
    const std::string data(1000, 'x');
    for (int i = 0; i < 20'000; ++i)
      held_->push("big", data);
    pushed.set_value();
  });
  pushed.get_future().wait();
  std::string got;
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (got.find("event: dropped") == std::string::npos && std::chrono::steady_clock::now() < deadline) {
    got += read_some(socket);
    asio::post(io_, [this] { held_->push("small", "{}"); });
  }
  EXPECT_THAT(got, HasSubstr("Content-Type: text/event-stream"));
  EXPECT_THAT(got, HasSubstr("event: dropped\ndata: {\"count\":"));
  EXPECT_LT(got.size(), 20'000'000U);
}

TEST_F(http_server_test, a_stream_is_kept_open_by_comments_and_its_end_is_noticed) {
  serve({.listen_address = {}, .keepalive_interval = 100ms});
  auto socket = connect();
  asio::write(socket, asio::buffer(std::string("GET /events HTTP/1.1\r\nHost: x\r\n\r\n")));
  waiting_.get_future().wait();
  std::string got;
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (std::count(got.begin(), got.end(), ':') < 6 && std::chrono::steady_clock::now() < deadline)
    got += read_some(socket);
  EXPECT_GE(std::count(got.begin(), got.end(), ':'), 5);
  socket.close();
  EXPECT_EQ(gone_.get_future().wait_for(5s), std::future_status::ready);
}

TEST(http_server_open, names_the_address_that_it_cannot_have) {
  asio::io_context io;
  const auto handler = [](const http_request&, const std::shared_ptr<http_exchange>&) {};
  EXPECT_THAT(http_server::open(io, {.listen_address = "localhost"}, handler).error().context, HasSubstr("IP:PORT"));
  auto first = http_server::open(io, {.listen_address = "127.0.0.1:0"}, handler);
  ASSERT_TRUE(first);
  const auto taken = "127.0.0.1:" + std::to_string((*first)->port());
  const auto second = http_server::open(io, {.listen_address = taken}, handler);
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().context, HasSubstr(taken));
}

}  // namespace
}  // namespace orrery::shell
