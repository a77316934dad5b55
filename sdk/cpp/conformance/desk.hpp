#pragma once
// The class that every SDK hosts for the conformance cases, under any name. What it does is part of the list: keep the
// SDKs' alike.
#include <orrery/app.hpp>
#include <string>

namespace orrery::app::conformance {

/// From state version 2 on it brings older states along.
[[nodiscard]] process_class a_desk(std::string name, std::uint32_t state_version);
/// As the protocol says it.
[[nodiscard]] const char* effect_text(effect took);

}  // namespace orrery::app::conformance
