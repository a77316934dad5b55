#include "kube/client.hpp"
#include "kube/config.hpp"
#include "operator/controller.hpp"
#include "operator/options.hpp"

#include "shell/log.hpp"
#include <csignal>
#include <cstdio>
#include <malloc.h>
#include <string>

int main(int argc, char** argv) {
  using namespace orrery;
  // Threads that mostly wait need no heap each, and what a big list took is given back.
  mallopt(M_ARENA_MAX, 2);
  mallopt(M_TRIM_THRESHOLD, 1 << 18);
  const auto parsed = op::parse_options(argc, argv);
  if (parsed.exit_code >= 0) return parsed.exit_code;
  // Blocked before any thread is made, so that only sigwait() below gets them.
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  kube::initialize();
  static_cast<void>(shell::log::set_level(parsed.chosen.log_level));  // options.cpp accepts no other names

  auto cluster = kube::load_default(parsed.chosen.kubeconfig, parsed.chosen.context);
  if (!cluster) {
    std::fprintf(stderr, "orrery-operator: %s\n", to_string(cluster.error()).c_str());
    return 1;
  }
  op::controller controller(parsed.chosen, std::move(*cluster));
  if (auto started = controller.start(); !started) {
    std::fprintf(stderr, "orrery-operator: %s\n", to_string(started.error()).c_str());
    return 1;
  }
  int signal = 0;
  sigwait(&ends, &signal);
  shell::log::info("stopping", {{"signal", signal == SIGTERM ? "SIGTERM" : "SIGINT"}});
  controller.stop();
  return 0;
}
