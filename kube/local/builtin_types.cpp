#include "kube/local/builtin_types.hpp"

#include "mesh/base/assert.hpp"

#include <sstream>

namespace orrery::local {
namespace {

constexpr std::string_view ref_prefix = "#/components/schemas/";

json type_of(std::string_view text) {
  ORRERY_ASSERT(!text.empty());
  if (text == "s") return {{"type", "string"}};
  if (text == "i") return {{"type", "integer"}, {"format", "int64"}};
  if (text == "n") return {{"type", "number"}};
  if (text == "b") return {{"type", "boolean"}};
  if (text == "t") return {{"type", "string"}, {"format", "date-time"}, {"nullable", true}};
  if (text == "B") return {{"type", "string"}, {"format", "byte"}};
  if (text == "q") return {{"x-kubernetes-int-or-string", true}};
  if (text == "o") return {{"x-kubernetes-preserve-unknown-fields", true}};
  if (text.front() == '{') {
    return {{"type", "object"}, {"additionalProperties", type_of(text.substr(1, text.size() - 2))}};
  }
  if (text.front() != '[') return {{"$ref", std::string(ref_prefix) + std::string(text)}};
  const auto close = text.rfind(']');
  json list = {{"type", "array"}, {"items", type_of(text.substr(1, close - 1))}};
  auto marks = text.substr(close + 1);
  if (marks == "*") {
    list["x-kubernetes-list-type"] = "set";
    list["x-kubernetes-patch-strategy"] = "merge";
    return list;
  }
  if (marks.empty()) {
    list["x-kubernetes-list-type"] = "atomic";
    return list;
  }
  const auto tilde = marks.find('~');
  std::string patch_key(tilde == std::string_view::npos ? "" : marks.substr(tilde + 1));
  auto keys = marks.front() == '@' ? split(marks.substr(1, tilde == std::string_view::npos ? tilde : tilde - 1), '+')
                                   : std::vector<std::string>{patch_key};
  if (patch_key.empty()) patch_key = keys.front();
  list["x-kubernetes-list-type"] = "map";
  list["x-kubernetes-list-map-keys"] = keys;
  list["x-kubernetes-patch-strategy"] = "merge";
  list["x-kubernetes-patch-merge-key"] = patch_key;
  return list;
}

json parse_types() {
  json all = json::object();
  json* current = nullptr;
  std::istringstream lines(builtin_types_text());
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string word;
    if (!line.empty() && line.front() != ' ') {
      words >> word;
      current = &(all[word] = {{"type", "object"}});
    }
    while (words >> word) {
      const auto colon = word.find(':');
      ORRERY_ASSERT(colon != std::string::npos && current != nullptr);
      auto field = word.substr(0, colon);
      if (field.back() == '!') {
        field.pop_back();
        (*current)["required"].push_back(field);
      }
      (*current)["properties"][field] = type_of(std::string_view(word).substr(colon + 1));
    }
  }
  all["ObjectMeta"]["properties"]["finalizers"]["x-kubernetes-list-type"] = "set";
  return all;
}

}  // namespace

const json& builtin_schemas() {
  static const json all = parse_types();
  return all;
}

const json& resolve(const json& schema) {
  if (!schema.is_object()) return schema;
  const auto it = schema.find("$ref");
  if (it == schema.end()) return schema;
  const auto& name = it->get_ref<const std::string&>();
  ORRERY_ASSERT(name.starts_with(ref_prefix));
  const auto found = builtin_schemas().find(name.substr(ref_prefix.size()));
  ORRERY_ASSERT(found != builtin_schemas().end());
  return *found;
}

}  // namespace orrery::local
