#pragma once
// Shared by the .cpp files of api: what a path names, and how answers are written.
#include "kube/local/api.hpp"

namespace orrery::local {

/// /apis/GROUP/VERSION/namespaces/NAMESPACE/PLURAL/NAME/SUBRESOURCE, taken apart.
struct api::target {
  resource_ptr info;
  std::string space;
  std::string name;
  std::string subresource;
};

[[nodiscard]] http_response answer(int status, const json& body);
[[nodiscard]] http_response answer(const api_error& failure);
/// The object, or as Table or PartialObjectMetadata if the request accepts that first.
[[nodiscard]] http_response answer_object(const http_request& request, const resource_info& info, int status,
                                          const object_ptr& object, wall_time now);

enum class presentation { plain, table, partial };
[[nodiscard]] presentation presentation_of(const http_request& request);

/// The body as JSON: from JSON, or from YAML where the content type says so. 415 and 400 say what is accepted.
[[nodiscard]] reply<json> parse_body(const http_request& request);
[[nodiscard]] reply<json> parse_yaml(const std::string& text);

}  // namespace orrery::local
