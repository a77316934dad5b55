#include "cli/commands.hpp"
#include "cli/interrupt.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <ctime>

namespace orrery::cli {

namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

constexpr auto report_interval = 1s;
constexpr auto app_call_timeout = 5s;

struct tally {
  std::uint64_t ok = 0;
  std::uint64_t failed = 0;
  std::string last_error;
  std::vector<double> milliseconds;

  [[nodiscard]] double percentile(double p) {
    if (milliseconds.empty()) return 0;
    const auto at = static_cast<std::ptrdiff_t>(p * static_cast<double>(milliseconds.size() - 1));
    std::nth_element(milliseconds.begin(), milliseconds.begin() + at, milliseconds.end());
    return milliseconds[static_cast<std::size_t>(at)];
  }
};

void report(tally& seen) {
  const auto now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  nlohmann::ordered_json line;
  line["time"] = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                             parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
  line["ok"] = seen.ok;
  line["failed"] = seen.failed;
  line["p50Ms"] = std::round(seen.percentile(0.50) * 1000) / 1000;
  line["p99Ms"] = std::round(seen.percentile(0.99) * 1000) / 1000;
  if (!seen.last_error.empty()) line["lastError"] = seen.last_error;
  std::fprintf(stdout, "%s\n", line.dump().c_str());
  std::fflush(stdout);
  seen = {};
}

}  // namespace

exit_code app(session& with, const app_options& options) {
  catch_interrupts();
  tally seen;
  auto report_at = steady_clock::now() + report_interval;
  for (std::uint64_t turn = 0; !interrupted; ++turn) {
    const process_name name{class_name{options.klass}, process_key{fmt::format("app-{}", turn % options.keys)}};
    const auto began = steady_clock::now();
    const auto reply =
        with.sidecar.send({.method = "POST", .target = path_of(name) + "/call/add", .body = "1", .headers = {}},
                          with.timeout.value_or(app_call_timeout));
    seen.milliseconds.push_back(std::chrono::duration<double, std::milli>(steady_clock::now() - began).count());
    if (reply && reply->status == 200) {
      ++seen.ok;
    } else {
      ++seen.failed;
      seen.last_error = to_string(reply ? problem_of(*reply) : reply.error());
    }
    if (steady_clock::now() >= report_at) {
      report(seen);
      report_at += report_interval;
    }
    pause_for(options.interval);
  }
  report(seen);
  return exit_code::ok;
}

}  // namespace orrery::cli
