#pragma once
// The classes of config.yaml. Include in .cpp files only.
#include "sidecar/config.hpp"
#include "sidecar/yaml.hpp"

namespace orrery::sidecar {

/// Reads `classes`; what is wrong goes into the report of `root`.
void read_classes(yaml::mapping& root, config& out);

}  // namespace orrery::sidecar
