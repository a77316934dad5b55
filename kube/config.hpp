#pragma once
#include "mesh/base/result.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace orrery::kube {

/// PEM text given inline, or the file that holds it. A file is read again for each new connection, so that a rotated
/// certificate applies without a restart. Both empty: not given.
struct pem_source {
  std::string data{};
  std::string file{};

  [[nodiscard]] bool given() const noexcept { return !data.empty() || !file.empty(); }
  /// The PEM text. Errors: io naming the file; invalid_argument when there is no "-----BEGIN" in it.
  [[nodiscard]] result<std::string> read() const;
};

/// A program that prints credentials (client.authentication.k8s.io v1 and v1beta1), as EKS, GKE and others use.
struct exec_plugin {
  std::string api_version{};
  std::string command{};
  std::vector<std::string> args{};
  std::vector<std::pair<std::string, std::string>> env{};
  std::string install_hint{};
  bool provide_cluster_info = false;
};

/// How to reach one API server and as whom. A plain value: no file is kept open and nothing is connected.
struct cluster_config {
  std::string server{};           ///< "https://host:port", without a trailing slash; "http://" is accepted
  std::string tls_server_name{};  ///< verify the certificate against this name instead of the host of `server`
  std::string proxy_url{};        ///< an HTTP proxy to go through; empty: none
  pem_source ca{};                ///< who may sign the server's certificate; not given: the system's roots
  bool insecure = false;          ///< do not verify the server's certificate
  pem_source client_certificate{};
  pem_source client_key{};
  std::string token{};       ///< a bearer token, if given inline
  std::string token_file{};  ///< or the file that holds it, re-read as it rotates
  std::optional<exec_plugin> exec{};
  std::string default_namespace = "default";
  std::string origin{};  ///< where this came from, for messages: "/root/.kube/config, context 'c'"
};

/// Reads one context of a kubeconfig file (`context` empty: its current-context). Relative file names in it are taken
/// relative to the file. Errors: io and invalid_argument, naming the file and the field, and what would be accepted.
[[nodiscard]] result<cluster_config> load_kubeconfig(const std::string& path, const std::string& context = {});

/// The same from text; `origin` names it in messages and is what relative file names are relative to.
[[nodiscard]] result<cluster_config> parse_kubeconfig(const std::string& text, const std::string& origin,
                                                      const std::string& context = {});

inline constexpr const char* service_account_directory = "/var/run/secrets/kubernetes.io/serviceaccount";

/// The configuration of a pod: $KUBERNETES_SERVICE_HOST and _PORT, and token, ca.crt and namespace in `directory`.
/// Errors: not_found when this process does not run in a pod.
[[nodiscard]] result<cluster_config> in_cluster(const std::string& directory = service_account_directory);

/// What a user expects: `explicit_path` if not empty, else $KUBECONFIG (its first existing file), else in_cluster(),
/// else ~/.kube/config. Errors: as the above; not_found lists every place that was tried.
[[nodiscard]] result<cluster_config> load_default(const std::string& explicit_path = {},
                                                  const std::string& context = {});

}  // namespace orrery::kube
