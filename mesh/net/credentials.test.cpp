#include "mesh/net/credentials.hpp"

#include "mesh/net/net_testing.hpp"

namespace orrery::net::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class credentials : public mesh_test {
 protected:
  void SetUp() override { issue_to(self_, authority_, authority_.certificate_pem); }
  [[nodiscard]] std::string loading(pki::wall_time at = now()) const {
    const auto loaded = load_credentials(tls_of(self_), self_, at);
    return loaded ? "loaded" : to_string(loaded.error());
  }
  [[nodiscard]] std::string file(const std::string& name) const { return tls_of(self_) + "/" + name; }

  mesh_identity self_ = pod("a");
};

TEST_F(credentials, of_the_node_itself_are_loaded) { EXPECT_EQ(loading(), "loaded"); }

TEST_F(credentials, that_are_missing_are_refused_with_their_path) {
  for (const std::string name : {"ca.crt", "tls.key", "tls.crt"}) {
    std::filesystem::remove(file(name));
    EXPECT_EQ(loading(), "invalid_argument: " + file(name) + ": No such file or directory");
  }
}

TEST_F(credentials, that_are_not_pem_are_refused_with_their_path) {
  for (const std::string name : {"ca.crt", "tls.key", "tls.crt"}) {
    write_file(file(name), "hello");
    EXPECT_THAT(loading(), AllOf(HasSubstr(file(name)), HasSubstr("PEM")));
  }
}

TEST_F(credentials, that_are_huge_are_refused_unread) {
  write_file(file("ca.crt"), std::string(2U << 20U, 'x'));
  EXPECT_THAT(loading(), AllOf(HasSubstr(file("ca.crt")), HasSubstr("at most 262144")));
}

TEST_F(credentials, that_expired_or_are_not_valid_yet_are_refused_with_the_time) {
  EXPECT_THAT(loading(now() + 2h), AllOf(HasSubstr(file("tls.crt")), HasSubstr("expired at")));
  EXPECT_THAT(loading(now() - 2h), AllOf(HasSubstr(file("tls.crt")), HasSubstr("is not valid before")));
}

TEST_F(credentials, with_the_key_of_another_certificate_are_refused) {
  write_file(file("tls.key"), pki::issue(authority_, self_, now(), 1h)->key_pem);
  EXPECT_THAT(loading(), AllOf(HasSubstr(file("tls.key")), HasSubstr("the key belongs to another certificate")));
}

TEST_F(credentials, of_another_pod_are_refused) {
  write_tls(tls_of(self_), pki::issue(authority_, pod("b"), now(), 1h).value(), authority_.certificate_pem);
  EXPECT_THAT(loading(),
              HasSubstr("the certificate is that of orrery://shop/cart/b; this node is orrery://shop/cart/a"));
}

TEST_F(credentials, without_an_identity_are_refused) {
  write_tls(tls_of(self_), authority_, authority_.certificate_pem);
  EXPECT_THAT(loading(), HasSubstr("expected URI:orrery://NAMESPACE/MESH/POD"));
}

TEST_F(credentials, that_our_own_bundle_does_not_trust_are_refused) {
  write_file(file("ca.crt"), pki::make_authority("shop", "cart", now(), 1h)->certificate_pem);
  EXPECT_THAT(loading(), AllOf(HasSubstr(file("ca.crt")), HasSubstr("is signed by none of the bundle's authorities")));
}

}  // namespace
}  // namespace orrery::net::testing
