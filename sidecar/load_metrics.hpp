#pragma once
#include "mesh/wire/value.hpp"
#include "sidecar/metrics_snapshot.hpp"

#include <set>
#include <string>

namespace orrery::sidecar {

/// What node::load_op tells: of each known class what waits and what it takes, and of the node what its scheduler and
/// its observers have to do.
void add_load(metrics_snapshot& out, const value& load, const std::set<std::string>& known);

}  // namespace orrery::sidecar
