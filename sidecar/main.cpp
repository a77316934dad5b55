#include "kube/client.hpp"
#include "sidecar/memory.hpp"
#include "sidecar/options.hpp"
#include "sidecar/service.hpp"
#include "sidecar/termination_log.hpp"

#include "shell/log.hpp"
#include <csignal>
#include <sys/resource.h>

namespace {

void raise_file_limit() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace orrery;
  using namespace orrery::sidecar;
  keep_memory_small();
  raise_file_limit();
  std::signal(SIGPIPE, SIG_IGN);
  auto parsed = parse_options(argc, argv);
  if (!parsed.run) return static_cast<int>(parsed.otherwise);
  auto from = load_inputs(*parsed.run);
  if (!from) {
    shell::log::error("cannot start", {{"reason", from.error().context}, {"code", to_string(from.error().code)}});
    write_termination_log(parsed.run->termination_log, from.error().context);
    return static_cast<int>(exit_code::bad_configuration);
  }
  shell::log::set_common({{"node", parsed.run->pod_name}, {"mesh", from->settings.mesh}});
  shell::log::set_level(from->settings.level);
  // The HTTP client's threads cost memory: a static mesh does without them.
  if (from->settings.discovery == discovery_mode::kubernetes) kube::initialize();
  return static_cast<int>(run(*parsed.run, *std::move(from)));
}
