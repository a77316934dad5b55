#pragma once
#include "kube/local/json.hpp"
#include "kube/local/resource.hpp"

#include <vector>

namespace orrery::local {

// What Kubernetes does to built-in kinds beyond their types: defaults and validation. Pure.

void default_builtin(const resource_info& info, json& object);

/// What is wrong with `after`; `before` is null for a new object. Only the rules that manifests and operators run into.
[[nodiscard]] std::vector<cause> validate_builtin(const resource_info& info, const json& before, const json& after);

/// DNS-1123 subdomain, as names of objects must be; else why not.
[[nodiscard]] std::string name_error(std::string_view name);

}  // namespace orrery::local
