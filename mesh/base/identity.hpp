#pragma once
#include "mesh/base/result.hpp"

#include <string>
#include <string_view>

namespace orrery {

/// Who a node is, as its certificate says it: `orrery://NAMESPACE/MESH/POD` in the subject alternative name.
struct mesh_identity {
  std::string name_space;
  std::string mesh;
  std::string pod;
  friend bool operator==(const mesh_identity&, const mesh_identity&) = default;
};

[[nodiscard]] std::string to_uri(const mesh_identity& identity);
/// Errors: invalid_argument where the text is not orrery://NAMESPACE/MESH/POD with three DNS names.
[[nodiscard]] result<mesh_identity> parse_identity(std::string_view uri);

}  // namespace orrery
