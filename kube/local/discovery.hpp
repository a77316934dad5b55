#pragma once
#include "kube/local/json.hpp"
#include "kube/local/resource.hpp"

#include <string>

namespace orrery::local {

// What the server says of itself. Pure over the catalog.

[[nodiscard]] json version_info();
[[nodiscard]] json core_versions();                 ///< /api
[[nodiscard]] json group_list(const catalog& all);  ///< /apis
/// /apis/GROUP; null when there is no such group.
[[nodiscard]] json group_info(const catalog& all, const std::string& group);
/// /api/v1 and /apis/GROUP/VERSION; null when there is none.
[[nodiscard]] json resource_list(const catalog& all, const std::string& group, const std::string& version);
/// /openapi/v3 and its documents, as far as kubectl explain, apply and its validation need them.
[[nodiscard]] json openapi_index(const catalog& all);
[[nodiscard]] json openapi_document(const catalog& all, const std::string& group, const std::string& version);

}  // namespace orrery::local
