#include "mesh/pki/authority.hpp"
#include "mesh/pki/certificate.hpp"
#include "mesh/pki/openssl.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orrery::pki {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const wall_time now = std::chrono::system_clock::from_time_t(1'800'000'000);  // 2027-01-15T08:00:00Z
const mesh_identity pod{"shop", "cart", "cart-x7k2p"};

credentials authority_at(wall_time at, std::chrono::seconds valid_for = 24h) {
  auto made = make_authority("shop", "cart", at, valid_for);
  EXPECT_TRUE(made) << to_string(made.error());
  return made.value_or(credentials{});
}

credentials issued_by(const credentials& authority, const mesh_identity& node = pod) {
  auto made = issue(authority, node, now, 1h);
  EXPECT_TRUE(made) << to_string(made.error());
  return made.value_or(credentials{});
}

template <class T>
std::string refusal(const result<T>& outcome) {
  return outcome ? "accepted" : to_string(outcome.error());
}

TEST(authority, is_a_self_signed_ca_that_names_its_mesh) {
  const auto made = authority_at(now);
  const auto facts = read_certificate(made.certificate_pem);
  ASSERT_TRUE(facts) << to_string(facts.error());
  EXPECT_EQ(facts->subject, "orrery mesh shop/cart");
  EXPECT_TRUE(facts->is_authority);
  EXPECT_FALSE(facts->identity);
  EXPECT_EQ(facts->key_id, facts->issuer_key_id);
  EXPECT_EQ(facts->not_before, now - backdated_by);
  EXPECT_EQ(facts->not_after, now + 24h);
  EXPECT_TRUE(check_signed_by(made.certificate_pem, made.certificate_pem));
  EXPECT_TRUE(check_key(made.certificate_pem, made.key_pem));
}

TEST(authority, is_another_one_every_time) {
  const auto first = read_certificate(authority_at(now).certificate_pem);
  const auto second = read_certificate(authority_at(now).certificate_pem);
  EXPECT_NE(first->key_id, second->key_id);
  EXPECT_NE(first->serial, second->serial);
  EXPECT_NE(first->fingerprint, second->fingerprint);
}

TEST(authority, refuses_names_and_validities_that_make_no_sense) {
  EXPECT_THAT(refusal(make_authority("shop", "a,URI:b", now, 24h)), HasSubstr("is not an identity"));
  EXPECT_THAT(refusal(make_authority("", "cart", now, 24h)), HasSubstr("is not an identity"));
  EXPECT_THAT(refusal(make_authority("shop", "cart", now, 0s)),
              HasSubstr("a validity of 0 seconds; accepted are 1 to"));
  EXPECT_THAT(refusal(make_authority("shop", "cart", now, 24h * 366 * 31)), HasSubstr("accepted are"));
}

TEST(authority, of_a_mesh_with_long_names_cuts_its_common_name) {
  const auto made = make_authority(std::string(63, 'n'), std::string(63, 'm'), now, 24h);
  ASSERT_TRUE(made) << to_string(made.error());
  EXPECT_EQ(read_certificate(made->certificate_pem)->subject, "orrery mesh " + std::string(52, 'n'));
}

TEST(issue, makes_a_certificate_that_says_who_the_node_is) {
  const auto authority = authority_at(now);
  const auto made = issued_by(authority);
  const auto facts = read_certificate(made.certificate_pem);
  ASSERT_TRUE(facts) << to_string(facts.error());
  EXPECT_EQ(facts->subject, pod.pod);
  EXPECT_EQ(facts->identity, pod);
  EXPECT_FALSE(facts->is_authority);
  EXPECT_EQ(facts->not_before, now - backdated_by);
  EXPECT_EQ(facts->not_after, now + 1h);
  EXPECT_EQ(facts->issuer_key_id, read_certificate(authority.certificate_pem)->key_id);
  EXPECT_TRUE(check_key(made.certificate_pem, made.key_pem));
  EXPECT_TRUE(check_signed_by(made.certificate_pem, authority.certificate_pem));
  EXPECT_THAT(made.key_pem, StartsWith("-----BEGIN PRIVATE KEY-----"));
}

TEST(issue, cuts_the_common_name_of_a_long_pod_but_not_its_identity) {
  const mesh_identity longest{"shop", "cart", std::string(253, 'p')};
  const auto facts = read_certificate(issued_by(authority_at(now), longest).certificate_pem);
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->subject, std::string(64, 'p'));
  EXPECT_EQ(facts->identity, longest);
}

TEST(issue, never_outlives_the_authority) {
  const auto authority = authority_at(now, 30min);
  const auto made = issue(authority, pod, now, 1h);
  ASSERT_TRUE(made);
  EXPECT_EQ(read_certificate(made->certificate_pem)->not_after, now + 30min);
}

TEST(issue, refuses_an_authority_that_cannot_issue_and_says_why) {
  const auto authority = authority_at(now);
  const auto other = authority_at(now);
  EXPECT_THAT(refusal(issue(authority_at(now - 48h), pod, now, 1h)), HasSubstr("expired at 2027-01-14T08:00:00Z"));
  EXPECT_THAT(refusal(issue(authority_at(now + 1h), pod, now, 1h)), HasSubstr("is not valid before"));
  EXPECT_THAT(refusal(issue({authority.certificate_pem, other.key_pem}, pod, now, 1h)),
              HasSubstr("the key belongs to another certificate"));
  EXPECT_THAT(refusal(issue({"rubbish", authority.key_pem}, pod, now, 1h)), HasSubstr("holds no certificate"));
  EXPECT_THAT(refusal(issue({authority.certificate_pem, ""}, pod, now, 1h)), HasSubstr("the key is empty"));
  EXPECT_THAT(refusal(issue(issued_by(authority), pod, now, 1h)), HasSubstr("may not sign others"));
}

TEST(issue, refuses_names_that_could_smuggle_in_another_identity) {
  const auto authority = authority_at(now);
  for (const auto& name : {std::string{"a,URI:orrery://shop/cart/b"}, std::string{"a/b"}, std::string{},
                           std::string{"A"}, std::string{"a\0b", 3}, std::string(254, 'p')}) {
    EXPECT_THAT(refusal(issue(authority, {"shop", "cart", name}, now, 1h)), HasSubstr("is not an identity"));
  }
}

TEST(bundle, of_a_rotation_trusts_certificates_of_both_authorities) {
  const auto old_authority = authority_at(now - 1h);
  const auto new_authority = authority_at(now);
  const auto combined = combine_bundles(new_authority.certificate_pem, old_authority.certificate_pem, now);
  ASSERT_TRUE(combined) << to_string(combined.error());
  EXPECT_TRUE(check_signed_by(issued_by(old_authority).certificate_pem, *combined));
  EXPECT_TRUE(check_signed_by(issued_by(new_authority).certificate_pem, *combined));
  const auto facts = read_bundle(*combined);
  ASSERT_EQ(facts->size(), 2U);
  EXPECT_EQ(facts->front().key_id, read_certificate(new_authority.certificate_pem)->key_id);
}

TEST(bundle, drops_duplicates_and_what_has_expired) {
  const auto current = authority_at(now);
  const auto expired = authority_at(now - 48h);
  const auto with_expired = combine_bundles(current.certificate_pem, expired.certificate_pem, now);
  ASSERT_TRUE(with_expired);
  EXPECT_EQ(read_bundle(*with_expired)->size(), 1U);
  const auto twice = combine_bundles(current.certificate_pem, *with_expired, now);
  ASSERT_TRUE(twice);
  EXPECT_EQ(*twice, current.certificate_pem);
  EXPECT_EQ(combine_bundles(current.certificate_pem, "", now), current.certificate_pem);
}

TEST(bundle, refuses_nodes_certificates_and_too_many) {
  const auto authority = authority_at(now);
  EXPECT_THAT(refusal(combine_bundles(issued_by(authority).certificate_pem, "", now)), HasSubstr("is no authority"));
  std::string many;
  for (std::size_t i = 0; i <= bundle_certificates_max; ++i)
    many += authority.certificate_pem;
  EXPECT_THAT(refusal(read_bundle(many)), HasSubstr("more than 16 certificates"));
}

TEST(bundle, with_a_torn_certificate_is_refused_whole) {
  const auto authority = authority_at(now);
  const std::string torn = authority.certificate_pem + authority.certificate_pem.substr(0, 200);
  EXPECT_THAT(refusal(read_bundle(torn)), HasSubstr("certificate 2 is not valid PEM"));
}

TEST(certificate, that_is_not_one_is_refused_with_what_was_expected) {
  EXPECT_THAT(refusal(read_certificate("")), HasSubstr("the certificate is empty; expected PEM"));
  EXPECT_THAT(refusal(read_certificate("hello")), HasSubstr("expected PEM with BEGIN CERTIFICATE"));
  EXPECT_THAT(refusal(read_certificate(std::string(pem_bytes_max + 1, 'x'))), HasSubstr("at most 262144"));
  EXPECT_THAT(refusal(read_certificate("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")),
              HasSubstr("certificate 1 is not valid PEM"));
  EXPECT_THAT(refusal(read_certificate(authority_at(now).key_pem)), HasSubstr("holds no certificate"));
}

TEST(certificate, says_when_it_is_valid) {
  const auto facts = read_certificate(issued_by(authority_at(now)).certificate_pem);
  ASSERT_TRUE(facts);
  EXPECT_TRUE(check_valid_at(*facts, now));
  EXPECT_TRUE(check_valid_at(*facts, now + 1h));
  EXPECT_EQ(refusal(check_valid_at(*facts, now + 2h)),
            "invalid_argument: the certificate of 'cart-x7k2p' expired at 2027-01-15T09:00:00Z; it is "
            "2027-01-15T10:00:00Z");
  EXPECT_THAT(refusal(check_valid_at(*facts, now - 1h)), HasSubstr("is not valid before 2027-01-15T07:55:00Z"));
}

TEST(certificate, of_another_authority_is_told_from_ours) {
  const auto stranger = authority_at(now);  // same subject, another key
  EXPECT_THAT(refusal(check_signed_by(issued_by(stranger).certificate_pem, authority_at(now).certificate_pem)),
              HasSubstr("is signed by none of the bundle's authorities: 'orrery mesh shop/cart'"));
}

TEST(key, with_a_password_is_refused_instead_of_asked_for) {
  const auto made = authority_at(now);
  const auto key = parse_key(made.key_pem, "the key");
  const owned<BIO> writer{BIO_new(BIO_s_mem())};
  std::string password = "secret";
  ASSERT_EQ(PEM_write_bio_PKCS8PrivateKey(writer.get(), key->get(), EVP_aes_256_cbc(), password.data(),
                                          static_cast<int>(password.size()), nullptr, nullptr),
            1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(writer.get(), &data);
  const std::string locked{data, static_cast<std::size_t>(size)};
  EXPECT_THAT(refusal(check_key(made.certificate_pem, locked)), HasSubstr("is not an unencrypted PEM private key"));
}

}  // namespace
}  // namespace orrery::pki
