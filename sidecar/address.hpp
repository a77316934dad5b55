#pragma once
#include "mesh/base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace orrery::sidecar {

struct ip_port {
  std::string ip;
  std::uint16_t port = 0;
};

/// "127.0.0.1:3600" or "[::1]:3600". Errors: invalid_argument.
[[nodiscard]] result<ip_port> parse_address(std::string_view text);
/// The inverse: brackets around an IPv6 address.
[[nodiscard]] std::string join_address(std::string_view ip, std::uint16_t port);

}  // namespace orrery::sidecar
