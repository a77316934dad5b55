#include "kube/timestamp.hpp"
#include "mesh/pki/authority.hpp"
#include "operator/plan/concerns.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>

namespace orrery::plan {

namespace {

using std::chrono::duration_cast;
using std::chrono::seconds;

/// After a new authority joined the bundle: how long the last sidecar may take to have read it.
constexpr std::chrono::minutes bundle_settles{2};
/// A Secret without its pod may be one whose pod is just being made.
constexpr std::chrono::minutes orphan_age_min{1};

wall_time renewal_of(const pki::certificate_facts& one) { return one.not_after - (one.not_after - one.not_before) / 3; }

/// The authorities that live pods trust: what a lost CA Secret can still be told from.
std::string trusted_by_pods(const situation& now) {
  for (const auto& pod : now.pods) {
    const auto* secret = find_object(now.seen.secrets, certificate_secret(pod.name));
    if (secret == nullptr) continue;
    auto bundle = secret_value(*secret, "ca.crt");
    if (pki::read_bundle(bundle)) return bundle;
  }
  return {};
}

struct authority_facts {
  authority_state state;
  std::optional<pki::certificate_facts> current;
};

bool all_trust(const situation& now, const std::string& bundle) {
  return std::all_of(now.pods.begin(), now.pods.end(), [&](const pod_view& pod) {
    if (pod.delete_by) return true;
    const auto* secret = find_object(now.seen.secrets, certificate_secret(pod.name));
    return secret != nullptr && secret_value(*secret, "ca.crt") == bundle;
  });
}

/// When the last of them was given the bundle: a kubelet and a sidecar take their time from then on.
wall_time last_told(const situation& now) {
  auto last = wall_time::min();
  for (const auto& pod : now.pods) {
    const auto* secret = pod.delete_by ? nullptr : find_object(now.seen.secrets, certificate_secret(pod.name));
    if (secret == nullptr) continue;
    const auto told = time_or_far_away(kube::annotation_of(*secret, annotations::bundle_since));
    if (told != far_away) last = std::max(last, told);
  }
  return last;
}

/// When the staged authority joined the bundle; as its certificate has it, where the annotation was spoilt.
wall_time staged_at(const json& secret) {
  const auto noted = time_or_far_away(kube::annotation_of(secret, annotations::bundle_since));
  if (noted != far_away) return noted;
  const auto staged = pki::read_certificate(secret_value(secret, "next.crt"));
  return staged ? staged->not_before + pki::backdated_by : far_away;
}

authority_facts plan_authority(const situation& now, decision& out) {
  authority_facts facts;
  const auto valid_for = duration_cast<seconds>(now.spec.ca_ttl);
  const auto* secret = find_object(now.seen.secrets, now.names.authority());
  if (secret == nullptr) {
    facts.state.problem = "the mesh's authority is being made";
    out.actions.emplace_back(make_authority{.staged = false,
                                            .also_trust = trusted_by_pods(now),
                                            .resource_version = {},
                                            .valid_for = valid_for,
                                            .why = "there is none"});
    return facts;
  }
  const auto certificate = secret_value(*secret, "tls.crt");
  auto current = pki::read_certificate(certificate);
  auto usable = current ? pki::check_key(certificate, secret_value(*secret, "tls.key")) : result<void>{};
  if (!current || !usable) {
    facts.state.problem = fmt::format(
        "Secret {} holds no usable authority ({}); it is left alone: restore it, or delete it to have a new one made",
        now.names.authority(), current ? usable.error().context : current.error().context);
    return facts;
  }
  const std::string version(kube::resource_version_of(*secret));
  facts.state.bundle = secret_value(*secret, "ca.crt");
  facts.state.not_after = current->not_after;
  facts.current = *current;
  if (current->not_after <= now.now) {
    facts.state.problem = fmt::format("the mesh's authority expired at {}", pki::to_text(current->not_after));
    out.actions.emplace_back(make_authority{.staged = false,
                                            .also_trust = facts.state.bundle,
                                            .resource_version = version,
                                            .valid_for = valid_for,
                                            .why = facts.state.problem});
    return facts;
  }
  facts.state.usable = true;
  if (kube::text_at(*secret, {"data", "next.crt"}).empty()) {
    const auto renewal = renewal_of(*current);
    if (renewal > now.now) {
      out.look_again(renewal);
    } else {
      out.actions.emplace_back(make_authority{.staged = true,
                                              .also_trust = {},
                                              .resource_version = version,
                                              .valid_for = valid_for,
                                              .why = "a third of its life remains"});
    }
    return facts;
  }
  const auto settled = std::max(staged_at(*secret), last_told(now)) + bundle_settles;
  if (settled > now.now) {
    out.look_again(settled);
  } else if (all_trust(now, facts.state.bundle)) {
    out.actions.emplace_back(promote_authority{version});
  }
  return facts;
}

/// Why a pod's certificate must be made again; empty if it need not. Sets when it will have to be.
std::string fault_of(const situation& now, const authority_facts& authority, const pod_view& pod, wall_time& renewal,
                     wall_time& expiry) {
  const auto* secret = find_object(now.seen.secrets, certificate_secret(pod.name));
  if (secret == nullptr) return "it has none";
  const auto certificate = secret_value(*secret, "tls.crt");
  const auto facts = pki::read_certificate(certificate);
  if (!facts) return "it cannot be read";
  const mesh_identity expected{std::string(kube::namespace_of(now.mesh)), now.names.mesh, pod.name};
  if (facts->identity != expected) return "it names another pod";
  if (!pki::check_key(certificate, secret_value(*secret, "tls.key"))) return "its key is another one's";
  expiry = facts->not_after;
  renewal = renewal_of(*facts);
  if (renewal <= now.now) return "a third of its life remains";
  if (facts->issuer_key_id != authority.current->key_id) return "the authority was rotated";
  if (secret_value(*secret, "ca.crt") != authority.state.bundle) return "the trusted authorities changed";
  return {};
}

void plan_orphans(const situation& now, decision& out) {
  std::set<std::string, std::less<>> alive;
  for (const auto& pod : now.pods)
    alive.insert(certificate_secret(pod.name));
  for (const auto& secret : now.seen.secrets) {
    const auto pod = kube::annotation_of(*secret, annotations::pod);
    if (pod.empty() || kube::is_deleting(*secret) || alive.contains(kube::name_of(*secret))) continue;
    const auto old_enough =
        time_or_far_away(kube::text_at(*secret, {"metadata", "creationTimestamp"})) + orphan_age_min;
    if (old_enough > now.now) {
      out.look_again(old_enough);
      continue;
    }
    out.actions.emplace_back(
        delete_object{kube::resources::secrets, kube::key_of(*secret), std::string(kube::uid_of(*secret))});
  }
}

}  // namespace

certificates_state plan_certificates(const situation& now, decision& out) {
  certificates_state state;
  auto authority = plan_authority(now, out);
  state.authority = authority.state;
  state.problem = authority.state.problem;
  for (const auto& pod : now.pods) {
    if (pod.delete_by) continue;
    ++state.pods;
    if (!authority.current || !authority.state.usable) continue;
    wall_time renewal{};
    wall_time expiry{};
    const auto fault = fault_of(now, authority, pod, renewal, expiry);
    if (fault.empty()) {
      ++state.valid;
      out.look_again(renewal);
      if (!state.first_expiry || expiry < *state.first_expiry) state.first_expiry = expiry;
      continue;
    }
    if (expiry > now.now) ++state.valid;  // still good, just to be renewed
    out.actions.emplace_back(issue_certificate{
        .pod = pod.name, .valid_for = duration_cast<seconds>(now.spec.certificate_ttl), .why = fault});
  }
  plan_orphans(now, out);
  return state;
}

}  // namespace orrery::plan
