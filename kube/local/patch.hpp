#pragma once
#include "kube/local/json.hpp"
#include "kube/local/status.hpp"

namespace orrery::local {

// The patches that a client may send. Pure: (schema, object, patch) -> object.

/// RFC 6902. Refuses with 422 when a path does not exist or a test fails.
[[nodiscard]] reply<json> json_patch(const json& object, const json& operations);
/// RFC 7396.
[[nodiscard]] json merge_patch(json object, const json& patch);
/// Kubernetes' strategic merge patch: lists merge by the keys that `schema` names; understands $patch, $retainKeys,
/// $setElementOrder and $deleteFromPrimitiveList.
[[nodiscard]] reply<json> strategic_merge_patch(const json& schema, json object, const json& patch);

}  // namespace orrery::local
