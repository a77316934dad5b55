#pragma once
#include <string>
#include <string_view>

namespace orrery::sidecar {

/// What the kubelet keeps of a container's termination log.
inline constexpr std::size_t termination_log_bytes_max = 4096;

/// Leaves word of why this container ends, for whoever reads the pod's status (terminated.message): the beginning of
/// `why`. The kubelet makes the file; where there is none, or it cannot be written, nothing happens.
void write_termination_log(const std::string& path, std::string_view why);

}  // namespace orrery::sidecar
