#pragma once
// mesh/base: what every room stands on: results, ids, time, random, hashing. Includes nothing of ours.

namespace orrery {

/// Prints the failed expression with its place and aborts. Never returns.
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line) noexcept;

}  // namespace orrery

/// A condition whose failure is a bug of ours. Stays on in release: a wrong state must not travel.
/// Expected failures (input, network, peers) are `result<T>`, never an assertion.
#define ORRERY_ASSERT(expression) \
  ((expression) ? static_cast<void>(0) : ::orrery::assertion_failed(#expression, __FILE__, __LINE__))
