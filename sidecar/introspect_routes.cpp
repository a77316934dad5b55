#include "sidecar/introspect_routes.hpp"

#include "mesh/process/census.hpp"
#include "mesh/process/crashes.hpp"
#include "sidecar/query.hpp"

#include <fmt/format.h>

namespace orrery::sidecar {

namespace {

constexpr std::size_t version_bytes_max = 512;
constexpr std::size_t trace_limit_default = 1000;
constexpr std::size_t trace_limit_max = 100'000;
constexpr std::size_t trace_seconds_default = 60;
constexpr std::size_t trace_seconds_max = 3600;
constexpr std::size_t tree_children_max = 1000;

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

route trace_route(const shell::http_request& request, const process_name& name, std::string_view query) {
  if (request.method != "GET") return refuse_method(request.method, "GET");
  const auto read = read_query(query, {"limit", "seconds"});
  if (!read) return refuse(read.error());
  const auto limit = read_number(*read, "limit", trace_limit_default, 1, trace_limit_max);
  if (!limit) return refuse(limit.error());
  const auto seconds = read_number(*read, "seconds", trace_seconds_default, 1, trace_seconds_max);
  if (!seconds) return refuse(seconds.error());
  return node_route{node::trace_op{name, *limit, std::chrono::seconds{*seconds}}};
}

route crashes_route(const query_parameters& read) {
  node::crashes_op op;
  auto only = read_class(read);
  if (!only) return refuse(only.error());
  op.only = *std::move(only);
  if (const auto key = read.find("key"); key != read.end()) {
    if (!op.only) return refuse("key needs class as well: a key is of one class");
    auto name = make_process_name(op.only->value, key->second);
    if (!name) return refuse(name.error());
    op.key = std::move(name->key);
  }
  const auto limit = read_number(read, "limit", op.limit, 1, process::crashes_kept_max);
  if (!limit) return refuse(limit.error());
  op.limit = *limit;
  return node_route{std::move(op)};
}

route top_route(const query_parameters& read) {
  node::top_op op;
  if (const auto by = read.find("by"); by != read.end()) {
    const auto known = process::measure_from(by->second);
    if (!known) return refuse(fmt::format("by={} must be mailbox, age, memory, reductions or messages", by->second));
    op.by = *known;
  }
  const auto limit = read_number(read, "limit", op.limit, 1, process::top_max);
  if (!limit) return refuse(limit.error());
  op.limit = *limit;
  return node_route{op};
}

route tree_route(const query_parameters& read) {
  node::tree_op op;
  auto only = read_class(read);
  if (!only) return refuse(only.error());
  op.only = *std::move(only);
  const auto children = read_number(read, "children", op.children, 0, tree_children_max);
  if (!children) return refuse(children.error());
  op.children = *children;
  return node_route{std::move(op)};
}

}  // namespace

std::optional<route> introspect_mesh_route(const shell::http_request& request, std::string_view segment,
                                           std::string_view query) {
  const bool crashes = segment == "crashes";
  const bool top = segment == "top";
  if (!crashes && !top && segment != "tree") return std::nullopt;
  if (request.method != "GET") return refuse_method(request.method, "GET");
  const auto read = crashes ? read_query(query, {"class", "key", "limit", "node"})
                    : top   ? read_query(query, {"by", "limit", "node"})
                            : read_query(query, {"class", "children", "node"});
  if (!read) return refuse(read.error());
  const auto local = is_local(*read);
  if (!local) return refuse(local.error());
  auto found = crashes ? crashes_route(*read) : top ? top_route(*read) : tree_route(*read);
  if (auto* known = std::get_if<node_route>(&found)) {
    std::visit(
        [&](auto& op) {
          if constexpr (requires { op.local; }) op.local = *local;
        },
        known->asked);
  }
  return found;
}

std::optional<route> introspect_route(const shell::http_request& request, const process_name& name,
                                      std::string_view segment, std::string_view query) {
  const auto post = [&](node::operation asked) -> route {
    if (request.method != "POST") return refuse_method(request.method, "POST");
    return node_route{std::move(asked)};
  };
  if (segment == "state") return state_route(request, name);
  if (segment == "suspend") return post(node::suspend_op{name});
  if (segment == "resume") return post(node::resume_op{name});
  if (segment == "trace") return trace_route(request, name, query);
  return std::nullopt;
}

}  // namespace orrery::sidecar
