#include "cli/format.hpp"

#include "mesh/base/duration_text.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>

namespace orrery::cli {

std::string age(double seconds) {
  if (!(seconds >= 1)) return "<1s";
  const auto all = static_cast<std::int64_t>(std::min(seconds, 1e15));
  const auto days = all / 86400;
  const auto hours = all / 3600 % 24;
  const auto minutes = all / 60 % 60;
  const auto rest = all % 60;
  const auto two = [](std::int64_t big, char a, std::int64_t small, char b) {
    return small == 0 ? fmt::format("{}{}", big, a) : fmt::format("{}{}{}{}", big, a, small, b);
  };
  if (days > 0) return two(days, 'd', hours, 'h');
  if (hours > 0) return two(hours, 'h', minutes, 'm');
  if (minutes > 0) return two(minutes, 'm', rest, 's');
  return fmt::format("{}s", rest);
}

std::string short_time(double seconds) {
  if (seconds < 1e-6) return "<1us";
  if (seconds < 1e-3) return fmt::format("{:.0f}us", seconds * 1e6);
  if (seconds < 1) return fmt::format("{:.1f}ms", seconds * 1e3);
  return std::floor(seconds) == seconds ? fmt::format("{:.0f}s", seconds) : fmt::format("{:.1f}s", seconds);
}

std::string size_text(double bytes) {
  static constexpr std::array<const char*, 4> units{"KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) return fmt::format("{:.0f} B", bytes);
  std::size_t unit = 0;
  for (bytes /= 1024; bytes >= 1024 && unit + 1 < units.size(); bytes /= 1024)
    ++unit;
  return bytes < 10 ? fmt::format("{:.1f} {}", bytes, units[unit]) : fmt::format("{:.0f} {}", bytes, units[unit]);
}

result<std::chrono::milliseconds> parse_timeout(std::string_view text) {
  using namespace std::chrono_literals;
  const auto parsed = parse_duration(text);
  if (!parsed || *parsed < 1ms || *parsed > 1h) {
    return fail(errc::invalid_argument,
                fmt::format("'{}' is not a timeout; accepted are 1ms to 1h, as 500ms, 2s or 1m30s", text));
  }
  return std::chrono::round<std::chrono::milliseconds>(*parsed);
}

std::string painted(std::string_view text, tone how, bool on) {
  static constexpr std::array<std::string_view, 6> codes{"", "32", "33", "31", "2", "1"};
  const auto code = codes[static_cast<std::size_t>(how)];
  return on && !code.empty() ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : std::string(text);
}

namespace {

std::size_t width_of(std::string_view text) {
  std::size_t count = 0;
  for (const char c : text)
    count += (static_cast<unsigned char>(c) & 0xC0U) != 0x80U ? 1 : 0;
  return count;
}

}  // namespace

std::string table::render(bool colours) const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    auto widest = width_of(columns_[i].title);
    for (const auto& row : rows_)
      widest = std::max(widest, i < row.size() ? width_of(row[i].text) : 0);
    widths.push_back(widest);
  }
  std::string out;
  const auto put = [&](std::size_t i, std::string_view text, tone how) {
    const auto pad = std::string(widths[i] - width_of(text), ' ');
    const bool last = i + 1 == columns_.size();
    if (i > 0) out += "  ";
    if (columns_[i].side == align::right) out += pad;
    out += painted(text, how, colours);
    if (columns_[i].side == align::left && !last) out += pad;
  };
  for (std::size_t i = 0; i < columns_.size(); ++i)
    put(i, columns_[i].title, tone::strong);
  out += '\n';
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (i < row.size()) put(i, row[i].text, row[i].how);
    }
    out += '\n';
  }
  return out;
}

}  // namespace orrery::cli
