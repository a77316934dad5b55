#pragma once
// Structured logs: one JSON object per line on stderr, {"time", "level", "message", ...}. Thread-safe.
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

namespace orrery::shell {

enum class log_level : std::uint8_t { debug, info, warn, error };

namespace log {

struct field {
  std::string_view key;
  std::variant<std::string_view, std::int64_t, double, bool> content;
  /// Of a string: already JSON, put in as it is.
  bool raw_json = false;
};

/// What is put into every line from now on, as the names of the node and its mesh. Called before threads are made.
void set_common(std::initializer_list<field> fields);
/// Lines below this are dropped; at the start: info.
void set_level(log_level least);
/// By its name: debug, info, warn or error; false, and nothing changes, for any other.
[[nodiscard]] bool set_level(std::string_view name);
[[nodiscard]] bool enabled(log_level at);
void write(log_level at, std::string_view message, std::initializer_list<field> fields = {});

inline void debug(std::string_view message, std::initializer_list<field> fields = {}) {
  write(log_level::debug, message, fields);
}
inline void info(std::string_view message, std::initializer_list<field> fields = {}) {
  write(log_level::info, message, fields);
}
inline void warn(std::string_view message, std::initializer_list<field> fields = {}) {
  write(log_level::warn, message, fields);
}
inline void error(std::string_view message, std::initializer_list<field> fields = {}) {
  write(log_level::error, message, fields);
}

/// `text` as a JSON string with its quotes; what is not UTF-8 becomes U+FFFD.
[[nodiscard]] std::string quoted(std::string_view text);

/// The wall clock as RFC 3339 with microseconds, UTC.
[[nodiscard]] std::string now_rfc3339();

}  // namespace log
}  // namespace orrery::shell
