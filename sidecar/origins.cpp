#include "sidecar/origins.hpp"

#include "mesh/base/endpoint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace orrery::sidecar {

namespace {

constexpr std::size_t shown_bytes_max = 120;
constexpr std::size_t origin_bytes_max = 300;

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

/// Of "shop.example:80", "[::1]:80" or without a port; no brackets.
std::string_view without_port(std::string_view host) {
  const auto end = host.find(']');
  if (host.starts_with('[') && end != std::string_view::npos) {
    const auto rest = host.substr(end + 1);
    return rest.empty() || rest.starts_with(':') ? host.substr(1, end - 1) : host;
  }
  return host.substr(0, host.find(':'));
}

bool is_address(std::string_view name) { return parse_endpoint(join_endpoint(name, 0)).has_value(); }

bool is_host_character(unsigned char c) {
  return std::isalnum(c) != 0 || std::string_view("-._:[]").find(static_cast<char>(c)) != std::string_view::npos;
}

/// The host and port of "scheme://host:port".
result<std::string_view> host_of(std::string_view origin) {
  const auto mark = origin.find("://");
  const auto host = mark == std::string_view::npos ? std::string_view{} : origin.substr(mark + 3);
  const auto scheme = origin.substr(0, std::min(mark, origin.size()));
  const bool web = scheme == "http" || scheme == "https";
  if (!web || host.empty() || origin.size() > origin_bytes_max ||
      !std::all_of(host.begin(), host.end(), is_host_character) || without_port(host).empty()) {
    return fail(errc::invalid_argument,
                fmt::format("'{}' is no origin; accepted are http://HOST, https://HOST, with :PORT where it is not the "
                            "scheme's own, and no path",
                            origin.substr(0, shown_bytes_max)));
  }
  return host;
}

}  // namespace

result<origins> origins::parse(const std::vector<std::string>& allowed) {
  if (allowed.size() > most) {
    return fail(errc::invalid_argument, fmt::format("{} origins; at most {} are accepted", allowed.size(), most));
  }
  origins out;
  for (const auto& each : allowed) {
    const auto origin = lower(each);
    const auto host = host_of(origin);
    if (!host) return fail(host.error());
    out.hosts_.emplace(without_port(*host));
    out.origins_.insert(origin);
  }
  return out;
}

result<void> origins::judge(std::string_view host, std::string_view origin) const {
  const auto name = lower(without_port(host));
  if (!host.empty() && name != "localhost" && !is_address(name) && !hosts_.contains(name)) {
    return fail(errc::forbidden,
                fmt::format("header Host: '{}' is a name that this sidecar does not go by; accepted are its address, "
                            "localhost, and the hosts of the allowed origins (--sdk-allow-origin)",
                            host.substr(0, shown_bytes_max)),
                took_effect::not_executed);
  }
  if (!origin.empty() && !origins_.contains(lower(origin))) {
    return fail(errc::forbidden,
                fmt::format("header Origin: pages of '{}' may not speak to this sidecar; {} (--sdk-allow-origin)",
                            origin.substr(0, shown_bytes_max),
                            origins_.empty() ? "no origin is allowed" : "it is none of the allowed origins"),
                took_effect::not_executed);
  }
  return {};
}

}  // namespace orrery::sidecar
