#pragma once
// Reading and writing CBOR without a document in between, in the encoding that `value` has: definite lengths, shortest
// heads. The reader trusts its input: a `value` is well-formed by construction.
#include "mesh/base/assert.hpp"
#include "mesh/base/bytes.hpp"
#include "mesh/wire/value.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string_view>

namespace orrery::cbor {

enum class major : std::uint8_t { unsigned_integer, negative_integer, byte_string, text, array, map, tag, simple };

/// An item's head: all of an integer, what comes before the bytes of a text.
class head {
 public:
  head(major kind, std::uint64_t number) noexcept {
    const unsigned info = number < 24            ? static_cast<unsigned>(number)
                          : number <= 0xff       ? 24
                          : number <= 0xffff     ? 25
                          : number <= 0xffffffff ? 26
                                                 : 27;
    data_[size_++] = static_cast<std::uint8_t>(static_cast<unsigned>(kind) << 5U | info);
    if (info < 24) return;
    for (unsigned shift = 8U << (info - 24U); shift != 0;) {
      shift -= 8;
      data_[size_++] = static_cast<std::uint8_t>(number >> shift);
    }
  }
  [[nodiscard]] static head of_integer(std::int64_t number) noexcept {
    if (number >= 0) return {major::unsigned_integer, static_cast<std::uint64_t>(number)};
    return {major::negative_integer, ~static_cast<std::uint64_t>(number)};
  }
  /// Valid as long as the head lives.
  [[nodiscard]] byte_view view() const& noexcept { return {data_.data(), size_}; }

 private:
  std::array<std::uint8_t, 9> data_{};
  std::size_t size_ = 0;
};

inline void put(bytes& out, byte_view encoded) { out.insert(out.end(), encoded.begin(), encoded.end()); }
inline void put_head(bytes& out, major kind, std::uint64_t number) {
  const head made(kind, number);
  put(out, made.view());
}
inline void put_integer(bytes& out, std::int64_t number) {
  const auto made = head::of_integer(number);
  put(out, made.view());
}
inline void put_text(bytes& out, std::string_view text) {
  put_head(out, major::text, text.size());
  put(out, as_bytes(text));
}
inline void put_bool(bytes& out, bool flag) { out.push_back(flag ? 0xf5 : 0xf4); }
inline void put_null(bytes& out) { out.push_back(0xf6); }
/// The shortest of the forms that JSON libraries write: half for what is no number, single where exact, else double.
inline void put_float(bytes& out, double number) {
  const auto raw = [&](std::uint8_t head, std::uint64_t bits, int width) {
    out.push_back(head);
    for (int shift = (width - 1) * 8; shift >= 0; shift -= 8)
      out.push_back(static_cast<std::uint8_t>(bits >> static_cast<unsigned>(shift)));
  };
  if (std::isnan(number)) return raw(0xf9, 0x7e00, 2);
  if (std::isinf(number)) return raw(0xf9, number > 0 ? 0x7c00 : 0xfc00, 2);
  if (std::fabs(number) <= static_cast<double>(std::numeric_limits<float>::max()) &&
      static_cast<double>(static_cast<float>(number)) == number) {
    return raw(0xfa, std::bit_cast<std::uint32_t>(static_cast<float>(number)), 4);
  }
  raw(0xfb, std::bit_cast<std::uint64_t>(number), 8);
}

struct item {
  major kind = major::simple;
  unsigned info = 0;         ///< the head's low five bits: which simple value, how wide a float
  std::uint64_t number = 0;  ///< value, length, count of elements or pairs, or a float's bits

  [[nodiscard]] bool is_null() const noexcept { return kind == major::simple && (info == 22 || info == 23); }
  [[nodiscard]] bool is_integer() const noexcept {
    return kind == major::unsigned_integer || kind == major::negative_integer;
  }
  /// nullopt where the number is beyond 64 bits signed.
  [[nodiscard]] std::optional<std::int64_t> integer() const noexcept {
    if (!is_integer() || number > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return {};
    const auto magnitude = static_cast<std::int64_t>(number);
    return kind == major::unsigned_integer ? magnitude : -1 - magnitude;
  }
  [[nodiscard]] bool is_float() const noexcept { return kind == major::simple && info >= 25 && info <= 27; }
  [[nodiscard]] double floating() const noexcept {
    if (info == 27) return std::bit_cast<double>(number);
    if (info == 26) return static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(number)));
    const auto exponent = static_cast<int>(number >> 10U & 0x1fU);
    const auto mantissa = static_cast<double>(number & 0x3ffU);
    const double magnitude = exponent == 0    ? std::ldexp(mantissa, -24)
                             : exponent != 31 ? std::ldexp(mantissa + 1024, exponent - 25)
                             : mantissa == 0  ? std::numeric_limits<double>::infinity()
                                              : std::numeric_limits<double>::quiet_NaN();
    return (number & 0x8000U) != 0 ? -magnitude : magnitude;
  }
};

/// For people: "an integer", "text", ...
[[nodiscard]] inline std::string_view describe(const item& read) noexcept {
  switch (read.kind) {
    case major::unsigned_integer:
    case major::negative_integer:
      return "an integer";
    case major::byte_string:
      return "bytes";
    case major::text:
      return "a string";
    case major::array:
      return "an array";
    case major::map:
      return "an object";
    case major::tag:
      return "a tag";
    case major::simple:
      return read.is_null() ? "null" : read.is_float() ? "a number with a fraction" : "a boolean";
  }
  return "nothing";
}

/// Trivially destructible on purpose: it may live in frames that lua_error jumps over.
class reader {
 public:
  explicit reader(byte_view data) noexcept : data_(data) {}

  /// The next item's head; tags are skipped. Of text and bytes, `take` has the content.
  [[nodiscard]] item next() {
    for (;;) {
      ORRERY_ASSERT(at_ < data_.size());
      const unsigned head = data_[at_++];
      item read{.kind = static_cast<major>(head >> 5U), .info = head & 31U};
      if (read.info < 24) {
        read.number = read.info;
      } else {
        const std::size_t width = std::size_t{1} << (read.info - 24U);
        ORRERY_ASSERT(read.info <= 27 && data_.size() - at_ >= width);
        for (std::size_t i = 0; i < width; ++i)
          read.number = read.number << 8U | data_[at_++];
      }
      if (read.kind != major::tag) return read;
    }
  }
  [[nodiscard]] std::string_view take(std::uint64_t size) {
    ORRERY_ASSERT(size <= data_.size() - at_);
    const auto taken = as_text(data_.subspan(at_, static_cast<std::size_t>(size)));
    at_ += static_cast<std::size_t>(size);
    return taken;
  }
  /// The bytes of one whole item. `depth_out`: how deep it nests (0 for a scalar).
  [[nodiscard]] byte_view whole(int* depth_out = nullptr) {
    const auto start = at_;
    const int depth = skip();
    if (depth_out != nullptr) *depth_out = depth;
    return data_.subspan(start, at_ - start);
  }
  [[nodiscard]] bool at_end() const noexcept { return at_ == data_.size(); }

 private:
  int skip() {
    const item read = next();
    if (read.kind == major::text || read.kind == major::byte_string) static_cast<void>(take(read.number));
    if (read.kind != major::array && read.kind != major::map) return 0;
    int deepest = 0;
    for (std::uint64_t i = 0; i < read.number * (read.kind == major::map ? 2 : 1); ++i)
      deepest = std::max(deepest, skip());
    return deepest + 1;
  }

  byte_view data_;
  std::size_t at_ = 0;
};

[[nodiscard]] inline value integer_value(std::int64_t number) {
  const auto made = head::of_integer(number);
  return value::adopt(made.view());
}
[[nodiscard]] inline value bool_value(bool flag) {
  const std::uint8_t encoded = flag ? 0xf5 : 0xf4;
  return value::adopt({&encoded, 1});
}
/// What there is to say where nothing is but that it was done.
[[nodiscard]] inline value empty_map() {
  const std::uint8_t encoded = 0xa0;
  return value::adopt({&encoded, 1});
}
[[nodiscard]] inline value text_value(std::string_view text) {
  const head made(major::text, text.size());
  const auto start = made.view();
  return value::written(start.size() + text.size(), [&](std::span<std::uint8_t> room) {
    std::ranges::copy(as_bytes(text), std::ranges::copy(start, room.begin()).out);
  });
}
/// The text, where the value is one; valid until the value is moved, assigned to or gone.
[[nodiscard]] inline std::optional<std::string_view> text_of(const value& from) {
  reader at(from.cbor());
  const item head = at.next();
  if (head.kind != major::text) return {};
  return at.take(head.number);
}
std::optional<std::string_view> text_of(const value&& from) = delete;

}  // namespace orrery::cbor
