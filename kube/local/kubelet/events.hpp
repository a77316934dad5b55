#pragma once
#include "kube/local/registry.hpp"

#include <string>

namespace orrery::local {

/// Records an event about a pod; the same event again counts up. `type` is "Normal" or "Warning".
void record_event(registry& objects, const json& pod, const std::string& type, const std::string& reason,
                  const std::string& message);

}  // namespace orrery::local
