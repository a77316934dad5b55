#include "mesh/base/base64.hpp"
#include "operator/plan/testing.hpp"

namespace orrery::plan::testing {

TEST(certificates, nothing_is_issued_again_while_all_is_well) {
  world w;
  w.form();
  w.now += 10h;
  const auto what = w.settle();
  ASSERT_TRUE(what.again_at);
  EXPECT_EQ(w.condition("CertificatesValid"), "True");
  EXPECT_LT(*what.again_at, w.now + 24h);
}

TEST(certificates, one_is_renewed_when_a_third_of_its_life_remains) {
  world w;
  w.form();
  w.now += 15h;
  EXPECT_TRUE(only<issue_certificate>(w.think()).empty());
  w.now += 1h + 10min;
  EXPECT_EQ(only<issue_certificate>(w.think()).size(), 3U);
}

TEST(certificates, one_that_is_missing_foreign_or_garbled_is_made_again) {
  world w;
  w.form();
  const auto names = w.pod_names();
  const auto other = w.secrets.at(certificate_secret(names[0]));
  w.secrets.at(certificate_secret(names[1]))["data"] = other["data"];
  w.secrets.at(certificate_secret(names[2]))["data"]["tls.crt"] = base64_encode("no certificate");
  w.secrets.erase(certificate_secret(names[0]));
  const auto issued = only<issue_certificate>(w.think());
  ASSERT_EQ(issued.size(), 3U);
  EXPECT_EQ(issued[0].why, "it has none");
  EXPECT_EQ(issued[1].why, "it names another pod");
  EXPECT_EQ(issued[2].why, "it cannot be read");
  w.settle();
  EXPECT_EQ(w.condition("CertificatesValid"), "True");
}

TEST(certificates, a_new_certificate_makes_the_kubelet_refresh_the_pods_files) {
  world w;
  w.form();
  w.now += 17h;
  w.act(w.think());
  EXPECT_EQ(only<touch_pod>(w.think()).size(), 3U);
  w.settle();
  EXPECT_TRUE(w.think().actions.empty());
}

TEST(certificates, a_new_authority_is_trusted_by_every_pod_before_it_issues) {
  world w(json{{"security", {{"caTTL", "72h"}, {"certificateTTL", "24h"}}}});
  w.form();
  const auto old_bundle = secret_value(w.secrets.at("demo-ca"), "ca.crt");
  const auto old_id = pki::read_certificate(old_bundle)->key_id;
  w.now += 49h;
  w.settle();
  const auto& ca = w.secrets.at("demo-ca");
  EXPECT_EQ(pki::read_certificate(secret_value(ca, "tls.crt"))->key_id, old_id) << "the old one still issues";
  EXPECT_EQ(pki::read_bundle(secret_value(ca, "ca.crt"))->size(), 2U);
  for (const auto& name : w.pod_names()) {
    const auto& secret = w.secrets.at(certificate_secret(name));
    EXPECT_EQ(pki::read_bundle(secret_value(secret, "ca.crt"))->size(), 2U);
    EXPECT_EQ(pki::read_certificate(secret_value(secret, "tls.crt"))->issuer_key_id, old_id);
  }
  w.now += 3min;
  w.settle();
  const auto new_id = pki::read_certificate(secret_value(w.secrets.at("demo-ca"), "tls.crt"))->key_id;
  EXPECT_NE(new_id, old_id);
  for (const auto& name : w.pod_names()) {
    const auto& secret = w.secrets.at(certificate_secret(name));
    EXPECT_EQ(pki::read_certificate(secret_value(secret, "tls.crt"))->issuer_key_id, new_id);
    EXPECT_EQ(pki::read_bundle(secret_value(secret, "ca.crt"))->size(), 2U) << "the old one stays trusted";
  }
  EXPECT_EQ(w.pods.size(), 3U) << "no pod is replaced for it";
}

TEST(certificates, a_lost_authority_is_made_anew_and_the_old_one_stays_trusted) {
  world w;
  w.form();
  w.secrets.erase("demo-ca");
  w.settle();
  EXPECT_EQ(pki::read_bundle(secret_value(w.secrets.at("demo-ca"), "ca.crt"))->size(), 2U);
  EXPECT_EQ(w.condition("CertificatesValid"), "True");
}

TEST(certificates, an_authority_that_cannot_be_read_is_left_alone_and_reported) {
  world w;
  w.form();
  w.secrets.at("demo-ca")["data"]["tls.key"] = base64_encode("garbage");
  w.pods.erase(w.pods.begin());
  w.settle();
  EXPECT_EQ(w.present(), 2) << "without an authority there is no certificate, and without one no pod";
  EXPECT_EQ(w.condition("CertificatesValid"), "False");
  EXPECT_NE(w.condition("CertificatesValid", "message").find("restore it, or delete it"), std::string::npos);
}

TEST(certificates, those_of_pods_that_are_gone_are_removed_but_not_too_soon) {
  world w;
  w.form();
  const auto victim = w.pod_names()[0];
  w.now += 10s;
  w.pods.erase(victim);
  w.settle();
  EXPECT_TRUE(w.secrets.contains(certificate_secret(victim)));
  w.now += 1min;
  w.settle();
  EXPECT_FALSE(w.secrets.contains(certificate_secret(victim)));
  EXPECT_TRUE(w.secrets.contains("demo-ca"));
}

TEST(certificates, a_spoilt_time_of_a_secret_deletes_nothing) {
  world w;
  w.form();
  const auto victim = w.pod_names()[0];
  w.pods.erase(victim);
  w.settle();
  w.secrets.at(certificate_secret(victim))["metadata"]["creationTimestamp"] = "yesterday";
  w.now += 1h;
  w.settle();
  EXPECT_TRUE(w.secrets.contains(certificate_secret(victim)));
}

TEST(certificates, a_staged_authority_whose_time_was_spoilt_is_promoted_by_its_certificate) {
  world w(json{{"security", {{"caTTL", "72h"}, {"certificateTTL", "24h"}}}});
  w.form();
  w.now += 49h;
  w.settle();
  const auto staged = [&] { return !kube::text_at(w.secrets.at("demo-ca"), {"data", "next.crt"}).empty(); };
  ASSERT_TRUE(staged());
  w.secrets.at("demo-ca")["metadata"]["annotations"][std::string(annotations::bundle_since)] = "soon";
  w.now += 1min;
  w.settle();
  EXPECT_TRUE(staged()) << "not every sidecar has read the bundle yet";
  w.now += 2min;
  w.settle();
  EXPECT_FALSE(staged());
}

TEST(certificates, a_staged_authority_is_promoted_only_some_time_after_the_last_pod_was_told) {
  world w(json{{"security", {{"caTTL", "72h"}, {"certificateTTL", "24h"}}}});
  w.form();
  w.now += 49h;
  const auto staged = [&] { return !kube::text_at(w.secrets.at("demo-ca"), {"data", "next.crt"}).empty(); };
  for (int action = 0; action < 20 && !staged(); ++action)
    w.act(w.think(), 1);
  ASSERT_TRUE(staged()) << "and then the operator was away";
  w.now += 10min;
  w.settle();
  EXPECT_TRUE(staged()) << "pods have heard of it just now";
  w.now += 3min;
  w.settle();
  EXPECT_FALSE(staged());
}

TEST(times, are_read_as_kubernetes_writes_them_and_what_cannot_be_read_is_never_past) {
  EXPECT_EQ(pki::to_text(time_or_far_away("2026-02-28T23:59:58Z")), "2026-02-28T23:59:58Z");
  EXPECT_EQ(time_or_far_away("2026-02-28T23:59:58.25Z"), time_or_far_away("2026-02-28T23:59:58Z") + 250ms);
  EXPECT_EQ(time_or_far_away("2026-03-01T00:59:58+01:00"), time_or_far_away("2026-02-28T23:59:58Z"));
  for (const auto* bad :
       {"", "yesterday", "2026-02-31T00:00:00Z", "2026-02", "0001-01-01T00:00:00Z", "9999-01-01T00:00:00Z"}) {
    EXPECT_EQ(time_or_far_away(bad), far_away) << bad;
  }
}

}  // namespace orrery::plan::testing
