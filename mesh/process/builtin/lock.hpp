#pragma once
#include "mesh/process/builtin/permits.hpp"

namespace orrery::process {

struct guard_options {
  std::int64_t permits = 1;                   ///< of a semaphore
  duration lease = std::chrono::seconds{30};  ///< of an owner that is no process, unless it says otherwise
  std::int64_t waiting_max = 1000;
};

inline constexpr std::string_view lock_calls[] = {"acquire", "holder", "inspect", "release", "renew"};
inline constexpr std::string_view semaphore_calls[] = {"acquire", "available", "inspect", "release", "renew", "resize"};

/// The built-in `lock` and `semaphore`; docs/protocol.md has their methods.
///
/// An owner that is a process (one that calls, or one whose pid the call gives) is watched: its end, or the loss of its
/// node, frees what it holds at once. Any other owner holds under a lease. A fencing token grows with every grant, also
/// over moves and over crashes of the lock itself (number_of_life): whoever guards a resource refuses smaller ones. A
/// process that moves to another node ends here, and has to acquire again. A move of the lock carries holders, leases
/// and those who wait from outside; a crash frees everything.
template <builtin_kind Kind>
class guard final : public builtin_process {
 public:
  static constexpr builtin_kind kind = Kind;
  static constexpr bool is_lock = Kind == builtin_kind::lock;
  static constexpr std::span<const std::string_view> calls =
      is_lock ? std::span<const std::string_view>{lock_calls} : std::span<const std::string_view>{semaphore_calls};
  static constexpr std::string_view casts[] = {"release", "renew"};
  using options_type = guard_options;
  static result<guard_options> read_options(const value& given);

  explicit guard(const builtin_settings<guard_options>& settings) : settings_(settings) {}

  std::optional<exit_reason> init(const scope& where, std::uint64_t seed) override;
  /// [1, limit set by resize or null, what permits::put writes]
  result<value> snapshot(const moment& at) override;
  std::size_t state_bytes() const noexcept override { return state_overhead + permits_.size(); }
  result<void> restore(const scope& where, std::uint64_t seed, const value& state, std::uint64_t version) override;

 protected:
  outcome handle(const scope& where, std::string_view method, const value& argument) override;
  void advance(const scope& where) override;
  time_point next_due() const override { return std::min(permits_.next_due(), waiting_.next_due()); }
  void owner_ended(const scope& where, kernel::reference watched) override;
  std::vector<unanswered> let_go(const scope& where) override {
    permits_.unwatch(where);
    return waiting_.let_go("acquire");
  }

 private:
  outcome acquire(const scope& where, const value& argument);
  outcome release(const scope& where, const value& argument);
  outcome renew(const scope& where, const value& argument);
  outcome resize(const scope& where, const value& argument);
  outcome inspect(const scope& where, const value& argument);

  [[nodiscard]] result<permits::request> request_of(const scope& where, arguments& in);
  /// Whom a call without an owner is of: its process, or nobody.
  /// By token, or by owner; none where it does not hold.
  [[nodiscard]] result<permits::holders::iterator> held_by(arguments& in);
  void serve(const scope& where);
  void follow_limit();
  [[nodiscard]] static std::string name_of(std::string_view method);
  [[nodiscard]] value granted(const scope& where, const permits::holders::value_type& to) const;
  [[nodiscard]] value not_granted(const scope& where) const;

  const builtin_settings<guard_options>& settings_;
  std::optional<std::int64_t> limit_;  ///< set by resize
  permits permits_;
  waiting_line<permits::request> waiting_;
};

extern template class guard<builtin_kind::lock>;
extern template class guard<builtin_kind::semaphore>;
using lock = guard<builtin_kind::lock>;
using semaphore = guard<builtin_kind::semaphore>;

}  // namespace orrery::process
