#pragma once
#include "mesh/process/builtin/builtin.hpp"

namespace orrery::process {

/// A bucket that `rate` tokens flow into each `per`, and that holds `burst`.
struct limiter_rate {
  double rate = 10;
  duration per = std::chrono::seconds{1};
  std::int64_t burst = 10;

  /// How long one token takes to come, at least a nanosecond.
  [[nodiscard]] duration interval() const noexcept;
};
struct limiter_options {
  limiter_rate bucket;
  std::int64_t waiting_max = 1000;
};

/// The built-in `limiter`: a token bucket for each process (one for each client, tenant or API key), as the generic
/// cell rate algorithm keeps it (ITU-T I.371): one moment, before which the bucket is not full, and no timer. Callers
/// that wait get their tokens first come, first served, and `take` does not pass them. A move carries what was taken
/// and who waits from outside; a crash fills the bucket.
class limiter final : public builtin_process {
 public:
  static constexpr builtin_kind kind = builtin_kind::limiter;
  static constexpr std::string_view calls[] = {"configure", "get", "reset", "take", "wait"};
  static constexpr std::string_view casts[] = {"configure", "reset", "take"};
  using options_type = limiter_options;
  static result<limiter_options> read_options(const value& given);

  explicit limiter(const builtin_settings<limiter_options>& settings) : settings_(settings) {}

  std::optional<exit_reason> init(const scope& where, std::uint64_t seed) override;
  /// [1, [rate, per in ms, burst] or [], ns until full]
  result<value> snapshot(const moment& at) override;
  std::size_t state_bytes() const noexcept override { return state_overhead; }
  result<void> restore(const scope& where, std::uint64_t seed, const value& state, std::uint64_t version) override;

 protected:
  outcome handle(const scope& where, std::string_view method, const value& argument) override;
  void advance(const scope& where) override;
  time_point next_due() const override;
  std::vector<unanswered> let_go(const scope&) override { return waiting_.let_go("wait"); }

 private:
  outcome take(const scope& where, const value& argument);
  outcome wait(const scope& where, const value& argument);
  outcome configure(const scope& where, const value& argument);
  outcome get(const scope& where) const;

  [[nodiscard]] const limiter_rate& bucket() const { return own_ ? *own_ : settings_.chosen.bucket; }
  /// When so many tokens will be there.
  [[nodiscard]] time_point ready_at(std::int64_t tokens) const;
  void spend(time_point now, std::int64_t tokens);
  [[nodiscard]] std::int64_t remaining(time_point now) const;
  [[nodiscard]] value answer(time_point now, bool allowed, std::int64_t tokens) const;
  /// What has been taken stays so many tokens of the new bucket.
  void follow(time_point now);

  const builtin_settings<limiter_options>& settings_;
  std::optional<limiter_rate> own_;  ///< set by configure
  time_point full_at_{};
  duration interval_{};        ///< that full_at_ was counted with
  std::int64_t promised_ = 0;  ///< tokens that callers wait for; may count some that have gone
  waiting_line<std::int64_t> waiting_;
};

}  // namespace orrery::process
