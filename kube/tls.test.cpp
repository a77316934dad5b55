// TLS and credentials on real connections.
#include "kube/cpprest_transport.hpp"
#include "kube/testing/fake_server.hpp"
#include "kube/testing/test_pki.hpp"
#include "kube/tls_environment.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace orrery::kube {
namespace {

namespace fs = std::filesystem;
using testing::fake_connection;
using testing::fake_request;
using testing::fake_server;
using testing::test_ca;

const request small_read{.what = verb::get, .method = "GET", .path = "/x"};

class tls : public ::testing::Test {
 protected:
  tls() : directory(fs::temp_directory_path() / ("orrery-tls-" + std::to_string(::getpid()))) {
    fs::create_directories(directory);
  }
  ~tls() override { fs::remove_all(directory); }

  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream{directory / name} << text;
    return (directory / name).string();
  }

  static void ok(const fake_request&, fake_connection& at) { at.answer(200, "{}"); }

  cluster_config config_for(const fake_server& server) const {
    cluster_config config{.server = server.url()};
    config.ca.data = ca.certificate();
    return config;
  }

  static std::unique_ptr<transport> to(const cluster_config& config) { return *make_cpprest_transport(config, "test"); }

  test_ca ca;
  test_ca other_ca;
  fs::path directory;
};

TEST_F(tls, a_server_of_our_ca_is_trusted_by_its_address) {
  fake_server server{ok, fake_server::tls_options{ca.issue("server", "IP:127.0.0.1"), {}}};
  const auto answer = to(config_for(server))->send(small_read, {});
  ASSERT_TRUE(answer) << to_string(answer.error());
}

TEST_F(tls, a_server_of_another_ca_is_refused_with_the_reason) {
  fake_server server{ok, fake_server::tls_options{other_ca.issue("server", "IP:127.0.0.1"), {}}};
  const auto answer = to(config_for(server))->send(small_read, {});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, errc::unavailable);
  EXPECT_NE(answer.error().context.find("does not verify"), std::string::npos) << answer.error().context;
  EXPECT_TRUE(server.requests().empty()) << "not a byte of a request was sent";
}

TEST_F(tls, without_a_ca_only_the_systems_roots_are_trusted) {
  fake_server server{ok, fake_server::tls_options{ca.issue("server", "IP:127.0.0.1"), {}}};
  EXPECT_FALSE(to(cluster_config{.server = server.url()})->send(small_read, {}));
  EXPECT_FALSE(system_trust().file.empty());
  EXPECT_NE(system_trust().file, "/dev/null");
}

TEST_F(tls, a_certificate_for_another_name_is_refused_unless_that_name_is_asked_for) {
  fake_server server{ok, fake_server::tls_options{ca.issue("server", "DNS:kubernetes.example"), {}}};
  auto config = config_for(server);
  const auto refused = to(config)->send(small_read, {});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().context.find("another name"), std::string::npos) << refused.error().context;
  config.tls_server_name = "kubernetes.example";
  const auto answer = to(config)->send(small_read, {});
  EXPECT_TRUE(answer) << to_string(answer.error());
}

TEST_F(tls, insecure_accepts_any_certificate) {
  fake_server server{ok, fake_server::tls_options{other_ca.issue("whoever", ""), {}}};
  EXPECT_TRUE(to(cluster_config{.server = server.url(), .insecure = true})->send(small_read, {}));
}

TEST_F(tls, a_rotated_client_certificate_applies_when_the_old_one_is_refused) {
  const auto old_one = ca.issue("old", "");
  const auto new_one = ca.issue("new", "");
  fake_server server{[](const fake_request& asked, fake_connection& at) {
                       at.answer(asked.client_name == "old" ? 200 : asked.client_name == "new" ? 201 : 401, "{}");
                     },
                     fake_server::tls_options{ca.issue("server", "IP:127.0.0.1"), ca.certificate()}};
  auto config = config_for(server);
  config.client_certificate.file = write("tls.crt", old_one.certificate);
  config.client_key.file = write("tls.key", old_one.key);
  const auto carrier = to(config);
  EXPECT_EQ(carrier->send(small_read, {})->status, 200);
  write("tls.crt", new_one.certificate);
  write("tls.key", new_one.key);
  carrier->refresh_credentials();
  EXPECT_EQ(carrier->send(small_read, {})->status, 201);
  const auto connections = server.connections();
  for (int i = 0; i < 5; ++i) {
    carrier->refresh_credentials();
    EXPECT_EQ(carrier->send(small_read, {})->status, 201);
  }
  EXPECT_LE(server.connections(), connections + 2) << "a certificate that did not change costs no new connections";
}

TEST_F(tls, a_key_that_is_not_the_certificates_is_named) {
  fake_server server{ok, fake_server::tls_options{ca.issue("server", "IP:127.0.0.1"), {}}};
  auto config = config_for(server);
  config.client_certificate.data = ca.issue("a", "").certificate;
  config.client_key.data = ca.issue("b", "").key;
  const auto answer = to(config)->send(small_read, {});
  ASSERT_FALSE(answer);
  EXPECT_NE(answer.error().context.find("client key"), std::string::npos) << answer.error().context;
}

TEST_F(tls, a_ca_file_that_is_not_there_is_named) {
  fake_server server{ok, fake_server::tls_options{ca.issue("server", "IP:127.0.0.1"), {}}};
  auto config = config_for(server);
  config.ca = {.data = {}, .file = "/nonexistent/ca.crt"};
  const auto answer = to(config)->send(small_read, {});
  ASSERT_FALSE(answer);
  EXPECT_NE(answer.error().context.find("/nonexistent/ca.crt"), std::string::npos) << answer.error().context;
}

TEST_F(tls, a_server_that_does_not_speak_tls_is_told_from_one_that_is_not_trusted) {
  fake_server plain{ok};
  auto config = config_for(plain);
  config.server = "https://127.0.0.1:" + std::to_string(plain.port());
  const auto answer = to(config)->send(small_read, {.timeout = std::chrono::milliseconds{300}});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().context.find("does not verify"), std::string::npos) << answer.error().context;
}

}  // namespace
}  // namespace orrery::kube
