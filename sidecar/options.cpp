#include "sidecar/options.hpp"

#include "mesh/base/endpoint.hpp"
#include "sidecar/busy_poll.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <cstdio>
#include <vector>

namespace orrery::sidecar {

namespace {

constexpr const char* footer = R"(Exit codes:
    0  drained after SIGTERM or SIGINT
    1  could not start: an address in use, no access to Kubernetes
    2  wrong usage of the command line
   70  a supervisor escalated to the node: restart the container
   71  a supervisor escalated to the pod: replace the pod
   78  the configuration, the genesis or a certificate is missing or wrong
  143  a second SIGTERM ended it before it had drained

The mesh listens on meshPort, health and metrics on adminPort of the configuration (both at --listen).
Changes of the configuration and of the certificates are followed while it runs.)";

std::string check_address(const std::string& text) {
  const auto parsed = parse_endpoint(text);
  return parsed ? std::string() : parsed.error().context;
}
std::string check_ip(const std::string& text) {
  return parse_endpoint(join_endpoint(text, 0)) ? std::string() : fmt::format("'{}' is not an IP address", text);
}

std::string check_origin(const std::string& text) {
  const auto parsed = origins::parse({text});
  return parsed ? std::string() : parsed.error().context;
}

std::string check_busy_poll(const std::string& text) {
  const auto parsed = parse_busy_poll(text);
  return parsed ? std::string() : parsed.error().context;
}

}  // namespace

parsed_options parse_options(int argc, char** argv) {
  options out;
  CLI::App app{"One node of an Orrery mesh: hosts supervised state processes beside an app.", "orrery-sidecar"};
  app.set_version_flag("--version", std::string("orrery-sidecar ") + ORRERY_VERSION);
  app.footer(footer);
  app.add_option("--config", out.config_path, "config.yaml: the mesh and its classes")->required();
  app.add_option("--genesis", out.genesis_path, "genesis.yaml: the mesh's id")->required();
  app.add_option("--tls", out.tls_directory, "Directory with tls.crt, tls.key and ca.crt")->required();
  app.add_option("--sdk", out.sdk_address, "IP:PORT of the SDK's HTTP interface")
      ->capture_default_str()
      ->check(check_address);
  app.add_option("--sdk-socket", out.sdk_socket,
                 "Path of a Unix socket for the SDK protocol; by default there is none");
  app.add_option("--sdk-stream", out.sdk_stream,
                 "IP:PORT of the SDK protocol on TCP; by default it is not served there")
      ->check(check_address);
  std::vector<std::string> allowed;
  app.add_option("--sdk-allow-origin", allowed,
                 "A web page's origin that may use the SDK's HTTP interface and its WebSocket from a browser, as\n"
                 "https://shop.example; several: the option again, or commas. By default there is none")
      ->envname("ORRERY_ALLOWED_ORIGINS")
      ->delimiter(',')
      ->take_all()
      ->check(check_origin);
  app.add_option("--listen", out.listen_ip, "IP of the mesh and admin ports; peers dial it")
      ->envname("POD_IP")
      ->required()
      ->check(check_ip);
  app.add_option("--pod-name", out.pod_name, "This node's name, as its certificate says it")
      ->envname("POD_NAME")
      ->required();
  app.add_option("--pod-namespace", out.pod_namespace, "Namespace of the pod; by default the configuration's")
      ->envname("POD_NAMESPACE");
  app.add_option("--pod-uid", out.pod_uid, "UID of the pod")->envname("POD_UID");
  app.add_option("--kubeconfig", out.kubeconfig, "Kubernetes access; by default $KUBECONFIG, then the pod's own");
  app.add_option("--context", out.context, "Context of the kubeconfig");
  app.add_option(
         "--member-cache", out.member_cache,
         "A file that outlives the container: the members as discovery last named them. With it the node joins\n"
         "at a start while the API server is away; by default nothing is kept")
      ->envname("ORRERY_MEMBER_CACHE");
  std::string busy_poll = "auto";
  app.add_option(
         "--busy-poll", busy_poll,
         "How long to look for work before sleeping, while that finds some: saves wakings, and takes processor\n"
         "time. A duration up to 1ms; off; or auto: 50us, but off with one processor or a quota below two")
      ->envname("ORRERY_BUSY_POLL")
      ->capture_default_str()
      ->check(check_busy_poll);
  app.add_option("--termination-log", out.termination_log,
                 "The container's terminationMessagePath: why it ended is left there, if there is such a file")
      ->envname("ORRERY_TERMINATION_LOG")
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    const bool fine = app.exit(e) == 0;
    return {std::nullopt, fine ? exit_code::drained : exit_code::usage};
  }
  auto pages = origins::parse(allowed);
  if (!pages) {
    fmt::print(stderr, "--sdk-allow-origin: {}\n", pages.error().context);
    return {std::nullopt, exit_code::usage};
  }
  out.pages = *std::move(pages);
  out.busy_poll = *parse_busy_poll(busy_poll);
  return {std::move(out), exit_code::drained};
}

}  // namespace orrery::sidecar
