#include "kube/local/schema.hpp"

#include "kube/local/builtin_types.hpp"
#include "kube/local/pattern.hpp"

#include <cmath>
#include <set>

namespace orrery::local {
namespace {

/// Deeper than any real object: a bound on recursion over user input.
constexpr int depth_max = 100;

bool preserves(const json& schema) { return flag_at(schema, {"x-kubernetes-preserve-unknown-fields"}); }

std::string child(const std::string& path, const std::string& field) {
  return path.empty() ? field : path + "." + field;
}
std::string index(const std::string& path, std::size_t at) { return path + "[" + std::to_string(at) + "]"; }
std::string key(const std::string& path, const std::string& name) { return path + "[" + name + "]"; }

bool is_object_header(const std::string& field) {
  return field == "apiVersion" || field == "kind" || field == "metadata";
}

void prune_at(const json& raw, json& value, const std::string& path, std::vector<std::string>& unknown, int depth) {
  if (depth > depth_max) return;
  const auto& schema = resolve(raw);
  if (value.is_array()) {
    const auto* items = item_schema(schema);
    if (items == nullptr) return;
    for (std::size_t at = 0; at < value.size(); ++at)
      prune_at(*items, value[at], index(path, at), unknown, depth + 1);
    return;
  }
  if (!value.is_object()) return;
  const bool embedded = flag_at(schema, {"x-kubernetes-embedded-resource"});
  for (auto it = value.begin(); it != value.end();) {
    const auto* sub = field_schema(schema, it.key());
    if (sub == nullptr) {
      if (preserves(schema) || (embedded && is_object_header(it.key()))) {
        ++it;
        continue;
      }
      unknown.push_back(child(path, it.key()));
      it = value.erase(it);
      continue;
    }
    if (it->is_null() && !flag_at(*sub, {"nullable"}) && !preserves(*sub)) {
      it = value.erase(it);
      continue;
    }
    prune_at(*sub, *it, child(path, it.key()), unknown, depth + 1);
    ++it;
  }
}

std::string type_name(const json& value) {
  if (value.is_string()) return "string";
  if (value.is_boolean()) return "boolean";
  if (value.is_number_integer()) return "integer";
  if (value.is_number()) return "number";
  if (value.is_array()) return "array";
  if (value.is_object()) return "object";
  return "null";
}

bool has_type(const json& value, const std::string& type) {
  if (type == "string") return value.is_string();
  if (type == "boolean") return value.is_boolean();
  if (type == "integer") {
    if (value.is_number_float()) return std::floor(value.get<double>()) == value.get<double>();
    return value.is_number_integer();
  }
  if (type == "number") return value.is_number();
  if (type == "array") return value.is_array();
  if (type == "object") return value.is_object();
  return true;
}

/// Collects what is wrong with one value against one schema.
class validator {
 public:
  std::vector<cause> causes;

  void check(const json& raw, const json& value, const std::string& path, int depth) {
    if (depth > depth_max) return;
    const auto& schema = resolve(raw);
    if (!schema.is_object()) return;
    if (value.is_null()) {
      if (!flag_at(schema, {"nullable"}) && schema.contains("type")) wrong_type(path, value, text_at(schema, {"type"}));
      return;
    }
    if (flag_at(schema, {"x-kubernetes-int-or-string"})) {
      if (!value.is_string() && !value.is_number_integer()) wrong_type(path, value, "integer,string");
    } else if (const auto type = text_at(schema, {"type"}); !type.empty() && !has_type(value, type)) {
      wrong_type(path, value, type);
      return;
    }
    check_enum(schema, value, path);
    if (value.is_number()) check_number(schema, value, path);
    if (value.is_string()) check_string(schema, value, path);
    if (value.is_array()) check_list(schema, value, path, depth);
    if (value.is_object()) check_object(schema, value, path, depth);
    check_logic(schema, value, path, depth);
  }

 private:
  void add(const std::string& path, std::string reason, std::string message) {
    causes.push_back({.field = path, .reason = std::move(reason), .message = std::move(message)});
  }
  void bad(const std::string& path, const json& value, const std::string& why) {
    const auto shown = value.is_structured() ? "\"" + type_name(value) + "\"" : value.dump();
    add(path, "FieldValueInvalid", "Invalid value: " + shown + ": " + path + " in body " + why);
  }
  void wrong_type(const std::string& path, const json& value, const std::string& type) {
    const auto got = "\"" + type_name(value) + "\"";
    add(path, "FieldValueTypeInvalid",
        "Invalid value: " + got + ": " + path + " in body must be of type " + type + ": " + got);
  }

  void check_enum(const json& schema, const json& value, const std::string& path) {
    const auto& allowed = list_at(schema, {"enum"});
    if (allowed.empty()) return;
    std::vector<std::string> names;
    for (const auto& each : allowed) {
      if (each == value) return;
      names.push_back(each.dump());
    }
    add(path, "FieldValueNotSupported",
        "Unsupported value: " + value.dump() + ": supported values: " + join(names, ", "));
  }

  void check_number(const json& schema, const json& value, const std::string& path) {
    const auto number = value.get<double>();
    if (const auto* low = find(schema, {"minimum"})) {
      const bool exclusive = flag_at(schema, {"exclusiveMinimum"});
      if (number < low->get<double>() || (exclusive && number == low->get<double>())) {
        bad(path, value, std::string("should be greater than ") + (exclusive ? "" : "or equal to ") + low->dump());
      }
    }
    if (const auto* high = find(schema, {"maximum"})) {
      const bool exclusive = flag_at(schema, {"exclusiveMaximum"});
      if (number > high->get<double>() || (exclusive && number == high->get<double>())) {
        bad(path, value, std::string("should be less than ") + (exclusive ? "" : "or equal to ") + high->dump());
      }
    }
    if (const auto* step = find(schema, {"multipleOf"})) {
      if (std::fmod(number, step->get<double>()) != 0) bad(path, value, "should be a multiple of " + step->dump());
    }
    if (text_at(schema, {"format"}) == "int32" && (number > 2147483647.0 || number < -2147483648.0)) {
      bad(path, value, "must be of type int32: \"number\"");
    }
  }

  void check_string(const json& schema, const json& value, const std::string& path) {
    const auto& text = value.get_ref<const std::string&>();
    std::int64_t runes = 0;
    for (const char byte : text) {
      if ((static_cast<unsigned char>(byte) & 0xC0U) != 0x80U) ++runes;
    }
    if (const auto* low = find(schema, {"minLength"}); low != nullptr && runes < low->get<std::int64_t>()) {
      bad(path, value, "should be at least " + low->dump() + " chars long");
    }
    if (const auto* high = find(schema, {"maxLength"}); high != nullptr && runes > high->get<std::int64_t>()) {
      add(path, "FieldValueTooLong", "Too long: may not be longer than " + high->dump());
      return;  // and no regular expression over a text without bound
    }
    if (const auto pattern = text_at(schema, {"pattern"}); !pattern.empty() && !matches_pattern(text, pattern)) {
      bad(path, value, "should match '" + pattern + "'");
    }
    if (text_at(schema, {"format"}) == "date-time" &&
        !matches_pattern(text, R"(^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$)")) {
      bad(path, value, "must be of type date-time: " + value.dump());
    }
  }

  void check_list(const json& schema, const json& value, const std::string& path, int depth) {
    const auto size = static_cast<std::int64_t>(value.size());
    if (const auto* high = find(schema, {"maxItems"}); high != nullptr && size > high->get<std::int64_t>()) {
      add(path, "FieldValueTooMany",
          "Too many: " + std::to_string(size) + ": must have at most " + high->dump() + " items");
      return;
    }
    if (const auto* low = find(schema, {"minItems"}); low != nullptr && size < low->get<std::int64_t>()) {
      bad(path, value, "should have at least " + low->dump() + " items");
    }
    check_duplicates(schema, value, path);
    const auto* items = item_schema(schema);
    if (items == nullptr) return;
    for (std::size_t at = 0; at < value.size(); ++at)
      check(*items, value[at], index(path, at), depth + 1);
  }

  void check_duplicates(const json& schema, const json& value, const std::string& path) {
    const auto type = text_at(schema, {"x-kubernetes-list-type"});
    if (type != "set" && type != "map" && !flag_at(schema, {"uniqueItems"})) return;
    std::set<json> seen;
    for (std::size_t at = 0; at < value.size(); ++at) {
      json id = value[at];
      if (type == "map" && id.is_object()) {
        id = json::object();
        for (const auto& name : list_at(schema, {"x-kubernetes-list-map-keys"})) {
          const auto it = value[at].find(name.get<std::string>());
          if (it != value[at].end()) id[name.get<std::string>()] = *it;
        }
      }
      if (!seen.insert(id).second) add(index(path, at), "FieldValueDuplicate", "Duplicate value: " + id.dump());
    }
  }

  void check_object(const json& schema, const json& value, const std::string& path, int depth) {
    const auto size = static_cast<std::int64_t>(value.size());
    if (const auto* high = find(schema, {"maxProperties"}); high != nullptr && size > high->get<std::int64_t>()) {
      add(path, "FieldValueTooMany",
          "Too many: " + std::to_string(size) + ": must have at most " + high->dump() + " items");
    }
    if (const auto* low = find(schema, {"minProperties"}); low != nullptr && size < low->get<std::int64_t>()) {
      bad(path, value, "should have at least " + low->dump() + " properties");
    }
    for (const auto& name : list_at(schema, {"required"})) {
      const auto& field = name.get_ref<const std::string&>();
      if (!value.contains(field)) add(child(path, field), "FieldValueRequired", "Required value");
    }
    const auto& properties = map_at(schema, {"properties"});
    const auto* additional = find(schema, {"additionalProperties"});
    for (const auto& [field, sub] : value.items()) {
      if (const auto it = properties.find(field); it != properties.end()) {
        check(*it, sub, child(path, field), depth + 1);
      } else if (additional != nullptr && additional->is_object()) {
        check(*additional, sub, key(path, field), depth + 1);
      }
    }
  }

  void check_logic(const json& schema, const json& value, const std::string& path, int depth) {
    for (const auto& each : list_at(schema, {"allOf"}))
      check(each, value, path, depth + 1);
    if (const auto& any = list_at(schema, {"anyOf"}); !any.empty() && count_valid(any, value, path, depth) == 0) {
      bad(path, value, "must validate at least one schema (anyOf)");
    }
    if (const auto& one = list_at(schema, {"oneOf"}); !one.empty()) {
      const auto valid = count_valid(one, value, path, depth);
      if (valid == 0) bad(path, value, "must validate one and only one schema (oneOf). Found none valid");
      if (valid > 1) {
        bad(path, value,
            "must validate one and only one schema (oneOf). Found " + std::to_string(valid) + " valid alternatives");
      }
    }
    if (const auto* negated = find(schema, {"not"}); negated != nullptr) {
      validator inner;
      inner.check(*negated, value, path, depth + 1);
      if (inner.causes.empty()) bad(path, value, "must not validate the schema (not)");
    }
  }

  static int count_valid(const json& schemas, const json& value, const std::string& path, int depth) {
    int valid = 0;
    for (const auto& each : schemas) {
      validator inner;
      inner.check(each, value, path, depth + 1);
      if (inner.causes.empty()) ++valid;
    }
    return valid;
  }
};

}  // namespace

const json* field_schema(const json& schema, const std::string& field) {
  const auto& object = resolve(schema);
  if (const auto* properties = find(object, {"properties"}); properties != nullptr) {
    if (const auto it = properties->find(field); it != properties->end()) return &resolve(*it);
  }
  const auto* additional = find(object, {"additionalProperties"});
  if (additional != nullptr && additional->is_object()) return &resolve(*additional);
  return nullptr;
}

const json* item_schema(const json& schema) {
  const auto& list = resolve(schema);
  const auto* items = find(list, {"items"});
  return items == nullptr ? nullptr : &resolve(*items);
}

std::vector<std::string> prune(const json& schema, json& value) {
  std::vector<std::string> unknown;
  prune_at(schema, value, "", unknown, 0);
  return unknown;
}

void apply_defaults(const json& raw, json& value) {
  const auto& schema = resolve(raw);
  if (value.is_array()) {
    const auto* items = item_schema(schema);
    if (items == nullptr) return;
    for (auto& each : value)
      apply_defaults(*items, each);
    return;
  }
  if (!value.is_object()) return;
  const auto& properties = map_at(schema, {"properties"});
  for (const auto& [field, raw_sub] : properties.items()) {
    const auto& sub = resolve(raw_sub);
    auto it = value.find(field);
    if (it == value.end() || (it->is_null() && !flag_at(sub, {"nullable"}))) {
      const auto standard = sub.is_object() ? sub.find("default") : sub.end();
      if (!sub.is_object() || standard == sub.end()) continue;
      value[field] = *standard;
      it = value.find(field);
    }
    apply_defaults(sub, *it);
  }
  const auto* additional = find(schema, {"additionalProperties"});
  if (additional == nullptr || !additional->is_object()) return;
  for (auto& [field, sub] : value.items()) {
    if (!properties.contains(field)) apply_defaults(*additional, sub);
  }
}

std::vector<cause> validate(const json& schema, const json& value) {
  validator all;
  all.check(schema, value, "", 0);
  return std::move(all.causes);
}

std::string first_type_error(const json& raw, const json& value, const std::string& path) {
  const auto& schema = resolve(raw);
  if (value.is_null()) return "";
  const auto type = text_at(schema, {"type"});
  if (!type.empty() && !has_type(value, type)) {
    return (path.empty() ? "the object" : path) + " must be of type " + type + ", but is " + type_name(value) + ": " +
           value.dump().substr(0, 80);
  }
  if (flag_at(schema, {"x-kubernetes-int-or-string"}) && !value.is_string() && !value.is_number()) {
    return path + " must be a number or a string, but is " + type_name(value);
  }
  if (value.is_array()) {
    const auto* items = item_schema(schema);
    for (std::size_t at = 0; items != nullptr && at < value.size(); ++at) {
      auto wrong = first_type_error(*items, value[at], index(path, at));
      if (!wrong.empty()) return wrong;
    }
  }
  if (value.is_object()) {
    for (const auto& [field, sub] : value.items()) {
      const auto* known = field_schema(schema, field);
      if (known == nullptr) continue;
      auto wrong = first_type_error(*known, sub, child(path, field));
      if (!wrong.empty()) return wrong;
    }
  }
  return "";
}

std::vector<cause> check_structural(const json& schema, const std::string& path) {
  static const std::set<std::string> types = {"string", "integer", "number", "boolean", "object", "array"};
  std::vector<cause> causes;
  const auto type = text_at(schema, {"type"});
  const bool open = preserves(schema) || flag_at(schema, {"x-kubernetes-int-or-string"});
  if (type.empty() && !open) {
    causes.push_back(
        {path + ".type", "FieldValueRequired", "Required value: must not be empty for specified object fields"});
  } else if (!type.empty() && !types.contains(type)) {
    causes.push_back(
        {path + ".type", "FieldValueNotSupported",
         "Unsupported value: \"" + type + "\": supported values: array, boolean, integer, number, object, string"});
  }
  const auto descend = [&](const json& sub, const std::string& at) {
    auto more = check_structural(sub, at);
    causes.insert(causes.end(), more.begin(), more.end());
  };
  for (const auto& [field, sub] : map_at(schema, {"properties"}).items())
    descend(sub, path + ".properties[" + field + "]");
  if (const auto* items = find(schema, {"items"})) {
    descend(*items, path + ".items");
  } else if (type == "array") {
    causes.push_back({path + ".items", "FieldValueRequired", "Required value: must be specified"});
  }
  const auto* additional = find(schema, {"additionalProperties"});
  if (additional != nullptr && additional->is_object()) descend(*additional, path + ".additionalProperties");
  return causes;
}

}  // namespace orrery::local
