#pragma once
#include "kube/local/json.hpp"

#include <tl/expected.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace orrery::local {

/// One field that was wrong: `{"field": "spec.replicas", "reason": "FieldValueInvalid", "message": "Invalid
/// value..."}`.
struct cause {
  std::string field;
  std::string reason;
  std::string message;
};

/// A refusal as Kubernetes words it (meta/v1 Status): an HTTP code, a reason for programs, a message for people.
struct api_error {
  int code = 500;
  std::string reason = "InternalError";
  std::string message;
  json details = nullptr;
};

/// A value or a refusal.
template <class T>
using reply = tl::expected<T, api_error>;

/// Names a resource in messages: "pods" or "processmeshes.orrery.dev".
[[nodiscard]] std::string qualified(std::string_view plural, std::string_view group);

[[nodiscard]] tl::unexpected<api_error> refuse(int code, std::string reason, std::string message);
[[nodiscard]] tl::unexpected<api_error> not_found(std::string_view plural, std::string_view group,
                                                  std::string_view name);
[[nodiscard]] tl::unexpected<api_error> already_exists(std::string_view plural, std::string_view group,
                                                       std::string_view name);
[[nodiscard]] tl::unexpected<api_error> modified(std::string_view plural, std::string_view group,
                                                 std::string_view name);
[[nodiscard]] tl::unexpected<api_error> bad_request(std::string message);
/// 422 with every cause, e.g. `Pod "x" is invalid: spec.containers: Required value`.
[[nodiscard]] tl::unexpected<api_error> invalid(std::string_view kind, std::string_view group, std::string_view name,
                                                const std::vector<cause>& causes);
/// 410: the resource version is no longer held; list again.
[[nodiscard]] tl::unexpected<api_error> expired(std::uint64_t asked, std::uint64_t oldest);

[[nodiscard]] json to_status(const api_error& failure);
/// The `Status` of a delete that is done.
[[nodiscard]] json success_status(std::string_view name, std::string_view plural, std::string_view uid);

}  // namespace orrery::local
