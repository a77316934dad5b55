#include "mesh/process/builtin/cron.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <span>
#include <vector>

namespace orrery::process {
namespace {

using std::chrono::days;
using std::chrono::floor;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::sys_days;

constexpr std::size_t text_bytes_max = 256;
constexpr std::size_t fields_count = 5;
/// 29 February is skipped once between 2096 and 2104.
constexpr days search_max{366 * 8 + 2};

struct field_kind {
  std::string_view name;
  unsigned least;
  unsigned most;
  std::span<const std::string_view> words;  ///< the first is `least`
};

constexpr std::string_view month_words[] = {"jan", "feb", "mar", "apr", "may", "jun",
                                            "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::string_view weekday_words[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
constexpr std::array<field_kind, fields_count> kinds{{{"minute", 0, 59, {}},
                                                      {"hour", 0, 23, {}},
                                                      {"day of the month", 1, 31, {}},
                                                      {"month", 1, 12, month_words},
                                                      {"day of the week", 0, 7, weekday_words}}};

struct nickname {
  std::string_view name;
  std::string_view fields;
};
constexpr nickname nicknames[] = {{"@hourly", "0 * * * *"},  {"@daily", "0 0 * * *"},   {"@midnight", "0 0 * * *"},
                                  {"@weekly", "0 0 * * 0"},  {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"},
                                  {"@annually", "0 0 1 1 *"}};

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::optional<unsigned> number_of(std::string_view text) {
  unsigned number = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (ec != std::errc{} || end != text.data() + text.size()) return {};
  return number;
}

std::optional<unsigned> element_of(const field_kind& kind, std::string_view text) {
  std::string lower{text};
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  for (std::size_t i = 0; i < kind.words.size(); ++i) {
    if (kind.words[i] == lower) return kind.least + static_cast<unsigned>(i);
  }
  const auto number = number_of(text);
  return number && *number >= kind.least && *number <= kind.most ? number : std::nullopt;
}

/// One of a list: "*", "5", "1-5", each with or without "/2". Its bits, or nothing where it is none.
std::optional<std::uint64_t> bits_of(const field_kind& kind, std::string_view text) {
  unsigned step = 1;
  const auto slash = text.find('/');
  if (slash != std::string_view::npos) {
    const auto given = number_of(text.substr(slash + 1));
    if (!given || *given == 0 || *given > kind.most) return {};
    step = *given;
    text = text.substr(0, slash);
  }
  unsigned from = kind.least;
  unsigned to = kind.most;
  if (text != "*") {
    const auto dash = text.find('-');
    const auto first = element_of(kind, text.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : element_of(kind, text.substr(dash + 1));
    if (!first || !last || *first > *last) return {};
    from = *first;
    // "5/10" is from 5 on, as cron daemons read it.
    to = dash == std::string_view::npos && slash != std::string_view::npos ? kind.most : *last;
  }
  std::uint64_t bits = 0;
  for (unsigned at = from; at <= to; at += step)
    bits |= std::uint64_t{1} << at;
  return bits;
}

result<std::uint64_t> read_field(const field_kind& kind, std::string_view text) {
  std::uint64_t all = 0;
  for (const auto part : split(text, ',')) {
    const auto bits = bits_of(kind, part);
    if (!bits) {
      return fail(
          errc::invalid_argument,
          "'" + std::string{part.substr(0, 40)} + "' is no " + std::string{kind.name} +
              "; accepted: " + std::to_string(kind.least) + "-" + std::to_string(kind.most) +
              (kind.words.empty() ? ""
                                  : ", " + std::string{kind.words.front()} + "-" + std::string{kind.words.back()}) +
              ", *, ranges (a-b), steps (*/n, a-b/n) and lists of them");
    }
    all |= *bits;
  }
  return all;
}

/// Reads a date from left to right; what is not as it should be is remembered.
class date_reader {
 public:
  explicit date_reader(std::string_view text) : rest_(text) {}

  int digits(std::size_t width) {
    const auto number = number_of(rest_.substr(0, width));
    sound_ = sound_ && rest_.size() >= width && number;
    rest_.remove_prefix(std::min(width, rest_.size()));
    return static_cast<int>(number.value_or(0));
  }
  char mark(std::string_view accepted) {
    const char found = rest_.empty() ? '\0' : rest_.front();
    sound_ = sound_ && !rest_.empty() && accepted.find(found) != std::string_view::npos;
    rest_.remove_prefix(std::min<std::size_t>(1, rest_.size()));
    return found;
  }
  /// ".25", or nothing
  duration fraction() {
    if (!rest_.starts_with('.')) return {};
    rest_.remove_prefix(1);
    const auto places = std::min(rest_.find_first_not_of("0123456789"), rest_.size());
    sound_ = sound_ && places >= 1 && places <= 9;
    if (!sound_) return {};
    duration out{digits(places)};
    for (auto i = places; i < 9; ++i)
      out *= 10;
    return out;
  }
  /// "Z", "+02:30"
  duration offset() {
    const char zone = mark("Zz+-");
    if (zone != '+' && zone != '-') return {};
    const hours ahead{digits(2)};
    mark(":");
    const minutes more{digits(2)};
    sound_ = sound_ && ahead < hours{24} && more < minutes{60};
    return (ahead + more) * (zone == '-' ? -1 : 1);
  }
  [[nodiscard]] bool ended() const noexcept { return sound_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool sound_ = true;
};

bool has(std::uint64_t bits, unsigned at) { return (bits >> at & 1U) != 0; }

}  // namespace

result<cron_schedule> cron_schedule::parse(std::string_view text) {
  if (text.size() > text_bytes_max) return fail(errc::invalid_argument, "a schedule has at most 256 bytes");
  const auto whole = text;
  for (const auto& known : nicknames) {
    if (text == known.name) text = known.fields;
  }
  auto fields = split(text, ' ');
  std::erase(fields, std::string_view{});
  if (fields.size() != fields_count) {
    return fail(errc::invalid_argument, "'" + std::string{whole.substr(0, 80)} +
                                            "' is no schedule: give five fields (minute, hour, day of the month, "
                                            "month, day of the week), or @hourly, @daily, @weekly, @monthly, @yearly");
  }
  std::array<std::uint64_t, fields_count> bits{};
  for (std::size_t i = 0; i < fields_count; ++i) {
    const auto read = read_field(kinds[i], fields[i]);
    if (!read) return fail(errc::invalid_argument, "field " + std::to_string(i + 1) + ": " + read.error().context);
    bits[i] = *read;
  }
  cron_schedule out;
  out.minutes_ = bits[0];
  out.hours_ = bits[1];
  out.days_ = bits[2];
  out.months_ = bits[3];
  out.weekdays_ = bits[4] | (has(bits[4], 7) ? 1U : 0U);
  out.any_day_ = fields[2].front() == '*';
  out.any_weekday_ = fields[4].front() == '*';
  constexpr sys_days somewhen{std::chrono::year{2000} / 1 / 1};
  if (!out.next_after(somewhen)) {
    return fail(errc::invalid_argument,
                "'" + std::string{whole.substr(0, 80)} + "' never comes: no month has such a day");
  }
  return out;
}

bool cron_schedule::day_matches(sys_days day) const {
  const std::chrono::year_month_day date{day};
  if (!has(months_, static_cast<unsigned>(date.month()))) return false;
  const bool by_day = has(days_, static_cast<unsigned>(date.day()));
  const bool by_weekday = has(weekdays_, std::chrono::weekday{day}.c_encoding());
  if (any_day_ || any_weekday_) return by_day && by_weekday;
  return by_day || by_weekday;
}

std::optional<wall_time> cron_schedule::next_after(wall_time moment) const {
  constexpr sys_days beyond{std::chrono::year{2200} / 1 / 1};
  const auto first = floor<minutes>(moment) + minutes{1};
  const auto first_day = floor<days>(first);
  for (auto day = first_day; day < beyond && day - first_day <= search_max; day += days{1}) {
    if (!day_matches(day)) continue;
    for (unsigned hour = 0; hour < 24; ++hour) {
      if (!has(hours_, hour) || day + hours{hour + 1} <= first) continue;
      for (unsigned minute = 0; minute < 60; ++minute) {
        const auto at = day + hours{hour} + minutes{minute};
        if (has(minutes_, minute) && at >= first) return at;
      }
    }
  }
  return {};
}

// ---- dates ----

std::string to_rfc3339(wall_time at) {
  const auto day = floor<days>(at);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss time{floor<std::chrono::milliseconds>(at - day)};
  std::string out;
  const auto put = [&](std::int64_t number, std::size_t width, std::string_view then) {
    const auto text = std::to_string(number);
    out.append(width > text.size() ? width - text.size() : 0, '0').append(text).append(then);
  };
  put(static_cast<int>(date.year()), 4, "-");
  put(static_cast<unsigned>(date.month()), 2, "-");
  put(static_cast<unsigned>(date.day()), 2, "T");
  put(time.hours().count(), 2, ":");
  put(time.minutes().count(), 2, ":");
  const auto fraction = time.subseconds().count();
  put(time.seconds().count(), 2, fraction == 0 ? "Z" : ".");
  if (fraction != 0) put(fraction, 3, "Z");
  return out;
}

result<wall_time> parse_rfc3339(std::string_view text) {
  date_reader in(text);
  const std::chrono::year year{in.digits(4)};
  in.mark("-");
  const std::chrono::month month{static_cast<unsigned>(in.digits(2))};
  in.mark("-");
  const std::chrono::year_month_day date{year, month, std::chrono::day{static_cast<unsigned>(in.digits(2))}};
  in.mark("Tt ");
  const hours hour{in.digits(2)};
  in.mark(":");
  const minutes minute{in.digits(2)};
  in.mark(":");
  const std::chrono::seconds second{in.digits(2)};
  const auto fraction = in.fraction();
  const auto offset = in.offset();
  const bool sound = in.ended() && date.ok() && year >= std::chrono::year{1970} && year < std::chrono::year{2200} &&
                     hour < hours{24} && minute < minutes{60} && second <= std::chrono::seconds{60};
  if (sound) return wall_time{sys_days{date}} + hour + minute + second + fraction - offset;
  return fail(errc::invalid_argument,
              "'" + std::string{text.substr(0, 80)} + "' is no date; give RFC 3339, as in 2026-01-31T09:00:00Z");
}

}  // namespace orrery::process
