#pragma once
#include <array>
#include <cstdint>

namespace orrery {

/// Deterministic pseudo-random numbers for cores (xoshiro256**, Blackman and Vigna 2018): the same seed gives the same
/// sequence on every compiler. Not for secrets. Not thread-safe.
class seeded_random {
 public:
  explicit seeded_random(std::uint64_t seed) noexcept;

  [[nodiscard]] std::uint64_t next() noexcept;
  /// Uniform in [0, bound). REQUIRES: bound > 0. (std::uniform_int_distribution differs by standard library.)
  [[nodiscard]] std::uint64_t below(std::uint64_t bound) noexcept;
  /// Uniform in [0, 1).
  [[nodiscard]] double unit() noexcept;

 private:
  std::array<std::uint64_t, 4> state_;
};

}  // namespace orrery
