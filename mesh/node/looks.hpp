#pragma once
#include "mesh/node/pending.hpp"
#include "mesh/node/reports.hpp"

#include <chrono>

namespace orrery::node {

inline constexpr std::size_t looks_max = 256;
/// A slice of a census takes some ten microseconds with this many places, and leaves a pause for others: a call that
/// has nothing to do with it waits no longer than for one slice.
inline constexpr std::uint32_t census_places_max = 512;
inline constexpr duration census_pause = std::chrono::microseconds{250};
/// What a census found is shared by all who ask within this time; numbers for metrics of a large node for longer.
inline constexpr duration census_shared = std::chrono::milliseconds{250};
inline constexpr duration census_shared_by_metrics = std::chrono::seconds{10};
/// Rates are measured over this time where nobody has looked before.
inline constexpr duration rate_window = std::chrono::milliseconds{500};
inline constexpr duration top_max_time = std::chrono::seconds{10};

/// Somebody who waits for a census.
struct look {
  origin to{};
  std::uint64_t gather = 0;            ///< in place of `to`: it is this node's part
  std::optional<node_question> top{};  ///< none: the loads of classes
  [[nodiscard]] bool wants_rates() const { return top && process::is_rate(top->by); }
};

}  // namespace orrery::node
