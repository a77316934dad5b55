#include "sidecar/address.hpp"

#include <fmt/format.h>

#include <arpa/inet.h>
#include <charconv>

namespace orrery::sidecar {

result<ip_port> parse_address(std::string_view text) {
  const auto refuse = [&] {
    return fail(errc::invalid_argument,
                fmt::format("'{}' is not an address; accepted are IP:PORT, as 127.0.0.1:3600 or [::1]:3600", text));
  };
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return refuse();
  auto ip = text.substr(0, colon);
  const auto port = text.substr(colon + 1);
  const bool six = ip.size() > 2 && ip.front() == '[' && ip.back() == ']';
  if (six) ip = ip.substr(1, ip.size() - 2);
  ip_port out{std::string(ip), 0};
  const auto [end, ec] = std::from_chars(port.data(), port.data() + port.size(), out.port);
  if (ec != std::errc{} || end != port.data() + port.size() || port.empty()) return refuse();
  in6_addr parsed{};
  if (inet_pton(six ? AF_INET6 : AF_INET, out.ip.c_str(), &parsed) != 1) return refuse();
  return out;
}

std::string join_address(std::string_view ip, std::uint16_t port) {
  return ip.find(':') == std::string_view::npos ? fmt::format("{}:{}", ip, port) : fmt::format("[{}]:{}", ip, port);
}

}  // namespace orrery::sidecar
