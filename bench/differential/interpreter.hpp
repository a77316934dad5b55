#pragma once
// The programs of the differential test, on mesh/kernel and mesh/process.
#include <string>
#include <vector>

namespace orrery::differential {

/// What each process saw, a line each: step, who, kind, from whom, detail. Throws std::runtime_error on a step that is
/// not of the language.
[[nodiscard]] std::vector<std::string> run(const std::vector<std::string>& steps);

}  // namespace orrery::differential
