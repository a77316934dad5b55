#pragma once
#include "mesh/base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace orrery {

/// Where something listens: an address in numbers, never a name.
struct ip_endpoint {
  std::string ip;  ///< IPv4 or IPv6, without brackets
  std::uint16_t port = 0;
  friend bool operator==(const ip_endpoint&, const ip_endpoint&) = default;
};

/// "127.0.0.1:3600" or "[::1]:3600"; port 0 is accepted: it stands for a free one. Errors: invalid_argument, with what
/// is accepted.
[[nodiscard]] result<ip_endpoint> parse_endpoint(std::string_view text);
/// The inverse: brackets around an IPv6 address.
[[nodiscard]] std::string to_string(const ip_endpoint& at);
[[nodiscard]] std::string join_endpoint(std::string_view ip, std::uint16_t port);

}  // namespace orrery
