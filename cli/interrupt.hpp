#pragma once
#include <atomic>
#include <chrono>

namespace orrery::cli {

/// Set by SIGINT or SIGTERM, once catch_interrupts() was called.
extern std::atomic<bool> interrupted;
void catch_interrupts();
/// Waits, at most until interrupted.
void pause_for(std::chrono::milliseconds time);

}  // namespace orrery::cli
