#pragma once
// Watching the messages of single processes, as OTP's sys:trace and recon_trace do: bounded, and free when off.
#include "mesh/base/ids.hpp"
#include "mesh/base/result.hpp"
#include "mesh/base/strong.hpp"
#include "mesh/base/time.hpp"
#include "mesh/kernel/message.hpp"
#include "mesh/kernel/slab.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::process {

inline constexpr std::size_t traces_max = 16;  ///< at a time, of one node's processes
inline constexpr std::size_t trace_value_bytes_max = 512;
/// Of one trace; what is more is counted, and told.
inline constexpr std::uint32_t trace_entries_per_second_max = 1000;

/// Chosen by whoever traces; not used again.
using trace_id = strong<struct trace_id_tag, std::uint64_t>;

/// "call", "cast", "message", "reply", "exit", "down", "timer", "timeout", "continue"
[[nodiscard]] std::string_view to_string(kernel::message::kind what) noexcept;

/// What a process received and what came of it; or a turn in its life.
struct trace_entry {
  time_point at{};
  pid id{};
  std::string kind{};      ///< of the message; or "started", "exited", "restarted", "moved_in", "moved_out"
  std::string method{};    ///< its word
  std::string argument{};  ///< excerpt
  std::size_t argument_bytes = 0;
  std::string from{};                ///< a name or a pid; empty: from outside, or from no one
  std::optional<duration> waited{};  ///< in the mailbox
  std::optional<duration> took{};    ///< in its callback, where there is a stopwatch
  std::uint64_t reductions = 0;
  std::string outcome{};  ///< "reply", "error", "later" (the answer was put off), "exit"; empty: nothing to tell
  std::string answer{};   ///< excerpt of the reply, the error's text, the exit reason
};
struct traced {
  trace_id of;
  trace_entry what;
  std::uint64_t dropped = 0;  ///< before this one, over trace_entries_per_second_max
  bool last = false;          ///< the trace had as many entries as it was to have, and is over
};

/// The traces of a node. Not thread-safe.
class tracer {
 public:
  [[nodiscard]] std::size_t count() const noexcept { return traces_.size(); }
  [[nodiscard]] bool any() const noexcept { return !traces_.empty(); }
  [[nodiscard]] bool watches(std::uint32_t name) const noexcept {
    for (const auto& each : traces_) {
      if (each.slot == name) return true;
    }
    return false;
  }

  /// `slot`: of the name, if it runs. `limit`: entries. Errors: overloaded, over traces_max.
  [[nodiscard]] result<void> begin(trace_id id, process_name name, std::uint32_t slot, std::size_t limit);
  /// How many entries it has dropped and not told. Nothing if there is no such trace.
  std::optional<std::uint64_t> end(trace_id id);
  /// The name has this slot from now on, or (forgot) no longer.
  void appeared(const process_name& name, std::uint32_t slot);
  void forgot(std::uint32_t slot);

  /// For each trace of the name.
  void record(std::uint32_t slot, const trace_entry& what);
  [[nodiscard]] std::vector<traced> take() { return std::exchange(recorded_, {}); }

  trace_entry* open = nullptr;  ///< of the message that is being handled, if it is traced

 private:
  struct trace {
    trace_id id;
    process_name name;
    std::uint32_t slot = kernel::no_slot;
    std::size_t left = 0;
    std::uint64_t dropped = 0;
    time_point second{};
    std::uint32_t in_second = 0;
  };
  std::vector<trace> traces_;
  std::vector<traced> recorded_;
};

}  // namespace orrery::process
