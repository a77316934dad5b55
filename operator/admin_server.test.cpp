#include "operator/admin_server.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <utility>  // before Asio

namespace orrery::op {

namespace {

namespace asio = boost::asio;

std::string talk(std::uint16_t port, const std::string& request) {
  asio::io_context io;
  asio::ip::tcp::socket socket(io);
  socket.connect({asio::ip::make_address("127.0.0.1"), port});
  boost::system::error_code end;
  asio::write(socket, asio::buffer(request), end);  // a server that has heard enough hangs up in the midst of it
  std::string answer;
  asio::read(socket, asio::dynamic_buffer(answer), end);
  return answer;
}

std::string get(std::uint16_t port, const std::string& path) {
  return talk(port, "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
}

class admin : public ::testing::Test {
 protected:
  void SetUp() override {
    auto started = admin_server::start("127.0.0.1:0", {.metrics = [] { return std::string("up 1\n"); },
                                                       .healthy = []() -> result<void> { return {}; },
                                                       .ready = [this]() -> result<void> {
                                                         if (!ready_) return fail(errc::unavailable, "not in sync");
                                                         return {};
                                                       }});
    ASSERT_TRUE(started) << to_string(started.error());
    server_ = std::move(*started);
  }
  std::atomic<bool> ready_{false};
  std::unique_ptr<admin_server> server_;
};

}  // namespace

TEST_F(admin, serves_metrics_health_and_readiness) {
  EXPECT_NE(get(server_->port(), "/metrics").find("up 1\n"), std::string::npos);
  EXPECT_EQ(get(server_->port(), "/healthz").substr(0, 12), "HTTP/1.1 200");
  const auto not_ready = get(server_->port(), "/readyz");
  EXPECT_EQ(not_ready.substr(0, 12), "HTTP/1.1 503");
  EXPECT_NE(not_ready.find("not in sync"), std::string::npos);
  ready_ = true;
  EXPECT_EQ(get(server_->port(), "/readyz?verbose").substr(0, 12), "HTTP/1.1 200");
}

TEST_F(admin, refuses_other_paths_methods_and_garbage) {
  EXPECT_EQ(get(server_->port(), "/secrets").substr(0, 12), "HTTP/1.1 404");
  EXPECT_EQ(talk(server_->port(), "POST /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
                .substr(0, 12),
            "HTTP/1.1 405");
  EXPECT_EQ(talk(server_->port(), "\x16\x03\x01 garbage\r\n\r\n").substr(0, 12), "HTTP/1.1 400");
  EXPECT_EQ(talk(server_->port(), "GET /" + std::string(100'000, 'a')).substr(0, 12), "HTTP/1.1 431");
  EXPECT_EQ(get(server_->port(), "/healthz").substr(0, 12), "HTTP/1.1 200");
}

TEST(admin_address, says_what_is_wrong_with_it) {
  for (const auto* bad : {"", "8080", "localhost:8080", "127.0.0.1:99999", "127.0.0.1:", "[::1]"}) {
    const auto started = admin_server::start(bad, {});
    ASSERT_FALSE(started) << bad;
    EXPECT_EQ(started.error().code, errc::invalid_argument) << bad;
    EXPECT_NE(started.error().context.find("accepted are IP:PORT"), std::string::npos);
  }
}

}  // namespace orrery::op
