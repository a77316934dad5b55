#include "kube/local/api_target.hpp"
#include "kube/local/selector.hpp"
#include "kube/local/table.hpp"
#include "mesh/base/base64.hpp"

#include <algorithm>

namespace orrery::local {
namespace {

std::string manager_of(const http_request& request) {
  if (auto given = request.parameter("fieldManager"); !given.empty()) return given;
  const auto agent = request.header("user-agent");
  const auto name = agent.substr(0, agent.find_first_of("/ "));
  return name.empty() ? "unknown" : name;
}

write_options write_options_of(const http_request& request, const std::string& subresource) {
  write_options out;
  out.manager = manager_of(request);
  out.subresource = subresource == "status" ? "status" : "";
  out.dry_run = request.parameter("dryRun") == "All";
  out.force = request.flag("force");
  const auto fields = request.parameter("fieldValidation");
  if (fields == "Strict") out.fields = field_validation::strict;
  if (fields == "Ignore") out.fields = field_validation::ignore;
  return out;
}

std::optional<patch_type> patch_type_of(const std::string& content_type) {
  if (content_type.starts_with("application/json-patch+json")) return patch_type::operations;
  if (content_type.starts_with("application/merge-patch+json")) return patch_type::merge;
  if (content_type.starts_with("application/strategic-merge-patch+json")) return patch_type::strategic;
  if (content_type.starts_with("application/apply-patch+")) return patch_type::apply;
  return std::nullopt;
}

reply<delete_options> delete_options_of(const http_request& request) {
  delete_options out;
  out.propagation = request.parameter("propagationPolicy");
  out.dry_run = request.parameter("dryRun") == "All";
  try {
    if (const auto grace = request.parameter("gracePeriodSeconds"); !grace.empty())
      out.grace_seconds = std::stoll(grace);
  } catch (const std::exception&) {
    return bad_request("gracePeriodSeconds is not a number: " + request.parameter("gracePeriodSeconds"));
  }
  if (request.body.empty()) return out;
  const auto body = parse_body(request);
  if (!body) return tl::unexpected(body.error());
  if (const auto* grace = find(*body, {"gracePeriodSeconds"}); grace != nullptr && grace->is_number_integer())
    out.grace_seconds = grace->get<std::int64_t>();
  out.propagation = text_at(*body, {"propagationPolicy"}, out.propagation);
  out.uid = text_at(*body, {"preconditions", "uid"});
  out.resource_version = text_at(*body, {"preconditions", "resourceVersion"});
  if (!list_at(*body, {"dryRun"}).empty()) out.dry_run = true;
  return out;
}

bool before_key(const object_ptr& object, const std::string& space, const std::string& name) {
  return std::pair(namespace_of(*object), name_of(*object)) <= std::pair(space, name);
}

/// "VERSION/NAMESPACE/NAME" of the last object of a page, in base64.
struct page_mark {
  std::string version;
  std::string space;
  std::string name;
};

std::optional<page_mark> read_mark(const std::string& token) {
  const auto text = base64_decode(token);
  if (!text) return std::nullopt;
  const auto parts = split(*text, '/');
  if (parts.size() != 3) return std::nullopt;
  return page_mark{parts[0], parts[1], parts[2]};
}

}  // namespace

http_response api::list(const http_request& request, const target& at) {
  const auto wanted = selector::parse(request.parameter("labelSelector"), request.parameter("fieldSelector"));
  if (!wanted) return answer(wanted.error());
  auto all = registry_.objects().list(at.info->bucket(), at.space);
  auto version = std::to_string(all.version);
  std::erase_if(all.objects, [&](const object_ptr& each) { return !wanted->matches(*each); });
  if (const auto token = request.parameter("continue"); !token.empty()) {
    const auto mark = read_mark(token);
    if (!mark) return answer(bad_request("continue key is not valid: " + token).value());
    std::erase_if(all.objects, [&](const object_ptr& each) { return before_key(each, mark->space, mark->name); });
    version = mark->version;  // a watch from the first page's version misses nothing that changed while paging
  }
  json meta = {{"resourceVersion", version}};
  std::size_t limit = 0;
  try {
    if (const auto text = request.parameter("limit"); !text.empty()) limit = std::stoul(text);
  } catch (const std::exception&) {
    return answer(bad_request("limit is not a number: " + request.parameter("limit")).value());
  }
  if (limit > 0 && all.objects.size() > limit) {
    meta["remainingItemCount"] = all.objects.size() - limit;
    all.objects.resize(limit);
    const auto& last = *all.objects.back();
    meta["continue"] = base64_encode(version + "/" + namespace_of(last) + "/" + name_of(last));
  }
  const auto shape = presentation_of(request);
  if (shape == presentation::table) {
    const auto include = request.parameter("includeObject");
    return answer(200,
                  to_table(*at.info, all.objects, std::move(meta),
                           include == "Object" ? include_object::whole : include_object::metadata, registry_.now()));
  }
  http_response out;
  const bool partial = shape == presentation::partial;
  out.body = "{\"kind\":\"" + (partial ? "PartialObjectMetadata" : at.info->kind) + "List\",\"apiVersion\":\"" +
             (partial ? "meta.k8s.io/v1" : at.info->api_version()) + "\",\"metadata\":" + meta.dump() + ",\"items\":[";
  for (std::size_t each = 0; each < all.objects.size(); ++each) {
    if (each > 0) out.body += ',';
    out.body += (partial ? to_partial(*all.objects[each]) : *all.objects[each])
                    .dump(-1, ' ', false, json::error_handler_t::replace);
  }
  out.body += "]}\n";
  return out;
}

http_response api::write(const http_request& request, const identity& /*who*/, const target& at) {
  auto how = write_options_of(request, at.subresource);
  std::vector<std::string> warnings;
  how.warnings = &warnings;
  const auto finish = [&](const reply<object_ptr>& done, int status) {
    if (!done) return answer(done.error());
    auto out = answer_object(request, *at.info, status, *done, registry_.now());
    for (const auto& each : warnings)
      out.headers.emplace_back("Warning", "299 - \"" + replaced(each, "\"", "\\\"") + "\"");
    return out;
  };
  if (request.method == "PATCH") {
    const auto type = patch_type_of(request.header("content-type"));
    if (!type) {
      return answer(
          refuse(415, "UnsupportedMediaType",
                 "the body of the request was in an unknown format - accepted media types include: "
                 "application/json-patch+json, "
                 "application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml")
              .value());
    }
    if (*type == patch_type::strategic && at.info->custom) {
      return answer(refuse(415, "UnsupportedMediaType",
                           "strategic merge patches are not for custom resources; accepted are: "
                           "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml")
                        .value());
    }
    const auto body = parse_body(request);
    if (!body) return answer(body.error());
    bool created = false;
    const auto done = registry_.patch(*at.info, at.space, at.name, *type, *body, how, &created);
    return finish(done, created ? 201 : 200);
  }
  auto body = parse_body(request);
  if (!body) return answer(body.error());
  const auto kind = text_at(*body, {"kind"}, at.info->kind);
  if (kind != at.info->kind || text_at(*body, {"apiVersion"}, at.info->api_version()) != at.info->api_version()) {
    return answer(bad_request("the object is a " + text_at(*body, {"apiVersion"}) + " " + kind + ", but " +
                              request.path + " takes a " + at.info->api_version() + " " + at.info->kind)
                      .value());
  }
  if (request.method == "POST") return finish(registry_.create(*at.info, at.space, std::move(*body), how), 201);
  return finish(registry_.update(*at.info, at.space, at.name, *body, how), 200);
}

http_response api::remove(const http_request& request, const target& at) {
  const auto how = delete_options_of(request);
  if (!how) return answer(how.error());
  const auto done = registry_.remove(*at.info, at.space, at.name, *how);
  if (!done) return answer(done.error());
  if (done->pending || at.info->bucket() == "pods")
    return answer_object(request, *at.info, 200, done->object, registry_.now());
  return answer(200, success_status(at.name, at.info->bucket(), uid_of(*done->object)));
}

http_response api::remove_all(const http_request& request, const target& at) {
  const auto wanted = selector::parse(request.parameter("labelSelector"), request.parameter("fieldSelector"));
  if (!wanted) return answer(wanted.error());
  const auto how = delete_options_of(request);
  if (!how) return answer(how.error());
  for (const auto& each : registry_.objects().list(at.info->bucket(), at.space).objects) {
    if (wanted->matches(*each)) (void)registry_.remove(*at.info, namespace_of(*each), name_of(*each), *how);
  }
  return answer(200, {{"kind", "Status"}, {"apiVersion", "v1"}, {"metadata", json::object()}, {"status", "Success"}});
}

http_response api::scale(const http_request& request, const target& at) {
  const auto current = registry_.get(*at.info, at.space, at.name);
  if (!current) return answer(current.error());
  const auto& paths = *at.info->scale;
  const auto as_scale = [&](const json& object) {
    const auto* spec = at_dotted(object, paths.spec_replicas);
    const auto* status = at_dotted(object, paths.status_replicas);
    const auto* chosen = paths.selector.empty() ? nullptr : at_dotted(object, paths.selector);
    json out = {{"kind", "Scale"},
                {"apiVersion", "autoscaling/v1"},
                {"metadata", {}},
                {"spec", {{"replicas", spec == nullptr ? json(0) : *spec}}},
                {"status", {{"replicas", status == nullptr ? json(0) : *status}}}};
    for (const char* field : {"name", "namespace", "uid", "resourceVersion", "creationTimestamp"}) {
      if (object["metadata"].contains(field)) out["metadata"][field] = object["metadata"][field];
    }
    if (chosen != nullptr)
      out["status"]["selector"] = chosen->is_string() ? chosen->get<std::string>() : selector_text(*chosen);
    return out;
  };
  if (request.method == "GET") return answer(200, as_scale(**current));
  const auto body = parse_body(request);
  if (!body) return answer(body.error());
  json wanted = as_scale(**current);
  if (request.method == "PUT") {
    wanted = *body;
  } else if (request.method == "PATCH") {
    try {
      if (request.header("content-type").starts_with("application/json-patch")) {
        wanted = wanted.patch(*body);
      } else {
        wanted.merge_patch(*body);
      }
    } catch (const json::exception& wrong) {
      return answer(bad_request(wrong.what()).value());
    }
    if (text_at(*body, {"metadata", "resourceVersion"}).empty()) wanted["metadata"].erase("resourceVersion");
  } else {
    return answer(refuse(405, "MethodNotAllowed", "a scale is read with GET and written with PUT or PATCH").value());
  }
  const auto* replicas = find(wanted, {"spec", "replicas"});
  if (replicas == nullptr || !replicas->is_number_integer() || replicas->get<std::int64_t>() < 0) {
    return answer(invalid("Scale", "autoscaling", at.name,
                          {{"spec.replicas", "FieldValueInvalid",
                            "Invalid value: " + (replicas == nullptr ? "null" : replicas->dump()) +
                                ": must be an integer greater than or equal to 0"}})
                      .value());
  }
  json change = json::object();
  set_dotted(change, paths.spec_replicas, *replicas);
  if (const auto version = text_at(wanted, {"metadata", "resourceVersion"}); !version.empty())
    change["metadata"]["resourceVersion"] = version;
  auto how = write_options_of(request, "");
  const auto done = registry_.patch(*at.info, at.space, at.name, patch_type::merge, change, how);
  return done ? answer(200, as_scale(**done)) : answer(done.error());
}

http_response api::evict(const http_request& request, const target& at) {
  const auto pod = registry_.get(*at.info, at.space, at.name);
  if (!pod) return answer(pod.error());
  for (const auto& each : registry_.objects().list("poddisruptionbudgets.policy", at.space).objects) {
    const auto* chosen = find(*each, {"spec", "selector"});
    if (chosen == nullptr || !selector::from_object(*chosen).matches(**pod)) continue;
    if (number_at(*each, {"status", "disruptionsAllowed"}) > 0) continue;
    auto refused =
        refuse(429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.").value();
    refused.details = {
        {"causes",
         {{{"reason", "DisruptionBudget"},
           {"message", "The disruption budget " + name_of(*each) + " needs " +
                           std::to_string(number_at(*each, {"status", "desiredHealthy"})) + " healthy pods and has " +
                           std::to_string(number_at(*each, {"status", "currentHealthy"})) + " currently"}}}}};
    return answer(refused);
  }
  delete_options how;
  const auto body = json::parse(request.body, nullptr, false);
  if (const auto* grace = body.is_object() ? find(body, {"deleteOptions", "gracePeriodSeconds"}) : nullptr)
    how.grace_seconds = grace->get<std::int64_t>();
  const auto done = registry_.remove(*at.info, at.space, at.name, how);
  return done ? answer(201, success_status(at.name, "pods", uid_of(*done->object))) : answer(done.error());
}

http_response api::issue_token(const http_request& request, const target& at) {
  const auto account = registry_.get(*at.info, at.space, at.name);
  if (!account) return answer(account.error());
  auto body = json::parse(request.body, nullptr, false);
  if (!body.is_object()) body = json::object();
  body["kind"] = "TokenRequest";
  body["apiVersion"] = "authentication.k8s.io/v1";
  body["metadata"] = {{"name", at.name}, {"namespace", at.space}};
  body["status"] = {{"token", tokens_.service_account_token(at.space, at.name)},
                    {"expirationTimestamp", rfc3339(registry_.now() + std::chrono::hours(24 * 365))}};
  return answer(201, body);
}

http_response api::review(const http_request& request, const identity& who, const target& at) {
  auto body = parse_body(request);
  if (!body) return answer(body.error());
  if (at.info->kind == "TokenReview") {
    const auto known = tokens_.check(text_at(*body, {"spec", "token"}), registry_.objects());
    (*body)["status"] = {{"authenticated", known.has_value()}};
    if (known) (*body)["status"]["user"] = {{"username", known->user}, {"groups", known->groups}};
    return answer(201, *body);
  }
  if (at.info->kind == "SelfSubjectRulesReview") {
    (*body)["status"] = {{"incomplete", true}, {"nonResourceRules", json::array()}, {"resourceRules", json::array()}};
    return answer(201, *body);
  }
  identity subject = who;
  if (at.info->kind == "SubjectAccessReview") {
    subject = {text_at(*body, {"spec", "user"}), {}};
    for (const auto& each : list_at(*body, {"spec", "groups"}))
      subject.groups.push_back(each.get<std::string>());
  }
  const auto& asked = map_at(*body, {"spec", "resourceAttributes"});
  const auto sub = text_at(asked, {"subresource"});
  const bool good = asked.empty() || !options_.authorize ||
                    allowed(subject,
                            {text_at(asked, {"verb"}), text_at(asked, {"group"}),
                             text_at(asked, {"resource"}) + (sub.empty() ? "" : "/" + sub),
                             text_at(asked, {"namespace"}), text_at(asked, {"name"})},
                            registry_.objects());
  (*body)["status"] = {{"allowed", good}};
  if (!good) (*body)["status"]["reason"] = "no Role or ClusterRole that is bound to " + subject.user + " allows it";
  return answer(201, *body);
}

}  // namespace orrery::local
