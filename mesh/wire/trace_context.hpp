#pragma once
#include "mesh/wire/value.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace orrery {

/// Is this a W3C traceparent ("Trace Context", section 3.2), 55 characters of version 00 or a later one?
[[nodiscard]] bool is_traceparent(std::string_view text) noexcept;

/// An argument that carries the trace of who sent it: CBOR tag 20306 on [traceparent, argument]. So a trace goes where
/// the argument goes, between nodes and with a process that moves, and costs nothing where there is none. The argument
/// as it is where `traceparent` is none, or where it would be too large or nest too deep with it.
[[nodiscard]] value with_trace(const value& argument, std::string_view traceparent);
/// What with_trace was given; an empty text for a value that carries none.
[[nodiscard]] std::pair<std::string, value> split_trace(const value& argument);

}  // namespace orrery
