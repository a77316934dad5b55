#include "kube/local/api.hpp"

#include "kube/local/api_target.hpp"
#include "kube/local/discovery.hpp"
#include "kube/local/openapi_v2.hpp"
#include "kube/local/table.hpp"

#include <algorithm>
#include <thread>

namespace orrery::local {

std::string http_request::header(std::string_view name) const {
  const auto it = headers.find(name);
  return it == headers.end() ? "" : it->second;
}

std::string http_request::parameter(std::string_view name) const {
  const auto it = query.find(name);
  return it == query.end() ? "" : it->second;
}

bool http_request::flag(std::string_view name) const {
  const auto value = parameter(name);
  return value == "true" || value == "1";
}

http_response answer(int status, const json& body) {
  http_response out;
  out.status = status;
  out.body = body.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  return out;
}

http_response answer(const api_error& failure) {
  auto out = answer(failure.code, to_status(failure));
  if (failure.code == 429 || failure.code == 503) out.headers.emplace_back("Retry-After", "1");
  return out;
}

presentation presentation_of(const http_request& request) {
  // Clients list what they prefer first; a type that we know decides.
  for (const auto& type : split(request.header("accept"), ',')) {
    if (type.find("application/json") == std::string::npos && type.find("*/*") == std::string::npos) continue;
    if (type.find("as=Table") != std::string::npos) return presentation::table;
    if (type.find("as=PartialObjectMetadata") != std::string::npos) return presentation::partial;
    if (type.find("as=") == std::string::npos) return presentation::plain;
  }
  return presentation::plain;
}

http_response answer_object(const http_request& request, const resource_info& info, int status,
                            const object_ptr& object, wall_time now) {
  switch (presentation_of(request)) {
    case presentation::table: {
      const auto include =
          request.parameter("includeObject") == "Object" ? include_object::whole : include_object::metadata;
      return answer(status,
                    to_table(info, {object}, {{"resourceVersion", text_at(*object, {"metadata", "resourceVersion"})}},
                             include, now));
    }
    case presentation::partial:
      return answer(status, to_partial(*object));
    case presentation::plain:
      break;
  }
  return answer(status, *object);
}

reply<json> parse_body(const http_request& request) {
  const auto type = request.header("content-type");
  const bool yaml = type.find("yaml") != std::string::npos;
  if (!type.empty() && !yaml && type.find("json") == std::string::npos) {
    return refuse(415, "UnsupportedMediaType",
                  "the body of the request was in an unknown format - accepted media types include: application/json, "
                  "application/yaml");
  }
  auto body = json::parse(request.body, nullptr, false);
  if (!body.is_discarded()) return body;
  if (yaml) return parse_yaml(request.body);
  return bad_request("the body is not JSON (" + std::to_string(request.body.size()) + " bytes)");
}

api::api(registry& objects, token_issuer& tokens, faults& broken, options chosen)
    : registry_(objects), tokens_(tokens), faults_(broken), options_(std::move(chosen)) {}

std::optional<identity> api::who_is(const http_request& request) const {
  if (!request.certificate_user.empty()) {
    auto groups = request.certificate_groups;
    groups.emplace_back("system:authenticated");
    return identity{request.certificate_user, std::move(groups)};
  }
  const auto header = request.header("authorization");
  if (!header.starts_with("Bearer ")) return std::nullopt;
  return tokens_.check(std::string_view(header).substr(7), registry_.objects());
}

std::optional<http_response> api::inject(const http_request& request) {
  const auto plan = faults_.plan();
  if (!plan.user_agent.empty() && request.header("user-agent").find(plan.user_agent) == std::string::npos)
    return std::nullopt;
  if (!plan.path.empty() && request.path.find(plan.path) == std::string::npos) return std::nullopt;
  if (plan.latency.count() > 0) std::this_thread::sleep_for(plan.latency);
  if (plan.outage) {
    http_response cut;
    cut.drop = true;
    return cut;
  }
  if (plan.error_rate > 0 && random_unit() < plan.error_rate) {
    const auto reason = plan.error_code == 429   ? "TooManyRequests"
                        : plan.error_code == 503 ? "ServiceUnavailable"
                                                 : "InternalError";
    return answer(refuse(plan.error_code, reason, "injected fault").value());
  }
  const bool write = request.method == "PUT" || request.method == "PATCH";
  if (write && plan.conflict_rate > 0 && random_unit() < plan.conflict_rate) {
    return answer(refuse(409, "Conflict",
                         "injected conflict: the object has been modified; please apply your changes to the latest "
                         "version and try again")
                      .value());
  }
  return std::nullopt;
}

http_response api::handle(const http_request& request) {
  try {
    if (!request.path.starts_with("/orrery/")) {
      if (auto broken = inject(request)) return std::move(*broken);
    }
    return route(request);
  } catch (const json::exception& wrong) {
    return answer(bad_request(std::string("the object has an unexpected shape: ") + wrong.what()).value());
  }
}

http_response api::fault_interface(const http_request& request, const identity& who) {
  if (std::find(who.groups.begin(), who.groups.end(), "system:masters") == who.groups.end()) {
    return answer(refuse(403, "Forbidden", "only the administrator may inject faults").value());
  }
  if (request.path == "/orrery/compact" && request.method == "POST") {
    registry_.objects().compact();
    return answer(200, {{"compacted", true}});
  }
  if (request.path != "/orrery/faults")
    return answer(refuse(404, "NotFound", "accepted are: /orrery/faults, /orrery/compact").value());
  if (request.method == "DELETE") faults_.clear();
  if (request.method == "POST") {
    const auto body = parse_body(request);
    if (!body) return answer(body.error());
    if (auto done = faults_.merge(*body); !done) return answer(done.error());
  }
  return answer(200, faults_.describe());
}

http_response api::route(const http_request& request) {
  const auto& path = request.path;
  if (path == "/healthz" || path == "/readyz" || path == "/livez") {
    http_response ok;
    ok.content_type = "text/plain; charset=utf-8";
    ok.body = "ok";
    return ok;
  }
  if (path == "/version" || path == "/version/") return answer(200, version_info());
  const auto who = who_is(request);
  if (!who) return answer(refuse(401, "Unauthorized", "Unauthorized").value());
  if (path.starts_with("/orrery/")) return fault_interface(request, *who);

  const auto& kinds = registry_.kinds();
  const auto parts = split(std::string_view(path).substr(path.starts_with('/') ? 1 : 0), '/');
  const auto missing = [] {
    return answer(refuse(404, "NotFound", "the server could not find the requested resource").value());
  };
  const auto or_missing = [&](const json& body) { return body.is_null() ? missing() : answer(200, body); };
  if (path == "/api" || path == "/api/") return answer(200, core_versions());
  if (path == "/apis" || path == "/apis/") return answer(200, group_list(kinds));
  if (parts[0] == "apis" && parts.size() == 2) return or_missing(group_info(kinds, parts[1]));
  if (parts[0] == "api" && parts.size() == 2) return or_missing(resource_list(kinds, "", parts[1]));
  if (parts[0] == "apis" && parts.size() == 3) return or_missing(resource_list(kinds, parts[1], parts[2]));
  if (path == "/openapi/v3") return answer(200, openapi_index(kinds));
  if (path.starts_with("/openapi/v3/api/") && parts.size() == 4)
    return or_missing(openapi_document(kinds, "", parts[3]));
  if (path.starts_with("/openapi/v3/apis/") && parts.size() == 5)
    return or_missing(openapi_document(kinds, parts[3], parts[4]));
  if (path == "/openapi/v2") {
    http_response document;
    document.body = openapi_v2(kinds);
    document.content_type = openapi_v2_content_type;
    return document;
  }
  if ((parts[0] == "api" && parts.size() > 2) || (parts[0] == "apis" && parts.size() > 3))
    return resources(request, *who);
  return missing();
}

http_response api::resources(const http_request& request, const identity& who) {
  auto parts = split(std::string_view(request.path).substr(1), '/');
  while (!parts.empty() && parts.back().empty())
    parts.pop_back();
  const bool core = parts[0] == "api";
  const std::size_t fixed = core ? 2 : 3;
  const auto missing = [] {
    return answer(refuse(404, "NotFound", "the server could not find the requested resource").value());
  };
  if (parts.size() <= fixed) return missing();
  const auto group = core ? std::string() : parts[1];
  const auto version = parts[fixed - 1];
  auto rest = std::vector<std::string>(parts.begin() + static_cast<std::ptrdiff_t>(fixed), parts.end());
  target at;
  // "/namespaces/x" and its status are the object itself; anything longer is inside of it.
  if (rest[0] == "namespaces" && rest.size() >= 3 &&
      !(core && rest.size() == 3 && (rest[2] == "status" || rest[2] == "finalize"))) {
    at.space = rest[1];
    rest.erase(rest.begin(), rest.begin() + 2);
  }
  at.info = registry_.kinds().find(group, version, rest[0]);
  if (!at.info) return missing();
  if (rest.size() > 1) at.name = rest[1];
  if (rest.size() > 2) at.subresource = rest[2];
  if (rest.size() > 3 || (!at.info->namespaced && !at.space.empty())) return missing();
  return dispatch(request, who, at);
}

http_response api::dispatch(const http_request& request, const identity& who, const target& at) {
  const auto& method = request.method;
  std::string verb = method == "POST" ? "create" : method == "PUT" ? "update" : method == "PATCH" ? "patch" : "get";
  if (method == "DELETE") verb = at.name.empty() ? "deletecollection" : "delete";
  const bool watching = method == "GET" && at.name.empty() && request.flag("watch");
  if (method == "GET" && at.name.empty()) verb = watching ? "watch" : "list";
  const action what{verb, at.info->group, at.info->plural + (at.subresource.empty() ? "" : "/" + at.subresource),
                    at.space, at.name};
  if (options_.authorize && !allowed(who, what, registry_.objects())) return answer(forbidden(who, what).value());
  const auto refused = [&] {
    return answer(
        refuse(405, "MethodNotAllowed", "the server does not allow " + method + " on " + request.path).value());
  };

  if (at.info->review) return method == "POST" ? review(request, who, at) : refused();
  if (at.info->namespaced && at.space.empty() && !at.name.empty()) return refused();
  const auto bucket = at.info->bucket();
  if (at.subresource == "scale" && at.info->scale) return scale(request, at);
  if (bucket == "pods" && at.subresource == "log" && method == "GET") return log(request, at);
  if (bucket == "pods" && at.subresource == "portforward") return forward(request, at);
  if (bucket == "pods" && at.subresource == "eviction" && method == "POST") return evict(request, at);
  if (bucket == "serviceaccounts" && at.subresource == "token" && method == "POST") return issue_token(request, at);
  const bool status = at.subresource == "status" && at.info->has_status;
  if (!at.subresource.empty() && !status && !(bucket == "namespaces" && at.subresource == "finalize")) {
    return answer(refuse(404, "NotFound",
                         "the server could not find the requested resource: " + bucket + " has no subresource \"" +
                             at.subresource + "\"")
                      .value());
  }
  if (method == "GET") {
    if (watching) return watch(request, at);
    if (at.name.empty()) return list(request, at);
    const auto found = registry_.get(*at.info, at.space, at.name);
    return found ? answer_object(request, *at.info, 200, *found, registry_.now()) : answer(found.error());
  }
  if (method == "DELETE") return at.name.empty() ? remove_all(request, at) : remove(request, at);
  if ((method == "POST") != at.name.empty()) return refused();
  if (method == "POST" && at.info->namespaced && at.space.empty()) return refused();
  if (method == "POST" || method == "PUT" || method == "PATCH") {
    const bool creates = method == "PATCH" && request.header("content-type").starts_with("application/apply-patch") &&
                         at.subresource.empty() &&
                         !registry_.objects().get({bucket, at.info->namespaced ? at.space : "", at.name});
    const action making{"create", at.info->group, at.info->plural, at.space, at.name};
    if (creates && options_.authorize && !allowed(who, making, registry_.objects()))
      return answer(forbidden(who, making).value());
    return write(request, who, at);
  }
  return refused();
}

}  // namespace orrery::local
