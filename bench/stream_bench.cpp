// orrery-sdk-bench: the SDK protocol, its client in C++ and classes that an app hosts, against a sidecar of its own.
#include "bench/report.hpp"
#include "sidecar/testing/local_mesh.hpp"

#include <CLI/CLI.hpp>

#include <atomic>
#include <csignal>
#include <fstream>
#include <orrery/app.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

namespace orrery::bench {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t warm_up = 500;
constexpr const char* classes = R"(  - {name: counter, behaviour: {builtin: counter}}
  - {name: echo, behaviour: {app: {}}}
)";

app::process_class an_echo() {
  app::process_class echo("echo");
  echo.on_init([](const app::context&) { return 0; })
      .on_call("same", [](app::context&, const app::json& argument) { return argument; })
      .on_call("count", [](app::context& self, const app::json&) {
        self.state() = self.state().get<int>() + 1;
        return self.state();
      });
  return echo;
}

/// Seconds of processor that a process has used.
double cpu_seconds(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(in, text);
  std::istringstream fields(text.substr(text.rfind(')') + 2));
  std::string skipped;
  for (int i = 0; i < 11; ++i)
    fields >> skipped;
  double user = 0;
  double system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

struct target {
  std::string row;
  std::string process;
  std::string method;
};

void one_caller(const report& to, app::client& from, const target& what, std::size_t calls) {
  std::vector<double> took;
  for (std::size_t i = 0; i < warm_up + calls; ++i) {
    const auto start = stopwatch::now();
    static_cast<void>(from.call(what.process, what.method));
    if (i >= warm_up) took.push_back(microseconds(stopwatch::now() - start));
  }
  to.add({what.row + "/one", "us", summary(took), what.process + " " + what.method + ", one caller after the other"});
}

/// Callers that each wait for their answer, over one connection, each with a process of its own.
void many_callers(const report& to, app::client& from, const target& what, std::size_t calls, std::size_t callers,
                  pid_t sidecar) {
  std::atomic<std::size_t> left{calls};
  std::vector<std::vector<double>> took(callers);
  const auto cpu = cpu_seconds(sidecar);
  const auto start = stopwatch::now();
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < callers; ++i) {
    threads.emplace_back([&, i] {
      const auto name = what.process + std::to_string(i);
      while (left.fetch_sub(1) - 1 < calls) {
        const auto begun = stopwatch::now();
        static_cast<void>(from.call(name, what.method));
        took[i].push_back(microseconds(stopwatch::now() - begun));
      }
    });
  }
  for (auto& each : threads)
    each.join();
  const auto seconds = microseconds(stopwatch::now() - start) / 1e6;
  std::vector<double> all;
  for (const auto& each : took)
    all.insert(all.end(), each.begin(), each.end());
  auto values = summary(all);
  values.emplace_back("per_second", static_cast<double>(all.size()) / seconds);
  values.emplace_back("sidecar_cpu_us", (cpu_seconds(sidecar) - cpu) * 1e6 / static_cast<double>(all.size()));
  to.add({what.row + "/many", "us", values, std::to_string(callers) + " callers at once, over one connection"});
}

}  // namespace
}  // namespace orrery::bench

int main(int argc, char** argv) {
  using namespace orrery;
  using namespace orrery::bench;
  CLI::App options("Measures the SDK protocol against a sidecar of its own, on this machine.");
  std::string binary = "build/release/bin/orrery-sidecar";
  std::size_t calls = 20'000;
  std::size_t callers = 64;
  bool as_json = false;
  options.add_option("--sidecar", binary, "orrery-sidecar")->capture_default_str();
  options.add_option("--calls", calls, "How many of each kind")->check(CLI::Range(1000, 10'000'000));
  options.add_option("--callers", callers, "How many at once")->check(CLI::Range(1, 1000));
  options.add_flag("--json", as_json, "One JSON object a line: name, unit, values, what");
  CLI11_PARSE(options, argc, argv);

  sidecar::fixtures::local_mesh mesh({.binary = binary, .nodes = 1, .classes = classes});
  if (!mesh.wait_ready(30s)) give_up("the sidecar is not ready: " + mesh.log(0));
  const report to{as_json};
  const auto measure = [&](const std::string& kind, app::client_options where) {
    where.log = [](const std::string&) {};
    app::client hosting(where);
    hosting.host(an_echo());
    app::client calling(where);
    calling.open();
    for (const target& what : {target{"sdk/" + kind + "/builtin", "counter/bench", "get"},
                               target{"sdk/" + kind + "/hosted", "echo/bench", "same"},
                               target{"sdk/" + kind + "/hosted_state", "echo/state", "count"}}) {
      one_caller(to, calling, what, calls);
      many_callers(to, calling, what, calls, callers, mesh.pid(0));
    }
  };
  app::client_options over_socket;
  over_socket.socket = mesh.sdk_socket(0);
  measure("socket", over_socket);
  app::client_options over_tcp;
  over_tcp.socket = "/none";  // not the environment's
  over_tcp.tcp = mesh.sdk_stream(0);
  measure("tcp", over_tcp);
  return 0;
}
