#pragma once
#include <string>

namespace orrery::local {

/// Makes the file that a container finds at its terminationMessagePath, empty: what an earlier life wrote is gone.
void make_termination_log(const std::string& path);

/// What a container that has ended left there, as text, cut where Kubernetes cuts it; empty if nothing, or no file.
[[nodiscard]] std::string read_termination_log(const std::string& path);

/// The last lines of a container's log, for terminationMessagePolicy FallbackToLogsOnError.
[[nodiscard]] std::string end_of_log(const std::string& path);

}  // namespace orrery::local
