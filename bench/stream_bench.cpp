// orrery-sdk-bench: the C++ SDK as a caller and as a host.
#include "bench/report.hpp"

#include <CLI/CLI.hpp>

#include <iostream>
#include <limits>
#include <orrery/app.hpp>
#include <string>
#include <thread>
#include <vector>

namespace orrery::bench {
namespace {

constexpr std::size_t warm_up = 500;
app::process_class an_echo() {
  app::process_class echo("echo");
  echo.on_call("echo", [](app::context&, const app::json& argument) { return argument; });
  return echo;
}

/// Callers that each wait for their answer, over one connection, each with a process of its own.
void measure_callers(const report& to, app::client& from, const std::string& process, const std::string& method,
                     std::size_t callers, std::size_t calls) {
  std::vector<std::vector<double>> took(callers);
  const auto call_all = [&](std::size_t caller, std::size_t count, bool counts) {
    const auto name = process + std::to_string(caller);
    for (std::size_t i = 0; i < count; ++i) {
      const auto begun = stopwatch::now();
      static_cast<void>(from.call(name, method));
      if (counts) took[caller].push_back(microseconds(stopwatch::now() - begun));
    }
  };
  const auto together = [&](std::size_t count, bool counts) {
    std::vector<std::thread> threads;
    for (std::size_t caller = 0; caller < callers; ++caller)
      threads.emplace_back(call_all, caller, count, counts);
    for (auto& each : threads)
      each.join();
  };
  together(warm_up / callers + 1, false);
  const auto start = stopwatch::now();
  together(calls / callers, true);
  const auto seconds = microseconds(stopwatch::now() - start) / 1e6;
  std::vector<double> all;
  for (const auto& each : took)
    all.insert(all.end(), each.begin(), each.end());
  auto values = summary(all);
  values.emplace_back("per_second", static_cast<double>(all.size()) / seconds);
  to.add({"call", "us", values, process + "* " + method});
}

/// Hosts until its standard input ends.
void host(app::client& where) {
  if (where.host(an_echo()) != app::class_state::ready) give_up("the sidecar has no class 'echo'");
  std::cout << "ready" << std::endl;
  std::cin.ignore(std::numeric_limits<std::streamsize>::max());
}

}  // namespace
}  // namespace orrery::bench

int main(int argc, char** argv) {
  using namespace orrery;
  using namespace orrery::bench;
  CLI::App options(
      "The C++ SDK's part of ./dev bench sdk: calls, or hosts, through a sidecar that runs. bench/sdks.py drives it.");
  options.require_subcommand(1);
  app::client_options where;
  std::string process;
  std::string method;
  std::size_t callers = 1;
  std::size_t calls = 5000;
  auto* hosting = options.add_subcommand("host", "Hosts the class echo until its standard input ends");
  auto* calling = options.add_subcommand("call", "Calls, and prints a row as JSON");
  for (auto* each : {hosting, calling}) {
    each->add_option("--socket", where.socket, "The sidecar's Unix socket");
    each->add_option("--tcp", where.tcp, "Or its IP:PORT");
  }
  calling->add_option("--process", process, "CLASS/KEY; each caller's has a number behind it")->required();
  calling->add_option("--method", method, "A method that takes null")->required();
  calling->add_option("--callers", callers, "At once (default: 1)")->check(CLI::Range(1, 1000));
  calling->add_option("--calls", calls, "In all (default: 5000)")->check(CLI::Range(100, 10'000'000));
  CLI11_PARSE(options, argc, argv);

  try {
    app::client sidecar(where);
    sidecar.open();
    if (*hosting) {
      host(sidecar);
    } else {
      measure_callers(report{true}, sidecar, process, method, callers, calls);
    }
  } catch (const app::error& why) {
    give_up(why.what());
  }
  return 0;
}
