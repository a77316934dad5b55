#pragma once
#include "mesh/process/behaviour.hpp"

#include <memory>

namespace orrery::process {

/// The built-in `counter`: one 64-bit signed integer. `add` (default 1), `get`, `set`, `reset`; calls and casts alike.
[[nodiscard]] std::unique_ptr<behaviour_type> make_counter_type();

}  // namespace orrery::process
