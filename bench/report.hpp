#pragma once
// bench/: measurements. orrery-bench measures inside one process (runtime, connections) and, as a client, an SDK
// server; run.py adds a mesh of real programs, the budgets, and the table.
#include <chrono>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace orrery::bench {

using stopwatch = std::chrono::steady_clock;

/// One measurement: figures of one unit, e.g. {"p50", 0.4}, {"p99", 0.9}.
struct row {
  std::string name;  ///< stable: "process/call"
  std::string unit;  ///< "us", "bytes", "1/s"
  std::vector<std::pair<std::string, double>> values;
  std::string what;  ///< for people: what was done, how often
};

/// The samples' p50, p99, mean and count. Sorts them. REQUIRES: at least one.
[[nodiscard]] std::vector<std::pair<std::string, double>> summary(std::vector<double>& samples);

/// Prints rows as they come: JSON lines for run.py, a line of text for people.
class report {
 public:
  explicit report(bool as_json) : as_json_(as_json) {}
  void add(const row& measured) const;

 private:
  bool as_json_;
};

/// Ends the program with the reason: a benchmark that cannot measure what it says has no result.
[[noreturn]] void give_up(const std::string& why);

[[nodiscard]] inline double microseconds(stopwatch::duration took) {
  return std::chrono::duration<double, std::micro>(took).count();
}

inline constexpr std::size_t batches = 300;

/// Adds a row of microseconds for one of the `each` that `operations` does, over `times` runs after a fifth as many
/// that do not count.
template <class Operations>
void measure(const report& to, const char* name, const char* what, std::size_t each, Operations operations,
             std::size_t times = batches) {
  std::vector<double> took;
  for (std::size_t i = 0; i < times + times / 5; ++i) {
    const auto start = stopwatch::now();
    operations();
    const auto end = stopwatch::now();
    if (i >= times / 5) took.push_back(microseconds(end - start) / static_cast<double>(each));
  }
  to.add({name, "us", summary(took), what});
}

/// Processes in one runtime, in one thread: calls, starts, crashes, idle memory.
void measure_processes(const report& to);
/// The kernel below them, operation by operation as bench/peers measures other systems.
void measure_kernel(const report& to);
/// Processes written in Lua, script to script, operation by operation as bench/peers measures other systems.
void measure_scripts(const report& to);
/// Frames between two nodes over mutual TLS on loopback, each node on its own thread.
void measure_connections(const report& to, std::size_t payload_bytes, std::size_t round_trips);
/// Calls and casts from one node to a process of another.
void measure_nodes(const report& to);
/// What this machine's kernel takes by itself: the clock, and one byte there and back over TCP between two threads.
void measure_floor(const report& to);

struct sdk_target {
  std::string host;  ///< an IPv4 address
  std::string port;
  std::string process;  ///< "counter/a", a key that needs no escaping
  std::string method;
};
/// One call after the other over one kept connection to an SDK server, of each caller; every answer must be 200. With
/// `kill_first` each time is of a kill and the next call.
void measure_sdk(const report& to, const sdk_target& target, std::size_t callers, std::size_t calls, bool kill_first,
                 const std::string& row_name);

}  // namespace orrery::bench
