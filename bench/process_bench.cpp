// The runtime by itself, as a node's loop drives it: one thread, no sockets. Its clock is turned by hand, so that the
// only reading of the real one is ours.
#include "bench/report.hpp"
#include "mesh/process/runtime.hpp"

#include <ctime>
#include <fstream>
#include <malloc.h>
#include <string>
#include <unistd.h>
#include <vector>

namespace orrery::bench {
namespace {

using namespace process;
using namespace std::chrono_literals;

constexpr std::size_t batch = 1000;  // operations between two readings of the clock, where each is too short for it
constexpr std::size_t batches = 500;
constexpr std::size_t start_batches = 100;
constexpr std::size_t siblings = 100'000;  // processes that live beside the one that crashes
constexpr std::size_t crashes = 20'000;
constexpr std::size_t idle_native = 1'000'000;
constexpr std::size_t idle_lua = 1'000'000;

constexpr const char* script = R"(
local c = {call = {}, cast = {}}
function c.init(key) return {count = 0} end
function c.call.get(state) return state.count end
function c.call.add(state, by) state.count = state.count + by return state.count end
function c.cast.get(state) end
function c.cast.boom(state) error("boom") end
return c
)";

/// A runtime with one class in it, and what its node would do with its effects.
class shard {
 public:
  explicit shard(behaviour_spec behaviour) {
    class_spec spec;
    spec.name = klass_;
    spec.behaviour = std::move(behaviour);
    spec.supervision.period = 1ms;  // every crash is its own period
    if (const auto defined = rt_.define(spec); !defined) give_up(to_string(defined.error()));
  }

  [[nodiscard]] process_name name(std::size_t number) const { return {klass_, process_key{std::to_string(number)}}; }
  [[nodiscard]] std::size_t count() const { return rt_.count(); }

  void call(const process_name& to, const char* method) {
    rt_.call(now_, {.name = to, .method = method, .argument = {}, .deadline = after(now_, 5s), .token = next()}, out_);
  }
  void cast(const process_name& to, const char* method) { (void)rt_.cast(now_, to, method, {}, out_); }
  void kill(const process_name& who) {
    if (!rt_.kill(now_, who, "bench", out_)) give_up("there was no process to kill");
  }
  void stop(const process_name& who) {
    if (!rt_.stop(now_, who, out_)) give_up("there was no process to stop");
  }
  void run() {
    while (rt_.run(now_, 1000, out_)) {
    }
  }

  struct seen {
    std::size_t replies = 0;
    std::size_t started = 0;
    std::size_t exited = 0;
    std::size_t restarted = 0;
  };
  /// What happened since the last time; an error instead of a reply ends the program.
  seen collect() {
    seen happened;
    for (const auto& each : out_) {
      if (const auto* reply = std::get_if<replied>(&each)) {
        if (!reply->reply) give_up("a call was refused: " + to_string(reply->reply.error()));
        ++happened.replies;
      } else if (const auto* event = std::get_if<process_event>(&each)) {
        happened.started += event->what == process_event::kind::started ? 1U : 0U;
        happened.exited += event->what == process_event::kind::exited ? 1U : 0U;
        happened.restarted += event->what == process_event::kind::restarted ? 1U : 0U;
      } else if (!std::holds_alternative<script_failure>(each) && !std::holds_alternative<crashed>(each)) {
        // (of those the end that they led to is told as well)
        give_up("an effect that no benchmark asked for");
      }
    }
    out_.clear();
    now_ += 1s;
    return happened;
  }

 private:
  reply_token next() { return reply_token{++token_}; }

  const class_name klass_{"bench"};
  runtime rt_{{.node = {node_name{"bench-0"}, boot_number{1}}}};
  time_point now_{1s};
  effects out_;
  std::uint64_t token_ = 0;
};

double processor_microseconds() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) * 1e6 + static_cast<double>(used.tv_nsec) / 1e3;
}

void expect(bool holds, const char* what) {
  if (!holds) give_up(std::string{"not what was to be measured: "} + what);
}

/// What one operation of a batch took, on the wall and of this thread's processor time. On a busy machine the two
/// differ by what others took.
struct cost {
  double wall;
  double cpu;
};
/// Runs a batch of operations.
template <class Batch>
cost cost_of(Batch operations) {
  const auto cpu = processor_microseconds();
  const auto start = stopwatch::now();
  operations();
  const auto wall = microseconds(stopwatch::now() - start);
  return {wall / double{batch}, (processor_microseconds() - cpu) / double{batch}};
}

std::vector<std::pair<std::string, double>> cost_summary(const std::vector<cost>& costs) {
  std::vector<double> walls;
  double cpu = 0;
  for (const auto& each : costs) {
    walls.push_back(each.wall);
    cpu += each.cpu;
  }
  auto values = summary(walls);
  values.emplace_back("cpu", cpu / static_cast<double>(costs.size()));
  return values;
}

void measure_calls(const report& to, shard& in, const std::string& kind) {
  const auto target = in.name(0);
  std::vector<cost> calls;
  std::vector<cost> casts;
  for (std::size_t i = 0; i < batches; ++i) {
    calls.push_back(cost_of([&] {
      for (std::size_t n = 0; n < batch; ++n) {
        in.call(target, "get");
        in.run();
      }
    }));
    expect(in.collect().replies == batch, "every call is answered");
    casts.push_back(cost_of([&] {
      for (std::size_t n = 0; n < batch; ++n)
        in.cast(target, "get");
      in.run();
    }));
    in.collect();
  }
  to.add({"process/call_" + kind, "us", cost_summary(calls), "call, deadline and reply; batches of 1000"});
  to.add({"process/cast_" + kind, "us", cost_summary(casts), "one-way message, sent and handled; batches of 1000"});
}

void measure_starts(const report& to, shard& in, const std::string& kind) {
  std::size_t number = 10'000'000;
  std::vector<process_name> fresh(batch);
  std::vector<cost> starts;
  std::vector<cost> both;
  for (std::size_t i = 0; i < start_batches; ++i) {
    for (auto& each : fresh)
      each = in.name(number++);
    const auto starting = cost_of([&] {
      for (const auto& each : fresh) {
        in.call(each, "get");
        in.run();
      }
    });
    const auto happened = in.collect();
    expect(happened.started == batch && happened.replies == batch, "every first call starts a process");
    const auto stopping = cost_of([&] {
      for (const auto& each : fresh)
        in.stop(each);
    });
    expect(in.collect().exited == batch, "every stop is told");
    starts.push_back(starting);
    both.push_back({starting.wall + stopping.wall, starting.cpu + stopping.cpu});
  }
  to.add({"process/start_" + kind, "us", cost_summary(starts),
          "first call on a fresh name, to its reply; batches of 1000"});
  to.add({"process/start_stop_" + kind, "us", cost_summary(both),
          "the same and an orderly stop, both told as events; batches of 1000"});
}

/// From the crash to the reply of the next call, each crash by itself. `crash` makes process `who` crash.
template <class Crash>
void measure_crashes(const report& to, shard& in, const std::string& name, const std::string& what, Crash crash) {
  std::vector<double> took;
  took.reserve(crashes);
  const std::size_t alive = in.count();
  std::vector<process_name> names;
  for (std::size_t i = 0; i < crashes; ++i)
    names.push_back(in.name(i * 7919 % siblings));
  for (const auto& who : names) {
    const auto start = stopwatch::now();
    crash(who);
    in.call(who, "get");
    in.run();
    took.push_back(microseconds(stopwatch::now() - start));
    const auto happened = in.collect();
    expect(happened.replies == 1 && happened.restarted == 1, "one restart and one reply for a crash");
  }
  expect(in.count() == alive, "nobody else ends");
  to.add({name, "us", summary(took), what});
}

struct memory {
  double resident = 0;
  double allocated = 0;
};
memory memory_now() {
  std::size_t total = 0;
  std::size_t resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return {static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE)),
          static_cast<double>(mallinfo2().uordblks + mallinfo2().hblkhd)};
}

void measure_idle(const report& to, behaviour_spec behaviour, const std::string& kind, std::size_t count) {
  malloc_trim(0);
  shard in{std::move(behaviour)};
  std::vector<process_name> names(batch);
  in.cast(in.name(count), "get");
  in.run();
  in.collect();
  const auto before = memory_now();
  std::vector<cost> took;
  for (std::size_t number = 0; number < count;) {
    for (auto& each : names)
      each = in.name(number++);
    took.push_back(cost_of([&] {
      for (const auto& each : names)
        in.cast(each, "get");
      in.run();
    }));
    expect(in.collect().started == batch, "every first cast starts a process");
  }
  const auto now = memory_now();
  expect(in.count() == count + 1, "all are alive");
  const auto many = static_cast<double>(count);
  const auto alive = std::to_string(count) + " alive at the end";
  to.add({"process/idle_create_" + kind, "us", cost_summary(took), "first message of each of many; " + alive});
  to.add({"process/idle_memory_" + kind,
          "bytes",
          {{"resident", (now.resident - before.resident) / many},
           {"allocated", (now.allocated - before.allocated) / many}},
          "memory of an idle process; " + alive});
}

void measure_class(const report& to, const behaviour_spec& behaviour, const std::string& kind) {
  shard in{behaviour};
  for (std::size_t i = 0; i < siblings; ++i) {
    in.cast(in.name(i), "get");
    if (i % batch == 0) in.run();
  }
  in.run();
  in.collect();
  measure_calls(to, in, kind);
  measure_starts(to, in, kind);
  measure_crashes(to, in, "process/crash_" + kind,
                  "killed, restarted, next call answered; any of " + std::to_string(siblings) + " processes",
                  [&](const process_name& who) { in.kill(who); });
  if (kind == "lua") {
    measure_crashes(to, in, "process/error_lua", "a message that raises an error, restart, next call answered",
                    [&](const process_name& who) {
                      in.cast(who, "boom");
                      in.run();
                    });
  }
}

}  // namespace

void measure_processes(const report& to) {
  measure_idle(to, builtin_kind::counter, "counter", idle_native);  // first: on a heap that nobody has used
  measure_idle(to, lua_source{script}, "lua", idle_lua);
  measure_class(to, builtin_kind::counter, "counter");
  measure_class(to, lua_source{script}, "lua");
}

}  // namespace orrery::bench
