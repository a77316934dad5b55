// orrery-sim: a mesh in one thread under a simulated clock and network, troubled at random and checked.
#include "mesh/sim/scenario.hpp"

#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdio>

int main(int argc, char** argv) {
  using namespace orrery;
  CLI::App app{"Simulates a mesh: the same seed gives the same run. Exits 1 if a check fails."};
  std::uint64_t seed = 1;
  std::uint64_t count = 1;
  double seconds = 0;
  std::size_t nodes = 0;
  std::string kind;
  bool verbose = false;
  app.add_option("--seed", seed, "the first seed");
  app.add_option("--count", count, "how many seeds, one after the other");
  app.add_option("--seconds", seconds, "simulated seconds of trouble (the seed's choice)")
      ->check(CLI::Range(0.1, 86400.0));
  app.add_option("--nodes", nodes, "nodes at the beginning (the seed's choice)")->check(CLI::Range(1, 12));
  app.add_option("--trouble", kind,
                 "planned, slow, apps, slow_apps, app_chaos or chaos (the seed's choice: planned or chaos)")
      ->check(CLI::IsMember({"planned", "slow", "apps", "slow_apps", "app_chaos", "chaos"}));
  app.add_flag("-v,--verbose", verbose, "print what every node does");
  CLI11_PARSE(app, argc, argv);

  std::uint64_t failures = 0;
  double simulated = 0;
  const auto began = std::chrono::steady_clock::now();
  for (std::uint64_t i = 0; i < count; ++i) {
    auto chosen = sim::from_seed(seed + i);
    chosen.verbose = verbose;
    if (seconds > 0) chosen.lasting = std::chrono::duration_cast<duration>(std::chrono::duration<double>(seconds));
    if (nodes > 0) chosen.nodes = nodes;
    if (kind == "planned") chosen.kind = sim::trouble::planned;
    if (kind == "slow") chosen.kind = sim::trouble::slow;
    if (kind == "apps") chosen.kind = sim::trouble::apps;
    if (kind == "slow_apps") chosen.kind = sim::trouble::slow_apps;
    if (kind == "app_chaos") chosen.kind = sim::trouble::app_chaos;
    if (kind == "chaos") chosen.kind = sim::trouble::chaos;
    const auto done = sim::run(chosen);
    simulated += std::chrono::duration<double>(done.simulated).count();
    if (!done.wrong.empty()) ++failures;
    if (count > 1 && done.wrong.empty()) continue;
    std::printf("seed %llu: %s, %zu nodes, %zu requests answered, %zu failed, log %016llx: %s\n",
                static_cast<unsigned long long>(chosen.seed),
                kind.empty() ? chosen.kind == sim::trouble::planned ? "planned" : "chaos" : kind.c_str(), chosen.nodes,
                done.answered, done.failed, static_cast<unsigned long long>(done.log_hash),
                done.wrong.empty() ? "fine" : "WRONG");
    for (std::size_t w = 0; w < done.wrong.size() && w < 10; ++w)
      std::printf("  %s\n", done.wrong[w].c_str());
    std::fflush(stdout);
  }
  const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  std::printf("%llu of %llu seeds failed; %.0f simulated seconds in %.1f s\n",
              static_cast<unsigned long long>(failures), static_cast<unsigned long long>(count), simulated, took);
  return failures == 0 ? 0 : 1;
}
