#pragma once
// What the routes read of a request: parts of its path, its query, its body; and how they refuse.
#include "sidecar/routes.hpp"

#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::sidecar {

[[nodiscard]] refused_route refuse(error why);
[[nodiscard]] refused_route refuse(std::string what);
[[nodiscard]] refused_route refuse_method(std::string_view given, std::string allow);

[[nodiscard]] std::vector<std::string_view> split(std::string_view text, char at);

using query_parameters = std::map<std::string, std::string>;
/// The query's parameters; each at most once and one of `known`.
[[nodiscard]] result<query_parameters> read_query(std::string_view query,
                                                  std::initializer_list<std::string_view> known);
/// node=local
[[nodiscard]] result<bool> is_local(const query_parameters& query);
/// A whole number within bounds; `otherwise` where the parameter is not given.
[[nodiscard]] result<std::size_t> read_number(const query_parameters& query, const char* name, std::size_t otherwise,
                                              std::size_t least, std::size_t most);
/// class=NAME
[[nodiscard]] result<std::optional<class_name>> read_class(const query_parameters& query);

/// An empty body is null.
[[nodiscard]] result<value> read_json(std::string_view body);

}  // namespace orrery::sidecar
