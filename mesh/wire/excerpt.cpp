#include "mesh/wire/excerpt.hpp"

#include "mesh/wire/cbor.hpp"

#include <array>
#include <charconv>
#include <cmath>

namespace orrery {
namespace {

using cbor::major;

constexpr std::string_view ellipsis = "…";

/// Writes until there is more than fits; what comes after is not looked at.
class writer {
 public:
  writer(byte_view from, std::size_t bytes_max) : in_(from), most_(bytes_max) {}

  [[nodiscard]] std::string write() && {
    item();
    return excerpt(out_, most_);
  }

 private:
  [[nodiscard]] bool full() const noexcept { return out_.size() > most_; }

  // NOLINTNEXTLINE(misc-no-recursion): values nest no deeper than value_depth_max
  void item() {
    const auto head = in_.next();
    switch (head.kind) {
      case major::unsigned_integer:
        return number(head.number);
      case major::negative_integer:
        out_ += '-';
        return head.number == UINT64_MAX ? static_cast<void>(out_ += "18446744073709551616") : number(head.number + 1);
      case major::byte_string:
        static_cast<void>(in_.take(head.number));
        out_ += "\"<" + std::to_string(head.number) + " bytes>\"";
        return;
      case major::text:
        return text(in_.take(head.number));
      case major::array:
        return sequence('[', ']', head.number, false);
      case major::map:
        return sequence('{', '}', head.number, true);
      case major::tag:
        return;  // the reader passes over them
      case major::simple:
        return simple(head);
    }
  }

  void number(auto of) {
    std::array<char, 32> room{};
    const auto [end, ec] = std::to_chars(room.data(), room.data() + room.size(), of);
    out_.append(room.data(), end);
  }

  void simple(const cbor::item& head) {
    if (!head.is_float()) {
      out_ += head.is_null() ? "null" : head.info == 21 ? "true" : "false";
    } else if (const double read = head.floating(); std::isfinite(read)) {
      number(read);
    } else {
      out_ += "null";
    }
  }

  // NOLINTNEXTLINE(misc-no-recursion)
  void sequence(char open, char close, std::uint64_t count, bool pairs) {
    out_ += open;
    for (std::uint64_t i = 0; i < count && !full(); ++i) {
      if (i > 0) out_ += ',';
      item();
      if (!pairs || full()) continue;
      out_ += ':';
      item();
    }
    out_ += close;
  }

  void text(std::string_view all) {
    static constexpr std::string_view digits = "0123456789abcdef";
    out_ += '"';
    for (const char c : all) {
      if (full()) return;
      const auto byte = static_cast<unsigned char>(c);
      if (c == '"' || c == '\\') {
        (out_ += '\\') += c;
      } else if (c == '\n') {
        out_ += "\\n";
      } else if (byte < 0x20) {
        ((out_ += "\\u00") += digits[byte >> 4U]) += digits[byte & 15U];
      } else {
        out_ += c;
      }
    }
    out_ += '"';
  }

  cbor::reader in_;
  std::size_t most_;
  std::string out_;
};

}  // namespace

std::string excerpt(const value& of, std::size_t bytes_max) { return writer(of.cbor(), bytes_max).write(); }

std::string excerpt(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return std::string{text};
  auto end = bytes_max > ellipsis.size() ? bytes_max - ellipsis.size() : 0;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U)
    --end;
  return std::string{text.substr(0, end)}.append(ellipsis);
}

}  // namespace orrery
