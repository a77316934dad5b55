#include "kube/request.hpp"

#include <nlohmann/json.hpp>

#include <utility>
#include <vector>

namespace orrery::kube {
namespace {

using parameters = std::vector<std::pair<std::string_view, std::string>>;

constexpr std::string_view json_type = "application/json";

std::string group_path(std::string_view group, std::string_view version) {
  if (group.empty()) return "/api/" + percent_encode(version);
  return "/apis/" + percent_encode(group) + "/" + percent_encode(version);
}

std::string collection_path(const resource& kind, std::string_view ns) {
  std::string path = group_path(kind.group, kind.version);
  if (kind.namespaced && !ns.empty()) path += "/namespaces/" + percent_encode(ns);
  return path + "/" + percent_encode(kind.plural);
}

std::string_view name_of_part(subresource part) {
  switch (part) {
    case subresource::none:
      return "";
    case subresource::status:
      return "/status";
    case subresource::scale:
      return "/scale";
  }
  return "";
}

std::string object_path(const resource& kind, const object_key& key, subresource part = subresource::none) {
  return collection_path(kind, key.ns) + "/" + percent_encode(key.name) + std::string{name_of_part(part)};
}

std::string with(std::string path, const parameters& query) {
  char separator = '?';
  for (const auto& [name, value] : query) {
    if (value.empty()) continue;
    path += separator;
    path.append(name).append("=").append(percent_encode(value));
    separator = '&';
  }
  return path;
}

parameters of(const write_options& options) {
  return {{"fieldManager", options.field_manager},
          {"dryRun", options.dry_run ? "All" : ""},
          {"fieldValidation", options.strict ? "Strict" : ""}};
}

// REQUIRES: `object` names itself.
object_key key_for(const resource& kind, const json& object) {
  auto key = key_of(object);
  if (!kind.namespaced) key.ns.clear();
  return key;
}

request bodied(verb what, const resource& kind, std::string method, std::string path, std::string_view type,
               const json& body) {
  // Text that is not UTF-8 (a log line in a message, say) is replaced, not thrown over.
  return {.what = what,
          .method = std::move(method),
          .path = std::move(path),
          .content_type = std::string{type},
          .body = body.dump(-1, ' ', false, json::error_handler_t::replace),
          .plural = kind.plural};
}

}  // namespace

std::string_view to_string(verb what) noexcept {
  switch (what) {
    case verb::get:
      return "get";
    case verb::list:
      return "list";
    case verb::watch:
      return "watch";
    case verb::create:
      return "create";
    case verb::apply:
      return "apply";
    case verb::patch:
      return "patch";
    case verb::replace:
      return "replace";
    case verb::remove:
      return "delete";
    case verb::log:
      return "log";
    case verb::discovery:
      return "discovery";
  }
  return "?";
}

std::string percent_encode(std::string_view text) {
  static constexpr char digits[] = "0123456789ABCDEF";
  std::string encoded;
  encoded.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~';
    if (plain) {
      encoded += c;
    } else {
      encoded += '%';
      encoded += digits[byte >> 4];
      encoded += digits[byte & 15];
    }
  }
  return encoded;
}

namespace requests {

request get(const resource& kind, const object_key& key, subresource part) {
  return {.what = verb::get, .method = "GET", .path = object_path(kind, key, part), .plural = kind.plural};
}

request list(const resource& kind, std::string_view ns, const list_options& options) {
  return {.what = verb::list,
          .method = "GET",
          .path = with(collection_path(kind, ns), {{"labelSelector", options.label_selector},
                                                   {"fieldSelector", options.field_selector},
                                                   {"limit", options.limit > 0 ? std::to_string(options.limit) : ""},
                                                   {"continue", options.continue_token},
                                                   {"resourceVersion", options.resource_version}}),
          .plural = kind.plural};
}

request watch(const resource& kind, std::string_view ns, const watch_options& options) {
  return {.what = verb::watch,
          .method = "GET",
          .path = with(collection_path(kind, ns), {{"watch", "true"},
                                                   {"labelSelector", options.label_selector},
                                                   {"fieldSelector", options.field_selector},
                                                   {"resourceVersion", options.resource_version},
                                                   {"allowWatchBookmarks", options.bookmarks ? "true" : ""},
                                                   {"timeoutSeconds", std::to_string(options.timeout.count())}}),
          .plural = kind.plural};
}

request create(const resource& kind, const json& object, const write_options& options) {
  auto made = bodied(verb::create, kind, "POST", with(collection_path(kind, namespace_of(object)), of(options)),
                     json_type, object);
  made.send_once = !options.dry_run;
  return made;
}

request apply(const resource& kind, const json& object, const apply_options& options) {
  json body = object;
  body["apiVersion"] = api_version(kind);
  body["kind"] = kind.kind;
  if (const auto metadata = body.find("metadata"); metadata != body.end() && metadata->is_object()) {
    metadata->erase("managedFields");
  }
  return bodied(
      verb::apply, kind, "PATCH",
      with(object_path(kind, key_for(kind, object), options.part), {{"fieldManager", options.field_manager},
                                                                    {"force", options.force ? "true" : ""},
                                                                    {"dryRun", options.dry_run ? "All" : ""}}),
      "application/apply-patch+yaml", body);
}

request merge_patch(const resource& kind, const object_key& key, const json& patch, const write_options& options) {
  return bodied(verb::patch, kind, "PATCH", with(object_path(kind, key, options.part), of(options)),
                "application/merge-patch+json", patch);
}

request json_patch(const resource& kind, const object_key& key, const json& operations, const write_options& options) {
  auto made = bodied(verb::patch, kind, "PATCH", with(object_path(kind, key, options.part), of(options)),
                     "application/json-patch+json", operations);
  made.send_once = !options.dry_run;
  return made;
}

request replace(const resource& kind, const json& object, const write_options& options) {
  return bodied(verb::replace, kind, "PUT", with(object_path(kind, key_for(kind, object), options.part), of(options)),
                json_type, object);
}

request remove(const resource& kind, const object_key& key, const delete_options& options) {
  json body = {{"apiVersion", "v1"}, {"kind", "DeleteOptions"}};
  if (!options.uid.empty()) body["preconditions"]["uid"] = options.uid;
  if (!options.resource_version.empty()) body["preconditions"]["resourceVersion"] = options.resource_version;
  if (options.grace_period) body["gracePeriodSeconds"] = options.grace_period->count();
  switch (options.dependents) {
    case propagation::server_default:
      break;
    case propagation::background:
      body["propagationPolicy"] = "Background";
      break;
    case propagation::foreground:
      body["propagationPolicy"] = "Foreground";
      break;
    case propagation::orphan:
      body["propagationPolicy"] = "Orphan";
      break;
  }
  if (options.dry_run) body["dryRun"] = json::array({"All"});
  return bodied(verb::remove, kind, "DELETE", object_path(kind, key), json_type, body);
}

request scale(const resource& kind, const object_key& key, std::int64_t replicas) {
  return merge_patch(kind, key, {{"spec", {{"replicas", replicas}}}}, {.part = subresource::scale});
}

request logs(const object_key& pod, const log_options& options) {
  const auto number = [](const std::optional<std::int64_t>& value) { return value ? std::to_string(*value) : ""; };
  return {.what = verb::log,
          .method = "GET",
          .path = with(object_path(resources::pods, pod) + "/log", {{"container", options.container},
                                                                    {"follow", options.follow ? "true" : ""},
                                                                    {"previous", options.previous ? "true" : ""},
                                                                    {"timestamps", options.timestamps ? "true" : ""},
                                                                    {"tailLines", number(options.tail_lines)},
                                                                    {"limitBytes", number(options.limit_bytes)}}),
          .plural = resources::pods.plural};
}

request version() { return {.what = verb::discovery, .method = "GET", .path = "/version"}; }
request groups() { return {.what = verb::discovery, .method = "GET", .path = "/apis"}; }
request group_resources(std::string_view group, std::string_view version) {
  return {.what = verb::discovery, .method = "GET", .path = group_path(group, version)};
}

}  // namespace requests
}  // namespace orrery::kube
