#include "kube/local/json.hpp"

namespace orrery::local {

const json* find(const json& value, std::initializer_list<std::string_view> path) {
  const json* at = &value;
  for (const auto field : path) {
    if (!at->is_object()) return nullptr;
    const auto it = at->find(field);
    if (it == at->end()) return nullptr;
    at = &*it;
  }
  return at->is_null() ? nullptr : at;
}

json* find(json& value, std::initializer_list<std::string_view> path) {
  json* at = &value;
  for (const auto field : path) {
    if (!at->is_object()) return nullptr;
    const auto it = at->find(field);
    if (it == at->end()) return nullptr;
    at = &*it;
  }
  return at->is_null() ? nullptr : at;
}

std::string text_at(const json& value, std::initializer_list<std::string_view> path, std::string_view fallback) {
  const auto* at = find(value, path);
  return at != nullptr && at->is_string() ? at->get<std::string>() : std::string(fallback);
}

std::int64_t number_at(const json& value, std::initializer_list<std::string_view> path, std::int64_t fallback) {
  const auto* at = find(value, path);
  return at != nullptr && at->is_number() ? at->get<std::int64_t>() : fallback;
}

bool flag_at(const json& value, std::initializer_list<std::string_view> path, bool fallback) {
  const auto* at = find(value, path);
  return at != nullptr && at->is_boolean() ? at->get<bool>() : fallback;
}

const json& list_at(const json& value, std::initializer_list<std::string_view> path) {
  static const json empty = json::array();
  const auto* at = find(value, path);
  return at != nullptr && at->is_array() ? *at : empty;
}

const json& map_at(const json& value, std::initializer_list<std::string_view> path) {
  static const json empty = json::object();
  const auto* at = find(value, path);
  return at != nullptr && at->is_object() ? *at : empty;
}

std::string name_of(const json& object) { return text_at(object, {"metadata", "name"}); }
std::string namespace_of(const json& object) { return text_at(object, {"metadata", "namespace"}); }
std::string uid_of(const json& object) { return text_at(object, {"metadata", "uid"}); }
bool is_deleting(const json& object) { return find(object, {"metadata", "deletionTimestamp"}) != nullptr; }

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  std::size_t start = 0;
  for (std::size_t at = 0; at <= text.size(); ++at) {
    if (at != text.size() && text[at] != separator) continue;
    parts.emplace_back(text.substr(start, at - start));
    start = at + 1;
  }
  return parts;
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string out;
  for (const auto& part : parts) {
    if (&part != &parts.front()) out += separator;
    out += part;
  }
  return out;
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

}  // namespace orrery::local
