#include "operator/reconciler.hpp"

#include "mesh/process/runtime.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "shell/log.hpp"
#include <random>

namespace orrery::op {

namespace {

using plan::json;

constexpr int rounds_max = 8;
constexpr int unanswered_max = 2;  // failed requests of one round, before it is the API server that does not answer
constexpr std::size_t remembered_max = 10'000;  // templates and scripts that were judged

std::uint64_t seed() {
  std::random_device entropy;
  return (std::uint64_t{entropy()} << 32U) | entropy();
}

// A script is judged by running what stands outside of its functions, here, where all meshes' operator lives: it gets
// no more than this, whatever its class allows.
constexpr std::uint64_t judged_instructions_max = 10'000'000;
constexpr std::uint64_t judged_memory_bytes_max = 16U << 20U;

std::string check_class_script(const json& klass) {
  const auto script = kube::text_at(klass, {"spec", "behaviour", "lua", "script"});
  if (script.empty()) return {};
  process::limits_spec limits;
  limits.instructions_max = static_cast<std::uint64_t>(
      kube::integer_at(klass, {"spec", "limits", "instructions"}, static_cast<std::int64_t>(limits.instructions_max)));
  limits.memory_bytes_max = static_cast<std::uint64_t>(
      kube::integer_at(klass, {"spec", "limits", "memoryBytes"}, static_cast<std::int64_t>(limits.memory_bytes_max)));
  const bool capped =
      limits.instructions_max > judged_instructions_max || limits.memory_bytes_max > judged_memory_bytes_max;
  limits.instructions_max = std::min(limits.instructions_max, judged_instructions_max);
  limits.memory_bytes_max = std::min(limits.memory_bytes_max, judged_memory_bytes_max);
  const auto checked = process::check_script({std::string(script)}, limits);
  if (checked) return {};
  if (checked.error().code != errc::limit_exceeded || !capped) return checked.error().context;
  return checked.error().context +
         "; whatever limits its class has, outside of functions a script may use 10000000 instructions and 16 MiB at "
         "most";
}

/// Failures that pass by themselves are for the log, and obstacles have a condition; of the others people must know.
bool is_worth_telling(const error& failure) {
  return failure.code == errc::invalid_argument || failure.code == errc::forbidden || failure.code == errc::internal;
}

/// `status` tells what was decided; where the pod was not deleted after all, the last replacement is still the one
/// before.
void keep_what_was_not_replaced(const json& mesh, const std::set<std::string, std::less<>>& deleted, json& status) {
  const auto* before = kube::find(mesh, {"status", "lastReplacement"});
  const auto* told = kube::find(status, {"lastReplacement"});
  if (told == nullptr || (before != nullptr && *before == *told)) return;
  if (deleted.contains(kube::text_at(*told, {"pod"}))) return;
  if (before != nullptr) {
    status["lastReplacement"] = *before;
  } else {
    status.erase("lastReplacement");
  }
}

/// A merge patch that leaves nothing of the old status behind.
json replacing(const json& status, const json* before) {
  json out = status;
  if (before == nullptr || !before->is_object()) return out;
  for (const auto& [key, value] : before->items()) {
    if (!out.contains(key)) out[key] = nullptr;
  }
  return out;
}

}  // namespace

reconciler::reconciler(parts given)
    : parts_(std::move(given)),
      executor_(parts_.api, {.may_act = parts_.may_act,
                             .tell = [this](const json& mesh, bool warning, std::string_view reason,
                                            const std::string& message) { tell(mesh, warning, reason, message); },
                             .warn_of_class =
                                 [this](const json& klass, std::string_view reason, const std::string& message) {
                                   parts_.events.record(kube::resources::process_classes, klass,
                                                        kube::event_type::warning, reason, message);
                                 },
                             .checked =
                                 [this](const json& mesh, plan::template_check said) {
                                   const std::lock_guard lock(mutex_);
                                   if (checks_.size() >= remembered_max) checks_.clear();
                                   checks_[std::string(kube::uid_of(mesh))] = std::move(said);
                                 },
                             .obstructed =
                                 [this](const json& mesh, plan::obstacle met) {
                                   const std::lock_guard lock(mutex_);
                                   if (obstacles_.size() >= remembered_max) obstacles_.clear();
                                   obstacles_.insert_or_assign(std::string(kube::uid_of(mesh)), std::move(met));
                                 }}),
      random_(seed()) {}

plan::object_ptr reconciler::newest(std::map<kube::object_key, own_write>& writes, plan::object_ptr copy) {
  const auto found = writes.find(kube::key_of(*copy));
  if (found == writes.end()) return copy;
  const bool stale = found->second.stale_versions.contains(std::string(kube::resource_version_of(*copy))) &&
                     kube::uid_of(*copy) == kube::uid_of(*found->second.object);
  if (stale) return found->second.object;
  writes.erase(found);
  return copy;
}

void reconciler::remember(std::map<kube::object_key, own_write>& writes, const json& before, json written) {
  if (kube::resource_version_of(before) == kube::resource_version_of(written)) return;  // nothing changed
  auto& entry = writes[kube::key_of(written)];
  entry.stale_versions.insert(std::string(kube::resource_version_of(before)));
  entry.object = std::make_shared<const json>(std::move(written));
}

void reconciler::forget_classes_that_are_gone(const kube::object_key& mesh, const plan::observed& seen) {
  const std::lock_guard lock(mutex_);
  std::erase_if(class_writes_, [&](const auto& write) {
    const auto& [key, what] = write;
    return key.ns == mesh.ns && kube::text_at(*what.object, {"spec", "meshRef", "name"}) == mesh.name &&
           std::none_of(seen.classes.begin(), seen.classes.end(),
                        [&, &key = key](const auto& one) { return kube::name_of(*one.object) == key.name; });
  });
}

plan::observed reconciler::with_memory(plan::observed seen) {
  for (auto& klass : seen.classes) {
    {
      const std::lock_guard lock(mutex_);
      klass.object = newest(class_writes_, klass.object);
    }
    const std::string uid(kube::uid_of(*klass.object));
    const auto generation = kube::generation_of(*klass.object);
    {
      const std::lock_guard lock(mutex_);
      if (const auto known = script_verdicts_.find(uid);
          known != script_verdicts_.end() && known->second.first == generation) {
        klass.script_error = known->second.second;
        continue;
      }
    }
    klass.script_error = check_class_script(*klass.object);
    const std::lock_guard lock(mutex_);
    if (script_verdicts_.size() >= remembered_max) script_verdicts_.clear();
    script_verdicts_[uid] = {generation, klass.script_error};
  }
  if (seen.mesh) {
    const std::lock_guard lock(mutex_);
    const std::string uid(kube::uid_of(*seen.mesh));
    if (const auto known = checks_.find(uid); known != checks_.end()) seen.check = known->second;
    if (const auto met = obstacles_.find(uid); met != obstacles_.end()) seen.blocked = met->second;
  }
  return seen;
}

result<plan::decision> reconciler::decide(const kube::object_key& key, bool afresh) {
  const auto in_contact_since = parts_.heard.since();  // before it looks
  plan::observed seen;
  if (afresh) {
    auto now = parts_.view.read_now(key);
    if (!now) return fail(now.error());
    seen = with_memory(std::move(*now));
  } else {
    seen = parts_.view.remembered(key);
    if (seen.mesh) {
      const std::lock_guard lock(mutex_);
      seen.mesh = newest(mesh_writes_, seen.mesh);
    }
    seen = with_memory(std::move(seen));
  }
  forget_classes_that_are_gone(key, seen);
  const auto now = std::chrono::system_clock::now();
  seen.in_contact_since = in_contact_since;
  if (!seen.mesh || kube::is_deleting(*seen.mesh)) {
    auto out = seen.mesh ? plan::decision{} : plan::judge_orphan_classes(seen.classes, now);
    const std::lock_guard lock(mutex_);
    meshes_.erase(key);
    mesh_writes_.erase(key);
    return out;
  }
  const std::lock_guard lock(mutex_);
  meshes_[key] = seen.mesh;
  return plan::decide(seen, parts_.settings, now, random_);
}

result<void> reconciler::do_one(const json& mesh, const plan::action& what) {
  const auto name = executor::name_of(what);
  auto done = executor_.run(mesh, what);
  parts_.numbers.on_action(name, done.has_value());
  const auto object = executor::object_of(what);
  if (done) {
    shell::log::info(
        "did",
        {{"action", name}, {"object", object}, {"namespace", kube::namespace_of(mesh)}, {"mesh", kube::name_of(mesh)}});
  } else {
    shell::log::warn("could not", {{"action", name},
                                   {"object", object},
                                   {"namespace", kube::namespace_of(mesh)},
                                   {"mesh", kube::name_of(mesh)},
                                   {"error", to_string(done.error())}});
  }
  return done;
}

std::string reconciler::obstacle_of(const json& mesh) {
  const std::lock_guard lock(mutex_);
  const auto met = obstacles_.find(std::string(kube::uid_of(mesh)));
  return met == obstacles_.end() ? std::string{} : met->second.message;
}

std::string reconciler::forget_obstacle(const json& mesh) {
  auto known = obstacle_of(mesh);
  const std::lock_guard lock(mutex_);
  obstacles_.erase(std::string(kube::uid_of(mesh)));
  return known;
}

reconciler::outcome reconciler::act(const json& mesh, const plan::decision& what) {
  outcome out;
  bool pods_wait = false;
  int unanswered = 0;
  for (const auto& one : what.actions) {
    if (pods_wait && plan::needs_the_others(one)) continue;
    if (const auto done = do_one(mesh, one); !done) {
      const auto code = done.error().code;
      if (out.done) out.done = fail(done.error());
      pods_wait = pods_wait || plan::is_needed_by_pods(one);
      const bool silent = code == errc::unavailable || code == errc::deadline_exceeded;
      if (code == errc::cancelled || (silent && ++unanswered >= unanswered_max)) break;
      continue;
    }
    if (const auto* deleted = std::get_if<plan::delete_pod>(&one)) out.deleted.insert(deleted->name);
    out.again = out.again || std::holds_alternative<plan::make_authority>(one) ||
                std::holds_alternative<plan::promote_authority>(one) ||
                std::holds_alternative<plan::check_template>(one);
  }
  return out;
}

void reconciler::tell(const json& mesh, bool warning, std::string_view reason, const std::string& message) {
  parts_.events.record(kube::resources::process_meshes, mesh,
                       warning ? kube::event_type::warning : kube::event_type::normal, reason, message);
  parts_.numbers.on_event(reason);
  shell::log::write(warning ? shell::log_level::warn : shell::log_level::info, message,
                    {{"reason", reason}, {"namespace", kube::namespace_of(mesh)}, {"mesh", kube::name_of(mesh)}});
}

result<void> reconciler::report_class(const plan::class_status& one) {
  const auto* before = kube::find(*one.object, {"status"});
  if (before != nullptr && *before == one.status) return {};
  const auto key = kube::key_of(*one.object);
  auto written = parts_.api.patch_status(kube::resources::process_classes, key, replacing(one.status, before));
  if (!written) return written.error().code == errc::not_found ? result<void>{} : fail(written.error());
  {
    const std::lock_guard lock(mutex_);
    remember(class_writes_, *one.object, std::move(*written));
  }
  if (one.quiet) return {};
  const auto& accepted = one.status.at("conditions").front();
  const auto reason = kube::text_at(accepted, {"reason"});
  const bool good = kube::text_at(accepted, {"status"}) == "True";
  const std::string message(kube::text_at(accepted, {"message"}));
  parts_.events.record(kube::resources::process_classes, *one.object,
                       good ? kube::event_type::normal : kube::event_type::warning, reason, message);
  parts_.numbers.on_event(reason);
  shell::log::write(good ? shell::log_level::info : shell::log_level::warn, message,
                    {{"reason", reason}, {"namespace", key.ns}, {"class", key.name}});
  return {};
}

result<void> reconciler::report_classes(const plan::decision& what) {
  for (const auto& one : what.class_statuses) {
    if (!parts_.may_act()) return fail(errc::cancelled, "another operator leads");
    if (auto reported = report_class(one); !reported) return reported;
  }
  return {};
}

result<void> reconciler::report_mesh(const kube::object_key& key, const json& mesh, const plan::decision& what) {
  const auto& status = what.status;
  parts_.numbers.on_mesh(key, kube::integer_at(status, {"desiredReplicas"}),
                         kube::integer_at(status, {"readyReplicas"}),
                         kube::text_at(status.at("conditions").front(), {"status"}) == "True");
  const auto* before = kube::find(mesh, {"status"});
  if (before != nullptr && *before == status) return {};
  if (!parts_.may_act()) return fail(errc::cancelled, "another operator leads");
  auto written = parts_.api.patch_status(kube::resources::process_meshes, key, replacing(status, before));
  if (!written) return fail(written.error());
  {
    const std::lock_guard lock(mutex_);
    remember(mesh_writes_, mesh, std::move(*written));
  }
  for (const auto& note : what.notes)
    tell(mesh, note.warning, note.reason, note.message);
  return {};
}

result<std::optional<pki::wall_time>> reconciler::reconcile(const kube::object_key& key) {
  bool afresh = false;
  for (int round = 0; round < rounds_max; ++round) {
    auto decided = decide(key, afresh);
    if (decided && !afresh && decided->is_consequential()) {
      afresh = true;  // never make or delete pods by a copy that may be old
      decided = decide(key, afresh);
    }
    if (!decided) {
      if (decided.error().code == errc::not_found) return std::optional<pki::wall_time>{};  // the mesh went meanwhile
      return fail(decided.error());
    }
    plan::object_ptr mesh;
    {
      const std::lock_guard lock(mutex_);
      if (const auto found = meshes_.find(key); found != meshes_.end()) mesh = found->second;
    }
    if (!mesh) {
      parts_.numbers.on_mesh_gone(key);
      if (auto reported = report_classes(*decided); !reported) return fail(reported.error());
      return decided->again_at;
    }
    const auto knew = forget_obstacle(*mesh);  // if it is still there, it will be met
    const auto acted = act(*mesh, *decided);
    const bool may_go_on = acted.done || acted.done.error().code != errc::cancelled;
    if (may_go_on && (acted.again || obstacle_of(*mesh) != knew)) {
      afresh = true;
      continue;
    }
    if (!acted.done && is_worth_telling(acted.done.error())) {
      tell(*mesh, true, "ReconcileFailed", acted.done.error().context);
    }
    keep_what_was_not_replaced(*mesh, acted.deleted, decided->status);
    // What went wrong is no reason to say nothing of what is.
    auto reported = report_mesh(key, *mesh, *decided);
    if (reported) reported = report_classes(*decided);
    if (!acted.done) return fail(acted.done.error());
    if (!reported) return fail(reported.error());
    return decided->again_at;
  }
  return fail(errc::internal, fmt::format("mesh {} did not settle in {} rounds", kube::to_string(key), rounds_max));
}

}  // namespace orrery::op
