#pragma once
#include <tl/expected.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace orrery {

/// Why an operation was refused or failed. The names travel over the wire and in problem+json (`to_string`), so
/// entries are added, never renamed or reused.
enum class errc : std::uint8_t {
  invalid_argument,   ///< the request itself is wrong: names what was given, and what would be accepted
  not_found,          ///< no such class, method, process, resource
  already_exists,     ///< a create met something of the same name
  conflict,           ///< optimistic concurrency: the object changed since it was read
  too_large,          ///< a value, frame or body over its named maximum
  overloaded,         ///< a bounded queue is full; retry later
  deadline_exceeded,  ///< the deadline passed first
  unavailable,        ///< the peer, node or server cannot be reached now; retry later
  draining,           ///< the node is leaving and takes no new work
  isolated,           ///< the node reaches neither a majority of the mesh nor the API server
  process_exited,     ///< the process exited while handling the request
  handler_failed,     ///< user code raised an error
  limit_exceeded,     ///< user code went over its instruction, memory or state limit
  unauthenticated,    ///< no or wrong credentials
  forbidden,          ///< known, but not allowed
  protocol,           ///< malformed frame, wrong version, or a peer that breaks the rules
  cancelled,          ///< given up by our own side
  gone,               ///< a resource version that is no longer held (HTTP 410)
  io,                 ///< the operating system refused
  internal,           ///< should not happen; reported, not hidden
  given_up,           ///< the process crashed more often than its class allows: refused until it is released
};

/// What is known of the operation's effect when it fails.
enum class took_effect : std::uint8_t { not_executed, executed, unknown };

/// The stable name of a code, e.g. "deadline_exceeded".
[[nodiscard]] std::string_view to_string(errc code) noexcept;
[[nodiscard]] std::string_view to_string(took_effect effect) noexcept;
/// The inverse of to_string; `internal` for names that this version does not know.
[[nodiscard]] errc errc_from(std::string_view name) noexcept;
[[nodiscard]] took_effect took_effect_from(std::string_view name) noexcept;

/// An expected failure: a code for programs, a context for people (what was wrong, where, what would be accepted).
struct error {
  errc code = errc::internal;
  std::string context;
  took_effect effect = took_effect::not_executed;

  friend bool operator==(const error&, const error&) = default;
};

/// "not_found: no class 'cart'; known classes: counter, kv"
[[nodiscard]] std::string to_string(const error& failure);

/// A value or an `error`. Nodiscard, so that no failure is dropped silently.
template <class T>
class [[nodiscard]] result : public tl::expected<T, error> {
 public:
  using tl::expected<T, error>::expected;
};

/// return fail(errc::not_found, "no class 'cart'");
[[nodiscard]] inline tl::unexpected<error> fail(errc code, std::string context,
                                                took_effect effect = took_effect::not_executed) {
  return tl::unexpected<error>(error{code, std::move(context), effect});
}
[[nodiscard]] inline tl::unexpected<error> fail(error failure) { return tl::unexpected<error>(std::move(failure)); }

}  // namespace orrery
