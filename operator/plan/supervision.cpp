// What a ProcessClass says of supervision, limits and children: read, judged field by field, and as config.yaml has it.
#include "operator/plan/supervision.hpp"

#include "operator/plan/spec.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <set>
#include <string>
#include <utility>

namespace orrery::plan {

namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr std::int64_t state_bytes_max = 1 << 20;  // more does not fit into one message to another node
constexpr std::int64_t intensity_max = 100'000;
constexpr std::int64_t mailbox_max = 1'000'000;
constexpr std::int64_t processes_max = 2'000'000;
constexpr std::size_t children_max = 256;
constexpr std::size_t key_bytes_max = 1024;

/// Reads fields of one object of the spec. The first fault is kept, with its path.
class fields {
 public:
  fields(const json* object, std::string path, std::optional<verdict>& fault)
      : object_(object), path_(std::move(path)), fault_(fault) {}

  [[nodiscard]] const json* find(std::string_view field) const {
    if (object_ == nullptr || !object_->is_object()) return nullptr;
    const auto found = object_->find(field);
    return found == object_->end() || found->is_null() ? nullptr : &*found;
  }
  [[nodiscard]] bool has(std::string_view field) const { return find(field) != nullptr; }
  void wrong(std::string_view field, const std::string& why) {
    if (!fault_) fault_ = verdict{"InvalidField", fmt::format("{}.{}: {}", path_, field, why)};
  }

  std::string text(std::string_view field, std::string_view otherwise) {
    const auto* found = find(field);
    if (found == nullptr) return std::string(otherwise);
    if (!found->is_string()) wrong(field, fmt::format("{} is no text", found->dump()));
    return found->is_string() ? found->get<std::string>() : std::string(otherwise);
  }
  std::string choice(std::string_view field, std::initializer_list<std::string_view> accepted) {
    auto given = text(field, *accepted.begin());
    if (std::find(accepted.begin(), accepted.end(), given) == accepted.end()) {
      wrong(field, fmt::format("{} is not one of {}", given, fmt::join(accepted, ", ")));
    }
    return given;
  }
  std::int64_t number(std::string_view field, std::int64_t otherwise, std::int64_t least, std::int64_t most) {
    const auto* found = find(field);
    if (found == nullptr) return otherwise;
    if (found->is_number_integer()) {
      const auto given = found->get<std::int64_t>();
      if (given >= least && given <= most) return given;
    }
    wrong(field, fmt::format("{} is out of range: {} to {} are accepted", found->dump(), least, most));
    return otherwise;
  }
  milliseconds span(std::string_view field, milliseconds otherwise, milliseconds least, milliseconds most) {
    const auto given = text(field, "");
    if (given.empty()) return otherwise;
    const auto parsed = parse_milliseconds(given);
    if (!parsed) {
      wrong(field, parsed.error().context);
    } else if (*parsed < least || *parsed > most) {
      wrong(field, fmt::format("{} is out of range: {} to {} are accepted", given, to_text(least), to_text(most)));
    } else {
      return *parsed;
    }
    return otherwise;
  }

 private:
  const json* object_;
  std::string path_;
  std::optional<verdict>& fault_;
};

void add_backoff(fields& supervision, json& out, std::optional<verdict>& fault) {
  if (!supervision.has("backoff")) return;
  fields given(supervision.find("backoff"), "spec.supervision.backoff", fault);
  if (!given.has("initial")) given.wrong("initial", "is missing: give the first pause, as 100ms");
  const auto initial = given.span("initial", 0ms, 0ms, 1h);
  const auto most = given.span("max", std::max<milliseconds>(30s, initial), 1ms, 24h);
  if (most < initial) {
    given.wrong("max", fmt::format("{} is shorter than spec.supervision.backoff.initial, {}: give at least that",
                                   to_text(most), to_text(initial)));
  }
  out["backoff"] = {{"initial", to_text(initial)}, {"max", to_text(most)}};
}

void add_shutdown(fields& supervision, json& out) {
  const auto given = supervision.text("shutdown", "5s");
  if (given != "BrutalKill" && given != "Infinity") {
    const auto parsed = parse_milliseconds(given);
    if (!parsed || *parsed > 24h) {
      supervision.wrong(
          "shutdown",
          fmt::format("{} is not accepted: give a duration up to 24h as 5s, BrutalKill or Infinity", given));
    }
  }
  if (given != "5s") out["shutdown"] = given;
}

json supervision_of(const json& klass, std::optional<verdict>& fault) {
  fields given(kube::find(klass, {"spec", "supervision"}), "spec.supervision", fault);
  json out{{"strategy", given.choice("strategy", {"OneForOne", "OneForAll", "RestForOne"})},
           {"restart", given.choice("restart", {"Permanent", "Transient", "Temporary"})},
           {"intensity", given.number("intensity", 3, 0, intensity_max)},
           {"period", to_text(given.span("period", 5s, 1ms, 24h))},
           {"escalate", given.choice("escalate", {"Parent", "Node", "Pod"})}};
  if (const auto parent = given.text("parent", ""); !parent.empty()) out["parent"] = parent;
  add_shutdown(given, out);
  add_backoff(given, out, fault);
  if (given.has("childIntensity")) out["childIntensity"] = given.number("childIntensity", 0, 0, intensity_max);
  if (const auto cooldown = given.span("childCooldown", 30s, 1ms, 24h); cooldown != 30s) {
    out["childCooldown"] = to_text(cooldown);
  }
  const auto when = given.choice("autoShutdown", {"Never", "AnySignificant", "AllSignificant"});
  if (when != "Never") out["autoShutdown"] = when;
  return out;
}

json limits_of(const json& klass, std::optional<verdict>& fault) {
  constexpr auto lots = std::int64_t{1} << 40;
  fields given(kube::find(klass, {"spec", "limits"}), "spec.limits", fault);
  json out{{"mailbox", given.number("mailbox", 10'000, 1, mailbox_max)},
           {"instructions", given.number("instructions", 1'000'000, 1000, lots)},
           {"memoryBytes", given.number("memoryBytes", 8 << 20, 4096, lots)},
           {"stateBytes", given.number("stateBytes", 1 << 20, 16, state_bytes_max)}};
  const auto policy = given.choice("mailboxPolicy", {"Reject", "DropOldest", "Block"});
  if (policy != "Reject") out["mailboxPolicy"] = policy;
  if (given.has("maxProcesses")) out["maxProcesses"] = given.number("maxProcesses", 1, 1, processes_max);
  return out;
}

/// One element of spec.children.
json child_of(const json& child, const std::string& path, const json& klass, const json& supervision,
              std::optional<verdict>& fault) {
  fields given(&child, path, fault);
  json out{{"key", given.text("key", "")}};
  const auto size = out["key"].get_ref<const std::string&>().size();
  if (size == 0 || size > key_bytes_max) {
    given.wrong("key", fmt::format("has {} bytes: 1 to {} are accepted", size, key_bytes_max));
  }
  auto restart = supervision.at("restart").get<std::string>();
  if (given.has("restart")) {
    restart = given.choice("restart", {"Permanent", "Transient", "Temporary"});
    out["restart"] = restart;
  }
  const auto* significant = given.find("significant");
  if (significant != nullptr && significant->is_boolean() && significant->get<bool>()) {
    if (restart == "Permanent") {
      given.wrong("significant", "true is for children that may end: give it restart Transient or Temporary");
    }
    if (!supervision.contains("autoShutdown")) {
      given.wrong("significant",
                  "true means nothing while spec.supervision.autoShutdown is Never: give AnySignificant or "
                  "AllSignificant there");
    }
    out["significant"] = true;
  }
  if (const auto* argument = given.find("argument"); argument != nullptr) {
    if (kube::find(klass, {"spec", "behaviour", "builtin"}) != nullptr) {
      given.wrong("argument",
                  "only the init of a script or of an app takes one, and this class has a builtin behaviour");
    }
    out["argument"] = argument->dump();
  }
  return out;
}

json children_of(const json& klass, const json& supervision, const json& limits, std::optional<verdict>& fault) {
  json out = json::array();
  const auto* given = kube::find(klass, {"spec", "children"});
  if (given == nullptr || given->is_null()) return out;
  fields spec(kube::find(klass, {"spec"}), "spec", fault);
  if (!given->is_array() || given->size() > children_max) {
    spec.wrong("children", fmt::format("must be a list of at most {}", children_max));
    return out;
  }
  std::set<std::string> keys;
  for (std::size_t i = 0; i < given->size(); ++i) {
    const auto path = fmt::format("spec.children[{}]", i);
    auto child = child_of((*given)[i], path, klass, supervision, fault);
    if (!keys.insert(child.at("key").get<std::string>()).second) {
      fields((&(*given)[i]), path, fault).wrong("key", "is there twice: each key once");
    }
    out.push_back(std::move(child));
  }
  if (limits.contains("maxProcesses") && limits.at("maxProcesses").get<std::size_t>() < out.size()) {
    fields(nullptr, "spec.limits", fault)
        .wrong("maxProcesses", fmt::format("{} is less than there are children, which are {}",
                                           limits.at("maxProcesses").get<std::int64_t>(), out.size()));
  }
  return out;
}

}  // namespace

std::optional<verdict> add_supervision(const json& klass, json& entry) {
  std::optional<verdict> fault;
  entry["supervision"] = supervision_of(klass, fault);
  entry["limits"] = limits_of(klass, fault);
  auto children = children_of(klass, entry["supervision"], entry["limits"], fault);
  if (!children.empty()) entry["children"] = std::move(children);
  return fault;
}

std::string parent_of(const json& entry) { return std::string(kube::text_at(entry, {"supervision", "parent"})); }

std::optional<verdict> judge_parent(const std::map<std::string, json>& entries, const std::string& name,
                                    std::string_view mesh) {
  constexpr std::size_t levels_max = 8;
  std::string way = name;
  std::size_t levels = 0;
  std::set<std::string> passed;
  for (auto above = parent_of(entries.at(name)); !above.empty(); above = parent_of(entries.at(above))) {
    way += " -> " + above;
    const auto found = entries.find(above);
    if (found == entries.end() || found->second.is_null()) {
      if (levels > 0) return std::nullopt;  // it is the one between that is refused
      return verdict{"ParentNotFound",
                     fmt::format("spec.supervision.parent: mesh {} has no class {}: give the name of one, or leave it "
                                 "out for the node's root",
                                 mesh, above)};
    }
    if (above == name) {
      return verdict{"ParentCircle", fmt::format("spec.supervision.parent: goes in a circle: {}", way)};
    }
    if (!passed.insert(above).second) return std::nullopt;  // those in the circle are refused
    if (++levels > levels_max) {
      return verdict{"InvalidField", fmt::format("spec.supervision.parent: there are more than {} levels above {}: {}",
                                                 levels_max, name, way)};
    }
  }
  return std::nullopt;
}

}  // namespace orrery::plan
