#include "kube/config.hpp"

#include "mesh/base/base64.hpp"

#include <yaml-cpp/yaml.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string_view>
#include <system_error>

namespace orrery::kube {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t file_bytes_max = std::uintmax_t{4} << 20;

std::string environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): read before threads that set it
  return value ? value : "";
}

result<std::string> read_file(const std::string& path) {
  std::ifstream file{path, std::ios::binary};
  if (!file) {
    const auto why = std::error_code{errno, std::generic_category()}.message();
    return fail(errno == ENOENT ? errc::not_found : errc::io, path + ": " + why);
  }
  std::string text{std::istreambuf_iterator<char>{file}, {}};
  if (file.bad() || (text.empty() && fs::is_directory(path))) return fail(errc::io, path + ": cannot be read");
  if (text.size() > file_bytes_max) return fail(errc::too_large, path + ": over 4 MiB");
  return text;
}

/// Reads the fields of one mapping, and keeps the first thing that is wrong with them.
class fields {
 public:
  fields(YAML::Node node, std::string where) : node_(std::move(node)), where_(std::move(where)) {}

  std::string text(const char* name) {
    const YAML::Node value = node_.IsMap() ? node_[name] : YAML::Node{};
    if (!value.IsDefined() || value.IsNull()) return {};
    if (!value.IsScalar()) {
      complain(name, "must be a string");
      return {};
    }
    return value.Scalar();
  }

  bool flag(const char* name) {
    const auto value = text(name);
    if (value.empty() || value == "false") return false;
    if (value != "true") complain(name, "must be true or false, not '" + value + "'");
    return true;
  }

  /// NAME (a file, relative to `directory`) or NAME-data (base64).
  pem_source pem(const std::string& name, const fs::path& directory) {
    pem_source source;
    const auto data = text((name + "-data").c_str());
    if (!data.empty()) {
      const auto decoded = base64_decode(data);
      if (!decoded || decoded->find("-----BEGIN") == std::string::npos) {
        complain(name + "-data", "must be base64 of PEM text");
      } else {
        source.data = *decoded;
      }
    } else if (const auto file = text(name.c_str()); !file.empty()) {
      source.file = (directory / file).string();
    }
    return source;
  }

  YAML::Node child(const char* name) { return node_.IsMap() ? node_[name] : YAML::Node{}; }
  void complain(const std::string& name, const std::string& what) {
    if (problem_.empty()) problem_ = where_ + "." + name + ": " + what;
  }
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

 private:
  YAML::Node node_;
  std::string where_;
  std::string problem_;
};

/// The entry of a `clusters`, `users` or `contexts` list by its name. On failure says which names there are.
result<YAML::Node> entry(const YAML::Node& root, const char* list, const char* inner, const std::string& name,
                         const std::string& origin) {
  std::string known;
  const YAML::Node entries = root[list];
  if (entries.IsDefined() && !entries.IsNull() && !entries.IsSequence()) {
    return fail(errc::invalid_argument, origin + ": " + list + " must be a list");
  }
  for (const auto& each : entries) {
    if (!each.IsMap() || !each["name"].IsScalar()) continue;
    if (each["name"].Scalar() == name) return each[inner].IsMap() ? each[inner] : YAML::Node{YAML::NodeType::Map};
    known += (known.empty() ? "" : ", ") + each["name"].Scalar();
  }
  return fail(errc::invalid_argument, origin + ": " + list + ": no '" + name +
                                          "'; there are: " + (known.empty() ? std::string{"none"} : known));
}

result<exec_plugin> read_exec(const YAML::Node& node, const std::string& where, const fs::path& directory) {
  fields exec{node, where};
  exec_plugin plugin{.api_version = exec.text("apiVersion"),
                     .command = exec.text("command"),
                     .args = {},
                     .env = {},
                     .install_hint = exec.text("installHint"),
                     .provide_cluster_info = exec.flag("provideClusterInfo")};
  if (plugin.command.empty()) exec.complain("command", "is missing");
  // As kubectl: a name is looked up in $PATH, a relative path is relative to the kubeconfig.
  if (plugin.command.find('/') != std::string::npos) plugin.command = (directory / plugin.command).string();
  if (plugin.api_version != "client.authentication.k8s.io/v1" &&
      plugin.api_version != "client.authentication.k8s.io/v1beta1") {
    exec.complain("apiVersion", "'" + plugin.api_version + "' is not supported; client.authentication.k8s.io/v1 and " +
                                    "client.authentication.k8s.io/v1beta1 are");
  }
  for (const auto& argument : exec.child("args")) {
    if (argument.IsScalar()) plugin.args.push_back(argument.Scalar());
  }
  for (const auto& variable : exec.child("env")) {
    fields pair{variable, where + ".env"};
    plugin.env.emplace_back(pair.text("name"), pair.text("value"));
  }
  if (!exec.problem().empty()) return fail(errc::invalid_argument, exec.problem());
  return plugin;
}

result<void> read_cluster(const YAML::Node& node, const std::string& where, const fs::path& directory,
                          cluster_config& config) {
  fields cluster{node, where};
  config.server = cluster.text("server");
  while (config.server.ends_with('/'))
    config.server.pop_back();
  if (!config.server.starts_with("https://") && !config.server.starts_with("http://")) {
    cluster.complain("server", "'" + config.server + "' is no https:// or http:// address");
  }
  config.tls_server_name = cluster.text("tls-server-name");
  config.proxy_url = cluster.text("proxy-url");
  if (!config.proxy_url.empty() && !config.proxy_url.starts_with("http://")) {
    cluster.complain("proxy-url", "'" + config.proxy_url + "' is not supported; an http:// address is");
  }
  config.insecure = cluster.flag("insecure-skip-tls-verify");
  config.ca = cluster.pem("certificate-authority", directory);
  if (config.insecure && config.ca.given()) {
    cluster.complain("insecure-skip-tls-verify", "cannot be true where certificate-authority is given: remove one");
  }
  if (!cluster.problem().empty()) return fail(errc::invalid_argument, cluster.problem());
  return {};
}

result<void> read_user(const YAML::Node& node, const std::string& where, const fs::path& directory,
                       cluster_config& config) {
  fields user{node, where};
  config.client_certificate = user.pem("client-certificate", directory);
  config.client_key = user.pem("client-key", directory);
  config.token = user.text("token");
  if (const auto file = user.text("tokenFile"); !file.empty()) config.token_file = (directory / file).string();
  if (config.client_certificate.given() != config.client_key.given()) {
    user.complain("client-certificate", "and client-key are needed together; only one is given");
  }
  for (const char* unsupported : {"username", "password", "auth-provider", "as"}) {
    if (user.child(unsupported).IsDefined() && !user.child(unsupported).IsNull()) {
      user.complain(unsupported, "is not supported; client certificates, token, tokenFile and exec are");
    }
  }
  if (!user.problem().empty()) return fail(errc::invalid_argument, user.problem());
  if (const auto exec = user.child("exec"); exec.IsDefined() && !exec.IsNull()) {
    auto plugin = read_exec(exec, where + ".exec", directory);
    if (!plugin) return fail(plugin.error());
    config.exec = std::move(*plugin);
  }
  return {};
}

result<cluster_config> parse_context(const YAML::Node& root, const std::string& origin, std::string name) {
  if (!root.IsMap())
    return fail(errc::invalid_argument, origin + ": is no kubeconfig (a mapping with clusters, users, contexts)");
  if (name.empty()) name = fields{root, origin}.text("current-context");
  if (name.empty()) return fail(errc::invalid_argument, origin + ": no current-context; set one, or name a context");

  auto context = entry(root, "contexts", "context", name, origin);
  if (!context) return fail(context.error());
  fields chosen{*context, origin + ": contexts[" + name + "].context"};
  const auto cluster_name = chosen.text("cluster");
  const auto user_name = chosen.text("user");
  if (cluster_name.empty()) chosen.complain("cluster", "is missing");

  cluster_config config;
  config.origin = origin + ", context '" + name + "'";
  if (const auto ns = chosen.text("namespace"); !ns.empty()) config.default_namespace = ns;
  if (!chosen.problem().empty()) return fail(errc::invalid_argument, chosen.problem());

  const auto directory = fs::absolute(origin).parent_path();
  auto cluster = entry(root, "clusters", "cluster", cluster_name, origin);
  if (!cluster) return fail(cluster.error());
  auto read = read_cluster(*cluster, origin + ": clusters[" + cluster_name + "].cluster", directory, config);
  if (!read) return fail(read.error());
  if (user_name.empty()) return config;  // anonymous, as behind `kubectl proxy`
  auto user = entry(root, "users", "user", user_name, origin);
  if (!user) return fail(user.error());
  read = read_user(*user, origin + ": users[" + user_name + "].user", directory, config);
  if (!read) return fail(read.error());
  return config;
}

}  // namespace

result<std::string> pem_source::read() const {
  if (!data.empty() || file.empty()) return data;
  auto text = read_file(file);
  if (!text) return text;
  if (text->find("-----BEGIN") == std::string::npos) {
    return fail(errc::invalid_argument, file + ": holds no PEM text (\"-----BEGIN ...\")");
  }
  return text;
}

result<cluster_config> parse_kubeconfig(const std::string& text, const std::string& origin,
                                        const std::string& context) {
  try {
    return parse_context(YAML::Load(text), origin, context);
  } catch (const YAML::Exception& wrong) {
    return fail(errc::invalid_argument, origin + ": is not YAML: " + wrong.what());
  } catch (const fs::filesystem_error& wrong) {
    return fail(errc::io, wrong.what());
  }
}

result<cluster_config> load_kubeconfig(const std::string& path, const std::string& context) {
  const auto text = read_file(path);
  if (!text) return fail(text.error().code, "kubeconfig " + text.error().context);
  return parse_kubeconfig(*text, path, context);
}

result<cluster_config> in_cluster(const std::string& directory) {
  const auto host = environment("KUBERNETES_SERVICE_HOST");
  const auto port = environment("KUBERNETES_SERVICE_PORT");
  if (host.empty() || port.empty()) {
    return fail(errc::not_found, "not in a pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set");
  }
  cluster_config config;
  // The HTTP library takes no IPv6 addresses; every cluster's API server has this name, too.
  const bool ipv6 = host.find(':') != std::string::npos;
  config.server = "https://" + (ipv6 ? "kubernetes.default.svc" : host) + ":" + port;
  config.ca.file = directory + "/ca.crt";
  config.token_file = directory + "/token";
  config.origin = "the pod's service account (" + directory + ")";
  const auto token = read_file(config.token_file);
  if (!token)
    return fail(token.error().code, "in a pod, but without its service account token: " + token.error().context);
  if (const auto ns = read_file(directory + "/namespace"); ns && !ns->empty()) {
    config.default_namespace = ns->substr(0, ns->find_last_not_of(" \n") + 1);
  }
  return config;
}

result<cluster_config> load_default(const std::string& explicit_path, const std::string& context) {
  if (!explicit_path.empty()) return load_kubeconfig(explicit_path, context);
  std::string tried;
  if (const auto list = environment("KUBECONFIG"); !list.empty()) {
    std::stringstream paths{list};
    for (std::string path; std::getline(paths, path, ':');) {
      if (!path.empty() && fs::exists(path)) return load_kubeconfig(path, context);
    }
    return fail(errc::not_found, "$KUBECONFIG names no file that exists: " + list);
  }
  auto pod = in_cluster();
  if (pod || pod.error().code != errc::not_found) return pod;
  tried = pod.error().context;
  const auto home = environment("HOME") + "/.kube/config";
  if (fs::exists(home)) return load_kubeconfig(home, context);
  return fail(errc::not_found, "no cluster configured: no --kubeconfig, no $KUBECONFIG, " + tried + ", and no " + home);
}

}  // namespace orrery::kube
