// The operations of bench/kernel_bench.cpp in CAF 0.17, a JSON object a line, for compare.py. Event-based actors on one
// worker thread, as Orrery has one shard. Times are of batches, taken within the actor that does them.
#include <algorithm>
#include <atomic>
#include <caf/all.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <malloc.h>
#include <thread>
#include <vector>

namespace {

using std::chrono::steady_clock;

constexpr std::size_t batch = 1000;
constexpr std::size_t batches = 300;
constexpr std::size_t ring_members = 10'000;
constexpr std::size_t ring_rounds = 20;
constexpr std::size_t alive = 1'000'000;

using ping_atom = caf::atom_constant<caf::atom("ping")>;
using pong_atom = caf::atom_constant<caf::atom("pong")>;
using word_atom = caf::atom_constant<caf::atom("word")>;
using next_atom = caf::atom_constant<caf::atom("next")>;
using took_atom = caf::atom_constant<caf::atom("took")>;

double nanoseconds_since(steady_clock::time_point start) {
  return std::chrono::duration<double, std::nano>(steady_clock::now() - start).count();
}

[[noreturn]] void give_up(const char* why) {
  std::fprintf(stderr, "caf_bench: %s\n", why);
  std::_Exit(1);
}

void row(const char* name, const char* unit, double p50, double p99, std::size_t count) {
  std::printf("{\"name\": \"%s\", \"unit\": \"%s\", \"p50\": %f, \"p99\": %f, \"count\": %zu}\n", name, unit, p50, p99,
              count);
  std::fflush(stdout);
}

void report(const char* name, std::vector<double> nanoseconds) {
  std::sort(nanoseconds.begin(), nanoseconds.end());
  const auto at = [&](double share) {
    return nanoseconds[static_cast<std::size_t>(share * static_cast<double>(nanoseconds.size() - 1))];
  };
  row(name, "us", at(0.5) / 1000, at(0.99) / 1000, nanoseconds.size());
}

/// What an actor that does one batch keeps. It tells `owner` how long one operation took, and ends.
struct batch_state {
  std::size_t left = batch;
  steady_clock::time_point start = steady_clock::now();
  caf::actor owner;
  caf::actor other;
};
using batch_actor = caf::stateful_actor<batch_state>;

void finish(batch_actor* self) {
  self->send(self->state.owner, took_atom::value, nanoseconds_since(self->state.start) / double{batch});
  self->quit();
}

// ---- the operations ----

void spawn_next(batch_actor* self) {
  if (self->state.left-- == 0) return finish(self);
  self->spawn<caf::monitored>([](caf::event_based_actor*) {});
}
caf::behavior spawner(batch_actor* self, const caf::actor& owner, const caf::actor&) {
  self->state.owner = owner;
  self->set_down_handler([self](caf::down_msg&) { spawn_next(self); });
  self->state.start = steady_clock::now();
  spawn_next(self);
  return {[](word_atom) {}};
}

caf::behavior server(caf::event_based_actor* self) {
  return {
      [](ping_atom) { return pong_atom::value; },
      [self](word_atom) { self->send(caf::actor_cast<caf::actor>(self->current_sender()), word_atom::value); },
  };
}

void call_next(batch_actor* self) {
  if (self->state.left-- == 0) return finish(self);
  self->request(self->state.other, std::chrono::seconds(5), ping_atom::value)
      .then([self](pong_atom) { call_next(self); }, [](caf::error&) { give_up("a request failed"); });
}
caf::behavior caller(batch_actor* self, const caf::actor& owner, const caf::actor& other) {
  self->state.owner = owner;
  self->state.other = other;
  self->state.start = steady_clock::now();
  call_next(self);
  return {[](word_atom) {}};
}

caf::behavior pinger(batch_actor* self, const caf::actor& owner, const caf::actor& other) {
  self->state.owner = owner;
  self->state.other = other;
  self->state.start = steady_clock::now();
  self->send(other, word_atom::value);
  return {[self](word_atom) {
    if (--self->state.left == 0) return finish(self);
    self->send(self->state.other, word_atom::value);
  }};
}

/// Until the receiver has had them all.
caf::behavior sink(batch_actor* self, const caf::actor& owner, steady_clock::time_point start) {
  self->state.owner = owner;
  self->state.start = start;
  return {[self](word_atom) {
    if (--self->state.left == 0) finish(self);
  }};
}
caf::behavior flood(batch_actor* self, const caf::actor& owner, const caf::actor&) {
  const auto to = self->spawn(sink, owner, steady_clock::now());
  for (std::size_t i = 0; i < batch; ++i)
    self->send(to, word_atom::value);
  return {};
}

/// CAF 0.17 cannot take a delayed message back: this only sets.
caf::behavior timer_setter(batch_actor* self, const caf::actor& owner, const caf::actor&) {
  self->state.owner = owner;
  self->state.start = steady_clock::now();
  for (std::size_t i = 0; i < batch; ++i)
    self->delayed_send(self, std::chrono::hours(1), word_atom::value);
  finish(self);
  return {[](word_atom) {}};
}

struct member_state {
  caf::actor next;
};
caf::behavior member(caf::stateful_actor<member_state>* self, const caf::actor& owner) {
  return {
      [self](next_atom, const caf::actor& next) { self->state.next = next; },
      [self, owner](std::uint64_t left) {
        if (left == 0) {
          self->send(owner, word_atom::value);
        } else {
          self->send(self->state.next, left - 1);
        }
      },
  };
}

std::atomic<std::size_t> begun{0};
caf::behavior idle(caf::event_based_actor*) {
  begun.fetch_add(1, std::memory_order_relaxed);
  return {[](word_atom) {}};
}

// ---- measuring ----

double receive_took(caf::scoped_actor& self) {
  double took = 0;
  self->receive([&](took_atom, double nanoseconds) { took = nanoseconds; });
  return took;
}

template <class Body>
void measure(caf::actor_system& system, const char* name, Body body, const caf::actor& other = {}) {
  caf::scoped_actor self{system};
  std::vector<double> took;
  for (std::size_t i = 0; i < batches + batches / 5; ++i) {
    const auto held = system.spawn(body, caf::actor{self}, other);  // an actor that nobody holds is taken away
    const auto each = receive_took(self);
    if (i >= batches / 5) took.push_back(each);
  }
  report(name, std::move(took));
}

void measure_ring(caf::actor_system& system) {
  caf::scoped_actor self{system};
  std::vector<caf::actor> members;
  for (std::size_t i = 0; i < ring_members; ++i)
    members.push_back(system.spawn(member, caf::actor{self}));
  for (std::size_t i = 0; i < ring_members; ++i)
    self->send(members[i], next_atom::value, members[(i + 1) % ring_members]);
  std::vector<double> took;
  for (std::size_t i = 0; i <= ring_rounds; ++i) {
    const std::uint64_t hops = 5 * ring_members;
    const auto start = steady_clock::now();
    self->send(members[0], hops);
    self->receive([](word_atom) {});
    if (i > 0) took.push_back(nanoseconds_since(start) / static_cast<double>(hops));
  }
  report("ring_hop", std::move(took));
  for (const auto& each : members)
    self->send_exit(each, caf::exit_reason::user_shutdown);
}

void measure_alive(caf::actor_system& system) {
  std::vector<caf::actor> actors;
  actors.reserve(alive);
  malloc_trim(0);
  const auto before = mallinfo2();
  const auto start = steady_clock::now();
  for (std::size_t i = 0; i < alive; ++i)
    actors.push_back(system.spawn(idle));
  while (begun.load(std::memory_order_relaxed) < alive)
    std::this_thread::yield();
  const auto each = nanoseconds_since(start) / double{alive};
  const auto after = mallinfo2();
  report("alive_create", {each});
  const auto grown = (after.uordblks + after.hblkhd) - (before.uordblks + before.hblkhd);
  const auto bytes = static_cast<double>(grown) / double{alive};
  row("alive_bytes", "bytes", bytes, bytes, 1);
}

}  // namespace

int main() {
  caf::actor_system_config config;
  config.set("scheduler.max-threads", std::size_t{1});
  {
    caf::actor_system system{config};
    measure(system, "spawn_exit_monitor", spawner);
    const auto answering = system.spawn(server);
    measure(system, "call", caller, answering);
    measure(system, "message_round_trip", pinger, answering);
    measure(system, "one_way", flood);
    measure_ring(system);
    measure(system, "timer_set", timer_setter);
    measure_alive(system);
    std::_Exit(0);  // a million actors need no farewell
  }
}
