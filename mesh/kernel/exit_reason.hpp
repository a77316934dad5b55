#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace orrery::kernel {

/// Why a process ended, or what an exit signal says. `normal`, `shutdown` and `moved` are quiet; the others are
/// crashes. (OTP's exit reasons: `shutdown` with a detail is its {shutdown, Term}; `error` carries any other term.)
struct exit_reason {
  enum class kind : std::uint8_t {
    normal,
    shutdown,
    killed,        ///< what a process that was sent `kill` ended with, and what its links hear
    moved,         ///< handed over to another node
    error,         ///< user code failed
    limit,         ///< user code went over a limit
    kill,          ///< the untrappable exit signal itself; along a link it is a reason like others
    noproc,        ///< linked to or monitored what did not exist
    system_limit,  ///< it asked for more processes, links, timers than there may be
    noconnection,  ///< its node cannot be reached any more; the process itself may live
  };
  kind why = kind::normal;
  std::string
      detail{};  ///< for people: the script's message with its line, the limit and its value, the caller's reason
  friend bool operator==(const exit_reason&, const exit_reason&) = default;
};

[[nodiscard]] std::string_view to_string(exit_reason::kind why) noexcept;
/// The inverse; `error` for what this version does not know.
[[nodiscard]] exit_reason::kind exit_kind_from(std::string_view name) noexcept;
/// "error: line 3: boom"
[[nodiscard]] std::string to_string(const exit_reason& reason);
[[nodiscard]] bool is_crash(const exit_reason& reason) noexcept;

}  // namespace orrery::kernel
