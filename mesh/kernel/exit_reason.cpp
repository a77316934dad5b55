#include "mesh/kernel/exit_reason.hpp"

namespace orrery::kernel {

std::string_view to_string(exit_reason::kind why) noexcept {
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

exit_reason::kind exit_kind_from(std::string_view name) noexcept {
  using kind = exit_reason::kind;
  for (const auto each : {kind::normal, kind::shutdown, kind::killed, kind::moved, kind::error, kind::limit, kind::kill,
                          kind::noproc, kind::system_limit, kind::noconnection}) {
    if (to_string(each) == name) return each;
  }
  return kind::error;
}

std::string to_string(const exit_reason& reason) {
  std::string text{to_string(reason.why)};
  if (!reason.detail.empty()) text += ": " + reason.detail;
  return text;
}

bool is_crash(const exit_reason& reason) noexcept {
  return reason.why != exit_reason::kind::normal && reason.why != exit_reason::kind::shutdown &&
         reason.why != exit_reason::kind::moved;
}

}  // namespace orrery::kernel
