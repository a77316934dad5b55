#pragma once
// For scenarios: processes that do to each other what a call tells them to, and write down what they receive.
#include "mesh/process/behaviour.hpp"

#include <memory>

namespace orrery::sim::testing {

/// Calls, with a target ("class/key", a pid's text) or a name as argument:
///   seen, pid, trap; monitor, link, unlink, exit, boom; send, cast, ask (`{"to", "word"}`; the answer is seen);
///   join, leave, watch, publish; claim, enter (a duplicate key), drop, keys.
/// All else is an echo. A cast is seen.
[[nodiscard]] result<std::unique_ptr<process::behaviour_type>> make_actors(const process::class_spec& spec);

}  // namespace orrery::sim::testing
