#pragma once
// The routes of groups and of the registry; pure.
#include "sidecar/routes.hpp"

#include <optional>
#include <string_view>
#include <vector>

namespace orrery::sidecar {

/// /v1/groups..., /v1/registry. Nothing if `segments` (of the whole path) lead to neither.
[[nodiscard]] std::optional<route> find_group_route(const shell::http_request& request,
                                                    const std::vector<std::string_view>& segments,
                                                    std::string_view query);

}  // namespace orrery::sidecar
