#pragma once
// Errors as HTTP answers: application/problem+json (RFC 9457), as docs/protocol.md lists them.
#include "mesh/base/result.hpp"

#include "shell/http_server.hpp"
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orrery::shell {

[[nodiscard]] int http_status(errc code) noexcept;
/// For people: "Not found".
[[nodiscard]] std::string_view title(errc code) noexcept;

/// `extra` members are added as JSON strings. `status` 0: the code's own.
[[nodiscard]] http_response problem(const error& why, int status = 0,
                                    const std::vector<std::pair<std::string, std::string>>& extra = {});

}  // namespace orrery::shell
