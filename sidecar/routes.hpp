#pragma once
// The SDK's requests as operations of the node; pure. The table is docs/protocol.md.
#include "mesh/node/node.hpp"

#include "shell/http_server.hpp"
#include <string>
#include <string_view>
#include <variant>

namespace orrery::sidecar {

inline constexpr std::size_t method_bytes_max = 128;
inline constexpr std::size_t list_limit_max = 10'000;

/// Answered by the node; on success with this status.
struct node_route {
  node::operation asked;
  int success = 200;
};
/// GET /v1/events.
struct events_route {};
/// GET /v1/sdk: the SDK protocol, over a WebSocket.
struct websocket_route {};
/// GET /v1/openapi.yaml.
struct description_route {};
/// Not a request of ours: `status` may differ from the code's own (405), and `allow` names the methods of the path.
struct refused_route {
  error why;
  int status = 0;
  std::string allow;
};
using route = std::variant<node_route, events_route, websocket_route, description_route, refused_route>;

[[nodiscard]] route find_route(const shell::http_request& request);

/// Errors: invalid_argument where a percent sign is not followed by two hex digits, or the result is not UTF-8 or has
/// control characters.
[[nodiscard]] result<std::string> percent_decode(std::string_view text);

}  // namespace orrery::sidecar
