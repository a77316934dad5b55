#include "mesh/base/result.hpp"

#include <array>

namespace orrery {
namespace {

constexpr std::array<std::string_view, 21> code_names = {"invalid_argument",
                                                         "not_found",
                                                         "already_exists",
                                                         "conflict",
                                                         "too_large",
                                                         "overloaded",
                                                         "deadline_exceeded",
                                                         "unavailable",
                                                         "draining",
                                                         "isolated",
                                                         "process_exited",
                                                         "handler_failed",
                                                         "limit_exceeded",
                                                         "unauthenticated",
                                                         "forbidden",
                                                         "protocol",
                                                         "cancelled",
                                                         "gone",
                                                         "io",
                                                         "internal",
                                                         "given_up"};
static_assert(code_names.size() == static_cast<std::size_t>(errc::given_up) + 1);

constexpr std::array<std::string_view, 3> effect_names = {"not_executed", "executed", "unknown"};

}  // namespace

std::string_view to_string(errc code) noexcept { return code_names.at(static_cast<std::size_t>(code)); }
std::string_view to_string(took_effect effect) noexcept { return effect_names.at(static_cast<std::size_t>(effect)); }

errc errc_from(std::string_view name) noexcept {
  for (std::size_t i = 0; i < code_names.size(); ++i) {
    if (code_names.at(i) == name) return static_cast<errc>(i);
  }
  return errc::internal;
}

took_effect took_effect_from(std::string_view name) noexcept {
  for (std::size_t i = 0; i < effect_names.size(); ++i) {
    if (effect_names.at(i) == name) return static_cast<took_effect>(i);
  }
  return took_effect::unknown;
}

std::string to_string(const error& failure) {
  std::string text{to_string(failure.code)};
  if (!failure.context.empty()) text.append(": ").append(failure.context);
  return text;
}

}  // namespace orrery
