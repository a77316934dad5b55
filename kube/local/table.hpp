#pragma once
#include "kube/local/json.hpp"
#include "kube/local/resource.hpp"
#include "kube/local/store.hpp"
#include "kube/local/util.hpp"

#include <vector>

namespace orrery::local {

/// What each row of a Table carries besides its cells.
enum class include_object { none, metadata, whole };

/// A meta.k8s.io/v1 Table of objects, as `kubectl get` prints them. `metadata` is the list's.
[[nodiscard]] json to_table(const resource_info& info, const std::vector<object_ptr>& objects, json metadata,
                            include_object include, wall_time now);

/// An object as PartialObjectMetadata.
[[nodiscard]] json to_partial(const json& object);

/// What a printer column's JSONPath selects (`.status.conditions[?(@.type=="Ready")].status`); null when nothing.
[[nodiscard]] json select_path(const json& object, std::string_view path);

/// "42s", "5m10s", "3h", "12d": as kubectl prints ages.
[[nodiscard]] std::string human_duration(std::chrono::seconds age);

}  // namespace orrery::local
