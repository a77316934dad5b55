#pragma once
#include <string_view>

/// What supervisors send themselves.
namespace orrery::process::words {

inline constexpr std::string_view stop_took_too_long = "supervisor: stop took too long";
inline constexpr std::string_view restart = "supervisor: restart";
inline constexpr std::string_view try_again = "supervisor: try again";

}  // namespace orrery::process::words
