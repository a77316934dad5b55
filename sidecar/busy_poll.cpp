#include "sidecar/busy_poll.hpp"

#include "mesh/base/duration_text.hpp"
#include "sidecar/config.hpp"

#include <boost/asio/io_context.hpp>
#include <fmt/format.h>

#include <cstdint>
#include <sched.h>
#include <sstream>
#include <string>
#include <vector>

namespace orrery::sidecar {
namespace {

constexpr std::size_t file_bytes_max = 64U << 10U;

/// Of one that says {quota, period}, in microseconds.
std::optional<double> ratio(std::istream& said) {
  std::int64_t quota = 0;
  std::int64_t period = 0;
  if (!(said >> quota >> period) || quota <= 0 || period <= 0) return {};  // "max", or -1
  return static_cast<double>(quota) / static_cast<double>(period);
}

/// The paths of this process below where control groups are mounted. In a container it is often at the top of what it
/// sees, whatever this says.
std::vector<std::string> group_paths(const std::string& root) {
  std::vector<std::string> out{""};
  const auto listed = read_file(root + "/proc/self/cgroup", file_bytes_max);
  std::istringstream lines(listed ? *listed : std::string{});
  for (std::string line; std::getline(lines, line);) {
    const auto first = line.find(':');
    const auto second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    if (controllers == ",," || controllers.find(",cpu,") != std::string::npos) out.push_back(line.substr(second + 1));
  }
  return out;
}

bool look(boost::asio::io_context& io, duration length) {
  const auto until = std::chrono::steady_clock::now() + length;
  do {
    if (io.poll() > 0) return true;
    ::sched_yield();  // whoever else can run here comes first
  } while (std::chrono::steady_clock::now() < until);
  return false;
}

}  // namespace

result<std::optional<duration>> parse_busy_poll(const std::string& text) {
  if (text == "auto") return std::optional<duration>{};
  if (text == "off") return std::optional{duration{0}};
  const auto length = parse_duration(text);
  if (!length || *length > busy_poll::length_max) {
    return fail(errc::invalid_argument, fmt::format("'{}' is neither auto, nor off, nor a duration up to 1ms", text));
  }
  return std::optional{*length};
}

std::optional<double> processor_quota(const std::string& root) {
  std::optional<double> least;
  const auto note = [&](const std::string& said) {
    std::istringstream numbers(said);
    const auto quota = ratio(numbers);
    if (quota && (!least || *quota < *least)) least = quota;
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

duration busy_poll_length(unsigned processors, std::optional<double> quota) {
  constexpr double enough = 2;
  return processors >= enough && quota.value_or(enough) >= enough ? busy_poll::usual_length : duration{0};
}

duration busy_poll_length() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  const bool known = ::sched_getaffinity(0, sizeof allowed, &allowed) == 0;
  return busy_poll_length(known ? static_cast<unsigned>(CPU_COUNT(&allowed)) : 1U, processor_quota());
}

void run(boost::asio::io_context& io, busy_poll looks) {
  while (!io.stopped()) {
    io.run_one();
    io.poll();
    for (bool found = true; found && !io.stopped();) {
      const auto length = looks.next();
      if (length == duration{0}) break;
      found = look(io, length);
      looks.found(found);
    }
  }
}

}  // namespace orrery::sidecar
