#pragma once
// What a ProcessClass says of supervision, limits and children.
#include "kube/resource.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace orrery::plan {

using kube::json;

/// Why a class is refused.
struct verdict {
  std::string reason;  ///< of the condition
  std::string why;     ///< "spec.supervision.period: ..."
};

/// Adds `supervision`, `limits` and, where there are any, `children` to a class' entry of config.yaml. What the schema
/// would refuse is refused here too: a server may not have checked it.
[[nodiscard]] std::optional<verdict> add_supervision(const json& klass, json& entry);

/// The class that an entry of config.yaml names as its parent; empty if none.
[[nodiscard]] std::string parent_of(const json& entry);
/// What is wrong with the parent of the entry of that name among all; null stands for a class that the mesh will not
/// have. REQUIRES: entries.at(name) is none of these.
[[nodiscard]] std::optional<verdict> judge_parent(const std::map<std::string, json>& entries, const std::string& name,
                                                  std::string_view mesh);

}  // namespace orrery::plan
