#include "mesh/net/session.hpp"

#include "mesh/net/net_testing.hpp"

namespace orrery::net::testing {
namespace {

class sessions : public mesh_test {
 protected:
  void SetUp() override {
    for (const auto& who : {a_, b_})
      issue_to(who, authority_, authority_.certificate_pem);
    credentials_a_ = load_credentials(tls_of(a_), a_, now()).value();
    credentials_b_ = load_credentials(tls_of(b_), b_, now()).value();
    dialler_ = session::make(*credentials_a_.context, side::dialler, {a_, b_}, records_per_key).value();
    acceptor_ = session::make(*credentials_b_.context, side::acceptor, {b_, {}}, records_per_key).value();
  }

  /// Moves what one has to say to the other, in pieces of `piece` bytes, going on with the handshake after each.
  static void carry(session& from, session& to, std::size_t piece) {
    bytes wire;
    from.take_output(wire);
    for (std::size_t i = 0; i < wire.size(); i += piece) {
      ASSERT_TRUE(to.feed(byte_view(wire).subspan(i, std::min(piece, wire.size() - i))));
      ASSERT_TRUE(to.handshake());
    }
  }
  void handshake(std::size_t piece) {
    ASSERT_TRUE(dialler_->handshake());
    carry(*dialler_, *acceptor_, piece);
    carry(*acceptor_, *dialler_, piece);
    carry(*dialler_, *acceptor_, piece);
    ASSERT_EQ(dialler_->handshake(), true);
    ASSERT_EQ(acceptor_->handshake(), true);
  }
  static std::string transfer(session& from, session& to, std::string_view text) {
    EXPECT_TRUE(from.write(as_bytes(text)));
    bytes wire;
    from.take_output(wire);
    EXPECT_TRUE(to.feed(wire));
    std::array<std::uint8_t, 100> into;
    const auto count = to.read(into);
    return count ? std::string{as_text(byte_view(into).first(*count))} : to_string(count.error());
  }

  static constexpr std::uint64_t records_per_key = 3;
  mesh_identity a_ = pod("a");
  mesh_identity b_ = pod("b");
  tls_credentials credentials_a_;
  tls_credentials credentials_b_;
  std::unique_ptr<session> dialler_;
  std::unique_ptr<session> acceptor_;
};

TEST_F(sessions, know_each_other_after_the_handshake) {
  handshake(100'000);
  EXPECT_EQ(dialler_->peer(), b_);
  EXPECT_EQ(acceptor_->peer(), a_);
}

TEST_F(sessions, handshake_byte_by_byte) {
  handshake(1);
  EXPECT_EQ(acceptor_->peer(), a_);
}

TEST_F(sessions, outlive_the_credentials_that_they_were_made_of) {
  credentials_a_ = {};
  credentials_b_ = {};
  handshake(1000);
  EXPECT_EQ(transfer(*dialler_, *acceptor_, "hello"), "hello");
}

TEST_F(sessions, change_their_keys_when_worn_without_being_noticed) {
  handshake(100'000);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(transfer(*dialler_, *acceptor_, "ping " + std::to_string(i)), "ping " + std::to_string(i));
    EXPECT_EQ(transfer(*acceptor_, *dialler_, "pong " + std::to_string(i)), "pong " + std::to_string(i));
  }
}

TEST_F(sessions, see_the_peers_goodbye_and_refuse_bytes_that_were_changed_on_the_way) {
  handshake(100'000);
  ASSERT_TRUE(dialler_->write(as_bytes("hello")));
  bytes wire;
  dialler_->take_output(wire);
  wire.back() ^= 1U;
  ASSERT_TRUE(acceptor_->feed(wire));
  std::array<std::uint8_t, 100> into;
  const auto changed = acceptor_->read(into);
  ASSERT_FALSE(changed);
  EXPECT_EQ(changed.error().code, errc::protocol);

  acceptor_->finish();
  wire.clear();
  acceptor_->take_output(wire);  // the alert about the broken record
  ASSERT_TRUE(dialler_->feed(wire));
  EXPECT_FALSE(dialler_->read(into));
}

TEST_F(sessions, end_with_a_goodbye) {
  handshake(100'000);
  dialler_->finish();
  EXPECT_EQ(acceptor_->ended(), false);
  bytes wire;
  dialler_->take_output(wire);
  ASSERT_TRUE(acceptor_->feed(wire));
  std::array<std::uint8_t, 100> into;
  EXPECT_EQ(acceptor_->read(into), std::size_t{0});
  EXPECT_EQ(acceptor_->ended(), true);
}

}  // namespace
}  // namespace orrery::net::testing
