#pragma once

namespace orrery::sidecar {

/// Before anything is allocated: few arenas, and freed memory goes back to the system. A sidecar sits in every pod.
void keep_memory_small();
/// Once started: gives back the code and constants that only starting needed (the pages stay in the page cache; what is
/// needed again is mapped again by a minor fault). Starting up touches megabytes of libraries that never run again.
void drop_startup_pages();

}  // namespace orrery::sidecar
