#pragma once
#include "mesh/base/result.hpp"

#include <nlohmann/json_fwd.hpp>

namespace orrery::process {

inline constexpr std::size_t patch_operations_max = 1000;
/// Bytes of texts that a patch copies and moves, and elements of arrays that make room; each item that is copied or
/// moved counts as eight: so that a short patch is no long work, and makes no large document on the way.
inline constexpr std::size_t patch_work_max = 4U << 20U;

/// Applies a JSON Patch (RFC 6902): add, remove, replace, move, copy, test. All of it or nothing: after an error the
/// document is as it was. Errors: invalid_argument (no patch: names the operation, by number from 0, and what it
/// lacks), conflict (the document is not as the patch expects: a path that is not there, a test that fails), too_large
/// (patch_operations_max, patch_work_max, value_depth_max).
[[nodiscard]] result<void> apply_json_patch(nlohmann::json& document, const nlohmann::json& patch);

}  // namespace orrery::process
