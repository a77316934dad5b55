#pragma once
#include "mesh/kernel/atom_table.hpp"
#include "mesh/kernel/message.hpp"
#include "mesh/wire/process_messages.hpp"

#include <cstdint>

namespace orrery::process {

/// A kernel's signal as it travels, and back. Which nodes it is between is for the caller to say.
[[nodiscard]] wire::signal to_wire(kernel::signal what, const kernel::atom_table& atoms);
/// `from`: the number of the node that sends. All but the word of a message: how words of others are taken in is the
/// caller's business.
[[nodiscard]] kernel::signal from_wire(wire::signal what, std::uint32_t from);
/// Does it have a word: plain, cast, call.
[[nodiscard]] bool has_message(kernel::signal::kind what) noexcept;

}  // namespace orrery::process
