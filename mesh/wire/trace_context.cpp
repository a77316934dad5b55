#include "mesh/wire/trace_context.hpp"

#include "mesh/wire/cbor.hpp"

#include <algorithm>
#include <array>

namespace orrery {
namespace {

constexpr std::size_t traceparent_bytes = 55;
constexpr std::array<std::uint8_t, 4> mark{0xd9, 0x4f, 0x52, 0x82};  // tag 20306, array of two
constexpr std::size_t overhead = mark.size() + 2 + traceparent_bytes;
constexpr int levels_added = 2;

bool is_marked(byte_view encoded) {
  return encoded.size() > mark.size() && std::equal(mark.begin(), mark.end(), encoded.begin());
}

}  // namespace

bool is_traceparent(std::string_view text) noexcept {
  if (text.size() != traceparent_bytes || text[2] != '-' || text[35] != '-' || text[52] != '-') return false;
  const auto lower_hex = [&](std::size_t from, std::size_t count) {
    return std::all_of(text.begin() + static_cast<std::ptrdiff_t>(from),
                       text.begin() + static_cast<std::ptrdiff_t>(from + count),
                       [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
  };
  return lower_hex(0, 2) && lower_hex(3, 32) && lower_hex(36, 16) && lower_hex(53, 2) && text.substr(0, 2) != "ff";
}

value with_trace(const value& argument, std::string_view traceparent) {
  if (!is_traceparent(traceparent)) return argument;
  const auto encoded = argument.cbor();
  int depth = 0;
  static_cast<void>(cbor::reader(encoded).whole(&depth));
  // A value that other nodes would refuse must not come of it.
  if (encoded.size() + overhead > value_bytes_max || depth + levels_added > value_depth_max) return argument;
  bytes out(mark.begin(), mark.end());
  cbor::put_text(out, traceparent);
  cbor::put(out, encoded);
  return value::adopt(out);
}

std::pair<std::string, value> split_trace(const value& argument) {
  const auto encoded = argument.cbor();
  if (!is_marked(encoded)) return {{}, argument};
  cbor::reader in(encoded.subspan(mark.size()));
  const auto head = in.next();
  if (head.kind != cbor::major::text) return {{}, argument};
  const auto text = in.take(head.number);
  if (!is_traceparent(text)) return {{}, argument};
  return {std::string{text}, value::adopt(in.whole())};
}

}  // namespace orrery
