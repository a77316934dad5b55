#pragma once
#include "mesh/process/builtin/builtin.hpp"
#include "mesh/process/builtin/cron.hpp"

#include <map>
#include <set>
#include <string>
#include <utility>

namespace orrery::process {

struct timer_options {
  std::int64_t timers_max = 1000;
};

/// The built-in `timer`: named timers that cast to other processes when they fire; docs/protocol.md has its methods.
///
/// `after` and `every` go by the node's own clock, `at` and `cron` by the time of day (UTC), which this process looks
/// at once a minute at the least, as it may be set. A cron schedule never fires twice for one moment when the clock is
/// set back; set back by clock_corrected or more, it counts as having been wrong, and schedules begin anew.
///
/// A move takes timers along. What was missed on the way, or while the process did not get to run, fires once, at once:
/// `after` and `at` late; `every` and `cron` once for all that they missed, and then go on as before (`every` in its
/// phase). Firing is a cast: at most once. A crash loses all timers, as it does all state.
class timer final : public builtin_process {
 public:
  static constexpr builtin_kind kind = builtin_kind::timer;
  static constexpr std::string_view calls[] = {"after", "at", "cancel", "cron", "every", "get", "list"};
  static constexpr std::string_view casts[] = {"after", "at", "cancel", "cron", "every"};
  using options_type = timer_options;
  static result<timer_options> read_options(const value& given);

  explicit timer(const builtin_settings<timer_options>& settings) : settings_(settings) {}

  std::optional<exit_reason> init(const scope&, std::uint64_t) override { return {}; }
  /// [1, [[name, kind, "class/key", method, argument, schedule, period ms, fired, remaining ms or null, unix ms or
  /// null]...]]
  result<value> snapshot(const moment& at) override;
  std::size_t state_bytes() const noexcept override { return size_; }
  result<void> restore(const scope& where, std::uint64_t seed, const value& state, std::uint64_t version) override;

 protected:
  outcome handle(const scope& where, std::string_view method, const value& argument) override;
  void advance(const scope& where) override;
  time_point next_due() const override;

 private:
  enum class sort : std::uint8_t { after, at, every, cron };
  struct entry {
    sort kind = sort::after;
    process_name to{};
    std::string method{};
    value argument{};
    std::string schedule{};  ///< of cron, as it was given
    std::optional<cron_schedule> parsed{};
    duration period{};       ///< of every
    time_point due = never;  ///< of after and every
    wall_time date{};        ///< of at and cron
    std::int64_t fired = 0;
  };
  using entries = std::map<std::string, entry, std::less<>>;

  outcome set(const scope& where, std::string_view method, const value& argument);
  outcome list(const scope& where, const value& argument) const;
  outcome get(const scope& where, const value& argument) const;
  outcome cancel(const value& argument);

  [[nodiscard]] static bool by_date(const entry& of) { return of.kind == sort::at || of.kind == sort::cron; }
  void read_when(const scope& where, arguments& in, entry& into) const;
  void arm(entries::iterator of);
  void disarm(entries::iterator of);
  void remove(entries::iterator gone);
  void fire(const scope& where, entries::iterator of);
  void begin_schedules_anew(const scope& where);
  [[nodiscard]] static std::size_t size_of(std::string_view name, const entry& of);
  [[nodiscard]] object_writer told(const scope& where, const std::string& name, const entry& of) const;

  const builtin_settings<timer_options>& settings_;
  entries entries_;
  std::set<std::pair<time_point, std::string>> due_;
  std::set<std::pair<wall_time, std::string>> dates_;
  moment seen_{};  ///< when this process last looked
  std::size_t size_ = state_overhead;
};

}  // namespace orrery::process
