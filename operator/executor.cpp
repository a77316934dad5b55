#include "operator/executor.hpp"

#include "mesh/base/base64.hpp"
#include "mesh/pki/authority.hpp"
#include "operator/plan/concerns.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <type_traits>

namespace orrery::op {

namespace {

using kube::object_key;
using plan::json;
namespace resources = kube::resources;

const kube::apply_options apply_as_us{.field_manager = std::string(plan::field_manager)};
const kube::write_options write_as_us{.field_manager = std::string(plan::field_manager)};

pki::wall_time wall_now() { return std::chrono::system_clock::now(); }

object_key in_namespace_of(const json& mesh, std::string name) {
  return {std::string(kube::namespace_of(mesh)), std::move(name)};
}

void set_data(json& secret, std::string_view key, std::string_view bytes) {
  secret["data"][std::string(key)] = base64_encode(bytes);
}

/// The API server understood the request and says no: asking again will not help.
bool is_refusal(const error& failure) {
  return failure.code == errc::invalid_argument || failure.code == errc::forbidden;
}

/// The same code as a refusal, but it passes when another pod goes.
bool is_over_quota(const error& failure) {
  return failure.code == errc::forbidden && failure.context.find("exceeded quota") != std::string::npos;
}

}  // namespace

executor::executor(kube::client& api, hooks given) : api_(api), hooks_(std::move(given)) {}

std::string_view executor::name_of(const plan::action& what) {
  return std::visit(
      [](const auto& one) -> std::string_view {
        using kind = std::decay_t<decltype(one)>;
        if constexpr (std::is_same_v<kind, plan::apply_object>) return "apply_object";
        if constexpr (std::is_same_v<kind, plan::create_once>) return "create_once";
        if constexpr (std::is_same_v<kind, plan::delete_object>) return "delete_object";
        if constexpr (std::is_same_v<kind, plan::make_authority>) return "make_authority";
        if constexpr (std::is_same_v<kind, plan::promote_authority>) return "promote_authority";
        if constexpr (std::is_same_v<kind, plan::issue_certificate>) return "issue_certificate";
        if constexpr (std::is_same_v<kind, plan::check_template>) return "check_template";
        if constexpr (std::is_same_v<kind, plan::delete_pod>) return "delete_pod";
        if constexpr (std::is_same_v<kind, plan::create_pod>) return "create_pod";
        if constexpr (std::is_same_v<kind, plan::touch_pod>) return "touch_pod";
        return "unknown";
      },
      what);
}

std::string executor::object_of(const plan::action& what) {
  return std::visit(
      [](const auto& one) -> std::string {
        using kind = std::decay_t<decltype(one)>;
        if constexpr (std::is_same_v<kind, plan::apply_object> || std::is_same_v<kind, plan::create_once>) {
          return fmt::format("{} {}", one.kind.kind, kube::name_of(one.object));
        } else if constexpr (std::is_same_v<kind, plan::delete_object>) {
          return fmt::format("{} {}", one.kind.kind, one.key.name);
        } else if constexpr (std::is_same_v<kind, plan::issue_certificate>) {
          return fmt::format("Pod {}", one.pod);
        } else if constexpr (std::is_same_v<kind, plan::delete_pod> || std::is_same_v<kind, plan::create_pod> ||
                             std::is_same_v<kind, plan::touch_pod>) {
          return fmt::format("Pod {}", one.name);
        } else if constexpr (std::is_same_v<kind, plan::check_template>) {
          return fmt::format("template {}", one.hash);
        } else {
          return "the mesh's authority";
        }
      },
      what);
}

result<void> executor::run(const json& mesh, const plan::action& what) {
  if (!hooks_.may_act()) return fail(errc::cancelled, "another operator leads");
  return std::visit(
      [&](const auto& one) -> result<void> {
        using kind = std::decay_t<decltype(one)>;
        if constexpr (std::is_same_v<kind, plan::apply_object>) return apply(mesh, one);
        if constexpr (std::is_same_v<kind, plan::create_once>) return create_once(mesh, one);
        if constexpr (std::is_same_v<kind, plan::delete_object>) return remove_object(one);
        if constexpr (std::is_same_v<kind, plan::make_authority>) return make_authority(mesh, one);
        if constexpr (std::is_same_v<kind, plan::promote_authority>) return promote(mesh, one);
        if constexpr (std::is_same_v<kind, plan::issue_certificate>) {
          auto issued = issue(mesh, one.pod, one.valid_for);
          if (!issued) return fail(issued.error());
          hooks_.tell(mesh, false, "CertificateIssued", fmt::format("for pod {}: {}", one.pod, one.why));
          return {};
        }
        if constexpr (std::is_same_v<kind, plan::check_template>) return check(mesh, one);
        if constexpr (std::is_same_v<kind, plan::delete_pod>) return delete_pod(mesh, one);
        if constexpr (std::is_same_v<kind, plan::create_pod>) return create_pod(mesh, one);
        if constexpr (std::is_same_v<kind, plan::touch_pod>) return touch(mesh, one);
        return fail(errc::internal, "an action without a doer");
      },
      what);
}

result<void> executor::apply(const json& mesh, const plan::apply_object& what) {
  // An object of that name that somebody else made is not ours to take.
  const auto key = kube::key_of(what.object);
  auto there = api_.get(what.kind, key);
  if (!there && there.error().code != errc::not_found) return fail(there.error());
  if (there) {
    if (auto ours = check_owner(mesh, what.kind, *there); !ours) return ours;
  }
  auto applied = api_.apply(what.kind, what.object, apply_as_us);
  if (!applied) return fail(applied.error());
  return {};
}

result<void> executor::create_once(const json& mesh, const plan::create_once& what) {
  auto created = api_.create(what.kind, what.object, write_as_us);
  if (created) return {};
  return fail(explain(mesh, what.kind, kube::key_of(what.object), created.error()));
}

result<void> executor::check_owner(const json& mesh, const kube::resource& kind, const json& there) {
  const auto owner = kube::controller_of(there);
  if (owner && owner->uid == kube::uid_of(mesh)) return {};
  const auto what = fmt::format("{} {}", kind.kind, kube::to_string(kube::key_of(there)));
  const bool of_a_former_life = owner && owner->kind == resources::process_meshes.kind &&
                                owner->name == kube::name_of(mesh) && owner->api_version.starts_with("orrery.dev/");
  plan::obstacle met{.passes = of_a_former_life || kube::is_deleting(there), .message = {}};
  met.message = met.passes ? fmt::format("{} is of a mesh that was deleted: waits until it is collected", what)
                           : fmt::format("{} exists and does not belong to this mesh: rename one of them", what);
  hooks_.obstructed(mesh, met);
  return fail(errc::conflict, std::move(met.message));
}

error executor::explain(const json& mesh, const kube::resource& kind, const object_key& key, error refusal) {
  if (refusal.code != errc::already_exists) return refusal;
  const auto there = api_.get(kind, key);
  if (!there) return refusal;  // it went meanwhile, or cannot be read: look again
  const auto ours = check_owner(mesh, kind, *there);
  return ours ? refusal : ours.error();
}

result<void> executor::remove_object(const plan::delete_object& what) {
  auto removed = api_.remove(what.kind, what.key, {.uid = what.uid});
  if (removed || removed.error().code == errc::not_found) return {};
  return removed;
}

result<void> executor::make_authority(const json& mesh, const plan::make_authority& what) {
  const auto now = wall_now();
  const std::string name(kube::name_of(mesh));
  const auto made = pki::make_authority(kube::namespace_of(mesh), name, now, what.valid_for);
  if (!made) return fail(made.error());
  const auto key = in_namespace_of(mesh, plan::object_names{name}.authority());
  if (what.resource_version.empty()) {
    const auto bundle = pki::combine_bundles(made->certificate_pem, what.also_trust, now);
    if (!bundle) return fail(bundle.error());
    json secret = plan::owned_object(resources::secrets, mesh, key.name, "authority");
    secret["type"] = "kubernetes.io/tls";
    set_data(secret, "tls.crt", made->certificate_pem);
    set_data(secret, "tls.key", made->key_pem);
    set_data(secret, "ca.crt", *bundle);
    auto created = api_.create(resources::secrets, secret, write_as_us);
    if (!created) return fail(explain(mesh, resources::secrets, key, created.error()));
    hooks_.tell(mesh, !what.also_trust.empty(), "AuthorityCreated",
                fmt::format("made the mesh's certificate authority ({})", what.why));
    return {};
  }
  auto secret = api_.get(resources::secrets, key);
  if (!secret) return fail(secret.error());
  const auto bundle = what.staged
                          ? pki::combine_bundles(plan::secret_value(*secret, "ca.crt"), made->certificate_pem, now)
                          : pki::combine_bundles(made->certificate_pem, plan::secret_value(*secret, "ca.crt"), now);
  if (!bundle) return fail(bundle.error());
  set_data(*secret, what.staged ? "next.crt" : "tls.crt", made->certificate_pem);
  set_data(*secret, what.staged ? "next.key" : "tls.key", made->key_pem);
  set_data(*secret, "ca.crt", *bundle);
  (*secret)["metadata"]["annotations"][std::string(plan::annotations::bundle_since)] = pki::to_text(now);
  (*secret)["metadata"]["resourceVersion"] = what.resource_version;
  auto written = api_.replace(resources::secrets, *secret, write_as_us);
  if (!written) return fail(written.error());
  hooks_.tell(mesh, false, what.staged ? "AuthorityStaged" : "AuthorityRotated",
              fmt::format("{}{}", what.why, what.staged ? ": a new one is made known to all pods first" : ""));
  return {};
}

result<void> executor::promote(const json& mesh, const plan::promote_authority& what) {
  const auto key = in_namespace_of(mesh, plan::object_names{std::string(kube::name_of(mesh))}.authority());
  auto secret = api_.get(resources::secrets, key);
  if (!secret) return fail(secret.error());
  auto& data = (*secret)["data"];
  if (!data.contains("next.crt") || !data.contains("next.key")) return fail(errc::conflict, "no authority is staged");
  data["tls.crt"] = data["next.crt"];
  data["tls.key"] = data["next.key"];
  data.erase("next.crt");
  data.erase("next.key");
  (*secret)["metadata"]["resourceVersion"] = what.resource_version;
  auto written = api_.replace(resources::secrets, *secret, write_as_us);
  if (!written) return fail(written.error());
  hooks_.tell(mesh, false, "AuthorityRotated", "every pod trusts the new authority; it issues from now on");
  return {};
}

result<json> executor::issue(const json& mesh, const std::string& pod, std::chrono::seconds valid_for) {
  const std::string name(kube::name_of(mesh));
  auto authority = api_.get(resources::secrets, in_namespace_of(mesh, plan::object_names{name}.authority()));
  if (!authority) return fail(authority.error());
  const pki::credentials issuer{plan::secret_value(*authority, "tls.crt"), plan::secret_value(*authority, "tls.key")};
  const mesh_identity identity{std::string(kube::namespace_of(mesh)), name, pod};
  const auto issued = pki::issue(issuer, identity, wall_now(), valid_for);
  if (!issued) return fail(issued.error());
  json secret = plan::owned_object(resources::secrets, mesh, plan::certificate_secret(pod), "certificate");
  secret["metadata"]["annotations"] = {{std::string(plan::annotations::pod), pod},
                                       {std::string(plan::annotations::bundle_since), pki::to_text(wall_now())}};
  secret["type"] = "kubernetes.io/tls";
  set_data(secret, "tls.crt", issued->certificate_pem);
  set_data(secret, "tls.key", issued->key_pem);
  set_data(secret, "ca.crt", plan::secret_value(*authority, "ca.crt"));
  if (!hooks_.may_act()) return fail(errc::cancelled, "another operator leads");
  return api_.apply(resources::secrets, secret, apply_as_us);
}

result<void> executor::check(const json& mesh, const plan::check_template& what) {
  auto options = write_as_us;
  options.dry_run = true;
  options.strict = true;  // a misspelt field would otherwise be dropped in silence
  auto said = api_.create(resources::pods, what.pod, options);
  // A quota that has no room for one pod more says nothing against the template: an update deletes first.
  if (!said && is_over_quota(said.error())) said = what.pod;
  if (!said && !is_refusal(said.error())) return fail(said.error());
  hooks_.checked(mesh, {what.hash, said.has_value(), said ? std::string{} : said.error().context, wall_now()});
  return {};
}

result<void> executor::create_pod(const json& mesh, const plan::create_pod& what) {
  const auto secret = issue(mesh, what.name, what.certificate_valid_for);
  if (!secret) return fail(secret.error());
  json pod = what.pod;
  pod["metadata"]["annotations"][std::string(plan::annotations::config_hash)] =
      plan::hash_of_files(what.config, *secret);
  if (!hooks_.may_act()) return fail(errc::cancelled, "another operator leads");  // the calls before took their time
  auto created = api_.create(resources::pods, pod, write_as_us);
  if (!created && is_over_quota(created.error())) {
    hooks_.tell(mesh, true, "QuotaExceeded", fmt::format("pod {}: {}", what.name, created.error().context));
    return fail(created.error());
  }
  if (!created) {
    if (is_refusal(created.error())) {
      hooks_.checked(mesh, {std::string(kube::annotation_of(pod, plan::annotations::template_hash)), false,
                            created.error().context, wall_now()});
      hooks_.tell(mesh, true, "PodRefused", fmt::format("pod {}: {}", what.name, created.error().context));
    }
    return fail(created.error());
  }
  hooks_.tell(mesh, false, "PodCreated", fmt::format("pod {}: {}", what.name, what.why));
  return {};
}

result<void> executor::delete_pod(const json& mesh, const plan::delete_pod& what) {
  kube::delete_options options;
  options.uid = what.uid;
  if (what.force) options.grace_period = std::chrono::seconds{0};
  auto removed = api_.remove(resources::pods, in_namespace_of(mesh, what.name), options);
  if (!removed && removed.error().code != errc::not_found) return removed;
  const auto note = plan::note_of(what);
  hooks_.tell(mesh, note.warning, note.reason, note.message);
  if (what.asked_by != nullptr) {
    hooks_.warn_of_class(*what.asked_by, note.reason,
                         fmt::format("pod {} of mesh {} is replaced: {}", what.name, kube::name_of(mesh), what.why));
  }
  return {};
}

result<void> executor::touch(const json& mesh, const plan::touch_pod& what) {
  const json patch{
      {"metadata",
       {{"uid", what.uid}, {"annotations", {{std::string(plan::annotations::config_hash), what.config_hash}}}}}};
  auto patched = api_.merge_patch(resources::pods, in_namespace_of(mesh, what.name), patch, write_as_us);
  if (!patched && patched.error().code != errc::not_found) return fail(patched.error());
  return {};
}

}  // namespace orrery::op
