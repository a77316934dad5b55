#include "mesh/sim/cluster.hpp"

#include "mesh/base/assert.hpp"
#include "mesh/base/hash.hpp"

#include <cstdio>

namespace orrery::sim {
namespace {

constexpr auto name_space = "sim";
constexpr auto mesh = "demo";
constexpr std::size_t wakes_at_once_max = 10'000;
constexpr duration kill_after = std::chrono::seconds{30};  ///< the grace period of a pod

}  // namespace

cluster::cluster(std::uint64_t seed, bool verbose)
    : random(seed),
      net(time, random,
          {.opened =
               [this](const endpoint_id& to, std::uint64_t id, const std::string& peer, bool dialled) {
                 if (living_at(to) == nullptr) return;
                 step(to.node, node::connection_opened{node::connection_id{id}, {name_space, mesh, peer}, dialled});
               },
           .closed =
               [this](const endpoint_id& to, std::uint64_t id, error why) {
                 if (living_at(to) == nullptr) return;
                 step(to.node, node::connection_closed{node::connection_id{id}, std::move(why)});
               },
           .received =
               [this](const endpoint_id& to, std::uint64_t id, const bytes& arrived) {
                 if (living_at(to) == nullptr) return;
                 wire::frame_decoder decoder;
                 decoder.feed(arrived);
                 wire::frame frame;
                 if (decoder.next(frame).value_or(false)) {
                   step(to.node, node::frame_received{node::connection_id{id}, std::move(frame)});
                 }
               }}),
      seed_(seed),
      verbose_(verbose) {}

void cluster::note(const std::string& line) {
  log_hash_ = stable_hash(line, log_hash_ ^ static_cast<std::uint64_t>(time.now().time_since_epoch().count()));
  if (verbose_) {
    std::printf("%12.6f %s\n", std::chrono::duration<double>(time.now().time_since_epoch()).count(), line.c_str());
  }
}

duration cluster::up_to(duration most) {
  return duration{static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(most.count()) + 1))};
}

cluster::pod_state* cluster::living_at(const endpoint_id& where) {
  const auto found = nodes_.find(where.node);
  return found == nodes_.end() || !found->second.core || found->second.boot != where.boot ? nullptr : &found->second;
}

std::string cluster::add_pod() {
  // Names in no order, as those of pods: who dials whom must not follow from who came first.
  const std::uint64_t number = ++next_pod_;
  const std::string name =
      "demo-" + std::to_string(mix64(number ^ mix64(seed_)) % 100'000) + "x" + std::to_string(number);
  pod_state& made = nodes_[name];
  made.member = {node_name{name}, "uid-" + name, "10.0.0." + std::to_string(number) + ":3601", false};
  note("pod " + name + " created");
  announce();
  time.in(up_to(std::chrono::milliseconds{500}), [this, name] {
    if (nodes_.contains(name) && !nodes_.at(name).deleted) start(name);
  });
  return name;
}

void cluster::start(const std::string& name) {
  pod_state& starting = nodes_.at(name);
  if (starting.core) return;
  starting.boot = ++next_boot_;
  starting.said = boot_number{clock_ + starting.boot};
  starting.discovery_seen = 0;
  starting.wake = never;
  node::settings chosen;
  chosen.name_space = name_space;
  chosen.mesh = mesh;
  chosen.mesh_id = "mesh-id";
  chosen.self = {node_name{name}, starting.said};
  chosen.uid = starting.member.uid;
  chosen.address = starting.member.address;
  chosen.seed = mix64(seed_ + starting.boot);
  chosen.make = make_;
  starting.core = std::make_unique<node::core>(std::move(chosen));
  net.listen({name, starting.boot}, starting.member.address);
  note("node " + name + " starts, boot " + std::to_string(starting.boot));
  step(name, node::classes_changed{classes_});
  announce_to(name);
}

void cluster::crash(const std::string& name, bool silently) {
  pod_state& lost = nodes_.at(name);
  if (!lost.core) return;
  note("node " + name + (silently ? " vanishes" : " crashes"));
  net.end({name, lost.boot}, silently);
  lost.core.reset();
  ended(name, lost.boot, false);
}

void cluster::drain(const std::string& name, duration term_lag) {
  pod_state& leaving_pod = nodes_.at(name);
  if (leaving_pod.member.terminating) return;
  leaving_pod.member.terminating = true;
  note("pod " + name + " is deleted");
  announce();
  const std::uint64_t boot = leaving_pod.boot;
  time.in(term_lag, [this, name, boot] {
    if (living_at({name, boot}) != nullptr) step(name, node::drain_requested{});
  });
  time.in(term_lag + kill_after, [this, name] {
    if (nodes_.contains(name)) delete_now(name);
  });
}

void cluster::delete_now(const std::string& name) {
  crash(name, false);
  nodes_.erase(name);
  note("pod " + name + " is gone");
  announce();
}

void cluster::announce() {
  ++discovery_version_;
  std::vector<std::string> all;
  for (const auto& [name, each] : nodes_)
    all.push_back(name);
  for (const auto& name : all)
    announce_to(name);
}

void cluster::announce_to(const std::string& name) {
  std::vector<node::expected_member> members;
  for (const auto& [each_name, each] : nodes_)
    members.push_back(each.member);
  const std::uint64_t boot = nodes_.at(name).boot;
  time.in(up_to(discovery_lag_max), [this, name, boot, members, version = discovery_version_] {
    pod_state* told = living_at({name, boot});
    if (told == nullptr || told->discovery_seen > version) return;
    told->discovery_seen = version;
    step(name, node::members_changed{members});
  });
}

bool cluster::alive(const std::string& name) const {
  const auto found = nodes_.find(name);
  return found != nodes_.end() && found->second.core != nullptr;
}

bool cluster::leaving(const std::string& name) const {
  const auto found = nodes_.find(name);
  return found != nodes_.end() && found->second.member.terminating;
}

std::vector<std::string> cluster::pods() const {
  std::vector<std::string> out;
  for (const auto& [name, each] : nodes_)
    out.push_back(name);
  return out;
}

std::vector<std::string> cluster::living() const {
  std::vector<std::string> out;
  for (const auto& [name, each] : nodes_) {
    if (each.core && !each.member.terminating) out.push_back(name);
  }
  return out;
}

node_id cluster::id_of(const std::string& name) const { return {node_name{name}, nodes_.at(name).said}; }

node::request_id cluster::ask(const std::string& name, node::operation what) {
  const node::request_id id{++next_request_};
  time.in(duration::zero(), [this, name, id, boot = nodes_.at(name).boot, what = std::move(what)] {
    if (living_at({name, boot}) != nullptr) step(name, node::client_request{id, what});
  });
  return id;
}

void cluster::cancel(const std::string& name, std::uint64_t boot, node::request_id id) {
  if (living_at({name, boot}) == nullptr) return;
  note(name + " is to cancel " + std::to_string(id.value));
  step(name, node::client_cancelled{id});
}

void cluster::step(const std::string& name, node::event happened) {
  pod_state& stepping = nodes_.at(name);
  const std::uint64_t boot = stepping.boot;
  node::effects todo;
  stepping.core->step(time.now(), std::move(happened), todo);
  carry_out(name, boot, todo);
  if (living_at({name, boot}) != nullptr) arrange_wake(name);
}

void cluster::arrange_wake(const std::string& name) {
  pod_state& sleeping = nodes_.at(name);
  const time_point wanted = sleeping.core->wake_at();
  if (wanted == never || (sleeping.wake <= wanted && sleeping.wake > time.now())) return;
  sleeping.wake = std::max(wanted, time.now());
  sleeping.wakes_at_once = wanted <= time.now() ? sleeping.wakes_at_once + 1 : 0;
  if (sleeping.wakes_at_once > wakes_at_once_max) note(name + " spins: it wants to be woken at once for ever");
  ORRERY_ASSERT(sleeping.wakes_at_once <= wakes_at_once_max);
  time.at(sleeping.wake, [this, name, boot = sleeping.boot, at = sleeping.wake] {
    pod_state* found = living_at({name, boot});
    if (found == nullptr || found->wake != at) return;
    found->wake = never;
    step(name, node::woken{});
  });
}

void cluster::carry_out(const std::string& name, std::uint64_t boot, node::effects& todo) {
  const endpoint_id self{name, boot};
  for (auto& each : todo) {
    if (auto* sent = std::get_if<node::transmit>(&each)) {
      log_hash_ = stable_hash(as_text(sent->encoded), log_hash_ ^ sent->id.value);
      net.send(self, sent->id.value, sent->encoded);
    } else if (auto* dialled = std::get_if<node::dial>(&each)) {
      note(name + " dials " + dialled->expected.pod);
      net.dial(self, dialled->id.value, dialled->address);
    } else if (auto* hung = std::get_if<node::hang_up>(&each)) {
      note(name + " hangs up " + std::to_string(hung->id.value) + ": " + to_string(hung->why));
      net.hang_up(self, hung->id.value);
    } else if (auto* answered = std::get_if<node::respond>(&each)) {
      note(name + " answers " + std::to_string(answered->id.value) + ": " +
           (answered->answer ? answered->answer->json_text().substr(0, 200) : to_string(answered->answer.error())));
      responded(answered->id, std::move(answered->answer));
    } else if (std::holds_alternative<node::check_control_plane>(each)) {
      const bool reachable = control_plane_;
      time.in(reachable ? std::chrono::milliseconds{20} : std::chrono::milliseconds{2000}, [this, self, reachable] {
        if (living_at(self) != nullptr) step(self.node, node::control_plane_checked{reachable});
      });
    } else if (auto* handed = std::get_if<node::to_app>(&each)) {
      if (to_app) to_app(name, boot, handed->what);
    } else if (auto* told = std::get_if<node::notify>(&each)) {
      note(name + ": " + told->type + " " + told->document.json_text());
    } else if (std::holds_alternative<node::drained>(each)) {
      note(name + " drained");
      ended(name, boot, true);
      time.in(duration::zero(), [this, self] {
        if (living_at(self) == nullptr) return;
        net.end(self, false);
        nodes_.at(self.node).core.reset();
        nodes_.erase(self.node);
        note("pod " + self.node + " is gone");
        announce();
      });
    }
  }
}

}  // namespace orrery::sim
