#pragma once
#include <compare>
#include <cstddef>
#include <functional>

namespace orrery {

/// A number or string that cannot be confused with another of the same representation:
///   using slot = strong<struct slot_tag, std::uint32_t>;
/// No implicit conversion in either direction; `value` is the representation.
template <class Tag, class Rep>
struct strong {
  using rep = Rep;
  Rep value{};

  constexpr strong() = default;
  constexpr explicit strong(Rep v) : value(static_cast<Rep&&>(v)) {}
  friend constexpr auto operator<=>(const strong&, const strong&) = default;
};

}  // namespace orrery

template <class Tag, class Rep>
struct std::hash<orrery::strong<Tag, Rep>> {
  std::size_t operator()(const orrery::strong<Tag, Rep>& id) const noexcept { return std::hash<Rep>{}(id.value); }
};
