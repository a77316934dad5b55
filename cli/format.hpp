#pragma once
// Text for people: tables, ages, colours. Pure.
#include "mesh/base/result.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::cli {

/// "12s", "3m12s", "2h5m", "4d3h": two units at most. "<1s" below a second.
[[nodiscard]] std::string age(double seconds);
/// "85us", "1.2ms", "3.4s".
[[nodiscard]] std::string short_time(double seconds);
/// "640 B", "1.2 KiB", "34 MiB".
[[nodiscard]] std::string size_text(double bytes);
/// "500ms", "2s", "1m". Errors: invalid_argument.
[[nodiscard]] result<std::chrono::milliseconds> parse_timeout(std::string_view text);

enum class tone : std::uint8_t { none, good, warning, bad, faint, strong };
/// `text` in ANSI colours if `on`.
[[nodiscard]] std::string painted(std::string_view text, tone how, bool on);

struct cell {
  std::string text;
  tone how = tone::none;
};

/// Columns two spaces apart, as wide as their widest cell (counted in code points).
class table {
 public:
  enum class align : std::uint8_t { left, right };
  struct column {
    std::string title;
    align side = align::left;
  };

  explicit table(std::vector<column> columns) : columns_(std::move(columns)) {}
  void add(std::vector<cell> row) { rows_.push_back(std::move(row)); }
  [[nodiscard]] bool empty() const { return rows_.empty(); }
  [[nodiscard]] std::string render(bool colours) const;

 private:
  std::vector<column> columns_;
  std::vector<std::vector<cell>> rows_;
};

}  // namespace orrery::cli
