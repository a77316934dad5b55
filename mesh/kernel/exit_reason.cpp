#include "mesh/kernel/exit_reason.hpp"

#include <string_view>

namespace orrery::kernel {
namespace {

std::string_view kind_text(exit_reason::kind why) noexcept {
  switch (why) {
    case exit_reason::kind::normal:
      return "normal";
    case exit_reason::kind::shutdown:
      return "shutdown";
    case exit_reason::kind::killed:
      return "killed";
    case exit_reason::kind::moved:
      return "moved";
    case exit_reason::kind::error:
      return "error";
    case exit_reason::kind::limit:
      return "limit";
    case exit_reason::kind::kill:
      return "kill";
    case exit_reason::kind::noproc:
      return "noproc";
    case exit_reason::kind::system_limit:
      return "system_limit";
    case exit_reason::kind::noconnection:
      return "noconnection";
  }
  return "unknown";
}

}  // namespace

std::string to_string(const exit_reason& reason) {
  std::string text{kind_text(reason.why)};
  if (!reason.detail.empty()) text += ": " + reason.detail;
  return text;
}

bool is_crash(const exit_reason& reason) noexcept {
  return reason.why != exit_reason::kind::normal && reason.why != exit_reason::kind::shutdown &&
         reason.why != exit_reason::kind::moved;
}

}  // namespace orrery::kernel
