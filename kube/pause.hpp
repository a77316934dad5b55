#pragma once
// Waiting that a stop ends at once. For threads of this room's clients; never on an event loop.
#include <chrono>
#include <stop_token>

namespace orrery::kube {

/// Blocks the thread until then, or until `stop` is requested. False if it was.
bool pause_until(std::chrono::steady_clock::time_point until, const std::stop_token& stop);

inline bool pause_for(std::chrono::milliseconds length, const std::stop_token& stop) {
  return pause_until(std::chrono::steady_clock::now() + length, stop);
}

}  // namespace orrery::kube
