#pragma once
#include "mesh/node/node.hpp"
#include "mesh/sim/agenda.hpp"
#include "mesh/sim/network.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace orrery::sim {

/// Pods, their lives, and what discovery tells them of each other. Drives each node::core as the sidecar does.
class cluster {
 public:
  /// Called for every answer to ask().
  using on_response = std::function<void(node::request_id id, result<value> answer)>;
  /// A life ended; its open requests will not be answered. `drained`: it left by itself.
  using on_end = std::function<void(const std::string& node, std::uint64_t boot, bool drained)>;

  cluster(std::uint64_t seed, bool verbose);

  agenda time;
  seeded_random random;
  network net;
  on_response responded;
  on_end ended;
  /// What a node says to its apps; none: there are none.
  std::function<void(const std::string& node, std::uint64_t boot, process::app_effect& what)> to_app;
  /// How long discovery lags, at most.
  duration discovery_lag_max = std::chrono::milliseconds{300};

  std::string add_pod();               ///< creates it and starts its sidecar soon
  void start(const std::string& pod);  ///< a new life
  void crash(const std::string& pod, bool silently);
  void drain(const std::string& pod, duration term_lag);  ///< deletes the pod: terminating, SIGTERM, gone when drained
  void delete_now(const std::string& pod);                ///< the pod object and its process vanish
  /// Boot numbers, which nodes take from their wall clock, begin here. May be set back.
  void set_clock(std::uint64_t boots) { clock_ = boots; }
  void set_control_plane(bool reachable) { control_plane_ = reachable; }
  void define(std::vector<process::class_spec> classes) { classes_ = std::move(classes); }
  /// As node::settings::make: of the nodes that start from now on.
  void make_behaviours_with(decltype(node::settings::make) make) { make_ = std::move(make); }

  [[nodiscard]] bool alive(const std::string& pod) const;
  [[nodiscard]] bool leaving(const std::string& pod) const;
  [[nodiscard]] std::vector<std::string> pods() const;    ///< that exist
  [[nodiscard]] std::vector<std::string> living() const;  ///< that run and are not leaving
  [[nodiscard]] const node::core& core_of(const std::string& pod) const { return *nodes_.at(pod).core; }
  [[nodiscard]] node_id id_of(const std::string& pod) const;
  [[nodiscard]] std::uint64_t boot_of(const std::string& pod) const { return nodes_.at(pod).boot; }

  /// An app says this to the living node beside it.
  void from_app(const std::string& pod, process::app_event said) { step(pod, node::from_app{std::move(said)}); }
  /// Asks a living node; the answer goes to `responded` with the id that is returned.
  node::request_id ask(const std::string& pod, node::operation what);
  /// Gives a call up, if the node that was asked still lives.
  void cancel(const std::string& pod, std::uint64_t boot, node::request_id id);

  [[nodiscard]] std::uint64_t log_hash() const noexcept { return log_hash_; }
  void note(const std::string& line);

 private:
  struct pod_state {
    node::expected_member member;
    std::uint64_t boot = 0;  ///< counts all lives
    boot_number said{};      ///< the life's number by the node's own clock
    std::unique_ptr<node::core> core;
    bool deleted = false;
    std::uint64_t discovery_seen = 0;
    time_point wake = never;
    std::size_t wakes_at_once = 0;
  };

  void step(const std::string& name, node::event happened);
  void carry_out(const std::string& name, std::uint64_t boot, node::effects& todo);
  void arrange_wake(const std::string& name);
  void announce();
  void announce_to(const std::string& name);
  [[nodiscard]] endpoint_id endpoint(const std::string& name) const { return {name, nodes_.at(name).boot}; }
  [[nodiscard]] pod_state* living_at(const endpoint_id& where);
  [[nodiscard]] duration up_to(duration most);

  std::map<std::string, pod_state> nodes_;
  std::vector<process::class_spec> classes_;
  decltype(node::settings::make) make_;
  std::uint64_t seed_;
  std::uint64_t next_pod_ = 0;
  std::uint64_t next_boot_ = 0;
  std::uint64_t clock_ = 0;
  std::uint64_t next_request_ = 0;
  std::uint64_t discovery_version_ = 0;
  std::uint64_t log_hash_ = 0;
  bool control_plane_ = true;
  bool verbose_ = false;
};

}  // namespace orrery::sim
