#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace orrery::process {

/// Lua's string patterns (Lua 5.4 reference manual, 6.4.1) with a bound on work: Lua's own matcher backtracks inside
/// one VM instruction, exponentially on hostile patterns. Character classes are those of ASCII. Trivially destructible,
/// so that lua_error may jump over it. Keeps views of both texts.
class pattern_matcher {
 public:
  static constexpr int captures_max = 32;
  static constexpr int depth_max = 200;
  static constexpr std::size_t no_match = static_cast<std::size_t>(-1);
  enum class failure : std::uint8_t { none, malformed, too_complex, out_of_steps };

  /// `pattern` without its anchor '^'. `steps`: how many single comparisons all matches together may take.
  pattern_matcher(std::string_view subject, std::string_view pattern, std::uint64_t steps) noexcept
      : subject_(subject), pattern_(pattern), steps_max_(steps) {}

  /// The end of the match that starts at `from`, or no_match; then `failed` tells whether there was more to it.
  [[nodiscard]] std::size_t match_at(std::size_t from) noexcept;

  [[nodiscard]] failure failed() const noexcept { return failed_; }
  /// What is malformed, for people.
  [[nodiscard]] const char* why() const noexcept { return why_; }
  [[nodiscard]] std::uint64_t steps_taken() const noexcept { return steps_; }

  struct capture {
    std::size_t start = 0;
    std::size_t size = 0;
    bool open = false;      ///< never closed: the pattern is malformed
    bool position = false;  ///< "()": the place, not the text
  };
  /// Of the last match.
  [[nodiscard]] int capture_count() const noexcept { return level_; }
  [[nodiscard]] const capture& captured(int index) const noexcept { return captures_[static_cast<std::size_t>(index)]; }

 private:
  std::size_t match(std::size_t at, std::size_t in_pattern) noexcept;
  std::size_t start_capture(std::size_t at, std::size_t in_pattern, bool position) noexcept;
  std::size_t end_capture(std::size_t at, std::size_t in_pattern) noexcept;
  std::size_t balanced(std::size_t at, std::size_t in_pattern) noexcept;
  /// Where the pattern goes on after the set of a %f that holds here.
  std::size_t frontier(std::size_t at, std::size_t set) noexcept;
  std::size_t back_reference(std::size_t at, char digit) noexcept;
  std::size_t greedy(std::size_t at, std::size_t in_pattern, std::size_t item_end) noexcept;
  std::size_t lazy(std::size_t at, std::size_t in_pattern, std::size_t item_end) noexcept;
  [[nodiscard]] bool single(std::size_t at, std::size_t in_pattern, std::size_t item_end) noexcept;
  [[nodiscard]] bool in_set(char c, std::size_t set, std::size_t closing) const noexcept;
  [[nodiscard]] std::size_t item_end(std::size_t in_pattern) noexcept;
  [[nodiscard]] char pattern_at(std::size_t at) const noexcept { return at < pattern_.size() ? pattern_[at] : '\0'; }
  std::size_t fail_with(failure what, const char* why) noexcept;
  bool step() noexcept;

  std::string_view subject_;
  std::string_view pattern_;
  std::uint64_t steps_max_;
  std::uint64_t steps_ = 0;
  int level_ = 0;
  int depth_ = 0;
  failure failed_ = failure::none;
  const char* why_ = "";
  std::array<capture, captures_max> captures_{};
};

}  // namespace orrery::process
