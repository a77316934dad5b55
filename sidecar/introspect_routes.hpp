#pragma once
// The routes by which operators look into processes; pure.
#include "sidecar/routes.hpp"

#include <optional>
#include <string_view>

namespace orrery::sidecar {

/// Below /v1/processes/{class}/{key}: state, suspend, resume, trace. Nothing if `segment` is none of them.
[[nodiscard]] std::optional<route> introspect_route(const shell::http_request& request, const process_name& name,
                                                    std::string_view segment, std::string_view query);

/// /v1/crashes, /v1/top, /v1/tree. Nothing if `segment` is none of them.
[[nodiscard]] std::optional<route> introspect_mesh_route(const shell::http_request& request, std::string_view segment,
                                                         std::string_view query);

}  // namespace orrery::sidecar
