#include "bench/report.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <numeric>

namespace orrery::bench {

std::vector<std::pair<std::string, double>> summary(std::vector<double>& samples) {
  std::sort(samples.begin(), samples.end());
  const auto at = [&](double share) {
    return samples[static_cast<std::size_t>(share * static_cast<double>(samples.size() - 1))];
  };
  const double mean = std::accumulate(samples.begin(), samples.end(), 0.0) / static_cast<double>(samples.size());
  return {{"p50", at(0.5)}, {"p99", at(0.99)}, {"mean", mean}, {"count", static_cast<double>(samples.size())}};
}

void report::add(const row& measured) const {
  if (as_json_) {
    nlohmann::json values = nlohmann::json::object();
    for (const auto& [name, number] : measured.values)
      values[name] = number;
    const nlohmann::json document{
        {"name", measured.name}, {"unit", measured.unit}, {"values", values}, {"what", measured.what}};
    std::printf("%s\n", document.dump().c_str());
  } else {
    std::printf("%-28s", measured.name.c_str());
    for (const auto& [name, number] : measured.values)
      std::printf("  %s %.6g", name.c_str(), number);
    std::printf("  %s   (%s)\n", measured.unit.c_str(), measured.what.c_str());
  }
  std::fflush(stdout);
}

void give_up(const std::string& why) {
  std::fprintf(stderr, "orrery-bench: %s\n", why.c_str());
  std::_Exit(1);  // threads may be in the middle of anything
}

}  // namespace orrery::bench
