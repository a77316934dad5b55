#include "operator/plan/concerns.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>
#include <tuple>

namespace orrery::plan {

namespace {

using std::chrono::duration_cast;
using std::chrono::seconds;

constexpr seconds overdue_after{30};  ///< a kubelet may take that long to say that a pod has ended

bool has_ended(const pod_view& pod) { return pod.phase == "Failed" || pod.phase == "Succeeded"; }

/// If not one host is ready, it is the control plane that cannot see, not the hosts that are gone. Where hosts may not
/// be read, pods speak for theirs.
bool hosts_can_be_judged(const situation& now) {
  if (!now.seen.hosts_known) {
    return std::any_of(now.pods.begin(), now.pods.end(),
                       [](const auto& pod) { return pod.sidecar_ready && !pod.status_is_stale; });
  }
  return std::any_of(now.seen.hosts.begin(), now.seen.hosts.end(), [](const auto& one) { return one.second.ready; });
}

/// Kubelets report every 10 s: a host that has not been heard for so long by an operator that listened is silent.
constexpr seconds listened_min{20};

/// When a pod is given up whose host has not answered since then. Never by hearsay alone: the operator must have
/// listened itself, as what was written of hosts while the API server hung comes before what they say when it goes on
/// (decision 0021).
wall_time given_up_at(const situation& now, wall_time unreachable) {
  if (!now.seen.in_contact_since) return far_away;
  const auto patience = std::chrono::milliseconds{now.spec.node_lost_after};
  return std::max<wall_time>(unreachable + patience,
                             *now.seen.in_contact_since + std::min<std::chrono::milliseconds>(patience, listened_min));
}

bool is_lost(const situation& now, const pod_view& pod) {
  const auto since = unreachable_since(now, pod);
  return since && hosts_can_be_judged(now) && given_up_at(now, *since) <= now.now;
}

bool is_joined(const situation& now, const pod_view& pod) {
  return pod.sidecar_ready && !pod.delete_by && !unreachable_since(now, pod);
}

bool is_present(const situation& now, const pod_view& pod) {
  return !pod.delete_by && !has_ended(pod) && !is_lost(now, pod);
}

/// Which pods are the least loss: first in the list. Ties by name, so that every operator decides alike.
std::vector<const pod_view*> least_loss_first(const situation& now, std::vector<const pod_view*> pods, bool youngest) {
  const auto rank = [&](const pod_view* pod) {
    const auto age = pod->created.time_since_epoch().count();
    return std::make_tuple(is_joined(now, *pod), pod->template_hash == now.wanted.hash, youngest ? -age : age,
                           std::string_view(pod->name));
  };
  std::sort(pods.begin(), pods.end(), [&](const auto* a, const auto* b) { return rank(a) < rank(b); });
  return pods;
}

class pods_planner {
 public:
  pods_planner(const situation& now, decision& out) : now_(now), out_(out), state_(count_pods(now)) {
    for (const auto& pod : now.pods) {
      if (is_present(now, pod)) present_.push_back(&pod);
    }
  }

  void remove_the_dead() {
    for (const auto& pod : now_.pods) {
      const auto since = unreachable_since(now_, pod);
      if (pod.delete_by && *pod.delete_by + overdue_after >= now_.now) {
        out_.look_again(*pod.delete_by + overdue_after + seconds{1});
      }
      if (is_lost(now_, pod)) {
        // Its kubelet does not answer, so nobody would ever confirm a graceful deletion.
        const bool overdue = pod.delete_by && *pod.delete_by + seconds{1} <= now_.now;
        if (!pod.delete_by || (overdue && now_.seen.hosts_known)) {
          remove(pod, now_.seen.hosts_known, "NodeLost",
                 fmt::format("host {} has not answered for {}s", pod.host,
                             duration_cast<seconds>(now_.now - *since).count()));
        } else {
          out_.look_again(*pod.delete_by + seconds{2});
        }
      } else if (since) {
        out_.look_again(given_up_at(now_, *since) + seconds{1});
      }
      if (has_ended(pod) && !pod.delete_by && !is_lost(now_, pod)) {
        remove(pod, false, "PodEnded", fmt::format("its phase is {}", pod.phase));
      }
    }
  }

  /// A host that nobody has heard of: only the API server's own list tells whether there is one.
  void doubt_strange_hosts() {
    for (const auto& pod : now_.pods) {
      const bool strange = now_.seen.hosts_known && !pod.host.empty() && !now_.seen.hosts.contains(pod.host) &&
                           !now_.seen.hosts_missing.contains(pod.host);
      out_.in_doubt = out_.in_doubt || strange;
    }
  }

  void scale_down() {
    const auto excess = static_cast<std::int64_t>(present_.size()) - now_.spec.replicas;
    if (excess <= 0) return;
    const auto order = least_loss_first(now_, present_, true);
    for (std::int64_t i = 0; i < excess; ++i) {
      remove(*order[static_cast<std::size_t>(i)], false, "ScaledDown",
             fmt::format("{} pods are wanted, and there are {}", now_.spec.replicas, present_.size()));
    }
    leaving_ += excess;
  }

  /// Returns how many pods are missing.
  std::int64_t missing() const {
    return std::max<std::int64_t>(0, now_.spec.replicas - static_cast<std::int64_t>(present_.size()));
  }

  /// A supervisor gave up and asked for another pod: one at a time, when all others have joined, and not faster than
  /// a class that never works would have it.
  void replace_escalated() {
    if (state_.escalated == 0 || leaving_ > 0) return;
    std::vector<const pod_view*> asking;
    for (const auto* pod : present_) {
      if (pod->escalation) asking.push_back(pod);
    }
    const auto* pod = least_loss_first(now_, asking, false).front();
    if (is_joined(now_, *pod) && state_.joined < now_.spec.replicas) return;
    constexpr seconds pace{30};
    const auto last = time_or_far_away(kube::text_at(now_.mesh, {"status", "lastReplacement", "at"}));
    if (last != far_away && last + pace > now_.now) return out_.look_again(last + pace);
    remove(*pod, false, "ProcessEscalated", fmt::format("a supervisor escalated to the pod: {}", *pod->escalation));
    std::get<delete_pod>(out_.actions.back()).asked_by = class_that_asked(*pod->escalation);
    ++leaving_;
    if (is_joined(now_, *pod)) --serving_;
    std::erase(present_, pod);
  }

  /// One pod at a time (maxUnavailable): the next goes when the last one's successor has joined and its own containers
  /// have ended. Its object may stay for longer: some kubelets see only after a minute that nothing is left of it.
  void replace_outdated() {
    if (!state_.rolling || now_.spec.update_paused) return;
    std::vector<const pod_view*> outdated;
    for (const auto* pod : present_) {
      if (pod->template_hash != now_.wanted.hash) {
        outdated.push_back(pod);
      } else if (!proved(*pod)) {
        return;
      }
    }
    for (const auto* pod : least_loss_first(now_, outdated, false)) {
      if (leaving_ >= now_.spec.update_max_unavailable) return;
      const bool serves = is_joined(now_, *pod);
      if (serves && now_.spec.replicas - serving_ >= now_.spec.update_max_unavailable) return;
      remove(*pod, false, "Updated", "the pod template changed");
      ++leaving_;
      if (serves) --serving_;
    }
  }

  /// A pod of the new template whose containers work, and not just since a moment ago: otherwise no other follows it.
  bool proved(const pod_view& pod) {
    constexpr seconds trial{10};
    if (!pod.containers_ready) return false;
    if (pod.last_end + trial <= now_.now) return true;
    out_.look_again(pod.last_end + trial);
    return false;
  }

  pods_state& state() { return state_; }

 private:
  /// A sidecar's last words begin with "class cart: ".
  [[nodiscard]] object_ptr class_that_asked(std::string_view words) const {
    for (const auto& one : now_.seen.classes) {
      if (words.starts_with(fmt::format("class {}: ", kube::name_of(*one.object)))) return one.object;
    }
    return nullptr;
  }

  void remove(const pod_view& pod, bool force, std::string reason, std::string why) {
    if (reason != "ScaledDown") {
      state_.replaced_pod = pod.name;
      state_.replaced_why = why;
    }
    const bool voluntary = reason == "Updated" || reason == "ProcessEscalated";
    out_.actions.emplace_back(delete_pod{.name = pod.name,
                                         .uid = pod.uid,
                                         .force = force,
                                         .voluntary = voluntary,
                                         .reason = std::move(reason),
                                         .why = std::move(why)});
  }

  const situation& now_;
  decision& out_;
  pods_state state_;
  std::int64_t leaving_ = state_.leaving;  ///< with what this decision deletes; the same for
  std::int64_t serving_ = state_.joined;
  std::vector<const pod_view*> present_;
};

std::vector<std::string> choose_names(const situation& now, const std::vector<std::string>& first_names,
                                      std::int64_t count, seeded_random& random) {
  std::set<std::string, std::less<>> taken;
  for (const auto& pod : now.pods)
    taken.insert(pod.name);
  std::vector<std::string> out;
  const auto take = [&](std::string name) {
    if (static_cast<std::int64_t>(out.size()) < count && taken.insert(name).second) out.push_back(std::move(name));
  };
  for (const auto& name : first_names)
    take(name);
  while (static_cast<std::int64_t>(out.size()) < count)
    take(now.names.pod(random));
  return out;
}

/// "; in place of pod demo-x7k2p: why it was replaced", for the one pod that comes after that; empty for others.
std::string in_place_of(const situation& now, std::int64_t missing) {
  constexpr std::chrono::minutes recently{10};
  constexpr std::size_t why_bytes_max = 600;
  const auto* last = kube::find(now.mesh, {"status", "lastReplacement"});
  if (last == nullptr || missing != 1) return {};
  const auto at = time_or_far_away(kube::text_at(*last, {"at"}));
  if (at == far_away || at + recently < now.now) return {};
  const auto replaced = kube::text_at(*last, {"pod"});
  const bool has_come = std::any_of(now.pods.begin(), now.pods.end(),
                                    [&](const auto& pod) { return pod.name != replaced && pod.created >= at; });
  if (has_come) return {};
  return fmt::format("; in place of pod {}: {}", replaced, kube::text_at(*last, {"reason"}).substr(0, why_bytes_max));
}

}  // namespace

std::optional<wall_time> unreachable_since(const situation& now, const pod_view& pod) {
  if (pod.host.empty()) return std::nullopt;
  if (!now.seen.hosts_known) return pod.status_is_stale ? std::optional{pod.stale_since} : std::nullopt;
  const auto host = now.seen.hosts.find(pod.host);
  if (host == now.seen.hosts.end()) {
    const auto missing = now.seen.hosts_missing.find(pod.host);
    return missing == now.seen.hosts_missing.end() ? std::nullopt : std::optional{missing->second};
  }
  return host->second.ready ? std::nullopt : std::optional{host->second.since};
}

pods_state count_pods(const situation& now) {
  pods_state out;
  for (const auto& pod : now.pods) {
    if (pod.delete_by) ++out.terminating;
    if (pod.delete_by && !pod.containers_ended) ++out.leaving;
    if (pod.delete_by && *pod.delete_by + overdue_after < now.now && out.overdue.empty()) {
      out.overdue = fmt::format("pod {} should have ended {}s ago (its kubelet, or a finalizer, keeps it)", pod.name,
                                duration_cast<seconds>(now.now - *pod.delete_by).count());
    }
    if (unreachable_since(now, pod)) ++out.unreachable;
    if (!is_present(now, pod)) continue;
    ++out.present;
    if (is_joined(now, pod)) ++out.joined;
    if (pod.template_hash == now.wanted.hash) ++out.updated;
    if (pod.crash_looping) ++out.crash_looping;
    if (pod.escalation) ++out.escalated;
    if (out.trouble.empty() && !pod.trouble.empty()) out.trouble = fmt::format("pod {}: {}", pod.name, pod.trouble);
  }
  const bool outdated = out.updated < out.present;
  out.rolling = outdated && !now.spec.update_paused;
  out.held_back = outdated && now.spec.update_paused;
  return out;
}

pods_state plan_pods(const situation& now, bool may_create, const std::string& config,
                     const std::vector<std::string>& first_names, seeded_random& random, decision& out) {
  pods_planner planner(now, out);
  planner.doubt_strange_hosts();
  planner.remove_the_dead();
  planner.scale_down();
  const auto missing = planner.missing();
  const bool wants_template = missing > 0 || planner.state().rolling || planner.state().escalated > 0;
  const bool checked = now.seen.check && now.seen.check->hash == now.wanted.hash;
  if (!wants_template) return planner.state();
  constexpr std::chrono::seconds ask_again{30};
  if (!checked || (!now.seen.check->accepted && now.seen.check->at + ask_again <= now.now)) {
    // Nothing is deleted for a template before the API server has said that it would take the new pod.
    out.actions.emplace_back(
        check_template{now.wanted.hash, build_pod(now.wanted, now.names.pod(random), "0000000000000000")});
    return planner.state();
  }
  if (!now.seen.check->accepted) {
    out.look_again(now.seen.check->at + ask_again);
    return planner.state();
  }
  if (!may_create) return planner.state();
  if (missing == 0) {
    planner.replace_escalated();
    planner.replace_outdated();
  }
  for (const auto& name : choose_names(now, first_names, missing, random)) {
    out.actions.emplace_back(create_pod{.name = name,
                                        .pod = build_pod(now.wanted, name, ""),
                                        .config = config,
                                        .certificate_valid_for = duration_cast<seconds>(now.spec.certificate_ttl),
                                        .why = fmt::format("{} pods are wanted, and there are {}{}", now.spec.replicas,
                                                           now.spec.replicas - missing, in_place_of(now, missing))});
  }
  return planner.state();
}

}  // namespace orrery::plan
