#pragma once
#include "mesh/base/result.hpp"

#include <string>
#include <string_view>

namespace orrery {

/// RFC 4648, section 4, with padding and without line breaks: as the data of Secrets and kubeconfigs.
[[nodiscard]] std::string base64_encode(std::string_view data);
/// The inverse. Line breaks are skipped, as Kubernetes does; nothing else is. Errors: invalid_argument for a character
/// outside the alphabet (says which, and where), wrong or missing padding, and left-over bits that are not zero. The
/// text itself is never in the error: it may be a key.
[[nodiscard]] result<std::string> base64_decode(std::string_view text);

}  // namespace orrery
