#pragma once
// mesh/process: processes, mailboxes, supervisors and behaviours. A pure, single-threaded core: time is an argument.
#include "mesh/base/ids.hpp"
#include "mesh/base/time.hpp"
#include "mesh/kernel/body.hpp"
#include "mesh/wire/value.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace orrery::process {

/// OTP's restart strategies. simple_one_for_one: any number of children of one kind, started as they are asked for.
enum class strategy : std::uint8_t { one_for_one, one_for_all, rest_for_one, simple_one_for_one };
/// OTP's restart types: always, only after an abnormal exit, never.
enum class restart_type : std::uint8_t { permanent, transient, temporary };
/// What a supervisor that went over its intensity does: exit to its parent supervisor, have the node restarted, or
/// have the pod replaced.
enum class escalation : std::uint8_t { parent, node, pod };
enum class builtin_kind : std::uint8_t { counter, kv, queue, lock, semaphore, limiter, timer, log };
/// As spec.behaviour.builtin has them, in the order of builtin_kind.
inline constexpr std::array<std::string_view, 8> builtin_names{"counter",   "kv",      "queue", "lock",
                                                               "semaphore", "limiter", "timer", "log"};
[[nodiscard]] constexpr std::string_view to_string(builtin_kind kind) noexcept {
  return builtin_names[static_cast<std::size_t>(kind)];
}

/// The user's own program handles the messages, over a connection to the sidecar (docs/sdk-protocol.md).
struct app_hosted {
  duration handler_timeout = std::chrono::seconds{30};  ///< of one callback; beyond it the process exits
  /// Without an app for so long, calls are refused instead of waiting for it.
  duration wait_for_app = std::chrono::seconds{10};
  friend bool operator==(const app_hosted&, const app_hosted&) = default;
};

struct lua_source {
  std::string script;
  friend bool operator==(const lua_source&, const lua_source&) = default;
};

/// When a supervisor shuts itself down because significant children have ended by themselves.
enum class auto_shutdown : std::uint8_t { never, any_significant, all_significant };

/// How a child is stopped: `shutdown`, and `kill` if it has not ended in time.
struct shutdown_spec {
  enum class kind : std::uint8_t { timeout, brutal_kill, infinity };
  kind how = kind::timeout;
  duration length = std::chrono::seconds{5};
  friend bool operator==(const shutdown_spec&, const shutdown_spec&) = default;
};

/// A pause before each restart of a child, doubled with each restart that follows within the supervisor's period, with
/// up to a fifth of jitter. OTP has none.
struct backoff_spec {
  duration initial{};  ///< zero: none
  duration maximum = std::chrono::seconds{30};
  friend bool operator==(const backoff_spec&, const backoff_spec&) = default;
};

struct supervision_spec {
  /// Among what is declared, the children and the classes below: what starts on a call is always restarted alone.
  strategy kind = strategy::one_for_one;
  restart_type restart = restart_type::permanent;
  std::uint32_t intensity = 3;  ///< more restarts than this within `period`: the supervisor gives up
  duration period = std::chrono::seconds{5};
  escalation escalate = escalation::parent;
  std::optional<class_name> parent{};  ///< whose supervisor this class' one is a child of; none: the node's root
  shutdown_spec shutdown{};
  backoff_spec backoff{};
  /// More restarts of one process than this within `period`: it is given up alone, for `child_cooldown`.
  std::optional<std::uint32_t> child_intensity{};
  duration child_cooldown = std::chrono::seconds{30};
  auto_shutdown when_significant = auto_shutdown::never;
  friend bool operator==(const supervision_spec&, const supervision_spec&) = default;
};

struct limits_spec {
  std::uint32_t mailbox_max = 10'000;  ///< waiting messages; beyond it `mailbox_policy` counts
  kernel::overflow mailbox_policy = kernel::overflow::reject;
  std::optional<std::uint32_t> processes_max{};  ///< of the class on one node; what moves there is taken in beyond it
  std::uint64_t instructions_max = 1'000'000;    ///< Lua VM instructions of one callback
  std::uint64_t memory_bytes_max = 8U << 20U;    ///< what one Lua callback may have allocated beyond what it found
  std::uint64_t state_bytes_max = 1U << 20U;     ///< one process' state, encoded as CBOR
  friend bool operator==(const limits_spec&, const limits_spec&) = default;
};

/// A process that is there without a call, on the node that owns its name.
struct declared_child {
  process_key key;
  std::optional<restart_type> restart{};  ///< none: the class'
  bool significant = false;
  value argument{};  ///< what its init is given
  friend bool operator==(const declared_child&, const declared_child&) = default;
};

using behaviour_spec = std::variant<builtin_kind, lua_source, app_hosted>;

/// A class of processes, as its ProcessClass declares it.
struct class_spec {
  class_name name;
  std::uint64_t version = 1;  ///< the ProcessClass' generation
  behaviour_spec behaviour = builtin_kind::counter;
  value options;  ///< an object, for a built-in behaviour; null: its defaults
  supervision_spec supervision;
  limits_spec limits;
  duration call_timeout = std::chrono::seconds{5};
  std::vector<declared_child> children{};  ///< in the order of their start
  friend bool operator==(const class_spec&, const class_spec&) = default;
};

}  // namespace orrery::process
