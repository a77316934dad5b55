// orrery-local: a Kubernetes API server and kubelet in one program; pods are local processes.
#include "kube/local/cluster.hpp"

#include <CLI/CLI.hpp>

#include <csignal>
#include <cstdio>

int main(int argc, char** argv) {
  orrery::local::cluster_options options;
  std::vector<std::string> images;
  double backoff = 10;
  bool no_rbac = false;
  CLI::App app(
      "A Kubernetes cluster for this machine alone: kubectl works on it, and pods are local processes.\n"
      "Runs until SIGINT or SIGTERM, then terminates all pods. State is not kept.",
      "orrery-local");
  app.set_version_flag("--version", std::string("orrery-local ") + ORRERY_VERSION);
  app.footer("Exit status: 0 after SIGTERM or SIGINT, 1 if it cannot start, 2 for a wrong command line.");
  app.add_option("--dir", options.directory, "Directory for the kubeconfig and the pods")->required();
  app.add_option("--port", options.port, "Port of the API server on 127.0.0.1 (default: any)");
  app.add_option("--nodes", options.nodes, "Number of nodes that pods are spread over")->check(CLI::Range(1, 100));
  app.add_option("--image", images, "NAME=PROGRAM: what to run for an image; may be given often")
      ->check([](const std::string& text) {
        const auto equal = text.find('=');
        return equal == 0 || equal == std::string::npos || equal + 1 == text.size()
                   ? "expected NAME=PROGRAM, e.g. localhost/app:dev=/usr/bin/app"
                   : std::string();
      });
  app.add_option("--backoff", backoff, "Seconds of the first CrashLoopBackOff; doubles up to five minutes")
      ->check(CLI::Range(0.01, 300.0));
  app.add_flag("--no-rbac", no_rbac, "Let service accounts do everything");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  for (const auto& each : images)
    options.images[each.substr(0, each.find('='))] = each.substr(each.find('=') + 1);
  options.backoff_base = std::chrono::milliseconds(static_cast<std::int64_t>(backoff * 1000));
  options.authorize = !no_rbac;

  // Before any thread, so that all inherit the mask and only this one takes the signals.
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGINT);
  sigaddset(&stop, SIGTERM);
  sigprocmask(SIG_BLOCK, &stop, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  auto running = orrery::local::cluster::start(std::move(options));
  if (!running) {
    std::fprintf(stderr, "orrery-local: %s\n", orrery::to_string(running.error()).c_str());
    return 1;
  }
  std::printf("%s\n", (*running)->kubeconfig_path().c_str());
  std::fflush(stdout);
  std::fprintf(stderr, "orrery-local: serving %s; export KUBECONFIG=%s\n", (*running)->url().c_str(),
               (*running)->kubeconfig_path().c_str());
  int signal = 0;
  sigwait(&stop, &signal);
  std::fprintf(stderr, "orrery-local: stopping\n");
  return 0;
}
