#pragma once
// Reading documents that may have any shape. Include in .cpp files only.
#include "cli/format.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <optional>
#include <string>

namespace orrery::cli {

/// The field's text, or its JSON; "-" where there is none.
[[nodiscard]] inline std::string text_of(const nlohmann::json& object, const char* key) {
  if (!object.is_object()) return "-";
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return "-";
  return found->is_string() ? found->get<std::string>() : found->dump();
}

[[nodiscard]] inline std::optional<double> number_of(const nlohmann::json& object, const char* key) {
  if (!object.is_object()) return std::nullopt;
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number()) return std::nullopt;
  return found->get<double>();
}

[[nodiscard]] inline const nlohmann::json& list_of(const nlohmann::json& object, const char* key) {
  static const auto none = nlohmann::json::array();
  if (!object.is_object()) return none;
  const auto found = object.find(key);
  return found != object.end() && found->is_array() ? *found : none;
}

[[nodiscard]] inline const nlohmann::json& part_of(const nlohmann::json& object, const char* key) {
  static const auto none = nlohmann::json::object();
  if (!object.is_object()) return none;
  const auto found = object.find(key);
  return found != object.end() && found->is_object() ? *found : none;
}

[[nodiscard]] inline std::string time_or_dash(const nlohmann::json& object, const char* key,
                                              std::string (*show)(double)) {
  const auto found = number_of(object, key);
  return found ? show(*found) : "-";
}

/// "counter/a"
[[nodiscard]] inline std::string name_of(const nlohmann::json& process) {
  return text_of(process, "class") + "/" + text_of(process, "key");
}

/// "3 in 5s"
[[nodiscard]] inline std::string intensity_of(const nlohmann::json& supervision) {
  const auto period = number_of(supervision, "periodSeconds");
  return fmt::format("{} in {}", text_of(supervision, "intensity"),
                     period ? short_time(*period) : text_of(supervision, "period"));
}

/// "1 process"
[[nodiscard]] inline std::string count_of(const nlohmann::json& object, const char* key, const char* one,
                                          const char* many) {
  const auto text = text_of(object, key);
  return fmt::format("{} {}", text, text == "1" ? one : many);
}

/// Of nodes and processes.
[[nodiscard]] inline tone tone_of_state(const std::string& state) {
  if (state == "up" || state == "self" || state == "running") return tone::good;
  if (state == "down" || state == "given up") return tone::bad;
  return tone::warning;
}

}  // namespace orrery::cli
