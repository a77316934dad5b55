#include "kube/config.hpp"

#include "kube/client.hpp"
#include "kube/credentials.hpp"
#include "kube/exec_plugin.hpp"
#include "kube/server_address.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

namespace orrery::kube {
namespace {

namespace fs = std::filesystem;

const std::string kubeconfig = R"(
apiVersion: v1
kind: Config
current-context: main
contexts:
- {name: main, context: {cluster: c, user: cert, namespace: apps}}
- {name: token, context: {cluster: c, user: token}}
- {name: plugin, context: {cluster: plain, user: plugin}}
- {name: dangling, context: {cluster: c, user: nobody}}
- {name: basic, context: {cluster: c, user: basic}}
- {name: half, context: {cluster: c, user: half}}
- {name: anonymous, context: {cluster: plain}}
- {name: bad-server, context: {cluster: bad, user: token}}
- {name: old-plugin, context: {cluster: c, user: old-plugin}}
clusters:
- name: c
  cluster: {server: "https://10.0.0.1:6443/", certificate-authority: pki/ca.crt, tls-server-name: kubernetes, proxy-url: "http://proxy:3128"}
- {name: plain, cluster: {server: "http://127.0.0.1:8001"}}
- {name: bad, cluster: {server: "10.0.0.1:6443"}}
users:
- {name: cert, user: {client-certificate-data: LS0tLS1CRUdJTiBYLS0tLS0K, client-key: key.pem}}
- {name: token, user: {token: abc, tokenFile: /run/token}}
- {name: basic, user: {username: u, password: p}}
- {name: half, user: {client-certificate: a.crt}}
- name: plugin
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      command: ./login
      args: [--cluster, demo]
      env: [{name: STAGE, value: test}]
      installHint: install it with ...
- {name: old-plugin, user: {exec: {apiVersion: client.authentication.k8s.io/v1alpha1, command: x}}}
)";

result<cluster_config> parse(const std::string& context) {
  return parse_kubeconfig(kubeconfig, "/home/me/.kube/config", context);
}

std::string complaint(const std::string& context) {
  const auto parsed = parse(context);
  return parsed ? "" : parsed.error().context;
}

TEST(kubeconfig, reads_the_current_context_with_files_relative_to_it) {
  const auto config = parse("");
  ASSERT_TRUE(config) << to_string(config.error());
  EXPECT_EQ(config->server, "https://10.0.0.1:6443");
  EXPECT_EQ(config->default_namespace, "apps");
  EXPECT_EQ(config->tls_server_name, "kubernetes");
  EXPECT_EQ(config->proxy_url, "http://proxy:3128");
  EXPECT_EQ(config->ca.file, "/home/me/.kube/pki/ca.crt");
  EXPECT_EQ(config->client_certificate.data, "-----BEGIN X-----\n");
  EXPECT_EQ(config->client_key.file, "/home/me/.kube/key.pem");
}

TEST(kubeconfig, reads_tokens_plugins_and_nobody) {
  EXPECT_EQ(parse("token")->token, "abc");
  EXPECT_EQ(parse("token")->token_file, "/run/token");
  const auto plugin = parse("plugin");
  ASSERT_TRUE(plugin) << to_string(plugin.error());
  ASSERT_TRUE(plugin->exec);
  EXPECT_EQ(plugin->exec->command, "/home/me/.kube/./login");
  EXPECT_EQ(plugin->exec->args, (std::vector<std::string>{"--cluster", "demo"}));
  EXPECT_EQ(plugin->exec->env.at(0).second, "test");
  EXPECT_TRUE(parse("anonymous"));
}

TEST(kubeconfig, says_what_is_wrong_where_and_what_would_do) {
  EXPECT_EQ(
      complaint("nope"),
      "/home/me/.kube/config: contexts: no 'nope'; there are: main, token, plugin, dangling, basic, half, anonymous, "
      "bad-server, old-plugin");
  EXPECT_EQ(complaint("dangling"),
            "/home/me/.kube/config: users: no 'nobody'; there are: cert, token, basic, half, plugin, old-plugin");
  EXPECT_EQ(
      complaint("basic"),
      "/home/me/.kube/config: users[basic].user.username: is not supported; client certificates, token, tokenFile "
      "and exec are");
  EXPECT_NE(complaint("half").find("client-key"), std::string::npos);
  EXPECT_EQ(complaint("bad-server"),
            "/home/me/.kube/config: clusters[bad].cluster.server: '10.0.0.1:6443' is no https:// or http:// address");
  EXPECT_NE(complaint("old-plugin").find("client.authentication.k8s.io/v1beta1"), std::string::npos);
}

TEST(kubeconfig, takes_any_text_without_harm) {
  for (const char* text :
       {"", "3", "[]", "a: [", "clusters: 3", "current-context: x", "current-context: {}", "\x01",
        "current-context: x\ncontexts: [{name: x}]", "current-context: x\ncontexts: [3, null]",
        "current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\nclusters: [{name: c, cluster: 7}]"}) {
    EXPECT_FALSE(parse_kubeconfig(text, "k")) << text;
  }
}

TEST(kubeconfig, a_missing_file_is_named) {
  const auto missing = load_default("/nonexistent/kubeconfig");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, errc::not_found);
  EXPECT_NE(missing.error().context.find("/nonexistent/kubeconfig: No such file"), std::string::npos)
      << missing.error().context;
}

class files : public ::testing::Test {
 protected:
  files() : directory(fs::temp_directory_path() / ("orrery-config-" + std::to_string(::getpid()))) {
    fs::create_directories(directory);
  }
  ~files() override { fs::remove_all(directory); }

  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream{directory / name} << text;
    return (directory / name).string();
  }

  /// A plugin of that script, which counts its runs in a file.
  cluster_config with_plugin(const std::string& script) const {
    const auto path = write("plugin", "#!/bin/sh\necho run >> " + (directory / "runs").string() + "\n" + script);
    ::chmod(path.c_str(), 0700);
    cluster_config config{.server = "https://x"};
    config.exec = exec_plugin{.api_version = "client.authentication.k8s.io/v1",
                              .command = path,
                              .env = {{"GREETING", "hello"}},
                              .install_hint = "try apt"};
    return config;
  }

  std::size_t runs() const {
    std::ifstream file{directory / "runs"};
    std::size_t count = 0;
    for (std::string line; std::getline(file, line);) {
      ++count;
    }
    return count;
  }

  fs::path directory;
};

std::string answer(const std::string& status) {
  return R"(echo '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": )" + status +
         "}'";
}

TEST_F(files, in_a_pod_the_service_account_is_used) {
  ::setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);  // NOLINT(concurrency-mt-unsafe)
  ::setenv("KUBERNETES_SERVICE_PORT", "443", 1);      // NOLINT(concurrency-mt-unsafe)
  EXPECT_FALSE(in_cluster(directory)) << "no token yet";
  write("token", "abc\n");
  write("namespace", "apps\n");
  const auto config = in_cluster(directory);
  ::unsetenv("KUBERNETES_SERVICE_HOST");  // NOLINT(concurrency-mt-unsafe)
  ASSERT_TRUE(config) << to_string(config.error());
  EXPECT_EQ(config->server, "https://kubernetes.default.svc:443") << "for the HTTP library takes no IPv6 addresses";
  EXPECT_EQ(config->default_namespace, "apps");
  EXPECT_EQ(config->ca.file, (directory / "ca.crt").string());
  EXPECT_EQ(in_cluster(directory).error().code, errc::not_found) << "outside of a pod";
}

TEST_F(files, a_token_file_is_read_again_when_the_server_refuses_the_token) {
  cluster_config config{.server = "https://x"};
  config.token_file = write("token", "first\n");
  credentials keys{config};
  EXPECT_EQ(*keys.token(), "first");
  write("token", "second\n");
  EXPECT_EQ(*keys.token(), "first") << "for at most token_max_age";
  keys.invalidate();
  EXPECT_EQ(*keys.token(), "second");
  fs::remove(config.token_file);
  keys.invalidate();
  EXPECT_EQ(*keys.token(), "second") << "a file that is away for a moment does not lose the token";
}

TEST_F(files, a_token_that_would_break_a_header_is_refused) {
  cluster_config config{.server = "https://x"};
  config.token_file = write("token", "a\r\nX-Injected: b");
  EXPECT_EQ(credentials{config}.token().error().code, errc::unauthenticated);
  config.token_file = write("token", "\n");
  EXPECT_FALSE(credentials{config}.token());
}

TEST_F(files, a_plugin_is_run_once_until_its_credential_expires_or_is_refused) {
  credentials keys{with_plugin(answer(R"({"token": "'$GREETING'", "expirationTimestamp": "2999-01-01T00:00:00Z"})"))};
  EXPECT_EQ(*keys.token(), "hello");
  EXPECT_EQ(*keys.token(), "hello");
  EXPECT_EQ(runs(), 1U);
  keys.invalidate();
  EXPECT_EQ(*keys.token(), "hello");
  EXPECT_EQ(runs(), 2U);
  credentials expiring{with_plugin(answer(R"({"token": "t", "expirationTimestamp": "2000-01-01T00:00:00Z"})"))};
  EXPECT_EQ(*expiring.token(), "t");
  EXPECT_EQ(*expiring.token(), "t");
  EXPECT_EQ(runs(), 4U);
}

TEST_F(files, a_plugin_is_told_about_the_cluster_and_does_not_inherit_our_tls_environment) {
  initialize();
  auto config = with_plugin(
      "test \"$SSL_CERT_FILE\" != /dev/null || exit 3\n"
      "echo \"$KUBERNETES_EXEC_INFO\" | grep -q '\"server\":\"https://x\"' || exit 4\n" +
      answer(R"({"token": "t"})"));
  config.exec->provide_cluster_info = true;
  const auto token = credentials{config}.token();
  ASSERT_TRUE(token) << to_string(token.error());
  EXPECT_EQ(*token, "t");
}

TEST_F(files, a_plugin_that_fails_says_why) {
  const auto failed = credentials{with_plugin("echo 'not logged in' >&2; exit 1")}.token();
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, errc::unauthenticated);
  EXPECT_NE(failed.error().context.find("not logged in"), std::string::npos) << failed.error().context;
  EXPECT_NE(failed.error().context.find("try apt"), std::string::npos);
  auto missing = with_plugin("");
  missing.exec->command = "/nonexistent/plugin";
  EXPECT_NE(credentials{missing}.token().error().context.find("/nonexistent/plugin"), std::string::npos);
}

TEST_F(files, a_plugin_that_hangs_is_killed) {
  const auto hung = run_exec_plugin(with_plugin("exec sleep 1000"), std::chrono::milliseconds{50});
  ASSERT_FALSE(hung);
  EXPECT_NE(hung.error().context.find("50 ms"), std::string::npos) << hung.error().context;
}

TEST(exec_credential, takes_any_answer_without_harm) {
  const std::string v1 = "client.authentication.k8s.io/v1";
  for (
      const char* text :
      {"", "3", "{}", R"({"kind": "ExecCredential"})",
       R"({"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1"})",
       R"({"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1", "status": {"clientCertificateData": "x"}})",
       R"({"kind": "ExecCredential", "apiVersion": "other", "status": {"token": "x"}})"}) {
    EXPECT_FALSE(parse_exec_credential(text, v1)) << text;
  }
}

TEST(server_address, reads_hosts_ports_and_prefixes) {
  const auto full = parse_server("https://[::1]:6443/k8s/clusters/c1/");
  ASSERT_TRUE(full);
  EXPECT_EQ(full->host, "::1");
  EXPECT_EQ(full->port, "6443");
  EXPECT_EQ(full->prefix, "/k8s/clusters/c1");
  EXPECT_EQ(parse_server("https://host")->port, "443");
  EXPECT_EQ(parse_server("http://host")->port, "80");
  EXPECT_FALSE(parse_server("http://host")->tls);
  for (const char* wrong :
       {"", "host:1", "https://", "https://:1", "https://[::1", "https://h:", "https://h:abc", "https://h:1234567"}) {
    EXPECT_FALSE(parse_server(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace orrery::kube
