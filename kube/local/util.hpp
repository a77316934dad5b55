#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace orrery::local {

using wall_time = std::chrono::system_clock::time_point;

/// "2026-01-31T12:00:00Z"
[[nodiscard]] std::string rfc3339(wall_time at);
/// "2026-01-31T12:00:00.123456789Z", as logs have it.
[[nodiscard]] std::string rfc3339_nano(wall_time at);
[[nodiscard]] std::optional<wall_time> parse_rfc3339(std::string_view text);

/// A version 4 UUID.
[[nodiscard]] std::string new_uid();
/// Characters as Kubernetes appends them to a generateName.
[[nodiscard]] std::string random_suffix(std::size_t length);
/// Uniform in [0, 1).
[[nodiscard]] double random_unit();

[[nodiscard]] std::string read_file(const std::string& path);
/// Replaces the file as a whole, with mode 0600 when `secret`. False when the operating system refuses.
bool write_file(const std::string& path, std::string_view data, bool secret = false);

}  // namespace orrery::local
