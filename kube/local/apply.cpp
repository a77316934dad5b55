#include "kube/local/apply.hpp"

#include "kube/local/schema.hpp"

#include <algorithm>

namespace orrery::local {
namespace {

bool is_map_list(const json* schema) {
  return schema != nullptr && text_at(*schema, {"x-kubernetes-list-type"}) == "map";
}
bool is_set_list(const json* schema) {
  return schema != nullptr && text_at(*schema, {"x-kubernetes-list-type"}) == "set";
}
bool is_atomic_map(const json* schema) {
  return schema != nullptr && text_at(*schema, {"x-kubernetes-map-type"}) == "atomic";
}
const json* sub_field(const json* schema, const std::string& field) {
  return schema == nullptr ? nullptr : field_schema(*schema, field);
}

/// `k:{"containerPort":80,"protocol":"TCP"}`
std::string key_of(const json& list_schema, const json& item) {
  json key = json::object();
  for (const auto& each : list_at(list_schema, {"x-kubernetes-list-map-keys"})) {
    const auto& name = each.get_ref<const std::string&>();
    const auto it = item.is_object() ? item.find(name) : item.end();
    if (item.is_object() && it != item.end()) {
      key[name] = *it;
    } else if (name == "protocol") {
      key[name] = "TCP";  // the one map key that Kubernetes defaults
    }
  }
  return "k:" + key.dump();
}

void collect(const json* schema, const json& value, field_path& at, field_set& out) {
  if (value.is_object() && !value.empty() && !is_atomic_map(schema)) {
    for (const auto& [field, sub] : value.items()) {
      at.push_back("f:" + field);
      collect(sub_field(schema, field), sub, at, out);
      at.pop_back();
    }
    return;
  }
  if (value.is_array() && is_map_list(schema)) {
    for (const auto& item : value) {
      at.push_back(key_of(*schema, item));
      out.insert(at);
      collect(item_schema(*schema), item, at, out);
      at.pop_back();
    }
    return;
  }
  if (value.is_array() && is_set_list(schema)) {
    for (const auto& item : value) {
      at.push_back("v:" + item.dump());
      out.insert(at);
      at.pop_back();
    }
    return;
  }
  out.insert(at);
}

/// Fields that identify an object or that the server owns: nobody manages them.
bool is_server_owned(const field_path& path) {
  static const std::set<std::string> meta = {"f:name",          "f:namespace",         "f:uid",
                                             "f:generation",    "f:resourceVersion",   "f:creationTimestamp",
                                             "f:selfLink",      "f:deletionTimestamp", "f:deletionGracePeriodSeconds",
                                             "f:managedFields", "f:generateName"};
  if (path.empty()) return true;
  if (path[0] == "f:apiVersion" || path[0] == "f:kind") return true;
  return path[0] == "f:metadata" && (path.size() == 1 || meta.contains(path[1]));
}

const json* item_with_key(const json* schema, const json& list, const std::string& element) {
  for (const auto& item : list) {
    if (element.starts_with("k:") ? schema != nullptr && key_of(*schema, item) == element
                                  : "v:" + item.dump() == element) {
      return &item;
    }
  }
  return nullptr;
}

const json* value_at(const json* schema, const json& value, const field_path& path, std::size_t from = 0) {
  if (from == path.size()) return &value;
  const auto& element = path[from];
  if (element.starts_with("f:")) {
    if (!value.is_object()) return nullptr;
    const auto field = element.substr(2);
    const auto it = value.find(field);
    return it == value.end() ? nullptr : value_at(sub_field(schema, field), *it, path, from + 1);
  }
  if (!value.is_array()) return nullptr;
  const auto* item = item_with_key(schema, value, element);
  return item == nullptr ? nullptr
                         : value_at(schema == nullptr ? nullptr : item_schema(*schema), *item, path, from + 1);
}

/// Fields of `after` that are new or differ from `before`, and fields of `before` that are gone.
struct difference {
  field_set changed;
  field_set removed;
};

difference compare(const json& schema, const json& before, const json& after) {
  difference out;
  for (const auto& path : fields_of(schema, after)) {
    const auto* was = value_at(&schema, before, path);
    // A list item as such has changed only if it is new: its fields speak for themselves.
    const bool is_item = path.back().starts_with("k:");
    if (was == nullptr || (!is_item && *was != *value_at(&schema, after, path))) out.changed.insert(path);
  }
  for (const auto& path : fields_of(schema, before)) {
    if (value_at(&schema, after, path) == nullptr) out.removed.insert(path);
  }
  return out;
}

json merged(const json* schema, const json& live, const json& config) {
  if (config.is_object() && live.is_object() && !is_atomic_map(schema)) {
    json out = live;
    for (const auto& [field, value] : config.items()) {
      if (value.is_null()) {
        out.erase(field);
      } else if (const auto it = live.find(field); it != live.end()) {
        out[field] = merged(sub_field(schema, field), *it, value);
      } else {
        out[field] = value;
      }
    }
    return out;
  }
  if (config.is_array() && live.is_array() && is_map_list(schema)) {
    json out = live;
    for (const auto& item : config) {
      const auto key = key_of(*schema, item);
      const auto it =
          std::find_if(out.begin(), out.end(), [&](const json& each) { return key_of(*schema, each) == key; });
      if (it == out.end()) {
        out.push_back(item);
      } else {
        *it = merged(item_schema(*schema), *it, item);
      }
    }
    return out;
  }
  if (config.is_array() && live.is_array() && is_set_list(schema)) {
    json out = live;
    for (const auto& item : config) {
      if (std::find(out.begin(), out.end(), item) == out.end()) out.push_back(item);
    }
    return out;
  }
  return config;
}

/// Removes the field at a path, and maps and lists that this empties.
void remove_at(const json* schema, json& value, const field_path& path, std::size_t from = 0) {
  const auto& element = path[from];
  const bool last = from + 1 == path.size();
  if (element.starts_with("f:")) {
    const auto field = element.substr(2);
    if (!value.is_object() || !value.contains(field)) return;
    if (!last) remove_at(sub_field(schema, field), value[field], path, from + 1);
    const bool emptied = !last && value[field].is_structured() && value[field].empty();
    if (last || emptied) value.erase(field);
    return;
  }
  if (!value.is_array()) return;
  for (auto it = value.begin(); it != value.end(); ++it) {
    const bool same =
        element.starts_with("k:") ? schema != nullptr && key_of(*schema, *it) == element : "v:" + it->dump() == element;
    if (!same) continue;
    if (!last) {
      remove_at(schema == nullptr ? nullptr : item_schema(*schema), *it, path, from + 1);
    } else {
      value.erase(it);
    }
    return;
  }
}

bool has_prefix(const field_set& fields, const field_path& prefix) {
  const auto it = fields.lower_bound(prefix);
  return it != fields.end() && it->size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), it->begin());
}

void subtract(field_set& from, const field_set& fields) {
  for (const auto& path : fields)
    from.erase(path);
}

std::string readable(const field_path& path) {
  std::string out;
  for (const auto& element : path) {
    if (element.starts_with("f:")) {
      out += "." + element.substr(2);
    } else if (element.starts_with("k:")) {
      const auto keys = json::parse(element.substr(2), nullptr, false);
      std::vector<std::string> parts;
      for (const auto& [name, value] : keys.items())
        parts.push_back(name + "=" + value.dump());
      out += "[" + join(parts, ",") + "]";
    } else {
      out += "[=" + element.substr(2) + "]";
    }
  }
  return out;
}

/// One entry of managedFields, taken apart.
struct entry {
  json header;
  field_set fields;
};

std::vector<entry> entries_of(const json& object) {
  std::vector<entry> out;
  for (const auto& each : list_at(object, {"metadata", "managedFields"})) {
    out.push_back({.header = each, .fields = from_fields_v1(map_at(each, {"fieldsV1"}))});
    out.back().header.erase("fieldsV1");
  }
  return out;
}

bool is_of(const entry& each, const field_manager& manager, std::string_view operation) {
  return text_at(each.header, {"manager"}) == manager.name && text_at(each.header, {"operation"}) == operation &&
         text_at(each.header, {"subresource"}) == manager.subresource;
}

void store_entries(json& object, const std::vector<entry>& entries) {
  json list = json::array();
  for (const auto& each : entries) {
    if (each.fields.empty()) continue;
    json one = each.header;
    one["fieldsType"] = "FieldsV1";
    one["fieldsV1"] = to_fields_v1(each.fields);
    list.push_back(std::move(one));
  }
  if (list.empty()) {
    object["metadata"].erase("managedFields");
  } else {
    object["metadata"]["managedFields"] = std::move(list);
  }
}

json header_of(const field_manager& manager, std::string_view operation) {
  json header = {
      {"manager", manager.name}, {"operation", operation}, {"apiVersion", manager.api_version}, {"time", manager.time}};
  if (!manager.subresource.empty()) header["subresource"] = manager.subresource;
  return header;
}

}  // namespace

field_set fields_of(const json& schema, const json& object) {
  field_set all;
  field_path at;
  collect(&schema, object, at, all);
  std::erase_if(all, is_server_owned);
  return all;
}

json to_fields_v1(const field_set& fields) {
  json root = json::object();
  for (const auto& path : fields) {
    json* at = &root;
    for (const auto& element : path) {
      auto it = at->find(element);
      if (it == at->end()) it = at->emplace(element, json::object()).first;
      at = &*it;
    }
    if (has_prefix(fields, path) && fields.upper_bound(path) != fields.end()) {
      const auto next = fields.upper_bound(path);
      if (next->size() > path.size() && std::equal(path.begin(), path.end(), next->begin()))
        (*at)["."] = json::object();
    }
  }
  return root;
}

namespace {
void read_fields(const json& node, field_path& at, field_set& out) {
  for (const auto& [element, sub] : node.items()) {
    if (element == ".") {
      out.insert(at);
      continue;
    }
    at.push_back(element);
    if (sub.is_object() && !sub.empty()) {
      read_fields(sub, at, out);
    } else {
      out.insert(at);
    }
    at.pop_back();
  }
}
}  // namespace

field_set from_fields_v1(const json& fields) {
  field_set out;
  field_path at;
  if (fields.is_object()) read_fields(fields, at, out);
  return out;
}

reply<json> apply_config(const json& schema, const json& live, const json& config, const field_manager& manager,
                         bool force) {
  json clean = config;
  if (clean.contains("metadata")) clean["metadata"].erase("managedFields");
  const auto wanted = fields_of(schema, clean);
  json out = live.is_null() ? clean : merged(&schema, live, clean);
  auto entries = live.is_null() ? std::vector<entry>{} : entries_of(live);
  const auto changed = live.is_null() ? field_set{} : compare(schema, live, out).changed;

  json causes = json::array();
  std::vector<std::string> texts;
  field_set others;
  field_set before;
  for (auto& each : entries) {
    if (is_of(each, manager, "Apply")) {
      before = each.fields;
      continue;
    }
    field_set lost;
    std::set_intersection(changed.begin(), changed.end(), each.fields.begin(), each.fields.end(),
                          std::inserter(lost, lost.end()));
    const auto holder =
        "conflict with \"" + text_at(each.header, {"manager"}) + "\" using " + text_at(each.header, {"apiVersion"});
    for (const auto& path : lost) {
      causes.push_back({{"reason", "FieldManagerConflict"}, {"message", holder}, {"field", readable(path)}});
      texts.push_back(holder + ": " + readable(path));
    }
    if (force) subtract(each.fields, lost);
    others.insert(each.fields.begin(), each.fields.end());
  }
  if (!causes.empty() && !force) {
    const auto count = std::to_string(causes.size());
    api_error failure{.code = 409,
                      .reason = "Conflict",
                      .message = "Apply failed with " + count + (causes.size() == 1 ? " conflict: " : " conflicts: ") +
                                 join(texts, ", "),
                      .details = {{"causes", causes}}};
    return tl::unexpected(std::move(failure));
  }
  subtract(before, wanted);
  // An item of a list comes before its fields, and takes them along: without its key it could no longer be found.
  for (const auto& path : before) {
    if (!has_prefix(others, path) && !has_prefix(wanted, path)) remove_at(&schema, out, path);
  }
  std::erase_if(entries, [&](const entry& each) { return is_of(each, manager, "Apply"); });
  entries.push_back({.header = header_of(manager, "Apply"), .fields = wanted});
  store_entries(out, entries);
  return out;
}

void track_update(const json& schema, const json& before, json& changed, const field_manager& manager) {
  if (!before.is_null() &&
      list_at(before, {"metadata", "managedFields"}) != list_at(changed, {"metadata", "managedFields"}) &&
      changed["metadata"].contains("managedFields")) {
    // A client that writes managedFields itself (kubectl's migration to server-side apply) is taken at its word; [{}]
    // clears.
    const auto& given = list_at(changed, {"metadata", "managedFields"});
    if (given == json::array({json::object()}) || given.empty()) changed["metadata"].erase("managedFields");
    return;
  }
  if (!before.is_null() && !changed["metadata"].contains("managedFields") &&
      before["metadata"].contains("managedFields")) {
    changed["metadata"]["managedFields"] = before["metadata"]["managedFields"];
  }
  const auto diff = before.is_null() ? difference{.changed = fields_of(schema, changed), .removed = {}}
                                     : compare(schema, before, changed);
  if (diff.changed.empty() && diff.removed.empty()) return;
  auto entries = entries_of(changed);
  const auto mine =
      std::find_if(entries.begin(), entries.end(), [&](const entry& each) { return is_of(each, manager, "Update"); });
  field_set own = mine == entries.end() ? field_set{} : mine->fields;
  if (mine != entries.end()) entries.erase(mine);
  for (auto& each : entries) {
    subtract(each.fields, diff.changed);
    subtract(each.fields, diff.removed);
  }
  own.insert(diff.changed.begin(), diff.changed.end());
  subtract(own, diff.removed);
  entries.push_back({.header = header_of(manager, "Update"), .fields = std::move(own)});
  store_entries(changed, entries);
}

}  // namespace orrery::local
