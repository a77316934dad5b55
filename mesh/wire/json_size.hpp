#pragma once
// How long a value is as JSON text, without writing it.
#include "mesh/base/bytes.hpp"

#include <cstddef>
#include <string_view>

namespace orrery {

/// No text is longer in quotes.
[[nodiscard]] std::size_t json_bytes_max(std::string_view text) noexcept;
/// `value::json_text` of this value has no more bytes, and not many fewer where its texts are ASCII. Takes as long as
/// to read it once. REQUIRES: the bytes of a value.
[[nodiscard]] std::size_t json_bytes_max(byte_view cbor);

}  // namespace orrery
