#include "kube/server_address.hpp"

#include <algorithm>

namespace orrery::kube {

result<server_address> parse_server(std::string_view server) {
  const auto wrong = [server] {
    return fail(errc::invalid_argument,
                "server '" + std::string{server} + "': https://HOST[:PORT] or http://HOST[:PORT] would be accepted");
  };
  server_address address;
  auto rest = server;
  if (rest.starts_with("https://")) {
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
    address.tls = false;
  } else {
    return wrong();
  }
  const auto slash = std::min(rest.find('/'), rest.size());
  address.prefix = rest.substr(slash);
  while (address.prefix.ends_with('/')) {
    address.prefix.pop_back();
  }
  auto authority = rest.substr(0, slash);
  std::string_view port;
  if (authority.starts_with('[')) {
    const auto close = authority.find(']');
    if (close == std::string_view::npos) return wrong();
    address.host = authority.substr(1, close - 1);
    port = authority.substr(close + 1);
  } else {
    const auto colon = std::min(authority.find(':'), authority.size());
    address.host = authority.substr(0, colon);
    port = authority.substr(colon);
  }
  if (!port.empty()) {
    if (port.front() != ':' || port.size() < 2 || port.size() > 6) return wrong();
    port.remove_prefix(1);
    if (!std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; })) return wrong();
  }
  address.port = port.empty() ? (address.tls ? "443" : "80") : std::string{port};
  if (address.host.empty()) return wrong();
  return address;
}

}  // namespace orrery::kube
