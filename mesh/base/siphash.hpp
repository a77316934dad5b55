#pragma once
#include <cstdint>
#include <string_view>

namespace orrery {

struct sip_key {
  std::uint64_t first = 0;
  std::uint64_t second = 0;
};

/// SipHash-2-4 (Aumasson and Bernstein 2012): whoever does not know the key can neither tell nor guess what it gives
/// for bytes of their choice. For tokens that are to be known again when they come back, and for seeds that must not
/// tell what they were made from.
[[nodiscard]] std::uint64_t siphash(sip_key key, std::string_view bytes) noexcept;

}  // namespace orrery
