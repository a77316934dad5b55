#pragma once
#include <sys/types.h>

namespace orrery::local {

/// A process of ours that outlives this program by an instant: when this program ends, however it ends, it kills every
/// process group that was announced. Made on first use; one per program. Thread-safe.
void guard_group(pid_t group);
void forget_group(pid_t group);

}  // namespace orrery::local
