// orrery-bench: measures the parts of Orrery by themselves. `./dev bench` runs it and more; see README.md here.
#include "bench/report.hpp"
#include "mesh/wire/frame.hpp"

#include <CLI/CLI.hpp>

#include <string>

int main(int argc, char** argv) {
  using namespace orrery;
  CLI::App app("Measures the parts of Orrery by themselves. Without a command: processes, net and floor.");
  app.require_subcommand(0, 1);
  bool as_json = false;
  app.add_flag("--json", as_json, "One JSON object a line: name, unit, values, what");

  app.add_subcommand("processes", "Processes in one runtime: calls, starts, crashes, idle memory")->fallthrough();
  app.add_subcommand("kernel", "The process model below them, as other systems are measured beside it")->fallthrough();
  app.add_subcommand("lua", "Processes written in Lua, script to script")->fallthrough();
  app.add_subcommand("nodes", "Calls and casts from one node to a process of another, over mutual TLS")->fallthrough();
  app.add_subcommand("floor", "What the clock and the loopback take by themselves")->fallthrough();

  std::size_t payload = 100;
  std::size_t round_trips = 20'000;
  auto* net = app.add_subcommand("net", "Frames between two nodes over mutual TLS")->fallthrough();
  net->add_option("--payload", payload, "Bytes of a frame")->check(CLI::Range(std::size_t{0}, wire::payload_bytes_max));
  net->add_option("--round-trips", round_trips, "How many")->check(CLI::Range(1, 10'000'000));

  bench::sdk_target target{.host = {}, .port = "3600", .process = "counter/bench", .method = "get"};
  std::size_t calls = 5000;
  std::string row_name = "sdk/call";
  auto* sdk = app.add_subcommand("sdk", "Calls through an SDK server that runs elsewhere")->fallthrough();
  sdk->add_option("--host", target.host, "Its IPv4 address")->required();
  sdk->add_option("--port", target.port, "Its port (default: 3600)");
  sdk->add_option("--process", target.process, "CLASS/KEY, percent-encoded (default: counter/bench)");
  sdk->add_option("--method", target.method, "A method that takes null (default: get)");
  sdk->add_option("--calls", calls, "How many (default: 5000)")->check(CLI::Range(1, 10'000'000));
  std::size_t callers = 1;
  sdk->add_option("--callers", callers, "At once, each on a connection of its own (default: 1)")
      ->check(CLI::Range(1, 1000));
  bool kill_first = false;
  sdk->add_flag("--kill", kill_first, "Kill the process before each call, and time both");
  sdk->add_option("--name", row_name, "Name of the row");
  CLI11_PARSE(app, argc, argv);

  const bench::report to{as_json};
  const auto chosen = app.get_subcommands();
  const auto wanted = [&](const char* name) { return chosen.empty() || chosen.front()->get_name() == name; };
  if (*sdk) {
    bench::measure_sdk(to, target, callers, calls, kill_first, row_name);
    return 0;
  }
  if (wanted("floor")) bench::measure_floor(to);
  if (wanted("processes")) bench::measure_processes(to);
  if (!chosen.empty() && wanted("kernel")) bench::measure_kernel(to);
  if (!chosen.empty() && wanted("lua")) bench::measure_scripts(to);
  if (!chosen.empty() && wanted("nodes")) bench::measure_nodes(to);
  if (wanted("net")) bench::measure_connections(to, payload, round_trips);
  return 0;
}
