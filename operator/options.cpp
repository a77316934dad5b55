#include "operator/options.hpp"

#include "mesh/base/identity.hpp"
#include "mesh/base/ids.hpp"

#include <CLI/CLI.hpp>

#include <string>
#include <utility>

namespace orrery::op {

namespace {

/// "$(POD_IP):8080" has no brackets where the pod's address is of IPv6.
std::string with_brackets(std::string address) {
  const auto port = address.rfind(':');
  if (address.starts_with('[') || port == std::string::npos || address.find(':') == port) return address;
  return "[" + address.substr(0, port) + "]" + address.substr(port);
}

}  // namespace

parsed_options parse_options(int argc, const char* const* argv) {
  parsed_options out;
  auto& to = out.chosen;
  CLI::App app{"Orrery's operator: turns ProcessMesh objects into pods that form a mesh, and keeps them so.",
               "orrery-operator"};
  app.set_version_flag("--version", std::string("orrery-operator ") + ORRERY_VERSION);
  app.add_option("--kubeconfig", to.kubeconfig,
                 "Kubeconfig file. Default: $KUBECONFIG, else the pod's service account, else ~/.kube/config");
  app.add_option("--context", to.context, "Context of the kubeconfig. Default: its current one");
  app.add_option("--namespace,-n", to.namespaces,
                 "Watch this namespace only; may be repeated. Then Roles suffice. Default: all namespaces")
      ->check([](const std::string& name) {
        return is_dns_label(name) ? std::string{} : "`" + name + "` is no namespace: a DNS label is accepted";
      });
  app.add_flag("--leader-election,!--no-leader-election", to.leader_election,
               "Act only while holding the Lease orrery-operator, so that of several operators one acts. Default: on");
  app.add_option("--leader-election-namespace", to.leader_election_namespace,
                 "Where the Lease is. Default: the pod's namespace, else the first --namespace, else default");
  app.add_option("--metrics-address", to.metrics_address,
                 "ADDRESS:PORT of /metrics, /healthz and /readyz; port 0 takes a free one; `off` serves nothing")
      ->capture_default_str();
  app.add_option("--sidecar-image", to.sidecar_image, "The sidecar's image where a ProcessMesh names none")
      ->envname("ORRERY_SIDECAR_IMAGE")
      ->capture_default_str();
  app.add_option("--log-level", to.log_level, "What to log")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}))
      ->capture_default_str();
  app.footer("Exit status: 0 after SIGTERM or SIGINT, 1 if it cannot start, 2 for a wrong command line.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    out.exit_code = app.exit(error) == 0 ? 0 : 2;
  }
  to.metrics_address = with_brackets(std::move(to.metrics_address));
  return out;
}

}  // namespace orrery::op
