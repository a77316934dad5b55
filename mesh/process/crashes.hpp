#pragma once
// What is kept of processes that crashed and of supervisors that gave up: OTP's crash and supervisor reports.
#include "mesh/base/ids.hpp"
#include "mesh/base/time.hpp"
#include "mesh/kernel/exit_reason.hpp"
#include "mesh/process/spec.hpp"

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

namespace orrery::process {

inline constexpr std::size_t crashes_kept_max = 200;
inline constexpr std::size_t crash_bytes_max = 512U << 10U;  ///< all texts of all reports together
inline constexpr std::size_t give_ups_kept_max = 50;
inline constexpr std::size_t crash_reason_bytes_max = 1024;
inline constexpr std::size_t crash_argument_bytes_max = 512;
inline constexpr std::size_t crash_state_bytes_max = 1024;
/// A state is encoded to be shown: not for more crashes than this in a second, and not one that is larger than this.
inline constexpr std::uint32_t crash_states_per_second_max = 10;
inline constexpr std::size_t crash_state_encoded_max = 16U << 10U;

/// What a supervisor did about a crash.
enum class crash_decision : std::uint8_t {
  waits,               ///< the restart is put off
  restarted,           ///< in the process' place there is a new life
  ended,               ///< it is not of a kind that is restarted
  given_up,            ///< it went over its own budget
  supervisor_gave_up,  ///< the supervisor went over its budget with this one
  not_started,         ///< it crashed in its first init: whoever asked for it heard so
};
inline constexpr std::size_t crash_decisions = 6;
[[nodiscard]] std::string_view to_string(crash_decision what) noexcept;

/// What a process was doing when it crashed; kept from then until its supervisor has decided.
struct crash_scene {
  std::string message_kind{};  ///< "call", "cast", "timer", ...; empty: it handled no message
  std::string method{};
  std::string argument{};  ///< excerpt
  std::size_t argument_bytes = 0;
  std::size_t state_bytes = 0;  ///< about
  std::string state{};          ///< excerpt, as the crash left it; empty: not taken
  std::size_t mailbox = 0;      ///< messages that waited behind
  std::uint64_t handled = 0;    ///< messages of this life, the last one included
};

struct crash_report {
  std::uint64_t number = 0;  ///< counts from 1 on this node
  time_point at{};
  process_name name{};
  pid id{};
  std::uint64_t class_version = 0;
  kernel::exit_reason reason{};
  duration lived{};
  std::uint64_t restarts = 0;  ///< before this one
  crash_scene scene{};
  crash_decision decision = crash_decision::waits;
};

struct give_up_report {
  time_point at{};
  class_name klass{};
  std::string why{};
  escalation to = escalation::parent;
};

/// The latest reports of a node; older ones make room. Not thread-safe.
class crash_log {
 public:
  /// Cuts its texts and numbers it.
  std::uint64_t add(crash_report what);
  /// Of the latest report of that process that waits for a decision. Nothing where there is none any more.
  void decide(const process_name& name, crash_decision what);
  /// What the latest crash of that class that waits for a decision led to.
  void supervisor_gave_up(give_up_report what);

  [[nodiscard]] const crash_report* find(std::uint64_t number) const;
  struct filter {
    std::optional<class_name> klass{};
    std::optional<process_key> key{};
    std::size_t limit = crashes_kept_max;
  };
  /// The latest first.
  [[nodiscard]] std::vector<crash_report> crashes(const filter& only) const;
  [[nodiscard]] std::vector<give_up_report> give_ups(const filter& only) const;
  /// Of all times, by what was decided.
  [[nodiscard]] const std::array<std::uint64_t, crash_decisions>& counted() const noexcept { return counted_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

  /// Whether a crash at `now` may have its state encoded; if so it counts as one that had.
  [[nodiscard]] bool may_take_state(time_point now);

 private:
  void settle(crash_report& of, crash_decision as);

  std::deque<crash_report> crashes_;
  std::deque<give_up_report> give_ups_;
  std::array<std::uint64_t, crash_decisions> counted_{};
  std::uint64_t last_ = 0;
  std::size_t bytes_ = 0;
  time_point states_since_{};
  std::uint32_t states_taken_ = 0;
};

}  // namespace orrery::process
