#include "operator/controller.hpp"

#include "kube/events.hpp"
#include "kube/lease.hpp"
#include "kube/pause.hpp"
#include "operator/admin_server.hpp"
#include "operator/cluster_view.hpp"
#include "operator/contact.hpp"
#include "operator/reconciler.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "shell/log.hpp"
#include <array>
#include <atomic>
#include <cstdlib>
#include <random>
#include <stop_token>
#include <thread>
#include <unistd.h>

namespace orrery::op {

namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

constexpr std::size_t workers = 2;
constexpr auto resync_after = 5min;  // a second look at everything, whatever the watches say
constexpr std::chrono::milliseconds look_again_min = 1s;
constexpr auto stuck_after = 5min;  // one reconciliation that takes longer: restart me
constexpr auto quiet_after = 5s;    // ... a word in the log
constexpr auto silent_after = 30s;  // an API server that was not heard for so long: not ready
constexpr auto retry_start = 2s;
constexpr auto retry_max = 15s;

std::string environment(const char* name) {
  const char* found = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nothing sets it
  return found == nullptr ? std::string{} : std::string(found);
}

std::string own_identity() {
  if (auto pod = environment("POD_NAME"); !pod.empty()) return pod;
  std::array<char, 256> host{};
  gethostname(host.data(), host.size() - 1);
  std::random_device entropy;
  return fmt::format("{}-{}-{:06x}", host.data(), getpid(), entropy() & 0xffffffU);
}

std::string lease_namespace(const options& chosen, const kube::cluster_config& cluster) {
  if (!chosen.leader_election_namespace.empty()) return chosen.leader_election_namespace;
  if (auto ns = environment("POD_NAMESPACE"); !ns.empty()) return ns;
  if (!chosen.namespaces.empty()) return chosen.namespaces.front();
  return cluster.default_namespace.empty() ? "default" : cluster.default_namespace;
}

/// When a worker began its present reconciliation; zero while it waits.
struct worker_clock {
  std::atomic<steady::rep> busy_since{0};
};

}  // namespace

struct controller::state {
  state(options given, kube::cluster_config where) : chosen(std::move(given)), cluster(std::move(where)) {}

  options chosen;
  kube::cluster_config cluster;
  metrics numbers;
  std::unique_ptr<kube::client> api;
  kube::work_queue queue{{.retry_min = 50ms, .retry_max = std::chrono::milliseconds{retry_max}}};
  std::unique_ptr<kube::event_recorder> events;
  std::unique_ptr<cluster_view> view;
  std::unique_ptr<reconciler> reconcile;
  std::unique_ptr<kube::leader_elector> elector;
  std::unique_ptr<admin_server> admin;
  std::atomic<bool> watching{false};  ///< view is made, and will not change
  contact heard;                      ///< outlives who looks at it
  std::array<worker_clock, workers> clocks;
  std::jthread starter;
  std::vector<std::jthread> threads;

  [[nodiscard]] bool may_act() const { return !elector || elector->is_leader(); }

  void add_all() {
    if (!watching) return;
    for (const auto& mesh : view->meshes())
      queue.add(mesh);
  }

  /// What must be asked of the API server before anything can be watched. Tries until it answers.
  void begin(const std::stop_token& stop) {
    for (auto wait = 250ms; !stop.stop_requested(); wait = std::min(wait * 2, std::chrono::milliseconds{retry_start})) {
      auto features = ask_features();
      if (features) return watch(*features, stop);
      shell::log::warn("cannot ask the API server yet", {{"error", to_string(features.error())}});
      kube::pause_for(wait, stop);
    }
  }

  struct abilities {
    plan::server_features server;
    bool may_read_hosts = false;
    std::string version;
  };

  result<abilities> ask_features() {
    abilities out;
    auto version = api->version();
    if (!version) return fail(version.error());
    out.version = version->git;
    constexpr int native_sidecars_since = 29;  // 1.29: on by default
    out.server.native_sidecars = version->major > 1 || version->minor >= native_sidecars_since;
    auto budgets = api->has_resource(kube::resources::pod_disruption_budgets);
    if (!budgets) return fail(budgets.error());
    out.server.policy_v1 = *budgets;
    auto hosts = api->send(kube::requests::list(kube::resources::nodes, "", {.limit = 1}));
    if (!hosts && hosts.error().code != errc::forbidden) return fail(hosts.error());
    out.may_read_hosts = hosts.has_value();
    return out;
  }

  void watch(const abilities& found, const std::stop_token& stop) {
    shell::log::info("watching", {{"server", found.version},
                                  {"cluster", cluster.origin},
                                  {"policy", found.server.policy_v1 ? "v1" : "v1beta1"},
                                  {"nativeSidecars", found.server.native_sidecars ? "yes" : "no"},
                                  {"hosts", found.may_read_hosts ? "watched" : "may not be read"}});
    view = std::make_unique<cluster_view>(*api, chosen.namespaces, found.server, found.may_read_hosts,
                                          [this](const kube::object_key& mesh) { queue.add(mesh); });
    reconcile = std::make_unique<reconciler>(reconciler::parts{.api = *api,
                                                               .view = *view,
                                                               .events = *events,
                                                               .numbers = numbers,
                                                               .settings = {.sidecar_image = chosen.sidecar_image},
                                                               .may_act = [this] { return may_act(); },
                                                               .heard = heard});
    watching = true;
    view->start();
    while (!view->has_synced() && !stop.stop_requested())
      kube::pause_for(100ms, stop);
    if (stop.stop_requested()) return;
    shell::log::info("in sync", {{"meshes", std::to_string(view->meshes().size())}});
    // Only now: what was not listed yet must not look as if it did not exist.
    for (auto& clock : clocks) {
      threads.emplace_back([this, &clock] { work(clock); });
    }
    threads.emplace_back([this](const std::stop_token& ended) { watch_the_watches(ended); });
    add_all();
  }

  void work(worker_clock& clock) {
    while (auto key = queue.get()) {
      if (may_act()) {
        const auto began = steady::now();
        clock.busy_since = began.time_since_epoch().count();
        handle(*key, began);
        clock.busy_since = 0;
      } else {
        queue.add_after(*key, 10s);  // leadership may only have blinked, and nobody would ask again
      }
      queue.done(*key);
    }
  }

  void handle(const kube::object_key& key, steady::time_point began) {
    const auto done = reconcile->reconcile(key);
    numbers.on_reconcile(done.has_value(), steady::now() - began);
    if (!done) {
      shell::log::warn("will try again",
                       {{"namespace", key.ns}, {"mesh", key.name}, {"error", to_string(done.error())}});
      return queue.add_rate_limited(key);
    }
    queue.forget(key);
    auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(resync_after);
    if (*done) {
      const auto until =
          std::chrono::duration_cast<std::chrono::milliseconds>(**done - std::chrono::system_clock::now());
      wait = std::clamp(until + 50ms, look_again_min, wait);
    }
    const bool gone = !view->remembered(key).mesh;
    if (*done || !gone) queue.add_after(key, wait);
  }

  [[nodiscard]] result<void> healthy() const {
    const auto now = steady::now().time_since_epoch().count();
    for (const auto& clock : clocks) {
      const auto since = clock.busy_since.load();
      if (since != 0 && steady::duration(now - since) > stuck_after) {
        return fail(errc::internal, "a reconciliation has not ended for five minutes");
      }
    }
    return {};
  }

  /// Says once that the API server cannot be followed, and once that it can be again. Contact is broken where no watch
  /// works: a single one may be refused.
  void watch_the_watches(const std::stop_token& stop) {
    bool lost = false;
    while (kube::pause_for(1s, stop)) {
      if (!watching) continue;
      std::string broken;
      bool all_broken = true;
      for (const auto& [plural, health] : view->health()) {
        const bool works = health.connected || steady::now() - health.last_contact <= quiet_after;
        all_broken = all_broken && !works;
        if (!works) broken = fmt::format("the watch of {}: {}", plural, health.last_error);
      }
      if (all_broken) heard.breaks(std::chrono::system_clock::now());
      if (broken.empty() == lost) {
        lost = !lost;
        const auto* what = all_broken ? "the API server does not answer" : "a part of the API server does not answer";
        if (lost) shell::log::warn(what, {{"error", broken}});
        if (!lost) shell::log::info("the API server answers again");
      }
    }
  }

  [[nodiscard]] result<void> ready() const {
    if (!watching || !view->has_synced()) return fail(errc::unavailable, "what is in the cluster is not known yet");
    for (const auto& [plural, health] : view->health()) {
      if (!health.connected && steady::now() - health.last_contact > silent_after) {
        return fail(errc::unavailable, fmt::format("the watch of {} is broken: {}", plural, health.last_error));
      }
    }
    return {};
  }

  std::string expose() {
    numbers.set_leader(may_act());
    numbers.on_queue(queue.stats());
    if (watching) {
      for (const auto& [plural, health] : view->health())
        numbers.on_informer(plural, health);
    }
    return numbers.text();
  }
};

controller::controller(options chosen, kube::cluster_config cluster)
    : state_(std::make_unique<state>(std::move(chosen), std::move(cluster))) {}

controller::~controller() { stop(); }

result<void> controller::start() {
  auto& s = *state_;
  auto api = kube::make_client(s.cluster, {.observer = &s.numbers, .user_agent = "orrery-operator/" ORRERY_VERSION});
  if (!api) return fail(api.error());
  s.api = std::move(*api);
  const auto identity = own_identity();
  if (s.chosen.metrics_address != "off") {
    auto admin = admin_server::start(s.chosen.metrics_address, {.metrics = [&s] { return s.expose(); },
                                                                .healthy = [&s] { return s.healthy(); },
                                                                .ready = [&s] { return s.ready(); }});
    if (!admin) return fail(admin.error());
    s.admin = std::move(*admin);
  }
  s.events = std::make_unique<kube::event_recorder>(
      *s.api, kube::event_recorder_options{.component = "orrery-operator", .instance = identity});
  if (s.chosen.leader_election) {
    kube::lease_options lease;
    lease.lease = {lease_namespace(s.chosen, s.cluster), "orrery-operator"};
    lease.identity = identity;
    s.elector = std::make_unique<kube::leader_elector>(
        *s.api, lease,
        kube::lease_handlers{.on_acquired =
                                 [&s](std::uint64_t term) {
                                   shell::log::info("leading", {{"term", std::to_string(term)}});
                                   s.heard.begins(std::chrono::system_clock::now());
                                   s.add_all();
                                 },
                             .on_lost =
                                 [&s](const std::string& why) {
                                   s.heard.ends();
                                   shell::log::warn("not leading any more: standing by", {{"why", why}});
                                 }});
    s.elector->start();
  } else {
    s.heard.begins(std::chrono::system_clock::now());
  }
  s.starter = std::jthread([&s](const std::stop_token& stop) { s.begin(stop); });
  shell::log::info("started", {{"version", ORRERY_VERSION},
                               {"server", s.cluster.server},
                               {"identity", identity},
                               {"admin", s.admin ? fmt::format("port {}", s.admin->port()) : "off"},
                               {"election", s.elector ? "on" : "off"}});
  return {};
}

void controller::stop() {
  auto& s = *state_;
  s.starter.request_stop();
  if (s.starter.joinable()) s.starter.join();
  s.queue.shutdown();
  s.threads.clear();  // joins: what was begun is finished
  s.admin.reset();
  if (s.view) s.view->stop();
  if (s.elector) s.elector->stop();
  s.events.reset();
}

}  // namespace orrery::op
