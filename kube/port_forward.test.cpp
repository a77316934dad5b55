// Port forwarding against a WebSocket server that plays API server, kubelet and pod: it echoes, or fails as they do.
#include "kube/port_forward.hpp"

#include "kube/testing/waiting.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <atomic>
#include <memory>
#include <mutex>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>  // before Asio: Boost 1.74 forgets it
#include <vector>

namespace orrery::kube {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using tcp = asio::ip::tcp;
using testing::eventually;

/// Speaks v4.channel.k8s.io on loopback, one thread per connection. The name of the pod says how it behaves:
/// echo; refused (an error on channel 1); forbidden (403); garbage (breaks the protocol).
class fake_kubelet {
 public:
  fake_kubelet() : acceptor_(io_, {asio::ip::address_v4::loopback(), 0}), thread_([this] { accept(); }) {}
  ~fake_kubelet() {
    stopping_ = true;
    ::shutdown(acceptor_.native_handle(), SHUT_RDWR);
    thread_.join();
    for (const int each : handles_) {
      ::shutdown(each, SHUT_RDWR);
    }
    sessions_.clear();
    for (const int each : handles_) {
      ::close(each);
    }
  }
  fake_kubelet(const fake_kubelet&) = delete;
  fake_kubelet& operator=(const fake_kubelet&) = delete;

  cluster_config config() const {
    return {.server = "http://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port()) + "/prefix",
            .token = "secret"};
  }
  [[nodiscard]] int open() const { return open_; }              ///< WebSockets that are being served
  [[nodiscard]] int waited_for() const { return waited_for_; }  ///< messages "wait", which are not echoed
  std::vector<std::string> asked() {
    const std::lock_guard lock{mutex_};
    return asked_;
  }

 private:
  void accept() {
    for (;;) {
      beast::error_code wrong;
      tcp::socket peer{io_};
      acceptor_.accept(peer, wrong);
      if (wrong || stopping_) return;
      handles_.push_back(::dup(peer.native_handle()));
      sessions_.emplace_back([this, moved = std::move(peer)]() mutable { serve(std::move(moved)); });
    }
  }

  void serve(tcp::socket peer) {
    beast::error_code wrong;
    beast::flat_buffer buffer;
    beast::http::request<beast::http::empty_body> upgrade;
    beast::http::read(peer, buffer, upgrade, wrong);
    if (wrong) return;
    const std::string target{upgrade.target()};
    {
      const std::lock_guard lock{mutex_};
      asked_.push_back(target + " " + std::string{upgrade["Sec-WebSocket-Protocol"]} + " " +
                       std::string{upgrade["Authorization"]});
    }
    if (target.find("/forbidden/") != std::string::npos) {
      beast::http::response<beast::http::string_body> refusal{beast::http::status::forbidden, 11};
      refusal.body() = R"({"kind": "Status", "reason": "Forbidden", "message": "may not forward"})";
      refusal.prepare_payload();
      beast::http::write(peer, refusal, wrong);
      return;
    }
    websocket::stream<tcp::socket, false> socket{std::move(peer)};
    socket.set_option(websocket::stream_base::decorator(
        [](websocket::response_type& answer) { answer.set("Sec-WebSocket-Protocol", "v4.channel.k8s.io"); }));
    socket.accept(upgrade, wrong);
    socket.binary(true);
    ++open_;
    const std::shared_ptr<void> counted{nullptr, [this](void*) { --open_; }};
    const auto send = [&](std::string message) { socket.write(asio::buffer(message), wrong); };
    using namespace std::string_literals;
    if (target.find("/garbage/") != std::string::npos) return send("\x09nonsense"s);
    send("\x00\x90\x1f"s);
    send("\x01\x90\x1f"s);
    if (target.find("/refused/") != std::string::npos)
      send(
          "\x01"
          "connection refused in the pod"s);
    for (beast::flat_buffer message; !wrong; message.consume(message.size())) {
      socket.read(message, wrong);
      if (wrong) return;
      const std::string text{static_cast<const char*>(message.cdata().data()), message.size()};
      if (text == "\0wait"s) {
        ++waited_for_;
        continue;
      }
      if (text == "\0where"s) {
        send("\0"s + target);
        continue;
      }
      if (text == "\0bye"s) return socket.close(websocket::close_code::normal, wrong);
      send(text);
    }
  }

  asio::io_context io_;
  tcp::acceptor acceptor_;
  std::atomic<bool> stopping_{false};
  std::atomic<int> open_{0};
  std::atomic<int> waited_for_{0};
  std::mutex mutex_;
  std::vector<std::string> asked_;
  std::vector<int> handles_;
  std::vector<std::jthread> sessions_;
  std::thread thread_;  // last: what it uses is there before it
};

/// A plain connection to a forwarded port.
class local_client {
 public:
  explicit local_client(std::uint16_t port) : socket_(io_) {
    socket_.connect({asio::ip::address_v4::loopback(), port}, wrong_);
    const timeval limit{.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  void write(const std::string& text) { asio::write(socket_, asio::buffer(text), wrong_); }
  /// Exactly that many bytes, or fewer if the connection ended.
  std::string read(std::size_t count) {
    std::string text(count, '\0');
    std::size_t got = 0;
    while (got < count) {
      const auto more = ::recv(socket_.native_handle(), text.data() + got, count - got, 0);
      if (more <= 0) break;
      got += static_cast<std::size_t>(more);
    }
    text.resize(got);
    return text;
  }

 private:
  asio::io_context io_;
  tcp::socket socket_;
  beast::error_code wrong_;
};

TEST(port_forward, relays_both_ways_for_several_connections_at_a_time) {
  fake_kubelet kubelet;
  const auto forward = port_forward::open(kubelet.config(), {.pod = {"ns", "echo"}, .pod_port = 8080});
  ASSERT_TRUE(forward) << to_string(forward.error());
  local_client one{(*forward)->local_port()};
  local_client two{(*forward)->local_port()};
  one.write("first");
  two.write("second");
  EXPECT_EQ(two.read(6), "second");
  EXPECT_EQ(one.read(5), "first");
  const std::string large(1 << 20, 'x');
  std::jthread writer{[&] { one.write(large); }};
  EXPECT_EQ(one.read(large.size()), large);
  EXPECT_EQ(kubelet.asked().at(0),
            "/prefix/api/v1/namespaces/ns/pods/echo/portforward?ports=8080 v4.channel.k8s.io Bearer secret");
}

TEST(port_forward, the_pods_end_of_a_connection_is_ours) {
  fake_kubelet kubelet;
  const auto forward = port_forward::open(kubelet.config(), {.pod = {"ns", "echo"}, .pod_port = 8080});
  ASSERT_TRUE(forward);
  local_client local{(*forward)->local_port()};
  local.write("bye");
  EXPECT_EQ(local.read(1), "");
}

const std::string other_pod = "/prefix/api/v1/namespaces/ns/pods/other/portforward?ports=81";

TEST(port_forward, goes_to_another_pod_at_the_same_port_and_what_waits_for_an_answer_has_it_first) {
  fake_kubelet kubelet;
  const auto forward = port_forward::open(kubelet.config(), {.pod = {"ns", "echo"}, .pod_port = 8080});
  ASSERT_TRUE(forward);
  const auto port = (*forward)->local_port();
  local_client rests{port};
  rests.write("here");
  ASSERT_EQ(rests.read(4), "here");
  local_client waits{port};
  waits.write("wait");
  ASSERT_TRUE(eventually([&] { return kubelet.waited_for() == 1; }));
  (*forward)->redirect({"ns", "other"}, 81);
  EXPECT_EQ(rests.read(1), "") << "so that its client comes anew";
  local_client later{port};
  later.write("where");
  EXPECT_EQ(later.read(other_pod.size()), other_pod);
  EXPECT_EQ((*forward)->local_port(), port);
  waits.write("the answer");
  EXPECT_EQ(waits.read(10), "the answer");
  EXPECT_EQ(waits.read(1), "");
  later.write("goes on");
  EXPECT_EQ(later.read(7), "goes on");
}

TEST(port_forward, connections_to_a_pod_that_is_no_more_wait_for_nothing) {
  fake_kubelet kubelet;
  const auto forward = port_forward::open(kubelet.config(), {.pod = {"ns", "echo"}, .pod_port = 8080});
  ASSERT_TRUE(forward);
  local_client earlier{(*forward)->local_port()};
  earlier.write("wait");
  ASSERT_TRUE(eventually([&] { return kubelet.waited_for() == 1; }));
  (*forward)->redirect({"ns", "other"}, 81);
  (*forward)->drop_earlier();
  EXPECT_EQ(earlier.read(1), "");
}

TEST(port_forward, a_client_that_left_is_let_go_though_its_server_does_not_know) {
  fake_kubelet kubelet;
  const auto forward = port_forward::open(
      kubelet.config(), {.pod = {"ns", "echo"}, .pod_port = 8080, .linger = std::chrono::milliseconds{20}});
  ASSERT_TRUE(forward);
  ASSERT_TRUE(eventually([&] { return kubelet.open() == 0; })) << "the first was a probe";
  {
    local_client local{(*forward)->local_port()};
    local.write("x");
    ASSERT_EQ(local.read(1), "x");
    EXPECT_EQ(kubelet.open(), 1);
  }
  EXPECT_TRUE(eventually([&] { return kubelet.open() == 0; }));
}

TEST(port_forward, clients_that_left_take_no_place_from_those_that_come) {
  fake_kubelet kubelet;
  const auto forward = port_forward::open(
      kubelet.config(), {.pod = {"ns", "echo"}, .pod_port = 8080, .linger = std::chrono::minutes{10}});
  ASSERT_TRUE(forward);
  local_client stays{(*forward)->local_port()};
  for (int i = 0; i < 300; ++i) {
    local_client local{(*forward)->local_port()};
    local.write("x");
    ASSERT_EQ(local.read(1), "x") << i << " " << (*forward)->last_error();
  }
  stays.write("here");
  EXPECT_EQ(stays.read(4), "here");
}

TEST(port_forward, a_refusal_is_an_error_at_once_with_the_servers_words) {
  fake_kubelet kubelet;
  const auto refused = port_forward::open(kubelet.config(), {.pod = {"ns", "forbidden"}, .pod_port = 8080});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::forbidden);
  EXPECT_NE(refused.error().context.find("may not forward"), std::string::npos) << refused.error().context;
}

TEST(port_forward, a_port_that_nobody_listens_on_is_told) {
  fake_kubelet kubelet;
  const auto forward = port_forward::open(kubelet.config(), {.pod = {"ns", "refused"}, .pod_port = 8080});
  ASSERT_TRUE(forward);
  local_client local{(*forward)->local_port()};
  EXPECT_EQ(local.read(1), "");
  EXPECT_TRUE(eventually([&] { return (*forward)->last_error() == "connection refused in the pod"; }));
}

TEST(port_forward, a_server_that_breaks_the_protocol_costs_that_connection_only) {
  fake_kubelet kubelet;
  const auto forward = port_forward::open(kubelet.config(), {.pod = {"ns", "garbage"}, .pod_port = 8080});
  ASSERT_TRUE(forward);
  for (int i = 0; i < 3; ++i) {
    local_client local{(*forward)->local_port()};
    EXPECT_EQ(local.read(1), "");
  }
}

TEST(port_forward, an_address_in_use_and_a_server_that_is_not_there_are_told_apart) {
  fake_kubelet kubelet;
  const auto forward = port_forward::open(kubelet.config(), {.pod = {"ns", "echo"}, .pod_port = 8080});
  ASSERT_TRUE(forward);
  const auto taken = port_forward::open(
      kubelet.config(), {.pod = {"ns", "echo"}, .pod_port = 8080, .local_port = (*forward)->local_port()});
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, errc::io);
  const auto nowhere = port_forward::open({.server = "http://127.0.0.1:1"}, {.pod = {"ns", "echo"}, .pod_port = 8080});
  ASSERT_FALSE(nowhere);
  EXPECT_EQ(nowhere.error().code, errc::unavailable);
}

}  // namespace
}  // namespace orrery::kube
