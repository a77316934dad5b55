#include "kube/timestamp.hpp"

#include <array>
#include <cstdio>

namespace orrery::kube {
namespace {

using std::chrono::days;
using std::chrono::floor;
using std::chrono::microseconds;
using std::chrono::sys_days;

std::string format(wall_time when, bool micro) {
  const auto day = floor<days>(when);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss<microseconds> time{when - day};
  std::array<char, 48> text{};
  const int length = std::snprintf(
      text.data(), text.size(), micro ? "%04d-%02u-%02uT%02d:%02d:%02d.%06dZ" : "%04d-%02u-%02uT%02d:%02d:%02dZ",
      static_cast<int>(date.year()), static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
      static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
      static_cast<int>(time.seconds().count()), static_cast<int>(time.subseconds().count()));
  return {text.data(), static_cast<std::size_t>(length)};
}

// Takes exactly `count` digits off the front of `text`; -1 if they are not there.
int take_number(std::string_view& text, std::size_t count) {
  if (text.size() < count) return -1;
  int value = 0;
  for (const char c : text.substr(0, count)) {
    if (c < '0' || c > '9') return -1;
    value = value * 10 + (c - '0');
  }
  text.remove_prefix(count);
  return value;
}

bool take(std::string_view& text, char expected) {
  if (text.empty() || (text.front() != expected && text.front() != expected + ('a' - 'A'))) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

std::string to_time(wall_time when) { return format(when, false); }
std::string to_micro_time(wall_time when) { return format(when, true); }

std::optional<wall_time> parse_time(std::string_view text) {
  const int year = take_number(text, 4);
  if (year < 0 || !take(text, '-')) return std::nullopt;
  const int month = take_number(text, 2);
  if (month < 1 || !take(text, '-')) return std::nullopt;
  const int day = take_number(text, 2);
  if (day < 1 || !take(text, 'T')) return std::nullopt;
  const int hour = take_number(text, 2);
  if (hour < 0 || hour > 23 || !take(text, ':')) return std::nullopt;
  const int minute = take_number(text, 2);
  if (minute < 0 || minute > 59 || !take(text, ':')) return std::nullopt;
  const int second = take_number(text, 2);
  if (second < 0 || second > 60) return std::nullopt;

  int micro = 0;
  if (take(text, '.')) {
    int digits = 0;
    for (int digit = take_number(text, 1); digit >= 0; digit = take_number(text, 1)) {
      if (digits++ < 6) micro = micro * 10 + digit;
    }
    if (digits == 0) return std::nullopt;
    for (; digits < 6; ++digits) {
      micro *= 10;
    }
  }
  std::chrono::minutes offset{0};
  if (!take(text, 'Z')) {
    const bool east = take(text, '+');
    if (!east && !take(text, '-')) return std::nullopt;
    const int hours = take_number(text, 2);
    if (hours < 0 || !take(text, ':')) return std::nullopt;
    const int minutes = take_number(text, 2);
    if (minutes < 0) return std::nullopt;
    offset = std::chrono::minutes{(east ? 1 : -1) * (hours * 60 + minutes)};
  }
  const std::chrono::year_month_day date{std::chrono::year{year}, std::chrono::month{static_cast<unsigned>(month)},
                                         std::chrono::day{static_cast<unsigned>(day)}};
  if (!text.empty() || !date.ok()) return std::nullopt;
  return wall_time{sys_days{date}} + std::chrono::hours{hour} + std::chrono::minutes{minute} - offset +
         std::chrono::seconds{second} + microseconds{micro};
}

wall_time wall_now() { return floor<microseconds>(std::chrono::system_clock::now()); }

}  // namespace orrery::kube
