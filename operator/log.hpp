#pragma once
// Structured logs: one JSON object per line on stderr.
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace orrery::operator_log {

enum class level { debug, info, warn, error };
using fields = std::initializer_list<std::pair<std::string_view, std::string_view>>;

/// Lines below this are dropped. Accepts debug, info, warn and error; false for anything else.
bool set_level(std::string_view name);
void write(level how, std::string_view message, fields more = {});

inline void debug(std::string_view message, fields more = {}) { write(level::debug, message, more); }
inline void info(std::string_view message, fields more = {}) { write(level::info, message, more); }
inline void warn(std::string_view message, fields more = {}) { write(level::warn, message, more); }
inline void error(std::string_view message, fields more = {}) { write(level::error, message, more); }

}  // namespace orrery::operator_log
