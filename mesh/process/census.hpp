#pragma once
// A walk over all processes of a node, some at a time: what each class has waiting, and which processes are the
// greatest. A node may have a million of them, and nobody's call is to wait for the look at them.
#include "mesh/base/ids.hpp"
#include "mesh/base/time.hpp"
#include "mesh/kernel/handle.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace orrery::process {

inline constexpr std::size_t top_max = 100;  ///< greatest processes that are kept by each measure
/// What rates are measured from is kept for this long after the last walk.
inline constexpr duration baseline_kept = std::chrono::minutes{1};

/// By what processes are compared; the last two are rates, per second since the walk before.
enum class measure : std::uint8_t { mailbox, age, memory, reductions, messages };
inline constexpr std::size_t measures = 5;
inline constexpr std::array<std::string_view, measures> measure_names{"mailbox", "age", "memory", "reductions",
                                                                      "messages"};
[[nodiscard]] constexpr std::string_view to_string(measure by) noexcept {
  return measure_names[static_cast<std::size_t>(by)];
}
[[nodiscard]] constexpr std::optional<measure> measure_from(std::string_view text) noexcept {
  for (std::size_t i = 0; i < measures; ++i) {
    if (measure_names[i] == text) return static_cast<measure>(i);
  }
  return {};
}
[[nodiscard]] constexpr bool is_rate(measure by) noexcept { return by >= measure::reductions; }

/// What there is of one class on a node.
struct class_load {
  std::size_t processes = 0;
  std::size_t suspended = 0;
  std::size_t waiting = 0;  ///< messages, in all mailboxes
  std::size_t waiting_max = 0;
  std::size_t waiting_bytes = 0;
  std::size_t memory_bytes = 0;
  std::optional<time_point> oldest{};  ///< of all messages that are next
};

/// What one process showed.
struct seen_process {
  std::uint32_t slot = 0;  ///< of its name
  kernel::handle who{};
  time_point started_at{};
  std::size_t waiting = 0;
  std::optional<time_point> oldest{};
  std::size_t memory_bytes = 0;
  std::uint64_t handled = 0;
  std::uint64_t reductions = 0;
};

struct rates {
  double messages = 0;
  double reductions = 0;
};
struct great_process {
  std::uint32_t slot = 0;
  kernel::handle who{};
  double size = 0;  ///< by the measure that it is great by
  std::optional<rates> per_second{};
};

/// Ranks what the walk sees, and remembers what rates are measured from. The walk itself is the runtime's.
class census {
 public:
  /// A new walk. What the one before found stays until this one has ended.
  void begin(time_point now);
  void see(time_point now, const seen_process& what);
  void end(time_point now);
  /// No rates can be told after that until two walks have been made. Frees what they were measured from.
  void forget_baseline();

  /// Of the walk that ended last, greatest first.
  [[nodiscard]] const std::vector<great_process>& greatest(measure by) const {
    return greatest_[static_cast<std::size_t>(by)];
  }
  [[nodiscard]] std::optional<time_point> ended_at() const noexcept { return ended_at_; }
  /// That walk could tell rates: one came before it, not too long ago.
  [[nodiscard]] bool has_rates() const noexcept { return has_rates_; }
  [[nodiscard]] bool has_baseline() const noexcept { return !baseline_.empty(); }

 private:
  static constexpr std::uint32_t chunk_size = 1024;
  struct before {
    kernel::handle who{};
    std::uint64_t handled = 0;
    std::uint64_t reductions = 0;
  };
  /// Of names that are beside each other, and were looked at at about the same time.
  struct chunk {
    std::uint64_t walk = 0;  ///< the last that came by
    time_point at{};         ///< when
    time_point at_before{};  ///< and the one before
    std::array<before, chunk_size> of{};
  };
  /// The greatest so far, the least of them first.
  using ranking = std::vector<great_process>;

  [[nodiscard]] std::optional<rates> measure_rates(time_point now, const seen_process& what);
  static void rank(ranking& into, const seen_process& what, double size, const std::optional<rates>& per_second);

  std::array<ranking, measures> greatest_;
  std::array<ranking, measures> ranked_;  ///< by the walk that is being made
  std::vector<std::unique_ptr<chunk>> baseline_;
  std::uint64_t walks_ = 0;
  time_point began_{};
  std::optional<time_point> before_{};  ///< when the walk before this one began, if its numbers are there
  std::optional<time_point> ended_at_{};
  bool has_rates_ = false;
};

}  // namespace orrery::process
