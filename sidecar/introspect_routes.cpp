#include "sidecar/introspect_routes.hpp"

#include "sidecar/query.hpp"

#include <fmt/format.h>

namespace orrery::sidecar {

namespace {

constexpr std::size_t version_bytes_max = 512;

/// The version in an If-Match: one entity tag, or `*` and none for any.
result<std::string> read_version(std::string_view header) {
  if (header.empty() || header == "*") return std::string();
  const bool quoted = header.size() > 2 && header.front() == '"' && header.back() == '"';
  const auto version = quoted ? header.substr(1, header.size() - 2) : std::string_view();
  if (!quoted || version.find('"') != std::string_view::npos || version.size() > version_bytes_max) {
    return fail(errc::invalid_argument,
                fmt::format("header If-Match: '{}' must be the ETag that the state was read with, in its quotes",
                            header.substr(0, 80)));
  }
  return std::string(version);
}

route state_route(const shell::http_request& request, const process_name& name) {
  if (request.method == "GET") return node_route{node::state_op{name}};
  if (request.method != "PUT") return refuse_method(request.method, "GET, PUT");
  if (request.body.find_first_not_of(" \t\r\n") == std::string_view::npos) {
    return refuse("the body must be the new state as JSON; it is empty");
  }
  auto state = read_json(request.body);
  if (!state) return refuse(state.error());
  auto version = read_version(request.if_match);
  if (!version) return refuse(version.error());
  return node_route{node::set_state_op{name, *std::move(state), *std::move(version)}};
}

}  // namespace

std::optional<route> introspect_route(const shell::http_request& request, const process_name& name,
                                      std::string_view segment, std::string_view query) {
  static_cast<void>(query);
  const auto post = [&](node::operation asked) -> route {
    if (request.method != "POST") return refuse_method(request.method, "POST");
    return node_route{std::move(asked)};
  };
  if (segment == "state") return state_route(request, name);
  if (segment == "suspend") return post(node::suspend_op{name});
  if (segment == "resume") return post(node::resume_op{name});
  return std::nullopt;
}

}  // namespace orrery::sidecar
