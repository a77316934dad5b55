#include "kube/lease.hpp"

#include "kube/client.hpp"
#include "kube/lease_machine.hpp"
#include "kube/pause.hpp"
#include "mesh/base/random.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <mutex>
#include <random>
#include <stop_token>
#include <thread>
#include <utility>

namespace orrery::kube {
namespace {

using clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// A replacement must not take away what others wrote beside the spec: labels, kubectl's annotation, owners.
json keeping_metadata(json lease, const json& before) {
  if (const auto* metadata = find(before, {"metadata"})) lease["metadata"] = *metadata;
  return lease;
}

}  // namespace

struct leader_elector::state {
  state(client& given_api, lease_options given_options, lease_handlers given_handlers)
      : api(given_api),
        options(std::move(given_options)),
        handlers(std::move(given_handlers)),
        machine(options),
        random(options.seed != 0 ? options.seed : std::random_device{}()) {}

  client& api;
  const lease_options options;
  const lease_handlers handlers;

  mutable std::mutex mutex;  // guards machine
  lease_machine machine;
  seeded_random random;  // the thread's own

  std::jthread thread;  // last: ends before what it uses

  template <class Use>
  auto with(Use use) {
    const std::lock_guard lock{mutex};
    return use(machine);
  }

  void run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      const auto failure = attempt(stop);
      if (with([](auto& m) { return m.was_leading() && !m.leads(clock::now()); }))
        lose("not renewed in time: " + failure);
      pause(stop);
    }
    if (with([](auto& m) { return m.was_leading(); })) {
      lose("stopped");
      release();
    }
  }

  void lose(const std::string& why) {
    with([](auto& m) { m.lost(); });
    if (handlers.on_lost) handlers.on_lost(why);
  }

  // Never longer than what is left of our leadership, so that losing it is noticed on time.
  milliseconds call_timeout() {
    return with([this](auto& m) {
      if (!m.was_leading()) return options.renew_deadline;
      const auto left = std::chrono::floor<milliseconds>(m.lead_until() - clock::now());
      return std::clamp(left, milliseconds{1}, options.renew_deadline);
    });
  }

  // One try to get or to keep the lease. Says what went wrong, if anything.
  std::string attempt(const std::stop_token& stop) {
    const auto read = api.get(resources::leases, options.lease, {.timeout = call_timeout(), .stop = stop});
    if (!read && read.error().code != errc::not_found) return read.error().context;
    std::optional<lease_record> seen;
    if (read) seen = read_lease(*read);

    const bool may_write = with([&](auto& m) { return m.may_write(seen, clock::now()); });
    if (!may_write) {
      if (with([](auto& m) { return m.was_leading(); })) lose("taken over by " + leader());
      return "held by " + leader();
    }
    return write(read ? &*read : nullptr, stop);
  }

  std::string write(const json* before, const std::stop_token& stop) {
    const auto sent = clock::now();
    const auto lease = with([](auto& m) { return m.lease_object(m.record(wall_now())); });
    const call_options call{.timeout = call_timeout(), .stop = stop};
    const auto accepted = before != nullptr ? api.replace(resources::leases, keeping_metadata(lease, *before), {}, call)
                                            : api.create(resources::leases, lease, {}, call);
    if (!accepted) return accepted.error().context;  // a conflict too: the next attempt reads it again
    // An answer that took too long is no renewal: others may have taken over since.
    if (clock::now() - sent >= options.renew_deadline) return "the renewal was answered too late";
    const bool acquired = with([&](auto& m) { return m.written(read_lease(*accepted), sent); });
    if (acquired && handlers.on_acquired) handlers.on_acquired(with([](auto& m) { return m.term(); }));
    return {};
  }

  void pause(const std::stop_token& stop) {
    // Candidates wait up to 20 % longer, so that they do not all ask at once; a leader never past its deadline.
    const auto extra = static_cast<std::uint64_t>(options.retry.count() / 5) + 1;
    auto until = clock::now() + options.retry;
    with([&](auto& m) {
      if (m.was_leading()) {
        until = std::min(until, m.lead_until());
      } else {
        until += milliseconds{random.below(extra)};
      }
      return 0;
    });
    pause_until(until, stop);
  }

  // So that another need not wait for the lease to expire. Best effort: it expires anyhow. Read first, and again after
  // a conflict: a renewal that was under way when we were stopped may have been taken, and our version be old.
  void release() {
    constexpr int tries_max = 3;
    for (int tries = 0; tries < tries_max; ++tries) {
      const auto read = api.get(resources::leases, options.lease, {.timeout = options.renew_deadline});
      if (!read) return;
      const auto lease = with([&](auto& m) -> std::optional<json> {
        static_cast<void>(m.may_write(read_lease(*read), clock::now()));
        if (m.holder() != options.identity) return std::nullopt;
        auto record = m.record(wall_now());
        record.holder.clear();
        record.duration = std::chrono::seconds{1};
        record.transitions = m.term();
        return keeping_metadata(m.lease_object(record), *read);
      });
      if (!lease) return;
      const auto released = api.replace(resources::leases, *lease, {}, {.timeout = options.renew_deadline});
      if (released || released.error().code != errc::conflict) return;
    }
  }

  std::string leader() {
    return with([](auto& m) { return m.holder(); });
  }
};

leader_elector::leader_elector(client& api, lease_options options, lease_handlers handlers)
    : state_(std::make_unique<state>(api, std::move(options), std::move(handlers))) {}

leader_elector::~leader_elector() { stop(); }

void leader_elector::start() {
  if (state_->thread.joinable()) return;
  state_->thread = std::jthread{[at = state_.get()](const std::stop_token& stop) { at->run(stop); }};
}

void leader_elector::stop() {
  if (!state_->thread.joinable()) return;
  state_->thread.request_stop();
  state_->thread.join();
}

bool leader_elector::is_leader() const {
  return state_->with([](auto& m) { return m.leads(clock::now()); });
}

std::string leader_elector::leader() const { return state_->leader(); }

}  // namespace orrery::kube
