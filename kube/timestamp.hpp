#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace orrery::kube {

using wall_time = std::chrono::sys_time<std::chrono::microseconds>;

/// metav1.Time: "2026-11-21T01:46:30Z"
[[nodiscard]] std::string to_time(wall_time when);
/// metav1.MicroTime: "2026-11-21T01:46:30.000000Z", as Leases have
[[nodiscard]] std::string to_micro_time(wall_time when);
/// Any RFC 3339 time in UTC or with an offset; nothing if it is none.
[[nodiscard]] std::optional<wall_time> parse_time(std::string_view text);

[[nodiscard]] wall_time wall_now();

}  // namespace orrery::kube
