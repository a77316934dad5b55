#pragma once
// What operators look at, as text for people: crashes, the greatest processes, traces. Pure; a field that is missing
// shows as "-".
#include "cli/views.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace orrery::cli {

[[nodiscard]] std::string show_crashes(const nlohmann::json& document, look how);
[[nodiscard]] std::string show_top(const nlohmann::json& document, look how);
/// One line, without its end, of an event of a trace. Empty for one that people need not see.
[[nodiscard]] std::string show_traced(const std::string& type, const nlohmann::json& document, look how);

}  // namespace orrery::cli
