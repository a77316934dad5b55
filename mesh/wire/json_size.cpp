#include "mesh/wire/json_size.hpp"

#include "mesh/wire/cbor.hpp"

namespace orrery {
namespace {

constexpr std::size_t binary_frame = std::string_view{R"({"bytes":[],"subtype":null})"}.size();
constexpr std::size_t binary_byte = std::string_view{"255,"}.size();
constexpr std::size_t float_max = std::string_view{"-1.7976931348623157e+308"}.size() + 1;

std::size_t integer_bytes(std::uint64_t number) noexcept {
  std::size_t digits = 2;  // a sign; of a negative one the number is one less
  for (; number > 9; number /= 10)
    ++digits;
  return digits + 1;
}

std::size_t bytes_of(const cbor::item& item, cbor::reader& from) {
  switch (item.kind) {
    case cbor::major::unsigned_integer:
    case cbor::major::negative_integer:
      return integer_bytes(item.number);
    case cbor::major::byte_string:
      static_cast<void>(from.take(item.number));
      return binary_frame + binary_byte * item.number;
    case cbor::major::text:
      return json_bytes_max(from.take(item.number));
    case cbor::major::array:
    case cbor::major::map:
    case cbor::major::tag:
      return 2;
    case cbor::major::simple:
      return item.is_float() ? float_max : std::string_view{"false"}.size();
  }
  return 0;
}

}  // namespace

std::size_t json_bytes_max(std::string_view text) noexcept {
  constexpr std::size_t escaped = 6;      // \u001f
  constexpr std::size_t replacement = 3;  // U+FFFD, for a byte that is no UTF-8
  std::size_t size = 2;
  for (const char each : text) {
    const auto byte = static_cast<unsigned char>(each);
    size += byte < 0x20 ? escaped : byte >= 0x80 ? replacement : each == '"' || each == '\\' ? 2 : 1;
  }
  return size;
}

std::size_t json_bytes_max(byte_view cbor) {
  std::size_t size = 0;
  for (cbor::reader at(cbor); !at.at_end();)
    size += bytes_of(at.next(), at) + 1;  // and a comma or a colon
  return size;
}

}  // namespace orrery
