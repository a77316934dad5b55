#pragma once
#include "kube/local/json.hpp"
#include "kube/local/status.hpp"

#include <set>
#include <string>
#include <vector>

namespace orrery::local {

// Server-side apply (KEP-555) and the field ownership under it. Pure.

/// A set of fields; each path is elements as in FieldsV1: `f:name`, `k:{"name":"x"}`, `v:1`.
using field_path = std::vector<std::string>;
using field_set = std::set<field_path>;

[[nodiscard]] field_set fields_of(const json& schema, const json& object);
[[nodiscard]] json to_fields_v1(const field_set& fields);
[[nodiscard]] field_set from_fields_v1(const json& fields);

/// Who writes, and through which part of the API.
struct field_manager {
  std::string name;
  std::string api_version;
  std::string subresource;
  std::string time;  ///< RFC 3339
};

/// The object after `config` is applied to `live` (null for a new object): lists merge by key, fields that this manager
/// applied before and no longer does are removed unless others hold them. 409 names every field that another manager
/// holds with another value, unless `force`. `managedFields` is brought up to date.
[[nodiscard]] reply<json> apply_config(const json& schema, const json& live, const json& config,
                                       const field_manager& manager, bool force);

/// Brings `managedFields` of `changed` up to date after a write that is not an apply.
void track_update(const json& schema, const json& before, json& changed, const field_manager& manager);

}  // namespace orrery::local
