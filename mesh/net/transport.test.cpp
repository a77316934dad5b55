#include "mesh/net/transport.hpp"

#include "mesh/net/net_testing.hpp"

namespace orrery::net::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class transports : public mesh_test {};

bytes frame_of(std::uint16_t type, std::size_t size = 10) {
  return wire::encode({.type = type, .payload = bytes(size, static_cast<std::uint8_t>(type))});
}

TEST_F(transports, open_a_connection_on_both_sides_with_the_peers_identity) {
  const auto a = start(pod("a"));
  const auto b = start(pod("b"));
  connect(*a, *b, pod("b"));
  EXPECT_EQ(a->open.at(2), pod("b"));
  EXPECT_TRUE(a->dialled.at(2));
  EXPECT_EQ(b->open.at(1), pod("a"));
  EXPECT_FALSE(b->dialled.at(1));
  EXPECT_TRUE(b->refused.empty());
}

TEST_F(transports, carry_frames_both_ways_in_order) {
  const auto a = start(pod("a"));
  const auto b = start(pod("b"));
  connect(*a, *b, pod("b"));
  constexpr std::uint16_t count = 5000;
  for (std::uint16_t i = 0; i < count; ++i) {
    a->net->send(2, frame_of(i, i % 300U));
    b->net->send(1, frame_of(i, 0));
  }
  ASSERT_TRUE(until([&] { return b->received[1].size() == count && a->received[2].size() == count; }));
  for (std::uint16_t i = 0; i < count; ++i) {
    ASSERT_EQ(b->received[1][i].type, i);
    ASSERT_EQ(b->received[1][i].payload.size(), i % 300U);
    ASSERT_EQ(a->received[2][i].type, i);
  }
}

TEST_F(transports, carry_the_largest_frames) {
  const auto a = start(pod("a"));
  const auto b = start(pod("b"));
  connect(*a, *b, pod("b"));
  for (std::uint16_t i = 0; i < 3; ++i)
    a->net->send(2, frame_of(i, wire::payload_bytes_max));
  ASSERT_TRUE(until([&] { return b->received[1].size() == 3; }));
  EXPECT_EQ(b->received[1][2].payload, bytes(wire::payload_bytes_max, 2));
}

TEST_F(transports, may_send_from_within_opened) {
  const auto a = start(pod("a"));
  const auto b = start(pod("b"));
  a->on_opened = [&](std::uint64_t id) { a->net->send(id, frame_of(1)); };
  b->on_opened = [&](std::uint64_t id) { b->net->send(id, frame_of(2)); };
  connect(*a, *b, pod("b"));
  ASSERT_TRUE(until([&] { return b->received[1].size() == 1 && a->received[2].size() == 1; }));
}

TEST_F(transports, say_why_a_dial_failed) {
  const auto a = start(pod("a"));
  std::string nobody;
  {
    tcp::acceptor taken(io_, {asio::ip::address_v4::loopback(), 0});
    nobody = "127.0.0.1:" + std::to_string(taken.local_endpoint().port());
  }
  a->net->dial(2, nobody, pod("b"));
  EXPECT_TRUE(a->closed.empty()) << "told from within dial()";
  ASSERT_TRUE(until([&] { return !a->closed.empty(); }));
  EXPECT_EQ(a->why_closed(2), "unavailable: " + nobody + ": cannot connect: Connection refused");

  for (const std::string address : {"", "b", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:99999", "::1:5"}) {
    a->closed.clear();
    a->net->dial(4, address, pod("b"));
    ASSERT_TRUE(until([&] { return !a->closed.empty(); }));
    EXPECT_THAT(a->why_closed(4), AllOf(HasSubstr("invalid_argument: '" + address + "'"), HasSubstr("accepted are IP:PORT")));
  }
}

TEST_F(transports, are_silent_about_a_dial_that_was_closed) {
  const auto a = start(pod("a"));
  const auto b = start(pod("b"));
  a->net->dial(2, "nonsense", pod("b"));
  a->net->close(2);
  a->net->dial(4, b->address(), pod("b"));
  a->net->close(4);
  a->net->dial(6, b->address(), pod("b"));
  ASSERT_TRUE(until([&] { return a->open.contains(6); }));
  EXPECT_TRUE(a->closed.empty());
}

TEST_F(transports, refuse_another_pod_than_the_expected_before_it_sees_anything) {
  const auto a = start(pod("a"));
  const auto b = start(pod("b"));
  a->net->dial(2, b->address(), pod("c"));
  ASSERT_TRUE(until([&] { return !a->closed.empty() && !b->refused.empty(); }));
  EXPECT_EQ(a->why_closed(2),
            "unauthenticated: " + b->address() + ": the peer is orrery://shop/cart/b; expected orrery://shop/cart/c");
  EXPECT_THAT(b->last_refusal(), HasSubstr("the peer refused our certificate's identity"));
  EXPECT_TRUE(b->open.empty());
  EXPECT_TRUE(b->closed.empty());
}

TEST_F(transports, refuse_to_dial_into_another_mesh_even_of_the_same_authority) {
  const auto b = start(pod("b"));
  const auto a = start({"shop", "other", "a"});
  a->net->dial(2, b->address(), pod("b"));
  ASSERT_TRUE(until([&] { return !a->closed.empty() && !b->refused.empty(); }));
  EXPECT_THAT(a->why_closed(2),
              HasSubstr("the peer is orrery://shop/cart/b; accepted are pods of orrery://shop/other"));
  EXPECT_FALSE(a->dialled.contains(2)) << "opened was misleading";
}

TEST_F(transports, refuse_peers_of_another_authority_and_tell_them) {
  const auto b = start(pod("b"));
  const auto other = pki::make_authority("shop", "cart", now(), 1h).value();
  // The stranger trusts us, so that it is we who must refuse.
  issue_to(pod("a"), other, pki::combine_bundles(other.certificate_pem, authority_.certificate_pem, now()).value());
  const auto a = start(pod("a"));
  a->net->dial(2, b->address(), pod("b"));
  ASSERT_TRUE(until([&] { return !a->closed.empty() && !b->refused.empty(); }));
  EXPECT_THAT(b->last_refusal(),
              HasSubstr("the peer's certificate ('a') is refused: no authority in our ca.crt signed it"));
  EXPECT_THAT(a->why_closed(2), HasSubstr("the peer refused our certificate: none of its authorities signed it"));
  EXPECT_FALSE(a->dialled.contains(2)) << "opened was misleading";

  b->net->dial(2, a->address(), pod("a"));
  ASSERT_TRUE(until([&] { return !b->closed.empty() && !a->refused.empty(); }));
  EXPECT_THAT(b->why_closed(2), HasSubstr("no authority in our ca.crt signed it"));
  EXPECT_THAT(a->last_refusal(), HasSubstr("the peer refused our certificate: none of its authorities signed it"));
}

TEST_F(transports, reload_credentials_for_new_connections_and_keep_open_ones) {
  const auto a = start(pod("a"));
  const auto b = start(pod("b"));
  connect(*a, *b, pod("b"));
  const auto expires_before = b->net->certificate_expires_at();

  const auto next = pki::make_authority("shop", "cart", now(), 48h).value();
  const auto both = pki::combine_bundles(next.certificate_pem, authority_.certificate_pem, now()).value();
  write_tls(tls_of(pod("b")), pki::issue(next, pod("b"), now(), 2h).value(), both);
  ASSERT_TRUE(b->net->reload_credentials());
  EXPECT_GT(b->net->certificate_expires_at(), expires_before + 3000);

  a->net->send(2, frame_of(1));
  ASSERT_TRUE(until([&] { return b->received[1].size() == 1; }));
  a->net->dial(4, b->address(), pod("b"));
  ASSERT_TRUE(until([&] { return a->closed.contains(4); }));
  EXPECT_THAT(a->why_closed(4), HasSubstr("no authority in our ca.crt signed it"));

  write_file(tls_of(pod("a")) + "/ca.crt", both);
  ASSERT_TRUE(a->net->reload_credentials());
  a->net->dial(6, b->address(), pod("b"));
  ASSERT_TRUE(until([&] { return a->open.contains(6); }));
  EXPECT_TRUE(a->open.contains(2));
}

TEST_F(transports, go_on_with_the_old_credentials_when_the_new_ones_are_broken) {
  const auto a = start(pod("a"));
  const auto b = start(pod("b"));
  write_file(tls_of(pod("b")) + "/tls.key", "torn");
  const auto reloaded = b->net->reload_credentials();
  ASSERT_FALSE(reloaded);
  EXPECT_THAT(reloaded.error().context, HasSubstr("tls.key is not an unencrypted PEM private key"));
  connect(*a, *b, pod("b"));
}

TEST_F(transports, report_that_their_own_certificate_has_expired) {
  const auto b = start(pod("b"));
  write_tls(tls_of(pod("a")), pki::issue(authority_, pod("a"), now(), 3s).value(), authority_.certificate_pem);
  const auto a = start(pod("a"));
  std::uint64_t id = 0;
  ASSERT_TRUE(until([&] {
    a->net->dial(id += 2, b->address(), pod("b"));
    return until([&] { return a->closed.contains(id) || a->open.contains(id); }) && a->closed.contains(id) &&
           a->why_closed(id).find("our own certificate") != std::string::npos;
  }));
  EXPECT_THAT(a->why_closed(id), HasSubstr("unauthenticated: our own certificate: the certificate of 'a' expired at"));
  b->net->dial(2, a->address(), pod("a"));
  ASSERT_TRUE(until([&] { return b->closed.contains(2) && !a->refused.empty(); }));
  EXPECT_THAT(a->last_refusal(), HasSubstr("our own certificate"));
}

TEST_F(transports, send_what_is_queued_before_they_close) {
  const auto a = start(pod("a"));
  const auto b = start(pod("b"));
  connect(*a, *b, pod("b"));
  b->net->send(1, frame_of(7, 1000));  // unread when a closes: must not reset the connection
  constexpr std::size_t count = 300;
  for (std::uint16_t i = 0; i < count; ++i)
    a->net->send(2, frame_of(i, 30'000));
  a->net->close(2);
  ASSERT_TRUE(until([&] { return b->closed.contains(1); }));
  EXPECT_EQ(b->received[1].size(), count);
  EXPECT_THAT(b->why_closed(1), HasSubstr("the peer closed the connection"));
  EXPECT_TRUE(a->closed.empty());
}

TEST_F(transports, may_close_from_within_received_and_hear_nothing_more) {
  const auto a = start(pod("a"));
  const auto b = start(pod("b"));
  connect(*a, *b, pod("b"));
  b->on_received = [&](std::uint64_t id) { b->net->close(id); };
  for (std::uint16_t i = 0; i < 10; ++i)
    a->net->send(2, frame_of(i));
  ASSERT_TRUE(until([&] { return a->closed.contains(2); }));
  EXPECT_EQ(b->received[1].size(), 1U);
  EXPECT_TRUE(b->closed.empty());
}

TEST_F(transports, close_a_connection_whose_send_queue_is_full) {
  const auto a = start(pod("a"), [](transport_options& options) { options.send_queue_bytes_max = 1000; });
  const auto b = start(pod("b"));
  connect(*a, *b, pod("b"));
  a->net->send(2, frame_of(1, 900));
  a->net->send(2, frame_of(2, 900));
  EXPECT_TRUE(a->closed.empty()) << "told from within send()";
  ASSERT_TRUE(until([&] { return a->closed.contains(2) && b->closed.contains(1); }));
  EXPECT_THAT(a->why_closed(2), AllOf(HasSubstr("overloaded: 127.0.0.1:"),
                                      HasSubstr("1824 bytes wait, at most 1000 may; the peer reads too slowly")));
}

TEST_F(transports, accept_no_more_connections_than_allowed_and_say_so) {
  const auto a = start(pod("a"));
  const auto b = start(pod("b"), [](transport_options& options) { options.accepted_max = 1; });
  connect(*a, *b, pod("b"));
  a->net->dial(4, b->address(), pod("b"));
  ASSERT_TRUE(until([&] { return a->closed.contains(4) && !b->refused.empty(); }));
  EXPECT_THAT(a->why_closed(4), AllOf(HasSubstr("overloaded: "), HasSubstr("the peer refused the connection: this node "
                                                                           "has 1 accepted connections, at most 1")));
  EXPECT_THAT(b->last_refusal(), HasSubstr("at most 1 are allowed"));
  EXPECT_FALSE(a->dialled.contains(4));

  b->net->close(b->only_connection());
  ASSERT_TRUE(until([&] { return a->closed.contains(2); }));
  a->net->dial(6, b->address(), pod("b"));
  ASSERT_TRUE(until([&] { return a->open.contains(6); })) << "the place was not given back";
}

TEST_F(transports, say_nothing_after_their_end) {
  const auto a = start(pod("a"));
  auto b = start(pod("b"));
  connect(*a, *b, pod("b"));
  b->on_closed = [](std::uint64_t) { ADD_FAILURE() << "closed() after the end"; };
  b->net->send(1, frame_of(1));
  b->net.reset();
  ASSERT_TRUE(until([&] { return a->closed.contains(2); }));
}

TEST_F(transports, may_be_destroyed_from_within_every_handler) {
  const auto a = start(pod("a"));
  for (const std::string when : {"opened", "received", "closed"}) {
    a->closed.clear();
    auto b = start(pod("b"));
    const auto end = [&](std::uint64_t) { b->net.reset(); };
    if (when == "opened") b->on_opened = end;
    if (when == "received") b->on_received = end;
    if (when == "closed") b->on_closed = end;
    a->on_opened = [&](std::uint64_t id) {
      if (when == "received") a->net->send(id, frame_of(1));
      if (when == "closed") a->net->close(id);
    };
    static std::uint64_t id = 100;
    a->net->dial(id += 2, b->address(), pod("b"));
    ASSERT_TRUE(until([&] { return b->net == nullptr; })) << when;
  }
}

TEST_F(transports, name_the_address_that_is_in_use) {
  const auto a = start(pod("a"));
  issue_to(pod("b"), authority_, authority_.certificate_pem);
  node told;
  auto options = options_of(pod("b"));
  options.listen_address = a->address();
  const auto second = open(told, options);
  ASSERT_FALSE(second);
  EXPECT_EQ(to_string(second.error()), "io: cannot listen on " + a->address() + ": Address already in use");
  options.listen_address = "everywhere";
  EXPECT_THAT(to_string(open(told, options).error()), HasSubstr("'everywhere' is not an address; accepted are IP:PORT"));
}

}  // namespace
}  // namespace orrery::net::testing
