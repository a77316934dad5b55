#pragma once
// A connection of an SDK client over WebSocket (RFC 6455): each frame of the protocol is one message.
#include "sidecar/sdk_connection.hpp"

#include <memory>
#include <string_view>

namespace orrery::shell {
struct http_handover;
}

namespace orrery::sidecar {

/// What a client must offer in Sec-WebSocket-Protocol.
inline constexpr std::string_view websocket_protocol = "orrery.v1";

/// Answers the request for a WebSocket and serves it. REQUIRES: it asks for one, and offers `websocket_protocol`; what
/// else may be wrong with it is answered with a status of 400 or 426.
[[nodiscard]] std::shared_ptr<sdk_connection> make_sdk_websocket(shell::http_handover from, sdk_place at);

}  // namespace orrery::sidecar
