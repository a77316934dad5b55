#include "kube/local/openapi_v2.hpp"

#include "kube/local/builtin_types.hpp"

#include <cstdint>
#include <string_view>

namespace orrery::local {
namespace {

/// A protobuf message in the making: fields with a length, and that is all that is needed here.
class message {
 public:
  void add(std::uint32_t field, std::string_view text) {
    constexpr std::uint32_t with_length = 2;
    varint(field << 3U | with_length);
    varint(text.size());
    bytes_ += text;
  }
  void add(std::uint32_t field, const message& sub) { add(field, std::string_view{sub.bytes_}); }
  /// NamedX {name = 1, value = 2}, as maps are written.
  void add_named(std::uint32_t field, std::string_view name, const message& value) {
    message pair;
    pair.add(1, name);
    pair.add(2, value);
    add(field, pair);
  }
  [[nodiscard]] std::string take() && { return std::move(bytes_); }

 private:
  void varint(std::uint64_t value) {
    while (value >= 0x80U) {
      bytes_ += static_cast<char>(value | 0x80U);
      value >>= 7U;
    }
    bytes_ += static_cast<char>(value);
  }
  std::string bytes_;
};

// Fields of openapi.v2.Schema.
enum schema_field : std::uint32_t {
  reference = 1,
  format = 2,
  description = 4,
  required = 19,
  additional_properties = 21,
  type = 22,
  items = 23,
  properties = 25,
  vendor_extension = 31
};

message encode(const json& schema);

/// An openapi.v2.Any; kubectl reads its YAML, of which JSON is a part.
message any_of(const json& value) {
  constexpr std::uint32_t yaml = 2;
  message out;
  out.add(yaml, value.dump());
  return out;
}

void add_extensions(const json& schema, message& out) {
  for (const auto& [key, value] : schema.items()) {
    if (key.starts_with("x-kubernetes-") && key != "x-kubernetes-preserve-unknown-fields" &&
        key != "x-kubernetes-int-or-string" && key != "x-kubernetes-validations")
      out.add_named(vendor_extension, key, any_of(value));
  }
}

void add_shape(const json& schema, message& out) {
  // Where anything is accepted, version 2 has no words for it but to be silent.
  if (schema.contains("x-kubernetes-preserve-unknown-fields") || schema.contains("x-kubernetes-int-or-string")) return;
  const auto kind = schema.find("type");
  if (kind == schema.end() || !kind->is_string()) return;
  const auto name = kind->get<std::string>();
  const auto sub = schema.find("items");
  if (name == "array" && sub == schema.end()) return;  // version 2 knows no list of anything
  message types;
  types.add(1, name);
  out.add(type, types);
  if (sub != schema.end()) {
    message list;
    list.add(1, encode(*sub));
    out.add(items, list);
  }
  if (const auto extra = schema.find("additionalProperties"); extra != schema.end() && extra->is_object()) {
    message either;
    either.add(1, encode(*extra));
    out.add(additional_properties, either);
  }
  if (const auto fields = schema.find("properties"); fields != schema.end() && fields->is_object()) {
    message all;
    for (const auto& [field, of] : fields->items())
      all.add_named(1, field, encode(of));
    out.add(properties, all);
  }
  if (const auto needed = schema.find("required"); needed != schema.end() && needed->is_array()) {
    for (const auto& each : *needed)
      out.add(required, each.get_ref<const std::string&>());
  }
}

message encode(const json& schema) {
  message out;
  if (!schema.is_object()) return out;
  if (const auto to = schema.find("$ref"); to != schema.end() && to->is_string()) {
    constexpr std::string_view v3_prefix = "#/components/schemas/";
    out.add(reference, "#/definitions/" + to->get<std::string>().substr(v3_prefix.size()));
    return out;
  }
  if (const auto words = schema.find("format"); words != schema.end() && words->is_string())
    out.add(format, words->get_ref<const std::string&>());
  if (const auto words = schema.find("description"); words != schema.end() && words->is_string())
    out.add(description, words->get_ref<const std::string&>());
  add_shape(schema, out);
  add_extensions(schema, out);
  return out;
}

json with_kind(json schema, const resource_info& kind) {
  auto& kinds = schema["x-kubernetes-group-version-kind"];
  if (!kinds.is_array()) kinds = json::array();
  kinds.push_back({{"group", kind.group}, {"version", kind.version}, {"kind", kind.kind}});
  return schema;
}

}  // namespace

std::string openapi_v2(const catalog& all) {
  json definitions = builtin_schemas();
  for (const auto& each : all.all()) {
    const auto name = each->custom ? each->group + "." + each->version + "." + each->kind : each->kind;
    auto schema = each->custom ? each->schema : definitions.at(name);
    if (each->custom && !schema.contains("x-kubernetes-preserve-unknown-fields")) {
      schema["properties"]["metadata"] = {{"$ref", "#/components/schemas/ObjectMeta"}};
      for (const auto* field : {"apiVersion", "kind"})
        if (!schema["properties"].contains(field)) schema["properties"][field] = {{"type", "string"}};
    }
    definitions[name] = with_kind(std::move(schema), *each);
  }

  message named;
  for (const auto& [name, schema] : definitions.items())
    named.add_named(1, name, encode(schema));
  message info;
  info.add(1, std::string_view{"Kubernetes"});
  info.add(2, std::string_view{"v1.30.0+orrery"});
  constexpr std::uint32_t paths_field = 8;
  constexpr std::uint32_t definitions_field = 9;
  message document;
  document.add(1, std::string_view{"2.0"});
  document.add(2, info);
  document.add(paths_field, message{});
  document.add(definitions_field, named);
  return std::move(document).take();
}

}  // namespace orrery::local
