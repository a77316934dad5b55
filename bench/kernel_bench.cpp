// What bench/peers measures of other systems, of the kernel by itself: one thread, no sockets, real clock.
#include "bench/report.hpp"
#include "mesh/kernel/core.hpp"
#include "mesh/process/supervision/supervisor.hpp"
#include "mesh/wire/cbor.hpp"

#include <malloc.h>
#include <memory>
#include <vector>

namespace orrery::bench {
namespace {

using namespace kernel;
using namespace std::chrono_literals;

constexpr std::size_t batch = 1000;
constexpr std::uint32_t ring_members = 10'000;
constexpr std::size_t alive = 1'000'000;
constexpr std::size_t crashes = 5000;

struct shard final : surroundings {
  void replied(call_token, result<value> answer) override {
    if (!answer) give_up("a call was refused: " + to_string(answer.error()));
    ++replies;
  }
  void ended(handle, std::uint64_t, const exit_reason&) override {}
  void transmit(signal) override {}

  handle spawn(std::unique_ptr<body> what) { return *of.spawn(now(), std::move(what)); }
  void run() {
    while (of.run(now(), 100'000)) {
    }
  }
  [[nodiscard]] static time_point now() {
    return time_point{std::chrono::duration_cast<duration>(stopwatch::now().time_since_epoch())};
  }

  core of{{}, *this};
  atom word = *of.atoms().intern("word");
  std::size_t replies = 0;
};

struct ends_at_once final : body {
  void started(context& self) override { self.stop(); }
  void received(context&, message&) override {}
};
/// Spawns one after the other, each when it has seen the end of the one before.
struct spawner final : body {
  void started(context& self) override { next(self); }
  void received(context& self, message& arrived) override {
    if (arrived.what != message::kind::down) give_up("not a DOWN");
    next(self);
  }
  void next(context& self) {
    if (left-- == 0) return self.stop();
    static_cast<void>(self.spawn(std::make_unique<ends_at_once>(), {.monitor = true}));
  }
  std::size_t left = batch;
};

/// Answers calls, and sends plain messages back.
struct server final : body {
  void received(context& self, message& arrived) override {
    if (arrived.what == message::kind::call) return self.reply(caller_of(arrived), {});
    self.send(arrived.from, arrived.word);
  }
};
/// gen_server's call: with a monitor, a deadline, and nothing else handled until the answer.
struct caller_process final : body {
  explicit caller_process(handle to, atom word) : to_(to), word_(word) {}
  void started(context& self) override { next(self); }
  void received(context& self, message& arrived) override {
    if (arrived.what != message::kind::reply || arrived.failed) give_up("not an answer");
    next(self);
  }
  void next(context& self) {
    if (left_-- == 0) return self.stop();
    self.await(self.call(to_, word_, {}, 5s));
  }
  handle to_;
  atom word_;
  std::size_t left_ = batch;
};
struct pinger final : body {
  pinger(handle to, atom word) : to_(to), word_(word) {}
  void started(context& self) override { self.send(to_, word_); }
  void received(context& self, message&) override {
    if (--left_ == 0) return self.stop();
    self.send(to_, word_);
  }
  handle to_;
  atom word_;
  std::size_t left_ = batch;
};
struct sink final : body {
  explicit sink(std::size_t expected) : left_(expected) {}
  void received(context& self, message&) override {
    if (--left_ == 0) self.stop();
  }
  std::size_t left_;
};
struct flood final : body {
  flood(handle to, atom word) : to_(to), word_(word) {}
  void started(context& self) override {
    for (std::size_t i = 0; i < batch; ++i)
      self.send(to_, word_);
    self.stop();
  }
  void received(context&, message&) override {}
  handle to_;
  atom word_;
};
struct timer_setter final : body {
  explicit timer_setter(atom word) : word_(word) {}
  void started(context& self) override {
    for (std::size_t i = 0; i < batch; ++i) {
      if (!self.cancel(self.send_after(5s, self.self(), word_))) give_up("a timer was not there to cancel");
    }
    self.stop();
  }
  void received(context&, message&) override {}
  atom word_;
};
/// Passes the token on until the number that it carries is used up.
struct member final : body {
  void received(context& self, message& arrived) override {
    const auto left = cbor::reader(arrived.payload.cbor()).next().number;
    if (left > 0) self.send(next, arrived.word, cbor::integer_value(static_cast<std::int64_t>(left) - 1));
  }
  handle next{};
};
struct idle final : body {
  void received(context&, message&) override {}
};

class registered_children final : public process::child_factory {
 public:
  explicit registered_children(atom name) : name_(name) {}
  std::unique_ptr<body> make(std::uint64_t) override { return std::make_unique<child>(name_); }

 private:
  struct child final : body {
    explicit child(atom name) : name_(name) {}
    void started(context& self) override {
      if (!self.register_name(name_)) give_up("the name was not free");
    }
    void received(context& self, message& arrived) override { self.reply(caller_of(arrived), {}); }
    atom name_;
  };
  atom name_;
};

void measure_ring(const report& to) {
  shard in;
  std::vector<member*> members;
  std::vector<handle> handles;
  for (std::uint32_t i = 0; i < ring_members; ++i) {
    auto added = std::make_unique<member>();
    members.push_back(added.get());
    handles.push_back(in.spawn(std::move(added)));
  }
  for (std::uint32_t i = 0; i < ring_members; ++i)
    members[i]->next = handles[(i + 1) % ring_members];
  const auto hops = 5 * ring_members;
  measure(
      to, "kernel/ring_hop", "a token around 10,000 processes", hops,
      [&] {
        const auto before = in.of.counted().handled;
        in.of.send(in.now(), handles[0], in.word, cbor::integer_value(hops));
        in.run();
        if (in.of.counted().handled - before != hops + 1) give_up("the token was lost");
      },
      20);
}

void measure_crashes(const report& to) {
  shard in;
  const auto name = *in.of.atoms().intern("server");
  registered_children children(name);
  process::supervisor_spec spec{.name = "bench", .intensity = 100'000, .period = 1ms};
  spec.children.push_back({.id = "child", .factory = &children});
  if (!in.of.start(in.now(), std::make_unique<process::supervisor>(spec), process::supervisor::options())) {
    give_up("the supervisor did not start");
  }
  std::vector<double> took;
  for (std::size_t i = 0; i < crashes; ++i) {
    const auto victim = in.of.whereis(name);
    const auto start = stopwatch::now();
    in.of.exit(in.now(), victim, {exit_reason::kind::kill, {}});
    in.of.call(in.now(), in.of.whereis(name), in.word, {}, in.now() + 5s, call_token{i});
    in.run();
    took.push_back(microseconds(stopwatch::now() - start));
    if (in.replies != i + 1 || in.of.whereis(name) == victim) give_up("it was not restarted");
  }
  to.add({"kernel/crash_recovery", "us", summary(took),
          "a registered child killed, until a call to its name is answered"});
}

void measure_alive(const report& to) {
  shard in;
  malloc_trim(0);
  const auto before = mallinfo2();
  const auto start = stopwatch::now();
  for (std::size_t i = 0; i < alive; ++i)
    in.spawn(std::make_unique<idle>());
  in.run();
  std::vector<double> each{microseconds(stopwatch::now() - start) / double{alive}};
  const auto after = mallinfo2();
  const auto grown = (after.uordblks + after.hblkhd) - (before.uordblks + before.hblkhd);
  to.add({"kernel/alive_create", "us", summary(each), "1,000,000 processes, each spawned and started"});
  const auto bytes = static_cast<double>(grown) / double{alive};
  to.add({"kernel/alive_bytes", "bytes", {{"p50", bytes}, {"p99", bytes}}, "memory of an idle one of them"});
}

}  // namespace

void measure_kernel(const report& to) {
  {
    shard in;
    measure(to, "kernel/spawn_exit_monitor", "spawned, ended, DOWN received", batch, [&] {
      in.spawn(std::make_unique<spawner>());
      in.run();
    });
    const auto answering = in.spawn(std::make_unique<server>());
    measure(to, "kernel/call", "process to process: monitor, deadline, answer", batch, [&] {
      in.spawn(std::make_unique<caller_process>(answering, in.word));
      in.run();
    });
    measure(to, "kernel/message_round_trip", "bare messages, there and back", batch, [&] {
      in.spawn(std::make_unique<pinger>(answering, in.word));
      in.run();
    });
    measure(to, "kernel/one_way", "sent, and received by another process", batch, [&] {
      in.spawn(std::make_unique<flood>(in.spawn(std::make_unique<sink>(batch)), in.word));
      in.run();
    });
    measure(to, "kernel/timer_set_cancel", "a timer set and cancelled", batch, [&] {
      in.spawn(std::make_unique<timer_setter>(in.word));
      in.run();
    });
  }
  measure_ring(to);
  measure_crashes(to);
  measure_alive(to);
}

}  // namespace orrery::bench
