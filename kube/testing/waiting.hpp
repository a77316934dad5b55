#pragma once
#include <chrono>
#include <functional>
#include <thread>

namespace orrery::kube::testing {

/// Waits for a condition, not for a time: true as soon as it holds, false if it does not within `limit`.
inline bool eventually(const std::function<bool()>& condition,
                       std::chrono::milliseconds limit = std::chrono::seconds{10}) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) return condition();
    std::this_thread::sleep_for(std::chrono::milliseconds{2});
  }
  return true;
}

}  // namespace orrery::kube::testing
