#pragma once
// Which pages of a browser may speak to the sidecar. A browser lets every page send requests to localhost, and open
// WebSockets there; and a name that a page's owner points at 127.0.0.1 makes the sidecar a part of that page's own
// site. Both show in the request: by its Origin, and by its Host.
#include "mesh/base/result.hpp"

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::sidecar {

class origins {
 public:
  static constexpr std::size_t most = 64;

  /// No page may.
  origins() = default;
  /// Each as a browser writes it: "https://shop.example", "http://localhost:5173". Errors: invalid_argument.
  [[nodiscard]] static result<origins> parse(const std::vector<std::string>& allowed);

  /// The headers of a request, empty where it has none. Host must be an address in numbers, localhost, or of an origin
  /// that is allowed; Origin must be allowed. Errors: forbidden, with what would be accepted.
  [[nodiscard]] result<void> judge(std::string_view host, std::string_view origin) const;

 private:
  std::set<std::string, std::less<>> origins_;
  std::set<std::string, std::less<>> hosts_;  ///< theirs, without ports
};

}  // namespace orrery::sidecar
