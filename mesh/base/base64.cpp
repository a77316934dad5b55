#include "mesh/base/base64.hpp"

#include <algorithm>
#include <cstdint>

namespace orrery {
namespace {

constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The value of one letter; -1 if it is none.
int value_of(char c) noexcept {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  return c == '/' ? 63 : -1;
}

}  // namespace

std::string base64_encode(std::string_view data) {
  std::string out;
  out.reserve((data.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < data.size(); i += 3) {
    const auto count = std::min<std::size_t>(3, data.size() - i);
    std::uint32_t word = 0;
    for (std::size_t j = 0; j < 3; ++j)
      word = (word << 8U) | (j < count ? static_cast<unsigned char>(data[i + j]) : 0U);
    for (std::size_t j = 0; j < 4; ++j)
      out += j <= count ? letters[(word >> (18U - 6U * j)) & 63U] : '=';
  }
  return out;
}

result<std::string> base64_decode(std::string_view text) {
  const auto refuse = [](std::string why) { return fail(errc::invalid_argument, "not base64: " + std::move(why)); };
  std::string out;
  out.reserve(text.size() / 4 * 3);
  std::uint32_t word = 0;
  std::size_t held = 0;     // letters of the current group of four
  std::size_t padding = 0;  // '=' seen: they end the text
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n' || c == '\r') continue;
    if (c == '=') {
      if (held + padding < 2 || held + padding == 4)
        return refuse("'=' where none belongs, at byte " + std::to_string(i));
      ++padding;
      continue;
    }
    const int value = value_of(c);
    if (value < 0) {
      return refuse("byte " + std::to_string(i) + " is none of A-Z, a-z, 0-9, '+' and '/'");
    }
    if (padding > 0) return refuse("something follows '=', at byte " + std::to_string(i));
    word = (word << 6U) | static_cast<std::uint32_t>(value);
    if (++held < 4) continue;
    for (const auto shift : {16U, 8U, 0U})
      out += static_cast<char>((word >> shift) & 0xffU);
    word = 0;
    held = 0;
  }
  if (held == 0) return out;
  if (held + padding != 4) return refuse("it ends within a group of four characters");
  const auto spare = held == 2 ? 4U : 2U;  // bits of the last letter that carry nothing
  if ((word & ((1U << spare) - 1U)) != 0) return refuse("the last character's unused bits are not zero");
  word >>= spare;
  if (held == 3) out += static_cast<char>((word >> 8U) & 0xffU);
  out += static_cast<char>(word & 0xffU);
  return out;
}

}  // namespace orrery
