#pragma once
#include <cstdint>
#include <string_view>

namespace orrery {

/// Spreads every bit of `x` over all 64 (the finaliser of splitmix64). A bijection.
[[nodiscard]] constexpr std::uint64_t mix64(std::uint64_t x) noexcept {
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31U);
}

/// A hash of bytes that is the same on every machine, compiler and version: placement depends on it (FNV-1a, then
/// mixed). Not keyed: not a defence against chosen names.
[[nodiscard]] constexpr std::uint64_t stable_hash(std::string_view text, std::uint64_t seed = 0) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325U ^ mix64(seed);
  for (const char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3U;
  }
  return mix64(hash);
}

}  // namespace orrery
