#pragma once
// What the behaviours that come with Orrery may be told by their class.
#include "mesh/base/result.hpp"
#include "mesh/process/spec.hpp"

namespace orrery::process {

/// Is this what spec.behaviour.options may say for the behaviour? Null and {} always are. Errors: invalid_argument,
/// with the field, what it holds and what would be accepted.
[[nodiscard]] result<void> check_options(builtin_kind kind, const value& options);

}  // namespace orrery::process
