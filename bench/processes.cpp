// orrery-bench processes: the process runtime beside the budgets of its design, on one thread. Times are of the machine
// as it is now: run it on a quiet one.
#include "bench/processes.hpp"

#include "mesh/process/runtime.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <malloc.h>
#include <string>
#include <utility>
#include <vector>

namespace orrery::bench {
namespace {

using namespace process;
using wall = std::chrono::steady_clock;

constexpr const char* lua_counter = R"(
return { init = function() return { n = 0 } end,
         call = { add = function(s, by) s.n = s.n + (by or 1) return s.n end,
                  crash = function() error('crash') end } })";

class harness {
 public:
  harness() {
    class_spec counter;
    counter.name = class_name{"counter"};
    counter.supervision.intensity = 100'000;
    counter.supervision.period = std::chrono::nanoseconds{1};
    class_spec lua = counter;
    lua.name = class_name{"lua"};
    lua.behaviour = lua_source{lua_counter};
    must(runtime_.define(counter));
    must(runtime_.define(lua));
  }

  /// A call, run until it is answered.
  void call(const process_name& name, const std::string& method) {
    advance();
    runtime_.call(now_, {name, method, {}, after(now_, std::chrono::seconds{5}), reply_token{++token_}}, out_);
    while (runtime_.run(now_, 64, out_)) {
    }
    ORRERY_BENCH_KEEP(out_);
    out_.clear();
  }
  /// A call that waits for `drain`.
  void post(const process_name& name, const std::string& method) {
    runtime_.call(now_, {name, method, {}, after(now_, std::chrono::seconds{5}), reply_token{++token_}}, out_);
  }
  void drain() {
    while (runtime_.run(now_, 64, out_))
      out_.clear();
    out_.clear();
  }
  void kill(const process_name& name) {
    advance();
    runtime_.kill(now_, name, "bench", out_);
    out_.clear();
  }
  void stop(const process_name& name) {
    runtime_.stop(now_, name, out_);
    out_.clear();
  }

 private:
  static void must(const result<void>& outcome) {
    if (outcome) return;
    std::fprintf(stderr, "orrery-bench: %s\n", to_string(outcome.error()).c_str());
    std::exit(1);
  }
  void advance() { now_ += std::chrono::microseconds{1}; }

  runtime runtime_{{.node = {node_name{"bench"}, boot_number{1}}, .seed = 1}};
  time_point now_{std::chrono::seconds{1}};
  effects out_;
  std::uint64_t token_ = 0;
};

std::vector<process_name> names(const char* klass, int count) {
  std::vector<process_name> made;
  made.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i)
    made.push_back({class_name{klass}, process_key{"p" + std::to_string(i)}});
  return made;
}

/// Nanoseconds of each of `rounds` runs of `once`, sorted.
template <class Once>
std::vector<double> samples(int rounds, Once&& once) {
  std::vector<double> taken;
  taken.reserve(static_cast<std::size_t>(rounds));
  for (int i = 0; i < rounds; ++i) {
    const auto begin = wall::now();
    once(i);
    taken.push_back(std::chrono::duration<double, std::nano>(wall::now() - begin).count());
  }
  std::sort(taken.begin(), taken.end());
  return taken;
}

template <class All>
double nanoseconds_each(int count, All&& all) {
  const auto begin = wall::now();
  all();
  return std::chrono::duration<double, std::nano>(wall::now() - begin).count() / count;
}

double resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  double total = 0;
  double resident = 0;
  statm >> total >> resident;
  return resident * 4096;
}

void row(const char* what, double value, const char* unit, const char* budget) {
  std::printf("  %-52s %10.2f %-5s  %s\n", what, value, unit, budget);
}
void distribution(const char* what, const std::vector<double>& sorted, const char* budget) {
  const auto at = [&](double share) {
    return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1))];
  };
  std::printf("  %-52s %10.2f us     p99 %.2f us, worst %.2f us  %s\n", what, at(0.5) / 1000, at(0.99) / 1000,
              sorted.back() / 1000, budget);
}

void messages(const char* klass, int count, const char* budget) {
  harness node;
  const process_name name{class_name{klass}, process_key{"a"}};
  node.call(name, "add");
  const std::string label = klass;
  row((label + ": call, round trip").c_str(),
      nanoseconds_each(count,
                       [&] {
                         for (int i = 0; i < count; ++i)
                           node.call(name, "add");
                       }),
      "ns", budget);
  row((label + ": call, 1000 waiting at a time").c_str(),
      nanoseconds_each(count,
                       [&] {
                         for (int i = 0; i < count; ++i) {
                           node.post(name, "add");
                           if (i % 1000 == 999) node.drain();
                         }
                         node.drain();
                       }),
      "ns", "");
}

void crashes(const char* klass, int rounds, bool by_kill) {
  harness node;
  const auto all = names(klass, 10'000);
  for (const auto& each : all)
    node.call(each, "add");
  const auto taken = samples(rounds, [&](int i) {
    const auto& name = all[static_cast<std::size_t>(i) % all.size()];
    if (by_kill) {
      node.kill(name);
    } else {
      node.call(name, "crash");
    }
    node.call(name, "add");
  });
  const std::string label = klass;
  distribution((label + (by_kill ? ": killed" : ": crash") + " -> restarted and answering, p50").c_str(), taken,
               "(p50 <= 1.5, p99 <= 10)");
}

void spawns(const char* klass, int count) {
  malloc_trim(0);  // so that resident memory starts from what is in use
  harness node;
  const auto all = names(klass, count);
  const double before = resident_bytes();
  const std::string label = klass;
  row((label + ": start by first call, with its reply").c_str(),
      nanoseconds_each(count,
                       [&] {
                         for (const auto& each : all)
                           node.call(each, "add");
                       }),
      "ns", "(1 M alive: <= 500)");
  row((label + ": memory of an idle process").c_str(), (resident_bytes() - before) / count, "bytes", "(<= 500)");
  row((label + ": stop").c_str(),
      nanoseconds_each(count,
                       [&] {
                         for (const auto& each : all)
                           node.stop(each);
                       }),
      "ns", "");
}

}  // namespace

int run_processes() {
  std::printf("processes, one thread (budgets of the design in brackets)\n");
  messages("counter", 1'000'000, "(<= 300)");
  messages("lua", 300'000, "");
  crashes("counter", 200'000, true);
  crashes("lua", 100'000, true);
  crashes("lua", 100'000, false);
  spawns("lua", 100'000);
  spawns("counter", 1'000'000);
  return 0;
}

}  // namespace orrery::bench
