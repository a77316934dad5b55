#pragma once
// mesh/process: processes, mailboxes, supervisors and behaviours. A pure, single-threaded core: time is an argument.
#include "mesh/base/ids.hpp"
#include "mesh/base/time.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <variant>

namespace orrery::process {

/// OTP's restart strategies. simple_one_for_one: any number of children of one kind, started as they are asked for.
enum class strategy : std::uint8_t { one_for_one, one_for_all, rest_for_one, simple_one_for_one };
/// OTP's restart types: always, only after an abnormal exit, never.
enum class restart_type : std::uint8_t { permanent, transient, temporary };
/// What a supervisor that went over its intensity does: exit to its parent supervisor, have the node restarted, or
/// have the pod replaced.
enum class escalation : std::uint8_t { parent, node, pod };
enum class builtin_kind : std::uint8_t { counter, kv };

struct lua_source {
  std::string script;
  friend bool operator==(const lua_source&, const lua_source&) = default;
};

struct supervision_spec {
  strategy kind = strategy::one_for_one;
  restart_type restart = restart_type::permanent;
  std::uint32_t intensity = 3;  ///< more restarts than this within `period`: the supervisor gives up
  duration period = std::chrono::seconds{5};
  escalation escalate = escalation::parent;
  friend bool operator==(const supervision_spec&, const supervision_spec&) = default;
};

struct limits_spec {
  std::uint32_t mailbox_max = 10'000;          ///< waiting messages; beyond it a call is refused with `overloaded`
  std::uint64_t instructions_max = 1'000'000;  ///< Lua VM instructions of one callback
  std::uint64_t memory_bytes_max = 8U << 20U;  ///< what one Lua callback may have allocated beyond what it found
  std::uint64_t state_bytes_max = 1U << 20U;   ///< one process' state, encoded as CBOR
  friend bool operator==(const limits_spec&, const limits_spec&) = default;
};

/// A class of processes, as its ProcessClass declares it.
struct class_spec {
  class_name name;
  std::uint64_t version = 1;  ///< the ProcessClass' generation
  std::variant<builtin_kind, lua_source> behaviour = builtin_kind::counter;
  supervision_spec supervision;
  limits_spec limits;
  duration call_timeout = std::chrono::seconds{5};
  friend bool operator==(const class_spec&, const class_spec&) = default;
};

}  // namespace orrery::process
