#include "kube/local/status.hpp"

#include <utility>

namespace orrery::local {
namespace {

api_error about(int code, std::string reason, std::string message, std::string_view plural, std::string_view group,
                std::string_view name) {
  json details = {{"name", name}, {"kind", plural}};
  if (!group.empty()) details["group"] = group;
  return {.code = code, .reason = std::move(reason), .message = std::move(message), .details = std::move(details)};
}

}  // namespace

std::string qualified(std::string_view plural, std::string_view group) {
  return group.empty() ? std::string(plural) : std::string(plural) + "." + std::string(group);
}

tl::unexpected<api_error> refuse(int code, std::string reason, std::string message) {
  return tl::unexpected<api_error>(
      {.code = code, .reason = std::move(reason), .message = std::move(message), .details = nullptr});
}

tl::unexpected<api_error> not_found(std::string_view plural, std::string_view group, std::string_view name) {
  auto message = qualified(plural, group) + " \"" + std::string(name) + "\" not found";
  return tl::unexpected<api_error>(about(404, "NotFound", std::move(message), plural, group, name));
}

tl::unexpected<api_error> already_exists(std::string_view plural, std::string_view group, std::string_view name) {
  auto message = qualified(plural, group) + " \"" + std::string(name) + "\" already exists";
  return tl::unexpected<api_error>(about(409, "AlreadyExists", std::move(message), plural, group, name));
}

tl::unexpected<api_error> modified(std::string_view plural, std::string_view group, std::string_view name) {
  auto message = "Operation cannot be fulfilled on " + qualified(plural, group) + " \"" + std::string(name) +
                 "\": the object has been modified; please apply your changes to the latest version and try again";
  return tl::unexpected<api_error>(about(409, "Conflict", std::move(message), plural, group, name));
}

tl::unexpected<api_error> bad_request(std::string message) { return refuse(400, "BadRequest", std::move(message)); }

tl::unexpected<api_error> invalid(std::string_view kind, std::string_view group, std::string_view name,
                                  const std::vector<cause>& causes) {
  std::vector<std::string> texts;
  json list = json::array();
  for (const auto& each : causes) {
    texts.push_back(each.field.empty() ? each.message : each.field + ": " + each.message);
    list.push_back({{"reason", each.reason}, {"message", each.message}, {"field", each.field}});
  }
  auto all = join(texts, ", ");
  if (texts.size() > 1) all = "[" + all + "]";
  auto failure = about(422, "Invalid", qualified(kind, group) + " \"" + std::string(name) + "\" is invalid: " + all,
                       kind, group, name);
  failure.details["causes"] = std::move(list);
  return tl::unexpected<api_error>(std::move(failure));
}

tl::unexpected<api_error> expired(std::uint64_t asked, std::uint64_t oldest) {
  return refuse(410, "Expired",
                "too old resource version: " + std::to_string(asked) + " (" + std::to_string(oldest) + ")");
}

json to_status(const api_error& failure) {
  json status = {{"kind", "Status"},    {"apiVersion", "v1"},         {"metadata", json::object()},
                 {"status", "Failure"}, {"message", failure.message}, {"reason", failure.reason},
                 {"code", failure.code}};
  if (!failure.details.is_null()) status["details"] = failure.details;
  return status;
}

json success_status(std::string_view name, std::string_view plural, std::string_view uid) {
  return {{"kind", "Status"},
          {"apiVersion", "v1"},
          {"metadata", json::object()},
          {"status", "Success"},
          {"details", {{"name", name}, {"kind", plural}, {"uid", uid}}}};
}

}  // namespace orrery::local
