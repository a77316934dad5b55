#include "sidecar/group_routes.hpp"

#include "mesh/process/directory.hpp"
#include "mesh/wire/process_messages.hpp"
#include "sidecar/config.hpp"
#include "sidecar/query.hpp"

#include <fmt/format.h>

namespace orrery::sidecar {

namespace {

/// GET of what begins with a prefix: groups, keys.
template <class Operation>
route prefix_route(const shell::http_request& request, std::string_view query) {
  if (request.method != "GET") return refuse_method(request.method, "GET");
  const auto read = read_query(query, {"prefix", "limit"});
  if (!read) return refuse(read.error());
  Operation op;
  if (const auto found = read->find("prefix"); found != read->end()) op.prefix = found->second;
  const auto limit = read_number(*read, "limit", op.limit, 1, list_limit_max);
  if (!limit) return refuse(limit.error());
  op.limit = *limit;
  return node_route{std::move(op)};
}

result<std::string> read_part(std::string_view segment, const char* what, std::size_t bytes_max) {
  auto text = percent_decode(segment);
  if (text && !text->empty() && text->size() <= bytes_max) return text;
  if (!text) return fail(text.error());
  return fail(errc::invalid_argument, fmt::format("{} must have 1 to {} bytes, not {}", what, bytes_max, text->size()));
}

/// /v1/groups/{group}...
route group_route(const shell::http_request& request, const std::vector<std::string_view>& segments) {
  auto group = read_part(segments[2], "a group's name", process::group_name_bytes_max);
  if (!group) return refuse(group.error());
  if (segments.size() == 3) {
    if (request.method != "GET") return refuse_method(request.method, "GET");
    return node_route{node::group_op{*std::move(group)}};
  }
  if (segments.size() == 5 && segments[3] == "publish") {
    if (request.method != "POST") return refuse_method(request.method, "POST");
    auto word = read_part(segments[4], "a word", wire::word_bytes_max);
    if (!word) return refuse(word.error());
    auto payload = read_json(request.body);
    if (!payload) return refuse(payload.error());
    return node_route{node::publish_op{*std::move(group), *std::move(word), *std::move(payload)}, 202};
  }
  return refuse(error{errc::not_found,
                      "no such path; after /v1/groups/{group} there may be publish/{word} (slashes in a group's name "
                      "are written %2F)",
                      took_effect::not_executed});
}

}  // namespace

std::optional<route> find_group_route(const shell::http_request& request, const std::vector<std::string_view>& segments,
                                      std::string_view query) {
  if (segments.size() == 2 && segments[1] == "groups") return prefix_route<node::list_groups_op>(request, query);
  if (segments.size() == 2 && segments[1] == "registry") return prefix_route<node::list_registry_op>(request, query);
  if (segments.size() < 3 || segments[1] != "groups") return std::nullopt;
  if (!query.empty()) return refuse("no query is accepted here");
  return group_route(request, segments);
}

}  // namespace orrery::sidecar
