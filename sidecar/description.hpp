#pragma once
#include <string_view>

namespace orrery::sidecar {

/// docs/openapi.yaml.
[[nodiscard]] std::string_view openapi_description() noexcept;

}  // namespace orrery::sidecar
