#pragma once
#include "mesh/base/result.hpp"
#include "mesh/base/time.hpp"

#include <string_view>

namespace orrery {

/// Durations as Kubernetes and Go write them: "500ms", "1m30s", "0.5s", and "0". One or more numbers that are not
/// negative, each with its unit: ns, us, ms, s, m, h. Errors: invalid_argument, with what is accepted, also for what is
/// longer than `duration` can say (292 years).
[[nodiscard]] result<duration> parse_duration(std::string_view text);

}  // namespace orrery
