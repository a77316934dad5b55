#pragma once
#include "mesh/base/bytes.hpp"
#include "mesh/base/result.hpp"

#include <cstdint>

namespace orrery::wire {

/// A frame on a mesh connection, little-endian:
///
///   offset 0  u32  length of the payload, at most payload_bytes_max
///          4  u16  type (see mesh/wire/messages.hpp)
///          6  u8   format version of the frame itself: 1
///          7  u8   reserved: 0
///          8  u32  CRC-32C of bytes 0..7 and of the payload
///         12       payload
///
/// The checksum is there for our own bugs and for future plaintext uses; on a mesh connection TLS already vouches for
/// the bytes.
inline constexpr std::size_t frame_header_bytes = 12;
inline constexpr std::uint8_t frame_format = 1;
inline constexpr std::size_t payload_bytes_max = 4U << 20U;

struct frame {
  std::uint16_t type = 0;
  bytes payload;
  friend bool operator==(const frame&, const frame&) = default;
};

/// REQUIRES: payload.size() <= payload_bytes_max.
[[nodiscard]] bytes encode(const frame& sent);

/// Splits a byte stream into frames. Feed what arrived; then take frames until there is none.
/// After an error the stream is unusable (framing is lost): close the connection.
class frame_decoder {
 public:
  void feed(byte_view arrived);
  /// Moves the next whole frame into `out` and returns true; false when more bytes are needed.
  /// Errors: protocol (wrong format, checksum, reserved byte), too_large; a refused length is never allocated.
  [[nodiscard]] result<bool> next(frame& out);
  [[nodiscard]] std::size_t buffered() const noexcept { return buffer_.size() - consumed_; }

 private:
  bytes buffer_;
  std::size_t consumed_ = 0;
};

[[nodiscard]] std::uint32_t crc32c(byte_view data, std::uint32_t seed = 0) noexcept;

}  // namespace orrery::wire
