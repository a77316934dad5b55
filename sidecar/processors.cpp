#include "sidecar/processors.hpp"

#include "sidecar/config.hpp"

#include <algorithm>
#include <cstdint>
#include <sched.h>
#include <sstream>
#include <vector>

namespace orrery::sidecar {
namespace {

constexpr std::size_t file_bytes_max = 64U << 10U;

/// Of one that says {quota, period}, in microseconds; none: "max", or -1.
std::optional<double> ratio(const std::string& said) {
  std::istringstream numbers(said);
  std::int64_t quota = 0;
  std::int64_t period = 0;
  if (!(numbers >> quota >> period) || quota <= 0 || period <= 0) return {};
  return static_cast<double>(quota) / static_cast<double>(period);
}

/// "", "/a", "/a/b" of "/a/b": below where control groups are mounted, this process' own and those above it. In a
/// container its own is often at the top of what it sees, whatever the path says.
std::vector<std::string> group_paths(const std::string& root) {
  std::vector<std::string> out{""};
  const auto listed = read_file(root + "/proc/self/cgroup", file_bytes_max);
  std::istringstream lines(listed ? *listed : std::string{});
  for (std::string line; std::getline(lines, line);) {
    const auto first = line.find(':');
    const auto second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    if (controllers != ",," && controllers.find(",cpu,") == std::string::npos) continue;
    const auto path = line.substr(second + 1);
    for (auto end = path.find('/', 1); end != std::string::npos; end = path.find('/', end + 1))
      out.push_back(path.substr(0, end));
    out.push_back(path);
  }
  return out;
}

}  // namespace

unsigned processors_allowed() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  return ::sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? static_cast<unsigned>(CPU_COUNT(&allowed)) : 1U;
}

std::optional<double> processor_quota(const std::string& root) {
  std::optional<double> least;
  const auto note = [&](const std::string& said) {
    if (const auto quota = ratio(said)) least = std::min(least.value_or(*quota), *quota);
  };
  for (const auto& path : group_paths(root)) {
    const auto mounted = root + "/sys/fs/cgroup";
    if (const auto both = read_file(mounted + path + "/cpu.max", file_bytes_max)) note(*both);
    const auto old = mounted + "/cpu" + path + "/cpu.cfs_";  // of control groups version 1
    const auto quota = read_file(old + "quota_us", file_bytes_max);
    const auto period = read_file(old + "period_us", file_bytes_max);
    if (quota && period) note(*quota + " " + *period);
  }
  return least;
}

}  // namespace orrery::sidecar
