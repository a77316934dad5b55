#pragma once
#include <optional>
#include <string>

namespace orrery::sidecar {

/// Processors that this process may run on.
[[nodiscard]] unsigned processors_allowed();
/// Of how many processors' time its control group may use, whichever of those above it allows least; none: of all.
/// `root`: where the file system begins.
[[nodiscard]] std::optional<double> processor_quota(const std::string& root = "");

}  // namespace orrery::sidecar
