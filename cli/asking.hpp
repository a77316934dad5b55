#pragma once
// How commands ask the sidecar, and show what it says.
#include "cli/commands.hpp"
#include "cli/views.hpp"

#include <nlohmann/json_fwd.hpp>

#include <chrono>
#include <string>

namespace orrery::cli {

inline constexpr std::chrono::seconds ask_timeout{15};

/// To standard output, at once.
void print(const std::string& text);
/// Sends, and turns whatever is not a success into an error.
[[nodiscard]] result<nlohmann::json> ask(session& with, const http_question& asked, std::chrono::milliseconds timeout);
/// GET, printed as `view` has it, or as JSON; what a list lacks is said on standard error.
[[nodiscard]] exit_code show(session& with, const std::string& target,
                             std::string (*view)(const nlohmann::json&, look));
/// Asks for a change to one process; `done` is what to say then.
[[nodiscard]] exit_code change(session& with, const std::string& name, const char* method, const std::string& suffix,
                               std::string body, const std::string& done);

}  // namespace orrery::cli
