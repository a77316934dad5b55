#pragma once
// This room's own: what the decoder is made of. What is wrong is remembered by the fields.
#include "mesh/base/ids.hpp"
#include "mesh/kernel/exit_reason.hpp"
#include "mesh/sdk/fields.hpp"
#include "mesh/sdk/messages.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::sdk {

inline constexpr std::int64_t method_bytes_max = 256;  ///< read; the node says what it takes
inline constexpr std::int64_t list_limit_max = 5000;
inline constexpr std::int64_t timeout_ms_max = 3'600'000;
inline constexpr std::size_t reason_bytes_max = 1024;
inline constexpr std::size_t crash_bytes_max = 4096;
inline constexpr std::size_t prefix_bytes_max = 1024;
inline constexpr std::size_t target_bytes_max =
    class_name_bytes_max + process_key_bytes_max + 1;  ///< a name's, or a pid's

[[nodiscard]] process_name read_name(fields& in);
[[nodiscard]] std::optional<class_name> read_class(fields& in);
/// With the trace of who sends it, where there is one.
[[nodiscard]] value read_argument(fields& in);
[[nodiscard]] std::optional<duration> read_timeout(fields& in);
[[nodiscard]] std::size_t read_limit(fields& in);
/// Nothing where the field is absent. Its kind defaults to normal, and is one of these.
[[nodiscard]] std::optional<kernel::exit_reason> read_reason(fields& in, std::string_view key,
                                                             const std::vector<kernel::exit_reason::kind>& kinds);

/// What a client process does, and what concerns such processes. Nothing where the type is none of these, or where it
/// does not name a process and need not.
[[nodiscard]] std::optional<incoming> read_act(std::string_view type, request_number id, fields& in);
/// The effects of an answer.
[[nodiscard]] std::vector<process::app_deed> read_deeds(fields& in);
/// `changes`: what the error is an answer to has changed something.
[[nodiscard]] std::optional<error> read_error(fields& in, std::string_view key, bool changes);

}  // namespace orrery::sdk
