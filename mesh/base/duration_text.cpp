#include "mesh/base/duration_text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string>
#include <utility>

namespace orrery {

result<duration> parse_duration(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, double>, 6> units{
      {{"ns", 1.0}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}}};
  constexpr std::size_t text_bytes_max = 40;
  constexpr double ns_max = 9.2e18;
  const auto refuse = [&] {
    return fail(errc::invalid_argument, "'" + std::string(text.substr(0, text_bytes_max)) +
                                            "' is not a duration; accepted are numbers with a unit (ns, us, ms, s, m, "
                                            "h), as 500ms, 2s or 1m30s");
  };
  if (text == "0") return duration::zero();
  if (text.empty() || text.size() > text_bytes_max) return refuse();
  double total = 0;
  std::string_view rest = text;
  while (!rest.empty()) {
    double number = 0;
    const auto [end, ec] = std::from_chars(rest.data(), rest.data() + rest.size(), number, std::chars_format::fixed);
    if (ec != std::errc{} || number < 0 || !std::isfinite(number)) return refuse();
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    const auto unit_end = std::min(rest.find_first_of("0123456789."), rest.size());
    const auto unit = rest.substr(0, unit_end);
    const auto* known = std::find_if(units.begin(), units.end(), [&](const auto& one) { return one.first == unit; });
    if (known == units.end()) return refuse();
    total += number * known->second;
    rest.remove_prefix(unit_end);
  }
  if (total > ns_max) return refuse();
  return duration{std::llround(total)};
}

}  // namespace orrery
