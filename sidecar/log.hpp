#pragma once
// Structured logs: one JSON object per line on stderr. Thread-safe.
#include "sidecar/config.hpp"

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

namespace orrery::sidecar::log {

struct field {
  std::string_view key;
  std::variant<std::string_view, std::int64_t, double, bool> content;
  /// Of a string: already JSON, put in as it is.
  bool raw_json = false;
};

/// Starts logging; `common` is put into every line (the node's and the mesh's name). Until then lines have no names.
void start(std::string_view node, std::string_view mesh);
void set_level(log_level least);
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

}  // namespace orrery::sidecar::log
