#include "mesh/base/endpoint.hpp"

#include <arpa/inet.h>  // inet_pton alone: a pure function of its text
#include <charconv>

namespace orrery {

result<ip_endpoint> parse_endpoint(std::string_view text) {
  const auto refuse = [&] {
    return fail(errc::invalid_argument,
                "'" + std::string(text) + "' is not an address; accepted are IP:PORT, as 127.0.0.1:3600 or [::1]:3600");
  };
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return refuse();
  auto ip = text.substr(0, colon);
  const auto port = text.substr(colon + 1);
  const bool six = ip.size() > 2 && ip.front() == '[' && ip.back() == ']';
  if (six) ip = ip.substr(1, ip.size() - 2);
  ip_endpoint out{std::string(ip), 0};
  const auto [end, ec] = std::from_chars(port.data(), port.data() + port.size(), out.port);
  if (ec != std::errc{} || end != port.data() + port.size()) return refuse();
  in6_addr parsed{};
  if (out.ip.find('\0') != std::string::npos) return refuse();  // where inet_pton would take it to end
  if (inet_pton(six ? AF_INET6 : AF_INET, out.ip.c_str(), &parsed) != 1) return refuse();
  return out;
}

std::string join_endpoint(std::string_view ip, std::uint16_t port) {
  const bool six = ip.find(':') != std::string_view::npos;
  return (six ? "[" : "") + std::string(ip) + (six ? "]:" : ":") + std::to_string(port);
}

std::string to_string(const ip_endpoint& at) { return join_endpoint(at.ip, at.port); }

}  // namespace orrery
