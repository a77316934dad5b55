#pragma once
// The JSON documents of the SDK's interface and of events (docs/protocol.md). documents.cpp: processes, nodes, events.
// supervision_documents.cpp: classes and supervisors. Nothing else here knows JSON.
#include "mesh/base/ids.hpp"
#include "mesh/base/result.hpp"
#include "mesh/base/time.hpp"
#include "mesh/membership/membership.hpp"
#include "mesh/process/runtime.hpp"
#include "mesh/wire/value.hpp"

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace orrery::node {

/// What a listing may hold; what is left out is said by "truncated".
inline constexpr std::size_t list_bytes_max = 900'000;

using field_value = std::variant<std::string, std::uint64_t, double, bool>;
using field = std::pair<const char*, field_value>;
/// A flat document, for events and short answers.
[[nodiscard]] const char* state_name(process::process_state state);
[[nodiscard]] const char* escalation_name(process::escalation to);
[[nodiscard]] value flat(const std::vector<field>& fields);

[[nodiscard]] value process_document(time_point now, const node_name& node, const process::process_info& info,
                                     const process::process_ties& ties);
/// {"version", "state"}. Errors: too_large, where the state leaves no room for the rest.
[[nodiscard]] result<value> state_document(const process::state_copy& read);
/// {"processes": [...], "unreachable": [], "truncated": ...} of one node.
[[nodiscard]] value process_list(time_point now, const node_name& node, const std::vector<process::process_info>& infos,
                                 std::size_t limit);
/// Of several such lists one, in name order.
[[nodiscard]] result<value> merge_process_lists(const std::vector<value>& parts,
                                                const std::vector<std::string>& unreachable, std::size_t limit);
/// Of a name that does not run as it is over its budget.
[[nodiscard]] value given_up_document(time_point now, const node_name& node, const process::given_up_info& info);
/// What of all classes together is listed by name in one node's tree; the rest is counted.
inline constexpr std::size_t tree_children_shown = 2000;
inline constexpr std::size_t tree_reason_bytes_max = 300;
/// A supervisor and those of its processes that are to be shown.
struct tree_branch {
  process::supervisor_info supervisor;
  std::vector<process::process_info> processes{};
};
[[nodiscard]] value tree_document(time_point now, const node_name& node, const std::vector<tree_branch>& branches);
[[nodiscard]] result<value> merge_trees(const std::vector<value>& parts, const std::vector<std::string>& unreachable);
[[nodiscard]] result<value> node_list(const std::vector<membership::peer_view>& peers, bool draining);

[[nodiscard]] result<value> group_list(const std::vector<process::runtime::group_info>& groups, std::size_t limit);
[[nodiscard]] result<value> group_document(const std::string& name, const std::vector<pid>& members);
/// A key and whether it is unique in the mesh.
using listed_key = std::pair<process::runtime::key_info, bool>;
[[nodiscard]] result<value> registry_list(const std::vector<listed_key>& keys, std::size_t limit);

struct declared_class {
  process::class_spec spec;
  std::string refused;  ///< why this version does not run; empty if it does
};
[[nodiscard]] result<value> class_list(const std::vector<declared_class>& classes);

}  // namespace orrery::node
