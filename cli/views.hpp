#pragma once
// The documents of the SDK's interface (docs/protocol.md) as text for people. Pure; a field that is missing shows as
// "-".
#include <nlohmann/json_fwd.hpp>

#include <string>

namespace orrery::cli {

struct look {
  bool wide = false;
  bool colours = false;
};

[[nodiscard]] std::string show_nodes(const nlohmann::json& document, look how);
[[nodiscard]] std::string show_processes(const nlohmann::json& document, look how);
[[nodiscard]] std::string show_classes(const nlohmann::json& document, look how);
[[nodiscard]] std::string show_tree(const nlohmann::json& document, look how);
/// Only its nodes, with how much there is on each.
[[nodiscard]] std::string show_tree_nodes(const nlohmann::json& document, look how);
[[nodiscard]] std::string show_process(const nlohmann::json& document, look how);
[[nodiscard]] std::string show_groups(const nlohmann::json& document, look how);
[[nodiscard]] std::string show_group(const nlohmann::json& document, look how);
[[nodiscard]] std::string show_registry(const nlohmann::json& document, look how);
/// One line, without its end: time, type, what it is about.
[[nodiscard]] std::string show_event(const std::string& type, const nlohmann::json& document, look how);
/// What a list could not tell: nodes that did not answer, or a limit. Empty if it is whole.
[[nodiscard]] std::string show_gaps(const nlohmann::json& document);

}  // namespace orrery::cli
