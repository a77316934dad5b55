// Peers that do not play by the rules, on the mesh port and behind an address that we dial.
#include "mesh/net/net_testing.hpp"

#include <poll.h>
#include <sys/resource.h>

namespace orrery::net::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class hostile : public mesh_test {
 protected:
  void SetUp() override {
    node_ = start(pod("b"), [](transport_options& options) { options.handshake_timeout = 10s; });
  }
  void lose_patience_after_300_ms() {
    node_ = start(pod("b"), [](transport_options& options) { options.handshake_timeout = 300ms; });
  }

  /// What the node says of a peer that writes this in plaintext.
  std::string refusal_of(std::string_view text) {
    raw_peer peer(io_);
    peer.connect(node_->net->port());
    peer.write_plain(text);
    EXPECT_TRUE(until([&] { return peer.turn(); })) << "the connection was not closed";
    EXPECT_TRUE(until([&] { return !node_->refused.empty(); }));
    return node_->last_refusal();
  }

  /// The mesh's credentials for a pod, to be spoilt.
  tls_credentials credentials_of(const mesh_identity& who) {
    issue_to(who, authority_, authority_.certificate_pem);
    return load_credentials(tls_of(who), who, now()).value();
  }

  /// A peer that dials the node with these; runs until the node has refused it or opened the connection.
  std::unique_ptr<raw_peer> dial_with(SSL_CTX& context) {
    auto peer = std::make_unique<raw_peer>(io_);
    peer->connect(node_->net->port());
    peer->secure(context, side::dialler, {pod("a"), {}});
    EXPECT_TRUE(until([&] {
      peer->turn();
      return !node_->refused.empty() || !node_->open.empty();
    }));
    return peer;
  }
  void run_until_failed(raw_peer& peer) {
    EXPECT_TRUE(until([&] { return peer.turn() || peer.failed(); }));
  }
  /// A peer that is let in.
  std::unique_ptr<raw_peer> accepted_peer() {
    credentials_ = credentials_of(pod("a"));
    auto peer = dial_with(*credentials_.context);
    EXPECT_TRUE(until([&] {
      peer->turn();
      return !peer->plain().empty();
    })) << node_->last_refusal();
    return peer;
  }
  std::string why_closed_after(raw_peer& peer, byte_view sent) {
    const auto id = node_->only_connection();
    peer.write(sent);
    EXPECT_TRUE(until([&] {
      peer.turn();
      return node_->closed.contains(id);
    }));
    return node_->why_closed(id);
  }

  std::unique_ptr<node> node_;
  tls_credentials credentials_;
};

TEST_F(hostile, garbage_is_refused_with_its_source) {
  std::string garbage(4096, '\0');
  for (std::size_t i = 0; i < garbage.size(); ++i)
    garbage[i] = static_cast<char>(i * 131 + 7);
  EXPECT_THAT(refusal_of(garbage), AllOf(StartsWith("protocol: 127.0.0.1:"), HasSubstr("not a TLS 1.3 handshake")));
}

TEST_F(hostile, plaintext_http_is_told_from_garbage) {
  EXPECT_THAT(refusal_of("GET /healthz HTTP/1.1\r\nHost: b\r\n\r\n"), HasSubstr("plaintext HTTP on the mesh port"));
}

TEST_F(hostile, a_plaintext_frame_is_refused) {
  EXPECT_THAT(refusal_of(as_text(wire::encode({.type = 1, .payload = bytes(100, 1)}))), HasSubstr("not a TLS 1.3"));
}

TEST_F(hostile, a_silent_connection_ends_with_the_handshake_timeout) {
  lose_patience_after_300_ms();
  EXPECT_THAT(refusal_of(""), AllOf(StartsWith("deadline_exceeded: 127.0.0.1:"),
                                    HasSubstr("the TLS handshake was not finished within 300 ms")));
}

TEST_F(hostile, a_trickling_handshake_ends_with_the_handshake_timeout) {
  lose_patience_after_300_ms();
  EXPECT_THAT(refusal_of("\x16\x03\x01\x02"), HasSubstr("not finished within 300 ms"));
}

TEST_F(hostile, a_peer_that_hangs_up_in_the_handshake_is_reported) {
  {
    raw_peer peer(io_);
    peer.connect(node_->net->port());
    peer.write_plain("\x16\x03\x01");
  }
  ASSERT_TRUE(until([&] { return !node_->refused.empty(); }));
  EXPECT_THAT(node_->last_refusal(), HasSubstr("the peer closed the connection during the TLS handshake"));
}

TEST_F(hostile, a_client_without_a_certificate_is_refused_and_told) {
  const pki::owned<SSL_CTX> context{SSL_CTX_new(TLS_client_method())};
  const auto authorities = pki::parse_certificates(authority_.certificate_pem, "ca");
  X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), authorities->front().get());
  const auto peer = dial_with(*context);
  EXPECT_THAT(node_->last_refusal(),
              AllOf(StartsWith("unauthenticated: "), HasSubstr("the peer showed no certificate")));
  run_until_failed(*peer);
  EXPECT_THAT(peer->failure(), HasSubstr("the peer requires a certificate; none was shown"));
}

TEST_F(hostile, a_client_of_tls_1_2_is_refused) {
  const auto credentials = credentials_of(pod("a"));
  SSL_CTX_set_min_proto_version(credentials.context.get(), TLS1_2_VERSION);
  SSL_CTX_set_max_proto_version(credentials.context.get(), TLS1_2_VERSION);
  const auto peer = dial_with(*credentials.context);
  EXPECT_THAT(node_->last_refusal(), HasSubstr("the peer offers no TLS 1.3, and nothing older is accepted"));
  run_until_failed(*peer);
  EXPECT_THAT(peer->failure(), HasSubstr("the peer speaks no TLS 1.3"));
}

TEST_F(hostile, an_expired_certificate_is_refused_and_its_owner_told) {
  // It was issued long ago, so by an authority that is older still.
  const auto old_authority = pki::make_authority("shop", "cart", now() - 10h, 24h).value();
  write_tls(tls_of(pod("a")), pki::issue(old_authority, pod("a"), now() - 5h, 1h).value(),
            old_authority.certificate_pem);
  write_file(tls_of(pod("b")) + "/ca.crt",
             pki::combine_bundles(authority_.certificate_pem, old_authority.certificate_pem, now()).value());
  ASSERT_TRUE(node_->net->reload_credentials());
  // The raw peer trusts both, so that it is the node who refuses.
  const auto credentials = load_credentials(tls_of(pod("a")), pod("a"), now() - 5h).value();
  const auto authorities = pki::parse_certificates(authority_.certificate_pem, "ca");
  X509_STORE_add_cert(SSL_CTX_get_cert_store(credentials.context.get()), authorities->front().get());

  const auto peer = dial_with(*credentials.context);
  EXPECT_THAT(node_->last_refusal(), HasSubstr("the peer's certificate ('a') is refused: it has expired"));
  run_until_failed(*peer);
  EXPECT_THAT(peer->failure(), HasSubstr("the peer refused our certificate: it has expired"));
  EXPECT_TRUE(node_->open.empty());
}

TEST_F(hostile, pods_of_other_meshes_and_namespaces_are_refused_even_with_the_same_authority) {
  for (const auto& stranger : {mesh_identity{"shop", "other", "a"}, mesh_identity{"other", "cart", "a"}}) {
    node_->refused.clear();
    const auto credentials = credentials_of(stranger);
    const auto peer = dial_with(*credentials.context);
    EXPECT_THAT(node_->last_refusal(),
                AllOf(StartsWith("unauthenticated: 127.0.0.1:"),
                      HasSubstr("the peer is " + to_uri(stranger) + "; accepted are pods of orrery://shop/cart")));
    run_until_failed(*peer);
    EXPECT_THAT(peer->failure(), HasSubstr("the peer refused our certificate's identity"));
  }
  EXPECT_TRUE(node_->open.empty());
}

TEST_F(hostile, a_client_that_wants_to_resume_sessions_is_given_no_ticket) {
  static int tickets;
  tickets = 0;
  credentials_ = credentials_of(pod("a"));
  SSL_CTX* context = credentials_.context.get();
  SSL_CTX_clear_options(context, SSL_OP_NO_TICKET);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT);
  SSL_CTX_sess_set_new_cb(context, [](SSL*, SSL_SESSION*) { return ++tickets, 0; });
  const auto peer = dial_with(*context);
  ASSERT_TRUE(until([&] {
    peer->turn();
    return !peer->plain().empty();  // a ticket would have come before the preface
  }));
  EXPECT_EQ(tickets, 0);
}

TEST_F(hostile, frames_that_do_not_decode_close_the_connection_with_the_reason) {
  EXPECT_THAT(why_closed_after(*accepted_peer(), as_bytes("this is not a frame at all")),
              AllOf(StartsWith("protocol: 127.0.0.1:"), HasSubstr("frame format")));
  auto spoilt = wire::encode({.type = 1, .payload = bytes(10, 1)});
  spoilt.back() ^= 1U;
  EXPECT_THAT(why_closed_after(*accepted_peer(), spoilt), HasSubstr("frame checksum does not match"));
  const bytes huge{0xff, 0xff, 0xff, 0x7f, 1, 0, 1, 0, 0, 0, 0, 0};
  EXPECT_THAT(why_closed_after(*accepted_peer(), huge), StartsWith("too_large: "));
  EXPECT_THAT(why_closed_after(*accepted_peer(), accepting_preface()), HasSubstr("reserved type 65535"));
}

TEST_F(hostile, a_flood_of_silent_connections_displaces_its_oldest_and_keeps_no_peer_out) {
  node_ = start(pod("b"), [](auto& options) {
    options.handshake_timeout = 60s;
    options.handshaking_max = 4;
  });
  std::vector<std::unique_ptr<raw_peer>> flood;
  for (int i = 0; i < 10; ++i) {
    flood.push_back(std::make_unique<raw_peer>(io_));
    flood.back()->connect(node_->net->port());
  }
  ASSERT_TRUE(until([&] { return node_->refused.size() == 6; }));
  EXPECT_THAT(node_->last_refusal(), HasSubstr("the oldest of 4 unfinished handshakes made room"));
  EXPECT_TRUE(until([&] { return flood.front()->turn(); })) << "the oldest is still open";
  EXPECT_FALSE(flood.back()->turn());
  const auto a = start(pod("a"));
  connect(*a, *node_, pod("b"));
}

TEST_F(hostile, a_peer_that_never_reads_cannot_hold_a_closing_connection) {
  node_ = start(pod("b"), [](auto& options) { options.close_timeout = 100ms; });
  const auto peer = accepted_peer();
  const auto id = node_->only_connection();
  for (int i = 0; i < 12; ++i)  // more than the kernel's buffers take
    node_->net->send(id, wire::encode({.type = 1, .payload = bytes(wire::payload_bytes_max)}));
  node_->net->close(id);
  ASSERT_TRUE(until([&] { return node_->net->closing() == 0; }));
  EXPECT_TRUE(node_->closed.empty());
}

TEST_F(hostile, a_shortage_of_descriptors_is_reported_and_outlived) {
  raw_peer peer(io_);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  peer.connect(node_->net->port());
  rlimit none = before;
  none.rlim_cur = 3;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const bool reported = until([&] { return !node_->refused.empty(); });
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_TRUE(reported);
  EXPECT_EQ(node_->last_refusal(), "io: cannot accept connections: Too many open files");
  EXPECT_LE(node_->refused.size(), 2U) << "it retries without a pause";
  const auto a = start(pod("a"));
  connect(*a, *node_, pod("b"));
}

class hostile_server : public hostile {
 protected:
  void dial() {
    node_->net->dial(2, "127.0.0.1:" + std::to_string(listening_.local_endpoint().port()), pod("a"));
    ASSERT_TRUE(until([&] { return connection_waits(); }));
    server_.accept(listening_);
  }
  bool connection_waits() {
    pollfd poll{listening_.native_handle(), POLLIN, 0};
    return ::poll(&poll, 1, 0) == 1;
  }
  void run_until_closed() {
    ASSERT_TRUE(until([&] {
      server_.turn();
      return node_->closed.contains(2);
    }));
    EXPECT_FALSE(node_->dialled.contains(2)) << "opened was misleading";
  }

  tcp::acceptor listening_{io_, {asio::ip::address_v4::loopback(), 0}};
  raw_peer server_{io_};
};

TEST_F(hostile_server, that_answers_in_plaintext_is_refused) {
  dial();
  server_.write_plain("HTTP/1.1 400 Bad Request\r\n\r\n");
  run_until_closed();
  EXPECT_THAT(node_->why_closed(2), AllOf(StartsWith("protocol: "), HasSubstr("not a TLS 1.3 handshake")));
}

TEST_F(hostile_server, that_says_nothing_ends_with_the_handshake_timeout) {
  lose_patience_after_300_ms();
  dial();
  run_until_closed();
  EXPECT_THAT(node_->why_closed(2), HasSubstr("the TLS handshake was not finished within 300 ms"));
}

TEST_F(hostile_server, that_never_accepts_ends_with_the_handshake_timeout) {
  lose_patience_after_300_ms();
  credentials_ = credentials_of(pod("a"));
  dial();
  server_.secure(*credentials_.context, side::acceptor, {pod("a"), {}});
  run_until_closed();
  EXPECT_TRUE(server_.handshaken());
  EXPECT_THAT(node_->why_closed(2), HasSubstr("the peer did not accept the connection within 300 ms"));
}

TEST_F(hostile_server, of_another_version_of_the_transport_is_refused) {
  credentials_ = credentials_of(pod("a"));
  dial();
  server_.secure(*credentials_.context, side::acceptor, {pod("a"), {}});
  ASSERT_TRUE(until([&] {
    server_.turn();
    return server_.handshaken();
  }));
  const auto other = as_bytes("orrery-mesh/2 accepted");
  server_.write(wire::encode({.type = preface_type, .payload = bytes(other.begin(), other.end())}));
  run_until_closed();
  EXPECT_THAT(node_->why_closed(2),
              HasSubstr("another version of the mesh's transport; this node speaks orrery-mesh/1"));
}

TEST_F(hostile_server, that_sends_frames_before_accepting_is_refused) {
  credentials_ = credentials_of(pod("a"));
  dial();
  server_.secure(*credentials_.context, side::acceptor, {pod("a"), {}});
  ASSERT_TRUE(until([&] {
    server_.turn();
    return server_.handshaken();
  }));
  server_.write(wire::encode({.type = 1, .payload = {}}));
  run_until_closed();
  EXPECT_THAT(node_->why_closed(2), HasSubstr("did not begin with a preface"));
}

}  // namespace
}  // namespace orrery::net::testing
