#pragma once
// Test support of this room: a mesh's certificates on disk, nodes that record what they are told, peers made by hand.
#include "mesh/net/credentials.hpp"
#include "mesh/net/preface.hpp"
#include "mesh/net/session.hpp"
#include "mesh/net/transport.hpp"
#include "mesh/pki/authority.hpp"

#include <utility>
//
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace orrery::net::testing {

namespace asio = boost::asio;
using asio::ip::tcp;
using namespace std::chrono_literals;

inline pki::wall_time now() { return std::chrono::system_clock::now(); }
inline mesh_identity pod(const std::string& name) { return {"shop", "cart", name}; }

/// A directory that goes with the test.
class directory {
 public:
  directory() {
    std::string name = (std::filesystem::temp_directory_path() / "orrery-net-XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    path_ = name;
  }
  directory(const directory&) = delete;
  directory& operator=(const directory&) = delete;
  ~directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] std::string path() const { return path_.string(); }
  [[nodiscard]] std::string sub(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

inline void write_file(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

inline void write_tls(const std::string& to, const pki::credentials& own, const std::string& bundle) {
  write_file(to + "/tls.crt", own.certificate_pem);
  write_file(to + "/tls.key", own.key_pem);
  write_file(to + "/ca.crt", bundle);
}

/// A node of a mesh: a transport and everything it told.
struct node {
  std::unique_ptr<transport> net;
  std::map<std::uint64_t, mesh_identity> open;  // by connection
  std::map<std::uint64_t, bool> dialled;
  std::map<std::uint64_t, std::vector<wire::frame>> received;
  std::map<std::uint64_t, error> closed;
  std::vector<error> refused;
  std::function<void(std::uint64_t)> on_opened = [](std::uint64_t) {};
  std::function<void(std::uint64_t)> on_received = [](std::uint64_t) {};
  std::function<void(std::uint64_t)> on_closed = [](std::uint64_t) {};

  [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(net->port()); }
  [[nodiscard]] std::uint64_t only_connection() const { return open.empty() ? 0 : open.begin()->first; }
  [[nodiscard]] std::string why_closed(std::uint64_t id) const {
    const auto found = closed.find(id);
    return found == closed.end() ? "not closed" : to_string(found->second);
  }
  [[nodiscard]] std::string last_refusal() const {
    return refused.empty() ? "nothing was refused" : to_string(refused.back());
  }
};

class mesh_test : public ::testing::Test {
 protected:
  [[nodiscard]] std::string tls_of(const mesh_identity& who) const {
    return files_.sub(who.name_space + "." + who.mesh + "." + who.pod);
  }
  void issue_to(const mesh_identity& who, const pki::credentials& by, const std::string& bundle) const {
    const auto made = pki::issue(by, who, now(), 1h);
    ASSERT_TRUE(made) << to_string(made.error());
    write_tls(tls_of(who), *made, bundle);
  }

  [[nodiscard]] transport_options options_of(const mesh_identity& who) const {
    return {.listen_address = "127.0.0.1:0", .tls_directory = tls_of(who), .self = who};
  }

  result<std::unique_ptr<transport>> open(node& told, transport_options options) {
    transport_handlers handlers;
    handlers.opened = [&told](std::uint64_t id, mesh_identity peer, bool dialled) {
      told.open.emplace(id, std::move(peer));
      told.dialled[id] = dialled;
      told.on_opened(id);
    };
    handlers.received = [&told](std::uint64_t id, wire::frame frame) {
      told.received[id].push_back(std::move(frame));
      told.on_received(id);
    };
    handlers.closed = [&told](std::uint64_t id, error why) {
      EXPECT_FALSE(told.closed.contains(id)) << "closed twice";
      told.open.erase(id);
      told.closed.emplace(id, std::move(why));
      told.on_closed(id);
    };
    handlers.refused = [&told](error why) { told.refused.push_back(std::move(why)); };
    return transport::open(io_, std::move(options), std::move(handlers));
  }

  /// A node with a certificate of the mesh's authority.
  std::unique_ptr<node> start(const mesh_identity& who, const std::function<void(transport_options&)>& change = {}) {
    if (!std::filesystem::exists(tls_of(who))) issue_to(who, authority_, authority_.certificate_pem);
    auto made = std::make_unique<node>();
    auto options = options_of(who);
    if (change) change(options);
    auto opened = open(*made, std::move(options));
    EXPECT_TRUE(opened) << to_string(opened.error());
    if (opened) made->net = std::move(*opened);
    return made;
  }

  /// Runs the io_context until the condition holds; false after the deadline.
  template <class Condition>
  [[nodiscard]] bool until(Condition holds, std::chrono::seconds at_most = 10s) {
    const auto deadline = std::chrono::steady_clock::now() + at_most;
    while (!holds()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      io_.restart();
      io_.run_one_for(20ms);
    }
    return true;
  }

  /// Two nodes with an open connection: `from` dialled it as 2.
  void connect(node& from, node& to, const mesh_identity& expected) {
    from.net->dial(2, to.address(), expected);
    ASSERT_TRUE(until([&] { return from.open.contains(2) && !to.open.empty(); }))
        << from.why_closed(2) << "; " << to.last_refusal();
  }

  directory files_;
  asio::io_context io_;
  pki::credentials authority_ = pki::make_authority("shop", "cart", now(), 24h).value();
};

/// A peer made by hand, on either end of a socket: garbage, other TLS versions, other certificates.
class raw_peer {
 public:
  explicit raw_peer(asio::io_context& io) : socket_(io) {}

  void connect(std::uint16_t port) {
    socket_.connect({asio::ip::address_v4::loopback(), port});
    socket_.non_blocking(true);
  }
  void accept(tcp::acceptor& from) {
    socket_ = from.accept();
    socket_.non_blocking(true);
  }
  void secure(SSL_CTX& context, side which, peer_rule rule) {
    session_ = session::make(context, which, std::move(rule)).value();
  }
  void write_plain(std::string_view text) { asio::write(socket_, asio::buffer(text.data(), text.size())); }
  void write(byte_view plain) { EXPECT_TRUE(session_->write(plain)); }

  /// One turn: handshakes, reads, writes, as far as that goes without waiting. True once the other end has closed.
  bool turn() {
    if (session_ && !failure_) advance();
    std::array<char, 65536> buffer;
    boost::system::error_code failed;
    const std::size_t count = socket_.read_some(asio::buffer(buffer), failed);
    if (failed == asio::error::would_block) return false;
    if (failed) return true;
    if (!session_) {
      plain_.append(buffer.data(), count);
      return false;
    }
    EXPECT_TRUE(session_->feed(as_bytes({buffer.data(), count})));
    if (!failure_) advance();
    return false;
  }

  [[nodiscard]] bool handshaken() const { return handshaken_; }
  [[nodiscard]] std::string failure() const { return failure_ ? to_string(*failure_) : "no failure"; }
  [[nodiscard]] bool failed() const { return failure_.has_value(); }
  [[nodiscard]] const std::string& plain() const { return plain_; }  // what arrived, decrypted

 private:
  void advance() {
    if (!handshaken_) {
      const auto done = session_->handshake();
      if (!done) failure_ = done.error();
      handshaken_ = done && *done;
    }
    std::array<std::uint8_t, 16384> buffer;
    while (handshaken_ && !failure_) {
      const auto count = session_->read(buffer);
      if (!count) failure_ = count.error();
      if (!count || *count == 0) break;
      plain_.append(as_text(byte_view(buffer).first(*count)));
    }
    bytes wire;
    session_->take_output(wire);
    boost::system::error_code ignored;
    asio::write(socket_, asio::buffer(wire), ignored);
  }

  tcp::socket socket_;
  std::unique_ptr<session> session_;
  std::optional<error> failure_;
  std::string plain_;
  bool handshaken_ = false;
};

}  // namespace orrery::net::testing
