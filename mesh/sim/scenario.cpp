#include "mesh/sim/scenario.hpp"

#include "mesh/base/hash.hpp"
#include "mesh/membership/placement.hpp"
#include "mesh/sim/apps.hpp"
#include "mesh/sim/workload.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>

namespace orrery::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t pods_max = 12;
constexpr duration healing = seconds{25};
constexpr duration wait_for_app = milliseconds{400};

bool has_apps(trouble kind) {
  return kind == trouble::apps || kind == trouble::slow_apps || kind == trouble::app_chaos;
}
bool is_exact(trouble kind) { return kind != trouble::chaos && kind != trouble::app_chaos; }

process::class_spec counter_class(trouble kind) {
  process::class_spec out;
  out.name = class_name{"counter"};
  if (has_apps(kind)) out.behaviour = process::app_hosted{.wait_for_app = wait_for_app};
  return out;
}

/// Troubles a cluster at random moments.
class troublemaker {
 public:
  /// `hosts`: null where there are no apps.
  troublemaker(cluster& world, apps* hosts, trouble kind, std::size_t nodes)
      : world_(world), hosts_(hosts), kind_(kind), nodes_(nodes) {}

  void begin() {
    running_ = true;
    next();
  }
  void stop() { running_ = false; }

 private:
  void next() {
    if (!running_) return;
    world_.time.in(some(milliseconds{3000}), [this] {
      if (!running_) return;
      if (!is_exact(kind_)) {
        if (hosts_ != nullptr) toss_apps();
        break_something();
      } else if (hosts_ != nullptr) {
        if (kind_ == trouble::slow_apps) slow_something();
        move_apps();
      } else {
        if (kind_ == trouble::slow) slow_something();
        plan();
      }
      next();
    });
  }

  duration some(duration most) {
    return duration{static_cast<std::int64_t>(world_.random.below(static_cast<std::uint64_t>(most.count())) + 1)};
  }
  std::string any(const std::vector<std::string>& of) { return of[world_.random.below(of.size())]; }

  void plan() {
    const auto living = world_.living();
    const bool grow = living.size() < 2 || (world_.pods().size() < pods_max && world_.random.below(2) == 0);
    if (grow) {
      world_.add_pod();
    } else {
      world_.drain(any(living), some(milliseconds{1000}));
    }
  }

  void toss_apps() {
    for (const auto& pod : world_.living()) {
      if (world_.random.below(3) == 0) hosts_->there(pod) ? hosts_->leave(pod) : hosts_->come(pod);
    }
  }

  /// One place of the class always stays.
  void move_apps() {
    const auto hosts = hosts_->settled();
    const auto dice = world_.random.below(10);
    if (dice < 2 && world_.pods().size() < pods_max) {
      const auto fresh = world_.add_pod();
      world_.time.in(some(milliseconds{3000}), [this, fresh] { hosts_->come(fresh); });
    } else if (hosts.size() < 2) {
      for (const auto& pod : world_.living())
        hosts_->come(pod);
    } else if (dice < 4) {
      end_pod(any(hosts));
    } else {
      const auto pod = any(hosts);
      hosts_->leave(pod);
      world_.time.in(some(milliseconds{3000}), [this, pod] { hosts_->come(pod); });
    }
  }

  /// Of a pod that ends, the app may be gone before its sidecar has handed over.
  void end_pod(const std::string& pod) {
    world_.drain(pod, some(milliseconds{1000}));
    if (kind_ != trouble::slow_apps) return;
    world_.time.in(some(milliseconds{1000}), [this, pod] {
      if (world_.alive(pod)) hosts_->leave(pod);
    });
  }

  /// One link at a time, between nodes that have met, and less than it takes to be down: nothing may be lost by it.
  /// (A newcomer that cannot reach a node for 2 s starts its names afresh, as it may.)
  void slow_something() {
    auto pods = world_.living();
    std::erase_if(pods, [this](const auto& pod) { return !world_.core_of(pod).current().joined; });
    if (pods.size() < 2) return;
    const std::string one = any(pods);
    const std::string other = any(pods);
    if (one == other) return;
    if (world_.random.below(2) == 0) {
      world_.net.heal_all();
      world_.net.cut(one, other);
      world_.time.in(some(milliseconds{1400}), [this, one, other] { world_.net.heal(one, other); });
    } else {
      world_.net.slow_none();
      world_.net.slow(one, other, some(milliseconds{300}));
    }
  }

  void break_something() {
    const auto living = world_.living();
    const auto pods = world_.pods();
    if (living.size() < 2 || pods.size() < nodes_) {
      world_.add_pod();
      return;
    }
    const std::string victim = any(living);
    const std::string other = any(pods);
    switch (world_.random.below(9)) {
      case 0:  // the container restarts in place
        world_.crash(victim, false);
        world_.time.in(some(milliseconds{3000}), [this, victim] { restart(victim); });
        break;
      case 1:  // the host is lost; the pod is deleted later
        world_.crash(victim, true);
        world_.time.in(some(seconds{8}), [this, victim] {
          if (exists(victim)) world_.delete_now(victim);
        });
        break;
      case 2:  // killed and replaced
        world_.delete_now(victim);
        world_.add_pod();
        break;
      case 3:
        world_.net.cut(victim, other);
        world_.time.in(some(seconds{6}), [this, victim, other] { world_.net.heal(victim, other); });
        break;
      case 4:  // cut from everyone
        for (const auto& each : pods)
          world_.net.cut(victim, each);
        world_.time.in(some(seconds{6}), [this] { world_.net.heal_all(); });
        break;
      case 5:
        world_.net.slow(victim, other, some(milliseconds{400}));
        break;
      case 6:
        world_.set_control_plane(false);
        world_.time.in(some(seconds{10}), [this] { world_.set_control_plane(true); });
        break;
      case 7:
        world_.discovery_lag_max = some(seconds{4});
        break;
      default:
        plan();
    }
  }

  bool exists(const std::string& pod) {
    const auto pods = world_.pods();
    return std::find(pods.begin(), pods.end(), pod) != pods.end();
  }
  void restart(const std::string& pod) {
    if (exists(pod)) world_.start(pod);
  }

  cluster& world_;
  apps* hosts_;
  trouble kind_;
  std::size_t nodes_;
  bool running_ = false;
};

/// Asks every node what it sees and runs, and compares.
class census {
 public:
  explicit census(cluster& world) : world_(world) {
    for (const auto& pod : world_.living()) {
      nodes_[world_.ask(pod, node::list_nodes_op{}).value] = pod;
      processes_[world_.ask(pod, node::list_processes_op{.only = {}, .limit = 5000, .local = true}).value] = pod;
    }
  }

  void on_response(node::request_id id, const result<value>& answer) {
    if (!answer) return;
    if (const auto asked = nodes_.find(id.value); asked != nodes_.end()) seen_[asked->second] = answer->document();
    if (const auto asked = processes_.find(id.value); asked != processes_.end())
      run_[asked->second] = answer->document();
  }

  void check(std::vector<std::string>& wrong) {
    const auto living = world_.living();
    std::vector<node_id> ids;
    for (const auto& pod : living)
      ids.push_back(world_.id_of(pod));
    const membership::placement placement(ids);
    std::map<std::string, std::string> runs_at;
    for (const auto& pod : living) {
      const auto status = world_.core_of(pod).current();
      if (!status.joined) wrong.push_back(pod + " has not joined: " + status.reason);
      if (status.isolated) wrong.push_back(pod + " is isolated in a whole mesh");
      if (status.connected + 1 != living.size()) {
        wrong.push_back(pod + " is connected to " + std::to_string(status.connected) + " of " +
                        std::to_string(living.size() - 1));
      }
      for (const auto& each : seen_[pod]["nodes"]) {
        if (each["state"] != "up" && each["state"] != "self") wrong.push_back(pod + " sees " + each.dump());
      }
      for (const auto& each : run_[pod]["processes"]) {
        const std::string name = each["class"].get<std::string>() + "/" + each["key"].get<std::string>();
        const auto [where, first] = runs_at.emplace(name, pod);
        if (!first) wrong.push_back(name + " runs at " + where->second + " and at " + pod);
        const auto* owner = placement.owner(parse_process_name(name).value());
        if (owner->name.value != pod) wrong.push_back(name + " runs at " + pod + ", not at " + owner->name.value);
      }
    }
  }

 private:
  cluster& world_;
  std::map<std::uint64_t, std::string> nodes_;
  std::map<std::uint64_t, std::string> processes_;
  std::map<std::string, nlohmann::json> seen_;
  std::map<std::string, nlohmann::json> run_;
};

}  // namespace

scenario from_seed(std::uint64_t seed) {
  seeded_random dice(mix64(seed));
  scenario out;
  out.seed = seed;
  out.nodes = 1 + dice.below(6);
  out.lasting = seconds{10 + static_cast<std::int64_t>(dice.below(40))};
  out.kind = seed % 2 == 0 ? trouble::planned : trouble::chaos;
  return out;
}

outcome run(const scenario& chosen) {
  cluster world(chosen.seed, chosen.verbose);
  world.define({counter_class(chosen.kind)});
  std::optional<apps> hosts;
  if (has_apps(chosen.kind)) hosts.emplace(world, class_name{"counter"}, wait_for_app);
  const auto hosts_come = [&] {
    if (!hosts) return;
    for (const auto& pod : world.living())
      hosts->come(pod);
  };
  const bool exact = is_exact(chosen.kind);
  workload clients(world, {.keys = 5 + world.random.below(60),
                           .every = milliseconds{2 + static_cast<std::int64_t>(world.random.below(30))},
                           .exact = exact,
                           .patient = chosen.kind == trouble::slow || (has_apps(chosen.kind) && exact)});
  std::unique_ptr<census> counting;
  world.responded = [&](node::request_id id, const result<value>& answer) {
    clients.on_response(id, answer);
    if (counting) counting->on_response(id, answer);
  };
  world.ended = [&](const std::string& node, std::uint64_t boot, bool drained) { clients.on_end(node, boot, drained); };
  if (world.random.below(3) == 0) world.net.set_latency(milliseconds{1}, milliseconds{40});
  const time_point began = world.time.now();
  for (std::size_t i = 0; i < chosen.nodes; ++i)
    world.add_pod();
  // Clients come when the mesh has formed: what forms it is tested by chaos and by joins.
  if (exact) world.time.run_until(world.time.now() + seconds{2});
  hosts_come();
  clients.begin();
  troublemaker faults(world, hosts ? &*hosts : nullptr, chosen.kind, chosen.nodes);
  faults.begin();
  world.time.run_until(world.time.now() + chosen.lasting);
  faults.stop();
  world.set_control_plane(true);
  world.discovery_lag_max = milliseconds{300};
  world.net.heal_all();
  world.net.slow_none();
  for (const auto& pod : world.pods()) {
    if (!world.alive(pod) && !world.leaving(pod)) world.start(pod);
  }
  world.time.run_until(world.time.now() + seconds{4});
  hosts_come();
  world.time.run_until(world.time.now() + healing);
  for (const auto& pod : world.pods()) {
    if (world.leaving(pod)) world.delete_now(pod);  // a host that was lost before it could drain
  }
  world.time.run_until(world.time.now() + seconds{10});
  clients.stop();
  world.time.run_until(world.time.now() + seconds{6});
  clients.read_all();
  world.time.run_until(world.time.now() + seconds{6});
  counting = std::make_unique<census>(world);
  world.time.run_until(world.time.now() + seconds{1});
  outcome out;
  out.wrong = clients.check();
  counting->check(out.wrong);
  out.log_hash = world.log_hash();
  out.answered = clients.answered();
  out.failed = clients.failed();
  out.simulated = world.time.now() - began;
  return out;
}

}  // namespace orrery::sim
