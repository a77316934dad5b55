#pragma once
// What built-in behaviours have in common: their type, their one alarm, and callers that wait.
#include "mesh/process/behaviour.hpp"
#include "mesh/process/builtin/arguments.hpp"

#include <algorithm>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orrery::process {

/// What a snapshot has beside the entries that a behaviour counts.
inline constexpr std::size_t state_overhead = 64;

/// What the processes of a class go by. It is the type's, and follows the class: `chosen` is what
/// spec.behaviour.options says, with the behaviour's own defaults where that says nothing.
template <class Options>
struct builtin_settings {
  std::uint64_t state_bytes_max = 0;
  Options chosen;
};

/// A behaviour that lives with time: what is due is done before each message is handled, and when nothing arrives an
/// alarm wakes the process for it. Kernel timers carry no state here: a snapshot has it all.
class builtin_process : public behaviour {
 public:
  outcome call(const scope& where, std::string_view method, const value& argument) final;
  outcome cast(const scope& where, std::string_view method, const value& argument) final;
  outcome info(const scope& where, const kernel::message& arrived) final;
  std::vector<unanswered> leave(const scope& where) final;
  void terminate(const scope& where, const exit_reason& reason) final;

 protected:
  /// A call, or a cast whose reply nobody hears.
  [[nodiscard]] virtual outcome handle(const scope& where, std::string_view method, const value& argument) = 0;
  /// Does what is due at where.now.
  virtual void advance(const scope& where) { static_cast<void>(where); }
  /// When `advance` has something to do next; may be early.
  [[nodiscard]] virtual time_point next_due() const { return never; }
  /// A process that this one monitors as `watched` has ended.
  virtual void owner_ended(const scope& where, kernel::reference watched) {
    static_cast<void>(where), static_cast<void>(watched);
  }
  /// Gives up the callers that wait, and whom it watches.
  [[nodiscard]] virtual std::vector<unanswered> let_go(const scope& where) {
    static_cast<void>(where);
    return {};
  }
  /// REQUIRES: `restore` and `init` call it last.
  void set_alarm(const scope& where);

 private:
  void stop_alarm(const scope& where);

  kernel::reference alarm_ = kernel::no_reference;
  time_point alarm_at_ = never;
};

/// Callers that wait for an answer, first come first served. `Wanted`: what each has asked for.
template <class Wanted>
class waiting_line {
 public:
  struct waiter {
    kernel::caller from;
    time_point until;  ///< when it gives up
    Wanted wanted;
    value argument;  ///< as it was asked
  };

  /// Takes the call that is being handled. Errors: overloaded, where `most` wait.
  [[nodiscard]] outcome join(const scope& where, std::string_view whose, std::size_t most, time_point until,
                             Wanted wanted, const value& argument) {
    if (waiters_.size() >= most)
      std::erase_if(waiters_, [&](const waiter& each) { return !where.self.waits(each.from); });
    if (waiters_.size() >= most) {
      return refused{
          {errc::overloaded, std::string{whose} + ": " + std::to_string(waiters_.size()) +
                                 " callers wait already, as many as options.maxWaiting allows; retry later"}};
    }
    earliest_ = std::min(earliest_, until);
    waiters_.push_back({kernel::caller_of(*where.handled), until, std::move(wanted), argument});
    return deferred{};
  }
  /// The first that still wants its answer, or null.
  [[nodiscard]] waiter* first(const scope& where) {
    while (!waiters_.empty() && !where.self.waits(waiters_.front().from))
      waiters_.pop_front();
    return waiters_.empty() ? nullptr : &waiters_.front();
  }
  void pop() { waiters_.pop_front(); }
  /// Answers those whose time is up with what `answer(waiter)` says.
  template <class Answer>
  void expire(const scope& where, Answer&& answer) {
    if (earliest_ > where.now) return;
    earliest_ = never;
    std::erase_if(waiters_, [&](waiter& each) {
      if (each.until > where.now) {
        earliest_ = std::min(earliest_, each.until);
        return false;
      }
      if (where.self.waits(each.from)) where.self.reply(each.from, answer(each));
      return true;
    });
  }
  [[nodiscard]] time_point next_due() const noexcept { return earliest_; }
  [[nodiscard]] std::size_t size() const noexcept { return waiters_.size(); }
  [[nodiscard]] bool empty() const noexcept { return waiters_.empty(); }
  [[nodiscard]] auto begin() const { return waiters_.begin(); }
  [[nodiscard]] auto end() const { return waiters_.end(); }
  [[nodiscard]] std::vector<unanswered> let_go(std::string_view method) {
    std::vector<unanswered> all;
    for (auto& each : waiters_)
      all.push_back({each.from, std::string{method}, std::move(each.argument)});
    waiters_.clear();
    earliest_ = never;
    return all;
  }

 private:
  std::list<waiter> waiters_;    // takes no memory while nobody waits, as most of the time
  time_point earliest_ = never;  ///< no waiter gives up before
};

/// "add, get, set"
[[nodiscard]] std::string joined(std::span<const std::string_view> names);
[[nodiscard]] inline bool contains(std::span<const std::string_view> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}
/// A number greater than any that an earlier life of the process drew and counted on from, as long as clocks are not
/// set back by more than the time between two lives and no life counts faster than once a microsecond.
[[nodiscard]] std::int64_t number_of_life(const scope& where);
/// How long something still lasts, for a snapshot, and when it ends again. `never` is null.
void put_remaining(bytes& out, const moment& at, time_point until);
[[nodiscard]] time_point ends_after(time_point now, std::optional<std::int64_t> remaining) noexcept;
/// How long ago something was, in the same way.
void put_age(bytes& out, const moment& at, time_point began);
[[nodiscard]] time_point began_before(time_point now, std::int64_t age) noexcept;
/// A snapshot. Errors: internal, where it is larger than what can be handed over.
[[nodiscard]] result<value> finished_state(std::string_view whose, const bytes& encoded);
/// limit_exceeded: "kv: the state would have about 2000 bytes; limits.stateBytes allows 1000"
[[nodiscard]] error too_much_state(std::string_view whose, std::size_t size, std::uint64_t most);

/// `Process` has: `kind`; `calls` and `casts`, sorted names; `options_type` and `read_options(const value&)`; and is
/// made from a builtin_settings<options_type>.
template <class Process>
class builtin_type final : public behaviour_type {
 public:
  using settings = builtin_settings<typename Process::options_type>;

  explicit builtin_type(settings chosen) : settings_(std::move(chosen)) {}
  [[nodiscard]] static result<std::unique_ptr<behaviour_type>> create(const class_spec& spec) {
    auto chosen = Process::read_options(spec.options);
    if (!chosen) return fail(std::move(chosen.error()));
    return std::unique_ptr<behaviour_type>(
        std::make_unique<builtin_type>(settings{spec.limits.state_bytes_max, std::move(*chosen)}));
  }

  bool answers(message_kind kind, std::string_view method) const override { return contains(of(kind), method); }
  std::string methods(message_kind kind) const override { return joined(of(kind)); }
  std::unique_ptr<behaviour> make() override { return std::make_unique<Process>(settings_); }
  result<bool> upgrade(const class_spec& spec) override {
    const auto* kind = std::get_if<builtin_kind>(&spec.behaviour);
    if (kind == nullptr || *kind != Process::kind) return false;
    auto chosen = Process::read_options(spec.options);
    if (!chosen) return fail(std::move(chosen.error()));
    settings_ = {spec.limits.state_bytes_max, std::move(*chosen)};
    return true;
  }

 private:
  [[nodiscard]] static std::span<const std::string_view> of(message_kind kind) {
    return kind == message_kind::call ? std::span<const std::string_view>{Process::calls}
                                      : std::span<const std::string_view>{Process::casts};
  }

  settings settings_;
};

/// For behaviours that have none.
struct no_options {};
[[nodiscard]] result<no_options> read_no_options(const value& given);

}  // namespace orrery::process
