#pragma once
// cli: the events of every node of a mesh at once.
#include "cli/commands.hpp"
#include "cli/sse.hpp"
#include "cli/target.hpp"

#include <chrono>
#include <string>

namespace orrery::cli {

// ---- what following one node and following all have in common ----
inline constexpr std::chrono::seconds stream_silence_max{40};  ///< a sidecar comments every 15 s
inline constexpr std::chrono::milliseconds retry_min{250};
inline constexpr std::chrono::milliseconds retry_max{5000};

/// One line, without its end. `node` is named where the event itself does not: a stream that dropped some.
[[nodiscard]] std::string event_line(const sse_event& got, output form, bool colours, const std::string& node);

/// Follows the nodes of a mesh until SIGINT or SIGTERM: those that there are, and those that come. One that is lost is
/// tried again until its pod is gone. Says on stderr whom it follows. REQUIRES: options.mesh is not empty.
[[nodiscard]] exit_code follow_mesh(const target_options& options, output form, bool colours);

/// Whether a pod's sidecar runs, and so can be followed. Pure.
[[nodiscard]] bool sidecar_runs(const kube::json& pod);

}  // namespace orrery::cli
