#include "mesh/wire/frame.hpp"

#include "mesh/base/assert.hpp"

#include <array>
#include <string>

namespace orrery::wire {
namespace {

constexpr std::array<std::uint32_t, 256> crc_table = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit)
      crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? 0x82f63b78U : 0U);
    table[i] = crc;
  }
  return table;
}();

void put(bytes& out, std::uint64_t number, int width) {
  for (int i = 0; i < width; ++i)
    out.push_back(static_cast<std::uint8_t>(number >> (8 * i)));
}

std::uint32_t get(byte_view data, std::size_t at, int width) {
  std::uint32_t number = 0;
  for (int i = 0; i < width; ++i)
    number |= std::uint32_t{data[at + static_cast<std::size_t>(i)]} << (8 * i);
  return number;
}

}  // namespace

std::uint32_t crc32c(byte_view data, std::uint32_t seed) noexcept {
  std::uint32_t crc = ~seed;
  for (const std::uint8_t byte : data)
    crc = crc_table[(crc ^ byte) & 0xffU] ^ (crc >> 8U);
  return ~crc;
}

bytes encode(const frame& sent) {
  ORRERY_ASSERT(sent.payload.size() <= payload_bytes_max);
  bytes out;
  out.reserve(frame_header_bytes + sent.payload.size());
  put(out, sent.payload.size(), 4);
  put(out, sent.type, 2);
  put(out, frame_format, 1);
  put(out, 0, 1);
  put(out, crc32c(sent.payload, crc32c(out)), 4);
  out.insert(out.end(), sent.payload.begin(), sent.payload.end());
  return out;
}

void frame_decoder::feed(byte_view arrived) {
  if (consumed_ > 0) {
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(consumed_));
    consumed_ = 0;
  }
  buffer_.insert(buffer_.end(), arrived.begin(), arrived.end());
}

result<bool> frame_decoder::next(frame& out) {
  const byte_view pending = byte_view(buffer_).subspan(consumed_);
  if (pending.size() < frame_header_bytes) return false;
  if (pending[6] != frame_format || pending[7] != 0) {
    return fail(errc::protocol, "frame format " + std::to_string(pending[6]) + "." + std::to_string(pending[7]) +
                                    "; this node speaks " + std::to_string(frame_format) + ".0");
  }
  const std::size_t length = get(pending, 0, 4);
  if (length > payload_bytes_max) {
    return fail(errc::too_large, "a frame of " + std::to_string(length) + " bytes; at most " +
                                     std::to_string(payload_bytes_max) + " are accepted");
  }
  if (pending.size() < frame_header_bytes + length) return false;
  const byte_view payload = pending.subspan(frame_header_bytes, length);
  if (get(pending, 8, 4) != crc32c(payload, crc32c(pending.first(8)))) {
    return fail(errc::protocol, "frame checksum does not match");
  }
  out.type = static_cast<std::uint16_t>(get(pending, 4, 2));
  out.payload.assign(payload.begin(), payload.end());
  consumed_ += frame_header_bytes + length;
  return true;
}

}  // namespace orrery::wire
