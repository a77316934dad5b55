#pragma once
// Questions to whole nodes, and the documents that answer them (docs/protocol.md): crashes, the greatest processes, the
// loads of classes; what traces tell.
#include "mesh/base/ids.hpp"
#include "mesh/base/result.hpp"
#include "mesh/process/runtime.hpp"
#include "mesh/wire/messages.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace orrery::node {

/// What is asked of every node, or of this one.
struct node_question {
  wire::verb asked = wire::verb::list;
  std::optional<class_name> only{};
  std::size_t limit = 0;             ///< tree: children of each supervisor
  std::optional<process_key> key{};  ///< crashes
  process::measure by{};             ///< top
};
[[nodiscard]] wire::control to_control(const node_question& asked, wire::correlation id, duration remaining);
/// Errors: invalid_argument.
[[nodiscard]] result<node_question> question_of(const wire::control& asked);

/// Converts a core's monotonic time to the wall's, by the clock as it was when the node started.
class wall_clock {
 public:
  wall_clock(boot_number boot, time_point started_at) : boot_(boot), started_at_(started_at) {}
  /// "2026-01-31T12:00:00.123Z"
  [[nodiscard]] std::string text(time_point at) const;

 private:
  boot_number boot_;
  time_point started_at_;
};

struct report_context {
  time_point now;
  node_name node;
  wall_clock clock;
};
[[nodiscard]] value crash_list(const report_context& here, const std::vector<process::crash_report>& crashes,
                               const std::vector<process::give_up_report>& given_up, std::size_t limit);
[[nodiscard]] value top_list(const report_context& here, process::measure by,
                             const std::vector<process::runtime::great>& found);
[[nodiscard]] value load_document(const report_context& here, const process::runtime& from);
/// {"limit", "seconds"}
[[nodiscard]] value trace_request(std::size_t limit, duration length);
struct trace_wanted {
  std::size_t limit = 0;
  duration length{};
};
/// Errors: invalid_argument.
[[nodiscard]] result<trace_wanted> read_trace_request(const value& argument);
[[nodiscard]] value trace_document(const report_context& here, const process_name& name,
                                   const process::trace_entry& what);

/// Of the parts of several nodes one document.
[[nodiscard]] result<value> merge_parts(const node_question& asked, const std::vector<value>& parts,
                                        const std::vector<std::string>& unreachable);

}  // namespace orrery::node
