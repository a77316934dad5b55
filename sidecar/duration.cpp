#include "sidecar/config.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>
#include <utility>

namespace orrery::sidecar {

result<duration> parse_duration(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, double>, 6> units{
      {{"ns", 1.0}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}}};
  const auto refuse = [&] {
    return fail(errc::invalid_argument,
                fmt::format("'{}' is not a duration; accepted are numbers with a unit, as 500ms, 2s or 1m30s", text));
  };
  if (text == "0") return duration::zero();
  if (text.empty() || text.size() > 40) return refuse();
  double total = 0;
  std::string_view rest = text;
  while (!rest.empty()) {
    double number = 0;
    const auto [end, ec] = std::from_chars(rest.data(), rest.data() + rest.size(), number, std::chars_format::fixed);
    if (ec != std::errc{} || number < 0 || !std::isfinite(number)) return refuse();
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    const auto unit_end = std::min(rest.find_first_of("0123456789."), rest.size());
    const auto unit = rest.substr(0, unit_end);
    double scale = 0;
    for (const auto& [name, factor] : units) {
      if (name == unit) scale = factor;
    }
    if (scale == 0) return refuse();
    total += number * scale;
    rest.remove_prefix(unit_end);
  }
  if (total > 9e18) return refuse();
  return duration{std::llround(total)};
}

result<std::string> read_file(const std::string& path, std::size_t bytes_max) {
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in) return fail(errc::io, fmt::format("{}: cannot be read: {}", path, std::strerror(errno)));
  std::string text(bytes_max + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad() || (in.gcount() == 0 && !in.eof())) {
    return fail(errc::io, fmt::format("{}: cannot be read: {}", path, std::strerror(errno != 0 ? errno : EIO)));
  }
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > bytes_max) return fail(errc::too_large, fmt::format("{}: over {} bytes", path, bytes_max));
  text.shrink_to_fit();
  return text;
}

}  // namespace orrery::sidecar
