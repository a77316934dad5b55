#pragma once
// kube/local: a Kubernetes cluster small enough to embed: an API server over an in-memory store, the few controllers
// that a mesh needs, and a kubelet that runs each container as a local process. README.md tells what it does not do.
// Public: cluster.hpp. Everything else is a part of it. In this room every object is a JSON value.
#include <nlohmann/json.hpp>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::local {

using json = nlohmann::json;

/// The member at a path of field names, or nullptr where a field is absent, null, or not an object.
[[nodiscard]] const json* find(const json& value, std::initializer_list<std::string_view> path);
[[nodiscard]] json* find(json& value, std::initializer_list<std::string_view> path);

/// The string (number, boolean) at a path, or the fallback.
[[nodiscard]] std::string text_at(const json& value, std::initializer_list<std::string_view> path,
                                  std::string_view fallback = "");
[[nodiscard]] std::int64_t number_at(const json& value, std::initializer_list<std::string_view> path,
                                     std::int64_t fallback = 0);
[[nodiscard]] bool flag_at(const json& value, std::initializer_list<std::string_view> path, bool fallback = false);
/// The array (object) at a path, or an empty one. The reference lives as long as `value`.
[[nodiscard]] const json& list_at(const json& value, std::initializer_list<std::string_view> path);
[[nodiscard]] const json& map_at(const json& value, std::initializer_list<std::string_view> path);

/// metadata.name, .namespace, .uid of an object.
[[nodiscard]] std::string name_of(const json& object);
[[nodiscard]] std::string namespace_of(const json& object);
[[nodiscard]] std::string uid_of(const json& object);
/// It has a metadata.deletionTimestamp.
[[nodiscard]] bool is_deleting(const json& object);

[[nodiscard]] std::vector<std::string> split(std::string_view text, char separator);
[[nodiscard]] std::string join(const std::vector<std::string>& parts, std::string_view separator);
/// `text` with every `from` replaced by `to`. REQUIRES: `from` is not empty.
[[nodiscard]] std::string replaced(std::string text, std::string_view from, std::string_view to);

}  // namespace orrery::local
