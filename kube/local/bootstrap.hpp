#pragma once
#include "kube/local/registry.hpp"

namespace orrery::local {

/// What every cluster has before its first user: namespaces, the cluster-admin role, the `kubernetes` service, nodes.
void bootstrap(registry& objects, int nodes, std::uint16_t port);

}  // namespace orrery::local
