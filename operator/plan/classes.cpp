#include "mesh/process/builtin/kinds.hpp"
#include "operator/plan/concerns.hpp"
#include "operator/plan/supervision.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <map>
#include <utility>

namespace orrery::plan {

namespace {

using std::chrono::milliseconds;

std::optional<verdict> check_duration(const json& object, std::initializer_list<std::string_view> path,
                                      std::string_view name, milliseconds most, milliseconds& into) {
  const auto text = kube::text_at(object, path);
  if (text.empty()) return std::nullopt;
  const auto parsed = parse_milliseconds(text);
  if (!parsed) return verdict{"InvalidField", fmt::format("{}: {}", name, parsed.error().context)};
  if (*parsed < milliseconds{1} || *parsed > most) {
    return verdict{"InvalidField",
                   fmt::format("{}: {} is out of range: 1ms to {} are accepted", name, text, to_text(most))};
  }
  into = *parsed;
  return std::nullopt;
}

std::string behaviour_of(const json& klass) {
  if (const auto builtin = kube::text_at(klass, {"spec", "behaviour", "builtin"}); !builtin.empty()) {
    return std::string(builtin);
  }
  return kube::find(klass, {"spec", "behaviour", "app"}) != nullptr ? "app" : "lua";
}

/// What the class says of its app, checked; "30s" and such.
std::optional<verdict> check_app(const json& klass) {
  milliseconds ignored{};
  if (auto bad = check_duration(klass, {"spec", "behaviour", "app", "handlerTimeout"},
                                "spec.behaviour.app.handlerTimeout", std::chrono::hours{1}, ignored)) {
    return bad;
  }
  return check_duration(klass, {"spec", "behaviour", "app", "waitForApp"}, "spec.behaviour.app.waitForApp",
                        std::chrono::hours{1}, ignored);
}

/// What is wrong with spec.behaviour, scripts aside.
std::optional<verdict> check_behaviour(const json& klass) {
  const auto wrong = [](std::string why) { return verdict{"InvalidField", "spec.behaviour" + std::move(why)}; };
  const auto* behaviour = kube::find(klass, {"spec", "behaviour"});
  if (behaviour == nullptr || !behaviour->is_object()) return wrong(": is missing: give builtin, lua or app");
  const bool builtin = behaviour->contains("builtin");
  const int kinds = builtin + behaviour->contains("lua") + behaviour->contains("app");
  if (kinds == 0) return wrong(": is empty: give builtin, lua or app");
  if (kinds > 1) return wrong(": has more than one of builtin, lua and app");
  const auto options = behaviour->find("options");
  if (!builtin) {
    if (options != behaviour->end()) return wrong(".options: are for builtin, not for lua or app");
    return check_app(klass);
  }
  const auto name = kube::text_at(*behaviour, {"builtin"});
  const auto known = std::find(process::builtin_names.begin(), process::builtin_names.end(), name);
  if (known == process::builtin_names.end()) {
    return wrong(fmt::format(".builtin: '{}' is not one of {}", name, fmt::join(process::builtin_names, ", ")));
  }
  if (options == behaviour->end()) return std::nullopt;
  const auto given = value::from_document(*options);
  if (!given) return wrong(".options: " + given.error().context);
  const auto kind = static_cast<process::builtin_kind>(known - process::builtin_names.begin());
  const auto checked = process::check_options(kind, *given);
  if (checked) return std::nullopt;
  return verdict{"InvalidField", "spec." + checked.error().context};
}

/// The class as config.yaml has it, or what is wrong with it.
std::optional<verdict> build_entry(const class_view& one, json& entry) {
  const auto& klass = *one.object;
  if (!one.script_error.empty()) return verdict{"ScriptInvalid", "spec.behaviour.lua.script: " + one.script_error};
  milliseconds call_timeout{5000};
  if (auto bad =
          check_duration(klass, {"spec", "callTimeout"}, "spec.callTimeout", std::chrono::hours{1}, call_timeout)) {
    return bad;
  }
  if (auto bad = check_behaviour(klass)) return bad;
  entry = {{"name", kube::name_of(klass)},
           {"version", kube::generation_of(klass)},
           {"behaviour", *kube::find(klass, {"spec", "behaviour"})},
           {"callTimeout", to_text(call_timeout)}};
  return add_supervision(klass, entry);
}

json build_class_status(const json& klass, const std::optional<verdict>& refused, std::int64_t accepted_generation,
                        std::string_view delivered_to, const std::string& message, wall_time now) {
  json status{{"observedGeneration", kube::generation_of(klass)},
              {"behaviour", behaviour_of(klass)},
              {"acceptedGeneration", accepted_generation},
              {"meshes", json::array()},
              {"conditions", json::array()}};
  if (!delivered_to.empty()) status["meshes"].push_back(delivered_to);
  add_condition(status["conditions"], kube::find(klass, {"status", "conditions"}), "Accepted",
                refused ? "False" : "True", refused ? refused->reason : "Accepted", message, kube::generation_of(klass),
                now);
  return status;
}

/// Since when a class' status says that its mesh is not there, if it does.
std::optional<wall_time> mesh_missing_since(const json& klass) {
  const auto* conditions = kube::find(klass, {"status", "conditions"});
  if (conditions == nullptr || !conditions->is_array()) return std::nullopt;
  for (const auto& one : *conditions) {
    const auto reason = kube::text_at(one, {"reason"});
    if (reason != "WaitingForMesh" && reason != "MeshNotFound") continue;
    return time_or_far_away(kube::text_at(one, {"lastTransitionTime"}));
  }
  return std::nullopt;
}

const json* find_entry(const json& entries, std::string_view name) {
  for (const auto& one : entries) {
    if (kube::text_at(one, {"name"}) == name) return &one;
  }
  return nullptr;
}

/// A class on its way into the configuration.
struct candidate {
  object_ptr object;
  std::optional<verdict> refused;
  json entry;  ///< as config.yaml will have it; null: not at all
  json last;   ///< as it was delivered last; null: never

  void refuse(verdict why) {
    refused = std::move(why);
    entry = std::exchange(last, json{});
  }
};

candidate examine(const class_view& one, const json& before) {
  candidate out{.object = one.object, .refused = {}, .entry = {}, .last = {}};
  const auto* last = find_entry(before, kube::name_of(*one.object));
  if (last != nullptr) out.last = *last;
  if (auto bad = build_entry(one, out.entry)) out.refuse(std::move(*bad));
  return out;
}

/// Until each parent is one that the mesh will have. What goes on as it was does so without its parent if need be.
void settle_parents(std::vector<candidate>& all, std::string_view mesh) {
  std::map<std::string, json> entries;
  for (const auto& one : all)
    entries[std::string(kube::name_of(*one.object))] = one.entry;
  for (bool changed = true; changed;) {
    changed = false;
    for (auto& one : all) {
      const std::string name(kube::name_of(*one.object));
      auto bad = one.entry.is_null() ? std::nullopt : judge_parent(entries, name, mesh);
      if (!bad) continue;
      changed = true;
      if (one.refused) {
        one.entry["supervision"].erase("parent");
      } else {
        one.refuse(std::move(*bad));
      }
      entries[name] = one.entry;
    }
  }
}

}  // namespace

judged_classes judge_classes(const observed& seen, wall_time now) {
  judged_classes out;
  out.accepted = json::array();
  const auto before = delivered_classes(seen);
  const auto mesh = kube::name_of(*seen.mesh);
  std::vector<candidate> all;
  for (const auto& one : seen.classes) {
    if (kube::is_deleting(*one.object)) continue;
    all.push_back(examine(one, before));
  }
  settle_parents(all, mesh);
  std::size_t bytes = 0;
  for (auto& one : all) {
    const auto& klass = *one.object;
    const std::string name(kube::name_of(klass));
    ++out.total;
    auto size = one.entry.is_null() ? 0 : config_map_bytes(one.entry);
    if (!one.refused && bytes + size > classes_bytes_max) {
      one.refuse({"ConfigurationTooLarge",
                  fmt::format("the configuration of mesh {} has {} bytes left for it, and it takes {}: all "
                              "classes of a mesh may take {}, and are served by name",
                              mesh, classes_bytes_max - bytes, size, classes_bytes_max)});
      size = one.entry.is_null() ? 0 : config_map_bytes(one.entry);
    }
    if (bytes + size > classes_bytes_max) one.entry = json{};
    const auto generation = one.entry.is_null() ? 0 : kube::integer_at(one.entry, {"version"});
    std::string message = fmt::format("in order, and in the configuration of mesh {}", mesh);
    if (one.refused) {
      message = one.refused->why + (one.entry.is_null()
                                        ? fmt::format("; mesh {} does not have the class", mesh)
                                        : fmt::format("; mesh {} goes on with generation {}", mesh, generation));
      ++out.refused;
      out.refusals += fmt::format("{}{}: {}", out.refusals.empty() ? "" : "; ", name, one.refused->why);
    }
    if (!one.entry.is_null()) {
      bytes += size;
      out.accepted.push_back(one.entry);
    }
    out.statuses.push_back({one.object, build_class_status(klass, one.refused, generation,
                                                           one.entry.is_null() ? "" : mesh, message, now)});
  }
  return out;
}

decision judge_orphan_classes(const std::vector<class_view>& classes, wall_time now) {
  decision out;
  out.decided_at = now;
  for (const auto& one : classes) {
    const auto& klass = *one.object;
    const auto why = fmt::format("spec.meshRef.name: there is no ProcessMesh {} in namespace {}",
                                 kube::text_at(klass, {"spec", "meshRef", "name"}), kube::namespace_of(klass));
    const auto waiting_since = mesh_missing_since(klass).value_or(now);
    const bool waits = waiting_since + mesh_awaited > now;
    const verdict refused{waits ? "WaitingForMesh" : "MeshNotFound", why + (waits ? " yet" : "")};
    out.class_statuses.push_back({one.object, build_class_status(klass, refused, 0, "", refused.why, now), waits});
    if (waits) out.look_again(waiting_since + mesh_awaited);
  }
  return out;
}

}  // namespace orrery::plan
