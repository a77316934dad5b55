#include "mesh/process/builtin/kinds.hpp"
#include "operator/plan/concerns.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>

namespace orrery::plan {

namespace {

using std::chrono::milliseconds;

constexpr std::int64_t state_bytes_max = 1 << 20;  // more does not fit into one message to another node

struct verdict {
  std::string reason;
  std::string why;
};

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
  milliseconds period{5000};
  milliseconds call_timeout{5000};
  if (auto bad = check_duration(klass, {"spec", "supervision", "period"}, "spec.supervision.period",
                                std::chrono::hours{24}, period)) {
    return bad;
  }
  if (auto bad =
          check_duration(klass, {"spec", "callTimeout"}, "spec.callTimeout", std::chrono::hours{1}, call_timeout)) {
    return bad;
  }
  const auto text = [&](std::string_view field, std::string_view otherwise) {
    const auto found = kube::text_at(klass, {"spec", "supervision", field});
    return std::string(found.empty() ? otherwise : found);
  };
  const auto limit = [&](std::string_view field, std::int64_t otherwise) {
    return kube::integer_at(klass, {"spec", "limits", field}, otherwise);
  };
  if (auto bad = check_behaviour(klass)) return bad;
  entry = {{"name", kube::name_of(klass)},
           {"version", kube::generation_of(klass)},
           {"behaviour", *kube::find(klass, {"spec", "behaviour"})},
           {"supervision",
            {{"strategy", text("strategy", "OneForOne")},
             {"restart", text("restart", "Permanent")},
             {"intensity", kube::integer_at(klass, {"spec", "supervision", "intensity"}, 3)},
             {"period", to_text(period)},
             {"escalate", text("escalate", "Parent")}}},
           {"limits",
            {{"mailbox", limit("mailbox", 10'000)},
             {"instructions", limit("instructions", 1'000'000)},
             {"memoryBytes", limit("memoryBytes", 8 << 20)},
             {"stateBytes", limit("stateBytes", 1 << 20)}}},
           {"callTimeout", to_text(call_timeout)}};
  if (const auto given = limit("stateBytes", 1); given < 1 || given > state_bytes_max) {
    return verdict{"InvalidField", fmt::format("spec.limits.stateBytes: {} is out of range: 1 to {} are accepted",
                                               given, state_bytes_max)};
  }
  return std::nullopt;
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

}  // namespace

judged_classes judge_classes(const observed& seen, wall_time now) {
  judged_classes out;
  out.accepted = json::array();
  const auto before = delivered_classes(seen);
  const auto mesh = kube::name_of(*seen.mesh);
  std::size_t bytes = 0;
  for (const auto& one : seen.classes) {
    const auto& klass = *one.object;
    if (kube::is_deleting(klass)) continue;
    const std::string name(kube::name_of(klass));
    ++out.total;
    json entry;
    auto refused = build_entry(one, entry);
    auto size = refused ? 0 : config_map_bytes(entry);
    if (!refused && bytes + size > classes_bytes_max) {
      refused = verdict{"ConfigurationTooLarge",
                        fmt::format("the configuration of mesh {} has {} bytes left for it, and it takes {}: all "
                                    "classes of a mesh may take {}, and are served by name",
                                    mesh, classes_bytes_max - bytes, size, classes_bytes_max)};
    }
    std::string consequence;
    if (refused) {
      const auto* last = find_entry(before, name);
      size = last != nullptr ? config_map_bytes(*last) : 0;
      const bool goes_on = last != nullptr && bytes + size <= classes_bytes_max;
      entry = goes_on ? *last : json{};
      consequence =
          goes_on ? fmt::format("; mesh {} goes on with generation {}", mesh, kube::integer_at(*last, {"version"}))
                  : fmt::format("; mesh {} does not have the class", mesh);
    }
    const auto generation = entry.is_null() ? 0 : kube::integer_at(entry, {"version"});
    if (!entry.is_null()) {
      bytes += size;
      out.accepted.push_back(entry);
    }
    if (refused) {
      ++out.refused;
      out.refusals += fmt::format("{}{}: {}", out.refusals.empty() ? "" : "; ", name, refused->why);
    }
    const auto message =
        refused ? refused->why + consequence : fmt::format("in order, and in the configuration of mesh {}", mesh);
    out.statuses.push_back(
        {one.object, build_class_status(klass, refused, generation, entry.is_null() ? "" : mesh, message, now)});
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
