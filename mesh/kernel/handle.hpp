#pragma once
#include "mesh/base/strong.hpp"
#include "mesh/kernel/slab.hpp"

#include <compare>
#include <cstdint>

namespace orrery::kernel {

/// A pid as one kernel keeps it: 12 bytes, never reused. `node` is this kernel itself or one that its surroundings have
/// numbered; what a pid looks like outside is theirs to say.
struct handle {
  static constexpr std::uint32_t here = 0;
  static constexpr std::uint32_t outside = no_slot;  ///< no process: a caller that the surroundings speak for

  std::uint32_t node = here;
  std::uint32_t slot = no_slot;
  std::uint32_t generation = 0;
  friend auto operator<=>(const handle&, const handle&) = default;
};
inline constexpr handle nobody{};

/// A monitor, a call or an alias; of the kernel that made it, never reused. (OTP's reference.)
struct reference {
  std::uint32_t slot = no_slot;
  std::uint32_t generation = 0;
  friend auto operator<=>(const reference&, const reference&) = default;
};
inline constexpr reference no_reference{};
[[nodiscard]] constexpr std::uint64_t packed(reference ref) noexcept {
  return std::uint64_t{ref.generation} << 32U | ref.slot;
}
[[nodiscard]] constexpr reference unpacked(std::uint64_t ref) noexcept {
  return {static_cast<std::uint32_t>(ref), static_cast<std::uint32_t>(ref >> 32U)};
}

/// An interned word: what a message is about, or a registered name. See atom_table.
using atom = strong<struct atom_tag, std::uint32_t>;

/// Chosen by a caller outside of the kernel; comes back with the reply, exactly once.
using call_token = strong<struct call_token_tag, std::uint64_t>;

}  // namespace orrery::kernel
