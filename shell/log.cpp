#include "shell/log.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <ctime>

namespace orrery::shell::log {

namespace {

struct state {
  std::shared_ptr<spdlog::logger> out;
  std::string common;  // ,"node":"...","mesh":"..."
  state() : out(std::make_shared<spdlog::logger>("orrery", std::make_shared<spdlog::sinks::stderr_sink_mt>())) {
    out->set_pattern("%v");
    out->flush_on(spdlog::level::trace);
    out->set_level(spdlog::level::info);
  }
};

state& shared() {
  static state only;
  return only;
}

spdlog::level::level_enum of(log_level at) {
  switch (at) {
    case log_level::debug:
      return spdlog::level::debug;
    case log_level::info:
      return spdlog::level::info;
    case log_level::warn:
      return spdlog::level::warn;
    case log_level::error:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

std::string_view name_of(log_level at) {
  switch (at) {
    case log_level::debug:
      return "debug";
    case log_level::info:
      return "info";
    case log_level::warn:
      return "warn";
    case log_level::error:
      return "error";
  }
  return "info";
}

void append(std::string& line, const field& one) {
  line += fmt::format(R"(,"{}":)", one.key);
  if (const auto* text = std::get_if<std::string_view>(&one.content)) {
    line += one.raw_json ? std::string(*text) : quoted(*text);
  } else if (const auto* number = std::get_if<std::int64_t>(&one.content)) {
    line += fmt::format("{}", *number);
  } else if (const auto* real = std::get_if<double>(&one.content)) {
    line += fmt::format("{:.6g}", *real);
  } else {
    line += std::get<bool>(one.content) ? "true" : "false";
  }
}

}  // namespace

std::string quoted(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string now_rfc3339() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
  const std::time_t seconds = static_cast<std::time_t>(micros / 1'000'000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, micros % 1'000'000);
}

void set_common(std::initializer_list<field> fields) {
  std::string text;
  for (const auto& each : fields)
    append(text, each);
  shared().common = std::move(text);
}

void set_level(log_level least) { shared().out->set_level(of(least)); }

bool set_level(std::string_view name) {
  for (const auto at : {log_level::debug, log_level::info, log_level::warn, log_level::error}) {
    if (name != name_of(at)) continue;
    set_level(at);
    return true;
  }
  return false;
}

bool enabled(log_level at) { return shared().out->should_log(of(at)); }

void write(log_level at, std::string_view message, std::initializer_list<field> fields) {
  if (!enabled(at)) return;
  auto line = fmt::format(R"({{"time":"{}","level":"{}","message":{}{})", now_rfc3339(), name_of(at), quoted(message),
                          shared().common);
  for (const auto& each : fields)
    append(line, each);
  line += '}';
  shared().out->log(of(at), fmt::string_view(line));
}

}  // namespace orrery::shell::log
