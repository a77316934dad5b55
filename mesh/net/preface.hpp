#pragma once
#include "mesh/base/result.hpp"
#include "mesh/wire/frame.hpp"

namespace orrery::net {

/// The first frame on every connection, from acceptor to dialler: "you are in", or why not.
///
/// In TLS 1.3 a client's handshake is done before the server has looked at the client's certificate. So a dialler
/// reports `opened` only when this frame has come, never on the handshake alone.
///
///   type     0xffff, which no message may use
///   payload  UTF-8: "orrery-mesh/1 accepted", or "orrery-mesh/1 refused CODE: CONTEXT" and the end of the session
inline constexpr std::uint16_t preface_type = 0xffff;
inline constexpr std::size_t preface_bytes_max = 512;

[[nodiscard]] bytes accepting_preface();
/// The context is cut to fit.
[[nodiscard]] bytes refusing_preface(const error& why);
/// Errors: what the acceptor refused with; protocol where it is no preface, or of another version.
[[nodiscard]] result<void> check_preface(const wire::frame& first);

}  // namespace orrery::net
