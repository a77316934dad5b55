#include "sidecar/routes.hpp"

#include "mesh/base/duration_text.hpp"
#include "mesh/base/ids.hpp"
#include "mesh/wire/trace_context.hpp"
#include "sidecar/group_routes.hpp"
#include "sidecar/introspect_routes.hpp"
#include "sidecar/query.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <vector>

namespace orrery::sidecar {

namespace {

using namespace std::chrono_literals;

constexpr std::string_view paths =
    "/v1/processes, /v1/processes/{class}/{key}, .../call/{method}, .../cast/{method}, .../start, .../kill, "
    ".../release, "
    ".../state, .../suspend, .../resume, .../trace, /v1/nodes, /v1/classes, /v1/tree, /v1/top, /v1/crashes, "
    "/v1/groups, /v1/groups/{group}, .../publish/{word}, /v1/registry, /v1/events, /v1/sdk, "
    "/v1/openapi.yaml";

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

result<std::optional<duration>> read_timeout(std::string_view header) {
  if (header.empty()) return std::nullopt;
  const auto parsed = parse_duration(header);
  if (!parsed) return fail(errc::invalid_argument, "header Orrery-Timeout: " + parsed.error().context);
  if (*parsed < 1ms || *parsed > 1h) {
    return fail(errc::invalid_argument, fmt::format("header Orrery-Timeout: '{}' must be from 1ms to 1h", header));
  }
  return *parsed;
}

result<std::string> read_method(std::string_view segment) {
  auto name = percent_decode(segment);
  if (!name) return fail(name.error());
  if (name->empty() || name->size() > method_bytes_max) {
    return fail(errc::invalid_argument,
                fmt::format("a method's name must have 1 to {} bytes, not {}", method_bytes_max, name->size()));
  }
  return name;
}

result<std::string> read_reason(std::string_view body) {
  auto parsed = read_json(body);
  if (!parsed) return fail(parsed.error());
  const auto document = parsed->document();
  if (document.is_null()) return std::string("killed by a client");
  const auto found = document.is_object() ? document.find("reason") : document.end();
  if (!document.is_object() || (found != document.end() && !found->is_string())) {
    return fail(errc::invalid_argument, R"(the body must be empty or {"reason": "text"})");
  }
  auto reason = found == document.end() ? std::string("killed by a client") : found->get<std::string>();
  if (reason.size() > 1024) return fail(errc::too_large, "the reason is over 1024 bytes");
  return reason;
}

route message_route(const shell::http_request& request, process_name name, bool is_call,
                    std::string_view method_segment) {
  if (request.method != "POST") return refuse_method(request.method, "POST");
  auto method = read_method(method_segment);
  if (!method) return refuse(method.error());
  auto argument = read_json(request.body);
  if (!argument) return refuse(argument.error());
  argument = with_trace(*argument, request.traceparent);
  if (!is_call) return node_route{node::cast_op{std::move(name), *std::move(method), *std::move(argument)}, 202};
  const auto timeout = read_timeout(request.orrery_timeout);
  if (!timeout) return refuse(timeout.error());
  return node_route{node::call_op{std::move(name), *std::move(method), *std::move(argument), *timeout}, 200};
}

/// /v1/processes/{class}/{key}...
route process_route(const shell::http_request& request, const std::vector<std::string_view>& segments,
                    std::string_view query) {
  const auto klass = percent_decode(segments[2]);
  if (!klass) return refuse(klass.error());
  const auto key = percent_decode(segments[3]);
  if (!key) return refuse(key.error());
  auto name = make_process_name(*klass, *key);
  if (!name) return refuse(name.error());
  if (segments.size() == 4) {
    if (request.method == "GET") return node_route{node::inspect_op{*std::move(name)}};
    if (request.method == "DELETE") return node_route{node::stop_op{*std::move(name)}};
    return refuse_method(request.method, "GET, DELETE");
  }
  if (segments.size() == 5 && segments[4] == "kill") {
    if (request.method != "POST") return refuse_method(request.method, "POST");
    auto reason = read_reason(request.body);
    if (!reason) return refuse(reason.error());
    return node_route{node::kill_op{*std::move(name), *std::move(reason)}};
  }
  if (segments.size() == 5 && segments[4] == "release") {
    if (request.method != "POST") return refuse_method(request.method, "POST");
    return node_route{node::release_op{*std::move(name)}};
  }
  if (segments.size() == 5 && segments[4] == "start") {
    if (request.method != "POST") return refuse_method(request.method, "POST");
    const auto timeout = read_timeout(request.orrery_timeout);
    if (!timeout) return refuse(timeout.error());
    return node_route{node::start_op{*std::move(name), *timeout}};
  }
  if (segments.size() == 5) {
    if (auto found = introspect_route(request, *name, segments[4], query)) return *std::move(found);
  }
  if (segments.size() == 6 && (segments[4] == "call" || segments[4] == "cast")) {
    return message_route(request, *std::move(name), segments[4] == "call", segments[5]);
  }
  return refuse(
      error{errc::not_found,
            "no such path; after /v1/processes/{class}/{key} there may be call/{method}, cast/{method}, start, kill, "
            "release, state, suspend, resume or trace (slashes in a key are written %2F)",
            took_effect::not_executed});
}

route list_route(const shell::http_request& request, std::string_view query) {
  const auto read = read_query(query, {"class", "limit", "node"});
  if (!read) return refuse(read.error());
  node::list_processes_op op;
  const auto local = is_local(*read);
  if (!local) return refuse(local.error());
  op.local = *local;
  auto only = read_class(*read);
  if (!only) return refuse(only.error());
  op.only = *std::move(only);
  const auto limit = read_number(*read, "limit", op.limit, 1, list_limit_max);
  if (!limit) return refuse(limit.error());
  op.limit = *limit;
  if (request.method != "GET") return refuse_method(request.method, "GET");
  return node_route{std::move(op)};
}

}  // namespace

result<std::string> percent_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? hex(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex(text[i + 2]) : -1;
    if (high < 0 || low < 0) {
      return fail(
          errc::invalid_argument,
          fmt::format("bad percent-encoding at byte {} of a path or query part: '%' must be followed by two hex digits",
                      i));
    }
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  if (!is_utf8(out)) return fail(errc::invalid_argument, "a path or query part is not UTF-8 after percent-decoding");
  return out;
}

route find_route(const shell::http_request& request) {
  const auto mark = request.target.find('?');
  const auto path = request.target.substr(0, mark);
  const auto query = mark == std::string_view::npos ? std::string_view{} : request.target.substr(mark + 1);
  if (!path.starts_with('/'))
    return refuse(error{errc::not_found, fmt::format("no such path; there are {}", paths), {}});
  auto segments = split(path.substr(1), '/');
  const auto only_get = [&](auto op, std::initializer_list<std::string_view> known) -> route {
    if (request.method != "GET") return refuse_method(request.method, "GET");
    const auto read = read_query(query, known);
    if (!read) return refuse(read.error());
    const auto local = is_local(*read);
    if (!local) return refuse(local.error());
    if constexpr (requires { op.local; }) op.local = *local;
    return node_route{std::move(op)};
  };
  if (segments.size() >= 2 && segments[0] == "v1") {
    const auto what = segments[1];
    if (auto found = find_group_route(request, segments, query)) return *std::move(found);
    if (what == "processes") {
      if (segments.size() == 2) return list_route(request, query);
      if (segments.size() >= 4) {
        if (!query.empty() && segments.back() != "trace") return refuse("no query is accepted here");
        return process_route(request, segments, query);
      }
    } else if (segments.size() == 2) {
      if (auto found = introspect_mesh_route(request, what, query)) return *std::move(found);
      if (what == "nodes") return only_get(node::list_nodes_op{}, {});
      if (what == "classes") return only_get(node::list_classes_op{}, {});
      if (what == "events") {
        if (request.method != "GET") return refuse_method(request.method, "GET");
        return events_route{};
      }
      if (what == "sdk") {
        if (request.method != "GET") return refuse_method(request.method, "GET");
        return websocket_route{};
      }
      if (what == "openapi.yaml") {
        if (request.method != "GET") return refuse_method(request.method, "GET");
        return description_route{};
      }
    }
  }
  return refuse(error{errc::not_found, fmt::format("no such path; there are {}", paths), {}});
}

}  // namespace orrery::sidecar
