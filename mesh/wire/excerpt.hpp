#pragma once
#include "mesh/wire/value.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace orrery {

/// JSON text of a value for people, as far as it fits: longer text is cut and ends with "…". Takes time for what is
/// shown, not for all that there is. Bytes appear as "<12 bytes>".
[[nodiscard]] std::string excerpt(const value& of, std::size_t bytes_max);
/// The same of text, which is cut between two characters.
[[nodiscard]] std::string excerpt(std::string_view text, std::size_t bytes_max);

}  // namespace orrery
