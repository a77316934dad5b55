#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace orrery::cli {

/// The completion script for bash, zsh or fish; nothing for another shell.
[[nodiscard]] std::optional<std::string> completion(std::string_view shell);

}  // namespace orrery::cli
