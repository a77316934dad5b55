#include "mesh/base/random.hpp"

#include "mesh/base/assert.hpp"
#include "mesh/base/hash.hpp"

#include <bit>

namespace orrery {

seeded_random::seeded_random(std::uint64_t seed) noexcept : state_{} {
  // splitmix64, as the authors advise, so that seeds that differ in one bit give unrelated states.
  for (auto& word : state_) {
    seed += 0x9e3779b97f4a7c15U;
    word = mix64(seed);
  }
}

std::uint64_t seeded_random::next() noexcept {
  const std::uint64_t drawn = std::rotl(state_[1] * 5, 7) * 9;
  const std::uint64_t shifted = state_[1] << 17U;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return drawn;
}

std::uint64_t seeded_random::below(std::uint64_t bound) noexcept {
  ORRERY_ASSERT(bound > 0);
  const std::uint64_t biased = -bound % bound;  // 2^64 mod bound: draws below it would favour small numbers
  for (;;) {
    const std::uint64_t drawn = next();
    if (drawn >= biased) return drawn % bound;
  }
}

double seeded_random::unit() noexcept { return static_cast<double>(next() >> 11U) * 0x1.0p-53; }

}  // namespace orrery
