#pragma once
#include "mesh/process/builtin/builtin.hpp"

#include <deque>

namespace orrery::process {

struct log_options {
  std::int64_t entries_max = 10'000;
  std::int64_t bytes_max = value_bytes_max;  ///< of all entries; limits.stateBytes bounds them too
  duration age_max = duration::max();
  std::int64_t waiting_max = 1000;  ///< readers
};

/// The built-in `log`: an event log. Entries have sequence numbers from 1 on, without gaps; the oldest go when there
/// are more than options allow, and readers hear how many they missed. docs/protocol.md has its methods.
///
/// A move carries the entries and the readers from outside that wait. A crash loses all: sequences begin at 1 again, in
/// a new epoch, and a reader that names the old one is told so.
class log final : public builtin_process {
 public:
  static constexpr builtin_kind kind = builtin_kind::log;
  static constexpr std::string_view calls[] = {"append", "read", "stats", "trim"};
  static constexpr std::string_view casts[] = {"append", "trim"};
  using options_type = log_options;
  static result<log_options> read_options(const value& given);

  explicit log(const builtin_settings<log_options>& settings) : settings_(settings) {}

  std::optional<exit_reason> init(const scope& where, std::uint64_t seed) override;
  /// [1, epoch, first sequence, [[age in ms, value]...]]
  result<value> snapshot(const moment& at) override;
  std::size_t state_bytes() const noexcept override { return size_; }
  result<void> restore(const scope& where, std::uint64_t seed, const value& state, std::uint64_t version) override;

 protected:
  outcome handle(const scope& where, std::string_view method, const value& argument) override;
  void advance(const scope& where) override;
  time_point next_due() const override;
  std::vector<unanswered> let_go(const scope&) override { return waiting_.let_go("read"); }

 private:
  struct entry {
    bytes encoded;
    time_point appended;
  };
  struct wanted {
    std::int64_t from;
    std::size_t limit;
  };

  outcome append(const scope& where, const value& argument);
  outcome read(const scope& where, const value& argument);
  outcome trim(const value& argument);
  outcome stats() const;

  [[nodiscard]] std::int64_t next() const { return first_ + static_cast<std::int64_t>(entries_.size()); }
  [[nodiscard]] std::size_t bytes_max() const;
  void drop_first();
  void retain(time_point now);
  [[nodiscard]] value entries_for(const scope& where, const wanted& asked) const;

  const builtin_settings<log_options>& settings_;
  std::int64_t epoch_ = 0;
  std::int64_t first_ = 1;
  std::deque<entry> entries_;
  waiting_line<wanted> waiting_;
  std::size_t size_ = state_overhead;
};

}  // namespace orrery::process
