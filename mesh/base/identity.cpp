#include "mesh/base/identity.hpp"

#include <algorithm>

namespace orrery {
namespace {

constexpr std::string_view scheme = "orrery://";
constexpr std::size_t name_bytes_max = 253;

bool is_dns_name(std::string_view text) {
  return !text.empty() && text.size() <= name_bytes_max && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
  });
}

}  // namespace

std::string to_uri(const mesh_identity& identity) {
  return std::string{scheme} + identity.name_space + "/" + identity.mesh + "/" + identity.pod;
}

result<mesh_identity> parse_identity(std::string_view uri) {
  const auto refuse = [&] {
    return fail(errc::invalid_argument,
                "'" + std::string{uri.substr(0, 300)} + "' is not an identity: expected orrery://NAMESPACE/MESH/POD");
  };
  if (!uri.starts_with(scheme)) return refuse();
  const std::string_view path = uri.substr(scheme.size());
  const auto first = path.find('/');
  const auto second = first == std::string_view::npos ? first : path.find('/', first + 1);
  if (second == std::string_view::npos) return refuse();
  const auto name_space = path.substr(0, first);
  const auto mesh = path.substr(first + 1, second - first - 1);
  const auto pod = path.substr(second + 1);
  if (!is_dns_name(name_space) || !is_dns_name(mesh) || !is_dns_name(pod)) return refuse();
  return mesh_identity{std::string{name_space}, std::string{mesh}, std::string{pod}};
}

}  // namespace orrery
