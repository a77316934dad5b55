#pragma once
#include "mesh/base/result.hpp"
#include "mesh/base/time.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace orrery::process {

/// A cron schedule in UTC: minute, hour, day of the month, month, day of the week. Each field is `*`, a number, a range
/// `a-b`, any of these with a step `/n`, or a list of them; months and days of the week also by their English names of
/// three letters; Sunday is 0 and 7. Where both days are restricted, either is enough, as in crontab(5). `@hourly`,
/// `@daily`, `@midnight`, `@weekly`, `@monthly`, `@yearly` and `@annually` stand for what they say.
class cron_schedule {
 public:
  /// Errors: invalid_argument, with the field, what it holds and what would be accepted; also for a schedule that never
  /// comes, as 30 February.
  [[nodiscard]] static result<cron_schedule> parse(std::string_view text);

  /// The first moment after this that it names; always the beginning of a minute. Nothing where that is beyond what
  /// wall_time can say.
  [[nodiscard]] std::optional<wall_time> next_after(wall_time moment) const;

 private:
  cron_schedule() = default;
  [[nodiscard]] bool day_matches(std::chrono::sys_days day) const;

  std::uint64_t minutes_ = 0;  ///< a bit for each
  std::uint64_t hours_ = 0;
  std::uint64_t days_ = 0;
  std::uint64_t months_ = 0;
  std::uint64_t weekdays_ = 0;
  bool any_day_ = false;
  bool any_weekday_ = false;
};

/// RFC 3339, with seconds, and milliseconds where there are some: "2026-01-31T09:00:00Z".
[[nodiscard]] std::string to_rfc3339(wall_time at);
/// Any offset; from 1970 to 2199. Errors: invalid_argument.
[[nodiscard]] result<wall_time> parse_rfc3339(std::string_view text);

}  // namespace orrery::process
