#pragma once
#include "kube/local/resource.hpp"

#include <string>

namespace orrery::local {

/// The content type of what follows. The real server writes it like this too: current MIME parsers refuse the '@' of
/// its request.
inline constexpr const char* openapi_v2_content_type = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// /openapi/v2 in protobuf (gnostic's openapi.v2.Document), the only encoding that kubectl reads. Definitions alone:
/// what kubectl up to 1.26 needs to explain fields and to refuse unknown ones, and every later one to validate a List.
/// Pure.
[[nodiscard]] std::string openapi_v2(const catalog& all);

}  // namespace orrery::local
