#include "mesh/base/ids.hpp"
#include "operator/plan/concerns.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <map>

namespace orrery::plan {

namespace {

constexpr std::size_t members_max = 100;

struct outcome {
  std::string status;
  std::string reason;
  std::string message;
};

const json* find_condition(const json* conditions, std::string_view type) {
  if (conditions == nullptr || !conditions->is_array()) return nullptr;
  for (const auto& one : *conditions) {
    if (kube::text_at(one, {"type"}) == type) return &one;
  }
  return nullptr;
}

bool template_refused(const situation& now) {
  return now.seen.check && now.seen.check->hash == now.wanted.hash && !now.seen.check->accepted;
}

std::string with_trouble(std::string message, const pods_state& pods) {
  if (pods.unreachable > 0) message += fmt::format("; {} on hosts that do not answer", pods.unreachable);
  if (pods.crash_looping > 0) message += fmt::format("; {} crash-looping", pods.crash_looping);
  if (!pods.trouble.empty()) message += "; " + pods.trouble;
  return message;
}

/// Why a pod is missing, if the operator has taken one away lately; empty else.
std::string replacement_story(const situation& now) {
  constexpr std::chrono::minutes recent{5};
  const auto* last = kube::find(now.mesh, {"status", "lastReplacement"});
  if (last == nullptr || time_or_far_away(kube::text_at(*last, {"at"})) + recent < now.now) return {};
  return fmt::format("; pod {} is replaced: {}", kube::text_at(*last, {"pod"}), kube::text_at(*last, {"reason"}));
}

std::string_view reason_of(const obstacle& met) { return met.passes ? "WaitingForCollection" : "ForeignObject"; }

outcome judge_spec(const situation& now) {
  if (now.problems.empty()) return {"True", "Valid", "the spec is in order"};
  return {"False", "InvalidField",
          to_text(now.problems) +
              "; running pods are left alone until then: none is replaced, and classes stay as they are"};
}

outcome judge_template(const situation& now) {
  if (!now.problems.empty()) return {"Unknown", "SpecInvalid", "waits for the spec to be put in order"};
  if (!now.seen.check || now.seen.check->hash != now.wanted.hash) {
    const auto* before = find_condition(kube::find(now.mesh, {"status", "conditions"}), "TemplateValid");
    if (before != nullptr && kube::text_at(now.mesh, {"status", "templateHash"}) == now.wanted.hash) {
      return {std::string(kube::text_at(*before, {"status"})), std::string(kube::text_at(*before, {"reason"})),
              std::string(kube::text_at(*before, {"message"}))};
    }
    return {"Unknown", "NotChecked", "no pod had to be made of this template yet"};
  }
  if (now.seen.check->accepted) return {"True", "Accepted", "the API server accepts the template's pods"};
  const bool counts_containers = now.seen.check->message.find("ontainers[") != std::string::npos;
  return {"False", "Refused",
          fmt::format("the API server refuses the template's pods: {}{}; running pods are left alone",
                      now.seen.check->message,
                      counts_containers ? " (the first container is the sidecar, then come the template's)" : "")};
}

outcome judge_ready(const situation& now, const pods_state& pods, const certificates_state& certificates) {
  const auto joined = fmt::format("{}/{} pods joined", pods.joined, now.spec.replicas);
  if (!now.problems.empty()) {
    return {"False", "SpecInvalid",
            fmt::format("{}{}: {}", joined, pods.present > 0 ? ", and are left alone" : "", to_text(now.problems))};
  }
  if (template_refused(now)) {
    return {"False", "TemplateRefused",
            fmt::format("{}{}: {}", joined, pods.present > 0 ? ", and are left alone" : "", now.seen.check->message)};
  }
  if (pods.joined < now.spec.replicas && now.seen.blocked) {
    return {"False", std::string(reason_of(*now.seen.blocked)),
            fmt::format("{}: {}", joined, now.seen.blocked->message)};
  }
  const auto& authority = certificates.authority;
  const auto no_authority = authority.usable || authority.problem.empty()
                                ? std::string{}
                                : "; no certificate can be issued: " + authority.problem;
  if (pods.joined < now.spec.replicas) {
    return {"False", pods.unreachable > 0 ? "NodeLost" : "WaitingForPods",
            with_trouble(joined, pods) + replacement_story(now) + no_authority};
  }
  if (now.spec.replicas == 0) return {"True", "Empty", "no pods are wanted"};
  return {"True", "AllJoined", with_trouble(joined, pods) + no_authority};
}

/// Ready is about the mesh; this is about the template's own containers.
outcome judge_apps(const pods_state& pods) {
  if (pods.present == 0) return {"Unknown", "NoPods", "there are no pods"};
  if (!pods.trouble.empty()) return {"False", "ContainersWaiting", pods.trouble};
  return {"True", "NoneWaiting", "no container waits"};
}

std::string waiting_for(const pods_state& pods) { return pods.overdue.empty() ? std::string{} : "; " + pods.overdue; }

outcome judge_progress(const situation& now, const pods_state& pods) {
  if (!now.problems.empty() || template_refused(now)) {
    return {"False", "Blocked", "the spec cannot be followed"};
  }
  if (now.seen.blocked) {
    return {now.seen.blocked->passes ? "True" : "False", std::string(reason_of(*now.seen.blocked)),
            now.seen.blocked->message};
  }
  if (pods.held_back) {
    return {"False", "UpdatePaused",
            fmt::format("{} of {} pods are outdated, and spec.update.paused is set", pods.present - pods.updated,
                        pods.present)};
  }
  if (pods.rolling) {
    return {
        "True", "RollingUpdate",
        with_trouble(fmt::format("{} of {} pods updated", pods.updated, now.spec.replicas), pods) + waiting_for(pods)};
  }
  if (pods.present > now.spec.replicas) {
    return {"True", "ScalingDown", fmt::format("from {} to {} pods", pods.present, now.spec.replicas)};
  }
  if (pods.present < now.spec.replicas) {
    return {"True", "CreatingPods",
            fmt::format("{} of {} pods exist", pods.present, now.spec.replicas) + replacement_story(now)};
  }
  if (pods.joined < now.spec.replicas) {
    return {"True", "WaitingForPods",
            with_trouble(fmt::format("{} of {} pods joined", pods.joined, now.spec.replicas), pods) +
                replacement_story(now)};
  }
  if (!pods.overdue.empty()) return {"False", "PodLingers", pods.overdue};
  return {"False", "Settled", "nothing is left to do"};
}

outcome judge_classes_condition(const judged_classes& classes) {
  if (classes.refused > 0) {
    return {"False", "SomeRefused", fmt::format("{} of {}: {}", classes.refused, classes.total, classes.refusals)};
  }
  if (classes.total == 0) return {"True", "NoClasses", "no ProcessClass names this mesh"};
  return {"True", "AllAccepted", fmt::format("{} delivered", classes.total)};
}

outcome judge_certificates(const certificates_state& state) {
  if (!state.authority.usable && state.problem.empty()) {
    return {"Unknown", "Waiting", "waits for the spec to be put in order"};
  }
  if (!state.authority.usable) return {"False", "NoAuthority", state.problem};
  if (state.valid < state.pods) {
    return {"False", "Issuing", fmt::format("{} of {} pods have a valid certificate", state.valid, state.pods)};
  }
  auto message = fmt::format("{} valid", state.valid);
  message += fmt::format("; the authority is valid until {}", pki::to_text(state.authority.not_after));
  return {"True", "Valid", message};
}

std::string judge_phase(const situation& now, const pods_state& pods, std::string_view before, bool rescaled) {
  if (!now.problems.empty() || template_refused(now)) return "Invalid";
  const bool scaling = pods.present != now.spec.replicas || rescaled;
  if (pods.rolling) return "Updating";
  if (now.spec.replicas == 0) return pods.present == 0 && pods.terminating == 0 ? "Empty" : "Scaling";
  if (pods.joined >= now.spec.replicas && pods.present == now.spec.replicas) {
    return pods.trouble.empty() ? "Ready" : "Degraded";
  }
  if (before.empty() || before == "Pending" || before == "Forming" || before == "Empty") {
    return pods.present == 0 ? "Pending" : "Forming";
  }
  if ((before == "Invalid" || before == "Updating") && pods.joined == 0) return "Forming";
  if (rescaled || (before == "Scaling" && scaling) || (before == "Scaling" && pods.unreachable == 0)) return "Scaling";
  return "Degraded";
}

json build_members(const situation& now) {
  json out = json::array();
  for (const auto& pod : now.pods) {
    if (out.size() >= members_max) break;
    const bool unreachable = unreachable_since(now, pod).has_value();
    json one{{"name", pod.name},
             {"uid", pod.uid},
             {"ready", pod.sidecar_ready && !pod.delete_by && !unreachable},
             {"updated", pod.template_hash == now.wanted.hash},
             {"restarts", pod.restarts}};
    one["phase"] = unreachable         ? "NodeLost"
                   : pod.delete_by     ? "Terminating"
                   : pod.crash_looping ? "CrashLooping"
                                       : pod.phase;
    if (!pod.host.empty()) one["host"] = pod.host;
    out.push_back(std::move(one));
  }
  return out;
}

bool was(const json* conditions, std::string_view type, std::string_view status) {
  const auto* found = find_condition(conditions, type);
  return found != nullptr && kube::text_at(*found, {"status"}) == status;
}

class teller {
 public:
  teller(const json& mesh, const json& status, decision& out)
      : before_(kube::find(mesh, {"status", "conditions"})), after_(kube::find(status, {"conditions"})), out_(out) {}

  void tell(bool warning, std::string_view reason, std::string message) {
    out_.notes.push_back({warning, std::string(reason), std::move(message)});
  }
  bool became(std::string_view type, std::string_view status) const {
    return was(after_, type, status) && !was(before_, type, status);
  }
  bool became_reason(std::string_view type, std::string_view reason) const {
    return reason_of(after_, type) == reason && reason_of(before_, type) != reason;
  }
  bool left_reason(std::string_view type, std::string_view reason) const {
    return reason_of(before_, type) == reason && reason_of(after_, type) != reason;
  }
  std::string message(std::string_view type) const {
    const auto* found = find_condition(after_, type);
    return found == nullptr ? std::string{} : std::string(kube::text_at(*found, {"message"}));
  }
  bool knew(std::string_view type) const { return find_condition(before_, type) != nullptr; }

 private:
  static std::string_view reason_of(const json* conditions, std::string_view type) {
    const auto* found = find_condition(conditions, type);
    return found == nullptr ? std::string_view{} : kube::text_at(*found, {"reason"});
  }
  const json* before_;
  const json* after_;
  decision& out_;
};

void tell_members(const json& mesh, const json& status, teller& out) {
  std::map<std::string_view, bool> before;
  std::map<std::string_view, std::string_view> vanished;  // and were not being deleted: somebody else's doing
  if (const auto* members = kube::find(mesh, {"status", "members"}); members != nullptr && members->is_array()) {
    for (const auto& one : *members) {
      before[kube::text_at(one, {"name"})] = one.value("ready", false);
      if (one.value("ready", false)) {
        vanished[kube::text_at(one, {"name"})] = kube::text_at(one, {"host"});
      }
    }
  }
  for (const auto& one : status.at("members"))
    vanished.erase(kube::text_at(one, {"name"}));
  if (status.at("members").size() < members_max) {
    for (const auto& [name, host] : vanished)
      out.tell(true, "MemberLost",
               fmt::format("pod {} is gone from host {} without a goodbye", name, host.empty() ? "(none)" : host));
  }
  for (const auto& one : status.at("members")) {
    const auto name = kube::text_at(one, {"name"});
    const auto found = before.find(name);
    const bool was_ready = found != before.end() && found->second;
    const bool is_ready = one.value("ready", false);
    if (is_ready && !was_ready) out.tell(false, "MemberJoined", fmt::format("pod {} joined the mesh", name));
    const auto phase = kube::text_at(one, {"phase"});
    if (was_ready && !is_ready && phase != "Terminating") {
      out.tell(true, "MemberLeft", fmt::format("pod {} is not joined any more ({})", name, phase));
    }
  }
}

void tell_transitions(const situation& now, const json& status, decision& out) {
  teller say(now.mesh, status, out);
  tell_members(now.mesh, status, say);
  const auto* was_wanted = kube::find(now.mesh, {"status", "desiredReplicas"});
  if (was_wanted != nullptr && was_wanted->is_number_integer() && now.problems.empty() &&
      was_wanted->get<std::int64_t>() != now.spec.replicas) {
    say.tell(false, "Scaled", fmt::format("from {} to {} pods", was_wanted->get<std::int64_t>(), now.spec.replicas));
  }
  if (say.became("Ready", "True")) say.tell(false, "MeshReady", say.message("Ready"));
  if (say.became("SpecValid", "False")) say.tell(true, "SpecInvalid", say.message("SpecValid"));
  if (say.became("TemplateValid", "False")) say.tell(true, "RolloutBlocked", say.message("TemplateValid"));
  if (say.became_reason("Progressing", "ForeignObject")) say.tell(true, "ForeignObject", now.seen.blocked->message);
  if (say.became_reason("Progressing", "RollingUpdate")) {
    say.tell(false, "RolloutStarted", fmt::format("to template {}", now.wanted.hash));
  }
  if (say.left_reason("Progressing", "RollingUpdate") && now.problems.empty() && !template_refused(now) &&
      kube::integer_at(status, {"updatedReplicas"}) == kube::integer_at(status, {"replicas"})) {
    say.tell(false, "RolloutFinished", fmt::format("every pod has template {}", now.wanted.hash));
  }
  if (say.became("ClassesAccepted", "False")) say.tell(true, "ClassRefused", say.message("ClassesAccepted"));
  if (say.knew("CertificatesValid") && say.became("CertificatesValid", "False")) {
    say.tell(true, "CertificatesInvalid", say.message("CertificatesValid"));
  }
}

}  // namespace

void add_condition(json& conditions, const json* before, std::string_view type, std::string_view status,
                   std::string_view reason, const std::string& message, std::int64_t generation, wall_time now) {
  constexpr std::size_t message_bytes_max = 2000;
  const auto* old = find_condition(before, type);
  std::string since = pki::to_text(now);
  if (old != nullptr && kube::text_at(*old, {"status"}) == status) {
    if (const auto kept = kube::text_at(*old, {"lastTransitionTime"}); !kept.empty()) since = kept;
  }
  conditions.push_back({{"type", type},
                        {"status", status},
                        {"reason", reason},
                        {"message", cut_text(message, message_bytes_max)},
                        {"observedGeneration", generation},
                        {"lastTransitionTime", since}});
}

void build_status(const situation& now, const findings& found, decision& out) {
  const auto& mesh = now.mesh;
  const auto generation = kube::generation_of(mesh);
  const auto wanted_before = kube::integer_at(mesh, {"status", "desiredReplicas"}, now.spec.replicas);
  json status{{"observedGeneration", generation},
              {"phase", judge_phase(now, found.pods, kube::text_at(mesh, {"status", "phase"}),
                                    wanted_before != now.spec.replicas)},
              {"desiredReplicas", now.spec.replicas},
              {"replicas", found.pods.present},
              {"readyReplicas", found.pods.joined},
              {"updatedReplicas", found.pods.updated},
              {"terminatingReplicas", found.pods.terminating},
              {"joined", fmt::format("{}/{}", found.pods.joined, now.spec.replicas)},
              {"classes", found.classes->accepted.size()},
              {"selector", pod_selector(now.names.mesh)},
              {"templateHash", now.wanted.hash},
              {"members", build_members(now)},
              {"conditions", json::array()}};
  if (!found.mesh_id.empty()) status["meshID"] = found.mesh_id;
  if (!found.pods.replaced_pod.empty()) {
    status["lastReplacement"] = {
        {"pod", found.pods.replaced_pod}, {"reason", found.pods.replaced_why}, {"at", pki::to_text(now.now)}};
  } else if (const auto* last = kube::find(mesh, {"status", "lastReplacement"}); last != nullptr) {
    status["lastReplacement"] = *last;
  }
  const auto add = [&](std::string_view type, const outcome& what) {
    add_condition(status["conditions"], kube::find(mesh, {"status", "conditions"}), type, what.status, what.reason,
                  what.message, generation, now.now);
  };
  add("Ready", judge_ready(now, found.pods, found.certificates));
  add("Progressing", judge_progress(now, found.pods));
  add("SpecValid", judge_spec(now));
  add("TemplateValid", judge_template(now));
  add("ClassesAccepted", judge_classes_condition(*found.classes));
  add("CertificatesValid", judge_certificates(found.certificates));
  add("AppsRunning", judge_apps(found.pods));
  out.status = std::move(status);
  tell_transitions(now, out.status, out);
}

}  // namespace orrery::plan
